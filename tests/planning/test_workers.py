"""Processes that share a plan's work: what a person is told when one of them is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from tests.support.planning import made_lines
from tests.support.policies import example_text


def kill_one() -> None:
    """Kill a worker process as soon as there is one."""
    until = time.monotonic() + 60
    while not (workers := multiprocessing.active_children()) and time.monotonic() < until:
        time.sleep(0.01)
    pid = workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_worker_process_that_is_killed_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the system kills it that has no memory left. Nothing stays on disk of what was spilled."""
    policy, events, spilled = tmp_path / "policy.yaml", tmp_path / "events.jsonl", tmp_path / "spilled"
    policy.write_text(example_text())
    events.write_bytes(b"".join(made_lines(1, 200)))
    spilled.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spilled))
    killer = threading.Thread(target=kill_one)
    killer.start()

    result = CliRunner().invoke(app, ["plan", str(policy), "--policy", str(policy), "--events", str(events), "--workers", "2"])
    killer.join()

    assert 2 == result.exit_code
    assert "a worker process was killed, perhaps for want of memory; --workers 1 takes less" == " ".join(result.stderr.split())
    assert [] == [*spilled.iterdir()]
