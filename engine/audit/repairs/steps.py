"""A step of a plan: one log, what it must look like before, and what is written. As the plan's file has it, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from engine.audit.repairs.draft import Draft
from engine.audit.repairs.history import log_digest
from engine.domain.entry import Entry
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.memory_logs import stored_row
from engine.ledger.moved import Moved, more_held
from engine.ledger.seals import canonical, digest
from engine.ledger.stored import NO_ENTRY, Place, entry_of
from engine.reconcile.plan_file import PlanFileError

NOT_OF_THE_PLAN = frozenset({"postedAt", "correction"})
"""What an entry gets when it is posted: its time, and who posts which plan."""


def content_of(entry: AuditedEntry) -> str:
    """Return the digest of what a plan says of an entry."""
    attributes = json.loads(entry.text)
    return digest(canonical({name: value for name, value in attributes.items() if name not in NOT_OF_THE_PLAN}))


@frozen
class Back:
    """An entry to be put back: its place, the digest of what stands there ("": nothing), and what was posted."""

    place: Place
    found: str
    posted: str
    text: str = field(repr=False)

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {"sequence": self.place, "found": self.found, "posted": self.posted, "entry": self.text}


@frozen
class Correcting:
    """An entry to be added, the digest of what the plan says of it, and what the row of its user moves by."""

    entry: Entry
    content: str
    moves: Moved

    def answer(self, at: Any) -> dict[str, Any]:
        """Return it as JSON-like values."""
        stored = stored_row((self.entry, at))
        said = {name: value for name, value in stored.items() if name not in NOT_OF_THE_PLAN}
        return {"entry": said, "content": self.content, **self.moves.answer("moves")}


@frozen
class Step:
    """All that is done to one log. ``expects`` is the digest of the log as it was found; ``because`` says what is wrong."""

    reference: str
    expects: str
    because: tuple[str, ...]
    put_back: tuple[Back, ...] = ()
    corrections: tuple[Correcting, ...] = ()
    forged: tuple[Mapping[str, Any], ...] = ()

    def answer(self) -> dict[str, Any]:
        """Return the step as JSON-like values, for the plan's file."""
        return {
            "log": self.reference,
            "because": list(self.because),
            "expects": self.expects,
            "putBack": [each.answer() for each in self.put_back],
            "corrections": [each.answer(each.entry.occurred_at) for each in self.corrections],
            "forged": list(self.forged),
        }

    def lines(self) -> list[str]:
        """Return the step as a person reads it."""
        said = [f"{self.reference}: {problem}" for problem in self.because]
        said += [f"{self.reference}: put back: entry {each.place}, as it was posted" for each in self.put_back]
        for each in self.corrections:
            entry = each.entry
            what = f"{entry.amount:f}{more_held(entry.held)} for {entry.user}{each.moves.in_words}"
            said.append(f"{self.reference}: add: entry {entry.sequence}, {what}")
        return said

    def is_before(self, log: Sequence[AuditedEntry]) -> bool:
        """Say whether a log is as it was found, or on the way: some of it may have been put back."""
        there = {entry.line.sequence: entry for entry in log}
        backs = {each.place: each for each in self.put_back}
        standing = dict[Place, str]()
        for place in there.keys() | backs.keys():
            now = there[place].digest if place in there else ""
            back = backs.get(place)
            standing[place] = back.found if back is not None and now == back.posted else now
        return self.expects == log_digest({place: seen for place, seen in standing.items() if seen})

    def is_after(self, log: Sequence[AuditedEntry]) -> bool:
        """Say whether everything stands as the step leaves it."""
        there = {entry.line.sequence: entry for entry in log}
        is_back = all(each.place in there and there[each.place].digest == each.posted for each in self.put_back)
        return is_back and all(
            each.entry.sequence in there and content_of(there[each.entry.sequence]) == each.content
            for each in self.corrections
        )


def step_of(draft: Draft, corrections: Sequence[tuple[Entry, Moved]], store: AuditStore) -> Step:
    """Return the step that does what a draft says."""
    return Step(
        draft.history.reference,
        draft.history.digest,
        tuple(draft.evidence()),
        tuple(
            Back(each.place, each.found.digest if each.found is not None else "", each.posted.digest, each.posted.text)
            for each in draft.put_backs
        ),
        tuple(Correcting(entry, content_of(store.audited(entry)), moves) for entry, moves in corrections),
        tuple(
            {"sequence": each.seen.line.sequence, "digest": each.seen.digest, "because": each.why}
            for each, _ in draft.open_forged
        ),
    )


def step_in(line: Mapping[str, Any], name: str) -> Step:
    """Return the step of a plan's line. Raises PlanFileError for what is none."""
    try:
        return Step(
            line["log"],
            line["expects"],
            tuple(line["because"]),
            tuple(Back(place_of(each["sequence"]), each["found"], each["posted"], each["entry"]) for each in line["putBack"]),
            tuple(
                Correcting(entry_of(each["entry"]), each["content"], Moved.read(each, "moves")) for each in line["corrections"]
            ),
            tuple(line["forged"]),
        )
    except NO_ENTRY as error:
        raise PlanFileError(f"{name}: the line of {line.get('log')} is none of a plan") from error


def place_of(said: int | str) -> Place:
    """Return a sequence; one that somebody has made by hand is a text in the file."""
    return said if isinstance(said, int) else Decimal(said)
