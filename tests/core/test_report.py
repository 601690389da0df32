"""The page on performance says what the run has noted, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report

FIGURES = {
    "test_cold_start_to_the_first_debit": {
        "to_floor": 0.61, "memory_mib": 29.3,
        "milliseconds_median": 158, "milliseconds_p95": 240, "floor_milliseconds_median": 259,
    },
    "test_warm_debit": {"to_bare_transaction": 0.44},
    "test_warm_batch": {"cpu_to_bare_transaction": 0.14, "events_per_second_to_bare": 4.8},
    "test_matching_hardly_grows_with_the_number_of_rules": {
        f"{engine} {size}": size / 10 for engine in ("ours", "moto", "rule-engine") for size in (10, 100, 1000)
    },
}  # fmt: skip


def test_the_page_shows_each_figure_beside_its_gate(tmp_path: Path) -> None:
    """From the file that pytest-benchmark writes."""
    run = [{"name": name, "extra_info": info} for name, info in FIGURES.items()]
    (tmp_path / "run.json").write_text(json.dumps({"benchmarks": run}))

    page = report.page(report.read(tmp_path / "run.json"))

    assert "| **0.61** | <= 0.75 |" in page
    assert "| **4.8** | >= 2.5 |" in page
    assert "158 ms (p95 240), its floor 259 ms" in page
    assert "| ours | 1.0 | 10.0 | 100.0 |" in page
    assert "$" not in page


def test_a_figure_that_is_missing_is_no_page() -> None:
    """A run of some benchmarks only does not overwrite what a whole run has said."""
    with pytest.raises(KeyError, match="test_warm_batch"):
        report.page({name: info for name, info in FIGURES.items() if name != "test_warm_batch"})


def test_the_plot_ends_each_bar_at_its_share_of_the_gate() -> None:
    """0.61 of 0.75 is shorter than the whole; it is well-formed, and has a bar for each bound from above."""
    drawing = ET.fromstring(report.plot(FIGURES))  # noqa: S314  our own
    bars = [int(bar.attrib["width"]) for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")]

    assert 5 == len(bars)
    assert round((report.WIDTH - report.LEFT - 90) * 0.61 / 0.75) == bars[0]
