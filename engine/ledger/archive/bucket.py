"""Where objects are kept by their keys: in S3, in a folder that is a copy of it, in memory.

An object is written once and never changed: its key says what is in it. The bucket of a stack keeps every version and lets
nobody remove one before its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from attrs import Factory, define, frozen

from engine.runtime.clock import Deadline


class Bucket(Protocol):
    """Objects by their keys. Raises LedgerUnavailable where no answer comes in time, and LedgerRefused where it may not."""

    def put(self, key: str, body: bytes, deadline: Deadline) -> None:
        """Keep an object. The same once more is the same."""

    def get(self, key: str, deadline: Deadline) -> bytes | None:
        """Return an object as it was first kept under its key; None where there is none."""

    def keys(self, prefix: str, after: str, deadline: Deadline) -> Iterator[str]:
        """Yield the keys that begin with ``prefix`` and come ``after`` another ("": all), in the order of their bytes."""


@define
class MemoryBucket:
    """Objects in memory."""

    objects: dict[str, bytes] = Factory(dict)

    def put(self, key: str, body: bytes, deadline: Deadline) -> None:  # noqa: ARG002  the protocol hands over deadlines
        """Keep an object, unless one is kept under its key."""
        self.objects.setdefault(key, body)

    def get(self, key: str, deadline: Deadline) -> bytes | None:  # noqa: ARG002  the same
        """Return an object, None where there is none."""
        return self.objects.get(key)

    def keys(self, prefix: str, after: str, deadline: Deadline) -> Iterator[str]:  # noqa: ARG002  the same
        """Yield the keys that begin with ``prefix`` and come ``after`` another, in order."""
        yield from sorted(key for key in self.objects if key.startswith(prefix) and key > after)


UNFINISHED = ".new-"
"""What the name of a file begins with that is being written, or whose writer died."""


@frozen
class FolderBucket:
    """Objects as files of a folder, as ``aws s3 sync`` copies a bucket."""

    folder: Path

    def put(self, key: str, body: bytes, deadline: Deadline) -> None:  # noqa: ARG002  the same
        """Keep an object, whole or not at all, unless one is kept under its key."""
        path = self.folder / key
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{UNFINISHED}{uuid4().hex}")
        beside.write_bytes(body)
        beside.replace(path)

    def get(self, key: str, deadline: Deadline) -> bytes | None:  # noqa: ARG002  the same
        """Return an object, None where there is none."""
        try:
            return (self.folder / key).read_bytes()
        except FileNotFoundError:
            return None

    def keys(self, prefix: str, after: str, deadline: Deadline) -> Iterator[str]:  # noqa: ARG002  the same
        """Yield the keys that begin with ``prefix`` and come ``after`` another, in order."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED))
        found = (path.relative_to(self.folder).as_posix() for path in files)
        yield from sorted(key for key in found if key.startswith(prefix) and key > after)
