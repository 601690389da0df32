"""The commands, each a few lines: read the options, hand over, show the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from engine.audit import audit as run_audit
from engine.cli.options import (
    DEFAULT_POLICY,
    AsJson,
    CreditsTable,
    Endpoint,
    JobsTable,
    LedgerTable,
    PolicyFile,
    StateTable,
    Target,
    Verbose,
    forever,
    open_reconciler,
    patience,
    reporter,
)
from engine.cli.output import err, out, print_counts, print_json, print_table, progress
from engine.cli.replay import Checkpoint, CheckpointMismatchError, ReplayFile, replay_file
from engine.decimals import EXACT, ZERO
from engine.errors import EventError, LedgerError, Mistake, PolicyError
from engine.ledger import Ledger, Tables
from engine.policy import load_policy
from engine.policy.schema import policy_schema
from engine.policy_tests import Coverage, TestFile, load_tests, run_test
from engine.reasons import Reasons, reasons_for
from engine.reconcile import ScanReport, read_document, whole_table
from engine.recount import Recount, recount

app = typer.Typer(
    name="reconciler",
    help="Keep every user's credit ledger aligned with the work that was really done.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

POLICY_TESTS = Path("policies/tests")


class Format(StrEnum):
    """How ``validate`` speaks."""

    TEXT = "text"
    GITHUB = "github"


FAILED = 1
MISUSED = 2


def main() -> None:
    """Run the command. A policy that is broken or a database that does not answer is told in words, not in a traceback."""
    try:
        app()
    except (PolicyError, EventError, LedgerError) as error:
        err.print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(FAILED) from error


@app.command()
def validate(
    policies: Annotated[list[Path], typer.Argument(help="Policy files.", exists=True, dir_okay=False)],
    *,
    output: Annotated[Format, typer.Option("--format", help="For people, or as annotations of a pull request.")] = Format.TEXT,
    as_json: AsJson = False,
) -> None:
    """Check policy files, and show every mistake with its line and what would be right."""
    results = {str(path): _mistakes(path) for path in policies}
    if as_json:
        print_json([{"file": file, **result} for file, result in results.items()])
    else:
        for file, result in results.items():
            PRINT_RESULT[output](file, result)
    if any(result["mistakes"] for result in results.values()):
        raise typer.Exit(FAILED)


def _mistakes(path: Path) -> dict[str, Any]:
    try:
        policy = load_policy(path)
    except PolicyError as error:
        return {"mistakes": [_plain_mistake(mistake) for mistake in error.mistakes], "warnings": []}
    return {"policy": policy.identity, "mistakes": [], "warnings": [_plain_mistake(warning) for warning in policy.warnings]}


def _plain_mistake(mistake: Mistake) -> dict[str, Any]:
    return asdict(mistake) | {"text": str(mistake)}


def _print_result(file: str, result: Mapping[str, Any]) -> None:
    for mistake in result["mistakes"]:
        out.print(mistake["text"], markup=False, soft_wrap=True)
    for warning in result["warnings"]:
        out.print(f"warning: {warning['text']}", markup=False, soft_wrap=True)
    if not result["mistakes"]:
        out.print(f"{file}: fine ({result['policy']})", markup=False, soft_wrap=True)


@app.command("test")
def run_policy_tests(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of policy tests.  [default: policies/tests/*.yaml]")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Run policy tests: what given events must post. Shows what differs, and what no test reached."""
    paths = files or sorted(POLICY_TESTS.glob("*.yaml"))
    if not paths:
        err.print(f"there are no policy tests in {POLICY_TESTS}", markup=False)
        raise typer.Exit(MISUSED)
    answers = [_tested(load_tests(path)) for path in paths]
    if as_json:
        print_json(answers)
    else:
        for answer in answers:
            _print_tested(answer)
    if any(test["differences"] for answer in answers for test in answer["tests"]):
        raise typer.Exit(FAILED)


def _tested(file: TestFile) -> dict[str, Any]:
    coverage, tests = Coverage(), []
    for policy_test in file.tests:
        result = run_test(policy_test, file.policy)
        coverage.add(result.entries)
        tests.append({"name": policy_test.name, "line": policy_test.line, "differences": list(result.differences)})
    answer = {"file": str(file.path), "policy": file.policy.identity, "tests": tests}
    return {**answer, "notReached": coverage.missed(file.policy)}


def _print_tested(answer: Mapping[str, Any]) -> None:
    failed = [policy_test for policy_test in answer["tests"] if policy_test["differences"]]
    for policy_test in failed:
        place = f"{answer['file']}:{policy_test['line']}"
        lines = [f"{place}: {policy_test['name']}", *(f"    {line}" for line in policy_test["differences"])]
        out.print("\n".join(lines), markup=False, soft_wrap=True)
    passed = len(answer["tests"]) - len(failed)
    out.print(f"{answer['file']}: {passed} passed, {len(failed)} failed ({answer['policy']})", markup=False, soft_wrap=True)
    for part in answer["notReached"]:
        out.print(f"    no test reached: {part}", markup=False, soft_wrap=True)


@app.command()
def schema(*, as_json: AsJson = True) -> None:
    """Print the JSON Schema of a policy file, for editors."""
    del as_json  # there is no other way to print it
    print_json(policy_schema())


def _annotate(_file: str, result: Mapping[str, Any]) -> None:
    """Print workflow commands of GitHub Actions, which show each mistake beside its line."""
    for level, mistakes in (("error", result["mistakes"]), ("warning", result["warnings"])):
        for mistake in mistakes:
            place = ",".join(f"{name}={mistake[key]}" for name, key in ANNOTATED.items() if mistake[key] is not None)
            print(f"::{level} {place}::{_escaped(mistake['message'])}")


ANNOTATED = {"file": "file", "line": "line", "col": "column"}


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


PRINT_RESULT = {Format.TEXT: _print_result, Format.GITHUB: _annotate}


@app.command()
def explain(
    event: Annotated[Path | None, typer.Argument(help="An event as JSON.", exists=True, dir_okay=False)] = None,
    *,
    entry: Annotated[
        str | None, typer.Option(help="Instead of an event: a reference of the ledger (job#j-1) whose entries to count again.")
    ] = None,
    policy: PolicyFile = DEFAULT_POLICY,
    endpoint_url: Endpoint = None,
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Show why an event costs what it costs, or count the entries of a reference again, and say whether they agree."""
    if (event is None) == (entry is None):
        err.print("explain takes either an event's file or --entry", markup=False)
        raise typer.Exit(MISUSED)
    if event is not None:
        answers: Sequence[Reasons | Recount] = [reasons_for(read_document(event.read_bytes()), load_policy(policy))]
    else:
        answers = _recounts(entry or "", Target(Tables(ledger=ledger_table), endpoint_url).ledger())
    if as_json:
        print_json([answer.answer() for answer in answers] if entry else answers[0].answer())
    else:
        out.print("\n".join(line for answer in answers for line in answer.lines()), markup=False, soft_wrap=True)
    if any(answer.failed for answer in answers):
        raise typer.Exit(FAILED)


def _recounts(reference: str, ledger: Ledger) -> list[Recount]:
    recounts = recount(ledger.entries_of(reference, patience()))
    if not recounts:
        known = f"no such reference in {ledger.tables.ledger}; a job's is job#<jobId>, a grant's grant#<id>"
        err.print(f"{reference}: {known}", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED)
    return recounts


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line; gzip too.", exists=True, dir_okay=False)],
    *,
    policy: PolicyFile = DEFAULT_POLICY,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Events under way at once.")] = 8,
    checkpoint: Annotated[Path | None, typer.Option(help="Where the progress is kept.  [default: FILE.checkpoint]")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where events that make no sense go.  [default: FILE.rejects.jsonl]")
    ] = None,
    endpoint_url: Endpoint = None,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send a file of events through the engine. Goes on where an earlier run stopped; a second run changes nothing."""
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table), endpoint_url)
    reconciler = open_reconciler(target, policy, workers, reporter(verbose=verbose))
    source = ReplayFile.open(file)
    kept = Checkpoint(
        checkpoint or file.with_name(f"{file.name}.checkpoint"),
        {"sha256": source.sha256, "policy": reconciler.policy.identity, **target.description()},
    )
    try:
        with progress() as bar:
            task = bar.add_task(f"replay {file.name}", total=source.lines)
            summary = replay_file(
                source,
                lambda document, origin: reconciler.event(document, origin, patience()),
                kept,
                rejects or file.with_name(f"{file.name}.rejects.jsonl"),
                workers=workers,
                done=lambda lines: bar.update(task, completed=lines),
            )
    except CheckpointMismatchError as error:
        err.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(MISUSED) from error
    print_json(summary.answer()) if as_json else print_counts("Replay", summary.answer())
    if summary.rejected:
        err.print(f"{summary.rejected} rejected: see {summary.rejects}", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED)


@app.command()
def scan(
    *,
    policy: PolicyFile = DEFAULT_POLICY,
    segments: Annotated[int, typer.Option(min=1, max=1_000_000, help="Parts the table is read in.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Segments under way at once.")] = 4,
    endpoint_url: Endpoint = None,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    state_table: StateTable = "State",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Catch up on every job that no event told of, from the table of jobs. Renews the baselines of outliers first."""
    target = Target(Tables(jobs_table, credits_table, ledger_table, state_table), endpoint_url)
    with progress() as bar:
        task = bar.add_task("scan: rows that were due", total=None)
        write = reporter(verbose=verbose, then=lambda: bar.advance(task))
        reconciler = open_reconciler(target, policy, workers, write)
        baselines = reconciler.usual.renew(patience())
        with ThreadPoolExecutor(workers) as pool:
            reports = list(pool.map(lambda part: reconciler.scan([part], forever()), whole_table(segments)))
    total = sum(reports, start=ScanReport(baselines=baselines))
    answer = {name: value for name, value in total.answer().items() if name != "slices"}
    print_json(answer) if as_json else print_counts("Scan", answer | answer.pop("outcomes"))
    if total.errors:
        raise typer.Exit(FAILED)


@app.command()
def audit(
    *,
    endpoint_url: Endpoint = None,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Check that every user's entries add up to what Credits says was posted."""
    ledger = Target(Tables(jobs_table, credits_table, ledger_table), endpoint_url).ledger()
    with progress() as bar:
        task = bar.add_task("audit: entries", total=None)
        result = run_audit(ledger, forever(), seen=lambda count: bar.update(task, completed=count))
    if as_json:
        print_json(asdict(result))
    else:
        print_counts("Audit", {"entries": result.entries, "users": result.users, "net": result.net})
        for drift in result.drifts:
            out.print(f"drift: {drift.user}: entries add up to {drift.ledger}, Credits says {drift.posted}", markup=False)
        out.print("every user's entries add up" if not result.drifts else f"{len(result.drifts)} users drift")
    if result.drifts:
        raise typer.Exit(FAILED)


@app.command()
def statement(
    user: Annotated[str, typer.Argument(help="userId.")],
    *,
    endpoint_url: Endpoint = None,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    as_json: AsJson = False,
) -> None:
    """Show a user's entries in order of posting, with the balance after each."""
    ledger = Target(Tables(jobs_table, credits_table, ledger_table), endpoint_url).ledger()
    row = ledger.balance(user, patience())
    entries = list(ledger.entries_of_user(user, patience()))
    if row is None and not entries:
        err.print(f"{user}: no such user in {credits_table} and no entry in {ledger_table}", markup=False)
        raise typer.Exit(FAILED)
    remaining, posted = (Decimal((row or {}).get(name, ZERO)) for name in ("remaining", "posted"))
    granted = EXACT.subtract(remaining, posted)
    answer = {"user": user, "granted": granted, "posted": posted, "remaining": remaining}
    lines = list(_lines(entries, granted))
    if as_json:
        print_json({**answer, "entries": lines})
        return
    columns = ("occurredAt", "job", "type", "amount", "balance", "rule", "anomalies")
    print_table(f"Statement of {user}", columns, ([line[column] for column in columns] for line in lines))
    print_counts("Balance", {name: value for name, value in answer.items() if name != "user"})


def _lines(entries: list[dict[str, Any]], balance: Decimal) -> Any:
    """Yield a statement's lines; the balance begins at what the application granted."""
    for entry in entries:
        amount = Decimal(entry["amount"])
        balance = EXACT.add(balance, amount)
        yield {
            "occurredAt": entry["occurredAt"],
            "postedAt": entry["postedAt"],
            "job": entry.get("jobId", ""),
            "type": entry["type"],
            "amount": amount,
            "balance": balance,
            "rule": entry["rule"],
            "anomalies": ", ".join(anomaly["name"] for anomaly in entry.get("anomalies", [])),
        }
