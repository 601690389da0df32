"""What a posting writes, by DynamoDB's documented rules: an entry that outgrows a kilobyte would cost half as much again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks.capacity import KB, costs, item_bytes
from engine.ledger.dynamodb.attributes import encode_item
from engine.policy import load_policy
from tests.support.events import failed, rendered
from tools.environments import ROOT

JOB, USER = "j-3f2b8c1e-77aa-4d10-9d3e-0a1b2c3d4e5f", "u-5d7e9a10-1234-4abc-8def-001122334455"


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": "b"}, 2),
        ({"a": "é"}, 3),
        ({"a": True, "b": False}, 4),
        ({"a": Decimal("12.5")}, 4),  # three digits: two bytes and one more
        ({"a": Decimal(-1000)}, 4),  # one digit, the byte for all numbers and the sign's
        ({"a": []}, 4),
        ({"a": ["b"]}, 6),
        ({"a": {"b": "c"}}, 7),
    ],
)
def test_an_item_is_measured_as_documented(item: dict[str, object], size: int) -> None:
    """Names and values in UTF-8; a number half a byte a digit; three bytes for a list or a map, one for each element."""
    assert size == item_bytes(encode_item(item))


def test_an_entry_fits_into_a_kilobyte() -> None:
    """With identifiers of 38 characters and the shipped policy."""
    policy = load_policy(ROOT / "policies" / "video.yaml")
    events = [
        rendered(JOB, user=USER, model="veo-3.1-fast-generate-001", resolution="1080p", at="2026-12-01T10:00:00Z"),
        failed(JOB, user=USER, at="2026-12-01T11:00:00Z"),
        failed(f"{JOB}-never", user=USER),
    ]

    debit, refund, void, duplicate = costs(policy, events)

    assert ["debit", "refund", "void", "duplicate"] == [cost.kind for cost in (debit, refund, void, duplicate)]
    assert max(cost.entry_bytes for cost in (debit, refund, void)) <= KB
    assert [7, 7, 5, 7] == [cost.write_units for cost in (debit, refund, void, duplicate)]
    assert debit.dollars < 7
