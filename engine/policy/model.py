"""A policy, checked and compiled: what the rest of the house works with. Only the loader makes one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from engine.domain.errors import Mistake
from engine.domain.fact_kinds import BY_ACTION, Action, FactKind
from engine.domain.money import Money
from engine.policy.detectors import Detector
from engine.policy.expressions.paths import Path
from engine.policy.patterns.compile import LazyPredicate, Predicate
from engine.policy.patterns.index import PatternIndex
from engine.policy.price_books import PriceBook
from engine.policy.terms import FlagTerms, Terms


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


class Grants(StrEnum):
    """Who gives credits to a user."""

    APPLICATION = "application"
    """The application moves the balance beside the postings, so that nobody can say what it should be."""
    EVENTS = "events"
    """Nobody but events and people who adjust: each balance follows from the ledger, and audits hold it to that."""


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
    attempt: Path | None = None
    """Which try of its job an event is about: a whole number >= 0. None: a job has one."""


@frozen
class Rule:
    """One line of the policy: events that match ``pattern``, and what they mean. It stands at ``line`` and ``column``."""

    name: str
    action: Action
    matches: LazyPredicate
    pattern: Mapping[str, Any]
    line: int
    column: int
    terms: Terms
    ignores_repeats: bool = False
    """Whether of its charges that say the same the earliest counts."""

    @property
    def kind(self) -> FactKind:
        """The kind of fact that it contributes."""
        return BY_ACTION[self.action]

    @property
    def decides(self) -> bool:
        """Whether it decides over the events that it takes first; others flag them beside."""
        return BY_ACTION[self.action].decides

    @property
    def reason(self) -> str | None:
        """Why what it flags should be looked at."""
        return self.terms.reason if isinstance(self.terms, FlagTerms) else None


@frozen
class AnomalyRule:
    """An anomaly found by a pattern over the envelope plus ``charge`` (amount, quantity, rate, unit, price).

    With a detector it looks only at what the pattern matches (an empty one: at every event), and flags what that finds.
    """

    name: str
    matches: LazyPredicate
    pattern: Mapping[str, Any]
    line: int
    reason: str | None = None
    detector: Detector | None = None


@frozen
class CatchUp:
    """How a row of Jobs becomes an event.

    ``statuses`` are the exact values of ``status`` that ``when`` can match, or None where it does not say them. ``source`` and
    ``detail_type`` become the event's; ``time`` finds the event's time in the row.
    """

    matches: LazyPredicate
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


@frozen
class AdjustmentBounds:
    """How many credits one adjustment may move (None: without a bound), and above how many a second person approves it."""

    maximum: Decimal | None = None
    second_person_above: Decimal | None = None


@frozen
class LowBalanceBounds:
    """Below how many credits a balance is low, and from how many on it has recovered."""

    below: Decimal
    recovered: Decimal

    def is_low(self, remaining: Decimal, *, was_low: bool) -> bool:
        """Say whether a balance is low. Between the bounds it stays what it was."""
        return remaining < self.below or (was_low and remaining < self.recovered)


PREPARED_MAX = 50
"""How many patterns are compiled beforehand, at a tenth of a millisecond each."""


NOTHING_READ: frozenset[str] = frozenset()
"""What a policy reads of a job's own row that does not use ``row``."""


@frozen
class Policy:
    """One policy file.

    ``digest`` is the SHA-256 of the file's bytes, in hex; ``identity`` (name and the first 12 digits of it) is what entries
    carry. ``row_attributes`` are the attributes of a row of Jobs that the policy can look at, or None for all of them;
    ``own_row`` those that its expressions read of the job's own row, by ``row``, whatever door an event came in by.
    """

    name: str
    digest: str
    fields: Fields
    money: Money
    rules: tuple[Rule, ...]
    overdraft: Overdraft
    unknown_user: UnknownUser
    unknown_job: UnknownJob = UnknownJob.ALLOW
    grants: Grants = Grants.APPLICATION
    clock: Clocks = Clocks()
    anomalies: tuple[AnomalyRule, ...] = ()
    catch_up: tuple[CatchUp, ...] = ()
    catch_up_ignore: tuple[str, ...] = ()
    """Statuses of rows that need no event. One that stands neither here nor in ``catch_up`` is told by each scan."""
    explain: Explain = Explain()
    adjustments: AdjustmentBounds = AdjustmentBounds()
    low_balance: LowBalanceBounds | None = None
    """When the event bus is told that a balance is low; None: never."""
    index: PatternIndex = field(default=PatternIndex.of(()), repr=False, eq=False)
    """The rules' patterns, so that an event costs the same under a thousand rules."""
    prices: Mapping[str, PriceBook] = {}
    row_attributes: frozenset[str] | None = None
    own_row: frozenset[str] | None = NOTHING_READ
    holds: bool = False
    """Whether a rule reserves credits: then what is charged mostly has a hold in its log."""
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
        predicates: tuple[Predicate, ...] = (*self.index.predicates, *(anomaly.matches for anomaly in self.anomalies))
        for predicate in predicates[:PREPARED_MAX]:
            predicate({})

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """What anomalies look for beside patterns."""
        return tuple(anomaly.detector for anomaly in self.anomalies if anomaly.detector is not None)

    @property
    def needs_baselines(self) -> bool:
        """Whether an event is measured by what is usual before it is posted."""
        return any(detector.of is not None and detector.within is None for detector in self.detectors)

    @property
    def measured(self) -> tuple[str, ...]:
        """What baselines are worked out for."""
        return tuple(detector.of for detector in self.detectors if detector.of is not None)

    @property
    def looking_back(self) -> tuple[Detector, ...]:
        """What the scheduled run looks back for."""
        return tuple(detector for detector in self.detectors if detector.within is not None)
