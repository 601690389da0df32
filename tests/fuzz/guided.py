"""One door under atheris: ``python -m tests.fuzz.guided DOOR SECONDS FOLDER``. Figures and findings go into the folder.

The seconds are the processor's, so that a busy machine tries as much as any other.

libFuzzer changes the bytes that hypothesis makes an input of, and keeps those that reach code that none before has reached.
A finding does not end the run: each kind is kept once, with the smallest bytes that make it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import Factory, define
from hypothesis import given, settings

from tests.fuzz.door import Door
from tools import environments

FIGURES, FINDINGS, KEPT = "figures.json", "findings", "corpus"
FIGURES_EVERY = 0.5
BYTES_MAX = 4096
MEGABYTES_MAX = 2048
HANG_SECONDS = 60
"""After so long libFuzzer ends the process, whatever the code under test does with signals; ``Door.watched`` is sooner."""

INSTRUMENTED = ["engine", "handler"]


@define
class Run:
    """What came of a door so far."""

    folder: Path
    seconds: int
    inputs: int = 0
    """Of all bytes those that made an input."""
    executions: int = 0
    findings: dict[str, int] = Factory(dict)
    """The size of the smallest bytes of each kind of finding."""
    first_found_after: int = 0
    written: float = 0.0
    begun: float = Factory(time.process_time)
    """When the door was open: to instrument what it imports takes as long as a short run."""

    def tell(self) -> None:
        """Write the figures, now and then. Ends the process at its time: libFuzzer would end it by the clock on the wall."""
        now = time.process_time()
        if now - self.written >= FIGURES_EVERY:
            self.written = now
            self.write()
        if now - self.begun >= self.seconds:
            self.write()
            os._exit(0)

    def write(self) -> None:
        """Write the figures."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures = {
            "executions": self.executions,
            "inputs": self.inputs,
            "findings": len(self.findings),
            "firstFoundAfter": self.first_found_after,
            "megabytes": usage.ru_maxrss // 1024,
            "cpuSeconds": round(usage.ru_utime + usage.ru_stime, 1),
        }
        beside = self.folder / f"{FIGURES}.new"
        beside.write_text(json.dumps(figures))
        beside.replace(self.folder / FIGURES)

    def found(self, error: BaseException, data: bytes, given: Any) -> None:
        """Keep a finding, unless a smaller one of its kind is kept."""
        kind = kind_of(error)
        if kind in self.findings and self.findings[kind] <= len(data):
            return
        self.first_found_after = self.first_found_after or self.inputs
        self.findings[kind] = len(data)
        place = self.folder / FINDINGS / f"{list(self.findings).index(kind):02}.txt"
        told = "".join(traceback.format_exception(error, limit=-8))
        place.write_text(f"{given!r}\n\n{told}", errors="backslashreplace")
        place.with_suffix(".bytes").write_bytes(data)


def kind_of(error: BaseException) -> str:
    """Return what tells one finding from another: the kind of error, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/engine/" in frame.filename or "/fuzz/" in frame.filename] or list(frames)
    return f"{type(error).__name__} {own[-1].filename}:{own[-1].lineno}"


def target(door: Door, run: Run) -> Callable[[bytes], None]:
    """Return what libFuzzer calls."""
    last: list[Any] = [None]

    def watched(given_: Any) -> None:
        run.inputs += 1
        last[0] = given_
        door.watched(given_)

    ask = settings(deadline=None, database=None)(given(door.inputs)(watched)).hypothesis.fuzz_one_input

    def one(data: bytes) -> None:
        run.executions += 1
        try:
            ask(data)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is what is looked for
            run.found(error, data, last[0])
        run.tell()

    return one


def main() -> None:
    """Ask a door for some seconds, with the code of the product instrumented."""
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    (folder / FINDINGS).mkdir(parents=True, exist_ok=True)
    (folder / KEPT).mkdir(exist_ok=True)
    sys.path.append(str(environments.FUZZ.packages))
    import atheris  # noqa: PLC0415  its environment is on the path only now

    from tests.fuzz import doors  # noqa: PLC0415  the same

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=INSTRUMENTED):  # it names each module
        door = doors.door(name)
    run = Run(folder, seconds)
    options = [
        f"-max_len={BYTES_MAX}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEGABYTES_MAX}",
        f"-artifact_prefix={folder}/",
        "-len_control=20",
        "-verbosity=0",
        str(folder / KEPT),
    ]
    atheris.Setup([sys.argv[0], *options], target(door, run))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
