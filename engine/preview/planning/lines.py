"""The lines of files of events, plain or packed, read once from the first to the last and shared among processes."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from engine.domain.documents import read_document
from engine.domain.envelope import Document
from engine.domain.errors import EventError
from engine.domain.money import json_number

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 1 << 17
"""Lines are read, and shared among processes, in blocks of about so many bytes."""

QUICK = msgspec.json.Decoder(float_hook=json_number)
"""Reads what ``read_document`` reads, in a quarter of its time; or refuses it. It never gives another value."""


WHOLE = json.JSONDecoder()

BYTES_KEPT = "surrogateescape"
"""A line that is no UTF-8 is no event, and is named as such."""


class UnreadableEvents(ValueError):
    """A file of events cannot be read, or a line of it is no JSON object."""


class Block(NamedTuple):
    """Some lines of a file. ``first`` is the number of the first of them over all files, ``before`` how many others have."""

    path: Path
    before: int
    first: int
    lines: list[bytes]

    def place(self, number: int) -> str:
        """Return where a line stands."""
        return f"{self.path}: line {number - self.before}"


def quickly_decoded(line: bytes) -> Any:
    """Return the JSON value in a line; None where only the exact decoder can tell: NaN, half a surrogate, no JSON."""
    try:
        return QUICK.decode(line)
    except (ValueError, RecursionError):
        return None


def exactly_decoded(line: bytes) -> Document:
    """Return the event in a line. Raises UnreadableEvents for what is no JSON object."""
    try:
        return read_document(line)
    except EventError as error:
        raise UnreadableEvents(error.problem) from error


def blocks(paths: Sequence[Path]) -> Iterator[Block]:
    """Yield the lines of files in blocks; lines are counted from 1. Raises UnreadableEvents."""
    first = 1
    for path in paths:
        before = first - 1
        try:
            for lines in _blocks_of(path):
                yield Block(path, before, first, lines)
                first += len(lines)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableEvents(f"{path}: cannot be read: {error}; if it is packed, pack it again") from error


def _blocks_of(path: Path) -> Iterator[list[bytes]]:
    with _opened(path) as file:
        lines = file.readlines(BLOCK_BYTES)
        if lines and lines[0].lstrip().startswith(b"[") and (members := _members(lines, file)) is not None:
            yield members
            return
        run_together = bool(lines) and len(_apart(lines[0])) > 1
        while lines:
            yield [one for line in lines for one in _apart(line)] if run_together else lines
            lines = file.readlines(BLOCK_BYTES)


def _apart(line: bytes) -> list[bytes]:
    """Return the objects of a line, which count as lines: a delivery stream writes one behind the other without a break."""
    if b"}{" not in line:
        return [line]
    found, text, at = list[bytes](), line.decode(errors=BYTES_KEPT), 0
    while at < len(text):
        end = _end_of_object(text, at)
        found.append(text[at:end].encode(errors=BYTES_KEPT))
        at = end
    return found


def _end_of_object(text: str, at: int) -> int:
    """Return where an object ends, with the blanks behind it; the end of the text where none is there."""
    try:
        _, end = WHOLE.raw_decode(text, at)
    except (ValueError, RecursionError):
        return len(text)
    return len(text) - len(text[end:].lstrip()) if text[end : end + 1].isspace() else end


def _members(lines: list[bytes], file: IO[bytes]) -> list[bytes] | None:
    """Return the members of a file that is one JSON array, whose members count as lines; None for a file of lines."""
    lines += file.readlines()
    try:
        members = json.loads(b"".join(lines))
    except (ValueError, RecursionError):
        return lines
    return [json.dumps(member).encode() for member in members]


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path) if is_packed else path.open("rb")  # type: ignore[return-value]
