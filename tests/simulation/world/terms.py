"""The policies of the world: one grammar, several edits that are deployed one after the other, and their terms in figures.

The judge sees ``Terms`` alone; the engine sees the text.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from fractions import Fraction

from attrs import frozen

from engine.policy import Policy, parse_policy

CHANGED_AT = "2026-01-05T07:00:00Z"
"""From this instant on the second row of prices counts."""

TEXT = """\
version: 1
name: video
event: {{job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}}
money: {{places: 4, rounding: half-even}}
prices:
  unit:
    - {{effective: 2025-01-01T00:00:00Z, by: detail.model, rates: {{default: "{default}", pro: "{pro}"}}}}
    - {{effective: 2026-01-05T07:00:00Z, by: detail.model, rates: {{default: "{later}", pro: "{pro}"}}}}
rules:
  - name: debit
    match: {{source: [app], detail-type: [rendered]}}
    action: debit
    charge: {{price: unit, quantity: detail.seconds, minimum: "{minimum}", maximum: "{maximum}"}}
  - {{name: whole, match: {{source: [app], detail-type: [failed]}}, action: refund, refund: {{percent: 100}}}}
  - name: part
    match: {{source: [app], detail-type: [cancelled]}}
    action: refund
    refund: {{percent: {percent}, within: {minutes}m}}
  - name: grant
    match: {{source: [app], detail-type: [purchased]}}
    action: grant
    grant: {{quantity: detail.credits, maximum: "1000"}}
  - name: revoke
    match: {{source: [app], detail-type: [revoked]}}
    action: revoke
    revoke: {{amount: detail.amount, series: refunds}}
  - {{name: tests, match: {{detail: {{jobId: [{{prefix: test-}}]}}}}, action: flag, reason: a test}}
overdraft: {overdraft}
unknown_user: {unknown_user}
unknown_job: flag
anomalies:
  - {{name: dear, match: {{charge: {{amount: [{{numeric: [">", 2]}}]}}}}}}
  - {{name: unusual, outlier: {{value: charge.amount, group: detail.model, mads: 3, samples: 5}}}}
  - {{name: burst, match: {{detail-type: [rendered]}}, frequency: {{same: detail.userId, more_than: 2, within: 1h}}}}
catch_up:
  - {{when: {{status: [completed]}}, event: {{source: app, detail-type: rendered, time: updatedAt}}}}
  - {{when: {{status: [failed]}}, event: {{source: app, detail-type: failed, time: updatedAt}}}}
  - {{when: {{status: [cancelled]}}, event: {{source: app, detail-type: cancelled, time: updatedAt}}}}
catch_up_ignore: [queued, rendering]
"""


@frozen
class Terms:
    """What one edit of the policy says, as it is written there."""

    default: str = "0.1"
    later: str = "0.1237"
    pro: str = "0.25"
    minimum: str = "0.01"
    maximum: str = "5"
    percent: int = 50
    minutes: int = 600

    def rate(self, model: str, at: str) -> Fraction:
        """Return what a second of a model costs at an instant."""
        return Fraction(self.pro if model == "pro" else self.later if at >= CHANGED_AT else self.default)


EDITS = (
    Terms(),
    Terms(default="0.05", later="0.0613", percent=33, minutes=90),
    Terms(later="0.2", pro="0.5", minimum="0.5", percent=75, minutes=2000),
)


@functools.cache
def policy_of(edit: int, overdraft: str, unknown_user: str) -> Policy:
    """Return an edit of the policy, compiled."""
    return parse_policy(text_of(edit, overdraft, unknown_user), "policy.yaml")


@functools.cache
def text_of(edit: int, overdraft: str, unknown_user: str) -> str:
    """Return the text of an edit."""
    terms = EDITS[edit]
    written = {name: getattr(terms, name) for name in ("default", "later", "pro", "minimum", "maximum", "percent", "minutes")}
    return TEXT.format(**written, overdraft=overdraft, unknown_user=unknown_user)


@functools.cache
def terms_by_policy(overdraft: str, unknown_user: str) -> Mapping[str, Terms]:
    """Return the terms by what an entry names as its policy: the name and the first twelve digits of the text's SHA-256."""
    texts = [text_of(edit, overdraft, unknown_user) for edit in range(len(EDITS))]
    digests = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts]
    return {f"video@{digest}": terms for digest, terms in zip(digests, EDITS, strict=True)}
