"""A plan as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cli.output import print_table, say
from engine.preview.plan import Plan

REFUSED_SHOWN_MAX = 10


def print_plan(plan: Plan, top: int) -> None:
    """Print what differs, first in all, then the ``top`` jobs with the largest differences."""
    say("\n".join(_head(plan)))
    if plan.differences:
        shown = plan.differences[:top]
        rows = ((d.reference, d.user, f"{d.now:f}", f"{d.then:f}", f"{d.by:+f}") for d in shown)
        say(f"{len(plan.differences)} jobs and grants would differ; the largest {len(shown)}:")
        print_table("", ("reference", "user", "now", "then", "by"), rows)
    say("\n".join(_refusals(plan)))


def _head(plan: Plan) -> Iterator[str]:
    yield from (f"edited: {change}" for change in plan.changes)
    if not plan.changes:
        yield "no difference between the policies"
    yield f"{plan.events} events"
    for (now, then), count in sorted(plan.outcomes.items()):
        if now != then:
            yield f"  {count} that are {now} now would be {then}"
    for name, (before, after) in plan.sums.items():
        yield f"  {name}: {before:f} -> {after:f} ({after - before:+f})"
    for name, (before_count, after_count) in plan.anomalies.items():
        if before_count != after_count:
            yield f"  {name}: {before_count} -> {after_count} entries flagged"


def _refusals(plan: Plan) -> Iterator[str]:
    yield from (f"would be refused: {problem}" for problem in plan.refused[:REFUSED_SHOWN_MAX])
    if len(plan.refused) > REFUSED_SHOWN_MAX:
        yield f"... and {len(plan.refused) - REFUSED_SHOWN_MAX} more"
    if not plan.refused:
        yield "past charges keep their price"
