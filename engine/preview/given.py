"""What a policy test is given: events, rows of Jobs that a scan finds, holds that expire, and what people adjust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from attrs import frozen

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.documents import told_number
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Envelope, Source
from engine.domain.money import ZERO
from engine.domain.references import ADJUST, JOB
from engine.ledger.store import Store
from engine.policy import Policy, load_policy
from engine.policy.event_patterns import plain
from engine.policy.grammar import WRONG, Key, Keys, Number, Text
from engine.policy.hints import did_you_mean
from engine.policy.source import Members, Node, Notes, named
from engine.preview.dry_run import DryRun
from engine.rating.expire import expiry_of
from engine.rating.reprice import RULE as REPRICE
from engine.reconcile.corrections import Adjuster
from engine.reconcile.job_rows import row_event
from engine.reconcile.plan_file import PlanFile
from engine.reconcile.repricing.apply import Applying
from engine.reconcile.repricing.plan import Wish, make_plan
from engine.reconcile.settle import EventProposal, settle

CREDITS = Number(-(Decimal(10) ** 30), Decimal(10) ** 30)
SCAN_STARTED = "2100-01-01T00:00:00Z"
"""The start of the scan that reads a test's rows: it counts for a row without a time of its own."""

FIRST, SECOND = (Identity(name, name, name) for name in ("the first person", "the second person"))
"""Who adjusts in a test, and who approves."""

BECAUSE = "a policy test"


def _adjustment(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    reverses, amount = values["reverses"], values["amount"]
    if (reverses is None) == (amount is None):
        notes.mistake(node.place, "an adjustment has an `amount`, or `reverses` another one")
    elif reverses is None and values["user"] is None:
        notes.mistake(node.place, "an adjustment is of a `user`")
    user, job = values["user"] or "", values["job"] or ""
    return AdjustmentRequest(values["id"], user, amount or ZERO, BECAUSE, job, reverses or "")


def _people(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    done = {name: value for name, value in values.items() if value is not None}
    if len(done) > 1:
        notes.mistake(node.place, f"`{'` and `'.join(done)}` are {len(done)} elements of `given`")
    return done


ADJUSTMENT = Keys(
    {
        "id": Key(Text("the id of an adjustment")),
        "user": Key(Text("a user"), None),
        "job": Key(Text("a job"), None),
        "amount": Key(CREDITS, None),
        "reverses": Key(Text("the id of an adjustment"), None),
    },
    _adjustment,
)

PEOPLE = Keys(
    {
        "adjust": Key(ADJUSTMENT, None),
        "approve": Key(Text("the id of an adjustment"), None),
        REPRICE: Key(Text("the file of the policy whose prices are right"), None),
        "expire": Key(Text("a job"), None),
    },
    _people,
)
"""What people do in a test, and the scheduled run by itself."""

GIVEN_KEYS = ("row", "source", "detail-type", "time", "detail", "id", "version", "account", "region", "resources")
"""What an envelope of EventBridge has, or ``row``."""


@frozen
class Given:
    """An event, ``row:`` with a row of Jobs, or what a person or the run does; numbers are read as those of any event."""

    def read(self, node: Node, notes: Notes) -> Any:
        if isinstance(node, Members) and node.names() & PEOPLE.keys.keys():
            return PEOPLE.read(node, notes)
        return self._event(node, notes)

    def _event(self, node: Node, notes: Notes) -> Any:
        value = plain(node, told_number)
        if isinstance(value, dict) and value:
            for key, _ in node.pairs if isinstance(node, Members) else ():
                if key.text not in GIVEN_KEYS:
                    others = (*GIVEN_KEYS, *PEOPLE.keys)
                    notes.mistake(key.place, f"{named(key.text)} is not known here{did_you_mean(key.text, others)}")
            return value
        people = ", ".join(f"`{name}:`" for name in PEOPLE.keys)
        notes.mistake(node.place, f"each of `given` is an event, `row:` with a row of Jobs, or one of {people}")
        return WRONG


@frozen
class JobsRow:
    """A row of Jobs in plain values; its numbers are read as those of any event."""

    def read(self, node: Node, notes: Notes) -> Any:
        row = plain(node, told_number)
        if isinstance(row, dict) and isinstance(row.get("jobId"), str):
            return row
        notes.mistake(node.place, "each of `rows` is a row of Jobs, with its `jobId`")
        return WRONG


# --- how it is done ---------------------------------------------------------------------------------------------------


def do(given: Mapping[str, Any], run: DryRun) -> None:
    """Do what a test is given. Raises EventError or CorrectionError for what makes no sense."""
    for name, act in ACTS.items():
        if name in given:
            act(given[name], run)
            return
    run.reconcile(Envelope(given, Source.EVENT))


def _find(row: Mapping[str, Any], run: DryRun) -> None:
    if (envelope := row_event(run.policy, row, SCAN_STARTED)) is not None:
        run.reconcile(envelope)


def _adjust(request: AdjustmentRequest, run: DryRun) -> None:
    _adjuster(run).adjust(request, FIRST, run.deadline)


def _approve(name: str, run: DryRun) -> None:
    _adjuster(run).approve(name, SECOND, run.deadline)


def _adjuster(run: DryRun) -> Adjuster:
    return Adjuster.on(run.policy, cast("Store", run.store))


def _reprice(policy: Policy, run: DryRun) -> None:
    """Price all jobs anew: the plan is made and posted, as the two commands do."""
    store = cast("Store", run.store)
    with TemporaryDirectory(prefix="policy-test-") as folder:
        file = Path(folder) / "plan.jsonl"
        make_plan(Wish(policy, BECAUSE, FIRST.name, store.clock.now(), {}), store, file, run.deadline)
        plan = PlanFile.open(file, REPRICE)
        Applying(plan, policy, store, FIRST.name, run.deadline).post(plan.lines_count)


def _expire(job: str, run: DryRun) -> None:
    """Tell that a job's hold has expired, where one is open, as the scheduled run does."""
    ledger = cast("Store", run.store)
    log = ledger.read(f"{JOB}{job}", run.deadline)
    if (hold := log.facts.hold) is not None:
        expiry = expiry_of(hold, job, log.user or "", hold.expires_at)
        settle(EventProposal(expiry, run.policy, ledger, log), ledger, run.deadline)


ACTS: Mapping[str, Callable[[Any, DryRun], None]] = {
    "row": _find,
    "adjust": _adjust,
    "approve": _approve,
    REPRICE: _reprice,
    "expire": _expire,
}


def identified(given: Mapping[str, Any], place: int, policy: Policy) -> Mapping[str, Any]:
    """Return what a test is given: under a policy that holds an event without an ``id`` has its place for one.

    EventBridge gives each event an id, and a hold needs it.
    """
    is_event = not given.keys() & ACTS.keys()
    return {"id": f"given-{place}", **given} if is_event and policy.holds else given


def with_policies(given: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return what a test is given, with the policy whose file it names. Raises PolicyError for a mistake in that."""
    return {REPRICE: load_policy(folder / given[REPRICE])} if REPRICE in given else given


def is_claim(entry: Entry) -> bool:
    """Say whether an entry only claims an id, beside the entry of another log that tells what was adjusted."""
    return entry.reference.startswith(ADJUST) and entry.type is EntryType.VOID
