"""The policies of the world: one policy, and the edits of it that people deploy one after the other.

A policy is written here as a document. The engine gets its text; the judge reads the document as a person reads the file.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from engine.policy import Policy, parse_policy

Document = dict[str, Any]

BEGAN, CHANGED_AT, SALE_AT, SALE_ENDS_AT = (f"2026-01-05T{hour:02}:00:00Z" for hour in (0, 7, 8, 10))
"""From these instants on another row of prices counts; from the last on the one before the sale."""


def _debit(name: str, kind: str, **charge: Any) -> Document:
    return {"name": name, "match": {"source": ["app"], "detail-type": [kind]}, "action": "debit", "charge": charge}


def _other(name: str, kind: str, action: str, **terms: Any) -> Document:
    return {"name": name, "match": {"source": ["app"], "detail-type": [kind]}, "action": action, action: terms}


def _row(status: str, kind: str) -> Document:
    return {"when": {"status": [status]}, "event": {"source": "app", "detail-type": kind, "time": "updatedAt"}}


BASE: Document = {
    "version": 1,
    "name": "video",
    "event": {"job": "detail.jobId", "user": "detail.userId || row.userId", "time": "time", "reference": "detail.purchaseId"},
    "money": {"places": 4, "rounding": "half-even"},
    "prices": {
        "unit": [
            {
                "effective": BEGAN,
                "by": ["detail.model", "detail.resolution"],
                "rates": {"default": "0.1", "pro": {"default": "0.25", "4k": "0.4"}},
            },
            {"effective": CHANGED_AT, "changes": {"default": "0.1237", "pro": {"4k": None}, "veo": {"default": "0.15"}}},
            {"effective": SALE_AT, "until": SALE_ENDS_AT, "changes": {"default": "0.05", "pro": {"hd": "0.2"}}},
        ],
        "plan": [
            {"effective": BEGAN, "by": "row.plan", "rates": {"default": "0.02", "gold": "0.01"}},
            {"effective": CHANGED_AT, "changes": {"gold": "0.03"}},
        ],
        "input": [{"effective": BEGAN, "by": "detail.model", "rates": {"default": "0.003", "pro": "0.00333"}}],
        "output": [
            {"effective": BEGAN, "rates": {"default": [{"up_to": 60, "rate": "0.01"}, {"rate": "0.008"}]}},
            {
                "effective": SALE_AT,
                "tiers": "volume",
                "rates": {"default": [{"up_to": 60, "rate": "0.02"}, {"rate": "0.007"}]},
            },
        ],
    },
    "rules": [
        _debit("debit", "rendered", price="unit", quantity="detail.seconds", minimum="0.01", maximum="5"),
        {**_debit("hook", "hooked", price="plan", quantity="multiply(detail.count, row.size)"), "repeats": "ignore"},
        _debit(
            "answer",
            "answered",
            components=[
                {"price": "input", "quantity": "detail.input"},
                {"price": "output", "quantity": "detail.output"},
                {"amount": "0.00125"},
            ],
            priced_at="detail.submitted",
            minimum="0.05",
        ),
        _other("whole", "failed", "refund", percent=100),
        _other("part", "cancelled", "refund", percent=50, within="10h"),
        _other("credit", "credited", "refund", amount="detail.back"),
        _other("share", "broken", "refund", percent="detail.missing", within="3h"),
        _other("grant", "purchased", "grant", components=[{"quantity": "detail.credits"}, {"amount": "2.5"}], maximum="1000"),
        _other("revoke", "revoked", "revoke", amount="detail.amount", series="refunds"),
        _other("dispute", "disputed", "revoke", percent="detail.percent"),
        {"name": "tests", "match": {"detail": {"jobId": [{"prefix": "test-"}]}}, "action": "flag", "reason": "a test"},
    ],
    "unknown_job": "flag",
    "anomalies": [
        {"name": "dear", "match": {"charge": {"amount": [{"numeric": [">", 2]}]}}},
        {"name": "unusual", "outlier": {"value": "charge.amount", "group": "detail.model", "mads": 3, "samples": 5}},
        {
            "name": "burst",
            "match": {"detail-type": ["rendered"]},
            "frequency": {"same": "detail.userId", "more_than": 2, "within": "1h"},
        },
    ],
    "catch_up": [
        _row("completed", "rendered"),
        _row("delivered", "hooked"),
        _row("answered", "answered"),
        _row("failed", "failed"),
        _row("cancelled", "cancelled"),
        _row("broken", "broken"),
    ],
    "catch_up_ignore": ["queued", "rendering"],
    "adjustments": {"maximum": "60", "second_person_above": "30"},
}


# --- edits ------------------------------------------------------------------------------------------------------------


def _rule(policy: Document, name: str) -> Document:
    return next(rule for rule in policy["rules"] if rule["name"] == name)


def _cheaper(policy: Document) -> None:
    """Lower rates from the beginning, smaller refunds, and windows where there were none."""
    policy["prices"]["unit"][0]["rates"]["default"] = "0.05"
    policy["prices"]["unit"][1]["changes"] = {"default": "0.0613", "pro": "0.11"}
    policy["prices"]["plan"][0]["rates"] = {"default": "0.015", "gold": "0.0025"}
    _rule(policy, "part")["refund"] = {"percent": 33, "within": "90m"}
    _rule(policy, "credit")["refund"]["within"] = "1h"
    _rule(policy, "whole")["refund"]["within"] = "4h"


def _dearer(policy: Document) -> None:
    """Higher rates and bounds; a refund and a revoke of a figure that the event no longer says."""
    policy["prices"]["unit"][0]["rates"] = {"default": "0.2", "pro": {"default": "0.5"}}
    policy["prices"]["unit"][1]["changes"] = {"pro": {"4k": "0.9"}}
    _rule(policy, "debit")["charge"] |= {"minimum": "0.5", "maximum": "20"}
    _rule(policy, "part")["refund"] = {"percent": 75, "within": "34h"}
    _rule(policy, "share")["refund"] = {"amount": "1.5"}
    _rule(policy, "revoke")["revoke"] = {"percent": 30, "series": "refunds"}


def _other_quantities(policy: Document) -> None:
    """Other figures of the events are asked for."""
    _rule(policy, "debit")["charge"]["quantity"] = "detail.frames"
    _rule(policy, "hook")["charge"]["quantity"] = "multiply(detail.count, `4`)"
    _rule(policy, "answer")["charge"] = {"price": "output", "quantity": "detail.input", "maximum": "3"}
    _rule(policy, "dispute")["revoke"] = {"amount": "detail.percent"}


def _other_selectors(policy: Document) -> None:
    """Rates by other words, in another order."""
    rates = {"default": "0.11", "4k": {"default": "0.3", "veo": "0.35"}}
    policy["prices"]["unit"] = [{"effective": BEGAN, "by": ["detail.resolution", "detail.model"], "rates": rates}]
    policy["prices"]["input"][0] |= {"by": "row.plan", "rates": {"default": "0.004", "gold": "0.002"}}


def _repeats_are_ignored(policy: Document) -> None:
    """Every debit ignores repeats from now on."""
    for name in ("debit", "answer"):
        _rule(policy, name)["repeats"] = "ignore"


def _repeats_count(policy: Document) -> None:
    """Repeats of the hook are ignored no more."""
    del _rule(policy, "hook")["repeats"]


def _renamed(policy: Document) -> None:
    """Rules have other names, and a series."""
    for name in ("debit", "hook", "answer", "whole", "share", "grant", "revoke"):
        _rule(policy, name)["name"] = f"{name}-renamed"
    _rule(policy, "revoke-renamed")["revoke"]["series"] = "returned"
    policy["prices"]["unit"][0]["rates"]["default"] = "0.3"


CHANGES: tuple[Callable[[Document], None], ...] = (
    lambda _policy: None,
    _cheaper,
    _dearer,
    _other_quantities,
    _other_selectors,
    _repeats_are_ignored,
    _repeats_count,
    _renamed,
)
EDITS = len(CHANGES)


RESERVED: Document = {"price": "unit", "quantity": "detail.seconds", "minimum": "0.01", "maximum": "5"}
"""What a hold comes to: no edit lays a hand on it, but on the prices."""

HOLDS: tuple[Document, ...] = ({"expires": "8h"}, {"expires": "390m"}, {"expires": "5h", "overdraft": "allow"})
"""The ways in which an edit holds credits. Most holds of the second are due when a history begins, all of the third are."""


def numbered(edit: int) -> int:
    """Return the edit that numbers the attempts of a job, and is otherwise as this one."""
    return edit % EDITS + EDITS


def is_numbered(edit: int) -> bool:
    """Say whether an edit numbers the attempts of a job."""
    return edit // EDITS % 2 == 1


def holding(edit: int, way: int = 1) -> int:
    """Return the edit that holds credits in one of the ways of ``HOLDS`` (1 is the first), and is otherwise as this one."""
    return edit % (2 * EDITS) + 2 * EDITS * way


def way_of_holding(edit: int) -> int:
    """Return in which way an edit holds credits; 0 where it does not."""
    return edit // (2 * EDITS)


def all_edits() -> frozenset[int]:
    """Return every edit, those that number attempts too."""
    return frozenset(range(2 * EDITS))


@functools.cache
def document_of(edit: int, overdraft: str, unknown_user: str) -> Document:
    """Return an edit of the policy."""
    policy = deepcopy({**BASE, "overdraft": overdraft, "unknown_user": unknown_user})
    CHANGES[edit % EDITS](policy)
    if is_numbered(edit):
        policy["event"]["attempt"] = "detail.attempt"
    if way := way_of_holding(edit):
        policy["rules"].append(_other("reserve", "submitted", "hold", **RESERVED, **HOLDS[way - 1]))
    return policy


@functools.cache
def text_of(edit: int, overdraft: str, unknown_user: str) -> str:
    """Return its text: JSON is YAML too."""
    return json.dumps(document_of(edit, overdraft, unknown_user), indent=1)


@functools.cache
def policy_of(edit: int, overdraft: str, unknown_user: str) -> Policy:
    """Return an edit of the policy, compiled."""
    return parse_policy(text_of(edit, overdraft, unknown_user), "policy.yaml")


@functools.cache
def holds_that_overdraw(overdraft: str, unknown_user: str) -> frozenset[str]:
    """Return what entries name as their policy where that lets a hold go through which the balance does not cover."""
    ways = [way for way, terms in enumerate(HOLDS, start=1) if terms.get("overdraft") == "allow"]
    edits = frozenset(holding(edit, way) for way in ways for edit in range(2 * EDITS))
    return frozenset(policies_by_name(edits, overdraft, unknown_user))


@functools.cache
def policies_by_name(edits: frozenset[int], overdraft: str, unknown_user: str) -> Mapping[str, Document]:
    """Return edits by what an entry names as its policy: the name and the first twelve digits of the text's SHA-256."""
    texts = [(text_of(edit, overdraft, unknown_user), document_of(edit, overdraft, unknown_user)) for edit in sorted(edits)]
    return {f"video@{hashlib.sha256(text.encode()).hexdigest()[:12]}": document for text, document in texts}
