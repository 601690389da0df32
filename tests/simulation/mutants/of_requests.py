"""Bugs in what is sent to DynamoDB and in how its answers are read: histories in memory cannot see them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from engine.domain.decision import Guard
from engine.ledger.dynamodb import calls, marks, postings, store
from engine.ledger.dynamodb.calls import Cancelled, call
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import NoAnswerError
from engine.ledger.store import Receipt, Verdict
from tests.simulation.mutants.mutant import Broken, Mutant, instead, is_faulty


def _strict(place: Any, name: str, broken: Broken) -> Mutant:
    return Mutant(place, name, broken, is_strict=True)


# --- conditions -------------------------------------------------------------------------------------------------------


def _unconditional(old: Any) -> Any:
    def put(*values: Any) -> Any:
        action = old(*values)["Put"]
        return {"Put": {name: action[name] for name in ("TableName", "Item")}}

    return put


WITHOUT_COVER: Mapping[Guard, str] = {
    **postings.CREDITS_CONDITIONS,
    Guard.COVERED: "attribute_exists(userId) AND (attribute_not_exists(remaining) OR remaining >= :debit "
    f"OR remaining < :debit) AND {postings.POSTED_ADDS}",
}

# --- transactions -----------------------------------------------------------------------------------------------------


def _moves_the_balance_alone(_old: Any) -> Any:
    """First the entry and its mark, then the balance by a request of its own."""

    def post(self: Any, entry: Any, guard: Any, mark: Any, deadline: Any) -> Receipt:
        posting = postings.EncodedPosting.of((entry, Guard.NONE, mark), self.clock.now())
        try:
            self._transact(posting.actions(self.tables), deadline)
        except Cancelled as cancelled:
            return posting.receipt(cancelled.reasons)
        if guard is not Guard.NONE:
            moved = postings.add_credits(self.tables, entry.user, entry.amount, -entry.amount, Guard.MISSING)["Update"]
            wanted = ("TableName", "Key", "UpdateExpression", "ExpressionAttributeValues")
            call(self.client.update_item, {name: moved[name] for name in wanted}, deadline)
        return Receipt(Verdict.POSTED)

    return post


def _always_the_same_token(_old: Any) -> Any:
    def transact(self: Any, actions: Any, deadline: Any, *, by_item: bool = False) -> None:
        request = {"TransactItems": actions, "ClientRequestToken": "posting"}
        call(self.client.transact_write_items, request, deadline, by_item=by_item)

    return transact


def without_a_token(_old: Any) -> Any:
    """Let a transaction be sent again as if it were another."""

    def transact(self: Any, actions: Any, deadline: Any, *, by_item: bool = False) -> None:
        call(self.client.transact_write_items, {"TransactItems": actions}, deadline, by_item=by_item)

    return transact


def each_try_with_its_own_token(_old: Any) -> Any:
    """Draw the token where the request is sent."""
    tries = itertools.count()

    def transact(self: Any, actions: Any, deadline: Any, *, by_item: bool = False) -> None:
        def send(**request: Any) -> Any:
            return self.client.transact_write_items(**request, ClientRequestToken=f"try-{next(tries)}")

        call(send, {"TransactItems": actions}, deadline, by_item=by_item)

    return transact


# --- answers ----------------------------------------------------------------------------------------------------------


def _takes_silence_for_done(old: Any) -> Any:
    def calling(operation: Any, request: Any, deadline: Any, **named: Any) -> Any:
        def once(**asked: Any) -> Any:
            try:
                return operation(**asked)
            except NoAnswerError:
                return {}

        return old(once, request, deadline, **named)

    return calling


def _takes_busy_for_held_up(old: Any) -> Any:
    def receipt(self: Any, posting: Any, said: Any, users: Any) -> Receipt:
        found: Receipt = old(self, posting, said, users)
        return Receipt(Verdict.POSTED) if found.verdict is Verdict.BUSY else found

    return receipt


def _reads_reasons_backwards(old: Any) -> Any:
    return lambda self, reasons: old(self, reasons[::-1])


def _stands_for_any_entry(old: Any) -> Any:
    def taken(self: Any, standing: Any) -> Receipt:
        is_alike = standing.get("occurredAt") == self.item.get("occurredAt")
        return Receipt(Verdict.POSTED) if is_alike else old(self, standing)

    return taken


# --- pages ------------------------------------------------------------------------------------------------------------


def _only_the_first(old: Any) -> Any:
    def pages(*values: Any) -> Any:
        yield next(old(*values))

    return pages


def _loses_its_last_key(old: Any) -> Any:
    return lambda answer, statuses: evolve(old(answer, statuses), next_after=None)


MUTANTS: Mapping[str, Mutant] = {
    "an entry is put without a condition": _strict(postings, "put_entry", _unconditional),
    "a debit is sent without asking for its cover": _strict(postings, "CREDITS_CONDITIONS", instead(WITHOUT_COVER)),
    "a mark asks for no user": _strict(
        marks, "ITS_USER", instead("attribute_not_exists(#user) OR #user <> :user OR #user = :user")
    ),
    "a mark asks for no row": _strict(
        marks, "THE_JOB_EXISTS", instead("attribute_exists(jobId) OR attribute_not_exists(jobId)")
    ),
    "the balance moves by itself, after the entry": _strict(DynamoStore, "post", _moves_the_balance_alone),
    "all transactions go with one token": _strict(DynamoStore, "_transact", _always_the_same_token),
    "silence is taken for done": _strict(store, "call", _takes_silence_for_done),
    "a posting that meets a conflict in a batch is taken for posted": Mutant(
        postings.Batch, "_receipt", _takes_busy_for_held_up, is_strict=True, shows_in=is_faulty
    ),
    "the reasons of a batch are read backwards": _strict(postings.Batch, "receipts", _reads_reasons_backwards),
    "an entry of the same instant is taken for one's own": _strict(postings.EncodedPosting, "_taken", _stands_for_any_entry),
    "only the first page is read": _strict(calls, "pages", _only_the_first),
    "a page of the scan loses its last key": _strict(store, "page_of", _loses_its_last_key),
}
"""By what they do wrong."""
