"""``make demo``: deploy the real template, send a day of events, scan, and compare with what was worked out by hand.

Ends with 0 when every value is as expected, with 1 when one differs. With ``--play`` the local AWS stays until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from attrs import Factory, define, frozen
from boto3.dynamodb.types import TypeSerializer
from rich.console import Console
from rich.table import Table

from engine.audit.books import Audit, audit
from engine.ledger.store import Store, Tables
from engine.reconcile.wiring import store_on
from engine.runtime.clock import Clock
from tools.demo.play import play
from tools.deployment import Deployment, build, deployed
from tools.local_aws import LocalAws, run_local_aws

DAY = Path(__file__).with_name("day.yaml")
SOURCE = "video.generation"
PATIENCE_SECONDS = 180.0
"""A machine with other work may need so long."""

console = Console(highlight=False, width=120)


@frozen
class Value:
    """One value of the day: what was worked out by hand, and what came out."""

    name: str
    expected: object
    found: object

    @property
    def agrees(self) -> bool:
        return self.expected == self.found


@define
class Day:
    """The stack that is deployed, and the day that it is to go through."""

    aws: LocalAws
    stack: Deployment
    script: dict[str, Any]
    values: list[Value] = Factory(list)

    @property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = self.script["expected"]
        return found

    def ledger(self) -> Store:
        """Return the ledger of the stack, to read it as the command line does."""
        tables = Tables(self.stack.jobs_table, self.stack.credits_table, self.stack.ledger_table)
        return store_on(self.aws.client("dynamodb"), tables, Clock())

    def check(self, name: str, expected: object, found: object) -> None:
        """Keep a value beside the one that was worked out by hand."""
        self.values.append(Value(name, expected, found))


def main() -> int:
    """Run the day, print it, and return the exit status."""
    options = arguments()
    started = time.monotonic()
    built = options.built or built_now()
    with run_local_aws() as aws:
        step("deploying template.yaml to a local AWS (sam deploy)")
        with deployed(aws, built) as stack:
            day = Day(aws, stack, yaml.safe_load(DAY.read_text()))
            run(day)
            show(day)
            verdict = f"{judge(day)}; {time.monotonic() - started:.0f} s in all"
            if options.play:
                step(verdict)
                play(stack, [envelope_of(event) for event in day.script["events"]])
    step("stopped: the local AWS is gone again" if options.play else f"{verdict}, the local AWS is gone again")
    return 0 if all(value.agrees for value in day.values) else 1


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description="A day of events on a local AWS.")
    parser.add_argument("--play", action="store_true", help="leave the local AWS running until Ctrl-C, and print what to try")
    parser.add_argument("--built", type=Path, metavar="FOLDER", help="deploy what was built there, instead of building")
    return parser.parse_args()


def built_now() -> Path:
    """Build the artifact, and return its folder."""
    step("building the artifact (sam build)")
    return build()


def judge(day: Day) -> str:
    """Print every value beside the one worked out by hand, and say whether all agree."""
    show_values(day.values)
    wrong = sum(not value.agrees for value in day.values)
    return f"{wrong} values differ" if wrong else "every value is as worked out by hand"


def step(text: str) -> None:
    """Say what happens now."""
    console.print(f"[bold]--[/bold] {text}")


# --- the day ----------------------------------------------------------------------------------------------------------


def run(day: Day) -> None:
    """Let the day happen: the application's rows, the events, the scan."""
    expected = day.expected
    write_application_rows(day)
    step(f"sending {len(day.script['events'])} events through EventBridge: duplicates, late, reordered, failed, malformed")
    put_events(day)
    entries = wait_for(lambda: entry_count(day), expected["entries_before_the_scan"])
    day.check("entries before the scan", expected["entries_before_the_scan"], entries)
    dead = wait_for(lambda: dead_letters(day), expected["dead_letters"])
    day.check("dead letters", expected["dead_letters"], dead)
    step("firing the scheduled scan: the last word of three jobs never came as an event")
    check_scan(day, "scan", expected["scan"])
    check_scan(day, "second scan", expected["second_scan"])


def as_item(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as boto3 writes it, which the application uses."""
    item: dict[str, Any] = TypeSerializer().serialize(row)["M"]
    return item


def write_application_rows(day: Day) -> None:
    """Write users and jobs as the video application does."""
    dynamodb = day.aws.client("dynamodb")
    for user, granted in day.script["users"].items():
        row = {"userId": user, "remaining": Decimal(granted)}
        dynamodb.put_item(TableName=day.stack.credits_table, Item=as_item(row))
    for job in day.script["jobs"]:
        row = {**job, "seconds": Decimal(str(job["seconds"]))}
        dynamodb.put_item(TableName=day.stack.jobs_table, Item=as_item(row))


def put_events(day: Day) -> None:
    """Send the events as a producer does, each with the time at which it happened."""
    events = day.aws.client("events")
    for event in day.script["events"]:
        answer = events.put_events(Entries=[entry_of(event)])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"EventBridge refused an event: {answer['Entries']}")


def entry_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of PutEvents."""
    told = envelope_of(event)
    detail = json.dumps(told["detail"])
    return {"Source": told["source"], "DetailType": told["detail-type"], "Time": told["time"], "Detail": detail}


def envelope_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as EventBridge hands it over; a rendered video has a result unless the day says otherwise."""
    detail = {name: value for name, value in event.items() if name not in {"type", "at", "note"} and value is not None}
    if event["type"] == "video.rendered" and "result_url" not in event:
        detail["result_url"] = f"s3://renders/{event['jobId']}.mp4"
    return {"source": SOURCE, "detail-type": event["type"], "time": event["at"], "detail": detail}


def entry_count(day: Day) -> int:
    """Return how many entries the ledger has."""
    return sum(1 for _ in day.ledger().audits().entries(Clock().deadline(PATIENCE_SECONDS)))


def dead_letters(day: Day) -> list[str]:
    """Return the jobs of the events in the function's dead-letter queue, and leave them there."""
    answer = day.aws.client("sqs").receive_message(
        QueueUrl=day.stack.failed_events_queue, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return sorted({job_in(json.loads(message["Body"])) for message in answer.get("Messages", [])})


def job_in(letter: dict[str, Any]) -> str:
    """Return the job of a dead letter: the event itself, or the event in the envelope of a destination."""
    event = letter.get("requestPayload", letter)
    return str(event["detail"]["jobId"])


def wait_for(look: Callable[[], Any], expected: object) -> Any:
    """Look until what is expected is there, or patience ends; return what was seen last."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) != expected and time.monotonic() < end:
        time.sleep(0.2)
    return found


def check_scan(day: Day, name: str, expected: dict[str, int]) -> None:
    """Do what the schedule does: run the state machine."""
    report = day.stack.catch_up()
    for figure, value in expected.items():
        day.check(f"{name}: {figure}", value, report.get(figure))


# --- what came of it --------------------------------------------------------------------------------------------------


def show(day: Day) -> None:
    """Print balances, a statement, the audit and the dead letters, and keep each beside what is expected."""
    ledger = day.ledger()
    show_balances(day, ledger)
    show_statement(day, ledger, "cyd")
    check_flags(day, ledger)
    show_audit(day, audit(ledger, Clock().deadline(PATIENCE_SECONDS)))


def show_balances(day: Day, ledger: Store) -> None:
    """Print every user's balance."""
    table = Table("user", "granted", "posted", "remaining", title="Balances", title_justify="left")
    for user, (granted, posted, remaining) in day.expected["balances"].items():
        row = ledger.balance(user, Clock().deadline(PATIENCE_SECONDS)) or {}
        found = [Decimal(row["remaining"]) - Decimal(row["posted"]), Decimal(row["posted"]), Decimal(row["remaining"])]
        table.add_row(user, *map(str, found))
        day.check(f"balance of {user}", [Decimal(value) for value in (granted, posted, remaining)], found)
    console.print(table)


def show_statement(day: Day, ledger: Store, user: str) -> None:
    """Print one user's entries."""
    lines = list(statement(ledger, user))
    table = Table("job", "type", "amount", "anomalies", title=f"Statement of {user}", title_justify="left")
    for job, kind, amount, anomalies in lines:
        table.add_row(job, kind, str(amount), anomalies)
    console.print(table)
    expected = [(job, kind, Decimal(amount), names) for job, kind, amount, names in day.expected["statement"]]
    day.check(f"statement of {user}", sorted(expected), sorted(lines))


def statement(ledger: Store, user: str) -> Iterator[tuple[str, str, Decimal, str]]:
    """Yield a user's entries as (job, type, amount, anomalies)."""
    for entry in ledger.entries_of_user(user, Clock().deadline(PATIENCE_SECONDS)):
        names = ", ".join(anomaly["name"] for anomaly in entry["anomalies"])
        yield entry["jobId"], entry["type"], Decimal(entry["amount"]), names


def check_flags(day: Day, ledger: Store) -> None:
    """Check which jobs were flagged, and as what."""
    users = day.script["users"]
    found = {job: names for user in users for job, _, _, names in statement(ledger, user) if names}
    day.check("flagged", day.expected["flagged"], found)


def show_audit(day: Day, result: Audit) -> None:
    """Print the audit, and the dead letters with it."""
    expected = day.expected["audit"]
    console.print(f"Audit: {result.entries} entries of {result.users} users, net {result.net}, {len(result.drifts)} drift")
    console.print(f"Dead letters: {', '.join(dead_letters(day))}")
    day.check("audit: entries", expected["entries"], result.entries)
    day.check("audit: users", expected["users"], result.users)
    day.check("audit: net", Decimal(expected["net"]), result.net)
    day.check("audit: drifts", expected["drifts"], len(result.drifts))


def show_values(values: list[Value]) -> None:
    """Print every value beside the one worked out by hand."""
    table = Table("value", "by hand", "found", "", title="Worked out by hand, and found", title_justify="left")
    for value in values:
        table.add_row(value.name, shown(value.expected), shown(value.found), "ok" if value.agrees else "[red]DIFFERS[/red]")
    console.print(table)


def shown(value: object) -> str:
    """Return a value as a person writes it."""
    if isinstance(value, list | tuple):
        return "; ".join(shown(element) for element in value)
    return " ".join(f"{key}: {shown(element)}" for key, element in value.items()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped before the day was over")
