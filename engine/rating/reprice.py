"""A charge at another policy's price, from the ledger alone: what a person tells of a job whose price was wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from attrs import Factory, define, evolve, field, frozen

from engine.domain.entry import Correction, Entry, PricedAnew
from engine.domain.envelope import Source
from engine.domain.fact import Charge, Claim
from engine.domain.facts import Facts
from engine.domain.log import JobLog
from engine.domain.price import Price
from engine.domain.references import JOB
from engine.policy.charges import ChargeTerms, HoldTerms, Priced, price_charge
from engine.policy.model import Policy, Rule
from engine.policy.price_books import PriceProblem
from engine.rating.correct import Word
from engine.rating.kept_event import Kept, NotKept, asking, digits_in
from engine.rating.which_rule import Unpriced, rule_for

RULE = "reprice"
"""What entries of a repricing name as their rule."""

NOT_OF_A_RULE = frozenset({Source.REPAIR, Source.COMMAND})
"""Entries of these sources may know a charge that no event has told there."""


@frozen
class Repriced:
    """A kept charge, as it ``was``, and what another policy makes of it. A ``weak`` one was told by a row without a time."""

    was: Charge
    now: Charge
    price: Price
    quantity: Decimal | None = None
    weak: bool = False
    model: str = field(default="", eq=False)
    """What selects its price, for the sums of a plan: the values that its event gave, else the rule."""

    @property
    def is_changed(self) -> bool:
        """Whether it costs something else."""
        return self.was.amount != self.now.amount


def facts_of(changes: Iterable[Repriced]) -> Facts:
    """Return the facts that a repricing tells."""
    told = tuple(changes)
    strong, weak = ([each.now for each in told if each.weak is is_weak] for is_weak in (False, True))
    return Facts(charges=tuple(strong), weak_charges=tuple(weak))


def word_of(reference: str, log: JobLog, changes: Sequence[Repriced], at: datetime, said: Correction) -> Word:
    """Return what a person says of a log whose charges are priced anew."""
    facts = facts_of(changes)
    counting = log.facts.join(facts).charge
    named = next((each for each in changes if counting is not None and is_same(each.now, counting)), None)
    priced = tuple(PricedAnew(each.price, each.quantity) for each in changes)
    return Word(
        reference=reference,
        job=reference.removeprefix(JOB),
        user=log.user or "",
        at=at,
        rule=RULE,
        facts=facts,
        correction=evolve(said, priced=priced),
        price=named.price if named is not None else None,
        quantity=named.quantity if named is not None else None,
    )


def is_same(one: Charge, other: Charge) -> bool:
    """Say whether two are one charge, priced alike or not. Where repeats are ignored its instant may have moved."""
    is_of_one_moment = one.at == other.at or bool(one.once)
    return (one.attempt, one.once, one.content) == (other.attempt, other.once, other.content) and is_of_one_moment


def kept_charges(facts: Facts) -> Iterator[tuple[Charge, bool]]:
    """Yield each charge that is kept, and whether it is weak."""
    yield from ((charge, False) for charge in facts.charges)
    yield from ((charge, True) for charge in facts.weak_charges)


@define(eq=False)
class Repricer:
    """A policy that is asked what charges of other policies would have cost under it."""

    policy: Policy
    terms: dict[str, ChargeTerms] = Factory(dict)
    """By the name of a rule: its terms, as a kept event is asked."""

    def job(self, entries: Sequence[Entry], facts: Facts) -> list[Repriced]:
        """Return every kept charge of a job at this policy's price, ``facts`` being what is known of it.

        Raises Unpriced where one of them cannot be told.
        """
        return [self.charge(charge, told_by(charge, entries), weak=weak) for charge, weak in kept_charges(facts)]

    def charge(self, was: Charge, rule_name: str, *, weak: bool = False) -> Repriced:
        """Return a charge that ``rule_name`` told at this policy's price. Raises Unpriced."""
        rule = rule_for(was.content, rule_name, self.policy)
        priced = self.priced(was, rule)
        now = evolve(was, amount=priced.amount, policy=self.policy.identity, revision=was.revision + 1)
        return Repriced(was, now, priced.price, priced.quantity, weak, self._model(was, rule))

    def priced(self, was: Claim, rule: Rule) -> Priced:
        """Return what a kept charge, hold or grant comes to by a rule of this policy. Raises Unpriced.

        Digits are read as texts, as numbers, and each by itself as a number: the answer must not depend on it.
        """
        digits = digits_in(was.content)
        readings = dict.fromkeys([frozenset(), frozenset(digits), *(frozenset({one}) for one in digits)])
        found: list[Priced] = []
        problem: Exception | None = None
        for numbers in readings:
            try:
                found.append(self._read(was, rule, numbers))
            except (NotKept, PriceProblem) as error:
                problem = problem or error
        if not found:
            raise Unpriced(f"rule `{rule.name}`: {_words(problem)}") from problem
        if any((each.amount, each.price) != (found[0].amount, found[0].price) for each in found):
            raise Unpriced(f"rule `{rule.name}`: whether the event had a number or a text decides, and that was not kept")
        return found[0]

    def _read(self, was: Claim, rule: Rule, numbers: frozenset[str]) -> Priced:
        event = Kept.of(was, self.policy.fields.time.text, numbers)
        return price_charge(self._terms(rule), event, was.at, self.policy.money)

    def _terms(self, rule: Rule) -> ChargeTerms:
        if rule.name not in self.terms:
            terms = rule.terms.charge if isinstance(rule.terms, HoldTerms) else rule.terms
            assert isinstance(terms, ChargeTerms)  # noqa: S101  the loader gives every debit, hold and grant rule its terms
            self.terms[rule.name] = asking(terms)
        return self.terms[rule.name]

    def _model(self, was: Charge, rule: Rule) -> str:
        said = dict(was.content)
        terms = self._terms(rule)
        books = [part.book for part in (terms, *terms.components) if part.book is not None]
        selectors = dict.fromkeys(path.text for book in books for row in book.rows for path in row.by)
        return "/".join(said[text] for text in selectors if text in said) or rule.name


def told_by(charge: Charge, entries: Sequence[Entry]) -> str:
    """Return the name of the rule that told a charge first; empty where no entry says it."""
    if charge.once:
        return charge.once
    same = [entry for entry in entries if any(is_same(charge, known) for known, _ in kept_charges(entry.facts))]
    itself = (entry for entry in same if any(charge == known for known, _ in kept_charges(entry.facts)))
    entry = next(itself if not charge.revision else iter(same), None)
    return "" if entry is None or entry.source in NOT_OF_A_RULE else entry.rule


def _words(problem: Exception | None) -> str:
    return f"`{problem.field}` {problem.problem}" if isinstance(problem, PriceProblem) else str(problem)
