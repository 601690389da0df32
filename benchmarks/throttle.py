"""What Lambda's share of a processor does to a process: within each period it runs until its share is used, and then waits.

Control groups would need a right that few machines give away, so the process is stopped and continued by signals.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType
from typing import Self

VCPU_MEGABYTES = 1769
"""At this memory a function has one vCPU. Source: "Configure Lambda function memory", AWS Lambda Developer Guide."""

PERIOD_SECONDS = 0.020
"""The period of Linux's bandwidth controller that functions have been seen to run under: observed, not promised."""

LOOK_SECONDS = 0.0003


def share_of(megabytes: int) -> float:
    """Return the share of a vCPU that goes with a function's memory: 0.29 at 512 MB."""
    return megabytes / VCPU_MEGABYTES


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far, all its threads together (Linux only).

    Source of the clock's number: clock_getcpuclockid(3) as glibc has it.
    """
    return time.clock_gettime((~pid << 3) | 2)


class Throttle:
    """Holds a process to ``share`` of one processor while entered. What it uses beyond that is taken off the next period."""

    def __init__(self, pid: int, share: float) -> None:
        self.pid, self.quota = pid, share * PERIOD_SECONDS
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()

    def _run(self) -> None:
        limit = cpu_seconds(self.pid)
        while not self.ended.is_set():
            # What was left over lapses. What was used too much, even between a look and the stop after it, stays owed.
            limit = min(limit, cpu_seconds(self.pid)) + self.quota
            self._period(limit)

    def _period(self, limit: float) -> None:
        """Let the process run for one period, or until it has used ``limit`` seconds in its life."""
        ends = time.perf_counter() + PERIOD_SECONDS
        while time.perf_counter() < ends and not self.ended.is_set():
            if cpu_seconds(self.pid) >= limit:
                self._stop_until(ends)
                return
            time.sleep(LOOK_SECONDS)

    def _stop_until(self, instant: float) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            self.ended.wait(max(0.0, instant - time.perf_counter()))
        finally:
            os.kill(self.pid, signal.SIGCONT)
