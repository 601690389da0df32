"""The five edits of a pricing manager, each in at most five lines of the shipped policy, and what they charge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

POLICY = (Path(__file__).parents[2] / "policies" / "video.yaml").read_text(encoding="utf-8")

BEHIND_PRICES = "\nrules:"
BEFORE_REFUNDS = "  - name: refund-failed\n"


@frozen
class Edit:
    """Lines that are put in before a text of the policy, and policy tests of what they charge."""

    lines: str
    before: str
    tests: str

    def of(self, policy: str) -> str:
        """Return the edited policy."""
        above, found, below = policy.partition(self.before)
        assert found
        return f"{above}{self.lines}{found}{below}"


EDITS: Mapping[str, Edit] = {
    "raise": Edit(
        """\
    - effective: 2027-01-01T00:00:00Z
      changes: {sora-2-pro: {default: "0.36", 720p: "0.36"}}
""",
        BEHIND_PRICES,
        """\
- name: eight seconds cost 8 x 0.36 from the new year on, and 8 x 0.30 before
  given:
    - {source: video.generation, detail-type: video.rendered, time: 2027-01-01T00:00:00Z,
       detail: {jobId: j-1, userId: u-1, seconds: 8, model: sora-2-pro, resolution: 720p}}
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-31T23:59:59Z,
       detail: {jobId: j-2, userId: u-1, seconds: 8, model: sora-2-pro, resolution: 720p}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-01-01T00:00:00Z,
       detail: {jobId: j-3, userId: u-1, seconds: 8, model: sora-2, result_url: s3, resolution: 720p}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-01-01T00:00:00Z,
       detail: {jobId: j-4, userId: u-1, seconds: 8, model: who, result_url: s4, resolution: 720p}}
  expect:
    - {job: j-1, type: debit, amount: "-2.88"}
    - {job: j-2, type: debit, amount: "-2.40"}
    - {job: j-3, type: debit, amount: "-0.80", anomalies: []}
    - {job: j-4, type: debit, amount: "-0.96", anomalies: [no-price-of-its-own]}
""",
    ),
    "discount": Edit(
        """\
    - effective: 2027-02-01T00:00:00Z
      changes:
        premium: [{up_to: 60, rate: "0.25"}, {up_to: 300, rate: "0.20"}, {rate: "0.15"}]
""",
        BEHIND_PRICES,
        """\
- name: a hundred seconds cost 60 x 0.25 + 40 x 0.20, four hundred 15 + 240 x 0.20 + 100 x 0.15; before they cost 0.25 each
  given:
    - {source: video.generation, detail-type: video.rendered, time: 2027-02-01T00:00:00Z,
       detail: {jobId: j-1, userId: u-1, seconds: 100, model: premium}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-02-01T00:00:00Z,
       detail: {jobId: j-2, userId: u-1, seconds: 400, model: premium}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-01-31T23:59:59Z,
       detail: {jobId: j-3, userId: u-1, seconds: 100, model: premium}}
  expect:
    - {job: j-1, type: debit, amount: -23}
    - {job: j-2, type: debit, amount: -78}
    - {job: j-3, type: debit, amount: -25}
""",
    ),
    "refund": Edit(
        """\
  - name: refund-runway
    match: {source: [video.generation], detail-type: [video.failed], detail: {provider: [runway]}}
    action: refund
    refund: {percent: 50}
""",
        BEFORE_REFUNDS,
        """\
- name: half of 8 x 0.12 comes back from one provider, all of it from the others
  given:
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-01T10:00:00Z,
       detail: {jobId: j-1, userId: u-1, seconds: 8, model: gen4.5, provider: runway}}
    - {source: video.generation, detail-type: video.failed, time: 2026-12-01T11:00:00Z,
       detail: {jobId: j-1, userId: u-1, provider: runway}}
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-01T10:00:00Z,
       detail: {jobId: j-2, userId: u-1, seconds: 8, model: premium, provider: luma}}
    - {source: video.generation, detail-type: video.failed, time: 2026-12-01T11:00:00Z,
       detail: {jobId: j-2, userId: u-1, provider: luma}}
  expect:
    - {job: j-1, type: debit, amount: "-0.96"}
    - {job: j-1, type: refund, amount: "0.48", rule: refund-runway}
    - {job: j-2, type: debit, amount: -2}
    - {job: j-2, type: refund, amount: 2, rule: refund-failed}
""",
    ),
    "promotion": Edit(
        """\
    - effective: 2026-12-24T00:00:00+01:00
      until: 2026-12-31T00:00:00+01:00
      changes: {default: "0.06"}
""",
        BEHIND_PRICES,
        """\
- name: ten seconds cost 10 x 0.06 for a week, by the clock of Berlin, and 10 x 0.12 before and after
  given:
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-23T22:59:59Z,
       detail: {jobId: j-1, userId: u-1, seconds: 10, model: who}}
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-23T23:00:00Z,
       detail: {jobId: j-2, userId: u-1, seconds: 10, model: who}}
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-30T22:59:59Z,
       detail: {jobId: j-3, userId: u-1, seconds: 10, model: who}}
    - {source: video.generation, detail-type: video.rendered, time: 2026-12-30T23:00:00Z,
       detail: {jobId: j-4, userId: u-1, seconds: 10, model: who}}
  expect:
    - {job: j-1, type: debit, amount: "-1.20"}
    - {job: j-2, type: debit, amount: "-0.60"}
    - {job: j-3, type: debit, amount: "-0.60"}
    - {job: j-4, type: debit, amount: "-1.20"}
""",
    ),
    "model": Edit(
        """\
    - effective: 2027-03-01T00:00:00Z
      changes: {kling-3: {default: "0.20", 1080p: "0.28"}}
""",
        BEHIND_PRICES,
        """\
- name: ten seconds of the new model cost 10 x 0.28 in 1080p and 10 x 0.20 else; before it cost the default
  given:
    - {source: video.generation, detail-type: video.rendered, time: 2027-03-01T00:00:00Z,
       detail: {jobId: j-1, userId: u-1, seconds: 10, model: kling-3, resolution: 1080p}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-03-01T00:00:00Z,
       detail: {jobId: j-2, userId: u-1, seconds: 10, model: kling-3}}
    - {source: video.generation, detail-type: video.rendered, time: 2027-02-28T23:59:59Z,
       detail: {jobId: j-3, userId: u-1, seconds: 10, model: kling-3, resolution: 1080p}}
  expect:
    - {job: j-1, type: debit, amount: "-2.80"}
    - {job: j-2, type: debit, amount: "-2"}
    - {job: j-3, type: debit, amount: "-1.20"}
""",
    ),
}
