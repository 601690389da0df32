"""The local EventBridge, asked the same cases: where it answers otherwise than AWS, the data file says why."""

from __future__ import annotations

from tests.patterns.cases import emulator_disagreements, explanations, load_cases
from tools.local_aws import LocalAws


def test_every_disagreement_of_the_local_eventbridge_is_explained(aws: LocalAws) -> None:
    """A new one would mean that events are routed otherwise here than on AWS, and that a local result proves less."""
    disagreements = emulator_disagreements(aws.client("events"), load_cases())

    assert sorted(explanations("ministack")) == sorted(disagreements)
