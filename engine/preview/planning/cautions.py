"""What would make an answer empty, or say less than it seems to: a person is warned of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from engine.domain.instants import instant_text
from engine.preview.planning.books import EditedRate
from engine.preview.planning.reduction import EPOCH
from engine.preview.planning.run import Planned
from engine.preview.planning.side import REFUSED


def cautions(
    paths: Sequence[Path],
    outcome: Planned,
    changes: Sequence[str],
    rates: Sequence[EditedRate],
    at: datetime | None,
    *,
    what: str = "events",
) -> Iterator[str]:
    """Yield warnings. ``at`` is the instant at which all events (``what``) are priced; None: each at its own."""
    yield from _twice(paths)
    if not changes:
        yield "the two policies do not differ"
    if not outcome.tally.events:
        yield f"there are no {what}"
    elif outcome.latest is None:
        yield "no rule of either policy takes any of the events"
    if (count := outcome.tally.outcomes[REFUSED, REFUSED]) > 0:
        yield f"{count} events make no sense under either policy, and play no part"
    if outcome.latest is not None and at is None:
        yield from _too_late(rates, EPOCH + timedelta(microseconds=outcome.latest))


def _twice(paths: Sequence[Path]) -> Iterator[str]:
    """Warn of one file under two names, or twice under one. Two files of one content are as harmless, and not looked for."""
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        about = path.stat()
        file = about.st_dev, about.st_ino
        if (other := seen.get(file)) is not None:
            named = "named twice" if other == path else f"the same file as {other}"
            yield f"{path} is {named}: its events come twice, and count once"
        seen.setdefault(file, path)


def _too_late(rates: Sequence[EditedRate], latest: datetime) -> Iterator[str]:
    """Warn of each row that is edited and begins behind the last event."""
    for book, effective in dict.fromkeys((rate.book, rate.effective) for rate in rates if rate.effective > latest):
        begins = instant_text(effective)
        yield (
            f"no event shows what is edited in {book} from {begins}: the last one is of {instant_text(latest)};"
            f" --as-of {begins} prices all events as if they happened then"
        )
