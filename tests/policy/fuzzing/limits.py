"""Reads policies within limits, and says what must hold and does not.

One fresh process reads a whole batch. Its peak memory bounds that of every single policy, and its address space is limited, so
that a policy that wants more ends in a MemoryError. ``tracemalloc`` would see less, nothing that libyaml takes, and slow
everything down. Time is the processor's, so that other processes do not count.
"""

from __future__ import annotations

import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from engine.domain.errors import Mistake, PolicyError
from engine.policy import Policy, parse_policy
from engine.policy.source import LINE_BREAK

SECONDS_MAX = 1.0
MEGABYTES_MAX = 200
FILE = "video.yaml"


class TooSlowError(BaseException):
    """Reading takes too long. Not an Exception, so that nobody takes it for a mistake in the policy."""


def read(data: str | bytes) -> tuple[str, list[str]]:
    """Return what became of a policy, and what is wrong with that: read, or refused with a place for every mistake."""
    try:
        policy = parse_policy(data, FILE)
    except PolicyError as error:
        is_yaml = not isinstance(error.__cause__, yaml.YAMLError)
        return "refused" if is_yaml else "not YAML", [*_misordered(error), *_misplaced(error.mistakes, data)]
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        return "broken", [f"{type(error).__name__}: {error}"[:200]]
    return "read", [*_misplaced(policy.warnings, data)] if isinstance(policy, Policy) else [f"no policy but {policy!r}"]


def _misordered(error: PolicyError) -> Iterator[str]:
    places = [(mistake.line or 0, mistake.column or 0) for mistake in error.mistakes]
    if not places or sorted(places) != places:
        yield f"mistakes in another order than that of the file, or none: {places}"


def _misplaced(mistakes: Sequence[Mistake], data: str | bytes) -> Iterator[str]:
    places = [(mistake.line or 0, mistake.column or 0) for mistake in mistakes]
    text = data.decode("utf-8-sig", errors="replace") if isinstance(data, bytes) else data.removeprefix("\ufeff")
    lines = len(LINE_BREAK.split(text))
    for mistake, (line, column) in zip(mistakes, places, strict=True):
        if not (1 <= line <= lines and column >= 1):
            yield f"a mistake at {line}:{column} of {lines} lines: {mistake.message}"
        if mistake.file != FILE or not mistake.message.isprintable():
            yield f"a message that does not name the file, or that a terminal obeys: {mistake.message!r}"


def read_in_time(data: bytes) -> tuple[float, str, list[str]]:
    """Return how many seconds of the processor a policy took, what became of it, and what is wrong with that."""
    signal.setitimer(signal.ITIMER_PROF, 1.2 * SECONDS_MAX)  # it counts in ticks, some of them too early
    started = time.process_time()
    try:
        became, wrong = read(data)
    except TooSlowError:
        became, wrong = "broken", [f"takes more than {SECONDS_MAX:g} s"]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - started
    return seconds, became, wrong if seconds <= SECONDS_MAX or wrong else [f"takes {seconds:.2f} s"]


def run_batch(policies: Iterable[tuple[int | str, bytes]]) -> dict[str, Any]:
    """Read policies within the limits, and return figures."""
    signal.signal(signal.SIGPROF, _too_slow)
    faults: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    slowest = (0.0, "")
    for name, data in policies:
        seconds, became, wrong = read_in_time(data)
        counts[became] += 1
        slowest = max(slowest, (seconds, str(name)))
        if wrong:
            faults[str(name)] = wrong
    return {"counts": counts, "faults": faults, "seconds_max": round(slowest[0], 3), "slowest": slowest[1]}


def _too_slow(_signal: int, _frame: object) -> None:
    raise TooSlowError


def limit_memory() -> None:
    """Let the process have no more address space than it has now and what a policy may take."""
    limit = _status("VmSize") + MEGABYTES_MAX * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak_megabytes() -> float:
    """Return the most memory that this process had: unlike ``ru_maxrss`` it is not inherited from the parent."""
    return round(_status("VmHWM") / 1024 / 1024, 1)


def _status(name: str) -> int:
    """Return a size of this process in bytes, as Linux counts it."""
    match = re.search(rf"^{name}:\s+([0-9]+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024
