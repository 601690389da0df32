"""How much of a property or a proof is tried: a part in ``make test``, more in ``make proof``, all with ``WHOLE=1``.

``make proof`` sets ``PROOF``. Of what has very many cases each landing proves a part that chance draws, and many landings
prove the whole; so none of them needs an hour.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings

IS_PROOF = bool(os.environ.get("PROOF"))
IS_WHOLE = os.environ.get("PROOF") == "whole"
SHARE = 3


def tries[Test: Callable[..., Any]](count: int, **more: Any) -> Callable[[Test], Test]:
    """Let a property try so many examples in ``make proof``; ``more`` are other settings of hypothesis."""
    rules = settings(max_examples=count if IS_PROOF else count // SHARE, deadline=None, **more)

    def of(test: Test) -> Test:
        decorated: Test = pytest.mark.sized(rules(test))
        return decorated

    return of


def part(whole: int, *, is_whole: bool = IS_WHOLE) -> int:
    """Return how many of so many cases a proof tries: two in five, one at least; all of them with ``WHOLE=1``."""
    return whole if is_whole else max(1, whole * 2 // 5)


def left_out(tests: Iterable[str], chance: str, *, is_whole: bool = IS_WHOLE) -> set[str]:
    """Return which cases of tests (by their names, ``file::test[case]``) chance does not draw: of each test it draws a part.

    One chance always draws the same, whatever else there is.
    """
    cases: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        cases[test.partition("[")[0]].append(test)
    turns = [sorted(some, key=lambda case: hashlib.sha256(f"{chance} {case}".encode()).digest()) for some in cases.values()]
    return {case for some in turns for case in some[part(len(some), is_whole=is_whole) :]}
