"""Charges whose repeats are ignored, against an oracle that was written from the rules alone: any order, edits of the policy.

The oracle keeps every telling, counts in fractions, and knows nothing of the engine.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import Factory, define, evolve, frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain import joins
from engine.domain.errors import EventError
from engine.domain.fact import Charge
from engine.policy import Policy, parse_policy
from engine.rating.recognise import Telling
from tests.support.books import Books
from tests.support.events import event
from tests.support.examples import part

EDITED = """\
version: 1
name: webhooks
event: {{job: detail.jobId, user: detail.userId, time: time}}
prices:
  unit:
    - {{effective: 2025-01-01T00:00:00Z, rates: {{default: "{rate}"}}}}
    - {{effective: 2026-01-05T12:00:00Z, rates: {{default: "{later}"}}}}
rules:
  - {{name: render, match: {{detail-type: [rendered]}}, action: debit, {repeats}charge: {{price: unit, quantity: {quantity}}}}}
  - {{name: upscale, match: {{detail-type: [upscaled]}}, action: debit, charge: {{price: unit, quantity: detail.seconds}}}}
  - {{name: copy, match: {{detail-type: [copied]}}, action: debit, repeats: ignore, charge: {{amount: "0.7"}}}}
  - {{name: whole, match: {{detail-type: [failed]}}, action: refund, refund: {{percent: 100, within: 2h}}}}
  - {{name: part, match: {{detail-type: [credited]}}, action: refund, refund: {{amount: detail.seconds}}}}
overdraft: allow
"""


@frozen
class Edit:
    """What one edit of the policy says."""

    rate: str = "0.1"
    later: str = "0.3"
    ignores: bool = True
    quantity: str = "detail.seconds"

    def policy(self) -> Policy:
        """Return the policy."""
        repeats = "repeats: ignore, " if self.ignores else ""
        return parse_policy(
            EDITED.format(rate=self.rate, later=self.later, repeats=repeats, quantity=self.quantity), "webhooks.yaml"
        )


EDITS = [
    Edit(),
    Edit(rate="2", later="0.5"),
    Edit(quantity="detail.frames"),
    Edit(ignores=False),
    Edit(rate="3", ignores=False),
]
POLICIES = [edit.policy() for edit in EDITS]


@frozen
class Told:
    """One telling under one edit: a kind, an hour of the day and what it says."""

    kind: str
    hour: int
    seconds: int
    edit: int = 0

    @property
    def at(self) -> int:
        """The minute of the day: a flat charge, which asks nothing, has instants of its own."""
        return 60 * self.hour + (30 if self.kind == "copied" else 0)

    def price(self) -> Fraction:
        """Return what it costs under its edit."""
        if self.kind == "copied":
            return Fraction("0.7")
        edit = EDITS[self.edit]
        units = 24 * self.seconds if edit.quantity == "detail.frames" and self.kind == "rendered" else self.seconds
        return units * Fraction(edit.later if self.hour >= 12 else edit.rate)

    def document(self) -> dict[str, Any]:
        """Return its event."""
        said = {"seconds": self.seconds, "frames": 24 * self.seconds}
        return event(self.kind, {"jobId": "j-1", "userId": "u-1", **said}, f"{self.hour}:{self.at % 60:02}")


@define
class Oracle:
    """What the rules say of all that was told, in the order of its telling. Nothing is forgotten."""

    plain: dict[tuple[str, int, int], Fraction] = Factory(dict)
    """By kind, minute and seconds: the price at the first telling."""
    once: dict[tuple[str, int], tuple[int, Fraction, int]] = Factory(dict)
    """By kind and seconds: minute, price and edit of the earliest telling."""
    refunds: set[tuple[int, str, int]] = Factory(set)

    def tell(self, told: Told) -> None:
        """Take one telling down; one that is known stays as it was first told."""
        said = (told.kind, 0 if told.kind == "copied" else told.seconds)
        ignores = told.kind == "copied" or (told.kind == "rendered" and EDITS[told.edit].ignores)
        before = [(at, price) for (kind, at, seconds), price in self.plain.items() if (kind, seconds) == said]
        if told.kind in {"failed", "credited"}:
            self.refunds.add((told.at, told.kind, told.seconds if told.kind == "credited" else 0))
        elif said in self.once:
            at, price, edit = self.once[said]
            if told.at < at:
                self.once[said] = (told.at, told.price() if told.edit == edit else price, edit)
        elif not ignores:
            self.plain.setdefault((told.kind, told.at, told.seconds), told.price())
        elif before:
            self.once[said] = (min(told.at, max(before)[0]), max(before)[1], -1)
        else:
            self.once[said] = (told.at, told.price(), told.edit)

    def cost(self) -> Fraction:
        """Return what the job should cost: the latest charge, of one instant the smallest, less the latest refund in time."""
        charges = [(at, price) for (_, at, _), price in self.plain.items()]
        charges += [(at, price) for at, price, _ in self.once.values()]
        if not charges:
            return Fraction(0)
        charged_at = max(charges)[0]
        amount = min(price for at, price in charges if at == charged_at)
        ages = [(at - charged_at, kind, back) for at, kind, back in self.refunds]
        in_time = [(age, kind, back) for age, kind, back in ages if age >= 0 and (kind == "credited" or age <= 120)]
        last = max(in_time, default=(0, "", 0))[0]
        gives = [amount if kind == "failed" else min(amount, Fraction(back)) for age, kind, back in in_time if age == last]
        return amount - max(gives, default=Fraction(0))


def told(kinds: list[str], seconds: list[int], edits: list[int]) -> st.SearchStrategy[list[Told]]:
    """Draw tellings, some of them again and again."""
    one = st.builds(Told, st.sampled_from(kinds), st.integers(10, 15), st.sampled_from(seconds), st.sampled_from(edits))
    return st.lists(one, min_size=1, max_size=7)


def net(tellings: list[Told]) -> Fraction:
    """Return what the engine posts for the job; each entry follows from those before it."""
    ledger = Books(POLICIES[0], {"u-1": Decimal(10**6)})
    for telling in tellings:
        ledger.policy = POLICIES[telling.edit]
        ledger.deliver(telling.document())
    assert [] == [problem for counted in recount(ledger.entries_of("j-1")) for problem in counted.problems]
    return Fraction(ledger.net("j-1"))


def cost(tellings: list[Told]) -> Fraction:
    """Return what the rules say that the job costs."""
    oracle = Oracle()
    for telling in tellings:
        oracle.tell(telling)
    return oracle.cost()


def check_orders(histories: tuple[list[Told], list[Told]]) -> None:
    """Both orders, each told twice, end in what the rules say of the one."""
    expected = -cost(histories[0])
    assert [expected, expected] == [net([*order, *order]) for order in histories]


def check_edits(tellings: list[Told]) -> None:
    """The net is what the rules say, and stays so when all is told again under each policy."""
    expected = -cost(tellings)
    assert expected == net(tellings)
    for number in {telling.edit for telling in tellings}:
        assert expected == net([*tellings, *(evolve(telling, edit=number) for telling in tellings)])


ANY_ORDER = told(["rendered", "rendered", "upscaled", "copied", "failed", "credited"], [1, 4, 8], [0]).flatmap(
    lambda tellings: st.tuples(st.just(tellings), st.permutations(tellings))
)
"""Under one policy: rules that ignore repeats, one that does not, refunds."""
PRICES_EDITED = told(["rendered", "rendered", "copied", "failed", "credited"], [1, 4, 8], [0, 1, 2])
"""The rule goes on ignoring repeats; prices and what it asks change."""
REPEATS_EDITED = told(["rendered", "rendered", "failed", "credited"], [4], [0, 1, 3, 4])
"""The rule gains and loses `repeats`; the job has one content, and each edit asks the same of it."""


def tried(check: Any, histories: st.SearchStrategy[Any], examples: int, *, always_the_same: bool = False) -> None:
    """Try so many histories."""
    phases = [Phase.generate] if always_the_same else tuple(Phase)
    rules = settings(max_examples=examples, deadline=None, database=None, phases=phases, derandomize=always_the_same)
    rules(given(histories)(check))()


EXAMPLES = [150, pytest.param(part(1_600), marks=[pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_order_under_one_policy_ends_in_what_the_rules_say(examples: int):
    """Mixtures of rules with and without `repeats`, refunds between."""
    tried(check_orders, ANY_ORDER, examples)


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("histories", [PRICES_EDITED, REPEATS_EDITED], ids=["prices", "repeats"])
def test_no_edit_of_the_policy_makes_a_known_charge_new(histories: st.SearchStrategy[Any], examples: int):
    """Whatever was told stays known, whichever policy it is told under again."""
    tried(check_edits, histories, examples)


def only_the_latest(charges: set[Charge]) -> tuple[Charge, ...]:
    """Forget each charge that is not of the latest instant."""
    at = max(charge.at for charge in charges)
    return tuple(sorted((charge for charge in charges if charge.at == at), key=lambda charge: charge.amount))


MUTANTS: dict[str, tuple[Any, str, Any, Any]] = {
    "earlier charges are forgotten": (joins, "_latest_first", only_the_latest, ANY_ORDER),
    "the latest telling counts": (joins, "_by_age", lambda charge: -charge.at.timestamp(), ANY_ORDER),
    "a rule that does not ignore repeats knows those of one that does": (
        Telling,
        "_is_repeated",
        lambda self, old, new: self.says(old.content, new.content),
        ANY_ORDER,
    ),
    "an edit of the policy ends what is known": (
        Telling,
        "_is_repeated",
        lambda self, old, new: old.policy == new.policy and old.once == new.once and self.says(old.content, new.content),
        REPEATS_EDITED,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_properties_find_what_is_taken_out(name: str, monkeypatch: pytest.MonkeyPatch):
    """Else they would prove nothing."""
    owner, attribute, mutant, histories = MUTANTS[name]
    monkeypatch.setattr(owner, attribute, mutant)

    with pytest.raises((AssertionError, EventError, ExceptionGroup)):
        tried(check_orders if histories is ANY_ORDER else check_edits, histories, 3000, always_the_same=True)
