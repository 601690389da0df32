"""What a landing proves of what has very many cases: a part that chance draws, never nothing, and with time all of it."""

from __future__ import annotations

import pytest

from tests.support.examples import left_out, part

CASES = [f"tests/a.py::test_it[{number}]" for number in range(50)]


@pytest.mark.parametrize(("whole", "some"), [(1, 1), (2, 1), (5, 2), (151, 60), (100_000, 40_000)])
def test_two_in_five_are_a_part(whole: int, some: int) -> None:
    """One at least; all where somebody asks for all."""
    assert (some, whole) == (part(whole, is_whole=False), part(whole, is_whole=True))


def test_of_each_test_a_part_is_drawn() -> None:
    """Of a test with one case that one, whatever the others have."""
    alone = "tests/b.py::test_another"
    out = left_out([*CASES, alone], "1", is_whole=False)

    assert 30 == len(out)
    assert alone not in out
    assert set() == left_out([*CASES, alone], "1", is_whole=True)


def test_one_chance_draws_the_same_and_twenty_draw_all() -> None:
    """Whatever order the cases come in, and whatever else there is."""
    assert left_out(CASES, "7", is_whole=False) == left_out(["tests/b.py::test_x[1]", *reversed(CASES)], "7", is_whole=False)
    assert set() == set.intersection(*(left_out(CASES, str(chance), is_whole=False) for chance in range(20)))
