"""Writes docs/performance.md and its plot from the figures of one run: ``python -m benchmarks.report FIGURES.json``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.capacity import Cost, costs, held_costs
from benchmarks.figures import FIGURES, Figure, Notes, read
from engine.policy import load_policy
from tools.environments import ROOT

PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
TEXT = Path(__file__).with_name("performance.template.md")

STARTS = {
    "ours": "ours",
    "floor": "the floor: boto3 imported and a client made, nothing sent",
    "bare": "boto3 and one bare transaction",
    "powertools": "the obvious good way: boto3 with Powertools for AWS Lambda",
    "predecessor": "like the public predecessor: four clients, six calls",
    "eager": "every package imported at the top",
    "ours_without_bytecode": "ours, as `sam build` would ship it by default: no bytecode. It never is; a test says so",
    "floor_without_bytecode": "the floor without bytecode",
    "predecessor_without_bytecode": "like the predecessor, without bytecode",
    "eager_without_bytecode": "every package, without bytecode",
}
WARM = {"ours": "ours", "bare": STARTS["bare"], "powertools": STARTS["powertools"], "predecessor": STARTS["predecessor"]}
ENGINES = {"ours": "ours", "moto": "moto", "rule-engine": "rule-engine", "zen-engine": "zen-engine (Rust), a decision table"}
SIZES = (10, 100, 1000)
FIGURES_HEAD = ["what", "compared with, in the same run", "seen", "aim", "gate"]


def lines(notes: Notes) -> list[tuple[Figure, float]]:
    """Return all figures with what was seen. Raises KeyError where a benchmark has not run."""
    return [(figure, float(notes[figure.benchmark][figure.key])) for figure in FIGURES]


def page(notes: Notes) -> str:
    """Return the page. Raises KeyError where a benchmark has not run: half a run does not overwrite a whole one."""
    cold, conditions = (
        notes["test_cold_start_to_the_first_debit"],
        notes["test_first_invocation_under_lambda_s_conditions"],
    )
    return Template(TEXT.read_text()).substitute(
        ratios=table(FIGURES_HEAD, [_figure_cells(figure, value) for figure, value in lines(notes)]),
        cold=cold["milliseconds_median"],
        cold_p95=cold["milliseconds_p95"],
        floor=cold["floor_milliseconds_median"],
        init=conditions["milliseconds_init"],
        first=conditions["milliseconds_first"],
        later=conditions["milliseconds_later"],
        decide=notes["test_decide_one_event"]["microseconds"],
        starts=table(["function", "to the floor", "median, ms", "p95, ms"], starts(notes["test_peers_cold_start"])),
        warm=table(["function", "CPU of a debit, microseconds", "to ours"], warm(notes["test_peers_warm_cpu"])),
        matching=table(["rules", *(f"{size:,}" for size in SIZES)], matching(notes)),
        capacity=table(["event", "entry, bytes", "write units", "dollars a million"], capacity()),
    )


def _figure_cells(figure: Figure, value: float) -> list[str]:
    gate = f"{'>=' if figure.is_least else '<='} {figure.gate:g}"
    return [figure.what, figure.peer, f"**{value:g}**", figure.aim, gate]


def starts(noted: Any) -> Iterator[list[str]]:
    """Yield a row for each function's cold start."""
    for name, what in STARTS.items():
        yield [what, f"{noted[f'{name}_to_floor']:.2f}", *(str(noted[f"{name}_milliseconds{end}"]) for end in ("", "_p95"))]


def warm(noted: Any) -> Iterator[list[str]]:
    """Yield a row for each function's warm debit."""
    for name, what in WARM.items():
        yield [what, f"{noted[f'{name}_cpu_microseconds']:,}", f"{noted[f'{name}_to_ours']:g}"]


def matching(notes: Notes) -> Iterator[list[str]]:
    """Yield a row for each engine."""
    noted = {**notes["test_peers_matching"], **notes["test_matching_hardly_grows_with_the_number_of_rules"]}
    for engine, what in ENGINES.items():
        yield [what, *(f"{noted[f'{engine} {size}']:,}" for size in SIZES)]


def capacity() -> Iterator[list[str]]:
    """Yield a row for each kind of event under the shipped policy, then for a hold and what settles it."""
    detail = {"jobId": "j" * 38, "userId": "u" * 38, "seconds": 8, "model": "veo-3.1-generate-001", "result_url": "s3://x"}
    event = {"id": "i" * 36, "source": "video.generation", "time": "2026-12-01T10:00:00Z"}
    rendered = {**event, "detail-type": "video.rendered", "detail": detail}
    failed = {**event, "detail-type": "video.failed", "time": "2026-12-01T11:00:00Z", "detail": detail}
    void = {**failed, "detail": {**detail, "jobId": "k" * 38}}
    submitted = {**event, "detail-type": "video.submitted", "time": "2026-12-01T09:55:00Z", "detail": detail}
    for cost in costs(load_policy(ROOT / "policies" / "video.yaml"), [rendered, failed, void]):
        yield _cost_cells(cost)
    *each, both = held_costs(load_policy(ROOT / "policies" / "video-with-holds.yaml"), [submitted, rendered])
    for cost in each:
        yield _cost_cells(cost)
    yield [both.kind, "", f"{both.write_units}, and {both.read_units} read units", f"{both.dollars:.2f}"]


def _cost_cells(cost: Cost) -> list[str]:
    units = " + ".join(f"{count} {table}" for table, count in cost.units.items() if count)
    units += f" + {cost.read_units} read" if cost.read_units else ""
    return [cost.kind, str(cost.entry_bytes), f"{cost.write_units} ({units})", f"{cost.dollars:.2f}"]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown."""
    rule = f"|{' --- |' * len(head)}"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


WIDTH, ROW, LEFT = 760, 34, 330


def plot(notes: Notes) -> str:
    """Return a drawing: each figure as a share of its gate, so that all of them end before the line."""
    bars = [(figure, value) for figure, value in lines(notes) if not figure.is_least]
    height, full = ROW * len(bars) + 50, WIDTH - LEFT - 110
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    ]
    for index, (figure, value) in enumerate(bars):
        top = 14 + index * ROW
        length = round(full * min(value / figure.gate, 1.1))
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(figure.what)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length}" height="20" fill="#4878a8"/>',
            f'<text x="{LEFT + length + 6}" y="{top + 14}">{value:g} of {figure.gate:g}</text>',
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
    notes = read(Path(sys.argv[1]))
    PAGE.write_text(page(notes))
    PLOT.write_text(plot(notes))
    for figure, value in lines(notes):
        print(f"{figure.what:<58} {value:>8g}   aim {figure.aim:<8} gate {figure.gate:g}")


if __name__ == "__main__":
    main()
