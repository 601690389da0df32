"""The detectors, one row each: what an anomaly may look for beside a pattern, and how a policy says it.

A detector is a class here, its row in ``DETECTORS``, and a function in ``rating.detectors`` that examines one event with it.
One that needs many events has a span of time (``within``): the scheduled run looks back over it, and asks ``rating.trends``.
One that measures by what is usual names its samples (``of``): the scheduled run works out their baselines.

``shape`` is asked when a policy is read, and imports the grammar only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen

from engine.policy.expressions.paths import Path

if TYPE_CHECKING:
    from engine.policy.grammar import Shape
    from engine.policy.source import Members, Notes

SAMPLES = Decimal(5), Decimal(10_000)
"""Of fewer samples no median tells anything."""


WITHIN_MAX = timedelta(days=7)
"""A look back reads so much of the ledger, and a day more."""


class Scale(StrEnum):
    """How the distance from what is usual is measured."""

    LINEAR = "linear"
    LOG = "log"
    """By the factor between the two: of 20, 10 is as far as 40."""


@frozen
class Outlier:
    """What is unusual: a value more than ``mads`` median absolute deviations from its group's median.

    A group of fewer than ``samples`` samples flags nothing.
    """

    value: Path
    group: Path
    mads: Decimal
    samples: int
    scale: Scale = Scale.LINEAR
    of: str = field(init=False)
    """What the samples are of. Anomalies that look at the same values share their samples."""
    within: ClassVar[None] = None

    @of.default
    def _of(self) -> str:
        return f"{self.value.text} by {self.group.text}"

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from (self.value, self.group)

    @classmethod
    def shape(cls) -> Shape:
        """Return how it is written in a policy."""
        from engine.policy import grammar  # noqa: PLC0415  a compiled policy needs none

        keys = {
            "value": grammar.Key(grammar.FINDS_NUMBER),
            "group": grammar.Key(grammar.FINDS_TEXT),
            "mads": grammar.Key(grammar.Number(Decimal(0), Decimal(1000))),
            "samples": grammar.Key(grammar.Number(*SAMPLES, whole=True)),
            "scale": grammar.Key(grammar.Word(tuple(Scale)), Scale.LINEAR.value),
        }
        return grammar.Keys(keys, lambda values, _node, _notes: cls(**{**values, "scale": Scale(values["scale"])}))


@frozen
class Frequency:
    """What comes too often: more than ``more_than`` jobs with the same values at ``same`` within a length of time."""

    same: tuple[Path, ...]
    more_than: int
    within: timedelta
    of: ClassVar[None] = None

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from self.same

    @classmethod
    def shape(cls) -> Shape:
        """Return how it is written in a policy."""
        from engine.policy import grammar, price_rows  # noqa: PLC0415  a compiled policy needs none

        keys = {
            "same": grammar.Key(price_rows.Selectors()),
            "more_than": grammar.Key(grammar.Number(Decimal(1), Decimal(10_000), whole=True)),
            "within": grammar.Key(grammar.Duration()),
        }
        return grammar.Keys(keys, lambda values, _node, _notes: cls(**values), _check_within)


@frozen
class Falling:
    """What falls: the median of a group's ``last`` values within a length of time is less than ``below`` of the usual one.

    A group with a baseline of fewer than ``samples`` samples flags nothing. A policy calls it ``drift``.
    """

    value: Path
    group: Path
    below: Decimal
    last: int
    within: timedelta
    samples: int
    of: str = field(init=False)

    @of.default
    def _of(self) -> str:
        return f"{self.value.text} by {self.group.text}"

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from (self.value, self.group)

    @classmethod
    def shape(cls) -> Shape:
        """Return how it is written in a policy."""
        from engine.policy import grammar  # noqa: PLC0415  a compiled policy needs none

        keys = {
            "value": grammar.Key(grammar.FINDS_NUMBER),
            "group": grammar.Key(grammar.FINDS_TEXT),
            "below": grammar.Key(grammar.Number(Decimal("0.01"), Decimal("0.99"))),
            "last": grammar.Key(grammar.Number(Decimal(5), Decimal(1000), whole=True)),
            "within": grammar.Key(grammar.Duration()),
            "samples": grammar.Key(grammar.Number(*SAMPLES, whole=True)),
        }
        return grammar.Keys(keys, lambda values, _node, _notes: cls(**values), _check_within)


def _check_within(values: Mapping[str, Any], detector: Members, notes: Notes) -> None:
    within = values.get("within")
    if isinstance(within, timedelta) and within > WITHIN_MAX:
        place = (detector.get("within") or detector).place
        notes.mistake(place, f"`within` is longer than the {WITHIN_MAX.days}d of a look back")


# --- the table --------------------------------------------------------------------------------------------------------

type Detector = Outlier | Frequency | Falling
type Measuring = Outlier | Falling

DETECTORS: Mapping[str, type[Detector]] = {"outlier": Outlier, "frequency": Frequency, "drift": Falling}
"""By its key: what an anomaly may have beside, or in place of, ``match``. It has one of them."""
