"""A run beside the saved one: what has become worse by more than chance fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare

SAVED = {"test_warm_debit: to_bare_transaction": 0.4, "test_warm_batch: events_per_second_to_bare": 4.0}


def notes(debit: float, batch: float) -> dict[str, dict[str, Any]]:
    """Return what a run has noted."""
    return {
        "test_warm_debit": {"to_bare_transaction": debit},
        "test_warm_batch": {"events_per_second_to_bare": batch},
    }


@pytest.mark.parametrize(
    ("debit", "batch", "is_good"),
    [
        (0.4, 4.0, True),
        (0.3, 5.0, True),
        (0.59, 2.7, True),  # by 48 percent: chance, or another processor
        (0.61, 4.0, False),  # more time than before is worse
        (0.4, 2.6, False),  # fewer events a second are worse
    ],
)
def test_worse_by_more_than_half_is_told(debit: float, batch: float, is_good: bool) -> None:  # noqa: FBT001  a case
    """In either direction, whichever is the bad one."""
    assert is_good == compare.compare(SAVED, notes(debit, batch))[1]


def test_times_of_another_hour_are_told_and_not_judged() -> None:
    """The machine may be half as fast as it was when the run was saved; ratios within a run do not tell."""
    name = "test_matching_hardly_grows_with_the_number_of_rules"

    lines, is_good = compare.compare({f"{name}: ours 1000": 1.7}, {name: {"ours 1000": 5.1}})

    assert is_good
    assert any("+200%" in line and "WORSE" not in line for line in lines)


def test_what_only_one_of_the_runs_has_is_named_and_not_judged() -> None:
    """Benchmarks that are new, or that were left out."""
    lines, is_good = compare.compare(SAVED, notes(0.4, 4.0))

    assert is_good
    assert [line for line in lines if "not in both runs" in line and "cold start" in line]


def test_it_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What one run saves, the next is compared with."""
    monkeypatch.setattr(compare, "SAVED", tmp_path / "baseline.json")
    for name, run in (("before", notes(0.4, 4.0)), ("after", notes(0.8, 4.0))):
        benchmarks = [{"name": benchmark, "extra_info": info} for benchmark, info in run.items()]
        (tmp_path / f"{name}.json").write_text(json.dumps({"benchmarks": benchmarks}))

    assert 0 == compare.main([str(tmp_path / "before.json"), "--save"])
    assert 0 == compare.main([str(tmp_path / "before.json")])
    assert 1 == compare.main([str(tmp_path / "after.json")])
    assert "+100%  WORSE" in capsys.readouterr().out
    assert {"commit", "figures"} == json.loads((tmp_path / "baseline.json").read_text()).keys()


def test_a_run_is_saved() -> None:
    """Its figures are all known ones."""
    saved = json.loads(Path(compare.__file__).with_name("baseline.json").read_text())

    assert {compare.name(figure) for figure in compare.FIGURES} == saved["figures"].keys()
