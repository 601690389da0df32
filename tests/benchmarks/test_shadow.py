"""The figures of the decision on the shadow can be had again."""

from __future__ import annotations

from pathlib import Path

from benchmarks.shadow import asked, by_turns, second_policy
from engine.policy.compiled import load_compiled


def test_a_second_policy_is_asked_about_each_kind_of_event(tmp_path: Path) -> None:
    """The one that is measured has another rate; what is known already takes the least."""
    file = second_policy(tmp_path)

    taken = by_turns(1, asked(file))

    assert load_compiled(file) is not None
    assert ["asked: charge", "asked: refund", "asked: known"] == list(taken)
    assert taken["asked: known"] < taken["asked: refund"]
