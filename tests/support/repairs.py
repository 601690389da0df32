"""Repairs of everybody, one user after the other, as a person who works through what an audit names."""

from __future__ import annotations

from attrs import evolve

from engine.audit.repair import Correction, Repair, Wrong, rehearse, repair, users_found
from engine.ledger.store import Store
from engine.runtime.clock import Deadline


def repair_everybody(ledger: Store, reason: str, wrong: Wrong | None, deadline: Deadline, *, is_shown: bool = False) -> Repair:
    """Repair whomever something is found of, and return all of it. Where nothing is found, somebody unknown is repaired.

    ``is_shown``: each repair is rehearsed before, and must do just what that has shown.
    """
    corrections, left = list[Correction](), dict[str, None]()
    for user in users_found(ledger, deadline) or ["u-nobody"]:
        shown = rehearse(ledger, user, reason, wrong, deadline) if is_shown else None
        done = repair(ledger, user, reason, wrong, deadline)
        assert shown is None or timeless(shown) == timeless(done), f"{shown} was shown, {done} was done"
        corrections += done.corrections
        left |= dict.fromkeys(done.left)
    return evolve(done, corrections=tuple(corrections), left=tuple(left))


def timeless(done: Repair) -> Repair:
    """Return a repair without what goes by the clock: a flag whose hour passes meanwhile has no explanation from then on."""
    return evolve(done, after=evolve(done.after, unexplained=0))
