"""One posting as one ``TransactWriteItems``, and what its cancellation says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from attrs import frozen

from engine.domain.decision import Guard, Standing
from engine.domain.entry import Entry
from engine.domain.errors import LedgerRefused, shown
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.domain.money import EXACT, ZERO
from engine.ledger.dynamodb.attributes import Item, decode_item, encode_item
from engine.ledger.dynamodb.calls import CONDITION_FAILED, TRANSIENT
from engine.ledger.dynamodb.marks import update_mark
from engine.ledger.store import Posting, Receipt, Tables, Verdict, actions_of
from engine.ledger.stored import UnreadableLogError, log_of_stored, stored_of

MOVED = ("remaining", "posted", "held")
"""The attributes of a user's row that move by ``ADD``: all are numbers, or not there yet."""

REMAINING_ADDS = "(attribute_not_exists(remaining) OR attribute_type(remaining, :number))"
POSTED_ADDS = "(attribute_not_exists(posted) OR attribute_type(posted, :number))"
HELD_ADDS = " AND (attribute_not_exists(held) OR attribute_type(held, :number))"
"""Asked for by the condition, since a failed condition shows the row. An ``ADD`` that fails says neither whose nor what."""

CREDITS_CONDITIONS: Mapping[Guard, str] = {
    Guard.EXISTS: f"attribute_exists(userId) AND {REMAINING_ADDS} AND {POSTED_ADDS}",
    Guard.COVERED: f"attribute_exists(userId) AND remaining >= :debit AND {POSTED_ADDS}",
    Guard.NOT_COVERED: (
        f"attribute_exists(userId) AND (attribute_not_exists(remaining) OR remaining < :debit) AND {POSTED_ADDS}"
    ),
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


TOKEN_BYTES = 18
"""A transaction's token has at most 36 characters."""


def item_of(entry: Entry, posted_at: datetime) -> dict[str, Any]:
    """Return the item that stores ``entry``."""
    return encode_item(stored_of(entry, posted_at))


def log_of_items(reference: str, items: Iterable[Item]) -> JobLog:
    """Return the entries of a reference (in order of their sequence), summed up.

    Raises LedgerRefused where one is no entry of this system: nothing is posted on it until a person has looked.
    """
    try:
        return log_of_stored(map(decode_item, items))
    except UnreadableLogError as error:
        problem = f"{reference}, {error}; nothing is posted to this log as long as it stands there"
        raise LedgerRefused(problem, is_of_an_item=True) from error


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


def add_credits(
    tables: Tables, user: str, amount: Decimal, debit: Decimal, guard: Guard, *, held: Decimal = ZERO
) -> dict[str, Any]:
    """Move a user's balance and the sum of all postings by ``amount``, under a guard that may ask for ``debit``.

    What is held of the user's credits moves by ``held``, where that is not 0.
    """
    values: dict[str, object] = {":amount": amount, **({":held": held} if held else {})}
    adds, condition = "ADD remaining :amount, posted :amount", CREDITS_CONDITIONS[guard]
    if held:
        adds, condition = f"{adds}, held :held", condition if guard is Guard.MISSING else f"{condition}{HELD_ADDS}"
    if guard is not Guard.MISSING:
        values[":number"] = "N"
    if guard in {Guard.COVERED, Guard.NOT_COVERED}:
        values[":debit"] = debit
    return {
        "Update": {
            "TableName": tables.credits,
            "Key": encode_item({"userId": user}),
            "UpdateExpression": adds,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": encode_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


@frozen(eq=False, repr=False)
class EncodedPosting:
    """An entry with all that moves with it, in the order of the transaction: Ledger, Credits, Jobs."""

    entry: Entry
    item: Item
    guard: Guard
    mark: Mark | None

    @classmethod
    def of(cls, posting: Posting, at: datetime) -> Self:
        """Return a posting whose entry is dated ``at``."""
        entry, guard, mark = posting
        return cls(entry, item_of(entry, at), guard, mark)

    def actions(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the items of the transaction."""
        own, amount = list(_own_actions(self, tables)), self.entry.amount
        if self.guard is not Guard.NONE:
            own.insert(1, add_credits(tables, self.entry.user, amount, amount.copy_negate(), self.guard, held=self.entry.held))
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
        return Receipt(Verdict.SEQUENCE_TAKEN, log=log_of_items(self.entry.reference, [standing_entry]) if tells else None)

    def _standing(self, row: Item | None) -> Standing:
        if not row:
            return Standing.UNKNOWN_USER
        for name in MOVED if self.entry.held else MOVED[:2]:
            if "N" not in row.get(name, {"N": "0"}):
                what = "the balance" if name == "remaining" else f"`{name}`"
                problem = f"{what} of user {shown(self.entry.user)} is no number: {shown(row[name])}"
                raise LedgerRefused(problem, field=name, is_of_an_item=True)
        return STANDING_WHEN_ROW_EXISTS.get(self.guard, Standing.UNKNOWN_USER)

    def refusal(self, reasons: Sequence[Mapping[str, Any]]) -> str:
        """Return what is wrong with which item, of a transaction that was refused for more than a failed condition."""
        said = zip(self._subjects(), reasons, strict=False)
        return "; ".join(f"{subject}: {_told(reason)}" for subject, reason in said if _code(reason) not in SAYS_NOTHING)

    def _subjects(self) -> Iterator[str]:
        entry = self.entry
        yield f"entry {entry.sequence} of {shown(entry.reference)}"
        if self.guard is not Guard.NONE:
            yield f"{entry.amount:f} on `remaining` and `posted` of user {shown(entry.user)}"
        yield f"the mark of job {shown(entry.job)}"


SAYS_NOTHING = frozenset({"None", CONDITION_FAILED})
"""Reasons of items that nothing else is wrong with."""


@frozen(eq=False, repr=False)
class Batch:
    """Postings of different references in one transaction, with one summed ``ADD`` for each user.

    A transaction may hold an item but once, so the postings of a user share the update of the balance, and its condition: the
    balance covers all their debits.
    """

    postings: tuple[EncodedPosting, ...]

    def actions(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the items of the transaction: of each posting its entry and its mark, then the users in order."""
        own = [action for posting in self.postings for action in _own_actions(posting, tables)]
        return [*own, *(_add_sum(tables, user, list(postings)) for user, postings in self._by_user().items())]

    def receipts(self, reasons: list[Mapping[str, Any]]) -> list[Receipt]:
        """Return what the reasons say to each posting; one that nothing is wrong with was only held up."""
        rest = iter(reasons)
        own = [[next(rest) for _ in range(actions_of(posting.entry, posting.mark))] for posting in self.postings]
        users = dict(zip(self._by_user(), rest, strict=True))
        return [self._receipt(posting, said, users) for posting, said in zip(self.postings, own, strict=True)]

    def _receipt(
        self, posting: EncodedPosting, said: list[Mapping[str, Any]], users: Mapping[str, Mapping[str, Any]]
    ) -> Receipt:
        """Believe of a busy posting nothing that can change; that an entry stands where it is shown cannot.

        What another condition saw beside a conflict may be what the other one at work undoes. Each posting is judged by its
        own items and its user's row: what keeps a neighbour busy says nothing about them.
        """
        moves = posting.guard is not Guard.NONE
        reasons = [said[0], *([users[posting.entry.user]] if moves else []), *said[1:]]
        codes = {_code(reason) for reason in reasons}
        if codes & TRANSIENT and not (_failed(said[0]) and said[0].get("Item")):
            return Receipt(Verdict.BUSY, problem=posting.refusal(reasons))
        if any(map(_failed, said)):
            return posting.receipt([said[0], *([NOTHING_FAILED] if moves else []), *said[1:]])
        return Receipt(Verdict.HELD_UP if codes == {"None"} else Verdict.ALONE)

    def _by_user(self) -> dict[str, list[EncodedPosting]]:
        users: dict[str, list[EncodedPosting]] = {}
        for posting in self.postings:
            if posting.guard is not Guard.NONE:
                users.setdefault(posting.entry.user, []).append(posting)
        return users


NOTHING_FAILED: Mapping[str, Any] = {"Code": "None"}


def _own_actions(posting: EncodedPosting, tables: Tables) -> Iterator[dict[str, Any]]:
    yield put_entry(tables, posting.item)
    if posting.marked is not None:
        yield {"Update": update_mark(tables.jobs, *posting.marked)}


def _add_sum(tables: Tables, user: str, postings: list[EncodedPosting]) -> dict[str, Any]:
    amount, debit, held = ZERO, ZERO, ZERO
    for posting in postings:
        amount, held = EXACT.add(amount, posting.entry.amount), EXACT.add(held, posting.entry.held)
        if posting.guard is Guard.COVERED:
            debit = EXACT.subtract(debit, posting.entry.amount)
    guard = Guard.COVERED if debit else Guard.EXISTS
    return add_credits(tables, user, amount, debit, guard, held=held)


def _failed(reason: Mapping[str, Any]) -> bool:
    return reason.get("Code") == CONDITION_FAILED


def _code(reason: Mapping[str, Any]) -> str:
    return str(reason.get("Code") or "None")


def _told(reason: Mapping[str, Any]) -> str:
    return f"{_code(reason)}: {reason['Message']}" if reason.get("Message") else _code(reason)
