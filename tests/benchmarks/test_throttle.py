"""A share of a processor, held to by signals."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks.throttle import Throttle, cpu_seconds, share_of

SECONDS = 1.0

ONE_THREAD = "while True: pass"
TWO_THREADS = """
import hashlib, threading
def work():
    while True:
        hashlib.sha256(bytes(1 << 20)).digest()  # without the interpreter's lock
threading.Thread(target=work, daemon=True).start()
work()
"""


@pytest.mark.parametrize("program", [ONE_THREAD, TWO_THREADS], ids=["one thread", "two threads"])
def test_a_busy_process_gets_its_share_and_no_more(program: str) -> None:
    """It may get less where the machine has other work; afterwards it runs on."""
    with subprocess.Popen([sys.executable, "-c", program]) as process:
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

    assert 0 < share < 0.34  # 512 of 1769 MB are 0.29
    assert afterwards > 0
