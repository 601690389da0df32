"""The reconciler: one event, many envelopes, or a batch of a queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from engine.domain.documents import UNREADABLE, read_event
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, quoted
from engine.reconcile.batch import EventBatch
from engine.reconcile.conductor import Conductor
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Failure, Report

if TYPE_CHECKING:
    from engine.ledger.archive.opened import OpenArchive
    from engine.reconcile.give_up import FailedEvents

SQS = "aws:sqs"
"""What each record of a queue's batch says that it comes from."""

UNKNOWN = "(unknown)"
"""The id of an invocation that nobody has named."""


@frozen(eq=False, repr=False)
class Reconciler(Conductor):
    """A policy at work on a ledger, whatever door events come in by."""

    failed_events: Callable[[], FailedEvents] | None = None
    """Opens the queue into which a batch puts what no retry helps; None leaves that to the queue that it came from."""
    archive: Callable[[], OpenArchive] | None = None
    """Opens the archive of entries, which audits go by; None: there is none."""

    def batch(self, records: Sequence[Any], deadline: Deadline, request: str = UNKNOWN) -> list[str]:
        """Work through SQS records of EventBridge events, and return the message ids of those that must come back.

        A record without an id is named by an empty one: Lambda then sends all of the batch again, so that none is lost.
        ``request`` is the id of the invocation.
        """
        envelopes = [self._envelope(record) for record in records]
        results = iter(self.many([envelope for envelope in envelopes if isinstance(envelope, Envelope)], deadline))
        ended = [next(results) if isinstance(envelope, Envelope) else envelope for envelope in envelopes]
        failed = [(record, end) for record, end in zip(records, ended, strict=True) if isinstance(end, Exception)]
        return [_message_of(record) for record in self._coming_back(failed, deadline, request)]

    def _coming_back(self, failed: Sequence[tuple[Any, Exception]], deadline: Deadline, request: str) -> list[Any]:
        """Return the records that failed, but for those that are given up."""
        if not failed or self.failed_events is None:
            return [record for record, _ in failed]
        from engine.reconcile.give_up import GivingUp  # noqa: PLC0415  what serves good events needs none

        return GivingUp(self.failed_events, self.policy, self.telemetry, deadline, request).coming_back(failed)

    def many(self, envelopes: Sequence[Envelope], deadline: Deadline) -> list[Report | Exception]:
        """Bring the ledger in line with many envelopes, and return for each its report, or the error it must come back for."""
        return EventBatch(self, deadline).run(envelopes)

    def _envelope(self, record: Any) -> Envelope | EventError:
        """Return the event in a record; what is none is reported, and why is returned."""
        message = _message_of(record)
        try:
            return Envelope(read_event(_body_of(record, message), f"message {message}"), Source.QUEUE, message=message)
        except EventError as error:
            self.refuse(error, Source.QUEUE, message)
            return error

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
    problem = f"is of {quoted(record.get('eventSource'))}" if isinstance(record, Mapping) else f"is {quoted(record)}"
    raise EventError(f"message {message}" if message else UNREADABLE, "(none)", "record", f"{problem}; one of {SQS} is needed")
