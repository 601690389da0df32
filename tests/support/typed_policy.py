"""A policy as it stands in an editor before somebody types on, and where in it things are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

POLICIES = Path(__file__).parents[2] / "policies"

TYPED = """# yaml-language-server: $schema=policy.schema.json
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time}
money: {places: 4, rounding: half-even}
prices:
  render-second:
    - effective: 2026-01-01T00:00:00Z
      tiers: volume
      rates:
        default: [{up_to: 60, rate: "0.10"}, {rate: "0.08"}]
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds}
  - name: refund-failed
    match: {detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
overdraft: flag
unknown_user: refuse
anomalies:
  - name: costs-over-50
    match: {charge: {amount: [{numeric: [">", 50]}]}}
"""
"""What stands in the editor before somebody types on."""


def place_of(text: str, words: str) -> tuple[int, int]:
    """Return line and column, both from 0, where ``words`` begin."""
    before = text[: text.index(words)]
    return before.count("\n"), len(before) - before.rfind("\n") - 1


def changed(right: str, typed: str) -> str:
    """Return the policy with one place typed otherwise."""
    assert TYPED.count(right) == 1
    return TYPED.replace(right, typed)


def under(text: str, words: str) -> dict[str, Any]:
    """Return the range of a mark under ``words``, from their first letter to their last."""
    line, column = place_of(text, words)
    return {"start": {"line": line, "character": column}, "end": {"line": line, "character": column + len(words)}}
