"""What somebody does who should not: to which entries, rows and seals, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from engine.domain.instants import posting_text
from engine.ledger.dynamodb.attributes import Item
from tests.simulation.world.damage import Hands, Spot
from tests.simulation.world.strict import TABLES

type Pick = Callable[[Hands, list[Spot], Random], Any]
"""Chooses to what it is done; None where there is no such thing."""

# --- to what it is done -----------------------------------------------------------------------------------------------


def entry(*conditions: str) -> Pick:
    """Return what chooses an entry that nothing was done to, of which the ``conditions`` are true."""

    def pick(hands: Hands, spots: list[Spot], chance: Random) -> Spot | None:
        fit = [spot for spot in spots if {spot.reference, spot.user}.isdisjoint(hands.touched)]
        fit = [spot for spot in fit if all(getattr(spot, condition) for condition in conditions)]
        return chance.choice(fit) if fit else None

    return pick


def user(is_so: Callable[[Item], bool]) -> Pick:
    """Return what chooses a user's row."""

    def pick(hands: Hands, _spots: list[Spot], chance: Random) -> Item | None:
        fit = [row for row in hands.items("credits") if row["userId"]["S"] not in hands.touched and is_so(row)]
        return chance.choice(fit) if fit else None

    return pick


def job(hands: Hands, _spots: list[Spot], chance: Random) -> Item | None:
    """Choose a job's row that is marked."""
    fit = [row for row in hands.items("jobs") if row.get("reconciled") == {"BOOL": True}]
    return chance.choice(fit) if fit else None


def seal(what: str, *, last: bool | None = None) -> Pick:
    """Return what chooses a part or a header of the seals: the last header, or one before it."""

    def pick(hands: Hands, _spots: list[Spot], chance: Random) -> Item | None:
        items = hands.items("seals")
        in_use = {f"part#{each['S']}" for item in items for each in item.get("parts", {}).get("L", ())}
        fit = [item for item in items if (item["id"]["S"] in in_use if what == "part" else "parts" in item)]
        fit.sort(key=lambda item: int(item["number"]["N"]))
        if last is not None:
            fit = fit[-1:] if last else fit[:-1]
        return chance.choice(fit) if fit else None

    return pick


def has_posted(row: Item) -> bool:
    """Say whether something was posted for a user."""
    return Decimal(row.get("posted", {}).get("N", "0")) != 0


def has_a_seal(pick: Pick) -> Pick:
    """Return what chooses only where something was sealed."""
    return lambda hands, spots, chance: pick(hands, spots, chance) if seal("header")(hands, spots, chance) else None


# --- what is done -----------------------------------------------------------------------------------------------------


def n(value: Decimal | int) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": f"{Decimal(value):f}"}  # a whole number would have six places, as no table writes it


def s(text: str) -> dict[str, str]:
    """Return a text of DynamoDB."""
    return {"S": text}


def changed(**values: Any) -> Callable[[Hands, Spot], None]:
    """Return what changes attributes: a function of the spot, a value, or None for one that goes."""

    def do(hands: Hands, spot: Spot) -> None:
        hands.change(spot, **{name: value(spot) if callable(value) else value for name, value in values.items()})

    return do


def doubled(spot: Spot) -> dict[str, str]:
    """Return the amount twice."""
    return n(spot.amount * 2)


def cost_of_doubled(spot: Spot) -> dict[str, str]:
    """Return the cost that goes with it."""
    return n(Decimal(spot.item["cost"]["N"]) - spot.amount)


def another_cost(spot: Spot) -> dict[str, str]:
    """Return a cost that does not follow."""
    return n(Decimal(spot.item["cost"]["N"]) + 3)


def another_sign(spot: Spot) -> dict[str, str]:
    """Return a type whose amounts have the other sign."""
    return s("refund" if spot.amount < 0 else "debit")


def other_facts(_spot: Spot) -> dict[str, Any]:
    """Return facts that nobody told."""
    return {"M": {"charge": {"M": {"amount": n(80), "at": s("2026-01-05T05:00:00Z")}}}}


def another_user(hands: Hands, spot: Spot) -> None:
    """Give an entry to somebody who has nothing else."""
    hands.touch("u-mallory", spot.user)
    hands.change(spot, userId=s("u-mallory"))


def removed(hands: Hands, spot: Spot) -> None:
    """Remove an entry."""
    hands.remove(spot.item)


def all_removed(hands: Hands, spot: Spot) -> None:
    """Remove a whole log."""
    hands.remove(*spot.log)


def now(hands: Hands) -> dict[str, str]:
    """Return the time as entries have it."""
    return s(posting_text(hands.ledger.clock.now()))


def forged(hands: Hands, spot: Spot, amount: int, **changes: Any) -> None:
    """Put in a log of its own, made after another entry: a gift, or what moves nothing. One user has one of these at most."""
    item = {name: value for name, value in spot.item.items() if name not in {"jobId", "explanation"}}
    said = {"reference": s(f"grant#gift-{spot.user}"), "sequence": n(1), "postedAt": now(hands)}
    moves = {"amount": n(amount), "cost": n(-amount)}
    hands.put({**item, **said, **moves, "type": s("grant" if amount else "flag"), "facts": {"M": {}}, **changes})


def paid(hands: Hands, spot: Spot) -> None:
    """Forge a gift, and the balance with it."""
    forged(hands, spot, 500)
    hands.move(spot.user, posted=500, remaining=500)


def behind_the_seal(hands: Hands, spot: Spot) -> None:
    """Forge a gift that is dated back."""
    forged(hands, spot, 500, reference=s("grant#old-gift"), postedAt=spot.item["postedAt"])


def appended(hands: Hands, spot: Spot) -> None:
    """Forge one more entry of a log, which moves nothing and knows something else."""
    item = {name: value for name, value in spot.item.items() if name != "explanation"}
    said = {"sequence": n(len(spot.log) + 1), "amount": n(0), "type": s("void"), "postedAt": now(hands)}
    hands.put({**item, **said, "facts": other_facts(spot)})


def called_corrected(hands: Hands, spot: Spot) -> None:
    """Double a sealed debit, move the balance with it, and forge the correction that says so."""
    hands.change(spot, amount=doubled(spot))
    hands.move(spot.user, posted=spot.amount, remaining=spot.amount)
    digest = next(entry.digest for entry in hands.ledger.audits().log(spot.reference, hands.ledger.clock.deadline(60))
                  if entry.line.sequence == spot.key[1])  # fmt: skip
    figures = {"M": {"entry": s(str(spot.key[1])), "found": s(digest), "damage": s("changed")}}
    corrected = {"M": {"name": s("corrected"), "reason": s("as agreed"), "figures": figures}}
    said = {"sequence": n(len(spot.log) + 1), "amount": n(0), "type": s("flag"), "source": s("repair"), "postedAt": now(hands)}
    hands.put({**spot.log[-1], **said, "cost": n(-spot.net - spot.amount), "anomalies": {"L": [corrected]}})


def row_without(*names: str) -> Callable[[Hands, Item], None]:
    """Return what writes a user's row whole, without some of its attributes."""
    return lambda hands, row: hands.put_row({name: value for name, value in row.items() if name not in names})


def row_with(**changes: Any) -> Callable[[Hands, Item], None]:
    """Return what changes attributes of a user's row."""
    return lambda hands, row: hands.put_row({**row, **{name: change(row) for name, change in changes.items()}})


def moved(**by: Decimal | int) -> Callable[[Hands, Item], None]:
    """Return what moves a user's numbers."""
    return lambda hands, row: hands.move(row["userId"]["S"], **by)


def no_row(hands: Hands, row: Item) -> None:
    """Remove a user's row."""
    hands.touch(row["userId"]["S"])
    hands.client.delete_item(TableName=TABLES.credits, Key={"userId": row["userId"]})


def in_jobs(**changes: Any) -> Callable[[Hands, Item], None]:
    """Return what changes attributes of a job's row, None for one that goes."""

    def do(hands: Hands, row: Item) -> None:
        item = {name: value for name, value in {**row, **changes}.items() if value is not None}
        hands.client.put_item(TableName=TABLES.jobs, Item=item)

    return do


def in_seals(**changes: Any) -> Callable[[Hands, Item], None]:
    """Return what changes an item of the seals."""
    return lambda hands, item: hands.client.put_item(TableName=TABLES.seals, Item={**item, **changes})


def no_seal(hands: Hands, item: Item) -> None:
    """Remove an item of the seals."""
    hands.client.delete_item(TableName=TABLES.seals, Key={name: item[name] for name in ("id", "number")})
