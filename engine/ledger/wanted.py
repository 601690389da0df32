"""Which rows of Jobs a scan wants."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import frozen

from engine.domain.envelope import Document

type IsSettled = Callable[[Document], bool]
"""Says of a row, as an event would tell it, whether its mark says all that it says."""


@frozen
class Wanted:
    """Which rows of Jobs a scan wants beside those that are settled, and what of each."""

    statuses: Collection[str] | None = None
    """Rows at other ones are only counted; None: there are none."""
    attributes: frozenset[str] | None = None
    """What is told of a row; None: all of it."""
    ignored: Collection[str] = ()
    """Rows at these are left out."""
    settled: IsSettled | None = None
    """Where more than its status says whether a row is settled, this is asked of it, with its ``attributes``."""


ALL = Wanted()
