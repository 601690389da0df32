"""What brings one log to what it should be: entries that are put back, and corrections of desired - posted. Pure.

Entries that were changed or are gone are put back as the archive has them: that moves nothing. What was forged stays where it
is, as everything does that was ever posted, and a correction undoes it for its user. What honest entries have posted on a
damaged log stays too, and moved the balance: where it is not what should have been posted, a correction moves both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal

from attrs import evolve, field, frozen

from engine.audit.repairs.history import LogHistory, readable
from engine.audit.repairs.suspects import Suspect
from engine.audit.repairs.truth import STAYS_DUE, Truth, as_it_will_be, standing_then, truth_of
from engine.domain.anomaly import Anomaly
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact_kinds import moving_type
from engine.domain.log import JobLog
from engine.domain.money import EXACT, ZERO, Money
from engine.domain.references import job_of
from engine.ledger.audits import AuditedEntry, PutBack
from engine.ledger.moved import NOTHING, Moved

RULE = "repair"
"""What stands for rule and policy in a correcting entry."""

CORRECTED = "corrected"
"""The anomaly of a correcting entry."""


def damage(each: PutBack, later: Collection[str]) -> str:
    """Return what was done to an entry that is put back, as a person reads it.

    ``later`` are the digests of entries that came into a place that was taken before.
    """
    if each.found is None:
        line = each.posted.line
        return f"entry {each.place} is gone: {line.moved:f} of {line.user}, posted {each.posted.posted_at}"
    if each.found.digest in later:
        line = each.found.line
        return f"entry {each.place} was removed, and another of {line.moved:f} for {line.user} came into its place"
    return f"entry {each.place} was changed: {', '.join(_differing(each.posted, each.found))}"


def _differing(posted: AuditedEntry, found: AuditedEntry) -> Iterator[str]:
    try:
        was, now = posted.stored, found.stored
    except ValueError:
        yield "it cannot be read"
        return
    for name in sorted((was.keys() | now.keys()) - {"explanation"}):
        if was.get(name) != now.get(name):
            yield f"`{name}` is {_shown(now.get(name))}; {_shown(was.get(name))} was posted"


SHOWN_MAX = 40


def _shown(value: object) -> str:
    text = "missing" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)
    return text if len(text) <= SHOWN_MAX else "another"


@frozen
class Amounts:
    """What a user's corrections of one log come to: in the ledger, and in the user's row."""

    added: Moved = NOTHING
    moved: Moved = NOTHING


@frozen
class Draft:
    """A log, what is wrong with it, and what puts it right. ``forged`` are the suspects that count as such."""

    history: LogHistory
    forged: tuple[Suspect, ...]
    movers: frozenset[int]
    """Those of the forged, by their index, that moved the balance as well."""
    trusted: frozenset[int] = frozenset()
    truth: Truth = field(init=False)

    @truth.default
    def _truth(self) -> Truth:
        numbers = frozenset(each.number for each in self.forged if each.number is not None)
        return truth_of(self.history, numbers, self.trusted)

    @property
    def owner(self) -> str:
        """Whose log it is."""
        return self.truth.log.user or (self.forged[0].user if self.forged else "")

    @property
    def put_backs(self) -> list[PutBack]:
        """Return what is put back, in the order of the places."""
        history = self.history
        return [PutBack(history.posted[place].seen, history.found.get(place)) for place in history.damaged]

    @property
    def open_forged(self) -> list[tuple[Suspect, bool]]:
        """Return what no correction has undone yet, and whether it moved the balance."""
        since = self.truth.since
        both = [(each, index in self.movers) for index, each in enumerate(self.forged)]
        late = [(each, moved) for each, moved in both if each.number is None or each.number > since]
        return [(each, moved) for each, moved in late if moved or not each.is_first or self._stays(each)]

    def _stays(self, suspect: Suspect) -> bool:
        """Say whether an entry stands there once all is put back: then it counts until it is undone."""
        standing = standing_then(self.history).get(suspect.seen.line.sequence)
        return standing is not None and standing.digest == suspect.seen.digest

    @property
    def unreadable(self) -> list[AuditedEntry]:
        """Return what no entry undoes that is added: what serves events cannot read the log as long as it stands there."""
        standing = standing_then(self.history)
        forged = {each.seen.digest for each, _ in self.open_forged if not each.user}
        is_readable = as_it_will_be(self.history) is not None
        odd = (each for _, each in sorted(standing.items()) if each.digest in forged or not is_readable)
        return [each for each in odd if each.digest in forged or readable(each) is None]

    def amounts(self) -> dict[str, Amounts]:
        """Return by user what is to be added, and what is to be moved: the owner's come last."""
        found: dict[str, Amounts] = {}
        for suspect, has_moved in self.open_forged:
            before = found.get(suspect.user, Amounts())
            added = before.added - suspect.moves if self._stays(suspect) else before.added
            moved = before.moved - suspect.moves if has_moved else before.moved
            found[suspect.user] = Amounts(added, moved)
        undone = found.pop(self.owner, Amounts())
        desired = Moved(self.truth.log.posted, self.truth.log.held)
        added = undone.added + desired - self._stands()
        moved = undone.moved + desired - self.truth.moved.get(self.owner, NOTHING)
        return {**found, self.owner: Amounts(added, moved)}

    @property
    def outcome(self) -> tuple[object, ...]:
        """What it makes of the log, of its user and of balances."""
        return _essence(self.truth.log), self.amounts()

    def _stands(self) -> Moved:
        """Return what the owner's entries come to once all is put back, but for the forged ones."""
        numbers = {each.number for each in self.forged}
        total = self.truth.base
        for arrival in self.history.posted.values():
            if arrival.number > self.truth.since and arrival.number not in numbers:
                total += arrival.seen.line.moves
        return total

    def corrections(self, at: datetime, reason: str) -> list[tuple[Entry, Moved]]:
        """Return the entries to be added, each with what its user's row moves by."""
        if not self.is_needed:
            return []
        sequence, total = int(max((*self.history.posted, *self.history.found), default=0)), self._total()
        like = self._like(at, reason)
        corrections = list[tuple[Entry, Moved]]()
        for user, each in self.amounts().items():
            if user == self.owner or each != Amounts():
                total = EXACT.add(total, each.added.amount)
                number = sequence + len(corrections) + 1
                entry = evolve(like, sequence=number, user=user, amount=each.added.amount, cost=EXACT.minus(total))
                corrections.append((evolve(entry, type=_type(entry), held=each.added.held), each.moved))
        if self.truth.log.due:
            last = corrections[-1][0]
            waits = Anomaly(STAYS_DUE, "the balance did not cover the debit, which stays due", ())
            due = evolve(last, sequence=last.sequence + 1, amount=ZERO, held=ZERO, cost=self.truth.log.cost)
            corrections.append((evolve(due, type=EntryType.FLAG, anomalies=(*last.anomalies, waits)), NOTHING))
        return corrections

    @property
    def is_needed(self) -> bool:
        """Whether more is to be done than to put entries back."""
        if self.truth.rests_on_damage or self.open_forged or any(each != Amounts() for each in self.amounts().values()):
            return True
        will_be = as_it_will_be(self.history)
        return will_be is None or _essence(will_be) != _essence(self.truth.log)

    def _total(self) -> Decimal:
        """Return what all entries come to once all is put back, whosever they are, and whatever they are."""
        total = ZERO
        for seen in standing_then(self.history).values():
            total = EXACT.add(total, seen.line.moved)
        return total

    def _like(self, at: datetime, reason: str) -> Entry:
        """Return what all its corrections have in common."""
        reference = self.history.reference
        return Entry(
            reference=reference,
            job=job_of(reference),
            sequence=0,
            user=self.owner,
            type=EntryType.FLAG,
            amount=ZERO,
            occurred_at=at,
            rule=RULE,
            policy=RULE,
            facts=self.truth.log.facts,
            cost=ZERO,
            money=Money(),
            source=Source.REPAIR,
            anomalies=(Anomaly(CORRECTED, f"{reason} ({'; '.join(self.evidence())})", ()),),
        )

    def evidence(self) -> list[str]:
        """Return what is wrong with the log, as a person reads it."""
        later = {arrival.seen.digest for arrival in self.history.arrivals if self.history.posted[arrival.place] is not arrival}
        said = [damage(each, later) for each in self.put_backs]
        said += [_accusation(each, has_moved=moved) for each, moved in self.open_forged]
        if self.truth.rests_on_damage:
            said.append("entries that came later rest on what was damaged")
        return said


def _essence(log: JobLog) -> tuple[object, ...]:
    return log.user, log.facts, log.cost, log.posted, log.held


def _accusation(suspect: Suspect, *, has_moved: bool) -> str:
    line = suspect.seen.line
    balance = "; the balance had moved with it" if has_moved else ""
    return f"entry {line.sequence} of {line.moved:f} for {line.user} {suspect.why}{balance}"


def _type(entry: Entry) -> EntryType:
    return moving_type(entry.reference, entry.amount) if entry.amount else EntryType.FLAG
