"""A pricing manager's five edits take five lines at most, and of forty slips in them at least 38 are told in their line."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.domain.errors import Mistake, PolicyError
from engine.policy import parse_policy
from engine.policy.far_dates import far_dates
from engine.preview.policy_tests import load_tests, run_test
from tests.slips.edits import EDITS, POLICY
from tests.slips.table import SLIPS, Caught, Slip

NOW = datetime(2026, 12, 1, tzinfo=UTC)
"""When the edits are made."""

CAUGHT_MIN = 38


def told(text: str) -> tuple[Caught, list[Mistake]]:
    """Return what validate says of a policy."""
    try:
        policy = parse_policy(text, "video.yaml")
    except PolicyError as error:
        return Caught.REFUSED, list(error.mistakes)
    warnings = [*policy.warnings, *far_dates(policy, text.encode(), "video.yaml", NOW)]
    return Caught.WARNED if warnings else Caught.NEVER, warnings


# --- the edits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_takes_at_most_five_lines_and_charges_what_it_says(name: str, tmp_path: Path) -> None:
    """By policy tests whose amounts are worked out by hand; nothing in it is told."""
    edit, file = EDITS[name], tmp_path / "tests.yaml"
    edited = edit.of(POLICY)
    (tmp_path / "video.yaml").write_text(edited)
    file.write_text("policy: video.yaml\ntests:\n" + edit.tests)

    loaded = load_tests(file)

    assert 5 >= len(edited.splitlines()) - len(POLICY.splitlines())
    assert [] == [
        run_test(test, loaded.policy).differences for test in loaded.tests if not run_test(test, loaded.policy).passed
    ]
    assert (Caught.NEVER, []) == told(edited)


def test_all_five_edits_together_are_told_nothing() -> None:
    """One below the other, by their dates."""
    text = POLICY
    for name in ("promotion", "raise", "discount", "model", "refund"):
        text = EDITS[name].of(text)

    assert (Caught.NEVER, []) == told(text)


# --- the slips --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.name)
def test_a_slip_is_told_in_its_line(slip: Slip) -> None:
    """What cannot be known is listed with its reason."""
    caught, messages = told(slip.text)

    assert slip.caught is caught, [str(message) for message in messages]
    assert bool(slip.why) == (caught is Caught.NEVER)
    assert caught is Caught.NEVER or slip.line in [message.line for message in messages], [str(one) for one in messages]


def test_of_forty_slips_at_least_38_are_told() -> None:
    """``pytest -s`` shows the first message of each."""
    counts = Counter(slip.caught for slip in SLIPS)
    for slip in SLIPS:
        caught, messages = told(slip.text)
        said = f"line {messages[0].line}: {messages[0].message}" if messages else slip.why
        print(f"{slip.edit:<10}{slip.name:<42}{caught:<12}{said}")  # noqa: T201  the table is for people

    assert 40 == len(SLIPS) == len({slip.text for slip in SLIPS})
    assert CAUGHT_MIN <= counts[Caught.REFUSED] + counts[Caught.WARNED]
