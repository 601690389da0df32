"""The judge's own figures, worked out by hand: an oracle that is wrong would call a wrong ledger right."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.simulation import attempts, claims, holds, judge, oracle, repricings, sums, tellings, words
from tests.simulation.claims import Fact, instant, rule_of
from tests.simulation.judge import Case
from tests.simulation.tellings import Telling
from tests.simulation.world.terms import document_of

BASE, CHEAPER, DEARER, FIGURES, SELECTORS, ONCE, NEVER_ONCE, RENAMED = (
    document_of(edit, "flag", "refuse") for edit in range(8)
)
POLICIES = {"base": BASE, "cheaper": CHEAPER, "dearer": DEARER, "figures": FIGURES, "once": ONCE, "renamed": RENAMED}
GRANTS = {"purchased", "revoked", "disputed"}
ROW, GOLD = {"row.plan": "base", "row.size": "4"}, {"row.plan": "gold", "row.size": "8"}
RENDER = {"seconds": "8", "frames": "5", "model": "veo", "resolution": "hd"}
ANSWER = {"input": "1234", "output": "61", "model": "veo", "submitted": "2026-01-05T07:59:59Z"}

ORACLE = ("attempts", "claims", "sums", "holds", "oracle", "tellings", "words", "repricings")

type Step = tuple[Telling, str, str]
"""A telling, the amount of its entry, and the policy that is named there."""


def told(kind: str, at: str, *, weak: bool = False, **said: str) -> Telling:
    """Return a telling of a time of day."""
    fact = Fact(
        kind, instant(f"2026-01-05T{at}:00Z"), {"kind": kind, **{f"detail.{name}": text for name, text in said.items()}}
    )
    reference = "grant#p-1" if kind in GRANTS else "job#j-1"
    return Telling(f"{kind} {at} {said}", reference, "u-1", fact, not weak, weak, weak, rows=(ROW, GOLD))


def rendered(at: str, **said: str) -> Telling:
    """Return a render of eight seconds, or five frames, unless it says something else."""
    return told("rendered", at, **{**RENDER, **said})


def entries(*steps: Step, row: Mapping[str, str] = ROW) -> list[dict[str, Any]]:
    """Return a log in which each telling has one entry."""
    return [_entry(*step, number, row) for number, step in enumerate(steps, start=1)]


def _entry(telling: Telling, amount: str, policy: str, number: int, row: Mapping[str, str]) -> dict[str, Any]:
    rule = rule_of(telling.fact.kind, POLICIES[policy])
    shown = [_shown(part, {**telling.fact.said, **row}) for part in claims.parts(claims.terms_of(rule))]
    entry = {"reference": telling.reference, "sequence": number, "userId": telling.user, "rule": rule["name"],
             "occurredAt": telling.fact.at.isoformat(), "amount": amount, "policy": policy, "type": "debit"}  # fmt: skip
    who = {"eventId": telling.event} if telling.by_event else {"occurredAtFrom": "scan-start"}
    return {**entry, **who, "quantity": shown[0].get("quantity"), "price": {**shown[0], "components": shown}}


def _shown(part: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    unit = {"unit": "gold" if said["row.plan"] == "gold" else "default"}
    return {**unit, **({"quantity": claims.value(part["quantity"], said)} if "quantity" in part else {})}


def verdict(log: list[dict[str, Any]], tellings: list[Telling], posted: str, **more: Any) -> list[str]:
    """Return what the judge says of one user with 100 credits of the application's."""
    users = {"u-1": {"remaining": Fraction(posted) + 100, "posted": Fraction(posted)}}
    known = {"senseless": frozenset(), "letters": frozenset(), "policies": POLICIES, **more}
    return judge.judge(Case(tellings, entries=log, credits=users, granted={"u-1": Fraction(100)}, **known))


def base(*tellings: tuple[Telling, str]) -> list[Step]:
    """Return tellings under the first policy, each with the amount of its entry."""
    return [(telling, amount, "base") for telling, amount in tellings]


FAILED, CANCELLED = told("failed", "06:00"), told("cancelled", "06:00")
BOUGHT = told("purchased", "05:00", credits="20")
PRICES: dict[str, tuple[list[Step], str]] = {
    "8 x 0.1": (base((rendered("05:00"), "-0.8")), "-0.8"),
    "from seven on 8 x 0.15, for veo has a rate then": (base((rendered("07:00"), "-1.2")), "-1.2"),
    "8 x 0.1237 for any other": (base((rendered("07:00", model="old"), "-0.9896")), "-0.9896"),
    "in the sale 8 x 0.15 all the same": (base((rendered("08:00"), "-1.2")), "-1.2"),
    "in the sale 8 x 0.05 for any other": (base((rendered("09:59", model="old"), "-0.4")), "-0.4"),
    "after the sale as before it": (base((rendered("10:00", model="old"), "-0.9896")), "-0.9896"),
    "pro 4k: 8 x 0.4": (base((rendered("05:00", model="pro", resolution="4k"), "-3.2")), "-3.2"),
    "pro 4k is taken away at seven: 8 x 0.25": (base((rendered("07:00", model="pro", resolution="4k"), "-2")), "-2"),
    "pro hd in the sale: 8 x 0.2": (base((rendered("08:00", model="pro"), "-1.6")), "-1.6"),
    "0.83333 is rounded": (base((rendered("05:00", seconds="8.3333"), "-0.8333")), "-0.8333"),
    "the minimum": (base((rendered("05:00", seconds="0"), "-0.01")), "-0.01"),
    "the maximum": (base((rendered("05:00", seconds="100"), "-5")), "-5"),
    "frames: 5 x 0.1": ([(rendered("05:00"), "-0.5", "figures")], "-0.5"),
    "7 x 4 x 0.02 by the row": (base((told("hooked", "05:00", count="7"), "-0.56")), "-0.56"),
    # 1234 x 0.003 + 60 x 0.01 + 1 x 0.008 + 0.00125 = 4.31125; submitted a second before another row of the tiers counts
    "components at the time of submission": (base((told("answered", "09:00", **ANSWER), "-4.3112")), "-4.3112"),
    # 3.702 + 61 x 0.007 + 0.00125
    "all 61 in the tier that they reach": (
        base((told("answered", "09:00", **{**ANSWER, "submitted": "2026-01-05T08:00:00Z"}), "-4.1302")), "-4.1302"),
    "0.03 + 0.1 + 0.00125 is more than the minimum": (
        base((told("answered", "09:00", **{**ANSWER, "input": "10", "output": "10"}), "-0.1312")), "-0.1312"),
}  # fmt: skip
RULES: dict[str, tuple[list[Step], str]] = {
    "all goes back": (base((rendered("05:00"), "-0.8"), (FAILED, "0.8")), "0"),
    "whatever comes first": (base((FAILED, "0"), (rendered("05:00"), "0")), "0"),
    "half goes back": (base((rendered("05:00"), "-0.8"), (CANCELLED, "0.4")), "-0.4"),
    "eleven hours later nothing does": (base((rendered("05:00"), "-0.8"), (told("cancelled", "16:00"), "0")), "-0.8"),
    "so much as the event says": (base((rendered("05:00"), "-0.8"), (told("credited", "06:00", back="0.33335"), "0.3334")),
                                  "-0.4666"),
    "never more than the charge": (base((rendered("05:00"), "-0.8"), (told("credited", "06:00", back="2"), "0.8")), "0"),
    "33.3 percent, what is left rounded": (
        base((rendered("05:00"), "-0.8"), (told("broken", "06:00", missing="33.3"), "0.2664")), "-0.5336"),
    "three hours and a minute later nothing": (
        base((rendered("05:00"), "-0.8"), (told("broken", "08:01", missing="100"), "0")), "-0.8"),
    "rendered again": (base((rendered("05:00"), "-0.8"), (FAILED, "0.8"), (rendered("07:30"), "-1.2")), "-1.2"),
    "of one instant the smallest": (base((rendered("05:00"), "-0.8"), (rendered("05:00", seconds="2"), "0.6")), "-0.2"),
    "a repeat of the hook": (
        base((told("hooked", "05:00", count="7"), "-0.56"), (FAILED, "0.56"), (told("hooked", "06:30", count="7"), "0")), "0"),
    "an earlier sending lies before the failure": (
        base((told("hooked", "06:30", count="7"), "-0.56"), (FAILED, "0"), (told("hooked", "05:00", count="7"), "0.56")), "0"),
    "another count is no repeat": (
        base((told("hooked", "05:00", count="7"), "-0.56"), (FAILED, "0.56"), (told("hooked", "06:30", count="1"), "-0.08")),
        "-0.08"),
    "a repeat after an edit ignores repeats": (
        [(rendered("05:00"), "-0.8", "base"), (FAILED, "0.8", "base"), (rendered("06:30"), "0", "once")], "0"),
    "a price of another row asks more, so that it is no repeat": (
        [(rendered("05:00"), "-0.8", "base"), (FAILED, "0.8", "base"), (rendered("07:30"), "-1.2", "once")], "-1.2"),
    "a rule with another name": ([(told("hooked", "05:00", count="7"), "-0.56", "base"), (FAILED, "0.56", "base"),
                                  (told("hooked", "06:30", count="7"), "0", "renamed")], "0"),
    "what is known keeps its price": (
        [(rendered("05:00"), "-0.8", "base"), (rendered("05:00"), "0", "figures"), (rendered("05:00"), "0", "dearer")],
        "-0.8"),
    "the window of the first telling counts": (
        [(rendered("05:00"), "-0.8", "base"), (told("failed", "10:00"), "0", "cheaper"),
         (told("failed", "10:00"), "0", "base")],
        "-0.8"),
    "a row without a time": (base((told("rendered", "12:00", weak=True, **RENDER), "-1.2")), "-1.2"),
    "what an event says counts instead": (
        base((told("rendered", "12:00", weak=True, **RENDER), "-1.2"), (rendered("05:00", seconds="2"), "1")), "-0.2"),
    "such a row gives back what no refund of its own time does": (
        base((rendered("05:00"), "-0.8"), (told("failed", "12:00", weak=True), "0.8")), "0"),
    "but not a later charge": (base((told("failed", "12:00", weak=True), "0"), (rendered("13:00"), "-1.2")), "-1.2"),
    "a refund of its own time counts instead": (
        base((rendered("05:00"), "-0.8"), (told("failed", "12:00", weak=True), "0.8"), (CANCELLED, "-0.4")), "-0.4"),
    "20 and a bonus of 2.5": (base((BOUGHT, "22.5")), "22.5"),
    "of two amounts the smaller": (base((BOUGHT, "22.5"), (told("purchased", "05:01", credits="5"), "-15")), "7.5"),
    "at most 1000": (base((told("purchased", "05:00", credits="2000"), "1000")), "1000"),
    "steps do not add up": (base((BOUGHT, "22.5"), (told("revoked", "06:00", amount="4"), "-4"),
                                 (told("revoked", "07:00", amount="1.5"), "2.5")), "21"),
    "never more than was given": (base((BOUGHT, "22.5"), (told("revoked", "06:00", amount="30"), "-22.5")), "0"),
    # 22.5 - 4 - 12.5 % of 22.5
    "series add up": (base((BOUGHT, "22.5"), (told("revoked", "06:00", amount="4"), "-4"),
                           (told("disputed", "07:00", percent="12.5"), "-2.8125")), "15.6875"),
    "a dispute that was won": (base((BOUGHT, "22.5"), (told("disputed", "07:00", percent="50"), "-11.25"),
                                    (told("disputed", "08:00", percent="0"), "11.25")), "22.5"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*PRICES, *RULES])
def test_a_sound_log_is_found_sound_and_another_net_is_not(name: str) -> None:
    """A ten-thousandth more or less is wrong."""
    steps, net = {**PRICES, **RULES}[name]
    log, tellings = entries(*steps), [telling for telling, _, _ in steps]
    assert [] == verdict(log, tellings, net)

    log[-1]["amount"] = str(Fraction(log[-1]["amount"]) + Fraction(1, 10_000))
    assert len(verdict(log, tellings, str(Fraction(net) + Fraction(1, 10_000)))) == 1


def test_what_the_row_said_is_taken_from_the_entry_if_the_row_ever_said_it() -> None:
    """By gold, and twice as large: 7 x 8 x 0.01. A row that never was so explains nothing."""
    hook = told("hooked", "05:00", count="7")
    log = entries((hook, "-0.56", "base"), row=GOLD)
    assert [] == verdict(log, [hook], "-0.56")
    assert ["job#j-1: an entry tells a hook of 2026-01-05T05:00:00+00:00 that nobody told"] == verdict(
        log, [evolve(hook, rows=(ROW,))], "-0.56"
    )


@pytest.mark.parametrize(("amount", "count"), [("0", 0), ("-0.16", 0), ("-0.08", 1)])
def test_an_entry_that_two_writings_of_a_row_may_have_made_is_read_both_ways(amount: str, count: int) -> None:
    """1 x 8 and 2 x 4 were written for one instant: a new charge of 8 x 0.02, or a repeat of what was refunded."""
    first, back = told("hooked", "05:00", count="2"), told("credited", "05:01", back="1")
    row = {"row.plan": "base", "row.size": "8"}
    eight, four = (
        evolve(told("hooked", "06:00", count=count), by_event=False, by_row=True, rows=(ROW, row)) for count in ("1", "2")
    )
    log = entries((first, "-0.16", "once"), (back, "0.16", "once"), (four, amount, "once"))
    del log[2]["occurredAtFrom"]

    assert count == len(verdict(log, [evolve(first, rows=(ROW,)), back, eight, four], amount))


def test_what_was_told_must_be_known_unless_something_later_counts() -> None:
    """An earlier charge needs no entry; a later one does, and so does an earlier refund that has no window."""
    log = entries((rendered("05:00"), "-0.8", "base"))
    assert [] == verdict(log, [rendered("05:00"), rendered("04:00")], "-0.8")
    for missing in (FAILED, CANCELLED, rendered("06:00")):
        (wrong,) = verdict(log, [rendered("05:00"), missing], "-0.8")
        assert wrong.endswith("was told, and no entry knows of it")
    both = entries((rendered("05:00"), "-0.8", "base"), (CANCELLED, "0.4", "base"))
    assert ["job#j-1: the failed of 2026-01-05T05:30:00Z was told, and no entry knows of it"] == verdict(
        both, [rendered("05:00"), CANCELLED, told("failed", "05:30")], "-0.4"
    )


def test_an_earlier_sending_of_what_ignores_repeats_must_be_known() -> None:
    """Else its next repeat would be charged. A policy under which it was no repeat might have dropped it."""
    hooks = [told("hooked", "05:00", count="7"), told("hooked", "06:00", count="1")]
    log = entries((hooks[1], "-0.08", "base"))
    assert [] != verdict(log, hooks, "-0.08")
    assert [] == verdict(log, hooks, "-0.08", policies={**POLICIES, "never": NEVER_ONCE})


def test_the_last_row_must_be_known_unless_another_fact_may_have_marked_it() -> None:
    """That other fact has to be known then."""
    log = entries((rendered("05:00"), "-0.8", "base"))
    by_row = evolve(rendered("06:00"), by_event=False, by_row=True)
    assert [] == verdict(log, [rendered("05:00"), by_row], "-0.8")
    last = evolve(by_row, is_last=True)
    assert [] != verdict(log, [rendered("05:00"), last], "-0.8")
    assert [] == verdict(log, [rendered("05:00"), evolve(last, others=frozenset({rendered("05:00").event}))], "-0.8")
    assert [] != verdict(log, [rendered("05:00"), evolve(last, others=frozenset({"another"}))], "-0.8")


def test_the_last_row_without_a_time_must_have_told_its_kind() -> None:
    """A charge of it is needless where something has a time of its own; a refund is not."""
    log = entries((rendered("05:00"), "-0.8", "base"))
    weak = [
        evolve(told(kind, "12:00", weak=True, **said), is_last=True) for kind, said in (("rendered", RENDER), ("failed", {}))
    ]
    assert [] == verdict(log, [rendered("05:00"), weak[0]], "-0.8")
    assert [] != verdict(log, [rendered("05:00"), weak[1]], "-0.8")


def test_what_nobody_told_is_wrong() -> None:
    """Even if it moves nothing; and under a policy that was never deployed."""
    log = entries((rendered("05:00"), "-0.8", "base"), (FAILED, "0", "base"))
    assert ["job#j-1: an entry tells a whole of 2026-01-05T06:00:00+00:00 that nobody told"] == verdict(
        log, [rendered("05:00")], "-0.8"
    )
    log[1]["policy"] = "video@other"
    assert ["job#j-1: an entry names policy video@other, which was never deployed"] == verdict(
        log, [rendered("05:00"), FAILED], "-0.8"
    )


def test_gaps_other_users_and_balances_are_seen() -> None:
    """Each has its own words."""
    steps = base((rendered("05:00"), "-0.8"), (FAILED, "0.8"))
    gap = entries(*steps)[1:]
    assert ["job#j-1: the log has gaps: [2]"] == [wrong for wrong in verdict(gap, [FAILED], "0.8") if "gaps" in wrong]
    others = entries(*steps)
    others[0]["userId"] = "u-2"
    assert "job#j-1: its entries are of several users" in verdict(others, [rendered("05:00"), FAILED], "0")
    assert ["u-1: entries come to -0.8, and Credits says 0.0 was posted"] == verdict(
        entries(*steps[:1]), [rendered("05:00")], "0"
    )


def test_the_applications_own_credits_stay_its_own() -> None:
    """Remaining - posted is what it granted."""
    log = entries(*base((rendered("05:00"), "-0.8")))
    users = {"u-1": {"remaining": Fraction(99), "posted": Fraction("-0.8")}}
    case = Case([rendered("05:00")], POLICIES, log, users, {"u-1": Fraction(100)}, frozenset(), frozenset())

    assert ["u-1: remaining - posted is 99.8; 100.0 was granted"] == judge.judge(case)


def test_senseless_events_are_dead_letters_and_nothing_else() -> None:
    """One that is missing was dropped silently; one too many was not taken although it makes sense."""
    log, tellings = entries(*base((rendered("05:00"), "-0.8"))), [rendered("05:00")]
    assert ["dead letters are []; ['e-9'] make no sense"] == verdict(log, tellings, "-0.8", senseless=frozenset({"e-9"}))
    assert ["dead letters are ['e-9']; [] make no sense"] == verdict(log, tellings, "-0.8", letters=frozenset({"e-9"}))
    same = frozenset({rendered("05:00").event})
    assert [f"job#j-1: {rendered('05:00').event} makes no sense, and stands in the ledger"] == verdict(
        log, tellings, "-0.8", senseless=same, letters=same
    )


@pytest.mark.parametrize("module", [attempts, claims, sums, holds, oracle, tellings, words, repricings, judge])
def test_the_oracle_imports_nothing_of_the_engine(module: Any) -> None:
    """Nor anything that does: it would agree with the engine's mistakes."""
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    ours = {f"tests.simulation.{name}" for name in ORACLE}
    assert ours >= {name for name in imported if name.startswith(("tests", "engine"))}


def test_the_oracle_fits_on_a_page() -> None:
    """What is as long as the engine is as wrong as the engine. Prices take a second page, and what people say a third."""
    tries, rules, prices, said, anew, held, together = (
        [line for line in Path(module.__file__).read_text().splitlines() if line.strip()]
        for module in (attempts, oracle, claims, words, repricings, holds, sums)
    )
    assert len(tries) <= 30
    assert len(rules) <= 80
    assert len(prices) <= 125
    assert len(said) <= 80
    assert len(anew) <= 80
    assert len(held) <= 85
    assert len(together) <= 25
