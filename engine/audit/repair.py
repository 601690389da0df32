"""Puts right what an audit has found of one user, by entries that are added: none is ever changed.

First the entries, then the balance::

    sealed      what a seal proves to have been changed, removed or slipped in is counted back
    logs        what the rest of a log and the balance agree on, against one entry; ids of adjustments that are not claimed
    balances    last, and only if a person says what is wrong: nothing in the tables can tell

The first two move no balance: it had moved with the true entries. What would be done can be seen before: a rehearsal does all
of it on the tables as they are, and writes nothing. Events go on meanwhile (``growing_log.py``): what one has made up for is
not counted back again, and where one comes in between the repair ends.
"""

from __future__ import annotations

from attrs import frozen

from engine.audit.balances import BalanceKeeper
from engine.audit.books import Audit, audit_of
from engine.audit.growing_log import RepairRefused
from engine.audit.named import NOBODY, can_be_counted_back, users_in, users_of
from engine.audit.rehearsal import Rehearsal
from engine.audit.repairer import Correction, Repairer, Wrong
from engine.audit.seals import verify
from engine.ledger.audits import AuditStore
from engine.ledger.store import Store
from engine.runtime.clock import Deadline

__all__ = ["Correction", "Repair", "RepairRefused", "Wrong", "rehearse", "repair", "users_found"]


@frozen
class Repair:
    """What a repair did: the corrections, what is left for a person, and the audit after it."""

    corrections: tuple[Correction, ...]
    left: tuple[str, ...]
    after: Audit


def repair(ledger: Store, user: str, reason: str, wrong: Wrong | None, deadline: Deadline) -> Repair:
    """Correct what an audit finds of one user, and audit again. ``reason`` stands in every correction.

    A log of the user that names others as well is put right for all of them; no balance but the user's moves. Without
    ``wrong`` a drift of a balance is left for a person to say. Raises LedgerUnavailable where the deadline comes first; what
    was corrected by then stays, and the next repair goes on from there.
    """
    return _repair(ledger.audits(), user, reason, wrong, deadline)


def rehearse(ledger: Store, user: str, reason: str, wrong: Wrong | None, deadline: Deadline) -> Repair:
    """Return what a repair would do, and how it would look then. Nothing is written."""
    return _repair(Rehearsal(ledger.audits()), user, reason, wrong, deadline)


def users_found(ledger: Store, deadline: Deadline) -> list[str]:
    """Return whom an audit and the seals find something of: a repair takes one of them at a time."""
    store = ledger.audits()
    verified, found = verify(store, deadline), _audit(store, deadline)
    everybody: set[str | None] = {drift.user for drift in found.drifts}
    everybody |= {drift.user for drift in found.balances}
    references = [fault.reference for fault in found.faults] + [each.reference for each in verified.open if each.reference]
    for reference in dict.fromkeys(references):
        everybody |= users_of(store, reference, verified, deadline)
    return sorted(user for user in everybody if user is not None)


def _repair(store: AuditStore, user: str, reason: str, wrong: Wrong | None, deadline: Deadline) -> Repair:
    repairer = Repairer(store, user, reason, deadline)
    verified = verify(store, deadline)
    corrections = list(repairer.sealed(verified))
    before = _audit(store, deadline)
    corrections += [*repairer.logs(before), *repairer.claims(before)]
    if repairer.left:  # a log may come to what it says by now
        repairer.left.clear()
        corrections += repairer.sealed(verify(store, deadline))
    found = _audit(store, deadline)
    unclear = [each for each in verified.open if not can_be_counted_back(each) and users_in(each) & {user, NOBODY}]
    left = [*repairer.left, *(f"{deviation.reference or 'seals'}: {deviation.problem}" for deviation in unclear)]
    faults = [fault for fault in found.faults if user in users_of(store, fault.reference, verified, deadline)]
    left += [f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in faults]
    has_to_wait = bool(repairer.left or faults) or any(user in users_in(each) for each in unclear)
    for problem, correct in repairer.balances(found, wrong):
        if has_to_wait:
            left.append(f"{user}: its balance waits until the entries above are in order")
        elif correct is None:
            left.append(problem)
        else:
            corrections.append(correct())
    return Repair(tuple(corrections), tuple(left), _audit(store, deadline))


def _audit(store: AuditStore, deadline: Deadline) -> Audit:
    return audit_of(store, deadline, keeper=BalanceKeeper(store, store.clock.now(), deadline))
