"""DynamoDB at work for others too: items that are refused inside a transaction, and transactions that really meet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Factory, define, field

from engine.ledger.dynamodb.wire import ServiceError

Action = Mapping[str, Any]
Request = dict[str, Any]

KEYS = ("userId", "jobId", "reference", "sequence")


def key_of(action: Action) -> tuple[str, str]:
    """Return the table and the key of an item of a transaction."""
    ((_, made),) = action.items()
    key = made.get("Key") or {name: made["Item"][name] for name in ("reference", "sequence")}
    return made["TableName"], "/".join(next(iter(key[name].values())) for name in KEYS if name in key)


def cancellation(reasons: Iterable[Mapping[str, Any]]) -> ServiceError:
    """Return a cancelled transaction as the wire raises it: ``{}`` is an item that nothing is wrong with."""
    listed = [{"Code": "None", **reason} for reason in reasons]
    codes = ", ".join(str(reason["Code"]) for reason in listed)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return ServiceError("TransactionCanceledException", message, 400, listed)


@define
class Refusing:
    """Refuses the transactions that hold one of ``keys``, each with its reason, so many times; None is for ever.

    ``posted`` says when (on the test's clock) each item was written, ``sizes`` what each transaction held.
    """

    reasons: Mapping[str, Mapping[str, Any]]
    times: int | None
    clock: Callable[[], float]
    posted: dict[str, float] = Factory(dict)
    sizes: list[int] = Factory(list)
    refusals: dict[str, int] = Factory(dict)

    def __call__(self, operation: str, request: Request, send: Callable[..., Any]) -> Any:
        if operation != "transact_write_items":
            return send(**request)
        keys = [key_of(action)[1] for action in request["TransactItems"]]
        self.sizes.append(len(keys))
        refused = {key for key in keys if key in self.reasons and self._is_refused(key)}
        if refused:
            raise cancellation(self.reasons[key] if key in refused else {} for key in keys)
        answer = send(**request)
        self.posted |= dict.fromkeys(keys, self.clock())
        return answer

    def _is_refused(self, key: str) -> bool:
        self.refusals[key] = self.refusals.get(key, 0) + 1
        return self.times is None or self.refusals[key] <= self.times


@define
class Meeting:
    """Refuses a transaction while another one is at work on one of its items, as DynamoDB's transactions do.

    A transaction holds its items for ``hold_seconds``. One that meets it is told at which items.
    """

    hold_seconds: float
    conflicts: int = 0
    requests: int = 0
    _at_work: set[tuple[str, str]] = field(factory=set)
    _lock: threading.Lock = field(factory=threading.Lock)

    def __call__(self, operation: str, request: Request, send: Callable[..., Any]) -> Any:
        if operation != "transact_write_items":
            return send(**request)
        keys = [key_of(action) for action in request["TransactItems"]]
        with self._lock:
            self.requests += 1
            met = self._at_work & set(keys)
            self.conflicts += bool(met)
            if met:
                raise cancellation({"Code": "TransactionConflict"} if key in met else {} for key in keys)
            self._at_work |= set(keys)
        try:
            time.sleep(self.hold_seconds)
            return send(**request)
        finally:
            with self._lock:
                self._at_work -= set(keys)
