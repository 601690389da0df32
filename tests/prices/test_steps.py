"""How a calculation comes to its result, in words."""

from __future__ import annotations

import pytest

from engine.policy.expressions.event_and_row import EventAndRow
from engine.policy.expressions.steps import STEPS_MAX, steps

DOCUMENT = {
    "width": 1280,
    "height": "720.0",
    "seconds": 12,
    "below": -12,
    "tiny": 1.5e-7,
    "created": 1767607200500,
    "place": "s3://videos/j-1.mp4",
    "clips": [{"seconds": 4, "copies": 2}, {"seconds": 3, "copies": 0.5}],
}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("multiply(width, height)", ["multiply(width, height) is 1280 x 720 = 921600"]),
        (" multiply(width,height)", ["multiply(width,height) is 1280 x 720 = 921600"]),
        ("multiply(\n  width,\n  height\n)\n", ["multiply( width, height ) is 1280 x 720 = 921600"]),
        ("round_up(seconds, `5`)", ["round_up(seconds, `5`) is 12 up to 15"]),
        ("round_down(seconds, `5`)", ["round_down(seconds, `5`) is 12 down to 10"]),
        ("subtract(seconds, below, `1`)", ["subtract(seconds, below, `1`) is 12 - (-12) - 1 = 23"]),
        ("add(seconds, '0.50')", ["add(seconds, '0.50') is 12 + 0.5 = 12.5"]),
        ("multiply(tiny, `1`)", ["multiply(tiny, `1`) is 0.00000015 x 1 = 0.00000015"]),
        ("divide(seconds, `8`)", ["divide(seconds, `8`) is 12 / 8 = 1.5"]),
        ("divide(`1`, `3`)", [f"divide(`1`, `3`) is 1 / 3 = 0.{28 * '3'}, rounded to 28 digits"]),
        (
            "round_up(divide(multiply(width, height), `1000000`), `0.5`)",
            [
                "multiply(width, height) is 1280 x 720 = 921600",
                "divide(multiply(width, height), `1000000`) is 921600 / 1000000 = 0.9216",
                "round_up(divide(multiply(width, height), `1000000`), `0.5`) is 0.9216 up to 1",
            ],
        ),
        ("ceil(divide(seconds, `5`))", ["divide(seconds, `5`) is 12 / 5 = 2.4"]),
        (
            "sum(clips[*].multiply(seconds, copies))",
            ["multiply(seconds, copies) is 4 x 2 = 8", "multiply(seconds, copies) is 3 x 0.5 = 1.5"],
        ),
        ("from_milliseconds(created)", ["from_milliseconds(created) is 2026-01-05T10:00:00.500000Z"]),
        ("split(place, '/')[-1]", ["split(place, '/') is ['s3:', '', 'videos', 'j-1.mp4']"]),
        ("seconds || multiply(width, `2`)", []),
        ("width", []),
        ("add(multiply(width, `2`), missing)", ["multiply(width, `2`) is 1280 x 2 = 2560"]),
    ],
)
def test_each_calculation_is_told_the_innermost_first(expression: str, told: list[str]) -> None:
    """Those that an event reaches, with its numbers in plain digits; up to the one that cannot be worked out."""
    assert told == list(steps(expression, DOCUMENT))


def test_of_very_many_calculations_the_first_are_told() -> None:
    """A list may have thousands of elements."""
    told = steps("sum([*].multiply(@, `2`))", [1] * 1000)

    assert (STEPS_MAX + 1, "and 980 more calculations") == (len(told), told[-1])


def test_a_calculation_on_a_row_that_was_not_read_is_not_told() -> None:
    """The price of such an event may not need it."""
    event = EventAndRow({"width": 1280}, None)

    assert ["multiply(width, `2`) is 1280 x 2 = 2560"] == list(steps("add(multiply(width, `2`), row.frames)", event))
