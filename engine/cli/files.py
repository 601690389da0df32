"""Files that the command adds to: a whole line more, or a sentence that names the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class UnwritableFileError(Exception):
    """A file cannot be written: the disk is full, say, or it may not be."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file where it cannot be written. Raises UnwritableFileError."""
    try:
        yield
    except OSError as error:
        raise UnwritableFileError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Raise UnwritableFileError for a file that cannot be written, before the work that it is to show."""
    with writing(path):
        if path.exists():
            path.open("ab").close()
        else:
            path.touch()
            path.unlink()


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, all of it or none: half a line would spoil the next one too. Raises UnwritableFileError."""
    with writing(path), path.open("ab", buffering=0) as file:
        size, rest = file.tell(), memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):  # not every file can be cut off: a device cannot
                os.truncate(file.fileno(), size)
            raise
