"""26,823 requests of a production generative-image service, replayed, shuffled, killed, and caught up on.

In memory all of them; on the local AWS a part, with every failure and the busiest user. ``make proof`` takes all there too.

GenTD26 (Alibaba clusterdata, ``cluster-trace-v2026-GenAI``) as EventBridge envelopes and rows of Jobs. It is not part of this
project: the tests look for it beside the project, or in the folder that ``REAL_DATA`` names.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from engine.domain.decision import Outcome
from engine.domain.documents import read_document
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.store import Tables
from engine.policy import parse_policy
from tests.support.books import Books

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data"))
EVENTS, JOBS = DATA / "gentd26-events.jsonl.gz", DATA / "gentd26-jobs.jsonl.gz"

pytestmark = [
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not EVENTS.exists(), reason=f"the production trace is not at {EVENTS}"),
    pytest.mark.slow,
]

FLAT = """\
version: 1
name: flat
event: {job: detail.jobId, user: detail.userId, time: time}
money: {places: 4, rounding: half-even}
prices:
  second: [{effective: 2020-01-01T00:00:00Z, rates: {default: "0.10"}}]
rules:
  - {name: rendered, match: {detail-type: [video.rendered]}, action: debit, charge: {price: second, quantity: detail.seconds}}
  - {name: failed, match: {detail-type: [video.failed]}, action: refund, refund: {percent: 100}}
overdraft: allow
unknown_user: refuse
catch_up:
  - {when: {status: [completed]}, event: {source: video.generation, detail-type: video.rendered, time: updatedAt}}
  - {when: {status: [failed]}, event: {source: video.generation, detail-type: video.failed, time: updatedAt}}
"""

BUSIEST = "G0264"
"""The user with the most requests: 1,207."""

SEED = 20241115


@frozen
class Known:
    """What is known of some of the events: how many there are, and what they cost."""

    completed: int
    failed: int
    net: Decimal

    @property
    def settled(self) -> int:
        return self.completed + self.failed

    @property
    def entries(self) -> Counter[str]:
        """How many entries of each type there are at the end: who failed had not been charged."""
        return Counter(debit=self.completed, void=self.failed)


WHOLE = Known(26_392, 398, Decimal("-76301.0000"))
"""Completed jobs add up to 763,010 seconds; 398 failed without an earlier charge."""

PART = Known(1_192, 398, Decimal("-2530.6000"))
"""The completed jobs of the busiest user add up to 25,306 seconds."""


@frozen
class Store:
    """Three tables, and the command line at work on them."""

    dynamodb: Any
    tables: Tables
    environment: dict[str, str]

    def command(self, *arguments: object) -> list[str]:
        """Return a command line of the product."""
        return [sys.executable, "-m", "engine.cli", *map(str, arguments)]

    def run(self, *arguments: object) -> dict[str, Any]:
        """Run a command that must end well, and return its JSON."""
        done = subprocess.run(
            self.command(*arguments, "--json"), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def run_and_kill(self, file: Path, after_line: int) -> int:
        """Start a replay, kill it with SIGKILL once it is past a line, and return where its checkpoint stands."""
        checkpoint = file.with_name(f"{file.name}.checkpoint")
        process = subprocess.Popen(
            self.command("replay", file), cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while lines_done(checkpoint) <= after_line:
            assert process.poll() is None, "the replay was done before it could be killed"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return lines_done(checkpoint)

    def fill(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows as the application does."""
        requests = [{"PutRequest": {"Item": encode_item(row)}} for row in rows]
        for start in range(0, len(requests), 25):
            answer = self.dynamodb.batch_write_item(RequestItems={table: requests[start : start + 25]})
            assert not answer.get("UnprocessedItems")

    def balances(self) -> bytes:
        """Return every user's row, to the last byte; a number as DynamoDB writes it (the local AWS keeps ``-4.0``)."""
        stored = [encode_item(decode_item(row)) for row in self._all(self.tables.credits)]
        rows = sorted(stored, key=lambda row: row["userId"]["S"])
        return "\n".join(json.dumps(row, sort_keys=True) for row in rows).encode()

    def ledger(self) -> list[dict[str, Any]]:
        """Return all entries as they are stored."""
        return sorted(self._all(self.tables.ledger), key=lambda row: (row["reference"]["S"], int(row["sequence"]["N"])))

    def _all(self, table: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


def lines_done(checkpoint: Path) -> int:
    """Return how far a replay says it is."""
    return int(json.loads(checkpoint.read_text())["lines_done"]) if checkpoint.exists() else 0


def read(path: Path) -> list[str]:
    """Return the lines of a packed file."""
    with gzip.open(path, "rt") as file:
        return file.readlines()


def events_of(known: Known) -> list[str]:
    """Return the lines of all events, or of the part: the busiest user's, and all failures."""
    lines = read(EVENTS)
    if known is WHOLE:
        return lines
    events = ((line, json.loads(line)) for line in lines)
    return [line for line, each in events if each["detail-type"] == "video.failed" or each["detail"]["userId"] == BUSIEST]


def rows_of(known: Known) -> list[dict[str, Any]]:
    """Return the rows of Jobs: all, or the busiest user's and all that are not completed, 33 of them unfinished."""
    rows = [json.loads(line, parse_float=Decimal) for line in read(JOBS)]
    return [row for row in rows if known is WHOLE or row["status"] != "completed" or row["userId"] == BUSIEST]


@pytest.fixture
def new_store(dynamodb: Any, new_tables: Callable[[], Tables], local_aws: Any, tmp_path: Path) -> Callable[[], Store]:
    """Return what makes a store with every user of the trace, each granted 1,000 credits."""
    policy = tmp_path / "flat.yaml"
    policy.write_text(FLAT)
    users = sorted({json.loads(line)["userId"] for line in read(JOBS)})

    def make() -> Store:
        tables = new_tables()
        variables = {"JOBS_TABLE": tables.jobs, "CREDITS_TABLE": tables.credits, "LEDGER_TABLE": tables.ledger}
        variables |= {"AWS_ENDPOINT_URL_DYNAMODB": endpoint_of(local_aws), "POLICY_FILE": str(policy)}
        store = Store(dynamodb, tables, {**os.environ, **variables})
        store.fill(tables.credits, ({"userId": user, "remaining": Decimal(1000)} for user in users))
        return store

    return make


def endpoint_of(local_aws: Any) -> str:
    """Return the endpoint as text."""
    return str(getattr(local_aws, "endpoint", local_aws))


SIZES = [PART, pytest.param(WHOLE, marks=pytest.mark.proof)]
NAMES = ["part", "whole"]


@pytest.mark.parametrize("known", SIZES, ids=NAMES)
def test_the_trace_ends_in_the_same_books_in_any_order(known: Known) -> None:
    """In memory: as it came, told again, and shuffled; against what is known of it."""
    events = [read_document(line) for line in events_of(known)]
    users = {event["detail"]["userId"]: Decimal(1000) for event in events}
    policy = parse_policy(FLAT, "flat.yaml")
    books, shuffled = Books(policy, dict(users)), Books(policy, dict(users))

    books.deliver(*events)
    again = books.deliver(*events)
    shuffled.deliver(*random.Random(SEED).sample(events, len(events)))  # noqa: S311  a repeatable shuffle, not a secret

    assert {Outcome.DUPLICATE} == set(again)
    for each in (books, shuffled):
        entries = [entry for posted in each.entries.values() for entry in posted]
        assert known.entries == Counter(entry.type.value for entry in entries)
        assert known.net == sum(entry.amount for entry in entries) == sum(each.balances.values()) - sum(users.values())
    assert books.balances == shuffled.balances


@pytest.mark.local_aws
@pytest.mark.parametrize(
    ("known", "kills", "one_again_in"),
    [(PART, 2, 1), pytest.param(WHOLE, 3, 10, marks=[pytest.mark.proof, pytest.mark.slow(200)])],
    ids=NAMES,
)
def test_the_trace_ends_in_the_same_balances_whatever_happens_on_the_way(
    new_store: Callable[[], Store], tmp_path: Path, known: Known, kills: int, one_again_in: int
) -> None:
    """With one percent withheld and caught up; again; shuffled, killed and resumed: always the same bytes."""
    lines = events_of(known)
    chance = random.Random(SEED)  # noqa: S311  a repeatable shuffle, not a secret
    withheld = set(chance.sample(range(len(lines)), len(lines) // 100))
    told_again = [line for number, line in enumerate(lines) if number in withheld or number % one_again_in == 0]
    told, packed = tmp_path / "told.jsonl", tmp_path / "again.jsonl.gz"
    told.write_text("".join(line for number, line in enumerate(lines) if number not in withheld))
    packed.write_bytes(gzip.compress("".join(told_again).encode()))

    # One percent of the events is lost, and the scan repairs exactly those.
    store = new_store()
    store.fill(store.tables.jobs, rows_of(known))
    replayed = store.run("replay", told)
    first_scan = store.run("scan")
    assert known.settled - len(withheld) == replayed["events"]
    assert (len(withheld), len(withheld)) == (first_scan["rows"], first_scan["adjustments"])
    balances, ledger = store.balances(), store.ledger()
    by_scan = {entry["jobId"]["S"] for entry in ledger if entry["source"]["S"] == "scan"}
    assert {json.loads(lines[number])["detail"]["jobId"] for number in withheld} == by_scan

    # A second scan writes nothing at all.
    second_scan = store.run("scan")
    assert (0, 0, 0) == tuple(second_scan[name] for name in ("rows", "adjustments", "marked"))

    # All of the part again, some of the whole, the withheld ones too: nothing but duplicates.
    again = store.run("replay", packed)
    assert (len(told_again), len(told_again), "0") == tuple(again[name] for name in ("events", "duplicate", "creditsMoved"))
    assert (balances, ledger) == (store.balances(), store.ledger())

    # The known totals, and the books agree for every user.
    assert known.entries == Counter(entry["type"]["S"] for entry in ledger)
    assert known.net == sum(Decimal(entry["amount"]["N"]) for entry in ledger)
    audit = store.run("audit")
    assert (known.settled, 0, known.net) == (audit["entries"], len(audit["drifts"]), Decimal(audit["net"]))

    # Shuffled, from the beginning, killed and resumed.
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("".join(chance.sample(lines, len(lines))))
    other = new_store()
    stops = [other.run_and_kill(shuffled, after_line=len(lines) * (kill + 1) // 4) for kill in range(kills)]
    resumed = other.run("replay", shuffled)
    assert stops[-1] == resumed["resumedAfterLine"]
    assert stops == sorted(set(stops))
    assert balances == other.balances()
    assert known.entries == Counter(entry["type"]["S"] for entry in other.ledger())
