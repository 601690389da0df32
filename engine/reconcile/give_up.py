"""An event of the queue that no retry helps: the function itself puts it into the queue of failed events, and says why.

SQS counts each receive, and so also those that Lambda had no room for and those that a busy table refused. Its own bound
(``maxReceiveCount``) is therefore as high as SQS allows, and what makes no sense is given up here.

Sources: "Adding a dead-letter queue", AWS Lambda Developer Guide, for the attributes of a letter; "Available CloudWatch
metrics for Amazon SQS", Amazon SQS Developer Guide, for what SQS's own age of the oldest message leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

from engine.domain.documents import read_document
from engine.domain.errors import EventError, LedgerRefused, quoted
from engine.policy.expressions.paths import PathProblem
from engine.policy.model import Policy
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Telemetry

RECEIVES_MAX = 3
"""How often an event is received before it is given up: as often as Lambda tries one that is delivered directly.

Between the first and the third time lie two visibility timeouts, six minutes, in which a row may come that is written a
moment after its event. From the third on SQS leaves a message out of its age of the oldest one (``tell_age``).
"""

SEND_SECONDS_MAX = 5.0
"""What a letter takes at most: two seconds to load the client, three to connect and be answered (``reconcile/wiring.py``)."""

RECEIVES = "Receives"
"""The attribute by which a letter of the function is told from one that Lambda or the queue itself has written."""

FUNCTION_ERROR = "200"
"""What Lambda writes as ``ErrorCode`` where the function ran and raised."""

REASON_BYTES_MAX = 1024
"""What Lambda keeps of an error's message."""

LETTER_BYTES_MAX, ATTRIBUTES_BYTES_MAX = 1024 * 1024, 2048
"""What a message of SQS holds, its attributes included, and what those of a letter take at most."""

TYPES: Mapping[str, str] = {"ErrorCode": "Number", RECEIVES: "Number"}

DIGITS_MAX = 15

Record = Any
"""A message of the queue as Lambda hands it over; whoever calls the function may hand over anything else."""


class SQS(Protocol):
    """The call of botocore's SQS client that is made here."""

    def send_message(self, **request: Any) -> dict[str, Any]: ...


@frozen
class FailedEvents:
    """The queue of failed events, reached through a botocore client that is passed in."""

    client: SQS
    url: str

    def keep(self, body: str, said: Mapping[str, str]) -> str:
        """Send a letter, and return the id of its message. Raises botocore's own errors.

        A body that leaves no room for attributes goes without them: it is worth more than its reason, which the log has too.
        """
        has_room = len(body.encode()) + ATTRIBUTES_BYTES_MAX <= LETTER_BYTES_MAX
        attributes = {
            name: {"DataType": TYPES.get(name, "String"), "StringValue": value} for name, value in said.items() if has_room
        }
        answer = self.client.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes)
        return str(answer["MessageId"])


def is_helpless(error: Exception) -> bool:
    """Say whether sending an event again does not help: it makes no sense, or one of its own items is refused for good.

    What is wrong with a table or a permission is wrong for every event: these wait until it is mended.
    """
    return isinstance(error, EventError) or (isinstance(error, LedgerRefused) and error.is_of_an_item)


@frozen
class GivingUp:
    """What becomes of the records of a batch that failed. ``request`` is the id of the invocation."""

    queue: Callable[[], FailedEvents]
    policy: Policy
    telemetry: Telemetry
    deadline: Deadline
    request: str

    def coming_back(self, failed: Sequence[tuple[Record, Exception]]) -> list[Record]:
        """Return the records that must come back, once those are given up that no retry helps."""
        back = [record for record, error in failed if not self._gives_up(record, error)]
        self.tell_age(back)
        return back

    def _gives_up(self, record: Record, error: Exception) -> bool:
        """Put a record that has been tried often enough into the queue of failed events. False: it must come back.

        Where the answer is lost or the process dies it comes back all the same, and there may be two letters: a replay finds
        the event of the second one known.
        """
        receives = number_of(record, "ApproximateReceiveCount")
        if receives < RECEIVES_MAX or not is_helpless(error) or self.deadline.left() < SEND_SECONDS_MAX:
            return False
        reason = _reason(record, error, self.policy)
        told = {"sqsMessage": record.get("messageId"), "receives": receives, "problem": reason}
        try:
            letter = self.queue().keep(record["body"], self._said(reason, receives))
        except Exception as problem:  # noqa: BLE001  whatever it is, the event comes back as it would have without this
            self.telemetry.noted("not given up", {**told, "notSent": str(problem)}, is_wrong=True)
            return False
        self.telemetry.noted("gave up", {**told, "letter": letter})
        return True

    def _said(self, reason: str, receives: int) -> dict[str, str]:
        return {"RequestID": self.request, "ErrorCode": FUNCTION_ERROR, "ErrorMessage": reason, RECEIVES: str(receives)}

    def tell_age(self, back: Sequence[Record]) -> None:
        """Tell the age of the oldest record that comes back again, which SQS's own metric leaves out."""
        again = [record for record in back if number_of(record, "ApproximateReceiveCount") >= RECEIVES_MAX and _sent(record)]
        if not again:
            return
        oldest = min(again, key=_sent)
        age = max(0.0, self.deadline.clock.now().timestamp() - _sent(oldest) / 1000)
        receives = number_of(oldest, "ApproximateReceiveCount")
        told = {"sqsMessage": oldest.get("messageId"), "receives": receives, "events": len(again)}
        self.telemetry.returned(told, round(age, 3))


def number_of(record: Record, name: str) -> int:
    """Return a number that SQS says of a message, or 0 where it says none."""
    said = record.get("attributes") if isinstance(record, Mapping) else None
    text = said.get(name) if isinstance(said, Mapping) else None
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) <= DIGITS_MAX else 0


def _sent(record: Record) -> int:
    """Return when a message was sent, in milliseconds since 1970."""
    return number_of(record, "SentTimestamp")


def _reason(record: Record, error: Exception, policy: Policy) -> str:
    """Return what is wrong with which event, whose it is, and by which rule and field, as an attribute can hold it."""
    text = str(error)
    if isinstance(error, EventError):
        whose = "".join(f"{named}, " for named in _named(record, policy) if named not in error.event)
        text = f"event {error.event}, {whose}rule {error.rule}, field {error.field}: {error.problem}"
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


def _named(record: Record, policy: Policy) -> Iterator[str]:
    """Yield the job and the user of a senseless event, as far as it names them."""
    try:
        document = read_document(record.get("body"))
    except EventError:
        return
    for name, path in (("job", policy.fields.job), ("user", policy.fields.user)):
        try:
            value = path.search(document)
        except PathProblem:
            continue
        if value is not None:
            yield f"{name} {quoted(value)}"
