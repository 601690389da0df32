"""The plans that were applied: a correction is believed where one of them has it, to the last digit.

A plan is kept in the archive's bucket before anything of it is posted, under its own digest. So whoever wants a correction of
his own believed has to write to the bucket, and what he writes stays there.
"""

from __future__ import annotations

from attrs import Factory, define, frozen

from engine.audit.repairs.steps import content_of, place_of
from engine.domain.errors import LedgerError
from engine.ledger.archive.bucket import Bucket
from engine.ledger.audits import AuditedEntry
from engine.ledger.stored import EntryKey, correction_in
from engine.reconcile.plan_file import Line, PlanFileError, read_plan
from engine.runtime.clock import Deadline

PREFIX = "plans/"
"""What the keys of plans begin with."""

KIND = "repair"
"""What a plan of repairs calls itself."""


def key_of(digest: str) -> str:
    """Return where a plan is kept."""
    return f"{PREFIX}{digest}.jsonl"


def keep(bucket: Bucket, plan: bytes, digest: str, deadline: Deadline) -> None:
    """Keep a plan, which is about to be applied. Raises LedgerError where something else is kept in its place."""
    bucket.put(key_of(digest), plan, deadline)
    if bucket.get(key_of(digest), deadline) != plan:
        raise LedgerError(f"{key_of(digest)}: something else is kept there than this plan; nothing was posted")


@frozen
class _Known:
    """What a plan has: its corrections (where they stand, and the digest of what they say), and what they undo."""

    corrections: frozenset[tuple[EntryKey, str]] = frozenset()
    undone: frozenset[tuple[EntryKey, str]] = frozenset()


@define(eq=False)
class AppliedPlans:
    """The plans in a bucket, each read when the first correction names it."""

    bucket: Bucket
    deadline: Deadline
    _known: dict[str, _Known] = Factory(dict)
    """By the digest of a plan what it has."""

    def believes(self, seen: AuditedEntry) -> bool:
        """Say whether an entry is a correction of a plan that was applied."""
        try:
            plan = correction_in(seen.stored).get("plan")
        except ValueError:
            return False
        if not isinstance(plan, str) or not plan:
            return False
        return (seen.line.key, content_of(seen)) in self._plan(plan).corrections

    def undoes(self, correction: AuditedEntry, seen: AuditedEntry) -> bool:
        """Say whether the plan of a correction that is believed names another entry of its log as forged, and undoes it."""
        plan = str(correction_in(correction.stored).get("plan"))
        return (seen.line.key, seen.digest) in self._plan(plan).undone

    def _plan(self, plan: str) -> _Known:
        if plan not in self._known:
            self._known[plan] = self._read(plan)
        return self._known[plan]

    def _read(self, plan: str) -> _Known:
        body = self.bucket.get(key_of(plan), self.deadline)
        try:
            digest, lines = read_plan(body or b"", key_of(plan), KIND)
        except PlanFileError:
            return _Known()
        if digest != plan:
            return _Known()
        undone = frozenset(each for line in lines for each in _undone_in(line))
        return _Known(frozenset(each for line in lines for each in _corrections_in(line)), undone)


def _corrections_in(line: Line) -> list[tuple[EntryKey, str]]:
    told = line.get("corrections", ())
    return [((each["entry"]["reference"], each["entry"]["sequence"]), each["content"]) for each in told]


def _undone_in(line: Line) -> list[tuple[EntryKey, str]]:
    return [((line["log"], place_of(each["sequence"])), each["digest"]) for each in line.get("forged", ())]
