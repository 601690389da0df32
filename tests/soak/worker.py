"""One process of the soak: the product's own handler behind a pipe. A line of JSON is a task, a line of JSON the answer.

What the function logs is read on its way and counted; what its client is told by DynamoDB, too. A byte of a shared file says
whether a transaction is under way, so that whoever kills this process knows what it was at.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from attrs import Factory, define

import handler
from engine.audit import seals
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, LedgerError
from engine.ledger.dynamodb.calls import call
from engine.ledger.dynamodb.wire import NoAnswerError, ServiceError, WireClient
from engine.reconcile.wiring import Settings, build_client
from engine.runtime.clock import Deadline
from tests.soak.bugs import BUGS, VARIABLE

TRANSACTION = "TransactWriteItems"
Task = dict[str, Any]


@define(eq=False)
class Seen:
    """What was seen since the last answer. It stands in for standard output: the function's lines come here."""

    count: Counter[str] = Factory(Counter)
    flagged: list[tuple[str, int]] = Factory(list)
    begun: str = ""

    def write(self, text: str) -> int:
        """Take a part of a line."""
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            self.take(json.loads(line))
        return len(text)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def take(self, said: Task) -> None:
        """Count a line of the log."""
        if said.get("message") == "reconciled":
            self.count[f"outcome {said['outcome']}"] += 1
            self.count["decided again"] += max(0, said["attempts"] - 1)
            self.count["entries"] += said["sequence"] is not None
            if said["anomalies"] and said["sequence"] is not None:
                self.flagged.append((said["reference"], said["sequence"]))
        elif said.get("message") == "failed":
            self.count[f"error {said['error']} {said.get('field') or ''}".rstrip()] += 1
        elif said.get("level") == "ERROR":
            self.count[f"log {said['message']}"] += 1

    def emptied(self) -> Task:
        """Return what was seen, and begin anew."""
        seen = {"count": dict(self.count), "flagged": self.flagged}
        self.count, self.flagged = Counter(), []
        return seen


@define
class Context:
    """What Lambda tells an invocation."""

    ends_at: float
    aws_request_id: str = "r-1"

    def get_remaining_time_in_millis(self) -> float:
        return (self.ends_at - time.monotonic()) * 1000


def watch(seen: Seen, byte: Any) -> None:
    """Count what the client is told, and say in ``byte`` whether a transaction is under way."""
    whole: Any = WireClient._call  # noqa: SLF001  the one place that every request passes
    send, last = BUGS.get(os.environ.get(VARIABLE, ""), lambda sound: sound)(whole), [""]

    def watched(client: WireClient, operation: str, request: Task) -> Task:
        byte[0] = operation == TRANSACTION
        token = request.get("ClientRequestToken", "")
        seen.count["sent again"] += bool(token) and token == last[0]
        last[0] = token
        try:
            return send(client, operation, request)
        except ServiceError as error:
            seen.count.update(kinds_of(error))
            raise
        except NoAnswerError:
            seen.count["no answer"] += 1
            raise
        finally:
            byte[0] = 0

    WireClient._call = watched  # type: ignore[method-assign]  # noqa: SLF001


def kinds_of(error: ServiceError) -> Iterator[str]:
    """Yield what an error of DynamoDB's says, once for each kind of reason."""
    reasons = {str(reason.get("Code")) for reason in error.reasons} - {"None"}
    if reasons or error.code in {"ConditionalCheckFailedException", "TransactionConflictException"}:
        codes = reasons or {error.code.removesuffix("Exception")}
        yield from (
            {"TransactionConflict": "conflict", "ConditionalCheckFailed": "lost race"}.get(code, code) for code in codes
        )
    else:
        yield f"service {error.code}"


# --- tasks ---


def invoke(task: Task) -> Any:
    """Call the function."""
    return handler.lambda_handler(task["event"], Context(time.monotonic() + task["seconds"]))


def replay(task: Task) -> Any:
    """Post events as ``reconciler replay`` does: many together, from whatever was kept."""
    reconciler = reconciler_here()
    envelopes = [Envelope(document, Source.REPLAY) for document in task["events"]]
    ended = reconciler.many(envelopes, reconciler.clock.deadline(task["seconds"]))
    errors = [error for error in ended if isinstance(error, Exception)]
    if strange := [error for error in errors if not isinstance(error, EventError | LedgerError)]:
        raise strange[0]
    return {"unavailable": sum(isinstance(error, LedgerError) for error in errors)}


def explain(task: Task) -> Any:
    """Hand flagged entries to the function that explains, as the stream does."""
    deadline = reconciler_here().clock.deadline(task["seconds"])
    records = [record(reference, sequence, deadline) for reference, sequence in task["entries"]]
    answer = handler.explain_handler({"Records": records}, Context(time.monotonic() + task["seconds"]))
    return {"failed": len(answer["batchItemFailures"])}


def record(reference: str, sequence: int, deadline: Deadline) -> Task:
    """Return the stream's record of an entry."""
    key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
    ledger = reconciler_here().ledger
    item = call(ledger.client.get_item, {"TableName": ledger.tables.ledger, "Key": key, "ConsistentRead": True}, deadline)[
        "Item"
    ]
    change = {"Keys": key, "NewImage": item, "SequenceNumber": str(sequence), "StreamViewType": "NEW_IMAGE"}
    return {"eventID": f"{reference}/{sequence}", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}


def reconciler_here() -> Any:
    """Return this process's reconciler, which the handler has built."""
    return handler._reconciler(Settings.from_environment(os.environ))  # noqa: SLF001  the one that serves events


TASKS: dict[str, Callable[[Task], Any]] = {"invoke": invoke, "replay": replay, "explain": explain}


def answered(task: Task) -> Task:
    """Do a task, and return its answer or its error."""
    try:
        return {"answer": TASKS[task["task"]](task)}
    except (EventError, LedgerError) as error:
        return {"error": type(error).__name__, "problem": str(error)}
    except Exception as error:  # noqa: BLE001  nothing else may ever come out of the function
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        return {"strange": f"{type(error).__name__}: {error} ({task['task']}, {' '.join(places[-3:])})"}


def load_all() -> None:
    """Import now what a process that lives on would import when it first does a thing: no growth is to be taken for it."""
    handler.closing_steps()
    handler.explain_handler({"Records": []}, Context(time.monotonic() + 30))
    reconciler_here()
    if os.environ.get("FAILED_EVENTS_QUEUE_URL"):
        build_client(service="sqs")


def serve(answers: TextIO, seen: Seen) -> None:
    """Do one task after the other until there are no more."""
    for line in sys.stdin:
        answer = answered(json.loads(line))
        answers.write(json.dumps({**answer, **seen.emptied(), "modules": len(sys.modules)}) + "\n")
        answers.flush()


def main() -> None:
    """Serve. ``argv``: the shared file, this byte in it, the least age (seconds) of what is sealed, ``all`` to load all."""
    shared, place, rest, *loads_all = sys.argv[1:]
    answers, seen = os.fdopen(os.dup(1), "w"), Seen()
    sys.stdout = seen  # type: ignore[assignment]
    seals.REST = timedelta(seconds=float(rest))  # a soak does not last for many times fifteen minutes
    with Path(shared).open("r+b") as file:
        watch(seen, memoryview(mmap.mmap(file.fileno(), 0))[int(place) :])
        if loads_all:
            load_all()
        serve(answers, seen)


if __name__ == "__main__":
    main()
