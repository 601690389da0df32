"""What is held for a job before its work is done, by the rules of the design alone; none of it the engine's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from attrs import frozen

from tests.simulation.attempts import DECIDING
from tests.simulation.claims import SECONDS, Claim, instant

EXPIRY = "expiry"
"""The rule that an entry names by which the run has told that a hold had expired."""

type Told = Mapping[str, Collection[Claim]]


@frozen
class Standing:
    """What a log comes to at a moment: what its work ``costs`` beside a hold, what is ``held``, and the hold that is open."""

    costs: Fraction = Fraction(0)
    held: Fraction = Fraction(0)
    hold: Claim | None = None


def decided(told: Told, expired: Collection[int]) -> set[int]:
    """The attempts that have no use for a hold any more: they were charged, have failed or have expired."""
    return {claim.attempt for action in DECIDING for claim in told[action]}.union(expired)


def open_hold(told: Told, expired: Collection[int]) -> Claim | None:
    """Of the highest attempt the earliest, of one instant the smallest, then what ends first; none where that is decided."""
    done = decided(told, expired)
    highest = max(done | {claim.attempt for claim in told["hold"]}, default=0)
    holds = [claim for claim in told["hold"] if claim.attempt == highest and highest not in done]
    return min(holds, key=lambda claim: (claim.fact.at, claim.figure, expires_at(claim)), default=None)


def standing_with(hold: Claim | None, below: Fraction, conceded: Fraction) -> Standing:
    """An open hold adds what it is larger by than what the attempts below it say; people may have conceded some of that."""
    costs, whole = (max(each - conceded, Fraction(0)) for each in (below, max(below, hold.figure if hold else below)))
    return Standing(costs, whole - costs, hold)


def says_nothing(attempt: int, at: datetime, told: Told, expired: Collection[int]) -> bool:
    """Whether a request reserves nothing: its attempt is decided or below another, or an earlier request is known there."""
    done = decided(told, expired)
    is_below = any(attempt < claim.attempt for claim in told["hold"]) or any(attempt < each for each in done)
    is_later = any(claim.attempt == attempt and claim.fact.at < at for claim in told["hold"])
    return attempt in done or is_below or is_later


def expires_at(hold: Claim) -> datetime:
    """The instant from which the run may tell that a hold has expired."""
    within = hold.rule["hold"]["expires"]
    return hold.fact.at + timedelta(seconds=int(within[:-1]) * SECONDS[within[-1]])


# --- what entries say of it -------------------------------------------------------------------------------------------

Entry = Mapping[str, Any]


def is_refused(entry: Entry) -> bool:
    """Say whether an entry remembers that a request was refused, and nothing else of it."""
    return entry.get("type") == "flag" and entry.get("eventId") in entry.get("facts", {}).get("refused", ())


def wrong_of_expiry(entry: Entry, before: Standing) -> Iterator[str]:
    """Yield what is wrong with the word that a hold has expired."""
    if before.hold is None:
        yield "says that a hold has expired, and none was open"
    elif instant(entry["occurredAt"]) < expires_at(before.hold):
        yield f"says that a hold has expired, which is to stand until {expires_at(before.hold):%FT%TZ}"


def wrong_of_refusal(rule: Mapping[str, Any], asked: Fraction, lowest: Fraction | None) -> Iterator[str]:
    """Yield what is wrong with a refusal: ``lowest`` is the least that the user had meanwhile, None without a row."""
    if rule["hold"].get("overdraft", "refuse") == "allow" or asked <= 0:
        yield f"refuses a hold of {float(asked)} that needs no balance"
    elif lowest is not None and lowest >= asked:
        yield f"refuses a hold of {float(asked)}, which the balance covered: it was {float(lowest)} at least"


def wrong_of_move(entry: Entry, before: Standing, after: Standing, posted: Fraction) -> Iterator[str]:
    """Yield what is wrong with what an entry moves of what is held: a hold posts just that, its release at least.

    Less goes back only where no more was ``posted`` before: of a refund below an open hold while something was due.
    """
    kind, held, amount = entry.get("type"), Fraction(entry.get("held", 0)), Fraction(entry["amount"])
    if held != after.held - before.held:
        yield f"moves what is held by {float(held)}; {float(after.held - before.held)} is right"
    if kind == "hold" and amount != -held:
        yield f"holds {float(held)}, and posts {float(amount)}"
    if kind == "release" and amount < min(-held, -posted):
        yield f"releases {float(-held)}, and posts {float(amount)}"
    less = before.costs + before.held - after.costs - after.held
    if kind == "settle" and amount > max(less, Fraction(0)):
        yield f"settles {float(-held)}, and gives {float(amount)} back; {float(max(less, Fraction(0)))} is right"
    is_alike = after.hold is not None and amount == held == 0  # of two that are as large and as old each may be the one
    if not is_alike and (kind == "hold") is not (after.hold is not None and after.hold is not before.hold):
        yield f"is a {kind}, and {'a' if after.hold else 'no'} hold is open since"


def told_after_refusal(log: Collection[Entry]) -> Iterator[str]:
    """Yield which entries are of an event whose request was refused before: it stays refused. Other rules may flag it."""
    refused: dict[str, str] = {}
    for entry in log:
        rule = refused.get(entry.get("eventId", ""))
        if rule is not None and (entry["type"] == "hold" or entry["rule"] == rule):
            yield f"entry {entry['sequence']} is of {entry['eventId']}, which was refused before"
        if is_refused(entry):
            refused.setdefault(entry["eventId"], entry["rule"])
