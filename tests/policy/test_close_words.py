"""Which words a finger slips into, and which people mean to differ."""

from __future__ import annotations

import pytest

from engine.policy.close_words import ALIKE_MAX, CHARACTERS_MAX, close_words, is_close

SLIPS = [
    ("sora2-pro", "sora2-por"),
    ("sora2-pro", "Sora2-Pro"),
    ("sora-2", "sora2"),
    ("sora-2", "sora-2 "),
    ("sora-2", "s\N{CYRILLIC SMALL LETTER O}ra-2"),
    ("sora-2", "sora\N{EN DASH}2"),
    ("premium", "premiun"),
    ("premium", "premum"),
    ("premium", "premiuum"),
    ("default", "defualt"),
    ("default", "Default"),
    ("gen4_turbo", "gen4-turbo"),
    ("1080p", "1008p"),
    ("detail.model", "detail.modle"),
    ("video.rendered", "video.renderd"),
]

DIFFERENT = [
    ("veo-3.1", "veo-3.0"),
    ("sora-2", "sora-3"),
    ("sora-2", "sora-2-pro"),
    ("v1.1", "v11"),
    ("v12", "v21"),
    ("1024x1024", "1024x1792"),
    ("720p", "480p"),
    ("4k", "8k"),
    ("wan2.7-t2v", "wan2.7-i2v"),
    ("tokens-in", "tokens-on"),
    ("image", "images"),
    ("input-token", "input-tokens"),
    ("complete", "completed"),
    ("hd", "sd"),
    ("pro", "pros"),
    ("pro", "prod"),
    ("fast", "lite"),
    ("", "a"),
    ("-", "_"),
]


@pytest.mark.parametrize(("meant", "written"), SLIPS)
def test_a_slip_is_close_to_what_was_meant(meant: str, written: str) -> None:
    """In both directions, and found among others."""
    assert is_close(meant, written)
    assert is_close(written, meant)
    assert {meant: [written], written: [meant]} == close_words(["other", meant, written, "word"])


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_people_name_on_purpose_is_not_close(one: str, other: str) -> None:
    """Versions, sizes, short words of a letter each, and plurals."""
    assert {} == close_words([one, other])


def test_shorter_words_may_be_left_alone() -> None:
    """Fields of events have names like ``mode`` and ``model``."""
    assert {} == close_words(["detail.mode", "detail.model"], letters=5)
    assert {"mode": ["model"], "model": ["mode"]} == close_words(["mode", "model"])


def test_long_words_and_long_series_are_left_alone() -> None:
    """No file makes the comparison slow, and nobody slips so often in one word."""
    long = "m" * CHARACTERS_MAX
    series = [f"name{chr(letter)}" for letter in range(ord("a"), ord("a") + ALIKE_MAX)]

    assert {} == close_words([f"{long}a", f"{long}b"])
    assert {} == close_words(series)
    assert set(series[1:]) == set(close_words(series[1:]))
