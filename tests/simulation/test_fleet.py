"""Many histories by the command: on several cores as on one, with the exit status of all of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.simulation import fleet
from tests.simulation.__main__ import main
from tests.simulation.fleet import Failure, Tally, play_some, played
from tests.simulation.history import play
from tests.simulation.tables import BRANCH_NAMES, FAULT_NAMES
from tests.simulation.world.plan import plan_of
from tests.simulation.world.small import SMALL_FROM

SEEDS = range(SMALL_FROM + 300, SMALL_FROM + 305)
AT_ONCE = 3
"""Two parts, of which the second is short."""


def test_what_two_processes_play_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each history by itself comes to what its seed says; the tables are the sums."""
    monkeypatch.setattr(fleet, "AT_ONCE", AT_ONCE)
    verdicts = [play(plan_of(seed)) for seed in SEEDS]
    tally = Tally()
    for part in played(SEEDS, workers=2):
        tally.add(part)

    assert (5, sum(verdict.events for verdict in verdicts)) == (tally.histories, tally.events)
    assert sum(verdict.entries for verdict in verdicts) == tally.entries
    assert sum((verdict.count for verdict in verdicts), Counter()) == tally.count
    assert [] == tally.failed


def test_a_history_that_ends_wrong_is_kept_with_its_story() -> None:
    """Of the others only their counts are."""
    first, second = Tally(3, 40, 20, Counter({"a": 1})), Tally(2, 30, 10, Counter({"a": 2, "b": 1}))
    second.failed.append(Failure(7, ("u-1 is wrong",), ("12:00:00  a line",)))
    first.add(second)

    assert Tally(5, 70, 30, Counter({"a": 3, "b": 1}), [Failure(7, ("u-1 is wrong",), ("12:00:00  a line",))]) == first


def test_what_the_simulation_itself_raises_names_its_seed() -> None:
    """Among a hundred thousand nobody would find it again."""
    with patch.object(fleet, "plan_of", lambda _seed: None), pytest.raises(AttributeError) as raised:
        play_some([41])

    assert ["in the history of seed 41"] == raised.value.__notes__


def test_seeds_that_nobody_has_chosen_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """To be played again; one history alone has not seen every fault, and its exit status says so."""
    assert 1 == main(["--fresh", "1", "--complete"])
    told = capsys.readouterr().out
    first, _, end = told.partition("seeds ")[2].split(",")[0].partition(":")

    assert int(first) + 1 == int(end)
    assert f"--seeds {first}:{end}\n" in told
    assert "\nnever occurred: " in told
    assert 0 == main(["--seeds", f"{first}:{end}"])
    assert (
        told.partition("faults and chances")[2].splitlines()[: len(FAULT_NAMES) + len(BRANCH_NAMES)]
        == (capsys.readouterr().out.partition("faults and chances")[2].splitlines()[: len(FAULT_NAMES) + len(BRANCH_NAMES)])
    )


def workers_of(process: int) -> list[int]:
    """Return the workers that a process has begun and that are still there."""
    children = map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for other processes."""
    until = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.proof
def test_no_worker_outlives_a_command_that_was_killed() -> None:
    """Each would keep its memory for as long as the machine runs. They are at work when they have read what they work with."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "0:1000000", "--workers", "2"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(workers_of(process.pid)) == 2)
        workers = workers_of(process.pid)
        wait_until(lambda: all(b"_greenlet" in Path(f"/proc/{worker}/maps").read_bytes() for worker in workers))
        process.kill()

    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
