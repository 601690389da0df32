"""Every case of AWS's documented behaviour, one test each."""

from __future__ import annotations

import pytest

from engine.domain.errors import PolicyError
from engine.policy.patterns import compile_pattern
from tests.patterns.cases import MATCH, MISS, REFUSED, Case, load_cases

CASES = load_cases()


def answer(case: Case) -> str:
    """Return what our patterns make of a case, in the words of the data file."""
    try:
        matches = compile_pattern(case.pattern)
    except PolicyError:
        return REFUSED
    return MATCH if matches(case.event) else MISS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_pattern_does_what_aws_does(case):
    """The data file says for each case what AWS answers and where that is written."""
    assert case.expected == answer(case), case.source


def test_the_cases_cover_matches_misses_and_refusals():
    """A loader that drops a part of the file would otherwise go unnoticed."""
    counts = {expected: sum(case.expected == expected for case in CASES) for expected in (MATCH, MISS, REFUSED)}

    assert all(count >= 100 for count in counts.values()), counts
