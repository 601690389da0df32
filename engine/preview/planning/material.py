"""What a plan is made of: events, or what a ledger keeps; and what users had, where a ledger says it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, field, frozen

from engine.ledger.audits import Credit
from engine.preview.planning.kept.balances import History
from engine.preview.planning.kept.spool import Span, Spooled, Spooling, logs_of
from engine.preview.planning.work import Wish
from engine.reconcile.repricing.spill import Spill as Logs

type StoredEntry = Mapping[str, Any]

type Seen = Callable[[str, int], None]
"""Is told of a step how far it is."""

EVENTS_DO_NOT_SAY = "events do not say what users had; --ledger, or an --export of it, does"
ENTRIES_DO_NOT_SAY = "entries alone do not say what users had: name the table of balances, or an --export of it"


@frozen
class Material:
    """What a plan is made of: ``events`` where there are any, else what the ``entries`` keep."""

    events: tuple[Path, ...] = ()
    entries: Callable[[], Iterable[StoredEntry]] | None = None
    credits: Callable[[], Iterable[Credit]] | None = None
    span: Span = field(factory=Span)

    @property
    def why_unknown(self) -> str | None:
        """Why nobody knows what users had; None where it is known."""
        if self.entries is None:
            return EVENTS_DO_NOT_SAY
        return ENTRIES_DO_NOT_SAY if self.credits is None else None


@contextmanager
def prepared(material: Material, wish: Wish, seen: Seen) -> Iterator[tuple[Wish, Spooled | None]]:
    """Hand over the wish for a material, and what of a ledger is planned; both last as long as they are asked."""
    if material.entries is None or (material.events and material.credits is None):
        yield evolve(wish, paths=material.events), None
        return
    with TemporaryDirectory(prefix="reconciler-ledger-") as folder, Logs() as logs:
        history = History(Path(folder))
        found = history.noting(logs_of(_counted(material.entries(), "entries", seen), logs))
        wish, spooled = _told(material, wish, found, Path(folder))
        for credit in _counted(material.credits(), "balances", seen) if material.credits is not None else ():
            history.add_balance(credit)
        yield evolve(wish, balances=None if material.credits is None else history.done()), spooled


def _told(material: Material, wish: Wish, logs: Iterable[list[StoredEntry]], folder: Path) -> tuple[Wish, Spooled | None]:
    """Return the wish for the events, once the logs are read; or for what the logs keep."""
    if material.events:
        deque(logs, maxlen=0)
        return evolve(wish, paths=material.events), None
    spooled = Spooling.of(wish.now, wish.then, material.span, folder / "facts.jsonl").spool(logs)
    return evolve(wish, paths=(spooled.path,), is_kept=True), spooled


def _counted[T](parts: Iterable[T], what: str, seen: Seen) -> Iterator[T]:
    for number, part in enumerate(parts, 1):
        seen(what, number)
        yield part
