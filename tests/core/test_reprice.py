"""A kept charge at another policy's price, from what the ledger kept of its event and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve

from engine.domain.fact import TOLD_BY, Charge, Content
from engine.domain.facts import Facts
from engine.policy import Policy, parse_policy
from engine.rating.reprice import Repricer, told_by
from engine.rating.which_rule import Unpriced
from engine.reconcile.repricing.which_jobs import Filters
from tests.support.policies import example

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
EIGHT_PREMIUM = {"detail.seconds": "8", "detail.model": "premium"}


def kept(said: dict[str, str], *, once: str = "", at: datetime = AT) -> Charge:
    """Return a charge of 99 credits that kept these answers."""
    return Charge(Decimal(99), at, tuple(sorted(said.items())), "video@000000000000", once)


def amount(said: dict[str, str], policy: Policy, rule: str = "debit-rendered", at: datetime = AT) -> Decimal:
    """Return what a charge costs under a policy."""
    return Repricer(policy).charge(kept(said, at=at), rule).now.amount


def why_not(said: dict[str, str], policy: Policy, rule: str = "debit-rendered") -> str:
    """Return why a charge cannot be priced by a policy."""
    with pytest.raises(Unpriced) as problem:
        Repricer(policy).charge(kept(said), rule)
    return str(problem.value)


def charging(*rules: str, prices: str = "", event_time: str = "time") -> Policy:
    """Return a policy with these debit rules: a name, a pattern and a charge each."""
    lines = "\n".join(f"  - {{{rule}}}" for rule in rules)
    event = f"event: {{job: detail.jobId, user: detail.userId, time: {event_time}}}"
    return parse_policy(f"version: 1\nname: video\n{event}\n{prices}rules:\n{lines}\noverdraft: allow\n", "p.yaml")


BOOK = """\
prices:
  second:
    - {effective: 2025-01-01T00:00:00Z, by: detail.model, rates: {default: "0.10", premium: "0.25"}}
    - {effective: 2026-07-01T00:00:00Z, by: detail.model, rates: {default: "0.12", premium: "0.30"}}
  step:
    - effective: 2025-01-01T00:00:00Z
      rates: {default: [{up_to: 60, rate: "0.10"}, {rate: "0.08"}]}
"""


def of_terms(terms: str, match: str = "source: [video.generation]", name: str = "debit-rendered") -> Policy:
    """Return a policy with one debit rule of these terms."""
    return charging(f"name: {name}, match: {{{match}}}, action: debit, charge: {{{terms}}}", prices=BOOK)


# --- what a charge costs ----------------------------------------------------------------------------------------------


def test_a_charge_keeps_all_but_its_price():
    """Its event, told again, must find it: content, instant and rule stay. It has one revision more."""
    was = kept(EIGHT_PREMIUM, once="debit-rendered")
    told = Repricer(example()).charge(was, "debit-rendered")

    assert evolve(was, amount=Decimal("2.0000"), policy=example().identity, revision=1) == told.now
    assert ("render-second", "premium", Decimal("0.25"), Decimal(8)) == (
        told.price.book,
        told.price.unit,
        told.price.rate,
        told.quantity,
    )
    assert 2 == Repricer(example()).charge(told.now, "debit-rendered").now.revision


@pytest.mark.parametrize(
    ("terms", "said", "costs"),
    [
        ("price: second, quantity: detail.seconds", {"detail.seconds": "8", "detail.model": "premium"}, "2"),
        ("price: second, quantity: detail.seconds", {"detail.seconds": "8", "detail.model": "veo-3"}, "0.8"),
        ("price: step, quantity: detail.seconds", {"detail.seconds": "100"}, "9.2"),
        ("price: step, quantity: detail.seconds, minimum: '3'", {"detail.seconds": "8"}, "3"),
        ("price: step, quantity: detail.seconds, maximum: '0.5'", {"detail.seconds": "8"}, "0.5"),
        ("amount: '1.50'", {}, "1.5"),
        ("price: step, quantity: 'multiply(detail.w, detail.h)'", {"detail.w": "2", "detail.h": "4"}, "0.8"),
        ("price: step, quantity: 'round_up(detail.seconds, `5`)'", {"detail.seconds": "6"}, "1"),
        ("price: step, quantity: 'to_number(detail.seconds)'", {"detail.seconds": "8"}, "0.8"),
        ("price: step, quantity: 'sum([detail.a, detail.b])'", {"detail.a": "1", "detail.b": "2"}, "0.3"),
        ("price: step, quantity: 'sum(detail.parts)'", {"sum(detail.parts)": "12"}, "1.2"),
        ("price: step, quantity: row.seconds", {"row.seconds": "8"}, "0.8"),
        ("price: step, quantity: 'multiply(detail.n, row.s)'", {"multiply(detail.n, row.s)": "16", "detail.n": "2"}, "1.6"),
        ("price: step, quantity: 'multiply(detail.n, row.s)'", {"row.s": "8", "detail.n": "2"}, "1.6"),
        (
            "components: [{price: step, quantity: detail.seconds}, {amount: '0.5'}], minimum: '1'",
            {"detail.seconds": "8"},
            "1.3",
        ),
        (
            "components: [{price: step, quantity: detail.a}, {price: step, quantity: detail.b}]",
            {"detail.a": "10", "detail.b": "1"},
            "1.1",
        ),
    ],
)
def test_what_was_kept_prices_a_charge(terms: str, said: dict[str, str], costs: str):
    """Figures worked out by hand: 100 seconds are 60 at 0.10 and 40 at 0.08."""
    assert Decimal(costs) == amount(said, of_terms(terms))


def test_the_row_of_the_charges_own_time_counts():
    """And of ``priced_at`` where the new policy has it, be it the event's own time under its new name."""
    late = datetime(2026, 8, 1, tzinfo=UTC)
    assert Decimal("2.4") == amount(EIGHT_PREMIUM, of_terms("price: second, quantity: detail.seconds"), at=late)

    asked = of_terms("price: second, quantity: detail.seconds, priced_at: detail.submitted")
    said = {**EIGHT_PREMIUM, "detail.submitted": "2026-02-01T00:00:00Z"}
    assert Decimal(2) == amount(said, asked, at=late)

    of_event = of_terms("price: second, quantity: detail.seconds, priced_at: time")
    assert Decimal("2.4") == amount(EIGHT_PREMIUM, of_event, at=late)


def test_the_id_of_an_event_is_no_answer():
    """It stands among the answers where the time was read from the job's row."""
    content: Content = ((TOLD_BY, "e-1"), ("detail.seconds", "8"))
    charge = Charge(Decimal(99), AT, content, "video@0")

    assert content == Repricer(of_terms("price: step, quantity: detail.seconds")).charge(charge, "").now.content


# --- what cannot be told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "said", "missing"),
    [
        ("price: second, quantity: detail.seconds", {"detail.seconds": "8"}, "`detail.model` was not kept"),
        ("price: step, quantity: detail.frames", {"detail.seconds": "8"}, "`detail.frames` was not kept"),
        ("price: step, quantity: 'multiply(detail.seconds, detail.n)'", {"detail.seconds": "8"}, "`detail.n` was not kept"),
        ("price: step, quantity: \"detail.n || '1'\"", {"detail.seconds": "8"}, "`detail.n` was not kept"),
        ("price: step, quantity: length(detail.parts)", {"detail.seconds": "8"}, "`detail.parts` was not kept"),
        ("price: step, quantity: 'length(detail)'", {"detail.seconds": "8"}, "`detail` was not kept"),
        ("price: step, quantity: 'length(keys(@))'", {"detail.seconds": "8"}, "`@` was not kept"),
        ("price: step, quantity: 'length(detail.*)'", {"detail.seconds": "8"}, "`detail` was not kept"),
        ("price: step, quantity: row.seconds", {"detail.seconds": "8"}, "`row` was not kept"),
        (
            "price: second, quantity: detail.seconds, priced_at: detail.submitted",
            EIGHT_PREMIUM,
            "`detail.submitted` was not kept",
        ),
        ("price: step, quantity: detail.seconds", {"detail.seconds": "eight"}, "`detail.seconds` is 'eight'"),
    ],
)
def test_what_was_not_kept_is_named_and_never_guessed(terms: str, said: dict[str, str], missing: str):
    """The event may have said anything there."""
    assert missing in why_not(said, of_terms(terms))


def test_a_number_is_not_told_from_a_text():
    """A comparison would be: whoever kept ``8`` kept both."""
    choosing = 'price: step, quantity: "detail.seconds > `5` && `1` || `2`"'
    assert "a number or a text" in why_not({"detail.seconds": "8"}, of_terms(choosing))


def test_there_may_be_no_price_then():
    """A book that begins later says so."""
    assert "before the first price" in why_not(
        EIGHT_PREMIUM, charging(
            "name: debit-rendered, match: {source: [a]}, action: debit, charge: {price: s, quantity: detail.seconds}",
            prices="prices: {s: [{effective: 2026-06-01T00:00:00Z, rates: {default: '1'}}]}\n",
        )
    )  # fmt: skip


# --- which rule takes it ----------------------------------------------------------------------------------------------


def flat(name: str, amount: str, match: str) -> str:
    """Return a debit rule of a flat amount."""
    return f"name: {name}, match: {{{match}}}, action: debit, charge: {{amount: '{amount}'}}"


RENDERED = "detail-type: [video.rendered]"


@pytest.mark.parametrize(
    ("rules", "said", "rule", "costs"),
    [
        ([flat("a", "1", "detail: {model: [premium]}"), flat("b", "2", RENDERED)], {}, "b", "2"),
        ([flat("a", "1", f"{RENDERED}, detail: {{model: [premium]}}"), flat("b", "2", RENDERED)], EIGHT_PREMIUM, "b", "1"),
        ([flat("a", "1", "detail: {model: [premium]}"), flat("b", "2", RENDERED)], {"detail.model": "veo-3"}, "b", "2"),
        ([flat("a", "1", "detail: {model: [premium]}"), flat("b", "2", RENDERED)], {"detail.model": "veo-3"}, "a", "2"),
        ([flat("a", "1", "detail: {seconds: [{numeric: ['<', 5]}]}"), flat("b", "2", RENDERED)], EIGHT_PREMIUM, "c", "2"),
        ([flat("only", "1", RENDERED)], EIGHT_PREMIUM, "renamed", "1"),
        ([flat("only", "1", RENDERED)], EIGHT_PREMIUM, "", "1"),
        ([flat("a", "1", "detail: {model: [premium]}"), flat("b", "2", RENDERED)], EIGHT_PREMIUM, "gone", "1"),
        ([flat("a", "1", "$or: [{detail: {model: [x]}}, {detail: {model: [premium]}}]")], EIGHT_PREMIUM, "gone", "1"),
    ],
)
def test_the_rule_that_takes_it(rules: list[str], said: dict[str, str], rule: str, costs: str):
    """The one of the same name, unless what was kept speaks against it or shows that another comes first."""
    assert Decimal(costs) == amount(said, charging(*rules), rule)


def test_the_rule_that_ignores_repeats_is_known_by_the_charge_itself():
    """Also where the entry that told it is gone, or was a repair's."""
    assert "called" == told_by(kept(EIGHT_PREMIUM, once="called"), [])
    assert "" == told_by(kept(EIGHT_PREMIUM), [])


def test_where_several_rules_may_take_it_none_is_chosen():
    """Both names are told, for a person to put one of them first."""
    policy = charging(flat("a", "1", RENDERED), flat("b", "2", "detail-type: [video.made]"))
    assert "`a`, `b`" in why_not(EIGHT_PREMIUM, policy, "gone")


def test_where_no_rule_charges_any_more_it_is_said():
    """No charge is not a charge of nothing: the person has to say so."""
    policy = charging("name: debit-rendered, match: {source: [a]}, action: refund, refund: {percent: 100}")
    assert "no other can" in why_not(EIGHT_PREMIUM, policy)


def test_a_rule_that_comes_first_and_does_not_charge_is_said():
    """The new policy takes such events for failures."""
    policy = charging(
        f"name: free, match: {{{RENDERED}, detail: {{model: [premium]}}}}, action: refund, refund: {{percent: 100}}",
        flat("b", "2", RENDERED),
    )
    assert "rule `free` comes first" in why_not(EIGHT_PREMIUM, policy, "b")


# --- which jobs are meant ---------------------------------------------------------------------------------------------

WEAK = kept({"detail.seconds": "8"}, at=datetime(2026, 3, 1, tzinfo=UTC))
KNOWN = Facts(charges=(kept(EIGHT_PREMIUM),), weak_charges=(WEAK,))


@pytest.mark.parametrize(
    ("filters", "takes"),
    [
        (Filters(), True),
        (Filters(since=AT), True),
        (Filters(until=AT), False),
        (Filters(since=datetime(2026, 2, 1, tzinfo=UTC)), True),
        (Filters(since=datetime(2026, 2, 1, tzinfo=UTC), until=datetime(2026, 2, 2, tzinfo=UTC)), False),
        (Filters(charged_by="000000"), True),
        (Filters(charged_by="video@" + "0" * 64), True),
        (Filters(charged_by="1"), False),
        (Filters(pattern={"detail": {"model": ["premium"]}}), True),
        (Filters(until=datetime(2026, 2, 1, tzinfo=UTC), pattern={"detail": {"model": ["veo-3"]}}), False),
        (Filters(pattern={"detail": {"seconds": [{"numeric": [">", 9]}]}}), False),
    ],
)
def test_a_job_is_meant_of_whose_charges_one_passes_every_filter(filters: Filters, takes: bool):  # noqa: FBT001
    """Instants by the charge's own time, the digest from its beginning."""
    assert takes is filters.takes(KNOWN)


def test_a_filter_that_asks_what_was_not_kept_is_named():
    """The job is left out, and nobody guesses."""
    with pytest.raises(Unpriced, match="--match asks"):
        Filters(pattern={"detail": {"resolution": ["4k"]}}).takes(KNOWN)
