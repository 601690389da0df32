"""A person's correction in one ``TransactWriteItems``, and the proposals in State that wait for a second person."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import asdict, frozen

from engine.domain.adjustment import AdjustmentProposal, AdjustmentRequest, Approval, Identity
from engine.domain.errors import LedgerRefused
from engine.domain.instants import posting_text, read_instant
from engine.ledger.corrections import PROPOSAL, CorrectionPosting
from engine.ledger.dynamodb.attributes import Item, decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import (
    CONDITION_FAILED,
    Cancelled,
    ConditionFailed,
    DynamoDB,
    Response,
    call,
    items,
    reasons_of,
)
from engine.ledger.dynamodb.postings import TOKEN_BYTES, EncodedPosting, item_of, log_of_items, put_entry
from engine.ledger.store import Receipt, Tables, Verdict
from engine.runtime.clock import Clock, Deadline

NAMES = {"#said": "said", "#by": "proposedBy", "#at": "proposedAt"}
"""What is stored of a proposal beside its key."""

IT_STANDS_AS_IT_WAS_READ = "#said = :said AND #by = :by AND #at = :at"
SOMEBODY_ELSE_PROPOSED_IT = "#by.#key <> :key AND #by.person <> :person"


@frozen(eq=False, repr=False)
class DynamoCorrectionStore:
    """The tables, as corrections need them. It is a ``ledger.corrections.CorrectionStore``."""

    client: DynamoDB
    tables: Tables
    clock: Clock

    def post(self, posting: CorrectionPosting, deadline: Deadline) -> Receipt:
        """Post a correction, its balance, its claim and its approval, all together or not at all. One round trip."""
        now = self.clock.now()
        own = EncodedPosting.of((posting.entry, posting.guard, None), now)
        actions = own.actions(self.tables)
        if posting.claim is not None:
            actions.append(put_entry(self.tables, item_of(posting.claim, now)))
        if posting.approval is not None:
            actions.append({"Delete": self._approved(posting.approval)})
        try:
            self._transact(actions, deadline)
        except Cancelled as cancelled:
            return _receipt(posting, own, cancelled.reasons)
        except LedgerRefused as error:
            if problem := own.refusal(reasons_of(error)):
                raise LedgerRefused(f"DynamoDB refuses {problem}", is_of_an_item=True) from error
            raise
        return Receipt(Verdict.POSTED)

    def _transact(self, actions: list[dict[str, Any]], deadline: Deadline) -> None:
        request = {"TransactItems": actions, "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        call(self.client.transact_write_items, request, deadline)

    def _approved(self, approval: Approval) -> dict[str, Any]:
        delete = self._taken_away(approval.proposal)
        return {
            **delete,
            "ConditionExpression": f"{IT_STANDS_AS_IT_WAS_READ} AND {SOMEBODY_ELSE_PROPOSED_IT}",
            "ExpressionAttributeNames": {**NAMES, "#key": "key"},
            "ExpressionAttributeValues": {
                **delete["ExpressionAttributeValues"],
                ":key": encode(approval.by.key),
                ":person": encode(approval.by.person),
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _taken_away(self, proposal: AdjustmentProposal) -> dict[str, Any]:
        item = item_of_proposal(proposal)
        return {
            "TableName": self.tables.state,
            "Key": {"id": item["id"]},
            "ConditionExpression": IT_STANDS_AS_IT_WAS_READ,
            "ExpressionAttributeNames": NAMES,
            "ExpressionAttributeValues": {":said": item["said"], ":by": item["proposedBy"], ":at": item["proposedAt"]},
        }

    # --- proposals ---

    def propose(self, proposal: AdjustmentProposal, deadline: Deadline) -> AdjustmentProposal:
        """Keep a proposal, and return the one that stands under its id: this one, or one that was there before."""
        this_id_is_free = "attribute_not_exists(id)"
        put = {
            "TableName": self.tables.state,
            "Item": item_of_proposal(proposal),
            "ConditionExpression": this_id_is_free,
        }
        while True:  # what stood there may be gone when it is read, and then this one can be kept
            try:
                call(self.client.put_item, put, deadline)
            except ConditionFailed:
                if (standing := self.proposal(proposal.request.id, deadline)) is not None:
                    return standing
            else:
                return proposal

    def proposal(self, name: str, deadline: Deadline) -> AdjustmentProposal | None:
        """Return the proposal of an id (strongly consistent), or None where there is none. Raises LedgerRefused."""
        request = {"TableName": self.tables.state, "Key": {"id": encode(f"{PROPOSAL}{name}")}, "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        return proposal_of_item(item) if item else None

    def proposals(self, deadline: Deadline) -> Iterator[AdjustmentProposal]:
        """Yield all proposals (strongly consistent), in no order. Raises LedgerRefused."""
        request = {
            "TableName": self.tables.state,
            "FilterExpression": "begins_with(id, :proposal)",
            "ExpressionAttributeValues": {":proposal": encode(PROPOSAL)},
            "ConsistentRead": True,
        }
        yield from map(proposal_of_item, items(self.client.scan, request, deadline))

    def withdraw(self, proposal: AdjustmentProposal, by: Identity, deadline: Deadline) -> bool:
        """Take a proposal away. False where it does not stand as it was read, or is not of ``by``.

        A transaction: its token keeps an answer that was lost from being told as a proposal that is gone.
        """
        if by.key != proposal.by.key:
            return False
        try:
            self._transact([{"Delete": self._taken_away(proposal)}], deadline)
        except Cancelled:
            return False
        return True

    # --- what was corrected ---

    def corrected(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with a correction that has an id, posted ``since`` (strongly consistent), in no order."""
        it_has_an_id = "attribute_exists(correction.id)"
        if since is not None:
            it_has_an_id += " AND postedAt >= :since"
        request: dict[str, Any] = {"TableName": self.tables.ledger, "FilterExpression": it_has_an_id, "ConsistentRead": True}
        if since is not None:
            request["ExpressionAttributeValues"] = {":since": encode(posting_text(since))}
        yield from map(decode_item, items(self.client.scan, request, deadline))


def _receipt(posting: CorrectionPosting, own: EncodedPosting, reasons: list[Mapping[str, Any]]) -> Receipt:
    """Return what the failed conditions say. The id comes first: what was told under it is told, whatever else holds."""
    rest = list(reasons)
    approved = rest.pop() if posting.approval is not None else {}
    claimed = rest.pop() if posting.claim is not None else {}
    if _failed(rest[0]) and (receipt := own.receipt(rest)).verdict is Verdict.POSTED:  # its own answer was lost
        return receipt
    if _failed(claimed):
        told = claimed.get("Item")
        return Receipt(Verdict.ID_TAKEN, log=log_of_items(told["reference"]["S"], [told]) if told else None)
    if _failed(approved):
        return Receipt(_verdict_on(posting.approval, approved.get("Item")))
    return own.receipt(rest)


def _verdict_on(approval: Approval | None, standing: Item | None) -> Verdict:
    is_as_read = approval is not None and standing == item_of_proposal(approval.proposal)
    return Verdict.PROPOSED_BY_THE_SAME if is_as_read else Verdict.PROPOSAL_GONE


def _failed(reason: Mapping[str, Any]) -> bool:
    return reason.get("Code") == CONDITION_FAILED


# --- the form of a proposal -------------------------------------------------------------------------------------------


def item_of_proposal(proposal: AdjustmentProposal) -> dict[str, Any]:
    """Return the item that stores a proposal."""
    request = proposal.request
    said = {
        "id": request.id,
        "user": request.user,
        "amount": request.amount,
        "reason": request.reason,
        "job": request.job or None,
        "reverses": request.reverses or None,
        "about": request.about or None,
    }
    return encode_item(
        {
            "id": f"{PROPOSAL}{request.id}",
            "said": said,
            "proposedBy": asdict(proposal.by),
            "proposedAt": posting_text(proposal.at),
        }
    )


def proposal_of_item(item: Item) -> AdjustmentProposal:
    """Return the proposal that is stored so. Raises LedgerRefused for what is none of this system."""
    row: Response = decode_item(item)
    try:
        return _proposal_of(row)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise LedgerRefused(f"{row.get('id')}: is no proposal of this system ({type(error).__name__}: {error})") from error


def _proposal_of(row: Mapping[str, Any]) -> AdjustmentProposal:
    said, by = row["said"], row["proposedBy"]
    request = AdjustmentRequest(**{**said, "amount": Decimal(said["amount"])})
    if (at := read_instant(row["proposedAt"])) is None:
        raise ValueError(f"proposedAt is {row['proposedAt']!r}")
    return AdjustmentProposal(request, Identity(**by), at)
