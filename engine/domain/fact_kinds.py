"""The kinds of facts, one row each: what a fact is called, whose log it belongs to, and how an entry writes it down.

What a fact says and how facts of a kind join stands in ``domain.facts``. What needs a floor above stands there by ``Kind`` or
``Action``, each time as a ``match`` that the type check completes:

- what a rule has to say of it (its *terms*): ``policy.terms``;
- what such a rule contributes, and how an event is recognised that tells it again: ``rating.contributions``;
- what its log should cost, and the same in words: ``rating.cost``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from attrs import frozen

from engine.domain.entry_types import EntryType
from engine.domain.facts import Charge, Claim, Content, Facts, Grant, Refund
from engine.domain.instants import instant_text
from engine.domain.references import GRANT, JOB


class Kind(StrEnum):
    """What a fact is called."""

    CHARGE = "charge"
    REFUND = "refund"
    GRANT = "grant"
    FLAG = "flag"


class Action(StrEnum):
    """What a rule does with the events it matches. What only a person tells has no action."""

    DEBIT = "debit"
    REFUND = "refund"
    GRANT = "grant"
    FLAG = "flag"


Stored = Mapping[str, Any]
"""What an entry keeps of its facts, in plain values: ``Decimal``, texts, lists and maps. None is left out."""


@frozen(eq=False, repr=False)
class Kept:
    """A field of ``Facts``: how an entry writes it down (``write``), and how it is read back from there."""

    field: str
    write: Callable[[Any], dict[str, object]]
    read: Callable[[Stored], tuple[Any, ...]]


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
    """What a rule does that tells it; None where only a person tells it."""
    key: str
    """Where such a rule says more of it. Under it anomalies see the figures of a priced kind."""
    log: str
    """What the reference of its log begins with."""
    takes: EntryType
    """The type of an entry that takes credits from the user, when the log is to be brought to what it should be."""
    gives: EntryType
    """The type of one that gives credits."""
    kept: Kept
    weak: Kept | None = None
    """Where ``Facts`` keeps those that a row of Jobs without a time of its own has told."""
    decides: bool = True
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
        return (*told, *getattr(facts, self.weak.field)) if self.weak is not None else told


# --- how an entry writes facts down -----------------------------------------------------------------------------------


def _claims(name: str, field: str, of: Callable[[Decimal, datetime, Content, str], Claim]) -> Kept:
    """The claim that counts stands under its name, those of its instant that say something else in a list beside it."""
    twins = f"{name}Twins"

    def write(claims: tuple[Claim, ...]) -> dict[str, object]:
        if not claims:
            return {}
        others = {twins: [_claim(claim) for claim in claims[1:]]} if len(claims) > 1 else {}
        return {name: _claim(claims[0]), **others}

    def read(stored: Stored) -> tuple[Claim, ...]:
        claims = [stored[name]] if name in stored else []
        return tuple(of(*_claimed(claim)) for claim in (*claims, *stored.get(twins, ())))

    return Kept(field, write, read)


def _claim(claim: Claim) -> dict[str, object]:
    return {
        "amount": claim.amount,
        "at": instant_text(claim.at),
        "content": dict(claim.content) or None,
        "policy": claim.policy or None,
    }


def _claimed(stored: Stored) -> tuple[Decimal, datetime, Content, str]:
    return Decimal(stored["amount"]), _instant(stored["at"]), _content(stored), stored.get("policy", "")


def _refunds(name: str, field: str, first_form: str | None = None) -> Kept:
    """Refunds stand in a list. The first form of entries kept the latest refund alone, under ``first_form``."""

    def write(refunds: tuple[Refund, ...]) -> dict[str, object]:
        return {name: [_refund(refund) for refund in refunds] or None}

    def read(stored: Stored) -> tuple[Refund, ...]:
        alone = [stored[first_form]] if first_form is not None and first_form in stored else []
        return tuple(_refund_of(refund) for refund in stored.get(name, alone))

    return Kept(field, write, read)


def _refund(refund: Refund) -> dict[str, object]:
    return {
        "percent": refund.percent,
        "at": instant_text(refund.at),
        "withinSeconds": int(refund.within.total_seconds()) if refund.within is not None else None,
        "policy": refund.policy or None,
        "rule": refund.rule or None,
        "amount": refund.amount,
        "content": dict(refund.content) or None,
    }


def _refund_of(stored: Stored) -> Refund:
    seconds = stored.get("withinSeconds")
    return Refund(
        percent=None if "amount" in stored else Decimal(stored["percent"]),
        at=_instant(stored["at"]),
        within=timedelta(seconds=int(seconds)) if seconds is not None else None,
        policy=stored.get("policy", ""),
        rule=stored.get("rule", ""),
        amount=Decimal(stored["amount"]) if "amount" in stored else None,
        content=_content(stored),
    )


def _content(stored: Stored) -> Content:
    said = stored.get("content", {})
    return tuple(sorted(said.items())) if isinstance(said, dict) else ()  # the first form kept values without expressions


def _write_flags(flags: tuple[tuple[str, datetime], ...]) -> dict[str, object]:
    return {"flags": {name: instant_text(at) for name, at in flags} or None}


def _flags_of(stored: Stored) -> tuple[tuple[str, datetime], ...]:
    return tuple(sorted((name, _instant(at)) for name, at in stored.get("flags", {}).items()))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- the table --------------------------------------------------------------------------------------------------------


def _row(kind: Kind) -> FactKind:
    match kind:
        case Kind.CHARGE:
            return FactKind(
                name=kind,
                action=Action.DEBIT,
                key="charge",
                log=JOB,
                takes=EntryType.DEBIT,
                gives=EntryType.REFUND,
                kept=_claims("charge", "charges", Charge),
                weak=_claims("weakCharge", "weak_charges", Charge),
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
                kept=_refunds("refunds", "refunds", first_form="refund"),
                weak=_refunds("weakRefunds", "weak_refunds"),
            )
        case Kind.GRANT:
            return FactKind(
                name=kind,
                action=Action.GRANT,
                key="grant",
                log=GRANT,
                takes=EntryType.GRANT,  # one that was too large is corrected as a grant
                gives=EntryType.GRANT,
                kept=_claims("grant", "grants", Grant),
                counting=lambda facts: facts.grant,
                opens_its_log=True,
            )
        case Kind.FLAG:
            return FactKind(
                name=kind,
                action=Action.FLAG,
                key="reason",
                log=JOB,
                takes=EntryType.DEBIT,  # what a refusal has left due is posted with it
                gives=EntryType.REFUND,
                kept=Kept("flags", _write_flags, _flags_of),
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

KEPT: tuple[Kept, ...] = (
    *(kind.kept for kind in FACT_KINDS.values()),
    *(kind.weak for kind in FACT_KINDS.values() if kind.weak is not None),
)
"""Every field of ``Facts``, in the order in which an entry writes them."""


def written(facts: Facts) -> dict[str, object]:
    """Return facts as an entry writes them down."""
    stored: dict[str, object] = {}
    for kept in KEPT:
        stored |= kept.write(getattr(facts, kept.field))
    return stored


def read_facts(stored: Stored) -> Facts:
    """Return the facts that an entry has written down. Raises KeyError or ValueError for what is none of this system."""
    return Facts(**{kept.field: kept.read(stored) for kept in KEPT})


BY_LOG: Mapping[str, FactKind] = {kind.log: kind for kind in reversed([*FACT_KINDS.values()])}
"""By the beginning of its reference: the first kind of a log, for which it is there."""


def moving_type(reference: str, amount: Decimal) -> EntryType:
    """Return the type of an entry that moves credits, by its log and its sign. A row of Credits is corrected as a job is."""
    name, mark, _ = reference.partition("#")
    kind = BY_LOG.get(name + mark, FACT_KINDS[Kind.CHARGE])
    return kind.takes if amount < 0 else kind.gives


OPENING: tuple[FactKind, ...] = tuple(kind for kind in FACT_KINDS.values() if kind.opens_its_log)


def opens_its_log(facts: Facts) -> bool:
    """Say whether an event with these facts is most often the first of its log."""
    return any(kind.told_in(facts) for kind in OPENING)


def content_of(facts: Facts) -> Content:
    """Return what the event said whose priced fact counts; nothing where there is none."""
    return next((claim.content for kind in PRICED if (claim := kind.counting(facts)) is not None), ())
