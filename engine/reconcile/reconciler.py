"""The reconciler: one event, many envelopes, or a batch of a queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from engine.domain.documents import UNREADABLE, read_event
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, shown
from engine.reconcile.batch import Batch
from engine.reconcile.conductor import Conductor
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Failure, Report

SQS = "aws:sqs"
"""What each record of a queue's batch says that it comes from."""


@frozen
class Reconciler(Conductor):
    """A policy at work on a ledger, whatever door events come in by."""

    def batch(self, records: Sequence[Any], deadline: Deadline) -> list[str]:
        """Work through SQS records of EventBridge events, and return the message ids of those that must come back.

        A record without an id is named by an empty one: Lambda then sends all of the batch again, so that none is lost.
        """
        envelopes = [self._envelope(record) for record in records]
        results = iter(self.many([envelope for envelope in envelopes if envelope is not None], deadline))
        done = [envelope is not None and isinstance(next(results), Report) for envelope in envelopes]
        return [_message_of(record) for record, is_done in zip(records, done, strict=True) if not is_done]

    def many(self, envelopes: Sequence[Envelope], deadline: Deadline) -> list[Report | Exception]:
        """Bring the ledger in line with many envelopes, and return for each its report, or the error it must come back for."""
        return Batch(self, deadline).run(envelopes)

    def _envelope(self, record: Any) -> Envelope | None:
        """Return the event in a record; what is none is reported, and comes back."""
        message = _message_of(record)
        try:
            return Envelope(read_event(_body_of(record, message), f"message {message}"), Source.QUEUE, message=message)
        except EventError as error:
            self.refuse(error, Source.QUEUE, message)
            return None

    def refuse(self, error: EventError, source: Source, message: str | None = None) -> None:
        """Report what is no event at all, so that it must come back."""
        self.telemetry.failed(Failure(Envelope({"id": message}, source), error, 0.0))


def _message_of(record: Any) -> str:
    message = record.get("messageId") if isinstance(record, Mapping) else None
    return message if isinstance(message, str) else ""


def _body_of(record: Any, message: str) -> Any:
    """Return what is in a message. Raises EventError for what is no message of a queue."""
    if isinstance(record, Mapping) and record.get("eventSource", SQS) == SQS:
        return record.get("body")
    problem = f"is of {shown(record.get('eventSource'))}" if isinstance(record, Mapping) else f"is {shown(record)}"
    raise EventError(f"message {message}" if message else UNREADABLE, "(none)", "record", f"{problem}; one of {SQS} is needed")
