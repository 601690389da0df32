"""Writes docs/performance.md and its plot from the figures of one run: ``python -m benchmarks.report FIGURES.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from attrs import frozen

from benchmarks import budgets
from benchmarks.capacity import Cost, costs
from engine.policy import load_policy
from tools.environments import ROOT

PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
TEXT = Path(__file__).with_name("performance.template.md")

Figures = Mapping[str, Mapping[str, Any]]
"""What each benchmark has noted, by its name."""


@frozen
class Line:
    """One figure: what it is, what it was compared with in the same run, what was seen, and the bound of its gate."""

    what: str
    peer: str
    seen: float
    bound: float
    is_least: bool = False

    def cells(self) -> list[str]:
        bound = f"{'>=' if self.is_least else '<='} {self.bound:g}"
        return [self.what, self.peer, f"**{self.seen:g}**", bound]


def read(path: Path) -> Figures:
    """Return the figures of a run of pytest-benchmark."""
    return {benchmark["name"]: benchmark["extra_info"] for benchmark in json.loads(path.read_text())["benchmarks"]}


def lines(figures: Figures) -> list[Line]:
    """Return the figures that have a gate."""
    cold, warm = figures["test_cold_start_to_the_first_debit"], figures["test_warm_debit"]
    batch, match = figures["test_warm_batch"], figures["test_matching_hardly_grows_with_the_number_of_rules"]
    floor, bare = 'importing boto3 and making a client ("the floor")', "boto3's bare `transact_write_items`, the same items"
    return [
        Line(
            "cold start: process start to the first debit answered", floor, cold["to_floor"], budgets.COLD_START_TO_FLOOR_MAX
        ),
        Line("memory after the first debit, MiB", "", cold["memory_mib"], budgets.MEMORY_MIB_MAX),
        Line("CPU of a warm debit", bare, warm["to_bare_transaction"], budgets.WARM_EVENT_TO_BARE_TRANSACTION_MAX),
        Line(
            "CPU of an event in a batch of 48",
            bare,
            batch["cpu_to_bare_transaction"],
            budgets.BATCH_EVENT_TO_BARE_TRANSACTION_MAX,
        ),
        Line(
            "events a second in a batch",
            f"{bare}, one by one",
            batch["events_per_second_to_bare"],
            budgets.BATCH_EVENTS_PER_SECOND_TO_BARE_MIN,
            is_least=True,
        ),
        Line(
            "matching an event against 1,000 rules",
            "against 10 rules",
            round(match["ours 1000"] / match["ours 10"], 2),
            budgets.MATCHING_THOUSAND_TO_TEN_MAX,
        ),
    ]


def page(figures: Figures) -> str:
    """Return the page."""
    cold = figures["test_cold_start_to_the_first_debit"]
    head = ["what", "compared with, in the same run", "seen", "gate"]
    return Template(TEXT.read_text()).substitute(
        ratios="\n".join(table(head, [line.cells() for line in lines(figures)])),
        cold=cold["milliseconds_median"],
        cold_p95=cold["milliseconds_p95"],
        floor=cold["floor_milliseconds_median"],
        matching="\n".join(table(["rules", "10", "100", "1,000"], matching(figures))),
        capacity="\n".join(table(["event", "entry, bytes", "write units", "dollars a million"], capacity())),
    )


def matching(figures: Figures) -> Iterator[list[str]]:
    """Yield a row for each engine."""
    seen = figures["test_matching_hardly_grows_with_the_number_of_rules"]
    for engine in ("ours", "moto", "rule-engine"):
        yield [engine, *(f"{seen[f'{engine} {size}']:,}" for size in (10, 100, 1000))]


def capacity() -> Iterator[list[str]]:
    """Yield a row for each kind of event under the shipped policy."""
    detail = {"jobId": "j" * 38, "userId": "u" * 38, "seconds": 8, "model": "veo-3.1-generate-001", "result_url": "s3://x"}
    event = {"id": "i" * 36, "source": "video.generation", "time": "2026-12-01T10:00:00Z"}
    rendered = {**event, "detail-type": "video.rendered", "detail": detail}
    failed = {**event, "detail-type": "video.failed", "time": "2026-12-01T11:00:00Z", "detail": detail}
    void = {**failed, "detail": {**detail, "jobId": "k" * 38}}
    for cost in costs(load_policy(ROOT / "policies" / "video.yaml"), [rendered, failed, void]):
        yield _cost_cells(cost)


def _cost_cells(cost: Cost) -> list[str]:
    units = " + ".join(f"{count} {table}" for table, count in cost.units.items() if count)
    return [cost.kind, str(cost.entry_bytes), f"{cost.write_units} ({units})", f"{cost.dollars:.2f}"]


def table(head: list[str], rows: Any) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


WIDTH, ROW, LEFT = 760, 34, 330


def plot(figures: Figures) -> str:
    """Return a drawing: each figure as a share of its bound, so that all of them end before the line."""
    bars = [line for line in lines(figures) if not line.is_least]
    height = ROW * len(bars) + 50
    full = WIDTH - LEFT - 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    ]
    for index, line in enumerate(bars):
        top = 14 + index * ROW
        length = round(full * min(line.seen / line.bound, 1.1))
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{line.what}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length}" height="20" fill="#4878a8"/>',
            f'<text x="{LEFT + length + 6}" y="{top + 14}">{line.seen:g} of {line.bound:g}</text>',
        ]
    end = LEFT + full
    parts += [
        f'<line x1="{end}" y1="4" x2="{end}" y2="{height - 30}" stroke="#b03030" stroke-dasharray="4 3"/>',
        f'<text x="{end}" y="{height - 12}" text-anchor="middle" fill="#b03030">the gate</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the page and the plot, and print the table."""
    figures = read(Path(sys.argv[1]))
    PAGE.write_text(page(figures))
    PLOT.write_text(plot(figures))
    for line in lines(figures):
        print(f"{line.what:<58} {line.seen:>8g}   {line.cells()[-1]}")


if __name__ == "__main__":
    main()
