"""A real target on the bus of the deployed stack sees what becomes of holds: bus, stream, function and role are real."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from engine.anomalies.notices import HELD, LOW, NOTICES, RECOVERED, REFUSED, RELEASED, SETTLED
from engine.domain.envelope import OWN_SOURCE
from tests.support.holding import holding, submitted
from tests.support.stack import failed, give, rendered
from tools.deployment import Deployment, wait_until
from tools.local_aws import ACCOUNT, REGION


@define
class Listener:
    """A queue of the application's own that a rule on the bus fills, and the notices that have come so far."""

    sqs: Any
    queue: str
    notices: list[dict[str, Any]] = field(factory=list)

    def of(self, user: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the notices of a user: what each is called, and its detail; what came twice, once."""
        for message in self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            self.notices.append(json.loads(message["Body"]))
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        own = {told["detail"]["id"]: told for told in self.notices if told["detail"].get("userId") == user}
        return [(told["detail-type"], told["detail"]) for told in own.values()]


@pytest.fixture
def listener(deployed: Deployment) -> Iterator[Listener]:
    """Listen to all that the stack tells, as docs/how-to/follow-the-credits.md says."""
    events, sqs, name = deployed.aws.client("events"), deployed.aws.client("sqs"), f"notices-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [OWN_SOURCE], "detail-type": NOTICES}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}])
    yield Listener(sqs, queue)
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    for client in (events, sqs):
        client.close()


def test_an_application_hears_of_its_holds_from_the_bus(deployed: Deployment, listener: Listener) -> None:
    """1.20 credits: 0.80 are held, 0.40 left; a second request is refused. The render costs 0.60, a third hold fails.

    Below 0.50 is low, 0.60 has recovered: 0.40 is told as low, 0.60 (0.20 came back) as recovered.
    """
    user = f"u-{uuid.uuid4().hex[:12]}"
    give(deployed, user, "1.20")
    with holding(deployed):
        answers = [deployed.invoke(document) for document in (submitted(user, f"{user}-1"), submitted(user, f"{user}-2"))]
        assert [("held", "0.4"), ("refused", "0.4")] == [(answer["outcome"], answer["remaining"]) for answer in answers]
        wait_until(lambda: {LOW, REFUSED, HELD} == names(listener, user), "the hold, the refusal and the balance are told")
        assert "settled" == deployed.invoke(rendered(user, f"{user}-1"))["outcome"]
        wait_until(lambda: {SETTLED, RECOVERED} <= names(listener, user), "the settlement is told")
        give(deployed, user, "5")
        for document in (submitted(user, f"{user}-3"), failed(user, f"{user}-3")):
            deployed.invoke(document)
        wait_until(lambda: RELEASED in names(listener, user), "the release is told")

    told = dict(listener.of(user))
    assert ("-0.8", "0.8000", answers[1]["event"]) == (told[SETTLED]["held"], told[REFUSED]["asked"], told[REFUSED]["eventId"])
    assert ("0.4", "0.6") == (told[LOW]["remaining"], told[RECOVERED]["remaining"])
    assert 7 == len(listener.of(user)), "held twice, all others once"


def names(listener: Listener, user: str) -> set[str]:
    """Return what has come so far for a user."""
    return {name for name, _ in listener.of(user)}
