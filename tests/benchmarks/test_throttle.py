"""A share of a processor, held to by signals."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.throttle import Throttle, cpu_seconds, share_of

SECONDS = 1.0


def test_a_busy_process_gets_its_share_and_no_more() -> None:
    """It may get less where the machine has other work; afterwards it runs on."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            with Throttle(process.pid, share_of(512)):
                begun, before = time.perf_counter(), cpu_seconds(process.pid)
                time.sleep(SECONDS)
                share = (cpu_seconds(process.pid) - before) / (time.perf_counter() - begun)
            before = cpu_seconds(process.pid)
            time.sleep(SECONDS / 2)
            afterwards = cpu_seconds(process.pid) - before
        finally:
            process.kill()

    assert 0.05 < share < 0.36  # 512 of 1769 MB are 0.29
    assert afterwards > 0.05
