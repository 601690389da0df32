"""Dead letters: list what could not be reconciled, say why, send it through again, or drop it and keep a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import Factory, define

from engine.cli.files import append_line
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    PolicyFile,
    StateTable,
    Target,
    Verbose,
    on_aws,
    open_reconciler,
    patience,
    reporter,
    stack_queues,
)
from engine.cli.output import complain, print_counts, print_json, print_table, say
from engine.cli.place import Place
from engine.cli.status import FAILED, MISUSED
from engine.domain.decision import Outcome
from engine.domain.envelope import Source
from engine.domain.errors import EventError, LedgerError, QueueError
from engine.ledger.store import Tables
from engine.policy import Policy, load_policy
from engine.reconcile.dead_letters import NO_RULE, DeadLetterQueue, Letter, jobs_and_users, letter_line
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

Queues = Annotated[
    list[str],
    typer.Option(
        "--queue",
        envvar="DEAD_LETTER_QUEUES",
        help="Name or URL of a dead-letter queue; repeat it for several. A stack has two.",
        callback=stack_queues,
    ),
]
NONE_NAMED: list[str] = []
Ids = Annotated[list[str] | None, typer.Argument(help="Message ids, as `list` shows them.")]
Everything = Annotated[bool, typer.Option("--all", help="All letters of the queues.")]

app = typer.Typer(
    name="dead-letters",
    help="List, show, replay or drop the events that could not be delivered or reconciled.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@on_aws
def show_list(
    *,
    queue: Queues = NONE_NAMED,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """List the letters: whose they are, why each is there, and what the next try would do."""
    target, loaded = Target(Tables(jobs_table, credits_table, ledger_table), place), load_policy(policy)
    with _opened(queue, place) as desk:
        answers = _answers(list(desk.letters()), loaded, target)
    if as_json:
        print_json(answers)
        return
    columns = ("id", "queue", "way", "since", "job", "user", "reason", "now")
    cells = (
        (*(a[name] or "" for name in columns[:4]), _some(a["jobs"]), _some(a["users"]), a["reason"], a["now"]) for a in answers
    )
    print_table(f"{len(answers)} dead letters", columns, cells, prose={"reason", "now"})


@app.command()
@on_aws
def show(
    ids: Ids = None,
    *,
    queue: Queues = NONE_NAMED,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Show letters whole."""
    target, loaded = Target(Tables(jobs_table, credits_table, ledger_table), place), load_policy(policy)
    with _opened(queue, place) as desk:
        answers = _answers(list(_chosen(desk, ids or [], everything=not ids)), loaded, target)
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        told = {**answer, "jobs": ", ".join(answer["jobs"]), "users": ", ".join(answer["users"])}
        print_counts(answer["id"], {name: value for name, value in told.items() if name not in {"id", "events"}})


def _answers(letters: Sequence[Letter], policy: Policy, target: Target) -> list[dict[str, Any]]:
    """Return each letter as JSON-like values, with whose it is and what the next try would do.

    The tables are opened only where a letter holds an event. Raises LedgerError where they are not there or do not answer.
    """
    from engine.preview.next_try import next_try  # noqa: PLC0415  `replay` and `drop` need none

    ledger = target.ledger() if any(letter.events for letter in letters) else None
    answers: list[dict[str, Any]] = []
    for letter in letters:
        jobs, users = jobs_and_users(letter, policy)
        now = next_try(letter, policy, ledger, patience())
        answers.append(letter.answer() | {"jobs": jobs, "users": users, "now": now, "body": letter.body})
    return answers


def _some(names: Sequence[str]) -> str:
    """Return the first name, and how many more there are: a batch that died may have very many."""
    return "" if not names else names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


@app.command()
@on_aws
def replay(
    ids: Ids = None,
    *,
    everything: Everything = False,
    queue: Queues = NONE_NAMED,
    policy: PolicyFile = DEFAULT_POLICY,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send letters through the engine. Deletes those that are settled; leaves the others, with the reason."""
    _one_of(ids, everything=everything)
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table), place)
    reconciler = open_reconciler(target, policy, 1, reporter(verbose=verbose))
    results: list[dict[str, Any]] = []
    with _opened(queue, place) as desk:
        for letter in _chosen(desk, ids or [], everything=everything):
            outcomes, problem = settle(letter, reconciler)
            if problem is None:
                desk.delete(letter)
            results.append({"id": letter.id, "outcomes": outcomes, "problem": problem})
    if as_json:
        print_json(results)
    else:
        cells = ((r["id"], ", ".join(r["outcomes"]), r["problem"] or "deleted") for r in results)
        print_table(f"{len(results)} letters", ("id", "outcomes", "then"), cells, prose={"outcomes", "then"})
    if any(result["problem"] for result in results):
        raise typer.Exit(FAILED)


@app.command()
@on_aws
def drop(
    ids: Ids = None,
    *,
    everything: Everything = False,
    queue: Queues = NONE_NAMED,
    to: Annotated[Path, typer.Option(help="Where a copy of each goes, one JSON object a line.")] = Path(
        "dropped-letters.jsonl"
    ),
    place: Place,
    as_json: AsJson = False,
) -> None:
    """Remove letters for good. Each is written to a file before it is deleted."""
    _one_of(ids, everything=everything)
    dropped = []
    with _opened(queue, place) as desk:
        for letter in _chosen(desk, ids or [], everything=everything):
            append_line(to, letter_line(letter))
            desk.delete(letter)
            dropped.append(letter.id)
    if as_json:
        print_json({"dropped": dropped, "copies": str(to)})
    else:
        say(f"{len(dropped)} dropped; copies in {to}")


def settle(
    letter: Letter, reconciler: Reconciler, deadline: Callable[[], Deadline] = patience
) -> tuple[list[str], str | None]:
    """Send a letter's events through the engine, each with a ``deadline`` of its own.

    Returns their outcomes, and what was wrong with the first that failed.

    An event that no rule matches is not settled: it was here for a reason, and only a person can say that it is none.
    """
    if not letter.repeats and not letter.events:
        return [], "there is no event in it: drop it once it is understood"
    outcomes: list[str] = []
    for event in letter.events:
        try:
            report = reconciler.event(event, Source.REPLAY, deadline())
        except (EventError, LedgerError) as error:
            return outcomes, str(error)
        outcomes.append(report.outcome.value)
        if report.outcome is Outcome.IGNORED:
            return outcomes, f"{NO_RULE}: drop it if that is right"
    return outcomes, None


@define
class Desk:
    """The letters that are under way: hidden from others until they are deleted, or put back."""

    client: Any
    queues: list[str]
    held: dict[str, tuple[DeadLetterQueue, Letter]] = Factory(dict)

    def letters(self) -> Iterator[Letter]:
        """Yield the letters of all queues."""
        for name in (name for queue in self.queues for name in queue.split(",") if name):
            queue = DeadLetterQueue.named(self.client, name)
            for letter in queue.letters():
                self.held[letter.id] = queue, letter
                yield letter

    def delete(self, letter: Letter) -> None:
        """Remove a letter for good."""
        queue, _ = self.held[letter.id]
        queue.delete(letter)
        del self.held[letter.id]

    def put_back(self) -> None:
        """Let others see again what was not deleted."""
        try:
            for queue, letter in self.held.values():
                queue.release(letter)
        finally:
            self.client.close()


@contextmanager
def _opened(queues: list[str], place: Place) -> Iterator[Desk]:
    """Yield the letters of the queues; those that are still there at the end are put back, whatever happens.

    Raises QueueError where a queue is not there, may not be read, or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  heavy, and not needed to say what went wrong

    desk = Desk(place.client("sqs"), queues)
    try:
        try:
            yield desk
        finally:
            desk.put_back()
    except (BotoCoreError, ClientError) as error:
        raise QueueError(f"{', '.join(queues)}: {error}") from error


def _chosen(desk: Desk, ids: list[str], *, everything: bool) -> Iterator[Letter]:
    """Yield the letters that are asked for. Exits where one of them is not there."""
    missing = set(ids)
    for letter in desk.letters():
        if everything or letter.id in missing:
            missing.discard(letter.id)
            yield letter
    if missing:
        complain(f"no such letter: {', '.join(sorted(missing))}")
        raise typer.Exit(FAILED)


def _one_of(ids: list[str] | None, *, everything: bool) -> None:
    if bool(ids) == everything:
        complain("name message ids, or give --all")
        raise typer.Exit(MISUSED)
