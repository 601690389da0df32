"""The page on performance says what the run has noted, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report
from benchmarks.figures import FIGURES, Notes, read

PLAIN = ("ours", "bare", "powertools", "predecessor")
NOTES: Notes = {
    "test_cold_start_to_the_first_debit": {
        "to_floor": 0.51, "memory_mib": 29.3,
        "milliseconds_median": 128, "milliseconds_p95": 240, "floor_milliseconds_median": 259,
    },
    "test_first_invocation_under_lambda_s_conditions": {
        "first_to_second": 1.3, "milliseconds_total_p95": 201,
        "milliseconds_init": 115, "milliseconds_first": 4.0, "milliseconds_later": 2.9,
    },
    "test_warm_debit": {"to_bare_transaction": 0.44},
    "test_warm_hold": {"hold_to_debit": 1.24, "settle_to_debit": 1.46},
    "test_post": {"to_bare_transaction": 0.23},
    "test_warm_batch": {"cpu_to_bare_transaction": 0.11, "events_per_second_to_bare": 4.8},
    "test_scan_page": {"to_client": 0.27},
    "test_help": {"to_python": 1.2},
    "test_validate": {"to_python": 8.4},
    "test_decide_one_event": {"microseconds": 48.5},
    "test_matching_hardly_grows_with_the_number_of_rules": {
        "thousand_to_ten": 1.1,
        **{f"{engine} {size}": size / 10 for engine in ("ours", "moto", "rule-engine") for size in (10, 100, 1000)},
    },
    "test_peers_matching": {f"zen-engine {size}": size * 1.5 for size in (10, 100, 1000)},
    "test_peers_cold_start": {
        f"{name}{key}": 2 for name in report.STARTS for key in ("_to_floor", "_milliseconds", "_milliseconds_p95")
    },
    "test_peers_warm_cpu": {
        **{f"{name}_cpu_microseconds": 1456 for name in PLAIN}, **{f"{name}_to_ours": 9.8 for name in PLAIN},
    },
}  # fmt: skip


def test_the_page_shows_each_figure_beside_its_aim_and_its_gate(tmp_path: Path) -> None:
    """From the file that pytest-benchmark writes."""
    run = [{"name": name, "extra_info": info} for name, info in NOTES.items()]
    (tmp_path / "run.json").write_text(json.dumps({"benchmarks": run}))

    page = report.page(read(tmp_path / "run.json"))

    assert "| **0.51** | <= 0.60 | <= 0.6 |" in page
    assert "| CPU of a warm hold, answered with what is left | a warm debit | **1.24** |" in page
    assert "| hold and settle |  | 13, and 2 read units | 11.73 |" in page
    assert "| **4.8** | >= 3.5 | >= 2.5 |" in page
    assert "| CPU of `reconciler validate` | a Python that does nothing | **8.4** | <= 10 | <= 10 |" in page
    assert "128 ms (p95 240) on loopback, without TLS, its floor 259 ms" in page
    assert "115 ms, the first invocation 4.0 ms, those after it 2.9 ms" in page
    assert "| ours | 1.0 | 10.0 | 100.0 |" in page
    assert "| zen-engine (Rust), a decision table | 15.0 | 150.0 | 1,500.0 |" in page
    assert "| boto3 and one bare transaction | 1,456 | 9.8 |" in page
    assert len(report.STARTS) == page.count("| 2.00 | 2 | 2 |")
    assert "$" not in page


@pytest.mark.parametrize("missing", ["test_warm_batch", "test_peers_cold_start"])
def test_a_figure_that_is_missing_is_no_page(missing: str) -> None:
    """A run of some benchmarks only does not overwrite what a whole run has said."""
    with pytest.raises(KeyError, match=missing):
        report.page({name: info for name, info in NOTES.items() if name != missing})


def test_the_plot_ends_each_bar_at_its_share_of_the_gate() -> None:
    """0.51 of 0.6 is shorter than the whole; it is well-formed, and has a bar for each bound from above."""
    drawing = ET.fromstring(report.plot(NOTES))  # noqa: S314  our own
    bars = [int(bar.attrib["width"]) for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")]

    assert len([figure for figure in FIGURES if not figure.is_least]) == len(bars)
    assert round((report.WIDTH - report.LEFT - 110) * 0.51 / 0.6) == bars[0]
