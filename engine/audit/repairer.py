"""Makes the corrections of a repair: entries that are added, of one user at a time.

Each names the entry that it corrects, its reason, and what was found there; found twice, it is corrected once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from functools import partial

from attrs import Factory, evolve, frozen

from engine.audit.balances import BalanceDrift
from engine.audit.books import Audit, Drift, log_faults, look_again
from engine.audit.growing_log import (
    BY_LOG,
    COUNTED_BACK,
    MADE_UP_FOR,
    NOBODY_KNOWS,
    GrowingLog,
    RepairRefused,
    earlier,
    has_gone_on,
    merged_by_user,
)
from engine.audit.logs import Fault
from engine.audit.named import can_be_counted_back, named_in, users_of
from engine.audit.seals import CORRECTED, NOT_YET, Damage, Deviation, Verification
from engine.domain.anomaly import Anomaly
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact import Adjustment
from engine.domain.fact_kinds import moving_type
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.money import EXACT, ZERO, Money
from engine.domain.references import ADJUST, REPAIR, job_of
from engine.ledger.audits import AuditedEntry, AuditStore, Credit
from engine.ledger.moved import NOTHING, Moved, sum_of
from engine.runtime.clock import Deadline

RULE = "repair"
"""What stands for rule and policy in a correcting entry."""


class Wrong(StrEnum):
    """What is wrong where a user's entries and row disagree, and every log follows. Nothing in the tables can tell."""

    BALANCE = "balance"
    """The row: ``remaining`` and ``posted`` had moved without an entry, or one went without them. Both move to the entries.

    ``held`` says then what the entries hold. An entry that is gone comes back when its event is sent again.
    """
    POSTED = "posted"
    """``posted`` or ``held`` alone, as by an edit of it, or a row that was written whole: the balance stays."""
    ENTRIES = "entries"
    """The entries, as by one that was put there: an entry of the difference is added, and the row stays."""


@frozen
class Correction:
    """An entry that was added, why, and by how much the balance moved with it; ``held`` is how much more the entry holds."""

    reference: str
    sequence: int
    user: str
    amount: Decimal
    moved: Decimal
    problem: str
    held: Decimal = ZERO


@frozen
class Repairer:
    """Makes the corrections of one repair, of one ``user``. ``reason`` stands in each of them.

    ``left`` is what it has found and leaves to a person.
    """

    store: AuditStore
    user: str
    reason: str
    deadline: Deadline
    left: list[str] = Factory(list)

    # --- what a seal proves ---

    def sealed(self, verified: Verification) -> Iterator[Correction]:
        """Count back what was done to sealed entries of the user's logs, whomever else these name."""
        damaged: dict[str | None, set[int | Decimal | None]] = defaultdict(set)
        for deviation in verified.deviations:
            if not deviation.facts_are_sealed:
                damaged[deviation.reference].add(deviation.sequence)
        countable = [deviation for deviation in verified.open if can_be_counted_back(deviation)]
        references = dict.fromkeys(str(deviation.reference) for deviation in countable)
        own = [each for each in references if self.user in users_of(self.store, each, verified, self.deadline)]
        for reference in own:
            deviations = [deviation for deviation in countable if deviation.reference == reference]
            log = GrowingLog(self.store, reference, self.deadline)
            lost = log.lost_correction or 0
            made_up_for = MADE_UP_FOR if has_gone_on(log.entries, deviations) else ""
            for deviation in sorted(deviations, key=lambda each: (each.sequence or 0) < lost):
                if (deviation.sequence or 0) >= lost:
                    yield from self._count_back(log, deviation, damaged[reference], made_up_for)
                elif log.agrees:
                    yield from self._count_back(log, deviation, damaged[reference], COUNTED_BACK.format(lost))
                else:
                    self.left.append(f"{reference}: {deviation.problem}; {NOBODY_KNOWS.format(lost)}")

    def _count_back(
        self, log: GrowingLog, deviation: Deviation, damaged: set[int | Decimal | None], made_up_for: str
    ) -> Iterator[Correction]:
        """Take back what stands there for its user, then give what was sealed to whom it was sealed for.

        Where that is ``made_up_for``, as it says, nothing moves.
        """
        sealed, found = deviation.sealed, deviation.found
        done = {"entry": str(deviation.sequence), "found": deviation.digest, "damage": deviation.damage.value}
        if found is not None and self._came_late(deviation, str(found.user)):
            problem = f"{deviation.problem}, and the balance moved with it: it came late"
            yield self._append(log, str(found.user), NOTHING, problem=problem, figures=done, damaged=())
            return
        steps = [(str(found.user), -found.moves)] if found is not None else []
        steps += earlier(log.entries, deviation.sequence)
        steps += [(sealed.user, sealed.moves)] if sealed is not None else []
        merged = list(merged_by_user(steps))
        if made_up_for:
            problem = f"{deviation.problem}; {made_up_for}"
            yield self._append(log, merged[-1][0], NOTHING, problem=problem, figures=done, damaged=damaged)
            return
        for number, (user, moves) in enumerate(merged, start=1):
            is_done = number == len(merged)  # by the last one: whoever dies before it is counted back again
            figures = done if is_done else {"entry": done["entry"], "damage": NOT_YET}
            yield self._append(log, user, moves, problem=deviation.problem, figures=figures, damaged=damaged)

    def _came_late(self, deviation: Deviation, user: str) -> bool:
        """Say whether an entry behind a seal was posted and only dated long before: then the books agree with it."""
        return deviation.damage is Damage.ADDED and look_again(self.store, user, self.deadline) is None

    # --- what the rest of a log proves ---

    def logs(self, found: Audit) -> Iterator[Correction]:
        """Correct logs by what two of three agree on: the entries' amounts, what they say of the cost, and the balance.

        So with what is held: what they say of it, what they know of holds, and the row.
        """
        drift = next((drift for drift in found.drifts if drift.user == self.user), None)
        logs = self._faulty(found.faults)
        missing = {name: log.missing for name, log in logs.items()}
        surplus = None if self.user in found.busy else drift.surplus if drift is not None else NOTHING
        if surplus is None:
            return
        lacking = surplus + sum_of(missing.values())
        if (lacking.amount and surplus.amount) or (lacking.held and surplus.held):
            return  # amounts, costs and balance tell three stories
        for reference, missed in missing.items():
            log = logs[reference]
            fault = log_faults(log.entries)[0]
            figures = {"entry": str(fault.sequence), "damage": BY_LOG}
            # what the row does not agree to is wrong in what they say of the cost, or know of holds
            moves = Moved(ZERO if lacking.amount else missed.amount, ZERO if lacking.held else missed.held)
            damaged = () if moves.held else {fault.sequence}  # with the row agrees what they know of holds
            yield self._append(log, self.user, moves, problem=fault.problem, figures=figures, damaged=damaged)

    def claims(self, found: Audit) -> Iterator[Correction]:
        """Claim ids of the user's adjustments that are not claimed, and say of claims whose adjustment is gone that it is."""
        for fault in (fault for fault in found.faults if fault.claim):
            log = self.store.log(fault.reference, self.deadline)
            told = told_by(log, fault.claim)
            if named_in(entry.line for entry in log) != {self.user} or told is None:
                continue
            figures = {"entry": str(fault.sequence), "damage": BY_LOG}
            facts = Facts(adjustments=(told,))
            claim = GrowingLog(self.store, fault.claim, self.deadline)
            yield self._append(claim, self.user, NOTHING, problem=fault.problem, figures=figures, damaged=(), facts=facts)

    def _faulty(self, found: Sequence[Fault]) -> dict[str, GrowingLog]:
        """Return the user's logs that are still faulty; not those that name others as well."""
        logs: dict[str, GrowingLog] = {}
        for reference in dict.fromkeys(fault.reference for fault in found):
            log = GrowingLog(self.store, reference, self.deadline)
            if log_faults(log.entries) and named_in(log.lines) == {self.user}:
                logs[reference] = log
        return logs

    def _append(
        self,
        log: GrowingLog,
        user: str,
        moves: Moved,
        *,
        problem: str,
        figures: Mapping[str, str],
        damaged: Collection[int | Decimal | None],
        facts: Facts | None = None,
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
            moves=moves,
            cost=EXACT.minus((log.moved + moves).amount),
            facts=facts or _known([each for each in log.entries if each.line.sequence not in damaged]),
            figures=figures,
            problem=problem,
        )
        log.append(entry)
        return Correction(log.reference, entry.sequence, user, moves.amount, ZERO, problem, moves.held)

    def _in_first_place(self, log: GrowingLog, user: str, *, problem: str, figures: Mapping[str, str]) -> Entry:
        """Return what fills the first place, so that no event takes it for new. It does not say yet that all is corrected."""
        return self._entry(
            reference=log.reference,
            sequence=1,
            user=user,
            moves=NOTHING,
            cost=ZERO,
            facts=NOTHING_KNOWN,
            figures={"entry": figures["entry"], "damage": NOT_YET},
            problem=problem,
        )

    # --- the balance ---

    def balances(self, found: Audit, wrong: Wrong | None) -> Iterator[tuple[str, Callable[[], Correction] | None]]:
        """Yield what is wrong with the user's row, and what corrects it; None where a person has to say more."""
        for drift in (each for each in found.drifts if each.user == self.user):
            problem = f"{drift.user}: {drift.problem}; only a person can say what is wrong"
            is_said = wrong is not None and (wrong is not Wrong.ENTRIES or drift.surplus is not None)
            yield problem, partial(self.balance, drift, wrong) if wrong is not None and is_said else None
        for off in (each for each in found.balances if each.user == self.user):
            problem = f"{off.problem}; {left_of(off, wrong)}"
            yield problem, partial(self.taken_back, off) if wrong is Wrong.BALANCE and off.by is not None else None

    def taken_back(self, drift: BalanceDrift) -> Correction:
        """Move a balance back to what follows from the ledger. An entry of 0 keeps by how much."""
        seen, by = self.store.credit(drift.user, self.deadline), drift.by or ZERO
        if seen.remaining != drift.remaining:
            raise RepairRefused(f"{drift.user}: its row has changed meanwhile; repair again")
        figures = {"balance": _shown(drift.remaining), "follows": f"{drift.expected:f}", "moved": f"{EXACT.minus(by):f}"}
        says = Moved(seen.posted or ZERO, seen.held or ZERO)
        return self._append_of_row(seen, says, NOTHING, moved=EXACT.minus(by), figures=figures, problem=drift.problem)

    def balance(self, drift: Drift, wrong: Wrong) -> Correction:
        """Let the user's row and the entries say the same."""
        seen = self.store.credit(drift.user, self.deadline)
        if (seen.posted, seen.held) != (drift.posted, drift.held):
            raise RepairRefused(f"{drift.user}: its row has changed meanwhile; repair again")
        difference = drift.entries - Moved(seen.posted or ZERO, seen.held or ZERO)
        added = -difference if wrong is Wrong.ENTRIES else NOTHING
        moved = difference.amount if wrong is Wrong.BALANCE else ZERO
        figures = {"entries": f"{drift.ledger:f}", "posted": _shown(seen.posted), "moved": f"{moved:f}"}
        if difference.held or seen.held is None:
            figures |= {"holds": f"{drift.holds:f}", "held": _shown(seen.held)}
        says = drift.entries + added
        return self._append_of_row(seen, says, added, moved=moved, figures=figures, problem=drift.problem)

    def _append_of_row(
        self, seen: Credit, says: Moved, added: Moved, *, moved: Decimal, figures: Mapping[str, str], problem: str
    ) -> Correction:
        """Append an entry to the log of the user's row, which ``says`` something else then; its balance is ``moved``."""
        reference = f"{REPAIR}{seen.user}"
        log = [entry.line.moves for entry in self.store.log(reference, self.deadline)]
        entry = self._entry(
            reference=reference,
            sequence=len(log) + 1,
            user=seen.user,
            moves=added,
            cost=EXACT.minus(sum_of(log, added).amount),
            facts=NOTHING_KNOWN,
            figures=figures,
            problem=problem,
        )
        if not self.store.append_with_row(entry, seen, says, moved, self.deadline):
            raise RepairRefused(f"{seen.user}: its row has changed meanwhile; repair again")
        return Correction(reference, entry.sequence, seen.user, added.amount, moved, problem, added.held)

    def _entry(
        self,
        *,
        reference: str,
        sequence: int,
        user: str,
        moves: Moved,
        cost: Decimal,
        facts: Facts,
        figures: Mapping[str, str],
        problem: str,
    ) -> Entry:
        return Entry(
            reference=reference,
            job=job_of(reference),
            sequence=sequence,
            user=user,
            type=_type(reference, moves.amount),
            amount=moves.amount,
            held=moves.held,
            occurred_at=self.store.clock.now(),
            rule=RULE,
            policy=RULE,
            facts=facts,
            cost=cost,
            money=Money(),
            source=Source.REPAIR,
            anomalies=(Anomaly(CORRECTED, f"{self.reason} ({problem})", tuple(sorted(figures.items()))),),
        )


def told_by(log: Sequence[AuditedEntry], claim: str) -> Adjustment | None:
    """Return the adjustment of an id, as the log that ``claim`` is must have it; None where ``log`` does not know it."""
    facts, job = _known(log), (job_of(log[0].line.reference) or "") if log else ""
    known = (told for told in (*facts.concessions, *facts.adjustments) if f"{ADJUST}{told.id}" == claim)
    return next((evolve(told, job=told.job or job) for told in known), None)


def _known(entries: Sequence[AuditedEntry]) -> Facts:
    """Return what the newest entry that can be read knows of the job."""
    readable = (facts for entry in reversed(entries) if (facts := entry.facts) is not None)
    return next(readable, NOTHING_KNOWN)


def _type(reference: str, amount: Decimal) -> EntryType:
    return moving_type(reference, amount) if amount else EntryType.FLAG


def left_of(drift: BalanceDrift, wrong: Wrong | None) -> str:
    """Return what a person still has to say, or could not have meant, of a balance that is off by itself."""
    if drift.by is None:
        return "only a person can say whether that is wrong"
    if wrong is None:
        return "only a person can say whether that is wrong; `--wrong balance` takes it back"
    return f"its entries agree with `posted`, so `--wrong {wrong}` corrects nothing; `--wrong balance` takes the change back"


def _shown(number: Decimal | None) -> str:
    return "no number" if number is None else f"{number:f}"
