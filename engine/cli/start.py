"""What the command does first: it answers at once what needs no library, and imports the library only for the rest.

Help is text that the project keeps (``help/``, written by ``python -m tools.help_texts``); ``validate`` reads its own
arguments where they are plain. Both leave the rest to ``app``, which knows every command, every option and every mistake.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable

from engine.cli.program import DISTRIBUTION, PROGRAM, version_line
from engine.cli.status import FAILED, MISUSED

LIBRARY = "typer"
"""It comes with the extra ``cli``; without it there are help, the version, and ``validate`` where its arguments are plain."""

COLUMNS = 80
"""How wide the stored help is. In a terminal that is narrower the library writes it."""


def command() -> None:
    """Run the command and end the process, without taking apart what was imported: that takes longer than help to print."""
    main(leave=os._exit)


def main(leave: Callable[[int], object] = sys.exit) -> None:
    """Run the command with the arguments of this process. ``leave`` ends it where all that it printed has gone out."""
    try:
        status = _at_once(sys.argv[1:])
        if status is None:
            leave, status = sys.exit, _by_the_library()
        if sys.stdout:  # there is none where it was closed
            sys.stdout.flush()
    except OSError as error:
        status = _unheard(error)
    leave(status)


UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""What is wrong where a file takes no more: the disk is full, say. Files that the command opens itself are told by name."""


def _unheard(error: OSError) -> int:
    """Return the exit status where standard output takes no more. Raises the error where it is of something else.

    Whoever has closed the pipe wants no more, and is told nothing. A full disk must not look like a check that failed.
    """
    is_closed = isinstance(error, BrokenPipeError)
    if not is_closed and (error.errno not in UNWRITABLE or error.filename is not None):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may Python flush what is left
    if is_closed:
        return FAILED
    try:
        print(f"standard output cannot be written: {error.strerror}", file=sys.stderr, flush=True)
    except OSError:  # the same disk, perhaps
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
    return MISUSED


def _by_the_library() -> int:
    """Run the command by the library, and return its exit status."""
    try:
        from engine.cli.app import main as run  # noqa: PLC0415  it imports the library
    except ModuleNotFoundError as missing:
        if missing.name != LIBRARY:
            raise
        print(f"this command needs the libraries of the extra `cli`: pip install '{DISTRIBUTION}[cli]'", file=sys.stderr)
        raise SystemExit(MISUSED) from missing
    try:
        run()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _at_once(arguments: list[str]) -> int | None:
    """Answer, and return the exit status; or return None where the library has to."""
    *command, last = arguments or [""]
    if arguments == ["--version"]:
        print(version_line())
        return 0
    if last == "--help" and (text := stored_help(command)) is not None:
        print(text, end="")
        return 0
    if not arguments and (text := stored_help([])) is not None:
        print(text, end="", file=sys.stderr)
        return MISUSED
    return _validated(arguments[1:]) if arguments[:1] == ["validate"] else None


def _validated(arguments: list[str]) -> int | None:
    """The garbage collector would look again and again, the last time at the end, at what is imported: all of it stays."""
    gc.disable()
    from engine.cli.kept_methods import kept_methods  # noqa: PLC0415  only here it is worth what it takes

    try:
        with kept_methods():
            from engine.cli.validate import plain_request, validate  # noqa: PLC0415  it imports what reads a policy

            request = plain_request(arguments)
            return None if request is None else validate(**request)
    finally:
        gc.freeze()
        gc.enable()


def stored_help(command: list[str]) -> str | None:
    """Return the help of a command (``["anomalies", "list"]``; ``[]`` is the whole), or None where it has to be written."""
    if not all(word.replace("-", "").isalpha() for word in command) or terminal_columns() < COLUMNS:
        return None
    try:
        with open(help_file(command), encoding="utf-8") as file:  # noqa: PTH123  pathlib takes longer than all of this
            return file.read()
    except OSError:  # no such command, or no name for a file
        return None


def help_file(command: list[str]) -> str:
    """Return where the help of a command is kept."""
    return f"{os.path.dirname(__file__)}/help/{'.'.join([PROGRAM, *command])}.txt"  # noqa: PTH120  as above


def terminal_columns() -> int:
    """Return how wide the terminal is, as ``shutil.get_terminal_size`` finds it, whose import takes longer than the rest."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated):
        return int(stated)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else -1).columns or COLUMNS
    except (ValueError, OSError):  # closed, or no terminal
        return COLUMNS
