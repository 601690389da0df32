"""How many examples a property tries: a third of them in ``make test``, all in ``make proof``, which sets ``PROOF``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

IS_PROOF = bool(os.environ.get("PROOF"))
SHARE = 3


def tries[Test: Callable[..., Any]](count: int, **more: Any) -> Callable[[Test], Test]:
    """Let a property try so many examples in ``make proof``; ``more`` are other settings of hypothesis."""
    rules = settings(max_examples=count if IS_PROOF else count // SHARE, deadline=None, **more)

    def of(test: Test) -> Test:
        decorated: Test = pytest.mark.sized(rules(test))
        return decorated

    return of
