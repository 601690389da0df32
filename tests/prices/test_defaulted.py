"""Who pays `default`: what anomalies see of it, and what `explain` says."""

from __future__ import annotations

from typing import Any

import pytest

from engine.domain.envelope import Envelope, Source
from engine.policy import parse_policy
from engine.preview.reasons import reasons_for
from engine.rating.assess import assess

POLICY = """\
version: 1
name: media
event: {job: detail.job, user: detail.user, time: time, reference: detail.purchase}
prices:
  second:
    - effective: 2026-01-01T00:00:00Z
      by: [detail.model, "detail.resolution || 'default'"]
      rates:
        default: {default: "0.12", 4k: "0.40"}
        sora-2: "0.10"
        veo-3: {default: "0.30", 1080p: "0.50"}
        wan: {720p: "0.05"}
  frame:
    - {effective: 2026-01-01T00:00:00Z, rates: {default: "0.01"}}
  bundle:
    - {effective: 2026-01-01T00:00:00Z, by: detail.size, rates: {default: 1, large: 2}}
rules:
  - {name: video, match: {detail-type: [video]}, action: debit, charge: {price: second, quantity: detail.seconds}}
  - {name: frames, match: {detail-type: [frames]}, action: debit, charge: {price: frame, quantity: detail.frames}}
  - {name: flat, match: {detail-type: [flat]}, action: debit, charge: {amount: 1}}
  - {name: bundle, match: {detail-type: [bundle]}, action: grant, grant: {price: bundle, quantity: detail.count}}
  - {name: own, match: {detail-type: [own]}, action: grant, grant: {quantity: detail.count}}
  - {name: failed, match: {detail-type: [failed]}, action: refund, refund: {percent: 100}}
anomalies:
  - {name: default-rate, match: {$or: [{charge: {defaulted: [true]}}, {grant: {defaulted: [true]}}]}}
  - {name: own-rate, match: {$or: [{charge: {defaulted: [false]}}, {grant: {defaulted: [false]}}]}}
"""

MEDIA = parse_policy(POLICY, "media.yaml")


def event(kind: str, **detail: Any) -> dict[str, Any]:
    """Return an event of this kind."""
    what = {"job": "j-1", "user": "u-1", "purchase": "p-1", "seconds": 8, "frames": 8, "count": 3, **detail}
    return {"source": "media", "detail-type": kind, "time": "2026-01-05T10:00:00Z", "detail": what}


def found(document: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the names of the anomalies in an event, each with the names of its figures."""
    assessment = assess(Envelope(document, Source.EVENT), MEDIA)
    assert assessment is not None
    return [(anomaly.name, [name for name, _ in anomaly.figures]) for anomaly in assessment.anomalies]


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (event("video", model="sora-2"), "own-rate"),
        (event("video", model="veo-3", resolution="1080p"), "own-rate"),
        (event("video", model="wan", resolution="720p"), "own-rate"),
        (event("video", model="veo-9"), "default-rate"),  # at the first level; the second asks for `default` itself
        (event("video", model="veo-9", resolution="4k"), "default-rate"),  # although its second level has a rate of its own
        (event("video", model="veo-3", resolution="8k"), "default-rate"),  # at the second level
        (event("video", model="veo-9", resolution="8k"), "default-rate"),  # at both
        (event("video", model="Sora-2"), "default-rate"),  # no case is ignored
        (event("video", model=""), "default-rate"),
        (event("video", model="sora-2", resolution="8k"), "own-rate"),  # nothing is left to select
        (event("video", model="veo-3"), "own-rate"),  # the policy itself asks for `default` where the event names nothing
        (event("frames"), "own-rate"),  # nothing selects
        (event("flat"), "own-rate"),
        (event("bundle", size="large"), "own-rate"),
        (event("bundle", size="huge"), "default-rate"),
        (event("own"), "own-rate"),
    ],
)
def test_an_anomaly_sees_who_has_no_rate_of_its_own(document: dict[str, Any], name: str) -> None:
    """Exactly one of the two patterns matches whatever is priced."""
    assert [name] == [each for each, _ in found(document)]


def test_a_refund_has_no_rate() -> None:
    """It sees neither `true` nor `false`."""
    assert [] == found(event("failed"))


def test_the_figures_of_an_anomaly_stay_what_they_were() -> None:
    """The unit says already which rate it was; entries of today's policies keep their bytes."""
    figures = ["amount", "quantity", "rate", "unit", "price"]

    assert [("default-rate", figures)] == found(event("video", model="veo-9"))
    assert [("own-rate", ["amount"])] == found(event("flat"))


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        (event("video", model="veo-3", resolution="1080p"), []),
        (event("video", model="sora-2", resolution="8k"), []),
        (event("frames"), []),
        (event("video", model="veo-9"), ["`veo-9` has no rate of its own: `default` counts"]),
        (event("video", model="veo-3", resolution="8k"), ["`veo-3/8k` has no rate of its own: `default` counts"]),
        (
            event("video", model="veo-9", resolution="8k"),
            ["`veo-9` has no rate of its own: `default` counts", "`default/8k` has no rate of its own: `default` counts"],
        ),
        (event("bundle", size="huge"), ["`huge` has no rate of its own: `default` counts"]),
    ],
)
def test_explain_names_what_has_no_rate_of_its_own(document: dict[str, Any], lines: list[str]) -> None:
    """With the keys that led to it, as the unit has them."""
    assert lines == [step for step in reasons_for(document, MEDIA).steps if "of its own" in step]
