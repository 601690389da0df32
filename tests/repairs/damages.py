"""What somebody does to a ledger who should not: chosen by chance, each kind with its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from random import Random

from attrs import evolve

from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import NOTHING_KNOWN, Facts
from tests.repairs.twins import Ledger

type Damage = Callable[[Random, Ledger, Entry], None]
"""Does something to, or beside, an entry that stands in a ledger."""


def _changed(**changes: Callable[[Random, Entry], object]) -> Damage:
    def do(rng: Random, ledger: Ledger, entry: Entry) -> None:
        ledger.change(entry.reference, entry.sequence, **{name: new(rng, entry) for name, new in changes.items()})

    return do


def _removed(which: str) -> Damage:
    def do(_rng: Random, ledger: Ledger, entry: Entry) -> None:
        places = [each.sequence for each in ledger.books.entries[entry.reference]]
        chosen = {"first": places[:1], "last": places[-1:], "all": places, "this": [entry.sequence]}[which]
        ledger.remove(entry.reference, *chosen)

    return do


def _dearer(_rng: Random, entry: Entry) -> Facts:
    charges = tuple(evolve(charge, amount=charge.amount * 100) for charge in entry.facts.charges)
    return evolve(entry.facts, charges=charges)


def _dearer_hold(_rng: Random, entry: Entry) -> Facts:
    return evolve(entry.facts, holds=tuple(evolve(hold, amount=hold.amount * 100) for hold in entry.facts.holds))


def _shifted(_rng: Random, entry: Entry) -> Facts:
    charges = tuple(evolve(charge, at=charge.at + timedelta(minutes=7)) for charge in entry.facts.charges)
    return evolve(entry.facts, charges=charges)


def _end(ledger: Ledger, like: Entry) -> Entry:
    """Return the last entry of a log, which a forger begins with."""
    return ledger.books.entries[like.reference][-1]


def _gift(rng: Random, ledger: Ledger, entry: Entry) -> None:
    """A refund that no event told, behind the last entry."""
    last = _end(ledger, entry)
    amount = Decimal(rng.choice(("500", "0.8")))
    changes = {"sequence": last.sequence + 1, "amount": amount, "type": EntryType.REFUND, "cost": last.cost - amount}
    ledger.insert(evolve(last, event_id=f"forged-{last.sequence}", **changes))


def _correction(rng: Random, ledger: Ledger, entry: Entry) -> None:
    """An entry that calls itself a correction, for the log's user or for another, with whatever it knows."""
    last = _end(ledger, entry)
    amount = Decimal(rng.choice(("0", "500", "-0.1")))
    user = rng.choice((last.user, "u-3"))
    facts = rng.choice((last.facts, NOTHING_KNOWN))
    kind = EntryType.FLAG if not amount else EntryType.REFUND if amount > 0 else EntryType.DEBIT
    changes = {"sequence": last.sequence + 1, "user": user, "amount": amount, "type": kind, "facts": facts}
    cost = -sum((each.amount for each in ledger.books.entries[entry.reference]), start=amount)
    ledger.insert(evolve(last, source=Source.REPAIR, cost=cost, **changes))


def _paid(_rng: Random, ledger: Ledger, entry: Entry) -> None:
    """A refund that no event told, with its balance."""
    last = _end(ledger, entry)
    changes = {"sequence": last.sequence + 1, "amount": Decimal(77), "type": EntryType.REFUND, "cost": last.cost - 77}
    ledger.insert(evolve(last, **changes), moves=True)


def _refilled(rng: Random, ledger: Ledger, entry: Entry) -> None:
    """The last entry is taken out, and another is put into its place."""
    last = _end(ledger, entry)
    ledger.remove(last.reference, last.sequence)
    ledger.insert(evolve(last, amount=Decimal(rng.choice(("-9", "9"))), cost=Decimal(9), rule="forged"))


def _elsewhere(_rng: Random, ledger: Ledger, entry: Entry) -> None:
    """A new log with a gift."""
    reference = f"grant#gift-{ledger.ticks}"
    gift = {"reference": reference, "job": None, "sequence": 1, "amount": Decimal(500), "cost": Decimal(-500)}
    ledger.insert(evolve(entry, type=EntryType.GRANT, facts=NOTHING_KNOWN, **gift))


DAMAGES: Mapping[str, Damage] = {
    "an amount": _changed(amount=lambda _, entry: entry.amount + Decimal("0.3")),
    "an amount and its cost": _changed(
        amount=lambda _, entry: entry.amount + Decimal("0.3"), cost=lambda _, entry: entry.cost - Decimal("0.3")
    ),
    "a cost": _changed(cost=lambda _, entry: entry.cost + 9),
    "a cost made nothing": _changed(cost=lambda *_: Decimal(0)),
    "facts forgotten": _changed(facts=lambda *_: NOTHING_KNOWN),
    "a dearer charge": _changed(facts=_dearer),
    "another instant": _changed(facts=_shifted),
    "a refund forgotten": _changed(facts=lambda _, entry: evolve(entry.facts, refunds=())),
    "facts and cost and amount": _changed(
        facts=_dearer, cost=lambda _, entry: entry.cost * 100, amount=lambda _, entry: entry.amount * 100
    ),
    "a user": _changed(user=lambda rng, _: rng.choice(("u-1", "u-2", "u-3"))),
    "a price": _changed(price=lambda *_: None),
    "a rule": _changed(rule=lambda *_: "another"),
    "a type": _changed(type=lambda *_: EntryType.ADJUST),
    "a source": _changed(source=lambda *_: Source.REPAIR),
    "the first gone": _removed("first"),
    "the last gone": _removed("last"),
    "all gone": _removed("all"),
    "one gone": _removed("this"),
    "a gift": _gift,
    "a gift that moved": _paid,
    "a correction": _correction,
    "a place refilled": _refilled,
    "a log of its own": _elsewhere,
}

OF_HOLDS: Mapping[str, Damage] = {
    "what it holds": _changed(held=lambda _, entry: entry.held + Decimal("0.3")),
    "what it holds made nothing": _changed(held=lambda *_: Decimal(0)),
    "a hold forgotten": _changed(facts=lambda _, entry: evolve(entry.facts, holds=())),
    "a dearer hold": _changed(facts=_dearer_hold),
    "an amount and what it holds": _changed(
        amount=lambda _, entry: entry.amount - Decimal("0.3"), held=lambda _, entry: entry.held + Decimal("0.3")
    ),
}
"""What is done where credits are held."""
