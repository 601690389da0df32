"""The figures of a plan, at a tiny size: so that what measures it does not rot."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.planning import Taken, floor, made_events, plan, row_of


def test_what_is_measured_is_a_plan_of_made_events(tmp_path: Path):
    """The same events from the same seed; nearly all that is charged would cost more."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{line}\n" for line in made_events(60)))

    assert [*made_events(60)] == path.read_text().splitlines()
    assert {"video.rendered", "video.failed"} >= {json.loads(line)["detail-type"] for line in made_events(60)}
    assert not floor(path)
    assert "('debited', 'debited')" in plan(path, 1)


def test_a_row_has_the_share_of_its_own_round():
    """Of rounds that the machine disturbed the ratio stays."""
    rounds = [(Taken(1, 1, 30), Taken(6, 5, 100)), (Taken(2, 2, 30), Taken(12, 10, 110))]

    assert "| plan | 9.0 | 7.5 | 5.0 | 105 |" == row_of("plan", [each[1] for each in rounds], rounds)
