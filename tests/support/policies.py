"""Policies for tests: the design's own example, and the same with one thing changed."""

from __future__ import annotations

from functools import cache

from engine.policy import Policy, parse_policy

EXAMPLE = """\
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time}
money: {places: 4, rounding: half-even}
prices:
  render-second:
    - effective: 2025-01-01T00:00:00Z
      by: detail.model
      rates: {default: "0.10", premium: "0.25"}
    - effective: 2026-07-01T00:00:00Z
      by: detail.model
      rates: {default: "0.12", premium: "0.25"}
rules:
  - name: debit-rendered
    match: {source: [video.generation], detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds, minimum: "0.01", maximum: "500"}
  - name: refund-failed
    match: {source: [video.generation], detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
  - name: flag-test-renders
    match: {detail: {jobId: [{prefix: "test-"}]}}
    action: flag
    reason: a test render reached production
overdraft: flag
unknown_user: refuse
anomalies:
  - {name: costs-over-50, match: {charge: {amount: [{numeric: [">", 50]}]}}}
  - {name: longer-than-5-minutes, match: {detail: {seconds: [{numeric: [">", 300]}]}}}
  - {name: no-result, match: {detail-type: [video.rendered], detail: {result_url: [{exists: false}]}}}
catch_up:
  - when: {status: [completed]}
    event: {source: video.generation, detail-type: video.rendered, time: updatedAt}
  - when: {status: [failed]}
    event: {source: video.generation, detail-type: video.failed, time: updatedAt}
"""


@cache
def example(*changes: tuple[str, str]) -> Policy:
    """Return the example policy with each ``(old, new)`` text replaced; every ``old`` must occur."""
    return parse_policy(example_text(*changes), "example.yaml")


def example_text(*changes: tuple[str, str]) -> str:
    """Return the text of the example policy with each ``(old, new)`` text replaced."""
    text = EXAMPLE
    for old, new in changes:
        if old not in text:
            raise AssertionError(f"{old!r} does not occur in the example policy")
        text = text.replace(old, new)
    return text
