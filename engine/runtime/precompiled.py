"""The methods that attrs writes for our classes, compiled beforehand.

attrs writes the methods of each class as source text, and compiles it when the class is made: for our 90 classes a quarter of
what the imports of the hot function take. The build notes the bytecode
(``python -m engine.runtime.precompiled FOLDER``), and a cold start takes it from there, by the name that attrs gives each
text. It is as trustworthy as the other bytecode of the artifact, which is not compared with its source either; what has not
been noted is compiled as ever.
"""

from __future__ import annotations

import builtins
import marshal
import sys
from typing import Any

COMPILE = builtins.compile

WRITTEN_BY_ATTRS = "<attrs generated "
"""What the names begin with: ``<attrs generated methods engine.domain.entry.Entry>``."""


def file_of(folder: str) -> str:
    """Return where the bytecode is kept. Its version is in the name, as for all bytecode: no other Python looks there."""
    return f"{folder}/engine/precompiled.{sys.implementation.cache_tag}"


def recall(folder: str) -> None:
    """Let ``compile`` answer with what the build has noted in ``folder``, until ``forget``. Without a note nothing changes."""
    try:
        with open(file_of(folder), "rb") as file:  # noqa: PTH123  pathlib is not imported yet
            codes: dict[str, Any] = marshal.loads(file.read())  # noqa: S302  made by our own build, beside our own code
    except OSError:
        return

    def recalled(source: Any, filename: Any, mode: str, *options: Any, **more: Any) -> Any:
        return codes.get(filename) or COMPILE(source, filename, mode, *options, **more)

    builtins.compile = recalled


def forget() -> None:
    """Let ``compile`` compile again."""
    builtins.compile = COMPILE


def note(folder: str) -> int:
    """Import the handler from ``folder``, note what attrs compiles meanwhile, and return how much it was."""
    codes: dict[str, Any] = {}

    def noted(source: Any, filename: Any, mode: str, *options: Any, **more: Any) -> Any:
        code = COMPILE(source, filename, mode, *options, **more)
        if isinstance(filename, str) and filename.startswith(WRITTEN_BY_ATTRS):
            codes[filename] = code
        return code

    builtins.compile = noted
    try:
        import handler  # noqa: F401, PLC0415  importing it is what makes the classes
    finally:
        forget()
    with open(file_of(folder), "wb") as file:  # noqa: PTH123  as above
        file.write(marshal.dumps(codes))
    return len(codes)


if __name__ == "__main__":
    sys.exit(note(sys.argv[1]) == 0)
