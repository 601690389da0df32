"""What became of each kind, as a table; and what should not be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import Factory, define

from tests.simulation.damages.kinds import KINDS
from tests.simulation.damages.trial import Became, Trial

COLUMNS: Mapping[str, Callable[[Became], bool]] = {
    "old": lambda each: each.planted.is_old,
    "noticed": lambda each: each.noticed,
    "named": lambda each: each.named,
    "right": lambda each: each.by_itself,
    "with a word": lambda each: each.right,
    "again": lambda each: each.again,
    "later": lambda each: each.later,
    "paid": lambda each: each.paid,
}
"""How many of a kind were, in this order: there before the last look; noticed by the scheduled run; named by the command (what
was done to the archive: found by the audit of the whole, once a week); as before with nobody's word; as before, perhaps with a
person's word; still so after all events had come again; and after refunds and other prices; how many have left somebody with
more than he should have."""


@define
class Tally:
    """What became of many."""

    damages: int = 0
    trials: int = 0
    count: Counter[tuple[str, str]] = Factory(Counter)
    """By kind and column; a kind's own number stands under an empty column."""
    wrong: list[str] = Factory(list)

    def take(self, seed: int, trial: Trial, became: Sequence[Became]) -> None:
        """Add a trial."""
        self.trials += 1
        self.damages += len(became)
        for each in became:
            self.count[each.planted.name, ""] += 1
            self.count.update((each.planted.name, name) for name, is_so in COLUMNS.items() if is_so(each))
        kinds = ", ".join(each.planted.name for each in became)
        self.wrong += [f"seed {seed} ({kinds}): {what}" for what in trial.wrong]
        self.wrong += [f"seed {seed}: {what}" for each in became for what in unexpected(each)]

    def add(self, other: Tally) -> None:
        """Add what others have played."""
        self.damages += other.damages
        self.trials += other.trials
        self.count.update(other.count)
        self.wrong += other.wrong

    def lines(self) -> Iterator[str]:
        """Yield the table, in Markdown: of each column how many; all of them is a star, none a dash."""
        yield f"| kind | damages | {' | '.join(COLUMNS)} |"
        yield f"| --- | --- |{' --- |' * len(COLUMNS)}"
        for name in KINDS:
            if planted := self.count[name, ""]:
                cells = (_cell(self.count[name, column], planted, column) for column in COLUMNS)
                yield f"| {name} | {planted} | {' | '.join(cells)} |"


def _cell(many: int, of: int, column: str) -> str:
    if column in {"old", "paid"}:
        return str(many) if many else "-"
    return "all" if many == of else str(many) if many else "-"


def unexpected(became: Became) -> Iterator[str]:
    """Yield what a damage should not have become."""
    planted, kind = became.planted, became.planted.kind
    where = f"{planted.name} ({', '.join(sorted(planted.touched))})"
    if kind.is_seen and not (became.noticed or kind.of_archive):  # of the archive itself, the whole is read once a week
        yield f"{where} is not noticed"
    if kind.is_seen and not became.named:
        yield f"{where} is not named"
    if kind.is_mended and not became.right:
        yield f"{where} is not put right"
    if kind.is_mended and became.right and not (became.again and became.later):
        yield f"{where}: what comes later does not do what it would have done"
    if kind.is_mended and became.paid:
        yield f"{where}: somebody has more than he should have"
