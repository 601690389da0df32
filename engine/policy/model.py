"""A policy, checked and compiled: what the rest of the house works with. Only the loader makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from engine.domain.errors import Mistake
from engine.domain.money import Money
from engine.policy.expressions.paths import Path
from engine.policy.patterns.index import PatternIndex
from engine.policy.price_books import ChargeTerms, PriceBook

Predicate = Callable[[Mapping[str, Any]], bool]


def every_event(_event: Mapping[str, Any]) -> bool:
    """Match whatever there is."""
    return True


class Action(StrEnum):
    """What a rule does with the events it matches."""

    DEBIT = "debit"
    REFUND = "refund"
    GRANT = "grant"
    FLAG = "flag"


class Overdraft(StrEnum):
    """What happens to a debit that the balance does not cover."""

    ALLOW = "allow"
    FLAG = "flag"
    REFUSE = "refuse"


class UnknownUser(StrEnum):
    """What happens to a posting for a user who has no row in Credits."""

    REFUSE = "refuse"
    FLAG = "flag"


class UnknownJob(StrEnum):
    """What happens to a posting for a job that has no row in Jobs."""

    ALLOW = "allow"
    FLAG = "flag"
    REFUSE = "refuse"


@frozen
class Clocks:
    """How far the clocks of those who tell events may be off: between two of them, and ahead of the engine's own."""

    skew: timedelta = timedelta(seconds=5)
    """Times of a charge and a refund that differ by no more are a close call."""
    ahead: timedelta = timedelta(hours=1)
    """An event of a time that lies further in the future makes no sense."""


@frozen
class Fields:
    """Where an envelope keeps what the engine must know."""

    job: Path
    user: Path
    time: Path
    reference: Path | None = None
    """The id of a purchase or another grant."""


@frozen
class RefundTerms:
    """How many percent of a charge go back, and how old the charge may be (None: as old as it likes)."""

    percent: Decimal
    within: timedelta | None = None


@frozen
class Rule:
    """One line of the policy: events that match ``pattern``, and what they mean. It stands at ``line`` and ``column``."""

    name: str
    action: Action
    matches: Predicate
    pattern: Mapping[str, Any]
    line: int
    column: int
    terms: ChargeTerms | None = None
    """What a debit costs, or a grant is worth."""
    refund: RefundTerms | None = None
    reason: str | None = None


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

    @of.default
    def _of(self) -> str:
        return f"{self.value.text} by {self.group.text}"


@frozen
class Frequency:
    """What comes too often: more than ``more_than`` jobs with the same values at ``same`` within a length of time."""

    same: tuple[Path, ...]
    more_than: int
    within: timedelta


@frozen
class Drift:
    """What falls: the median of a group's ``last`` values within a length of time is less than ``below`` of the usual one.

    A group with a baseline of fewer than ``samples`` samples flags nothing.
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


@frozen
class AnomalyRule:
    """An anomaly found by a pattern over the envelope plus ``charge`` (amount, quantity, rate, unit, price).

    With ``outlier`` it looks only at what the pattern matches (an empty one: at every event), and flags what is unusual. With
    ``frequency`` or ``drift`` the scheduled run flags what only many of these events show.
    """

    name: str
    matches: Predicate
    pattern: Mapping[str, Any]
    line: int
    reason: str | None = None
    outlier: Outlier | None = None
    frequency: Frequency | None = None
    drift: Drift | None = None


@frozen
class CatchUp:
    """How a row of Jobs becomes an event.

    ``statuses`` are the exact values of ``status`` that ``when`` can match, or None where it does not say them. ``source`` and
    ``detail_type`` become the event's; ``time`` finds the event's time in the row.
    """

    matches: Predicate
    pattern: Mapping[str, Any]
    statuses: tuple[str, ...] | None
    source: str
    detail_type: str
    time: Path
    line: int


@frozen
class Explain:
    """Which language model explains anomalies, and how often it may be asked."""

    model: str = "gpt-4.1"
    max_per_hour: int = 60
    pseudonyms: bool = True
    """Whether users, jobs and events go to the model under other names."""


PREPARED_MAX = 50
"""How many patterns are compiled beforehand, at a tenth of a millisecond each."""


@frozen
class Policy:
    """One policy file.

    ``digest`` is the SHA-256 of the file's bytes, in hex; ``identity`` (name and the first 12 digits of it) is what entries
    carry. ``row_attributes`` are the attributes of a row of Jobs that the policy can look at, or None for all of them.
    """

    name: str
    digest: str
    fields: Fields
    money: Money
    rules: tuple[Rule, ...]
    overdraft: Overdraft
    unknown_user: UnknownUser
    unknown_job: UnknownJob = UnknownJob.ALLOW
    clock: Clocks = Clocks()
    anomalies: tuple[AnomalyRule, ...] = ()
    catch_up: tuple[CatchUp, ...] = ()
    catch_up_ignore: tuple[str, ...] = ()
    """Statuses of rows that need no event. One that stands neither here nor in ``catch_up`` is told by each scan."""
    explain: Explain = Explain()
    index: PatternIndex = field(default=PatternIndex.of(()), repr=False, eq=False)
    """The rules' patterns, so that an event costs the same under a thousand rules."""
    prices: Mapping[str, PriceBook] = {}
    row_attributes: frozenset[str] | None = None
    warnings: tuple[Mistake, ...] = ()
    """What is allowed but most likely not meant."""

    @property
    def identity(self) -> str:
        return f"{self.name}@{self.digest[:12]}"

    def matching(self, event: Mapping[str, Any]) -> list[Rule]:
        """Return the rules that match an event, in their order."""
        return [self.rules[number] for number in self.index.matching(event)]

    def prepare(self) -> None:
        """Compile what the first event would wait for; of very many rules the first, the rest waits for its own event."""
        predicates = (*self.index.predicates, *(anomaly.matches for anomaly in self.anomalies))
        for predicate in predicates[:PREPARED_MAX]:
            predicate({})

    @property
    def outliers(self) -> tuple[Outlier, ...]:
        """What an event needs a baseline for."""
        return tuple(anomaly.outlier for anomaly in self.anomalies if anomaly.outlier)

    @property
    def frequencies(self) -> Mapping[str, Frequency]:
        """What is counted, by the anomaly's name."""
        return {anomaly.name: anomaly.frequency for anomaly in self.anomalies if anomaly.frequency}

    @property
    def drifts(self) -> Mapping[str, Drift]:
        """What may fall, by the anomaly's name."""
        return {anomaly.name: anomaly.drift for anomaly in self.anomalies if anomaly.drift}

    @property
    def measured(self) -> tuple[Outlier | Drift, ...]:
        """What baselines are worked out for."""
        return (*self.outliers, *self.drifts.values())
