"""What a soak is asked for, and what it says in the end."""

from __future__ import annotations

from attrs import define, frozen

from tests.soak.books import Verdict
from tests.soak.engines import LOCAL
from tests.soak.figures import Figures

NEEDED = (
    *("outcome debited", "outcome refunded", "outcome granted", "outcome revoked", "outcome voided", "outcome duplicate"),
    *("outcome refused", "lost race"),
    *("kills", "in a transaction", "replayed", "explained", "runs done", "audits done", "came back"),
)
"""What the shortest soak has to see."""


@frozen
class Options:
    """What is wanted. ``rate`` is in events a second, ``kill`` the mean seconds between two kills."""

    seconds: float = 1800.0
    seed: int = 5
    engine: str = LOCAL
    workers: int = 8
    spared: int = 2
    rate: float = 25.0
    kill: float = 4.0
    tell_seconds: float = 60.0
    deploy_seconds: float = 45.0
    rest_seconds: float = 60.0
    """How old what is sealed must be: no invocation posts what it dated so long ago."""
    function_seconds: float = 15.0
    runs_pause: float = 8.0
    bug: str = ""
    """A deliberate one (``bugs.py``) that the processes have."""
    stories_min: int = 100
    """Before so many stories have begun no time is up: what the verdict needs is among them."""
    kills_min: int = 3
    """Nor before so many kills within a transaction."""


@define
class Result:
    """What is wrong in the end, and the figures."""

    wrong: list[str]
    figures: Figures
    verdict: Verdict | None = None


class Fallen(RuntimeError):
    """The database itself has fallen over, or nothing moves any more: that says nothing of the product."""
