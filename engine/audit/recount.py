"""An entry's amount, worked out again from what the ledger keeps: no policy is needed, however often it has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.entry import Entry
from engine.domain.entry_types import ENTRY_TYPES, EntryType
from engine.domain.envelope import Source
from engine.domain.fact import Charge, Claim
from engine.domain.fact_kinds import PRICED, moving_type, type_of_hold
from engine.domain.facts import Facts
from engine.domain.instants import instant_text
from engine.domain.log import JobLog, due, log_of
from engine.domain.money import EXACT, ZERO
from engine.ledger.stored import NO_ENTRY
from engine.policy.charges import amount_of, unbounded
from engine.rating.arithmetic import component_name, price_steps
from engine.rating.cost import cost_of, cost_steps, desired_cost, desired_held, held_of
from engine.rating.decide import moving


@frozen
class Recount:
    """One entry counted again. ``problems`` say where the entry does not follow from itself and those before it."""

    entry: Entry
    amount: Decimal
    steps: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the entry does not agree."""
        return bool(self.problems)

    def lines(self) -> Iterator[str]:
        """Yield the count as a person reads it: whether it agrees, and why."""
        entry = self.entry
        verdict, end = ("does not agree", f"; counted again it is {self.amount:f}") if self.failed else ("agrees", "")
        yield (
            f"{entry.reference}, entry {entry.sequence} {verdict}: {entry.type.value} of {entry.amount:f} for {entry.user},"
            f" by {entry.rule} of {entry.policy}, {instant_text(entry.occurred_at)}{end}"
        )
        yield from (f"  differs: {problem}" for problem in self.problems)
        yield from (f"  {step}" for step in self.steps)
        yield f"= {self.amount:f}"

    def answer(self) -> dict[str, Any]:
        """Return the count as JSON-like values; credits are exact strings."""
        return {
            "reference": self.entry.reference,
            "sequence": self.entry.sequence,
            "type": self.entry.type.value,
            "amount": format(self.entry.amount, "f"),
            "recounted": format(self.amount, "f"),
            "agrees": not self.failed,
            "steps": list(self.steps),
            "problems": list(self.problems),
        }


def recount(entries: Sequence[Entry]) -> list[Recount]:
    """Return each entry of one reference counted again, in order of their sequence."""
    return [_recounted(entry, entries[:index]) for index, entry in enumerate(entries)]


def _recounted(entry: Entry, before: Sequence[Entry]) -> Recount:
    """Return an entry counted again. Of what somebody has put together by hand not even that may be possible."""
    try:
        return _recount(entry, before)
    except NO_ENTRY as error:
        return Recount(entry, ZERO, (), (f"it cannot be counted again ({type(error).__name__}: {error})",))


def _recount(entry: Entry, before: Sequence[Entry]) -> Recount:
    if entry.source is Source.REPAIR:  # it follows from what was found, and its anomaly says what that was
        return Recount(entry, entry.amount, tuple(anomaly.reason or "" for anomaly in entry.anomalies))
    log = log_of(before)
    cost, held, amount = _counted(entry, log)
    steps = [
        *(price_steps(entry.price, entry.quantity, entry.money) if entry.price else ()),
        *cost_steps(entry.facts, cost, entry.money),
        f"posted before {log.posted:f}" + ("; this entry moves nothing" if _moves_nothing(entry) else ""),
        *((f"held before {log.held:f}; {EXACT.add(log.held, held):f} are held after it",) if held or log.held else ()),
    ]
    owner = next((other.user for other in before if other.names_its_user), None)
    problems = _problems(entry, log, len(before) + 1, owner)
    return Recount(entry, amount, tuple(steps), problems)


def problems_on(entry: Entry, log: JobLog) -> tuple[str, ...]:
    """Return where an entry does not follow from itself and a log, were it posted on that. A correction follows from any."""
    return () if entry.source is Source.REPAIR else _problems(entry, log, log.sequence + 1, log.user)


def _counted(entry: Entry, log: JobLog) -> tuple[Decimal, Decimal, Decimal]:
    """Return the cost, what is held more or less, and the amount that follow for an entry on a log."""
    facts, money = entry.facts, entry.money
    cost = cost_of(facts, log, money) if log.sequence else desired_cost(facts, money)
    held = EXACT.subtract(held_of(facts, log, money) if log.sequence else desired_held(facts, money), log.held)
    _, amount = moving(entry.reference, log, facts, due(cost, log.posted), held)
    is_refused = entry.type is EntryType.SETTLE and entry.amount == ZERO and amount < ZERO  # what is left stays due
    return cost, held, ZERO if _moves_nothing(entry) or is_refused else amount


def _problems(entry: Entry, log: JobLog, place: int, owner: str | None) -> tuple[str, ...]:
    cost, held, amount = _counted(entry, log)
    return (
        *_sequence_problems(entry, place, owner),
        *_fact_problems(entry, log.facts),
        *_component_problems(entry),
        *_number_problem("cost", entry.cost, cost),
        *_number_problem("amount", entry.amount, amount),
        *_number_problem("held", entry.held, held),
        *_balance_problem(entry, due(cost, log.posted)),
        *_type_problem(entry, log.facts),
    )


def _moves_nothing(entry: Entry) -> bool:
    return not ENTRY_TYPES[entry.type].moves_credits


def _sequence_problems(entry: Entry, place: int, owner: str | None) -> Iterator[str]:
    if entry.sequence != place:
        yield f"its sequence is {entry.sequence}; {place} follows"
    if owner is not None and entry.user != owner:
        yield f"its user is {entry.user}; the first entry names {owner}"


def _fact_problems(entry: Entry, known: Facts) -> Iterator[str]:
    """What is priced and was brought in by this entry must be what its own price comes to."""
    is_overruled = bool(entry.facts.refunds) and not known.charges  # a row without a time said that the work was done
    for kind in PRICED:
        now, then = kind.told_in(entry.facts), kind.told_in(known)
        if then and not now and not is_overruled:
            yield f"the {kind.name} that was known is gone"
        for claim in now:
            if claim not in then and not _is_repeated(claim, then):
                yield from _claim_problems(kind.name, claim, entry)


def _is_repeated(claim: Claim, known: Sequence[Claim]) -> bool:
    """Say whether it is a known charge at another instant: it keeps its amount, whatever the price was then."""
    return isinstance(claim, Charge) and any(isinstance(old, Charge) and claim.is_one_with(old) for old in known)


def _claim_problems(name: str, now: Claim, entry: Entry) -> Iterator[str]:
    if isinstance(now, Charge) and now.revision:
        yield from _revision_problems(now, entry)
    elif entry.price is None:
        yield f"it knows a {name} of {now.amount:f} that nothing tells of"
    else:
        yield from _number_problem(name, now.amount, amount_of(entry.price, entry.quantity, entry.money))


def _revision_problems(now: Charge, entry: Entry) -> Iterator[str]:
    """A charge that was priced anew is what one of the prices comes to that the entry keeps for that."""
    priced = entry.correction.priced if entry.correction is not None else ()
    amounts = [amount_of(each.price, each.quantity, entry.money) for each in priced]
    if now.amount not in amounts:
        found = " or ".join(f"{amount:f}" for amount in amounts) or "nothing"
        yield f"it prices a charge anew at {now.amount:f}; {found} follows"


def _component_problems(entry: Entry) -> Iterator[str]:
    """What each component is said to come to must follow from its own quantity and price."""
    for number, component in enumerate(entry.price.components if entry.price else (), start=1):
        if component.amount is not None:
            follows = unbounded(component.price, component.quantity or ZERO)
            yield from _number_problem(component_name(number, component), component.amount, follows)


def _number_problem(name: str, found: Decimal, expected: Decimal) -> Iterator[str]:
    if found != expected:
        yield f"its {name} is {found:f}; {expected:f} follows"


def _type_problem(entry: Entry, known: Facts) -> Iterator[str]:
    is_word = entry.correction is not None
    expected = None if is_word else type_of_hold(known, entry.facts)
    if expected is None and entry.amount and not _moves_nothing(entry):
        expected = moving_type(entry.reference, entry.amount, entry.facts, known, is_word=is_word)
    if expected is not None and entry.type is not expected:
        yield f"its type is {entry.type.value}; {expected.value} follows"


def _balance_problem(entry: Entry, open_amount: Decimal) -> Iterator[str]:
    """What moves nothing must leave nothing open, but for a debit that the balance did not cover."""
    if _moves_nothing(entry) and open_amount > ZERO:
        yield f"{open_amount:f} should have gone back with it"
    if entry.type is EntryType.VOID and open_amount < ZERO:
        yield f"{-open_amount:f} should have been charged with it"
