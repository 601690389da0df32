"""A door: what may come in by it, and what must hold of everything that does."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import field, frozen
from hypothesis import HealthCheck, event, given, settings
from hypothesis.control import currently_in_test_context
from hypothesis.database import ExampleDatabase
from hypothesis.strategies import SearchStrategy

SECONDS_MAX = 2.0
"""What one input may take of the processor. The slowest takes some hundredths; coverage and a busy machine cost the rest."""


class HangError(BaseException):
    """An input takes too long. Not an Exception, so that the code under test cannot take it for its own."""


@frozen
class Door:
    """What comes in (``inputs``), what must hold (``check`` raises where it does not), the code behind it (``modules``)."""

    name: str
    inputs: SearchStrategy[Any] = field(repr=False)
    check: Callable[[Any], None] = field(repr=False)
    modules: tuple[str, ...]

    def watched(self, given_: Any) -> None:
        """Check an input within its time. Raises AssertionError for one that takes longer."""
        started = time.process_time()
        with suppress(ValueError):  # only the main thread may set a signal
            signal.signal(signal.SIGPROF, _hangs)
            signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX * 1.2)
        try:
            self.check(given_)
        except HangError as hang:
            raise AssertionError(f"takes more than {SECONDS_MAX:g} s") from hang
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - started
        assert seconds <= SECONDS_MAX, f"takes {seconds:.1f} s"

    def test(self, examples: int = 100, database: ExampleDatabase | None = None, **more: Any) -> Callable[[], None]:
        """Return a test of hypothesis: it raises what the smallest input raises of which something does not hold."""
        known = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": database, **more}

        @settings(max_examples=examples, **known)
        @given(self.inputs)
        def holds(given_: Any) -> None:
            self.watched(given_)

        return holds


def seen(what: str) -> None:
    """Count something for hypothesis's statistics (``--hypothesis-show-statistics``)."""
    if currently_in_test_context():
        event(what)


def _hangs(_signal: int, _frame: object) -> None:
    raise HangError
