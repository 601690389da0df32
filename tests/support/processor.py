"""Bounds on time that other work of the machine cannot break."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where what is done inside takes this thread more seconds of the processor than that.

    Neither what other threads do meanwhile counts, such as a database of earlier tests, nor a look of the collector of garbage
    through all that they have left, which may fall into any test.
    """
    collects = gc.isenabled()
    gc.disable()
    started = time.thread_time()
    try:
        yield
        taken = time.thread_time() - started
    finally:
        if collects:
            gc.enable()
    assert taken <= seconds
