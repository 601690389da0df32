"""The grammar of a policy in one place, and how its parts become a Policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import evolve

from engine.domain.errors import Mistake, PolicyError
from engine.domain.fact_kinds import Action
from engine.domain.money import Money
from engine.policy.adjustments import ADJUSTMENTS
from engine.policy.anomalies import ANOMALY
from engine.policy.consistency import check_policy
from engine.policy.event_patterns import EventPattern, Matcher
from engine.policy.grammar import FINDS_NUMBER, FINDS_TEXT, Duration, Key, Keys, ListOf, Name, Number, Text, Word
from engine.policy.low_balance import LOW_BALANCE
from engine.policy.model import (
    AdjustmentBounds,
    CatchUp,
    Clocks,
    Explain,
    Fields,
    Grants,
    Overdraft,
    Policy,
    UnknownJob,
    UnknownUser,
)
from engine.policy.patterns import required_values
from engine.policy.patterns.index import PatternIndex
from engine.policy.price_books import PriceBook
from engine.policy.price_rows import PRICES
from engine.policy.pricing import MONEY
from engine.policy.rows import own_row, row_attributes
from engine.policy.rules import RULE
from engine.policy.source import Members, Notes, read_yaml

if TYPE_CHECKING:
    from pathlib import Path


def load_policy(path: Path | str) -> Policy:
    """Return the policy in a file. Raises PolicyError with every mistake, each with its line, column and excerpt."""
    file = str(path)
    try:
        with open(path, "rb") as opened:  # noqa: PTH123  pathlib takes longer to import than a policy to read
            data = opened.read()
    except OSError as error:
        raise PolicyError([Mistake(f"cannot be read: {error.strerror or error}", file=file)]) from error
    return parse_policy(data, file)


def parse_policy(text: str | bytes, file: str) -> Policy:
    """Return the policy written in ``text``; ``file`` is what messages call it. Raises PolicyError."""
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    node, notes = read_yaml(data, file)
    values = POLICY.read(node, notes)
    if notes.mistakes:
        raise notes.error()
    return evolve(_linked(values), digest=hashlib.sha256(data).hexdigest(), warnings=tuple(notes.warnings))


# --- parts ------------------------------------------------------------------------------------------------------------


def _catch_up(values: Mapping[str, Any], node: Members, _notes: Notes) -> CatchUp:
    event, matcher = values["event"], values["when"]
    return CatchUp(
        matches=matcher.matches,
        pattern=matcher.pattern,
        statuses=_statuses(matcher),
        source=event["source"],
        detail_type=event["detail-type"],
        time=event["time"],
        line=node.place.line,
    )


def _statuses(matcher: Matcher) -> tuple[str, ...] | None:
    """Return the exact statuses that a row must have, in the order they are written, or None where others can match."""
    required = required_values(matcher.matches.parsed, "status")
    if not required:
        return None
    written = matcher.pattern.get("status")
    in_order = [status for status in written if isinstance(status, str)] if isinstance(written, list) else []
    return tuple(dict.fromkeys([*(status for status in in_order if status in required), *sorted(required)]))


# --- the grammar ------------------------------------------------------------------------------------------------------

EVENT = Keys(
    {
        "job": Key(FINDS_TEXT),
        "user": Key(FINDS_TEXT),
        "time": Key(FINDS_TEXT),
        "reference": Key(FINDS_TEXT, None),
        "attempt": Key(FINDS_NUMBER, None),
    }
)

CATCH_UP = Keys(
    {
        "when": Key(EventPattern()),
        "event": Key(Keys({"source": Key(Text()), "detail-type": Key(Text()), "time": Key(FINDS_TEXT)})),
    },
    _catch_up,
)

CLOCK = Keys(
    {"skew": Key(Duration(), Clocks().skew), "ahead": Key(Duration(), Clocks().ahead)},
    lambda values, _node, _notes: Clocks(**values),
)

TRUTHS = ("true", "false")

POLICY = Keys(
    {
        "version": Key(Word(("1",))),
        "name": Key(Name()),
        "event": Key(EVENT),
        "money": Key(MONEY, Money()),
        "prices": Key(PRICES, {}),
        "rules": Key(ListOf(RULE)),
        "overdraft": Key(Word(tuple(Overdraft)), "flag"),
        "unknown_user": Key(Word(tuple(UnknownUser)), "refuse"),
        "unknown_job": Key(Word(tuple(UnknownJob)), "allow"),
        "grants": Key(Word(tuple(Grants)), "application"),
        "clock": Key(CLOCK, Clocks()),
        "anomalies": Key(ListOf(ANOMALY, least=0), ()),
        "catch_up": Key(ListOf(CATCH_UP, least=0), ()),
        "catch_up_ignore": Key(ListOf(Text("a status of a row of Jobs"), least=0), ()),
        "explain": Key(
            Keys(
                {
                    "model": Key(Text("the name of a model"), "gpt-4.1"),
                    "max_per_hour": Key(Number(Decimal(0), Decimal(1_000_000), whole=True), 60),
                    "pseudonyms": Key(Word(TRUTHS), "true"),
                },
                lambda values, _node, _notes: Explain(**{**values, "pseudonyms": values["pseudonyms"] == "true"}),
            ),
            Explain(),
        ),
        "adjustments": Key(ADJUSTMENTS, AdjustmentBounds()),
        "low_balance": Key(LOW_BALANCE, None),
    },
    check=check_policy,
)
"""What may stand in a policy: a new construct is a line here and a function above."""


# --- the whole --------------------------------------------------------------------------------------------------------


def _linked(values: Mapping[str, Any]) -> Policy:
    """Return the policy, its parts linked to each other."""
    books = {name: PriceBook(name, tuple(written.row for written in rows)) for name, rows in values["prices"].items()}
    rules = tuple(draft.linked(books) for draft in values["rules"])
    policy = Policy(
        name=values["name"],
        digest="",
        fields=Fields(**values["event"]),
        money=values["money"],
        rules=rules,
        index=PatternIndex.of_parsed([rule.matches.parsed for rule in rules], [rule.matches for rule in rules]),
        overdraft=Overdraft(values["overdraft"]),
        unknown_user=UnknownUser(values["unknown_user"]),
        unknown_job=UnknownJob(values["unknown_job"]),
        grants=Grants(values["grants"]),
        clock=values["clock"],
        anomalies=values["anomalies"],
        catch_up=values["catch_up"],
        catch_up_ignore=values["catch_up_ignore"],
        explain=values["explain"],
        adjustments=values["adjustments"],
        low_balance=values["low_balance"],
        prices=books,
        holds=any(rule.action is Action.HOLD for rule in rules),
    )
    return evolve(policy, row_attributes=row_attributes(policy), own_row=own_row(policy))


__all__ = ["load_policy", "parse_policy"]
