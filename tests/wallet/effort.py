"""What work takes of a processor. Only the ratio of two pieces of work, one after the other, says anything."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object], times: int = 5) -> float:
    """Return the processor's time for ``work``, the least of some tries; a tenth of a millisecond at least, which is noise.

    The collector of garbage rests meanwhile: how long it looks depends on what other tests have left behind.
    """
    work()  # what is compiled or imported once is not counted
    gc.disable()
    try:
        return max(1e-4, min(_once(work) for _ in range(times)))
    finally:
        gc.enable()


def _once(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
