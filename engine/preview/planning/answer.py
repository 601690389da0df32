"""The answer of a plan, as JSON-like values: the one place from which every form of it is made.

Credits are exact strings. ``credits`` and ``differences`` are told from the users' side, as entries are: what costs
is below 0. ``net``, ``groups`` and ``causes`` are told from the company's side: what users pay, less what they get back.
What is only held is in none of them, for it may go back: ``held`` says how much of it is open in the end.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO
from engine.policy.model import Policy
from engine.preview.changes import changes
from engine.preview.planning.books import edited_rates
from engine.preview.planning.cautions import cautions
from engine.preview.planning.fold import MODEL, RULE
from engine.preview.planning.of_ledger import EVENTS_ALONE, OfLedger
from engine.preview.planning.run import Planned
from engine.preview.planning.side import REFUSED
from engine.preview.planning.spill import Record
from engine.preview.planning.streamed import Streamed
from engine.preview.planning.tally import DAY, Group, Pair, Tally
from engine.preview.planning.work import Wish

USER = "user"

HUNDREDTH = Decimal("0.01")


@frozen
class Asked:
    """What a person has asked: the two policies as they are written, and the instant at which all is priced (None: its own).

    ``by_prices`` is what the new prices alone come to (the net of the users' side), where more than prices was edited.
    ``ledger`` is what is known of the ledger that is planned, or that says what users had.
    """

    now: Policy
    then: Policy
    at: datetime | None = None
    by_prices: Decimal | None = None
    ledger: OfLedger = EVENTS_ALONE


def answer_of(wish: Wish, outcome: Planned, asked: Asked | None = None) -> dict[str, Any]:
    """Return the answer. What is long in it is streamed, for as long as the outcome lasts."""
    asked = asked or Asked(wish.now, wish.then)
    tally, users = outcome.tally, outcome.users
    changed, rates = [*changes(asked.now, asked.then)], [*edited_rates(asked.now, asked.then)]
    net = net_of(tally.sums)
    return {
        "changes": changed,
        "warnings": [
            *cautions(wish.paths, outcome, changed, rates, asked.at, what=asked.ledger.what),
            *asked.ledger.cautions((asked.now, asked.then), net[0]),
        ],
        "asOf": None if asked.at is None else instant_text(asked.at),
        "prices": [rate.answer() for rate in rates],
        "events": tally.events,
        "outcomes": [{"now": now, "then": then, "events": n} for (now, then), n in sorted(tally.outcomes.items())],
        "newly": _newly(tally),
        "net": compared(map(EXACT.minus, net)),
        "causes": _causes(net, changed, asked),
        "credits": {name: _pair(pair) for name, pair in sorted({**tally.sums, "net": net}.items())},
        "held": _pair(tally.held),
        "anomalies": {name: {"now": now, "then": then} for name, (now, then) in sorted(tally.flags.items())},
        "jobs": {"all": tally.jobs, "concerned": tally.jobs_concerned},
        "users": {
            "all": users.users,
            "concerned": users.winners + users.losers,
            "winners": users.winners,
            "losers": users.losers,
            "won": format(users.won, "f"),
            "lost": format(users.lost, "f"),
        },
        **asked.ledger.answer(outcome.overdrawn, asked.then.overdraft),
        "groups": {
            **{name: _rows(tally.groups.get(name, {})) for name in (RULE, MODEL, DAY, *wish.names)},
            USER: Streamed(outcome.user_rows, _user),
        },
        "differences": Streamed(outcome.differences, _difference),
        "refused": Streamed(outcome.refused, lambda record: record[1]),
    }


def net_of(sums: Mapping[str, Pair]) -> Pair:
    """Return what entries of all types move together, from the users' side."""
    return [functools.reduce(EXACT.add, (pair[which] for pair in sums.values()), ZERO) for which in (0, 1)]


def is_mixed(now: Policy, then: Policy) -> bool:
    """Say whether an edit changes prices and something else."""
    kinds = {change.startswith("price ") for change in changes(now, then)}
    return kinds == {True, False}


def _newly(tally: Tally) -> dict[str, int]:
    """Return how many events end then as they do not now, and how many more entries are flagged."""
    ends = tally.outcomes.items()
    return {
        "refused": sum(count for (now, then), count in ends if then == REFUSED != now),
        "unmatched": sum(count for (now, then), count in ends if then == "ignored" != now),
        "flagged": sum(max(then - now, 0) for now, then in tally.flags.values()),
    }


def _causes(net: Pair, changed: Iterable[str], asked: Asked) -> dict[str, str]:
    """Return what of the difference comes from new prices, and what from all else that is edited: together they are all."""
    whole = EXACT.subtract(net[0], net[1])
    if asked.by_prices is not None:
        prices = EXACT.subtract(net[0], asked.by_prices)
    else:
        prices = whole if any(change.startswith("price ") for change in changed) else ZERO
    return {"prices": format(prices, "f"), "rest": format(EXACT.subtract(whole, prices), "f")}


def compared(pair: Iterable[Decimal]) -> dict[str, str | None]:
    """Return two amounts, how much more the second is, and in percent; no percentage of nothing."""
    now, then = pair
    by = EXACT.subtract(then, now)
    percent = (
        EXACT.divide(EXACT.multiply(by, Decimal(100)), EXACT.abs(now)).quantize(HUNDREDTH, context=EXACT) if now else None
    )
    return {**_pair((now, then)), "by": format(by, "f"), "percent": None if percent is None else format(percent, "f")}


def _pair(pair: Iterable[Decimal]) -> dict[str, str]:
    now, then = pair
    return {"now": format(now, "f"), "then": format(then, "f")}


def _rows(groups: Mapping[str, Group]) -> list[dict[str, Any]]:
    """Return what is counted under each key, the largest difference first."""
    return [_row(key, group) for key, group in sorted(groups.items(), key=_by_size)]


def _by_size(counted: tuple[str, Group]) -> tuple[Decimal, str]:
    key, group = counted
    return EXACT.minus(EXACT.abs(EXACT.subtract(group.sums[1], group.sums[0]))), key


def _row(key: str, group: Group) -> dict[str, Any]:
    return {"key": key, "jobs": group.jobs, "users": group.users, **compared(map(EXACT.minus, group.sums))}


def _user(record: Record) -> dict[str, Any]:
    name, jobs, now, then = record
    return _row(name, Group(jobs, 1, [Decimal(now), Decimal(then)]))


def _difference(record: Record) -> dict[str, str]:
    reference, user, now, then, *_ = record
    by = EXACT.subtract(Decimal(then), Decimal(now))
    return {"reference": reference, "user": user, "now": now, "then": then, "by": format(by, "f")}
