"""One posting as one ``TransactWriteItems``, and what its cancellation says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import frozen

from engine.decimals import EXACT, ZERO
from engine.errors import shown
from engine.instants import instant_text
from engine.ledger.attributes import Item, decode_item, encode, encode_item
from engine.ledger.calls import LedgerRefused
from engine.ledger.entries import log_of
from engine.values import Document, Entry, Guard, JobLog, Mark, RowTime, Standing


@frozen
class Tables:
    """The names of the tables."""

    jobs: str = "Jobs"
    credits: str = "Credits"
    ledger: str = "Ledger"
    state: str = "State"
    """What can be worked out again (baselines): no credit depends on it."""
    seals: str = "Seals"
    """What the entries were: audits write it, and nothing that serves events."""


class Verdict(StrEnum):
    """How the database answered a posting."""

    POSTED = "posted"
    SEQUENCE_TAKEN = "sequence-taken"
    """Another entry stands at this sequence: a duplicate, or somebody was faster."""
    NO_JOB_ROW = "no-job-row"
    ROW_LEARNED = "row-learned"
    """The job's row does not take the mark as it is."""
    STANDING_LEARNED = "standing-learned"
    """The user's row is not as the guard has it."""
    HELD_UP = "held-up"
    """Nothing is wrong with this posting; another one of the same transaction was refused."""
    ALONE = "alone"
    """The user's postings together were refused: only one by one they can tell why."""


@frozen
class Receipt:
    """The database's answer. ``log`` is the job's log as far as the answer tells it; ``standing`` what it taught.

    ``row`` is the job's row, where it does not take the mark.
    """

    verdict: Verdict
    log: JobLog | None = None
    standing: Standing | None = None
    row: Document | None = None


CREDITS_CONDITIONS: Mapping[Guard, str] = {
    Guard.EXISTS: "attribute_exists(userId)",
    Guard.COVERED: "attribute_exists(userId) AND remaining >= :debit",
    Guard.NOT_COVERED: "attribute_exists(userId) AND (attribute_not_exists(remaining) OR remaining < :debit)",
    Guard.MISSING: "attribute_not_exists(userId)",
}

STANDING_WHEN_ROW_EXISTS: Mapping[Guard, Standing] = {
    Guard.COVERED: Standing.NOT_COVERED,
    Guard.NOT_COVERED: Standing.ASSUMED_COVERED,
    Guard.MISSING: Standing.ASSUMED_COVERED,
}

REFERENCE_NAME = {"#reference": "reference"}
"""``reference`` is one of DynamoDB's reserved words."""

EXPLANATION = "explanation"
"""The one attribute that is ever added to an entry."""

JOB_MARKED = "SET reconciled = :settled, reconciledSequence = :sequence, reconciledStatus = :marked"
JOB_STILL_DUE = "SET reconciled = :settled, reconciledSequence = :sequence"

THE_JOB_EXISTS = "attribute_exists(jobId)"
NO_LATER_MARK = "NOT attribute_type(reconciledSequence, :number) OR reconciledSequence < :sequence"
THIS_ENTRY_AT_THE_STATUS_READ = (
    "reconciledSequence = :sequence AND #status = :read AND NOT (reconciled = :settled AND reconciledStatus = :marked)"
)
ITS_USER = "attribute_not_exists(#user) OR #user = :user"
ITS_TIME_AS_READ = "{0} = :time"
NO_TIME_AS_READ = "attribute_not_exists({0}) OR attribute_type({0}, :null)"
NO_LATER_TIME = "NOT ({0} > :second AND {0} <> :latest)"
"""Texts of one form (ISO 8601, UTC) compare as their instants do: what begins with a later second comes after it."""


def put_entry(tables: Tables, item: Item) -> dict[str, Any]:
    """Append an entry: the condition is the idempotency check and the compare-and-set in one."""
    this_sequence_is_free = "attribute_not_exists(#reference)"
    return {
        "Put": {
            "TableName": tables.ledger,
            "Item": item,
            "ConditionExpression": this_sequence_is_free,
            "ExpressionAttributeNames": REFERENCE_NAME,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def add_credits(tables: Tables, user: str, amount: Decimal, debit: Decimal, guard: Guard) -> dict[str, Any]:
    """Move a user's balance and the sum of all postings by ``amount``, under a guard that may ask for ``debit``."""
    values = {":amount": amount}
    if guard in {Guard.COVERED, Guard.NOT_COVERED}:
        values[":debit"] = debit
    return {
        "Update": {
            "TableName": tables.credits,
            "Key": encode_item({"userId": user}),
            "UpdateExpression": "ADD remaining :amount, posted :amount",
            "ConditionExpression": CREDITS_CONDITIONS[guard],
            "ExpressionAttributeValues": encode_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def update_mark(tables: Tables, job: str, mark: Mark) -> dict[str, Any]:
    """Write the mark on a job's row where the row takes it, and never make a row."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {":settled": mark.settled, ":sequence": mark.sequence, ":number": "N"}
    if mark.settled:
        values[":marked"] = mark.status
    conditions = [THE_JOB_EXISTS, *_row_conditions(mark, names, values)]
    return {
        "TableName": tables.jobs,
        "Key": encode_item({"jobId": job}),
        "UpdateExpression": JOB_MARKED if mark.settled else JOB_STILL_DUE,
        "ConditionExpression": " AND ".join(f"({condition})" for condition in conditions),
        **({"ExpressionAttributeNames": names} if names else {}),
        "ExpressionAttributeValues": {name: encode(value) for name, value in values.items()},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _row_conditions(mark: Mark, names: dict[str, str], values: dict[str, Any]) -> Iterator[str]:
    """Yield what must hold of a row for the mark; ``names`` and ``values`` get what that refers to."""
    if mark.settled and mark.read is not None:
        names["#status"], values[":read"] = "status", mark.read
        yield f"{NO_LATER_MARK} OR ({THIS_ENTRY_AT_THE_STATUS_READ})"
    else:
        yield NO_LATER_MARK
    if mark.user is not None:
        names["#user"], values[":user"] = mark.user
        yield ITS_USER
    if mark.time is not None:
        yield _time_condition(mark.time, names, values)


def _time_condition(time: RowTime, names: dict[str, str], values: dict[str, Any]) -> str:
    places = {f"#t{number}": name for number, name in enumerate(time.attribute.split("."))}
    names.update(places)
    attribute = ".".join(places)
    if time.latest is not None:
        values[":second"] = time.latest.isoformat()[: len("2026-01-05T10:00:00")]
        values[":latest"] = instant_text(time.latest)
        return NO_LATER_TIME.format(attribute)
    if time.read is None:
        values[":null"] = "NULL"
        return NO_TIME_AS_READ.format(attribute)
    values[":time"] = time.read
    return ITS_TIME_AS_READ.format(attribute)


@frozen
class Posting:
    """An entry with all that moves with it, in the order of the transaction: Ledger, Credits, Jobs."""

    entry: Entry
    item: Item
    guard: Guard
    mark: Mark | None

    def actions(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the items of the transaction."""
        own, amount = list(_own_actions(self, tables)), self.entry.amount
        if self.guard is not Guard.NONE:
            own.insert(1, add_credits(tables, self.entry.user, amount, amount.copy_negate(), self.guard))
        return own

    @property
    def marked(self) -> tuple[str, Mark] | None:
        """The job whose row is marked, and its mark."""
        return (self.entry.job, self.mark) if self.mark is not None and self.entry.job is not None else None

    def receipt(self, reasons: list[Mapping[str, Any]]) -> Receipt:
        """Return what the failed conditions say, the ledger's first: it alone tells a duplicate."""
        on_ledger, *others = reasons
        if _failed(on_ledger):
            return self._taken(on_ledger.get("Item", {}))
        on_credits = others.pop(0) if self.guard is not Guard.NONE else None
        if on_credits is not None and _failed(on_credits):
            return Receipt(Verdict.STANDING_LEARNED, standing=self._standing(on_credits.get("Item")))
        return self._of_row(others[0].get("Item"))

    def _of_row(self, row: Item | None) -> Receipt:
        return Receipt(Verdict.ROW_LEARNED, row=decode_item(row)) if row else Receipt(Verdict.NO_JOB_ROW)

    def _taken(self, standing_entry: Item) -> Receipt:
        """The entry at this sequence may be our own, committed by an attempt whose answer was lost, and explained since."""
        if {name: value for name, value in standing_entry.items() if name != EXPLANATION} == self.item:
            return Receipt(Verdict.POSTED)
        tells = self.entry.sequence == 1 and standing_entry.get("userId") == self.item["userId"]
        return Receipt(Verdict.SEQUENCE_TAKEN, log=log_of([standing_entry]) if tells else None)

    def _standing(self, row: Item | None) -> Standing:
        if not row:
            return Standing.UNKNOWN_USER
        if "N" not in row.get("remaining", {"N": "0"}):
            raise LedgerRefused(f"the balance of user {shown(self.entry.user)} is no number: {shown(row['remaining'])}")
        return STANDING_WHEN_ROW_EXISTS.get(self.guard, Standing.UNKNOWN_USER)


ACTIONS_MAX = 100
"""What a transaction of DynamoDB holds."""

BATCHED_GUARDS = frozenset({Guard.NONE, Guard.EXISTS, Guard.COVERED})
"""Guards that can be asked for several postings of one user at once."""


@frozen
class Batch:
    """Postings of different references in one transaction, with one summed ``ADD`` for each user.

    A transaction may hold an item but once, so the postings of a user share the update of the balance, and its condition: the
    balance covers all their debits.
    """

    postings: tuple[Posting, ...]

    def actions(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the items of the transaction: of each posting its entry and its mark, then the users in order."""
        own = [action for posting in self.postings for action in _own_actions(posting, tables)]
        return [*own, *(_add_sum(tables, user, list(postings)) for user, postings in self._by_user().items())]

    def receipts(self, reasons: list[Mapping[str, Any]]) -> list[Receipt]:
        """Return what the failed conditions say to each posting; one that nothing is wrong with was only held up."""
        rest = iter(reasons)
        own = [[next(rest) for _ in range(_own_count(posting))] for posting in self.postings]
        refused_users = {user for user, reason in zip(self._by_user(), rest, strict=True) if _failed(reason)}
        return [self._receipt(posting, said, refused_users) for posting, said in zip(self.postings, own, strict=True)]

    def _receipt(self, posting: Posting, said: list[Mapping[str, Any]], refused_users: set[str]) -> Receipt:
        if any(map(_failed, said)):
            balance = [NOTHING_FAILED] if posting.guard is not Guard.NONE else []
            return posting.receipt([said[0], *balance, *said[1:]])
        is_refused = posting.guard is not Guard.NONE and posting.entry.user in refused_users
        return Receipt(Verdict.ALONE if is_refused else Verdict.HELD_UP)

    def _by_user(self) -> dict[str, list[Posting]]:
        users: dict[str, list[Posting]] = {}
        for posting in self.postings:
            if posting.guard is not Guard.NONE:
                users.setdefault(posting.entry.user, []).append(posting)
        return users


NOTHING_FAILED: Mapping[str, Any] = {"Code": "None"}


def packed(postings: Iterable[Posting]) -> Iterator[Batch]:
    """Yield postings of different references in as few transactions as hold them, in their order."""
    held: list[Posting] = []
    users: set[str] = set()
    count = 0
    for posting in postings:
        moves = posting.guard is not Guard.NONE
        more = _own_count(posting) + (moves and posting.entry.user not in users)
        if count + more > ACTIONS_MAX:
            yield Batch(tuple(held))
            held, users, count = [], set(), 0
            more = _own_count(posting) + moves
        held.append(posting)
        users |= {posting.entry.user} if moves else set()
        count += more
    if held:
        yield Batch(tuple(held))


def _own_actions(posting: Posting, tables: Tables) -> Iterator[dict[str, Any]]:
    yield put_entry(tables, posting.item)
    if posting.marked is not None:
        yield {"Update": update_mark(tables, *posting.marked)}


def _own_count(posting: Posting) -> int:
    return 1 if posting.marked is None else 2


def _add_sum(tables: Tables, user: str, postings: list[Posting]) -> dict[str, Any]:
    amount, debit = ZERO, ZERO
    for posting in postings:
        amount = EXACT.add(amount, posting.entry.amount)
        if posting.guard is Guard.COVERED:
            debit = EXACT.subtract(debit, posting.entry.amount)
    guard = Guard.COVERED if debit else Guard.EXISTS
    return add_credits(tables, user, amount, debit, guard)


def _failed(reason: Mapping[str, Any]) -> bool:
    return reason.get("Code") == "ConditionalCheckFailed"
