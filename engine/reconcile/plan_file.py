"""A plan of corrections in a file: a line of what it is, a line for each log that it corrects, and its digest.

JSON lines, numbers as exact texts. The last line has the SHA-256 of all lines before it: whoever applies the plan applies what
was looked at, to the byte, and each entry says by that digest which plan posted it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.domain.digits import as_text

type Line = Mapping[str, Any]

DIGEST = "sha256"

HEAD = frozenset({"tables", "reason", "by", "at", "total"})
"""What the first line says of every plan."""

OWN: Mapping[str, frozenset[str]] = {"reprice": frozenset({"policy"})}
"""What it says beside that of a plan of one kind."""

COMMANDS: Mapping[str, str] = {"repair": "audit --repair"}
"""What writes plans of a kind, where that is not called like it."""

VERSION = 1
"""A plan of another form is not applied: it is made again."""


class PlanFileError(ValueError):
    """The file is no plan, or not the plan that was written. Nothing was posted."""


@frozen
class PlanFile:
    """A plan that was read once, whole: what it is about, and which one it is. Its lines are read again one by one."""

    path: Path
    header: Line
    digest: str
    lines_count: int

    @classmethod
    def open(cls, path: Path, kind: str) -> PlanFile:
        """Return the plan in a file. Raises PlanFileError for anything but what ``write`` has written."""
        try:
            with path.open("rb") as file:
                header, said, count = _checked(file, str(path), kind)
        except OSError as error:
            raise PlanFileError(f"{path}: cannot be read: {error}") from error
        return cls(path, header, said, count)

    def lines(self) -> Iterator[Line]:
        """Yield what it has for each log, in its order."""
        with self.path.open("rb") as file:
            next(file)
            for _, line in zip(range(self.lines_count), file, strict=False):
                yield _object(line)


def read_plan(data: bytes, name: str, kind: str) -> tuple[str, list[Line]]:
    """Return the digest of a plan that is kept elsewhere, and its lines. Raises PlanFileError for what is none."""
    lines = data.splitlines(keepends=True)
    _, said, count = _checked(lines, name, kind)
    return said, [_object(line) for line in lines[1 : count + 1]]


def kind_of(path: Path) -> str:
    """Return what a plan is of, as its first line says; empty where there is none."""
    try:
        with path.open("rb") as file:
            return str(_object(file.readline()).get("plan", ""))
    except OSError:
        return ""


def _checked(file: Iterable[bytes], name: str, kind: str) -> tuple[Line, str, int]:
    """Return a plan's header, its digest, and how many lines it has beside."""
    digest, last, count, header = hashlib.sha256(), b"", 0, b""
    for line in file:
        digest.update(last)
        header, last, count = header or line, line, count + 1
    said, head = _object(last).get(DIGEST), _object(header)
    if said is None or count < len((header, last)) or head.get("plan") != kind:
        command = COMMANDS.get(kind, kind)
        raise PlanFileError(f"{name}: is no plan of `reconciler {command}`, or its end is missing; plan again")
    if last != _end(digest.hexdigest()):
        raise PlanFileError(f"{name}: was changed since it was written: a plan is posted as it was looked at; plan again")
    if head.get("version") != VERSION or not head.keys() >= HEAD | OWN.get(kind, frozenset()):
        raise PlanFileError(f"{name}: was written by another version of this program; plan again")
    return head, said, count - 2


def write(path: Path, header: Line, lines: Iterable[str]) -> str:
    """Write a plan, all of it or none, and return its digest. ``lines`` are as ``text_of`` returns them."""
    beside, digest = path.with_name(f"{path.name}.new"), hashlib.sha256()
    with beside.open("wb") as file:
        for line in _all(header, lines):
            digest.update(line)
            file.write(line)
        file.write(_end(digest.hexdigest()))
    beside.replace(path)
    return digest.hexdigest()


def _end(digest: str) -> bytes:
    """Return the last line. It has one form, to the byte, like all lines before it."""
    return _bytes(text_of({DIGEST: digest}))


def text_of(line: Line) -> str:
    """Return a line as the file has it; what is None is left out."""
    return json.dumps(_told(line), default=as_text, separators=(",", ":"), ensure_ascii=False)


def _all(header: Line, lines: Iterable[str]) -> Iterator[bytes]:
    yield _bytes(text_of({**header, "version": VERSION}))
    yield from map(_bytes, lines)


def _bytes(text: str) -> bytes:
    return f"{text}\n".encode()


def _object(line: bytes) -> Line:
    """Return the object in a line; an empty one where there is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _told(member) for name, member in value.items() if member is not None}
    return [_told(member) for member in value] if isinstance(value, list | tuple) else value
