"""A few tellings of two or three attempts, in every order, each twice: the job ends in the balance of the simulation's oracle.

The oracle (``tests/simulation/oracle.py``) was written from the rules alone, counts in fractions, and imports nothing of the
engine. What people say stands among the tellings: a concession, and charges that are priced anew.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import yaml
from attrs import Factory, define, evolve, frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain import fact as fact_module
from engine.domain import facts as facts_module
from engine.domain.decision import Standing
from engine.domain.entry import Correction, Entry, PricedAnew
from engine.domain.envelope import Envelope, Source
from engine.domain.fact import Adjustment, Charge
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.price import Price
from engine.policy import parse_policy
from engine.rating import cost
from engine.rating.assess import assess
from engine.rating.correct import Word as Said
from engine.rating.correct import correct
from engine.rating.decide import decide
from tests.simulation.claims import Fact
from tests.simulation.oracle import Oracle
from tests.simulation.repricings import kept, price_anew
from tests.simulation.words import Word
from tests.support.examples import part

POLICY = """\
version: 1
name: tries
event: {job: detail.jobId, user: detail.userId, time: time, attempt: detail.attempt}
money: {places: 4, rounding: half-even}
prices:
  second: [{effective: "2025-01-01T00:00:00Z", rates: {default: "0.1237"}}]
rules:
  - {name: debit, match: {detail-type: [rendered]}, action: debit, charge: {price: second, quantity: detail.n}}
  - {name: hook, match: {detail-type: [hooked]}, action: debit, repeats: ignore, charge: {price: second, quantity: detail.n}}
  - {name: whole, match: {detail-type: [failed]}, action: refund, refund: {percent: 100}}
  - {name: part, match: {detail-type: [cancelled]}, action: refund, refund: {percent: 50, within: 1m}}
  - {name: share, match: {detail-type: [broken]}, action: refund, refund: {percent: "33.3"}}
  - {name: credit, match: {detail-type: [credited]}, action: refund, refund: {amount: "0.2", within: 2m}}
overdraft: allow
"""
COMPILED, DOCUMENT = parse_policy(POLICY, "tries.yaml"), yaml.safe_load(POLICY)

MORNING = datetime(2026, 1, 5, 10, tzinfo=UTC)
CONCEDED, ANEW = Fraction("0.15"), Fraction("0.9")
COVERED = Standing.ASSUMED_COVERED


@frozen
class Told:
    """One telling: a kind, an attempt, a second of the morning, how many seconds of work it says. A ``weak`` one is a row's.

    The kinds ``conceded`` and ``anew`` are a person's.
    """

    kind: str
    attempt: int = 0
    second: int = 0
    n: int = 1
    weak: bool = False

    @property
    def at(self) -> datetime:
        """Its instant; a scan began after all else had happened."""
        return MORNING + timedelta(seconds=self.second) + timedelta(hours=self.weak)

    def envelope(self) -> Envelope:
        """Return the event; the attempt is a number, or digits where it is odd."""
        number = str(self.attempt) if self.attempt % 2 else self.attempt
        detail = {"jobId": "j-1", "userId": "u-1", "attempt": number, "n": self.n}
        document = {"source": "app", "detail-type": self.kind, "time": self.at.isoformat(), "detail": detail}
        if self.weak:
            return Envelope(document, Source.SCAN, status=self.kind, time_is_assumed=True)
        return Envelope(document, Source.EVENT)

    def fact(self) -> Fact:
        """Return it as the oracle hears it."""
        said = {"kind": self.kind, "detail.n": str(self.n), "detail.attempt": str(self.attempt)}
        return Fact(self.kind, self.at, said, self.weak)


# --- the engine and the oracle ----------------------------------------------------------------------------------------


@define
class Engine:
    """The engine's decisions over one log, with nothing around them."""

    log: JobLog = NO_ENTRIES
    entries: list[Entry] = Factory(list)

    def tell(self, told: Told) -> None:
        """Tell it, and keep the entry that comes of it."""
        if told.kind in {"conceded", "anew"}:
            self.hear(told.kind)
            return
        assessment = assess(told.envelope(), COMPILED)
        assert assessment is not None
        self._keep(decide(assessment, self.log, COVERED, COMPILED).entry)

    def hear(self, kind: str) -> None:
        """Let a person concede, or price all charges of the job anew."""
        if kind == "conceded":
            facts = Facts(concessions=(Adjustment("c-1", Decimal(str(float(CONCEDED))), MORNING),))
        else:
            facts = Facts(charges=anew(self.log.facts.charges), weak_charges=anew(self.log.facts.weak_charges))
        charges = (*facts.charges, *facts.weak_charges)
        if not charges and not facts.concessions:
            return
        said = Correction("a mistake", "ann", "c-1", priced=tuple(PricedAnew(Price(amount=each.amount)) for each in charges))
        rule = "adjust" if facts.concessions else "reprice"
        self._keep(correct(Said("job#j-1", "j-1", "u-1", MORNING, rule, facts, said), self.log, COVERED, COMPILED).entry)

    def _keep(self, entry: Entry | None) -> None:
        if entry is not None:
            self.log = self.log.then(entry)
            self.entries.append(entry)


def anew(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """Return charges as somebody tells them again at another price."""
    amount = Decimal(str(float(ANEW)))
    return tuple(evolve(each, amount=amount, revision=each.revision + 1, policy="cheap@1") for each in charges)


def expected(order: Iterable[Told]) -> Fraction:
    """Return what the oracle makes of it: a price that is made anew changes what was told until then."""
    oracle = Oracle()
    for told in order:
        if told.kind == "conceded":
            oracle.words = [Word("c-1", "u-1", CONCEDED, "late", "j-1")]
        elif told.kind == "anew":
            debits = oracle.told["debit"]
            price_anew(debits, kept(debits, oracle.told["refund"]), lambda _claim: ANEW)
        else:
            oracle.tell(told.fact(), DOCUMENT, "tries", {})
    return oracle.net()


def check(tellings: list[Told]) -> None:
    """Every order ends in the oracle's balance, twice told too; without a new price all orders end in one."""
    nets = set()
    for order in itertools.permutations(tellings):
        engine, twice = Engine(), (*order, *reversed(order))
        for told in twice:
            engine.tell(told)
        nets.add(engine.log.posted)
        assert expected(twice) == Fraction(engine.log.posted), order
    assert [] == [problem for each in recount(engine.entries) for problem in each.problems]
    assert len(nets) == 1 or any(told.kind == "anew" or told.weak for told in tellings)


# --- what is tried ----------------------------------------------------------------------------------------------------

KINDS = ["rendered", "rendered", "hooked", "failed", "cancelled", "broken", "credited"]
SECONDS = [0, 0, 1, 59, 60, 61, 120, 121]
"""Ties, clocks apart by a second, and the ends of both windows."""

ONE = st.builds(
    Told,
    st.sampled_from(KINDS),
    st.integers(0, 2),
    st.sampled_from(SECONDS),
    st.sampled_from([1, 8]),
    st.sampled_from([False, False, False, True]),
)
PEOPLE = st.sampled_from([Told("conceded"), Told("anew")])


def tellings(many: int) -> st.SearchStrategy[list[Told]]:
    """Draw so many tellings at most: what happens, and perhaps what somebody says."""
    some = st.tuples(st.lists(ONE, min_size=2, max_size=many - 1), st.lists(PEOPLE, max_size=1))
    return some.map(lambda two: [*two[0], *two[1]]).filter(_is_told_apart)


def _is_told_apart(some: list[Told]) -> bool:
    """Say whether a hook cannot be taken for the render of another rule.

    A charge that was priced anew names only its last policy. So what says the same by a rule that ignores repeats may be that
    charge, told again since an edit, and is taken for it.
    """
    kinds = {told.kind for told in some}
    return not {"anew", "hooked", "rendered"} <= kinds


def tried(many: int, examples: int, *, always_the_same: bool = False) -> None:
    """Try so many."""
    phases = [Phase.generate] if always_the_same else tuple(Phase)
    rules = settings(max_examples=examples, deadline=None, database=None, phases=phases, derandomize=always_the_same)
    rules(given(tellings(many))(check))()


SIZES = [
    (4, 60),
    pytest.param(
        5, int(os.environ.get("EXAMPLES", part(500))), marks=[pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(3600)]
    ),
]


@pytest.mark.parametrize(("many", "examples"), SIZES)
def test_attempts_in_every_order_end_in_the_oracles_balance(many: int, examples: int):
    """Charges, failures of each kind, rows without a time, and what people say, of up to three attempts."""
    tried(many, examples)


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "all is of one attempt": (Facts, "in_attempt", lambda old: lambda self, _attempt, said: old(self, 0, said)),
    "a refund above is asked to be later": (
        fact_module.Refund,
        "is_in_time_for",
        lambda old: lambda self, charge: self.at >= charge.at and old(self, charge),
    ),
    "all that comes back is of the whole": (
        cost,
        "_back",
        lambda _old: lambda charge, refunds: min(sum(each.gives(charge) for each in refunds), charge.amount),
    ),
    "of the attempts one is kept": (facts_module, "_together", lambda _old: lambda attempts: attempts[-1]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_property_finds_what_is_taken_out(name: str, monkeypatch: pytest.MonkeyPatch):
    """Else it would prove nothing."""
    owner, attribute, mutant = MUTANTS[name]
    monkeypatch.setattr(owner, attribute, mutant(vars(owner)[attribute]))

    with pytest.raises((AssertionError, ExceptionGroup)):
        tried(4, 1000, always_the_same=True)
