"""The methods that attrs writes, kept as Python keeps bytecode: in ``__pycache__``, as long as the same is written.

attrs writes the methods of each class as a text and compiles it, in each process anew: a fifth of what ``validate`` takes.
Here the compiled form is kept beside its text, so that after an edit of a class, or with another attrs, it is compiled as
ever. Where nothing can be kept, nothing changes.
"""

from __future__ import annotations

import builtins
import marshal
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import CodeType
from typing import Any

WRITTEN_BY_ATTRS = "<attrs generated "
"""What the names of the texts begin with: ``<attrs generated methods engine.domain.entry.Entry>``."""

SALT = re.compile(r"(?<=hash\(\(\n)\s+-?\d+,")
"""A number in the text of a ``__hash__`` that is another one in each process. It tells classes apart; any number does."""

FILE = f"{os.path.dirname(__file__)}/__pycache__/attrs-methods.{sys.implementation.cache_tag}"  # noqa: PTH120  as in start.py

type Kept = dict[str, tuple[str, CodeType]]
"""By its name, the text without its salt, and what it was compiled to."""


@contextmanager
def kept_methods(file: str = FILE) -> Iterator[Kept]:
    """Take compiled methods from ``file`` meanwhile; yield those that had to be compiled, and keep them too."""
    known, new, real = _read(file), dict[str, tuple[str, CodeType]](), builtins.compile

    def compiled(source: Any, filename: Any, mode: str, *options: Any, **more: Any) -> Any:
        if not isinstance(source, str) or not str(filename).startswith(WRITTEN_BY_ATTRS):
            return real(source, filename, mode, *options, **more)
        text = SALT.sub("", source)
        kept, code = known.get(filename, ("", None))
        if kept != text or code is None:
            code = real(source, filename, mode, *options, **more)
            new[filename] = text, code
        return code

    builtins.compile = compiled
    try:
        yield new
    finally:
        builtins.compile = real
    if new and not sys.dont_write_bytecode:
        _write(file, known | new)


def _read(file: str) -> Kept:
    """Return what is kept: nothing where there is no such file, or where it is not whole."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123  pathlib takes longer to import than to read
            return dict(marshal.loads(opened.read()))  # noqa: S302  as trustworthy as the bytecode beside it
    except (OSError, ValueError, EOFError, TypeError):
        return {}


def _write(file: str, kept: Kept) -> None:
    """Put a new file in the old one's place, so that nobody reads half of it; where that is not allowed, leave it."""
    beside = f"{file}.{os.getpid()}"
    with suppress(OSError):
        with open(beside, "wb") as opened:  # noqa: PTH123  as above
            opened.write(marshal.dumps(kept))
        os.replace(beside, file)  # noqa: PTH105  as above
