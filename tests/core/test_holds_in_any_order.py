"""What befalls a hold, in every order, each twice: the job costs and holds what the rules say, whatever came first.

What charges and failures come to is the word of the simulation's oracle (``tests/simulation/oracle.py``); what a hold adds is
worked out here, from the rules alone. Requests, renders, failures of each kind, expiry, concessions and new prices meet, of
one attempt or of three, with clocks apart by a second and with ties.
"""

from __future__ import annotations

import itertools
import os
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import yaml
from attrs import Factory, define, evolve
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain import facts as facts_module
from engine.domain.assessment import Assessment
from engine.domain.decision import Standing
from engine.domain.entry import Correction, Entry, PricedAnew
from engine.domain.envelope import Envelope
from engine.domain.fact import Adjustment, Hold
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.price import Price
from engine.policy import Policy, parse_policy
from engine.rating import cost
from engine.rating.assess import assess
from engine.rating.correct import Word as Said
from engine.rating.correct import correct
from engine.rating.decide import decide
from engine.rating.expire import expiry_of
from tests.core.test_attempts_in_any_order import ANEW, CONCEDED, MORNING, Told, anew
from tests.core.test_attempts_in_any_order import POLICY as TRIES
from tests.simulation.oracle import Oracle
from tests.simulation.repricings import kept, price_anew
from tests.simulation.words import Word
from tests.support.examples import part

HOLD = """\
rules:
  - {name: hold, match: {detail-type: [submitted]}, action: hold, hold: {price: second, quantity: detail.n, expires: 2h}}
"""
NUMBERED = TRIES.replace("rules:\n", HOLD)
ONE_TRY = NUMBERED.replace(", attempt: detail.attempt", "")
POLICIES = {"numbered": NUMBERED, "one try": ONE_TRY}
RATE = Fraction("0.1237")
COVERED = Standing.ASSUMED_COVERED


@define
class Engine:
    """The engine's decisions over one log, with nothing around them."""

    policy: Policy
    log: JobLog = NO_ENTRIES
    entries: list[Entry] = Factory(list)

    def tell(self, told: Told) -> bool:
        """Tell it, and keep the entry that comes of it; say whether it made a difference."""
        if told.kind in {"conceded", "anew"}:
            return self._keep(self._said(told.kind))
        assessment = self._expiry(told.attempt) if told.kind == "expired" else assess(identified(told), self.policy)
        return assessment is not None and self._keep(decide(assessment, self.log, COVERED, self.policy).entry)

    def _expiry(self, attempt: int) -> Assessment | None:
        """Return what the scheduled run tells of a hold, where it finds it open."""
        hold = self.log.facts.hold
        if hold is None or hold.attempt != attempt:
            return None
        return expiry_of(hold, "j-1", "u-1", MORNING + timedelta(hours=3))

    def _said(self, kind: str) -> Entry | None:
        """Return what comes of it that a person concedes, or prices all charges of the job anew."""
        if kind == "conceded":
            facts = Facts(concessions=(Adjustment("c-1", Decimal(str(float(CONCEDED))), MORNING),))
        else:
            facts = Facts(charges=anew(self.log.facts.charges), weak_charges=anew(self.log.facts.weak_charges))
        charges = (*facts.charges, *facts.weak_charges)
        if not charges and not facts.concessions:
            return None
        said = Correction("a mistake", "ann", "c-1", priced=tuple(PricedAnew(Price(amount=each.amount)) for each in charges))
        rule = "adjust" if facts.concessions else "reprice"
        return correct(Said("job#j-1", "j-1", "u-1", MORNING, rule, facts, said), self.log, COVERED, self.policy).entry

    def _keep(self, entry: Entry | None) -> bool:
        if entry is not None:
            self.log = self.log.then(entry)
            self.entries.append(entry)
        return entry is not None


def identified(told: Told) -> Envelope:
    """Return the event of a telling, with an id: a request is known by it."""
    envelope = told.envelope()
    return evolve(envelope, document={**envelope.document, "id": str(told)})


@define
class Rules:
    """What the rules say of a job: the oracle's word of its charges, and what holds add to it."""

    document: dict[str, Any]
    charges: Oracle = Factory(Oracle)
    requests: list[Told] = Factory(list)
    decided: set[int] = Factory(set)
    expired: set[int] = Factory(set)

    def tell(self, told: Told) -> None:
        """Take down what is told; a price that is made anew changes what was told until then."""
        match told.kind:
            case "conceded":
                self.charges.words = [Word("c-1", "u-1", CONCEDED, "late", "j-1")]
            case "anew":
                debits = self.charges.told["debit"]
                price_anew(debits, kept(debits, self.charges.told["refund"]), lambda _claim: ANEW)
            case "expired":
                self.expired |= {told.attempt} if self.is_open(told.attempt) else set()
            case "submitted":
                self.requests.append(told)
            case _:
                self.charges.tell(told.fact(), self.document, "tries", {})
                self.decided.add(self.attempt_of(told))

    def attempt_of(self, told: Told) -> int:
        """Return the attempt that a telling is of, where they are numbered."""
        return told.attempt if "attempt" in self.document["event"] else 0

    def is_open(self, attempt: int) -> bool:
        """Say whether something is held for an attempt: nothing else is known of it, nor of a higher one."""
        requested = {self.attempt_of(told) for told in self.requests}
        over = self.decided | self.expired
        return attempt in requested and attempt not in over and attempt == max(requested | over)

    def comes_to(self) -> tuple[Fraction, Fraction]:
        """Return what the job costs, and how much of that is held."""
        conceded, self.charges.words = self.charges.words, []
        charged, self.charges.words = -self.charges.net(), conceded
        less = sum((word.amount for word in conceded), Fraction(0))
        without = max(charged - less, Fraction(0))
        highest = max((self.attempt_of(told) for told in self.requests), default=-1)
        if not self.is_open(highest):
            return without, Fraction(0)
        of_it = [told for told in self.requests if self.attempt_of(told) == highest]
        earliest = min(told.at for told in of_it)
        held = RATE * min(told.n for told in of_it if told.at == earliest)
        total = max(max(held, charged) - less, Fraction(0))
        return total, total - without


def check(name: str, tellings: list[Told]) -> None:
    """Every order comes to what the rules say after each telling; without a new price and expiry all orders end alike."""
    policy, document = parse_policy(POLICIES[name], f"{name}.yaml"), yaml.safe_load(POLICIES[name])
    ends = set()
    for order in itertools.permutations(tellings):
        engine, rules = Engine(policy), Rules(document)
        for told in (*order, *reversed(order)):
            engine.tell(told)
            rules.tell(told)
            log = engine.log
            assert rules.comes_to() == (-Fraction(log.posted), Fraction(log.held)), (told, order)
        ends.add((engine.log.posted, engine.log.held))
        assert [] == [problem for each in recount(engine.entries) for problem in each.problems]
    assert len(ends) == 1 or any(told.kind in {"anew", "expired"} or told.weak for told in tellings)


# --- what is tried ----------------------------------------------------------------------------------------------------

KINDS = ["rendered", "failed", "cancelled", "broken", "credited"]
SECONDS = [0, 0, 1, 59, 60, 61]
"""Ties, clocks apart by a second, and the end of a window."""

REQUEST = st.builds(Told, st.just("submitted"), st.integers(0, 2), st.sampled_from(SECONDS), st.sampled_from([1, 8]))
WORK = st.builds(
    Told,
    st.sampled_from(KINDS),
    st.integers(0, 2),
    st.sampled_from(SECONDS),
    st.sampled_from([1, 8]),
    st.sampled_from([False, False, False, True]),
)
OTHER = st.one_of(st.builds(Told, st.just("expired"), st.integers(0, 2)), st.sampled_from([Told("conceded"), Told("anew")]))


def tellings(many: int) -> st.SearchStrategy[list[Told]]:
    """Draw so many tellings at most: a request or two, what happens, perhaps expiry or what somebody says."""
    parts = (st.lists(REQUEST, min_size=1, max_size=2), st.lists(WORK, max_size=many - 2), st.lists(OTHER, max_size=2))
    return st.tuples(*parts).map(lambda drawn: [*itertools.chain(*drawn)][:many])


def tried(name: str, many: int, examples: int, *, always_the_same: bool = False) -> None:
    """Try so many."""
    phases = [Phase.generate] if always_the_same else tuple(Phase)
    rules = settings(max_examples=examples, deadline=None, database=None, phases=phases, derandomize=always_the_same)
    rules(given(tellings(many))(lambda drawn: check(name, drawn)))()


SIZES = [
    (4, 40),
    pytest.param(
        5, int(os.environ.get("EXAMPLES", part(150))), marks=[pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(3600)]
    ),
]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(("many", "examples"), SIZES)
def test_holds_in_every_order_come_to_what_the_rules_say(name: str, many: int, examples: int):
    """After each single telling: requests, charges, failures, rows without a time, expiry, and what people say."""
    tried(name, many, examples)


def latest_holds(holds: set[Hold]) -> tuple[Hold, ...]:
    """Keep the last request, not the first."""
    return tuple(sorted(holds, key=lambda hold: hold.at)[-1:])


def beside(self: Facts) -> Hold | None:
    """Leave the hold of an attempt open while there is a higher one."""
    return next((hold for hold in self.holds if not self.is_decided(hold.attempt)), None)


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "the latest request counts": (facts_module, "earliest_holds", latest_holds),
    "a hold of a lower attempt stays open": (Facts, "hold", property(beside)),
    "nothing ends a hold but a charge": (
        Facts,
        "is_decided",
        lambda self, attempt: any(charge.attempt == attempt for charge in (*self.charges, *self.weak_charges)),
    ),
    "a failure of an attempt leaves its hold open": (
        Facts,
        "is_decided",
        lambda self, attempt: any(each.attempt == attempt for each in (*self.charges, *self.weak_charges, *self.expiries)),
    ),
    "what is held is all that was asked for": (
        cost,
        "desired_held",
        lambda facts, _money: facts.hold.amount if facts.hold else Decimal(0),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_property_finds_what_is_taken_out(mutant: str, monkeypatch: pytest.MonkeyPatch):
    """Else it would prove nothing."""
    monkeypatch.setattr(*MUTANTS[mutant])

    with pytest.raises((AssertionError, ExceptionGroup)):
        tried("numbered", 4, 400, always_the_same=True)
