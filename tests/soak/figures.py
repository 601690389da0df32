"""What is told each minute and at the end, in tables of at most 80 columns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from attrs import Factory, define

from tests.soak.crew import Weight, Worker, slope

COLUMNS = {
    "time": 6,
    "events": 8,
    "/s": 5,
    "entries": 8,
    "confl.": 7,
    "races": 6,
    "again": 7,
    "kills": 6,
    "in tx": 6,
    "errors": 7,
    "MB": 4,
    "db": 5,
    "rows": 5,
}
"""Their widths, 80 together.

Events are those worked on, known ones too; a race is a condition that did not hold; ``in tx`` is a kill within a transaction.
Then megabytes: a process (the mean), the database, the rows of its tables.
"""

HEAD = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())

GROWTH_MEGABYTES_MAX = 8.0
"""So much a process that lives through all of it may grow after its beginning, however long it lives."""

JUDGED_FROM_MINUTES = 3.0
"""Growth is judged where it was watched for so long. What comes in the first minutes is buffers and caches that fill: 11 MB in
six minutes of a soak that grew by nothing in the 24 after them."""

PAGES_MEGABYTES = 32.0
BYTES_OF_A_RECENT_ENTRY = 1500
"""What a process that looks back may hold: pages of a megabyte of JSON, and all entries of the last day, up to a bound."""


@define
class Figures:
    """All counts, and how they stood when they were last told."""

    began: float = Factory(time.monotonic)
    count: Counter[str] = Factory(Counter)
    told: Counter[str] = Factory(Counter)
    told_at: float = Factory(time.monotonic)
    server: list[Weight] = Factory(list)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self.began

    def line(self, workers: Sequence[Worker], megabytes_of_tables: float) -> str:
        """Return the line of this minute, and begin the next."""
        now, count = time.monotonic(), self.count
        events = events_of(count)
        speed = (events - events_of(self.told)) / max(0.001, now - self.told_at)
        sizes = [worker.weights[-1].megabytes for worker in workers if worker.weights]
        megabytes = sum(sizes) / max(1, len(sizes)), self.server[-1].megabytes if self.server else 0.0
        self.told, self.told_at = Counter(count), now
        done = count["entries"], count["conflict"], count["lost race"], again_of(count)
        killed = count["kills"], count["in a transaction"], sum(errors_of(count).values())
        cells = [
            clock(self.seconds),
            events,
            round(speed),
            *done,
            *killed,
            *map(round, megabytes),
            f"{megabytes_of_tables:.1f}",
        ]
        return "".join(f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True))

    def summary(self, workers: Sequence[Worker]) -> Iterator[str]:
        """Yield the tables of the end."""
        events = events_of(self.count)
        count = self.count
        yield f"{events:,} events in {clock(self.seconds)} ({events / self.seconds:.1f} a second), {count['kills']:,} kills:"
        yield f"  {count['in a task']:,} of them within an invocation, {count['in a transaction']:,} within a transaction"
        yield from table("outcomes", beginning_with("outcome ", count))
        yield from table("errors by kind", errors_of(count))
        yield from table("what invocations raised", beginning_with("raised ", count))
        yield from table("what DynamoDB answered", {name: count[name] for name in ANSWERS})
        yield from table("on the way", beginning_with("way ", count))
        yield from memory(workers, self.server)


ANSWERS = ("conflict", "lost race", "no answer", "sent again", "decided again")


def events_of(count: Mapping[str, int]) -> int:
    """Return how many events were worked on."""
    return sum(many for name, many in count.items() if name.startswith("outcome "))


def errors_of(count: Mapping[str, int]) -> dict[str, int]:
    """Return how many errors there were of each kind: of events, of the service, in the log, of the application."""
    kinds = ("error ", "service ", "log ", "application ")
    return {name: many for name, many in count.items() if name.startswith(kinds)}


def again_of(count: Mapping[str, int]) -> int:
    """Return how often something was tried again: sent, or decided."""
    return count["sent again"] + count["decided again"]


def beginning_with(prefix: str, count: Mapping[str, int]) -> dict[str, int]:
    """Return the counts whose names begin so, by what follows."""
    return {name.removeprefix(prefix): many for name, many in count.items() if name.startswith(prefix)}


def table(title: str, rows: Mapping[str, int]) -> Iterator[str]:
    """Yield a table of counts, the largest first, two columns to the line."""
    yield f"\n{title}"
    ordered = sorted(rows.items(), key=lambda row: (-row[1], row[0]))
    cells = [f"  {name[:27]:<27} {many:>8,}" for name, many in ordered if many]
    yield from ("".join(cells[at : at + 2]) for at in range(0, len(cells), 2))


def memory(workers: Sequence[Worker], server: Sequence[Weight]) -> Iterator[str]:
    """Yield how large each process was, and how it grew."""
    yield "\nmemory of each process, in MB        first    last    most   grown in minutes"
    for worker in workers:
        kind = "never killed" if worker.is_spared else f"{worker.processes - 1} killed"
        yield weights_line(f"{worker.name} ({kind})", worker.weights)
    yield weights_line("the database", server)
    if all(slope(worker.weights)[1] < JUDGED_FROM_MINUTES for worker in workers):
        yield f"  not judged: none was watched for {JUDGED_FROM_MINUTES:.0f} minutes after its beginning"


def weights_line(name: str, weights: Sequence[Weight]) -> str:
    """Return the line of one process."""
    if not weights:
        return f"  {name:<32}  (too young)"
    sizes = [each.megabytes for each in weights]
    grown, minutes = slope(weights)
    return f"  {name:<32} {sizes[0]:>7.1f} {sizes[-1]:>7.1f} {max(sizes):>7.1f} {grown:>7.1f} {minutes:>7.1f}"


def growth(workers: Sequence[Worker], entries: int) -> list[str]:
    """Return what is wrong with the memory of the processes that lived through all of it.

    One of them never looks back, and has to stay as it is. The others hold the entries of the last day for a moment. Too
    short a time says nothing.
    """
    wrong = []
    for worker in filter(lambda worker: worker.is_spared, workers):
        held = PAGES_MEGABYTES + entries * BYTES_OF_A_RECENT_ENTRY / 2**20
        most = GROWTH_MEGABYTES_MAX + (held if worker.place else 0)
        grown, minutes = slope(worker.weights)
        if minutes >= JUDGED_FROM_MINUTES and grown > most:
            wrong.append(
                f"{worker.name} has grown by {grown:.1f} MB in {minutes:.1f} minutes; at most {most:.1f} are in order"
            )
    return wrong


def clock(seconds: float) -> str:
    """Return a length of time as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def shown(net: Fraction) -> str:
    """Return an exact amount of credits in digits."""
    return f"{float(net):,.4f}"
