"""One finding of each kind that a scheduled run can make, in a deployed stack; and how a person puts all of it right."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve, frozen

from engine.audit.archived import checkpoints
from engine.audit.archived.checkpoints import PREFIX, Checkpoint
from engine.audit.archived.sums import Sums
from engine.audit.differences import Kind
from engine.audit.repairs.applied import AppliedPlans, keep
from engine.audit.repairs.applying import RepairRun
from engine.audit.repairs.plan import Wish, plan_repair
from engine.domain.entry import Correction, Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.archive.records import Records
from engine.ledger.archive.s3 import S3Bucket
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.audits import DynamoAuditStore
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.dynamodb.stream import Record
from engine.ledger.moved import Moved
from engine.reconcile.plan_file import PlanFile
from engine.runtime.clock import Clock
from tests.support.stack import give
from tests.support.watch import Watch
from tools.deployment import Deployment

FOUND = frozenset(kind for kind in Kind if kind is not Kind.BALANCE)
MINUTE, LOOKS_MAX = 60, 5


@frozen
class Findings:
    """What somebody does to the logs of one ``user``, each log by its own name."""

    stack: Deployment
    bucket: S3Bucket
    user: str

    # --- what is found ---

    def make(self) -> None:
        """Do one thing of each kind. What the stream tells of it comes twice: from the stream, and from here at once."""
        changed, removed = self.entry("changed"), self.entry("removed")
        senseless = {**self.entry("senseless"), "amount": {"N": "5"}}  # which is a drift as well: the row says 0
        there = [senseless, self.unreadable, self.correction()]
        came = [record_of("INSERT", item) for item in (changed, removed, *there)]
        gone = [record_of("REMOVE", item) for item in (removed, self.entry("unarchived"))]
        answer = self.stack.invoke({"Records": [*came, *gone]}, self.stack.archive_function)
        assert len(came) + len(gone) == answer["records"]
        for item in ({**changed, "rule": {"S": "another"}}, *there):
            self.stack.dynamodb.put_item(TableName=self.stack.ledger_table, Item=item)
        self.put_a_checkpoint_that_is_none()

    def put_a_checkpoint_that_is_none(self) -> None:
        """It stands behind the last one, and before the next."""
        *_, last = self.bucket.keys(PREFIX, "", Clock().deadline(MINUTE))
        count = last.removeprefix(PREFIX).split("-")[0]
        self.bucket.put(f"{PREFIX}{count}-{'9' * 12}-{'0' * 32}.json", b"{}", Clock().deadline(MINUTE))

    def entry(self, log: str, source: Source = Source.EVENT, correction: Correction | None = None) -> Item:
        """Return an entry that moves nothing, posted just now."""
        now = datetime.now(UTC)
        entry = Entry(
            reference=self.reference(log), job=f"{self.user}-{log}", sequence=1, user=self.user, type=EntryType.VOID,
            amount=Decimal(0), occurred_at=now, rule="rule-of-a-test", policy="test", facts=Facts(), cost=Decimal(0),
            money=Money(), source=source, correction=correction,
        )  # fmt: skip
        return item_of(entry, now)

    def correction(self) -> Item:
        """Return an entry that calls itself a correction, of a plan that nobody has applied."""
        return self.entry("correction", Source.REPAIR, Correction("a forger's reason", "nobody", plan="0" * 64))

    def reference(self, log: str) -> str:
        """Return the name of a log."""
        return f"job#{self.user}-{log}"

    @property
    def unreadable(self) -> Item:
        """Return what is no entry."""
        return {"reference": {"S": self.reference("unreadable")}, "sequence": {"N": "1"}, "userId": {"S": self.user}}

    # --- how it is put right ---

    def put_right(self) -> None:
        """Remove by hand what cannot be read, then plan the user's repair and apply it."""
        key = {name: self.unreadable[name] for name in ("reference", "sequence")}
        self.stack.dynamodb.delete_item(TableName=self.stack.ledger_table, Key=key)
        deadline, clock = Clock().deadline(MINUTE), Clock()
        store = DynamoAuditStore(self.stack.dynamodb, self.stack.tables, clock)
        head = DynamoHeads(self.stack.dynamodb, self.stack.tables.seals).head(deadline)
        records, believes = Records(self.bucket, head, Record.read, deadline), AppliedPlans(self.bucket, deadline).believes
        wish = Wish(self.user, "a rehearsal", "ann", clock.now().replace(microsecond=0), {})
        planned = plan_repair(wish, store, records, believes, deadline)
        assert () == planned.left
        with TemporaryDirectory() as folder:
            digest = planned.write(path := Path(folder) / "plan")
            keep(self.bucket, path.read_bytes(), digest, deadline)
            assert RepairRun(PlanFile.open(path, "repair"), store, "ann", deadline).apply().is_whole


def record_of(event: str, item: Item) -> dict[str, Any]:
    """Return what the stream tells of an item, just now."""
    keys = {name: item[name] for name in ("reference", "sequence")}
    change: dict[str, Any] = {"ApproximateCreationDateTime": datetime.now(UTC).timestamp(), "Keys": keys}
    image = {} if event == "REMOVE" else {"NewImage": item}
    return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": {**change, **image}}


def forget_what_others_have_left(stack: Deployment, watch: Watch) -> None:
    """Let the next run find nothing: what tests have put into the Ledger by hand is found until it is put right.

    A checkpoint is made up in which all of them are. What is on its way by the stream is found by another look. Each look has
    a period of its own: an alarm sees the worst of a period, so that a look which finds nothing would not end what the one
    before it found in the same minute.
    """
    client = stack.aws.client("s3")
    bucket = S3Bucket(client, stack.outputs["ArchiveBucketName"])
    for _ in range(LOOKS_MAX):
        if not (found := counts(stack)):
            break
        keep_a_clean_checkpoint(stack, bucket)
        watch.let_pass(watch.alarm.period)
    else:
        pytest.fail(f"every run finds something of what others have left: {found}")
    client.close()


def keep_a_clean_checkpoint(stack: Deployment, bucket: S3Bucket) -> None:
    """Keep the last checkpoint once more, without findings, and with sums as the rows have them."""
    deadline = Clock().deadline(MINUTE)
    last = next(each for each in checkpoints.last(bucket, deadline) if isinstance(each, Checkpoint))
    store = DynamoAuditStore(stack.dynamodb, stack.tables, Clock())
    sums = Sums(bucket, last.digits, dict(last.pages), last.users)
    for user in last.open_users:
        found, row = sums.of(user, deadline), store.credit(user, deadline)
        moves = Moved(row.posted or Decimal(0), row.held or Decimal(0))
        sums.agree(sums.correct(found, moves, found.entries, deadline), last.head.number, deadline)
    sums.save(deadline)
    clean = evolve(last, count=last.count + 1, open=(), open_users=(), breaks=(), pages=sums.pages, users=sums.users)
    checkpoints.keep(bucket, clean, deadline)


def counts(stack: Deployment) -> Mapping[str, int]:
    """Let a scheduled run audit, and return what it has found, by kind."""
    answer = stack.invoke({"parts": []}, stack.catch_up_function)
    found: Mapping[str, int] = answer["archive"]["counts"]
    return found


@contextmanager
def findings(stack: Deployment) -> Iterator[Findings]:
    """Make them, in the logs of a user who is new."""
    client = stack.aws.client("s3")
    user = f"u-{uuid.uuid4().hex[:12]}"
    give(stack, user, "100")
    made = Findings(stack, S3Bucket(client, stack.outputs["ArchiveBucketName"]), user)
    made.make()
    yield made
    client.close()
