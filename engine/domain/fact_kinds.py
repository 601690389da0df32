"""The kinds of facts, one row each: what a fact is called, whose log it belongs to, and how an entry writes it down.

What a fact says and how facts of a kind join stands in ``domain.facts``; the form in which an entry keeps it in
``domain.fact_forms``. What needs a floor above stands there by ``Kind`` or ``Action``, each time as a ``match`` that the type
check completes:

- what a rule has to say of it (its *terms*): ``policy.terms``;
- what such a rule contributes, and how an event is recognised that tells it again: ``rating.contributions``;
- what its log should cost, and the same in words: ``rating.cost``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from attrs import frozen

from engine.domain.entry_types import EntryType
from engine.domain.fact import TOLD_BY, Claim, Content
from engine.domain.fact_forms import (
    ADJUSTMENTS,
    CHARGES,
    CONCESSIONS,
    EXPIRIES,
    FLAGS,
    GRANTS,
    HOLDS,
    REFUNDS,
    REFUSED,
    REVOKES,
    WEAK_CHARGES,
    WEAK_REFUNDS,
    Kept,
    Stored,
)
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.references import ADJUST, GRANT, JOB


class Kind(StrEnum):
    """What a fact is called."""

    CHARGE = "charge"
    REFUND = "refund"
    GRANT = "grant"
    REVOKE = "revoke"
    HOLD = "hold"
    EXPIRY = "expiry"
    REVISION = "revision"
    CONCESSION = "concession"
    ADJUSTMENT = "adjustment"
    FLAG = "flag"


class Action(StrEnum):
    """What a rule does with the events it matches. What only a person or the scheduled run tells has no action."""

    DEBIT = "debit"
    REFUND = "refund"
    GRANT = "grant"
    REVOKE = "revoke"
    HOLD = "hold"
    FLAG = "flag"


def _nothing(_facts: Facts) -> None:
    """What is not priced has no fact that counts by its price."""


@frozen(eq=False, repr=False)
class FactKind:
    """One kind of fact.

    Of the rules that *decide* the first that matches an event counts; all others flag the event beside it. What is *priced*
    has an amount that follows from a price and a quantity.
    """

    name: Kind
    action: Action | None
    """What a rule does that tells it; None where only a person or the scheduled run tells it."""
    log: str
    """What the reference of its log begins with."""
    takes: EntryType
    """The type of an entry that takes credits from the user, when the log is to be brought to what it should be."""
    gives: EntryType
    """The type of one that gives credits."""
    kept: Kept
    """Where ``Facts`` keeps them, and how an entry writes them down. Revisions stand among the charges."""
    key: str = ""
    """Where such a rule says more of it. Under it anomalies see the figures of a priced kind."""
    weak: Kept | None = None
    """Where ``Facts`` keeps those that a row of Jobs without a time of its own has told."""
    decides: bool = True
    is_of_an_attempt: bool = False
    """Whether it belongs to one try of its job, where the policy numbers them."""
    counting: Callable[[Facts], Claim | None] = _nothing
    """Of a priced kind: the fact that counts."""
    opens_its_log: bool = False
    """Whether it is most often the first fact of its log, so that it is posted without a look."""

    @property
    def is_priced(self) -> bool:
        """Whether anomalies see its figures, and a recount compares its amount with its price."""
        return self.counting is not _nothing

    def told_in(self, facts: Facts) -> tuple[Any, ...]:
        """Return all facts of this kind, weak ones too."""
        told: tuple[Any, ...] = getattr(facts, self.kept.field)
        told = (*told, *getattr(facts, self.weak.field)) if self.weak is not None else told
        return tuple(charge for charge in told if charge.revision) if self.name is Kind.REVISION else told


# --- the table --------------------------------------------------------------------------------------------------------


def _row(kind: Kind) -> FactKind:  # noqa: C901, PLR0911  a table, in the form that the type check completes
    match kind:
        case Kind.CHARGE:
            return FactKind(
                name=kind,
                action=Action.DEBIT,
                key="charge",
                log=JOB,
                takes=EntryType.DEBIT,
                gives=EntryType.REFUND,
                kept=CHARGES,
                weak=WEAK_CHARGES,
                is_of_an_attempt=True,
                counting=lambda facts: facts.charge,
                opens_its_log=True,
            )
        case Kind.REFUND:
            return FactKind(
                name=kind,
                action=Action.REFUND,
                key="refund",
                log=JOB,
                takes=EntryType.DEBIT,
                gives=EntryType.REFUND,
                kept=REFUNDS,
                weak=WEAK_REFUNDS,
                is_of_an_attempt=True,
            )
        case Kind.GRANT:
            return FactKind(
                name=kind,
                action=Action.GRANT,
                key="grant",
                log=GRANT,
                takes=EntryType.GRANT,  # one that was too large is corrected as a grant
                gives=EntryType.GRANT,
                kept=GRANTS,
                counting=lambda facts: facts.grant,
                opens_its_log=True,
            )
        case Kind.REVOKE:
            return FactKind(
                name=kind,
                action=Action.REVOKE,
                key="revoke",
                log=GRANT,
                takes=EntryType.REVOKE,
                gives=EntryType.REVOKE,  # what a series takes back may become less
                kept=REVOKES,
            )
        case Kind.HOLD:
            return FactKind(
                name=kind,
                action=Action.HOLD,
                key="hold",
                log=JOB,
                takes=EntryType.HOLD,
                gives=EntryType.RELEASE,
                kept=HOLDS,
                is_of_an_attempt=True,
                counting=lambda facts: facts.holds[0] if facts.holds else None,
                opens_its_log=True,
            )
        case Kind.EXPIRY:
            return FactKind(
                name=kind,
                action=None,
                log=JOB,
                takes=EntryType.RELEASE,
                gives=EntryType.RELEASE,
                kept=EXPIRIES,
                is_of_an_attempt=True,
            )
        case Kind.REVISION:
            return FactKind(
                name=kind,
                action=None,
                log=JOB,
                takes=EntryType.REPRICE,
                gives=EntryType.REPRICE,
                kept=CHARGES,
                weak=WEAK_CHARGES,
            )
        case Kind.CONCESSION:
            return FactKind(
                name=kind,
                action=None,
                log=JOB,
                takes=EntryType.ADJUST,  # one that was taken back
                gives=EntryType.ADJUST,
                kept=CONCESSIONS,
            )
        case Kind.ADJUSTMENT:
            return FactKind(
                name=kind,
                action=None,
                log=ADJUST,
                takes=EntryType.ADJUST,
                gives=EntryType.ADJUST,
                kept=ADJUSTMENTS,
            )
        case Kind.FLAG:
            return FactKind(
                name=kind,
                action=Action.FLAG,
                key="reason",
                log=JOB,
                takes=EntryType.DEBIT,  # what a refusal has left due is posted with it
                gives=EntryType.REFUND,
                kept=FLAGS,
                decides=False,
            )
        case _:
            assert_never(kind)


FACT_KINDS: Mapping[Kind, FactKind] = {kind: _row(kind) for kind in Kind}


def _kind_of(action: Action) -> FactKind:
    """Return the kind that an action tells: each action has just one."""
    (kind,) = (kind for kind in FACT_KINDS.values() if kind.action is action)
    return kind


BY_ACTION: Mapping[Action, FactKind] = {action: _kind_of(action) for action in Action}

PRICED: tuple[FactKind, ...] = tuple(kind for kind in FACT_KINDS.values() if kind.is_priced)

KEPT: tuple[Kept, ...] = tuple(
    dict.fromkeys(
        (
            *(kind.kept for kind in FACT_KINDS.values()),
            *(kind.weak for kind in FACT_KINDS.values() if kind.weak is not None),
            REFUSED,
        )
    )
)
"""Every field of ``Facts``, in the order in which an entry writes them."""


def written(facts: Facts) -> dict[str, object]:
    """Return facts as an entry writes them down."""
    stored: dict[str, object] = {}
    for kept in KEPT:
        if told := getattr(facts, kept.field):  # most kinds have told nothing
            stored |= kept.write(told)
    return stored


def read_facts(stored: Stored) -> Facts:
    """Return the facts that an entry has written down. Raises KeyError or ValueError for what is none of this system."""
    return Facts(**{kept.field: kept.read(stored) for kept in KEPT})


def _movers(log: str) -> tuple[FactKind, ...]:
    """Return the kinds of a log whose entries differ in their types, the kind for which the log is there first."""
    kinds: dict[tuple[EntryType, EntryType], FactKind] = {}
    for kind in FACT_KINDS.values():
        if kind.log == log:
            kinds.setdefault((kind.takes, kind.gives), kind)
    return tuple(kinds.values())


BY_LOG: Mapping[str, tuple[FactKind, ...]] = {kind.log: _movers(kind.log) for kind in FACT_KINDS.values()}
"""By the beginning of its reference: the kinds that decide what type an entry of a log is."""


def moving_type(
    reference: str, amount: Decimal, facts: Facts = NOTHING_KNOWN, known: Facts = NOTHING_KNOWN, *, is_word: bool = False
) -> EntryType:
    """Return the type of an entry that moves credits: by its log, its sign, and what is new in ``facts`` beside ``known``.

    Where it is a person's word, what the person has told comes first: a charge that is priced anew is a new charge too. An
    event is none, though a charge that it tells again may take over the price that a person has told. What moves with nothing
    new, as a repair does, is of the kind for which the log is there. A row of Credits is repaired as a job is.
    """
    name, mark, _ = reference.partition("#")
    kinds = BY_LOG.get(name + mark, BY_LOG[JOB])
    told = (kind for kind in kinds if is_word or kind.action is not None)
    news = (kind for kind in told if _is_new(kind.told_in(facts), kind.told_in(known)))
    kind = min(news, key=lambda kind: kind.action is not None, default=kinds[0])
    return kind.takes if amount < 0 else kind.gives


def type_of_hold(known: Facts, facts: Facts) -> EntryType | None:
    """Return the type of an entry by which a hold is made or ends, if it is one: ``facts`` are known after it."""
    if not facts.holds:
        return None
    before, now = known.hold, facts.hold
    if now is not None and now != before:
        return EntryType.HOLD
    if before is None or now is not None:
        return None
    charges = (*facts.charges, *facts.weak_charges)
    return EntryType.SETTLE if any(charge.attempt >= before.attempt for charge in charges) else EntryType.RELEASE


def _is_new(told: tuple[Any, ...], known: tuple[Any, ...]) -> bool:
    return told != known and any(fact not in known for fact in told)


OPENING: tuple[FactKind, ...] = tuple(kind for kind in FACT_KINDS.values() if kind.opens_its_log)


def opens_its_log(facts: Facts) -> bool:
    """Say whether an event with these facts is most often the first of its log."""
    return any(kind.told_in(facts) for kind in OPENING)


def content_of(facts: Facts) -> Content:
    """Return what the event said whose priced fact counts; nothing where there is none."""
    content: Content = next((claim.content for kind in PRICED if (claim := kind.counting(facts)) is not None), ())
    return tuple(said for said in content if said[0] != TOLD_BY)
