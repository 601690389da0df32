"""Events arrive by the policy that a stack runs: its parameters say whose, and a policy for others gets none of them.

One stack runs a policy of a studio first, whose renders and sales come from two sources with names of their own; then the same
stack is updated to the shipped policy for MediaConvert.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.dynamodb.attributes import decode_item
from engine.policy.compiled import compile_policy
from tests.conftest import started
from tests.support.change_sets import deploy_by_change_set
from tests.support.stack import balance, entries, give, put_job, rendered
from tools.deployment import Deployment, wait_until
from tools.local_aws import LocalAwsError, run_local_aws
from tools.template import load, resources

pytestmark = pytest.mark.e2e

STUDIO = """\
version: 1
name: studio
event:
  job: detail.clip.id
  user: "detail.customer || row.userId"
  time: "detail.at && from_seconds(detail.at) || time"
  reference: detail.invoice
prices:
  second:
    - {effective: 2026-01-01T00:00:00Z, rates: {default: "0.10"}}
    - {effective: 2026-01-05T00:00:00Z, until: 2026-01-06T00:00:00Z, changes: {default: "0.05"}}
rules:
  - name: debit-called-back
    match: {source: [studio.webhooks], detail-type: [done]}
    action: debit
    repeats: ignore
    charge:
      priced_at: row.updatedAt
      components: [{price: second, quantity: "round_up(row.seconds, `5`)"}, {amount: "0.30"}]
  - name: refund-cut
    match: {source: [studio.webhooks], detail-type: [cut]}
    action: refund
    refund: {amount: detail.back}
  - name: revoke-pack
    match: {source: [studio.shop], detail-type: [Pack Returned]}
    action: revoke
    revoke: {amount: detail.credits}
  - name: debit-clip
    match: {source: [studio.renders], detail-type: [Clip Finished]}
    action: debit
    charge: {amount: "2.50"}
  - name: refund-clip
    match: {source: [studio.renders], detail-type: [Clip Broken]}
    action: refund
    refund: {percent: 40}
  - name: grant-pack
    match: {source: [studio.shop], detail-type: [Pack Sold]}
    action: grant
    grant: {quantity: detail.credits}
"""

STUDIO_PARAMETERS = {
    "PolicyFile": "policies/studio.yaml",
    "EventSources": "studio.renders, studio.shop,studio.webhooks",
    "EventDetailTypes": "Clip Finished, Clip Broken,Pack Sold, Pack Returned, done, cut",
}
MEDIACONVERT_PARAMETERS = {
    "PolicyFile": "policies/mediaconvert.yaml",
    "EventSources": "aws.mediaconvert",
    "EventDetailTypes": "MediaConvert Job State Change",
}


@pytest.fixture(scope="module")
def with_studio(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a build that holds one policy more, compiled as the build compiles all of them."""
    folder = tmp_path_factory.mktemp("studio") / "build"
    shutil.copytree(built, folder, copy_function=os.link)
    for function in resources(load(built / "template.yaml"), "AWS::Serverless::Function").values():
        policy = folder / function["Properties"]["CodeUri"] / "policies" / "studio.yaml"
        policy.write_text(STUDIO)
        compile_policy(policy)
    return folder


@pytest.fixture(scope="module")
def studio(with_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return a stack that runs the studio's policy, where its functions may do only what their roles permit."""
    with started(run_local_aws(tmp_path_factory.mktemp("studio-aws"), enforce_iam=True)) as running:
        stack = deploy_by_change_set(running, with_studio, parameters=STUDIO_PARAMETERS)
        yield stack
        stack.close()


def of_studio(source: str, detail_type: str, at: str, **detail: Any) -> dict[str, Any]:
    """Return an event as the studio's own applications put it on the bus."""
    told = {"customer": "c-1", **detail}
    return {"source": source, "detail-type": detail_type, "time": f"2026-01-05T{at}:00Z", "detail": told}


def delivered_pattern(stack: Deployment) -> dict[str, Any]:
    """Return the event pattern of the stack's rule, as EventBridge has it."""
    events = stack.aws.client("events")
    pattern = json.loads(events.describe_rule(Name="credit-reconciler-dev-events")["EventPattern"])
    events.close()
    return {field: sorted(values) for field, values in pattern.items()}


def test_a_grant_a_debit_and_a_refund_of_another_source_arrive(studio: Deployment) -> None:
    """0 and a pack of 10 are 10; a clip at 2.50 leaves 7.50, and 40 percent of it come back. Others' events do not come."""
    give(studio, "c-1", "0")
    studio.send(rendered("c-1", "j-others"))

    studio.send(of_studio("studio.shop", "Pack Sold", "09:00", invoice="i-1", credits=10))
    wait_until(lambda: balance(studio, "c-1") == Decimal(10), "the pack is granted")
    studio.send(of_studio("studio.renders", "Clip Finished", "10:00", clip={"id": "k-1"}))
    wait_until(lambda: balance(studio, "c-1") == Decimal("7.5"), "the clip is charged")
    broken = of_studio("studio.renders", "Clip Broken", "11:00", clip={"id": "k-1"})
    studio.send(broken, broken, of_studio("studio.shop", "Pack Sold", "09:00", invoice="i-1", credits=10))
    wait_until(lambda: balance(studio, "c-1") == Decimal("8.5"), "40 percent of the clip come back")

    posted = [(entry["type"], entry["amount"], entry["rule"]) for entry in map(decode_item, entries(studio, "k-1"))]
    assert [("debit", Decimal("-2.5"), "debit-clip"), ("refund", Decimal(1), "refund-clip")] == posted
    assert [] == entries(studio, "j-others")
    assert [] == studio.failed_events()


def test_what_a_webhook_leaves_out_is_read_from_the_job_s_row(studio: Deployment) -> None:
    """8 seconds are 10, at the 0.05 of the day of the row, and 0.30: 0.80 of 10. Sent again an hour later it costs no more.

    0.25 come back, and 3 of the pack are taken back. The function's role lets it read the row, and no more.
    """
    give(studio, "c-2", "0")
    put_job(studio, "c-2", "k-9")
    sold = of_studio("studio.shop", "Pack Sold", "09:00", customer="c-2", invoice="i-2", credits=10)
    studio.send(sold, *(called_back("done", at) for at in (1_767_607_200, 1_767_610_800)))
    wait_until(lambda: balance(studio, "c-2") == Decimal("9.2"), "the clip is charged once")
    studio.send(called_back("cut", 1_767_614_400, back="0.25"))
    studio.send(of_studio("studio.shop", "Pack Returned", "12:00", customer="c-2", invoice="i-2", credits=3))
    wait_until(lambda: balance(studio, "c-2") == Decimal("6.45"), "part of the clip and of the pack went back")

    posted = [(entry["type"], entry["amount"]) for entry in map(decode_item, entries(studio, "k-9"))]
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.25"))] == posted
    assert [] == studio.failed_events()


def called_back(detail_type: str, at: int, **detail: Any) -> dict[str, Any]:
    """Return an event that names nobody, with its time in seconds since 1970."""
    return {"source": "studio.webhooks", "detail-type": detail_type, "detail": {"clip": {"id": "k-9"}, "at": at, **detail}}


def test_the_rule_lets_in_what_the_parameters_name(studio: Deployment) -> None:
    """Blanks around the commas are none of a name's."""
    expected = {
        "source": ["studio.renders", "studio.shop", "studio.webhooks"],
        "detail-type": ["Clip Broken", "Clip Finished", "Pack Returned", "Pack Sold", "cut", "done"],
    }
    assert expected == delivered_pattern(studio)


def test_a_stack_that_is_updated_to_another_policy_gets_the_events_of_that(studio: Deployment, with_studio: Path) -> None:
    """30 seconds at 0.02 are 0.60, by MediaConvert's own event; the studio's events arrive no more."""
    give(studio, "u-mc", "100")
    deploy_by_change_set(studio.aws, with_studio, parameters=MEDIACONVERT_PARAMETERS)
    before = balance(studio, "c-1")
    studio.send(of_studio("studio.renders", "Clip Finished", "12:00", clip={"id": "k-2"}))
    detail = {"jobId": "mc-1", "userMetadata": {"userId": "u-mc"}, "status": "COMPLETE"}
    detail |= {"outputGroupDetails": [{"outputDetails": [{"durationInMs": 30000}]}]}
    complete = {"source": "aws.mediaconvert", "detail-type": "MediaConvert Job State Change", "time": "2026-01-05T10:00:00Z"}
    studio.send({**complete, "detail": detail}, by_service=True)

    wait_until(lambda: balance(studio, "u-mc") == Decimal("99.4"), "the conversion is charged")
    canceled = {**complete, "time": "2026-01-05T11:00:00Z", "detail": {**detail, "status": "CANCELED"}}
    studio.send(canceled, by_service=True)
    wait_until(lambda: balance(studio, "u-mc") == Decimal(100), "the canceled conversion is refunded")
    assert (before, []) == (balance(studio, "c-1"), entries(studio, "k-2"))


def test_nobody_but_the_service_puts_its_events(studio: Deployment) -> None:
    """As on AWS: PutEvents refuses sources that begin with ``aws.``, so a forged conversion does not get in."""
    forged = {"source": "aws.mediaconvert", "detail-type": "MediaConvert Job State Change", "detail": {"status": "COMPLETE"}}

    with pytest.raises(LocalAwsError, match="NotAuthorizedForSource"):
        studio.send(forged)
