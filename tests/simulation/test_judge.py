"""The judge's own figures, worked out by hand: an oracle that is wrong would call a wrong ledger right."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.simulation.judge import Case, Fact, judge
from tests.simulation.world.terms import Terms

DEAR, CHEAP = "video@dear", "video@cheap"
POLICIES = {DEAR: Terms(), CHEAP: Terms(default="0.05", pro="0.1", percent=25, minutes=60)}
"""Terms: 0.1 a second before seven o'clock, 0.1237 after it; half goes back of what was cancelled within ten hours."""

REFERENCES = {"debit": "job#j-1", "whole": "job#j-1", "part": "job#j-1", "grant": "grant#p-1", "revoke": "grant#p-1"}


def fact(rule: str, at: str, quantity: str = "8", model: str = "veo", *, sure: bool = True) -> Fact:
    """Return a fact of a time of day."""
    return Fact(REFERENCES[rule], "u-1", rule, f"2026-01-05T{at}:00Z", quantity, model, sure)


def entries(*said: tuple[Fact, str], policy: str = DEAR) -> list[dict[str, Any]]:
    """Return a log in which each fact is told by one entry, with the amount that is given."""
    return [
        {"reference": each.reference, "sequence": number, "userId": each.user, "rule": each.rule, "occurredAt": each.at,
         "amount": amount, "quantity": each.quantity, "policy": policy, "type": "debit", "eventId": f"e-{number}"}
        for number, (each, amount) in enumerate(said, start=1)
    ]  # fmt: skip


def verdict(log: list[dict[str, Any]], facts: list[Fact], posted: str, **more: Any) -> list[str]:
    """Return what the judge says of one user with 100 credits of the application's."""
    users = {"u-1": {"remaining": Fraction(posted) + 100, "posted": Fraction(posted)}}
    known = {"senseless": frozenset(), "letters": frozenset(), **more}
    return judge(Case(facts, POLICIES, log, users, {"u-1": Fraction(100)}, **known))


RENDERED, FAILED, CANCELLED = fact("debit", "05:00"), fact("whole", "06:00"), fact("part", "06:00")
AGAIN = fact("debit", "07:30")


@pytest.mark.parametrize(
    ("told", "net"),
    [
        ([(RENDERED, "-0.8")], "-0.8"),  # 8 x 0.1
        ([(RENDERED, "-0.8"), (FAILED, "0.8")], "0"),
        ([(FAILED, "0"), (RENDERED, "0")], "0"),  # whatever comes first
        ([(RENDERED, "-0.8"), (CANCELLED, "0.4")], "-0.4"),
        ([(RENDERED, "-0.8"), (FAILED, "0.8"), (AGAIN, "-0.9896")], "-0.9896"),  # 8 x 0.1237
        ([(fact("debit", "05:00", "8.3333"), "-0.8333")], "-0.8333"),  # 0.83333
        ([(fact("debit", "05:00", "0"), "-0.01")], "-0.01"),  # the minimum
        ([(fact("debit", "05:00", "100"), "-5")], "-5"),  # the maximum
        ([(fact("debit", "05:00", "8", "pro"), "-2")], "-2"),
        ([(RENDERED, "-0.8"), (fact("debit", "05:00", "2"), "0.6")], "-0.2"),  # of one instant the smallest
        ([(RENDERED, "-0.8"), (fact("part", "16:00"), "0")], "-0.8"),  # eleven hours later
        ([(fact("grant", "05:00", "20"), "20")], "20"),
        ([(fact("grant", "05:00", "20"), "20"), (fact("grant", "05:01", "5"), "-15")], "5"),
        ([(fact("grant", "05:00", "2000"), "1000")], "1000"),
        ([(fact("grant", "05:00", "20"), "20"), (fact("revoke", "06:00", "4"), "-4"), (fact("revoke", "07:00", "1.5"), "2.5")],
         "18.5"),
        ([(fact("grant", "05:00", "20"), "20"), (fact("revoke", "06:00", "30"), "-20")], "0"),
    ],
)  # fmt: skip
def test_a_sound_log_is_found_sound_and_another_net_is_not(told: list[tuple[Fact, str]], net: str) -> None:
    """A ten-thousandth more or less is wrong."""
    facts = [each for each, _ in told]
    log = entries(*told)
    assert [] == verdict(log, facts, net)

    log[-1]["amount"] = str(Fraction(log[-1]["amount"]) + Fraction(1, 10_000))
    assert len(verdict(log, facts, str(Fraction(net) + Fraction(1, 10_000)))) == 1


def test_a_charge_keeps_the_price_of_its_first_telling() -> None:
    """Its entry names the policy by which it was told first: 8 x 0.05."""
    assert [] == verdict(entries((RENDERED, "-0.4"), policy=CHEAP), [RENDERED], "-0.4")
    assert ["job#j-1: its entries come to -0.8; -0.4 is right"] == verdict(
        entries((RENDERED, "-0.8"), policy=CHEAP), [RENDERED], "-0.8"
    )


def test_what_was_told_must_be_known_unless_something_later_counts() -> None:
    """An earlier charge needs no entry; a later one does. What only a row has told perhaps may be missing."""
    log = entries((RENDERED, "-0.8"))
    assert [] == verdict(log, [RENDERED, fact("debit", "04:00")], "-0.8")
    assert [] == verdict(log, [RENDERED, fact("whole", "06:00", sure=False)], "-0.8")
    assert ["job#j-1: the whole of 2026-01-05T06:00:00Z was told, and no entry knows of it"] == verdict(
        log, [RENDERED, FAILED], "-0.8"
    )


def test_what_nobody_told_is_wrong() -> None:
    """Even if it moves nothing."""
    assert ["job#j-1: an entry tells a whole of 2026-01-05T06:00:00Z that nobody told"] == verdict(
        entries((RENDERED, "-0.8"), (FAILED, "0")), [RENDERED], "-0.8"
    )


def test_gaps_other_users_and_balances_are_seen() -> None:
    """Each has its own words."""
    gap = entries((RENDERED, "-0.8"), (FAILED, "0.8"))[1:]
    assert ["job#j-1: the log has gaps: [2]"] == [wrong for wrong in verdict(gap, [FAILED], "0.8") if "gaps" in wrong]
    others = entries((RENDERED, "-0.8"))
    others[0]["userId"] = "u-2"
    assert "job#j-1: its entries are of several users" in verdict(others, [RENDERED], "0")
    assert ["u-1: entries come to -0.8, and Credits says 0.0 was posted"] == verdict(
        entries((RENDERED, "-0.8")), [RENDERED], "0"
    )


def test_the_applications_own_credits_stay_its_own() -> None:
    """Remaining - posted is what it granted."""
    log = entries((RENDERED, "-0.8"))
    users = {"u-1": {"remaining": Fraction(99), "posted": Fraction("-0.8")}}
    case = Case([RENDERED], POLICIES, log, users, {"u-1": Fraction(100)}, frozenset(), frozenset())

    assert ["u-1: remaining - posted is 99.8; 100.0 was granted"] == judge(case)


def test_senseless_events_are_dead_letters_and_nothing_else() -> None:
    """One that is missing was dropped silently; one too many was not taken although it makes sense."""
    log = entries((RENDERED, "-0.8"))
    assert ["dead letters are []; ['e-9'] make no sense"] == verdict(log, [RENDERED], "-0.8", senseless=frozenset({"e-9"}))
    assert ["dead letters are ['e-9']; [] make no sense"] == verdict(log, [RENDERED], "-0.8", letters=frozenset({"e-9"}))
    same = frozenset({"e-1"})
    assert ["job#j-1: e-1 makes no sense, and stands in the ledger"] == verdict(
        log, [RENDERED], "-0.8", senseless=same, letters=same
    )
