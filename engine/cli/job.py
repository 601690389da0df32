"""``reconciler job``: a job's whole story in order, from the ledger and its own row in Jobs. It writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from engine.audit.story import Chapter, Story, story_of
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    PolicyFileIfThere,
    Target,
    key_of_a_table,
    on_aws,
    patience,
)
from engine.cli.output import complain, print_json, print_named
from engine.cli.place import Place
from engine.cli.status import FAILED
from engine.domain.references import JOB
from engine.ledger.store import Store, Tables
from engine.ledger.stored import correction_in
from engine.policy import Policy, load_policy

NO_ROW = "Jobs has no row of it"


@on_aws
def job(
    name: Annotated[str, typer.Argument(metavar="JOB", help="jobId.", callback=key_of_a_table)],
    *,
    policy: PolicyFileIfThere = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Tell a job's whole story: what was told and by which door, how each entry came about, what counts now, and its row."""
    read = load_policy(policy) if policy is not None else None
    ledger = Target(Tables(jobs_table, credits_table, ledger_table), place).ledger()
    story = _story(ledger, name)
    if not story.is_known:
        complain(f"{name}: no such job in {jobs_table} and no entry of it in {ledger_table}")
        raise typer.Exit(FAILED)
    row = _row(story, read, ledger)
    if as_json:
        print_json(_answer(story, row))
    else:
        _print(story, row)
    if story.failed:
        raise typer.Exit(FAILED)


def _story(ledger: Store, name: str) -> Story:
    """Return the story of a job; its log's name will do as well."""
    for job_id in dict.fromkeys((name, name.removeprefix(JOB) or name)):
        row = ledger.job_row(job_id, patience())
        story = story_of(job_id, ledger.stored_entries_of(f"{JOB}{job_id}", patience()), row)
        if story.is_known:
            break
    return story


def _row(story: Story, policy: Policy | None, ledger: Store) -> dict[str, Any] | None:
    """Return what is told of the row: what it says, its mark and, where a policy is at hand, what the next scan would do."""
    if story.row is None:
        return None
    shown = story.shown_of_row(policy.row_attributes if policy is not None else None)
    found = {**shown, "mark": story.mark()}
    if policy is not None:
        from engine.preview.next_scan import next_scan  # noqa: PLC0415  it imports the reconciler

        found["nextScan"] = next_scan(story.row, policy, ledger, patience())
    return found


def _answer(story: Story, row: dict[str, Any] | None) -> dict[str, Any]:
    log = story.log
    return {
        "job": story.job,
        "user": log.user,
        "entries": [chapter.answer() for chapter in story.chapters],
        "now": {"cost": log.cost, "posted": log.posted, "held": log.held, "due": log.due, "steps": list(story.now())},
        "row": row,
    }


def _print(story: Story, row: dict[str, Any] | None) -> None:
    log = story.log
    held = [("held", log.held)] if any(entry.facts.holds for entry in story.entries) else []
    figures = [("user", log.user or ""), ("cost", log.cost), ("posted", log.posted), *held, ("due", log.due)]
    print_named("Job", [("job", story.job), *(figures if story.entries else ())])
    for number, chapter in enumerate(story.chapters, start=1):
        _print_next(f"Entry {chapter.stored.get('sequence', number)}", _chapter(chapter))
    _print_next("Now", _many("counts", story.now()))
    named = [("", NO_ROW)] if row is None else [(NAMES.get(name, name), value) for name, value in row.items()]
    _print_next("Row in Jobs", named)


def _print_next(title: str, named: Iterable[tuple[str, object]]) -> None:
    print()
    print_named(title, named)


NAMES = {"nextScan": "next scan"}


def _chapter(chapter: Chapter) -> Iterator[tuple[str, object]]:
    """Yield what is known of an entry, a line each."""
    stored, entry, count = chapter.stored, chapter.entry, chapter.count
    if entry is None or count is None:
        yield "problem", chapter.problem
        return
    yield from _many("told", chapter.told)
    yield "by", chapter.door
    yield from (("event", entry.event_id),) if entry.event_id else ()
    yield from _correction(stored)
    yield "occurred", stored["occurredAt"] + (" (the start of the scan: the row had no time)" if entry.time_is_assumed else "")
    yield "posted", stored.get("postedAt", "")
    yield "rule", entry.rule
    yield "policy", entry.policy
    yield "type", entry.type.value
    yield "amount", entry.amount
    yield from (("held", entry.held),) if entry.held else ()
    yield from _many("count", count.steps)
    yield from _many("differs", count.problems)
    yield from _flagged(chapter)


def _correction(stored: Any) -> Iterator[tuple[str, object]]:
    correction = correction_in(stored)
    names = {"reason": "reason", "by": "who", "approvedBy": "approved by", "id": "id", "plan": "plan", "about": "about"}
    yield from ((shown, correction[name]) for name, shown in names.items() if correction.get(name))


def _flagged(chapter: Chapter) -> Iterator[tuple[str, object]]:
    entry, said = chapter.entry, chapter.stored.get("explanation") or {}
    for anomaly in entry.anomalies if entry is not None else ():
        figures = "; ".join(f"{name} {value}" for name, value in anomaly.figures)
        yield "flagged", ": ".join(text for text in (anomaly.name, figures or anomaly.reason or "") if text)
    if said:
        yield "explained", said.get("summary", "")
        yield "check", said.get("suggested_check", "")


def _many(name: str, lines: Any) -> Iterator[tuple[str, object]]:
    yield from ((name if not index else "", line) for index, line in enumerate(lines))
