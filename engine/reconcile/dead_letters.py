"""Dead letters: what stands in the queues of events that nobody could deliver or reconcile, and why it is there.

Sources of the shapes: "Using dead-letter queues to process undelivered events", Amazon EventBridge User Guide; "Capturing
records of Lambda asynchronous invocations", AWS Lambda Developer Guide; "Using dead-letter queues", Amazon SQS Developer
Guide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from attrs import field, frozen

from engine.domain.documents import read_document
from engine.domain.envelope import Document
from engine.domain.errors import EventError
from engine.domain.references import GRANT
from engine.policy import Policy
from engine.policy.expressions.paths import Path, PathProblem
from engine.reconcile.give_up import RECEIVES

HIDDEN_SECONDS = 300
"""How long a letter that somebody looks at is hidden from others. What is not settled by then comes back by itself."""

TOGETHER_MAX = 10
WAIT_SECONDS = 1
EMPTY_ANSWERS = 2
"""A queue asks only some of its servers, so that one empty answer does not say that it is empty."""


class SQS(Protocol):
    """The calls of botocore's SQS client that are made here."""

    def get_queue_url(self, **request: Any) -> dict[str, Any]: ...
    def receive_message(self, **request: Any) -> dict[str, Any]: ...
    def delete_message(self, **request: Any) -> dict[str, Any]: ...
    def change_message_visibility(self, **request: Any) -> dict[str, Any]: ...


@frozen
class Letter:
    """One dead letter: by which ``way`` it came, why (as far as it says itself), and the events in it.

    ``repeats`` says that it is a scheduled run or a part of a scan: the next run does its work again.
    """

    id: str
    queue: str
    way: str
    reason: str
    events: tuple[Document, ...]
    since: datetime | None
    body: str
    receipt: str = field(repr=False)
    repeats: bool = False

    def answer(self) -> dict[str, Any]:
        """Return the letter as JSON-like values."""
        return {
            "id": self.id,
            "queue": self.queue,
            "way": self.way,
            "reason": self.reason,
            "since": self.since.isoformat() if self.since else None,
            "events": [dict(event) for event in self.events],
        }


def read_letter(message: Mapping[str, Any], queue: str) -> Letter:
    """Return what a message of a dead-letter queue says. Raises nothing: what cannot be read says so in its reason."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    counts, body = message.get("Attributes", {}), str(message.get("Body", ""))
    try:
        content: Document = read_document(body)
        unreadable = None
    except EventError as error:
        content, unreadable = {}, f"the message {error.problem}"
    way, why = next((name, why) for name, is_this, why in WAYS if is_this(attributes, content))
    payload = content.get("requestPayload", content)
    events, problem = _events(payload)
    sent = counts.get("SentTimestamp")
    return Letter(
        id=message["MessageId"],
        queue=queue,
        way=way,
        reason="; ".join(part for part in (why(attributes, content, counts), unreadable or problem) if part),
        events=events,
        since=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        body=body,
        receipt=message["ReceiptHandle"],
        repeats=_repeats(payload),
    )


def jobs_and_users(letter: Letter, policy: Policy) -> tuple[list[str], list[str]]:
    """Return whose the events of a letter are, as far as they say it: jobs (or purchases, as ``grant#...``) and users.

    Each is named once.
    """
    fields = policy.fields
    jobs = [_said(fields.job, event) or _said(fields.reference, event, GRANT) for event in letter.events]
    users = [_said(fields.user, event) for event in letter.events]
    return list(dict.fromkeys(filter(None, jobs))), list(dict.fromkeys(filter(None, users)))


def _said(path: Path | None, event: Document, prefix: str = "") -> str | None:
    try:
        value = path.search(event) if path is not None else None
    except PathProblem:
        return None
    return f"{prefix}{value}" if isinstance(value, str) and value else None


NO_RULE = "no rule of the policy matches it"

# --- by which way it came, and why ------------------------------------------------------------------------------------

Attributes = Mapping[str, str]


def _by_rule(said: Attributes, _: Document, __: Mapping[str, str]) -> str:
    retries = f" after {said['RETRY_ATTEMPTS']} retries" if said.get("RETRY_ATTEMPTS") else ""
    return f"EventBridge could not deliver it{retries}: {said.get('ERROR_CODE', '')} {said.get('ERROR_MESSAGE', '')}".strip()


def _by_destination(_: Attributes, content: Document, __: Mapping[str, str]) -> str:
    context, problem = _object(content, "requestContext"), _object(content, "responsePayload").get("errorMessage")
    return f"{context.get('condition', 'failed')} after {context.get('approximateInvokeCount', 'some')} attempts" + (
        f": {problem}" if problem else ""
    )


def _by_stream(_: Attributes, content: Document, __: Mapping[str, str]) -> str:
    context, batch = _object(content, "requestContext"), _object(content, "DDBStreamBatchInfo")
    return f"{context.get('condition', 'failed')}: {batch.get('batchSize', 'some')} records of the ledger's stream"


def _object(content: Document, name: str) -> Document:
    """Return a member of a letter that Lambda writes as an object, or an empty one: anybody may have written the letter."""
    member = content.get(name)
    return member if isinstance(member, Mapping) else {}


def _by_function(said: Attributes, _: Document, __: Mapping[str, str]) -> str:
    return f"the function raised on it: {said.get('ErrorMessage') or said.get('ErrorCode', '')}"


def _given_up(said: Attributes, _: Document, __: Mapping[str, str]) -> str:
    return f"the function gave it up after {said[RECEIVES]} receives: {said.get('ErrorMessage', '')}"


def _by_queue(_: Attributes, __: Document, counts: Mapping[str, str]) -> str:
    received = counts.get("ApproximateReceiveCount")
    return f"received {received} times, and never settled" if received else "never settled"


WAYS: tuple[
    tuple[str, Callable[[Attributes, Document], bool], Callable[[Attributes, Document, Mapping[str, str]], str]], ...
] = (
    ("rule", lambda said, _: "RULE_ARN" in said, _by_rule),
    ("stream", lambda _, content: {"requestContext", "DDBStreamBatchInfo"} <= content.keys(), _by_stream),
    ("destination", lambda _, content: {"requestContext", "requestPayload"} <= content.keys(), _by_destination),
    ("given-up", lambda said, _: RECEIVES in said, _given_up),
    ("function", lambda said, _: "ErrorMessage" in said or "ErrorCode" in said, _by_function),
    ("queue", lambda _, __: True, _by_queue),
)
"""How a letter came: what tells it, and what it says of its reason. The first that fits counts."""


def _events(payload: Any) -> tuple[tuple[Document, ...], str | None]:
    """Return the events of what a function was called with, or why there are none."""
    if _is_event(payload):
        return (payload,), None
    records = payload.get("Records") if isinstance(payload, Mapping) else None
    if isinstance(records, list):
        try:
            documents = tuple(read_document(record.get("body", "")) for record in records)
        except (EventError, AttributeError) as error:
            return (), f"a record of its batch is unreadable: {error}"
        return documents, None
    return (), None if _repeats(payload) or not payload else "it is no EventBridge event"


def _is_event(payload: Any) -> bool:
    return isinstance(payload, Mapping) and "source" in payload and "detail-type" in payload and not _repeats(payload)


def _repeats(payload: Any) -> bool:
    if not isinstance(payload, Mapping):
        return False
    return isinstance(payload.get("slices"), list) or payload.get("detail-type") == "Scheduled Event"


# --- the queue --------------------------------------------------------------------------------------------------------


@frozen
class DeadLetterQueue:
    """A queue, reached through a botocore client that is passed in."""

    client: SQS
    url: str

    @classmethod
    def named(cls, client: SQS, queue: str) -> DeadLetterQueue:
        """Return a queue by its URL or its name."""
        return cls(client, queue if "://" in queue else client.get_queue_url(QueueName=queue)["QueueUrl"])

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def letters(self) -> Iterator[Letter]:
        """Yield every letter once, and hide it meanwhile."""
        seen: set[str] = set()
        empty = 0
        while empty < EMPTY_ANSWERS:
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=TOGETHER_MAX,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            messages = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
            empty = 0 if messages else empty + 1
            for message in messages:
                seen.add(message["MessageId"])
                yield read_letter(message, self.name)

    def delete(self, letter: Letter) -> None:
        """Remove a letter for good."""
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    def release(self, letter: Letter) -> None:
        """Let others see a letter again, at once. One that was held for too long they see already."""
        try:
            self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)
        except Exception as error:
            if code_of(error) not in NOT_HELD:
                raise


NOT_HELD = {
    *("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    *("ReceiptHandleIsInvalid", "InvalidParameterValue"),
}
"""What SQS answers about a letter that was given back already, by its two protocols."""


def code_of(error: Exception) -> str | None:
    """Return the code of a botocore ClientError, or None for another error."""
    code: str | None = getattr(error, "response", {}).get("Error", {}).get("Code")
    return code


def letter_line(letter: Letter) -> str:
    """Return a letter as one line of JSON, its body as it was."""
    return json.dumps({**{name: value for name, value in letter.answer().items() if name != "events"}, "body": letter.body})
