"""Puts right what an audit has found, by entries that are added: none is ever changed.

First the entries, then the balances::

    sealed      what a seal proves to have been changed, removed or slipped in is counted back
    logs        what the rest of a log and the balance agree on, against one entry
    balances    last, and only if a person says what is wrong: nothing in the tables can tell

The first two move no balance: it had moved with the true entries. Each correction names the entry that it corrects, its
reason, and what was found there; found twice, it is corrected once. Events go on meanwhile (``growing_log.py``): what one has
made up for is not counted back again, and where one comes in between the repair ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from engine.audit.books import Audit, Drift, audit, look_again, total
from engine.audit.growing_log import BY_LOG, GrowingLog, RepairRefused, earlier, has_gone_on
from engine.audit.logs import Fault, faults, posted, settled
from engine.audit.seals import CORRECTED, NOT_YET, Damage, Deviation, Verification, verify
from engine.domain.anomaly import Anomaly
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact_kinds import moving_type
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.money import EXACT, ZERO, Money
from engine.domain.references import JOB, REPAIR
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.store import Store
from engine.runtime.clock import Deadline

RULE = "repair"
"""What stands for rule and policy in a correcting entry."""


class Wrong(StrEnum):
    """What is wrong where a user's entries and row disagree, and every log follows. Nothing in the tables can tell."""

    BALANCE = "balance"
    """The row: ``remaining`` and ``posted`` had moved without an entry, or one went without them. Both move to the entries.

    An entry that is gone comes back when its event is sent again.
    """
    POSTED = "posted"
    """``posted`` alone, as by an edit of it, or a row that was written whole: the balance stays."""
    ENTRIES = "entries"
    """The entries, as by one that was put there: an entry of the difference is added, and the row stays."""


@frozen
class Correction:
    """An entry that was added, why, and by how much the balance moved with it."""

    reference: str
    sequence: int
    user: str
    amount: Decimal
    moved: Decimal
    problem: str


@frozen
class Repair:
    """What a repair did: the corrections, what is left for a person, and the audit after it."""

    corrections: tuple[Correction, ...]
    left: tuple[str, ...]
    after: Audit


def repair(ledger: Store, reason: str, wrong: Wrong | None, deadline: Deadline) -> Repair:
    """Correct what an audit finds, and audit again. ``reason`` stands in every correction.

    Without ``wrong`` a drift of a balance is left for a person to say. Raises LedgerUnavailable where the deadline comes
    first; what was corrected by then stays, and the next repair goes on from there.
    """
    repairer = Repairer(ledger.audits(), reason, deadline)
    verified = verify(repairer.store, deadline)
    corrections = list(repairer.sealed(verified))
    corrections += repairer.logs(audit(ledger, deadline))
    found = audit(ledger, deadline)
    unclear = [deviation for deviation in verified.open if not _can_be_counted_back(deviation)]
    left = [f"{deviation.reference or 'seals'}: {deviation.problem}" for deviation in unclear]
    left += [f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in found.faults]
    held = repairer.users_of(found.faults) | {deviation.sealed.user for deviation in unclear if deviation.sealed}
    for drift in found.drifts:
        if drift.user in held:
            left.append(f"{drift.user}: its balance waits until the entries above are in order")
        elif wrong is None or (wrong is Wrong.ENTRIES and drift.posted is None):
            left.append(f"{drift.user}: {_drift(drift)}; only a person can say what is wrong")
        else:
            corrections.append(repairer.balance(drift, wrong))
    return Repair(tuple(corrections), tuple(left), audit(ledger, deadline))


@frozen
class Repairer:
    """Makes the corrections of one repair. ``reason`` stands in each of them."""

    store: AuditStore
    reason: str
    deadline: Deadline

    # --- what a seal proves ---

    def sealed(self, verified: Verification) -> Iterator[Correction]:
        """Count back what was done to sealed entries."""
        damaged: dict[str | None, set[int | None]] = defaultdict(set)
        for deviation in verified.deviations:
            if not deviation.facts_are_sealed:
                damaged[deviation.reference].add(deviation.sequence)
        by_log: dict[str, list[Deviation]] = defaultdict(list)
        for deviation in filter(_can_be_counted_back, verified.open):
            by_log[str(deviation.reference)].append(deviation)
        for reference, deviations in by_log.items():
            growing = GrowingLog(self.store, reference, self.deadline)
            is_made_up_for = has_gone_on(growing.entries, deviations)
            for deviation in deviations:
                yield from self._count_back(growing, deviation, damaged[reference], is_made_up_for=is_made_up_for)

    def _count_back(
        self, log: GrowingLog, deviation: Deviation, damaged: set[int | None], *, is_made_up_for: bool
    ) -> Iterator[Correction]:
        """Take back what stands there for its user, then give what was sealed to whom it was sealed for."""
        sealed, found = deviation.sealed, deviation.found
        done = {"entry": str(deviation.sequence), "found": deviation.digest, "damage": deviation.damage.value}
        if found is not None and self._came_late(deviation, str(found.user)):
            problem = f"{deviation.problem}, and the balance moved with it: it came late"
            yield self._append(log, str(found.user), ZERO, problem=problem, figures=done, damaged=())
            return
        steps = [(str(found.user), EXACT.minus(found.moved))] if found is not None else []
        steps += earlier(log.entries, deviation.sequence)
        steps += [(sealed.user, sealed.amount)] if sealed is not None else []
        merged = list(_merged(steps))
        if is_made_up_for:
            problem = f"{deviation.problem}; an entry that came later has made up for it, and the balance moved with that one"
            yield self._append(log, merged[-1][0], ZERO, problem=problem, figures=done, damaged=damaged)
            return
        for number, (user, amount) in enumerate(merged, start=1):
            is_done = number == len(merged)  # by the last one: whoever dies before it is counted back again
            figures = done if is_done else {"entry": done["entry"], "damage": NOT_YET}
            yield self._append(log, user, amount, problem=deviation.problem, figures=figures, damaged=damaged)

    def _came_late(self, deviation: Deviation, user: str) -> bool:
        """Say whether an entry behind a seal was posted and only dated long before: then the books agree with it."""
        return deviation.damage is Damage.ADDED and look_again(self.store, user, self.deadline) is None

    # --- what the rest of a log proves ---

    def logs(self, found: Audit) -> Iterator[Correction]:
        """Correct logs by what two of three agree on: the entries' amounts, what they say of the cost, and the balance."""
        drifts = {drift.user: drift for drift in found.drifts}
        for user, growing in self._faulty(found.faults).items():
            logs = {reference: log.lines for reference, log in growing.items()}
            missing = {reference: EXACT.subtract(settled(log), posted(log)) for reference, log in logs.items()}
            surplus = None if user in found.busy else _surplus(drifts.get(user))
            if surplus is None:
                continue
            if EXACT.add(surplus, total(missing.values())) != ZERO:
                if surplus != ZERO:
                    continue  # amounts, costs and balance tell three stories
                missing = dict.fromkeys(missing, ZERO)  # what they say of the cost is wrong
            for reference, amount in missing.items():
                fault = faults(logs[reference])[0]
                figures = {"entry": str(fault.sequence), "damage": BY_LOG}
                log = growing[reference]
                yield self._append(log, user, amount, problem=fault.problem, figures=figures, damaged={fault.sequence})

    def _faulty(self, found: Sequence[Fault]) -> dict[str, dict[str, GrowingLog]]:
        """Return the logs that are still faulty, by user; not those that name several, or that are of nobody."""
        by_user: dict[str, dict[str, GrowingLog]] = defaultdict(dict)
        for reference in dict.fromkeys(fault.reference for fault in found):
            log = GrowingLog(self.store, reference, self.deadline)
            users = {line.user for line in log.lines}
            if faults(log.lines) and len(users) == 1 and log.lines[0].user is not None:
                by_user[log.lines[0].user][reference] = log
        return by_user

    def users_of(self, found: Sequence[Fault]) -> set[str | None]:
        """Return whom faulty logs name: their balances wait."""
        return {entry.line.user for fault in found for entry in self.store.log(fault.reference, self.deadline)}

    def _append(
        self,
        log: GrowingLog,
        user: str,
        amount: Decimal,
        *,
        problem: str,
        figures: Mapping[str, str],
        damaged: Collection[int | None],
    ) -> Correction:
        """Append a correcting entry, and before it one that moves nothing in the first place, where that is free.

        What the ``damaged`` entries know is not believed; it comes back with the events. What a seal proves to be known stays
        known, so that an event that comes again keeps its price, whatever the policy says by now.
        """
        if log.has_no_first:
            log.append(self._in_first_place(log, user, problem=problem, figures=figures))
        entry = self._entry(
            reference=log.reference,
            sequence=log.next,
            user=user,
            amount=amount,
            cost=EXACT.minus(EXACT.add(posted(log.lines), amount)),
            facts=_known([each for each in log.entries if each.line.sequence not in damaged]),
            figures=figures,
            problem=problem,
        )
        log.append(entry)
        return Correction(log.reference, entry.sequence, user, amount, ZERO, problem)

    def _in_first_place(self, log: GrowingLog, user: str, *, problem: str, figures: Mapping[str, str]) -> Entry:
        """Return what fills the first place, so that no event takes it for new. It does not say yet that all is corrected."""
        return self._entry(
            reference=log.reference,
            sequence=1,
            user=user,
            amount=ZERO,
            cost=ZERO,
            facts=NOTHING_KNOWN,
            figures={"entry": figures["entry"], "damage": NOT_YET},
            problem=problem,
        )

    # --- balances ---

    def balance(self, drift: Drift, wrong: Wrong) -> Correction:
        """Let the user's row and the entries say the same."""
        seen, reference = self.store.credit(drift.user, self.deadline), f"{REPAIR}{drift.user}"
        if seen.posted != drift.posted:
            raise RepairRefused(f"{drift.user}: its row has changed meanwhile; repair again")
        log = [entry.line for entry in self.store.log(reference, self.deadline)]
        difference = EXACT.subtract(drift.ledger, seen.posted or ZERO)
        amount = EXACT.minus(difference) if wrong is Wrong.ENTRIES else ZERO
        moved = difference if wrong is Wrong.BALANCE else ZERO
        entry = self._entry(
            reference=reference,
            sequence=len(log) + 1,
            user=drift.user,
            amount=amount,
            cost=EXACT.minus(EXACT.add(posted(log), amount)),
            facts=NOTHING_KNOWN,
            figures={"entries": f"{drift.ledger:f}", "posted": _shown(seen.posted), "moved": f"{moved:f}"},
            problem=_drift(drift),
        )
        says = EXACT.add(drift.ledger, amount)
        if not self.store.append_with_posted(entry, seen, says, moved, self.deadline):
            raise RepairRefused(f"{drift.user}: its row has changed meanwhile; repair again")
        return Correction(reference, entry.sequence, drift.user, amount, moved, _drift(drift))

    def _entry(
        self,
        *,
        reference: str,
        sequence: int,
        user: str,
        amount: Decimal,
        cost: Decimal,
        facts: Facts,
        figures: Mapping[str, str],
        problem: str,
    ) -> Entry:
        return Entry(
            reference=reference,
            job=reference.removeprefix(JOB) if reference.startswith(JOB) else None,
            sequence=sequence,
            user=user,
            type=_type(reference, amount),
            amount=amount,
            occurred_at=self.store.clock.now(),
            rule=RULE,
            policy=RULE,
            facts=facts,
            cost=cost,
            money=Money(),
            source=Source.REPAIR,
            anomalies=(Anomaly(CORRECTED, f"{self.reason} ({problem})", tuple(sorted(figures.items()))),),
        )


def _can_be_counted_back(deviation: Deviation) -> bool:
    """Not what was done to seals; and of an entry without a user nothing can be taken back from anybody."""
    return deviation.reference is not None and (deviation.found is None or deviation.found.user is not None)


def _merged(steps: list[tuple[str, Decimal]]) -> Iterator[tuple[str, Decimal]]:
    """Yield the sum for each user; the last one named, to whom the entry belongs, comes last."""
    sums: dict[str, Decimal] = {}
    for user, amount in steps:
        sums[user] = EXACT.add(sums.pop(user, ZERO), amount)
    yield from sums.items()


def _known(entries: Sequence[AuditedEntry]) -> Facts:
    """Return what the newest entry that can be read knows of the job."""
    readable = (facts for entry in reversed(entries) if (facts := entry.facts) is not None)
    return next(readable, NOTHING_KNOWN)


def _type(reference: str, amount: Decimal) -> EntryType:
    return moving_type(reference, amount) if amount else EntryType.FLAG


def _surplus(drift: Drift | None) -> Decimal | None:
    """Return by how much the entries exceed what was posted; None where that is no number."""
    if drift is None:
        return ZERO
    return None if drift.posted is None else EXACT.subtract(drift.ledger, drift.posted)


def _drift(drift: Drift) -> str:
    return f"the entries add up to {drift.ledger:f}, Credits says {_shown(drift.posted)}"


def _shown(number: Decimal | None) -> str:
    return "no number" if number is None else f"{number:f}"
