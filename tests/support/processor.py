"""Bounds on time that other work of the machine cannot break."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where what is done inside takes this process more seconds of the processor than that."""
    started = time.process_time()
    yield
    assert time.process_time() - started <= seconds
