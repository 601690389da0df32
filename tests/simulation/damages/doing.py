"""What somebody does who should not, beside what ``world/damage_done.py`` has: odd shapes, other places, others' words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from engine.domain.instants import posting_text
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.seals import digest_of
from tests.simulation.damages.targets import StageHands, Target
from tests.simulation.world.damage import key_of
from tests.simulation.world.damage_done import n, other_facts, s
from tests.simulation.world.strict import TABLES

type Act = Callable[[StageHands, Target], object]

FORGER = "u-mallory"
GIFT = Decimal(500)
AHEAD, BACK = "2031-01-05T12:00:00.000000Z", "2026-01-05T05:00:00.000000Z"

# --- entries that are changed -----------------------------------------------------------------------------------------


def nested(hands: StageHands, spot: Target, **values: Any) -> None:
    """Change attributes of an entry's price."""
    price = spot.item["price"]["M"]
    hands.change(spot, price={"M": {**price, **values}})


def deep(levels: int) -> dict[str, Any]:
    """Return a value that is nested so often."""
    value: dict[str, Any] = s("end")
    for _ in range(levels):
        value = {"M": {"in": value}}
    return value


def exchanged(hands: StageHands, spot: Target) -> None:
    """Exchange the amounts of two entries of one user."""
    other = spot.another()
    hands.change(spot, amount=other["amount"])
    hands.put({**other, "amount": spot.item["amount"]})


def shifted(hands: StageHands, spot: Target) -> None:
    """Take three from an entry and give them to another of the same user, in the costs as well."""
    other = spot.another()
    hands.change(spot, amount=n(spot.amount - 3), cost=n(Decimal(spot.item["cost"]["N"]) + 3))
    amount, cost = Decimal(other["amount"]["N"]) + 3, Decimal(other["cost"]["N"]) - 3
    hands.put({**other, "amount": n(amount), "cost": n(cost)})


def given_away(hands: StageHands, spot: Target) -> None:
    """Give all entries of a log to the forger, who has nothing else."""
    hands.touch(FORGER, spot.user)
    for item in spot.log:
        hands.put({**item, "userId": s(FORGER)})


def given_away_with_balances(hands: StageHands, spot: Target) -> None:
    """Give a log to the forger, and what it has moved as well."""
    given_away(hands, spot)
    hands.move(spot.user, posted=-spot.net, remaining=-spot.net)
    hands.move(FORGER, posted=spot.net, remaining=spot.net)


def words_of(text: str) -> dict[str, Any]:
    """Return an explanation that nobody has given."""
    return {"M": {name: s(text) for name in ("summary", "likely_cause", "severity", "suggested_check", "by", "at")}}


def spoken_by_another(hands: StageHands, spot: Target) -> None:
    """Let a word be somebody else's."""
    hands.change(spot, correction={"M": {**spot.item["correction"]["M"], "by": s("arn:mallory")}})


# --- entries that are gone --------------------------------------------------------------------------------------------


def all_of_user(hands: StageHands, spot: Target) -> None:
    """Remove whatever a user has."""
    hands.remove(spot.item, *(item for item in spot.others if key_of(item) != spot.key))


def gone_with_its_balance(hands: StageHands, spot: Target) -> None:
    """Remove an entry, and take back what it has moved."""
    hands.remove(spot.item)
    hands.move(spot.user, posted=-spot.amount, remaining=-spot.amount)


def replaced(**changes: Any) -> Act:
    """Return what removes an entry and puts another into its place: the same, but for some attributes."""

    def do(hands: StageHands, spot: Target) -> None:
        hands.remove(spot.item)
        plain = {name: value for name, value in spot.item.items() if name != "explanation"}
        values = {name: value(spot) if callable(value) else value for name, value in changes.items()}
        if values.get("userId"):
            hands.touch(FORGER)
        hands.put({**plain, **values})

    return do


def half(spot: Target) -> dict[str, str]:
    """Return half of the amount."""
    return n(spot.amount / 2)


def cost_of_half(spot: Target) -> dict[str, str]:
    """Return the cost that goes with it."""
    return n(Decimal(spot.item["cost"]["N"]) + spot.amount / 2)


# --- entries that are put in ------------------------------------------------------------------------------------------


def now(hands: StageHands) -> dict[str, str]:
    """Return the time as entries have it."""
    return s(posting_text(hands.stage.timeline.now()))


def made(hands: StageHands, spot: Target, gives: Decimal, **changes: Any) -> Item:
    """Return an entry of its own log, made after another; a change of None leaves an attribute out."""
    item = {name: value for name, value in spot.item.items() if name not in {"jobId", "explanation", "correction"}}
    said: dict[str, Any] = {"reference": s(f"grant#gift-{spot.user}"), "sequence": n(1), "postedAt": now(hands)}
    said |= {"amount": n(gives), "cost": n(-gives), "type": s("grant" if gives else "flag"), "facts": {"M": {}}}
    return {name: value for name, value in {**item, **said, **changes}.items() if value is not None}


def put_in(gives: Decimal = GIFT, *, paid: bool = False, **changes: Any) -> Act:
    """Return what puts an entry into a log of its own, ``paid`` with the balance."""

    def do(hands: StageHands, spot: Target) -> None:
        hands.touch(spot.user)
        hands.put(made(hands, spot, gives, **changes))
        if paid:
            hands.move(spot.user, posted=gives, remaining=gives)

    return do


def taken_from(hands: StageHands, spot: Target) -> None:
    """Forge a debit of somebody, and the balance with it."""
    hands.put(made(hands, spot, -GIFT, reference=s(f"job#fine-{spot.user}"), type=s("debit")))
    hands.move(spot.user, posted=-GIFT, remaining=-GIFT)


def key_alone(hands: StageHands, spot: Target) -> None:
    """Put in an item that is nothing but a key."""
    hands.touch(f"grant#bare-{spot.user}")
    hands.put({"reference": s(f"grant#bare-{spot.user}"), "sequence": n(1)})


def behind(hands: StageHands, spot: Target, **changes: Any) -> Item:
    """Return an entry that would be the next of a log, made after its last one."""
    item = {name: value for name, value in spot.log[-1].items() if name not in {"explanation", "correction"}}
    said = {"sequence": n(int(spot.log[-1]["sequence"]["N"]) + 1), "postedAt": now(hands)}
    return {**item, **said, **changes}


def refunded(*, paid: bool) -> Act:
    """Return what forges a refund of all that a job has cost, as this system would post it, ``paid`` with the balance."""

    def do(hands: StageHands, spot: Target) -> None:
        back = -spot.net
        facts = {**spot.log[-1].get("facts", {"M": {}})["M"]}
        hands.put(behind(hands, spot, amount=n(back), cost=n(0), type=s("refund"), facts={"M": facts}))
        if paid:
            hands.move(spot.user, posted=back, remaining=back)

    return do


def far_behind(hands: StageHands, spot: Target) -> None:
    """Put an entry of 0 a thousand places behind a log."""
    hands.put(behind(hands, spot, sequence=n(1000), amount=n(0), type=s("void")))


def half_a_place(hands: StageHands, spot: Target) -> None:
    """Put a gift between two places of a log."""
    sequence = n(Decimal(spot.key[1]) + Decimal("0.5"))
    hands.put(behind(hands, spot, sequence=sequence, amount=n(GIFT), type=s("grant")))


def knows_more(hands: StageHands, spot: Target) -> None:
    """Put in one more entry of a log, which moves nothing and knows something else."""
    hands.put(behind(hands, spot, amount=n(0), type=s("void"), facts=other_facts(spot)))


# --- corrections and words --------------------------------------------------------------------------------------------


def says_corrected(place: object, found: str, damage: str) -> dict[str, Any]:
    """Return the anomalies of a correcting entry."""
    figures = {"M": {"entry": s(str(place)), "found": s(found), "damage": s(damage)}}
    return {"L": [{"M": {"name": s("corrected"), "reason": s("as agreed"), "figures": figures}}]}


def corrected(*, paid: bool) -> Act:
    """Return what forges a correction that gives 500 credits."""

    def do(hands: StageHands, spot: Target) -> None:
        anomalies = says_corrected(spot.key[1], digest_of(spot.item), "changed")
        said = {"amount": n(GIFT), "cost": n(-spot.net - GIFT), "type": s("adjust"), "source": s("repair")}
        hands.put(behind(hands, spot, **said, anomalies=anomalies))
        if paid:
            hands.move(spot.user, posted=GIFT, remaining=GIFT)

    return do


def doubled_and_corrected(hands: StageHands, spot: Target) -> None:
    """Double a debit, move the balance with it, and forge the correction that says so."""
    hands.change(spot, amount=n(spot.amount * 2))
    hands.move(spot.user, posted=spot.amount, remaining=spot.amount)
    anomalies = says_corrected(spot.key[1], digest_of({**spot.item, "amount": n(spot.amount * 2)}), "changed")
    said = {"amount": n(0), "cost": n(-spot.net - spot.amount), "type": s("flag"), "source": s("repair")}
    hands.put(behind(hands, spot, **said, anomalies=anomalies))


def gone_and_corrected(hands: StageHands, spot: Target) -> None:
    """Remove a debit with its balance, and put a correction in its place that says so."""
    gone_with_its_balance(hands, spot)
    anomalies = says_corrected(spot.key[1], "", "removed")
    item = {name: value for name, value in spot.item.items() if name != "explanation"}
    said = {"amount": n(0), "cost": n(0), "type": s("flag"), "source": s("repair"), "postedAt": now(hands)}
    hands.put({**item, **said, "anomalies": anomalies})


def unreadable_correction(hands: StageHands, spot: Target) -> None:
    """Put in a correction whose anomalies are texts."""
    said = {"amount": n(0), "type": s("flag"), "source": s("repair"), "anomalies": {"L": [s("corrected")]}}
    hands.put(behind(hands, spot, **said))


def adjusted(*, paid: bool) -> Act:
    """Return what forges an adjustment of a user, ``paid`` with the balance."""

    def do(hands: StageHands, spot: Target) -> None:
        name = f"forged-{spot.user}"
        told = {"M": {"id": s(name), "amount": n(GIFT), "at": s("2026-01-05T15:00:00Z")}}
        word = {"M": {"id": s(name), "by": s("arn:ann"), "reason": s("goodwill")}}
        said = {
            "type": s("adjust"),
            "rule": s("adjust"),
            "source": s("command"),
            "facts": {"M": {"adjustments": {"L": [told]}}},
        }
        hands.put(made(hands, spot, GIFT, reference=s(f"adjust#{name}"), correction=word, **said))
        if paid:
            hands.move(spot.user, posted=GIFT, remaining=GIFT)

    return do


def claimed(hands: StageHands, spot: Target) -> None:
    """Forge the claim of a concession that nobody has made."""
    name = f"claimed-{spot.user}"
    job = spot.reference.removeprefix("job#")
    told = {"M": {"id": s(name), "amount": n(1), "at": s("2026-01-05T15:00:00Z"), "job": s(job)}}
    word = {"M": {"id": s(name), "by": s("arn:ann"), "reason": s("goodwill")}}
    said = {"type": s("void"), "rule": s("adjust"), "source": s("command"), "facts": {"M": {"adjustments": {"L": [told]}}}}
    hands.put(made(hands, spot, Decimal(0), reference=s(f"adjust#{name}"), correction=word, **said))


def told_twice(*, paid: bool) -> Act:
    """Return what tells the id of a concession on another job too, as this system would post it, ``paid`` with the balance."""

    def do(hands: StageHands, spot: Target) -> None:
        word, last = spot.concession(), spot.log[-1]
        facts, cost = last["facts"]["M"], Decimal(last["cost"]["N"])
        told = {"M": {"id": word["correction"]["M"]["id"], "amount": n(cost), "at": s("2026-01-05T15:00:00Z")}}
        concessions = {"L": [*facts.get("concessions", {"L": []})["L"], told]}
        said = {name: word[name] for name in ("type", "rule", "source", "correction")}
        said |= {"amount": n(cost), "cost": n(0), "facts": {"M": {**facts, "concessions": concessions}}}
        item = behind(hands, spot, **said, anomalies={"L": []})
        hands.put({name: value for name, value in item.items() if name not in {"eventId", "price", "quantity", "flagged"}})
        if paid:
            hands.move(spot.user, posted=cost, remaining=cost)

    return do


# --- rows of users ----------------------------------------------------------------------------------------------------


def to_another_row(hands: StageHands, row: Item) -> None:
    """Move ten from what was posted for one user to another."""
    hands.move(row["userId"]["S"], posted=-10)
    hands.move(FORGER, posted=10)


def row_and_balance(hands: StageHands, row: Item) -> None:
    """Let a row say more of both, with no entry."""
    hands.move(row["userId"]["S"], posted=50, remaining=50)


def no_mark(hands: StageHands, row: Item) -> None:
    """Take the mark from a job's row."""
    names = ("reconciled", "reconciledStatus", "reconciledSequence")
    hands.client.put_item(TableName=TABLES.jobs, Item={name: value for name, value in row.items() if name not in names})
