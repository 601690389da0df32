"""AWS Elemental MediaConvert's published job events under the shipped policy: another producer, not a line of engine code."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.documents import read_document
from engine.domain.errors import EventError
from engine.policy import load_policy
from tests.support.books import Books

ROOT = Path(__file__).resolve().parents[2]
ENVELOPES = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "envelopes"
POLICY = load_policy(ROOT / "policies" / "mediaconvert.yaml")

pytestmark = pytest.mark.skipif(not ENVELOPES.exists(), reason=f"the published envelopes are not at {ENVELOPES}")

# Worked out by hand: the lengths of all outputs in milliseconds, times 0.00002, at least 0.01, six places.
COSTS = {
    "complete-apple-hls-group": "7.201640",
    "complete-cmaf-group": "3.600820",
    "complete-complete": "0.600820",
    "complete-file-group": "3.600820",
    "complete-vod-foundation-multi-output": "5.694020",
}
DECIDED = ("complete", "error", "canceled")


def envelope(name: str, user: str | None = None) -> dict[str, Any]:
    """Return a published envelope, with a user in its metadata where one is given."""
    document = dict(read_document((ENVELOPES / f"mediaconvert-job-state-change-{name}.json").read_bytes()))
    return {**document, "detail": {**document["detail"], "userMetadata": {"userId": user}}} if user else document


def published() -> list[str]:
    """Return the names of all published envelopes."""
    prefix = "mediaconvert-job-state-change-"
    return sorted(path.stem.removeprefix(prefix) for path in ENVELOPES.glob(f"{prefix}*.json"))


@pytest.mark.parametrize("name", COSTS)
def test_a_finished_job_costs_the_length_of_its_outputs(name: str) -> None:
    """Fractions of a millisecond are added up exactly."""
    ledger = Books(POLICY, {"u-1": Decimal(100)})

    ledger.deliver(envelope(name, "u-1"))

    (entry,) = next(iter(ledger.entries.values()))
    assert Decimal(f"-{COSTS[name]}") == entry.amount


def test_every_published_envelope_is_decided_ignored_or_refused_in_words() -> None:
    """Those that end a job are decided; progress and warnings are none of our business."""
    for name in published():
        outcomes = Books(POLICY, {"u-1": Decimal(100)}).deliver(envelope(name, "u-1"))
        assert (Outcome.IGNORED not in outcomes) == name.startswith(DECIDED), name


@pytest.mark.parametrize("name", [name for name in published() if name.startswith(DECIDED)])
def test_an_envelope_without_a_user_is_refused(name: str) -> None:
    """Nothing is booked to a blank user; the message names the field to fill in."""
    ledger = Books(POLICY, {})

    with pytest.raises(EventError, match="field detail.userMetadata.userId: is missing; a string is needed"):
        ledger.deliver(envelope(name))
    assert {} == ledger.entries


def test_a_cancelled_job_gets_back_what_it_was_charged() -> None:
    """Whatever the order in which the two events arrive."""
    complete, cancelled = envelope("complete-complete", "u-1"), envelope("canceled", "u-1")
    cancelled["detail"]["jobId"] = complete["detail"]["jobId"]
    cancelled["time"] = "2099-01-01T00:00:00Z"

    for order in ((complete, cancelled), (cancelled, complete)):
        ledger = Books(POLICY, {"u-1": Decimal(100)})
        ledger.deliver(*order)
        assert Decimal(0) == ledger.net(complete["detail"]["jobId"])


def test_the_numbers_of_an_envelope_are_read_exactly() -> None:
    """Two fractional lengths add up to the digit."""
    document = envelope("complete-file-group", "u-1")
    outputs = document["detail"]["outputGroupDetails"][0]["outputDetails"]
    outputs[:] = [json.loads('{"durationInMs": 1000.1}', parse_float=Decimal), {"durationInMs": 1000.2}]
    ledger = Books(POLICY, {"u-1": Decimal(100)})

    ledger.deliver(document)

    assert Decimal("2000.3") == next(iter(ledger.entries.values()))[0].quantity
