"""Deliberate bugs that only a process which dies can show: a soak that does not find them proves nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.ledger.dynamodb.wire import ServiceError

VARIABLE = "SOAK_BUG"
"""Names the bug to a process."""

HALVES = "the balance moves in a request of its own"

RICH = re.compile(r"u-(hot|\d+)")
"""Users whose balance can always be moved: nothing but a death between the two requests is to make a difference."""

BETWEEN = 3
"""So many times what the first request took lies between the two: most deaths within a posting fall there, busy or not."""

type Request = dict[str, Any]
type Call = Callable[[Any, str, Request], Any]


def in_halves(call: Call) -> Call:
    """Post entries and marks first, and then the balances."""

    def calling(client: Any, operation: str, request: Request) -> Any:
        actions = request.get("TransactItems", ())
        balances = [action for action in actions if is_a_balance(action)]
        if not balances or len(balances) == len(actions):
            return call(client, operation, request)
        first = [action for action in actions if action not in balances]
        begun = time.monotonic()
        try:
            answer = call(client, operation, {**request, "TransactItems": first})
        except ServiceError as error:
            raise of_all(error, actions, balances) from error
        time.sleep(BETWEEN * (time.monotonic() - begun))
        while moves(call, client, balances):
            pass  # another transaction was at one of them
        return answer

    return calling


def moves(call: Call, client: Any, balances: list[Request]) -> bool:
    """Move balances; say whether that has to be tried again."""
    try:
        call(client, "TransactWriteItems", {"TransactItems": balances})
    except ServiceError:
        return True
    return False


def of_all(error: ServiceError, actions: Sequence[Request], balances: list[Request]) -> ServiceError:
    """Return an error with a reason for each action, as if the balances had been among them."""
    reasons = iter(error.reasons)
    told = [{"Code": "None"} if action in balances else next(reasons) for action in actions] if error.reasons else []
    return ServiceError(error.code, str(error), error.status, told)


def is_a_balance(action: Request) -> bool:
    """Say whether an action of a transaction moves the balance of a rich user."""
    key = action.get("Update", {}).get("Key", {})
    return "userId" in key and RICH.fullmatch(key["userId"]["S"]) is not None


BUGS: Mapping[str, Callable[[Call], Call]] = {HALVES: in_halves}
