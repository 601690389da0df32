"""People with roles who adjust: each does what its name says, with a role's rights, and returns what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.errors import LedgerError
from engine.reconcile.corrections import Adjuster
from engine.runtime.clock import Clock
from tests.support.staff import Staff

ANN, BEN = (Identity(f"arn:aws:iam::111122223333:user/{name}", name, name) for name in ("ann", "ben"))
DEADLINE_SECONDS = 30


def said(staff: Staff, act: Callable[[Adjuster], object], role: str = "") -> str:
    """Return what somebody with a role gets for an answer, or the error that refuses it."""
    try:
        return str(act(staff.adjuster(role)))
    except LedgerError as error:
        return str(error)


def request(staff: Staff, amount: int, job: str = "") -> AdjustmentRequest:
    """Return what is asked, of a user who has a hundred credits, or of that user's job."""
    user = f"u-{staff.number}" if job else staff.event()["detail"]["userId"]
    return AdjustmentRequest(f"a-{staff.number}", user, Decimal(amount), "a mistake of ours", job)


def an_adjustment(staff: Staff) -> str:
    """Gives a user credits: entry and balance."""
    asked = request(staff, 5)
    told = said(staff, lambda adjuster: adjuster.adjust(asked, ANN, Clock().deadline(DEADLINE_SECONDS)))
    row = staff.owner.get_item(TableName="Credits-its", Key={"userId": {"S": asked.user}})["Item"]
    return f"{told}\nbalance: {row['remaining']['N']}"


def a_proposal(staff: Staff) -> str:
    """Asks for more than one person may give."""
    asked = request(staff, 50)
    return said(staff, lambda adjuster: adjuster.adjust(asked, ANN, Clock().deadline(DEADLINE_SECONDS)))


def an_approval(staff: Staff) -> str:
    """Another person approves what an operator has proposed."""
    asked = request(staff, 50)
    said(staff, lambda adjuster: adjuster.adjust(asked, ANN, Clock().deadline(DEADLINE_SECONDS)), "operator")
    return said(staff, lambda adjuster: adjuster.approve(asked.id, BEN, Clock().deadline(DEADLINE_SECONDS)))


def a_list(staff: Staff) -> str:
    """Shows what waits and what was adjusted."""
    deadline = Clock().deadline(DEADLINE_SECONDS)
    waiting = said(staff, lambda adjuster: list(adjuster.corrections.proposals(deadline)))
    return waiting + said(staff, lambda adjuster: adjuster.adjustments(None, None, deadline))
