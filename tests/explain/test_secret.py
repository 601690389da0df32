"""The model's key: from either form of a secret, cached for minutes, and never shown."""

from __future__ import annotations

import pytest

from engine.anomalies.explain.secret import ModelKey, key_of
from tests.support.clock import ManualClock


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("sk-1", "sk-1"), (" sk-1\n", "sk-1"), ('{"api_key": "sk-1"}', "sk-1"), ('{"api_key": ""}', None), ("{}", None),
        ('{"api_key": 7}', None), ("", None), (None, None), ("sk-1\nX-Other: header", None), ("schlüssel", None),
    ],
)  # fmt: skip
def test_a_secret_holds_the_key_itself_or_as_a_member(secret: str | None, key: str | None) -> None:
    """What cannot stand in a header is none."""
    assert key == key_of(secret)


def test_a_key_is_read_again_after_five_minutes() -> None:
    """So that a rotation needs no deployment."""
    time, held = ManualClock(), ["sk-1", "sk-2"]
    key = ModelKey(lambda: held.pop(0), time.clock())

    assert "sk-1" == key.now()
    time.elapsed = 299
    assert "sk-1" == key.now()
    time.elapsed = 300
    assert "sk-2" == key.now()


def test_a_secret_that_cannot_be_read_leaves_the_key_known_before() -> None:
    """And is asked for again; one that never could, after half a minute."""
    time, asked = ManualClock(), []

    def read() -> str:
        asked.append(time.elapsed)
        if len(asked) == 1 or len(asked) > 2:
            raise ConnectionError
        return "sk-1"

    key = ModelKey(read, time.clock())

    assert key.now() is None
    time.elapsed = 29
    assert key.now() is None
    time.elapsed = 30
    assert "sk-1" == key.now()
    time.elapsed = 400
    assert "sk-1" == key.now()
    assert [0.0, 30, 400] == asked


def test_a_key_is_not_shown() -> None:
    """Not where an object is printed into a log or a traceback."""
    key = ModelKey(lambda: "sk-1", ManualClock().clock())
    key.now()

    assert "sk-1" not in repr(key)
