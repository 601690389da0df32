"""Reads a batch of odd policies in this process, and prints figures as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable

from engine.policy import parse_policy
from tests.policy.fuzzing.files import Maker
from tests.policy.fuzzing.huge import HUGE
from tests.policy.fuzzing.limits import FILE, limit_memory, peak_megabytes, run_batch
from tests.policy.mutation.spread import SPREAD


def main() -> None:
    """Read a batch, and print figures."""
    parser = argparse.ArgumentParser(description="Read odd policies within bounds of time and memory.")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument("--count", type=int, default=10_000, help="how many")
    parser.add_argument("--huge", action="append", choices=HUGE, help="read this one instead")
    parser.add_argument("--show", action="store_true", help="print what would be read")
    options = parser.parse_args()
    maker = Maker()
    parse_policy(SPREAD, FILE)  # what is imported on first use is no policy's fault
    seeds = range(options.first, options.first + options.count)
    policies: list[tuple[int | str, bytes]] = [(name, HUGE[name]().encode()) for name in options.huge or ()]
    batch: Iterable[tuple[int | str, bytes]] = policies or ((seed, maker.make(seed)) for seed in seeds)
    if options.show:
        sys.stdout.buffer.writelines(data for _, data in batch)
        return
    limit_memory()
    started = time.process_time()
    answer = run_batch(batch)
    figures = {"seconds": round(time.process_time() - started, 1), "megabytes_max": peak_megabytes()}
    sys.stdout.write(json.dumps({**answer, **figures}) + "\n")


if __name__ == "__main__":
    main()
