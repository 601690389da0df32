"""The same cases asked of moto, an independent implementation: wherever it differs from AWS, the reason is written down."""

from __future__ import annotations

import json

import pytest

from tests.patterns.cases import MATCH, MISS, REFUSED, Case, as_json, disagreements, explanations, load_cases

BROKEN = "broken"


@pytest.fixture(scope="module")
def moto_patterns():
    """Moto's own class; its module takes a while to import, so it waits until it is asked for."""
    return pytest.importorskip("moto.events.models").EventPattern


def test_every_disagreement_with_moto_is_explained(moto_patterns):
    """A new one means that moto was mended, or that our reading of AWS has changed."""

    def answer(case: Case) -> str:
        try:
            matches = moto_patterns.load(as_json(case.pattern)).matches_event(json.loads(as_json(case.event)))
        except Exception as problem:  # noqa: BLE001 - moto trips over patterns in many ways
            return REFUSED if "InvalidEventPattern" in type(problem).__name__ else BROKEN
        return MATCH if matches else MISS

    assert sorted(explanations("moto")) == sorted(disagreements(answer, load_cases()))
