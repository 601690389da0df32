"""What people have adjusted and proposed: looked at by whoever asks, withdrawn by who has proposed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.domain.adjustment import AdjustmentProposal, Identity
from engine.domain.errors import CorrectionError
from engine.domain.instants import posting_text
from engine.domain.money import EXACT, ZERO
from engine.ledger.conditions import is_number
from engine.ledger.corrections import PROPOSAL, CorrectionStore
from engine.ledger.store import Store
from engine.ledger.stored import correction_in
from engine.runtime.clock import Deadline


def withdraw(corrections: CorrectionStore, name: str, by: Identity, deadline: Deadline) -> AdjustmentProposal:
    """Take back what was proposed, by who has proposed it. Raises CorrectionError where that is another or nobody."""
    proposal = corrections.proposal(name, deadline)
    if proposal is None:
        raise CorrectionError(f"{PROPOSAL}{name}", "is no proposal that waits")
    if by.key != proposal.by.key:
        raise CorrectionError(f"{PROPOSAL}{name}", f"was proposed by {proposal.by.name}; nobody else withdraws it")
    if not corrections.withdraw(proposal, by, deadline):
        raise CorrectionError(f"{PROPOSAL}{name}", "was approved or withdrawn a moment ago")
    return proposal


def proposals(corrections: CorrectionStore, user: str | None, deadline: Deadline) -> list[AdjustmentProposal]:
    """Return what waits for a second person, of one user or of all, by the instant of its proposal."""
    waiting = (each for each in corrections.proposals(deadline) if user in {None, each.request.user})
    return sorted(waiting, key=lambda each: (each.at, each.request.id))


def adjustments(store: Store, user: str | None, since: datetime | None, deadline: Deadline) -> list[dict[str, Any]]:
    """Return what was adjusted, of one user or of all, by the instant of posting: one summary an id.

    Of all it reads the whole ledger, strongly consistent; of one user the index, which trails by a moment.
    """
    return _summaries(_corrected(store, user, since, deadline))


def _corrected(store: Store, user: str | None, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
    if user is None:
        yield from store.corrections().corrected(since, deadline)
        return
    earliest = posting_text(since) if since is not None else ""
    for entry in store.entries_of_user(user, deadline):
        if "id" in correction_in(entry) and _text(entry, "postedAt") >= earliest:
            yield entry


def _summaries(entries: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one summary an id, of all its entries: what was said of it, what it moved, and what has taken it back."""
    by_id: dict[str, dict[str, Any]] = {}
    reversals: dict[str, str] = {}
    entries = (entry for entry in entries if isinstance(entry["correction"].get("id"), str))
    for entry in sorted(entries, key=lambda each: (_text(each, "postedAt"), each["reference"], each["sequence"])):
        said, told = entry["correction"], _told_in(entry)
        if _text(told, "reverses"):
            reversals[told["reverses"]] = said["id"]
        summary = by_id.setdefault(said["id"], _summary(entry, told))
        summary["moved"] = EXACT.add(summary["moved"], _number(entry, "amount", ZERO))
    return [{**summary, "takenBackBy": reversals.get(name, "")} for name, summary in by_id.items()]


def _told_in(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an entry's facts say under the id of its correction; nothing where they do not know it."""
    facts, name = entry.get("facts"), entry["correction"]["id"]
    known = facts if isinstance(facts, Mapping) else {}
    told = [each for kind in ("concessions", "adjustments") if isinstance(each := known.get(kind), list)]
    return next((each for some in told for each in some if isinstance(each, Mapping) and each.get("id") == name), {})


def _text(stored: Mapping[str, Any], name: str) -> str:
    """Return a stored text. What somebody has put in its place is none."""
    found = stored.get(name)
    return found if isinstance(found, str) else ""


def _number(stored: Mapping[str, Any], name: str, otherwise: Decimal) -> Decimal:
    """Return a stored number, in the same way."""
    found = stored.get(name)
    return Decimal(found) if is_number(found) else otherwise


def _summary(entry: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    said = entry["correction"]
    return {
        "id": said["id"],
        "user": _text(entry, "userId"),
        "amount": _number(told, "amount", _number(entry, "amount", ZERO)),
        "moved": ZERO,
        "job": _text(told, "job") or _text(entry, "jobId"),
        "reverses": _text(told, "reverses"),
        "about": _text(said, "about"),
        "postedAt": _text(entry, "postedAt"),
        "reason": _text(said, "reason"),
        "by": _text(said, "by"),
        "approvedBy": _text(said, "approvedBy"),
    }
