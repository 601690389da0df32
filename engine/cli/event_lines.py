"""What a line of a file holds that is replayed: an event, one that an earlier replay has put aside, or a dead letter.

So ``replay`` takes back its own file of rejects, what ``dead-letters drop`` has kept, and what ``dead-letters list --json``
prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from engine.domain.documents import is_event, no_event, read_event
from engine.domain.envelope import Document
from engine.domain.errors import EventError
from engine.reconcile.dead_letters import Letter, read_letter

BYTES_KEPT = "surrogateescape"
"""A line that is no UTF-8 is kept as well: each byte that is none stands for itself, and comes back as it was."""

REJECT = frozenset({"line", "problem", "event"})
LETTER = frozenset({"id", "queue", "way", "reason", "body"})


@frozen
class Told:
    """One event of a line, or what is wrong with it, and the text that tells it again."""

    number: int
    event: Document | EventError
    text: bytes


def told(number: int, line: bytes) -> Iterator[Told]:
    """Yield the events of a line: of a dead letter there may be several, of all else there is one."""
    while (inner := _put_aside(line)) is not None:
        line = inner
    if (letter := _letter(line)) is not None:
        yield from _told_by(letter, number, line)
        return
    try:
        yield Told(number, read_event(line, f"line {number}"), line)
    except EventError as error:
        yield Told(number, error, line)


def reject_line(told_: Told, error: Exception) -> str:
    """Return what a file of rejects says of an event: why it failed, and all of it, so that it can be replayed."""
    event = told_.text.decode(errors=BYTES_KEPT).rstrip("\n")
    return json.dumps({"line": told_.number, "problem": str(error), "event": event})


def array_lines(text: bytes) -> list[bytes] | None:
    """Return the members of a JSON array as lines, or None for a file of lines."""
    if not text.lstrip().startswith(b"["):
        return None
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [json.dumps(member).encode() for member in members]


def _told_by(letter: Letter, number: int, line: bytes) -> Iterator[Told]:
    for event in letter.events:
        text = json.dumps(event, default=float).encode()  # a fraction was read as the decimal of its double
        problem = None if is_event(event) else EventError(f"line {number}", "(none)", "body", no_event(event))
        yield Told(number, problem or event, text)
    if not letter.events:
        why = "is of a scheduled run; the next one does its work" if letter.repeats else "holds no event"
        yield Told(number, EventError(f"line {number}, letter {letter.id}", "(none)", "body", why), line)


def _put_aside(line: bytes) -> bytes | None:
    """Return the event in a line of a file of rejects, or None for another line."""
    said = _object(line) if b'"problem"' in line else {}
    if said.keys() != REJECT or not isinstance(event := said["event"], str):
        return None
    try:
        return event.encode(errors=BYTES_KEPT)
    except UnicodeEncodeError:
        return None


def _letter(line: bytes) -> Letter | None:
    said = _object(line) if b'"queue"' in line else {}
    if not said.keys() >= LETTER or not all(isinstance(said[name], str) for name in LETTER):
        return None
    return read_letter({"MessageId": said["id"], "Body": said["body"], "ReceiptHandle": ""}, said["queue"])


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
