"""The grammar of a policy in one place, and how its parts become a Policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

from attrs import evolve, frozen

from engine.errors import Mistake, PolicyError
from engine.paths import Path
from engine.policy.grammar import (
    WRONG,
    EventPattern,
    Expression,
    Instant,
    Key,
    Keys,
    ListOf,
    MapOf,
    Matcher,
    Name,
    Number,
    Text,
    Word,
    did_you_mean,
)
from engine.policy.model import (
    Action,
    AnomalyRule,
    CatchUp,
    Explain,
    Fields,
    Overdraft,
    Policy,
    Rule,
    UnknownUser,
)
from engine.policy.rows import expression_attributes, pattern_attributes, time_attributes
from engine.policy.source import Members, Node, Notes, Place, Scalar, read_yaml
from engine.prices import DEFAULT_RATE, DIGITS_MAX, ROUNDINGS, ChargeTerms, Money, PriceBook, PriceRow
from engine.values import BUILT_IN_ANOMALIES

PLACES_MAX = 10
AMOUNT = Number(Decimal(0), Decimal(10) ** (DIGITS_MAX - PLACES_MAX))
"""Rates and bounds: with ten places still within the ledger's 38 digits."""


def load_policy(path: FilePath | str) -> Policy:
    """Return the policy in a file. Raises PolicyError with every mistake, each with its line, column and excerpt."""
    file = str(path)
    try:
        data = FilePath(path).read_bytes()
    except OSError as error:
        raise PolicyError([Mistake(f"cannot be read: {error.strerror or error}", file=file)]) from error
    return parse_policy(data, file)


def parse_policy(text: str | bytes, file: str) -> Policy:
    """Return the policy written in ``text``; ``file`` is what messages call it. Raises PolicyError."""
    data = text.encode() if isinstance(text, str) else text
    node, notes = read_yaml(data, file)
    values = POLICY.read(node, notes)
    draft = _linked(values, notes) if values is not WRONG else WRONG
    if notes.mistakes or not isinstance(draft, Policy):
        raise notes.error()
    return evolve(draft, digest=hashlib.sha256(data).hexdigest(), warnings=tuple(notes.warnings))


# --- parts ------------------------------------------------------------------------------------------------------------


@frozen
class DraftTerms:
    """A charge whose price book is still a name, and where its parts stand."""

    place: Place
    book: str | None = None
    book_place: Place | None = None
    quantity: Path | None = None
    amount: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@frozen
class DraftRule:
    """A rule whose charge is not linked to its price book yet."""

    rule: Rule
    pattern: Mapping[str, Any]
    terms: DraftTerms | None


def _money(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Money:
    return Money(**values)


def _price_row(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    rates_node = node.get("rates") or node
    if values["by"] is None and set(values["rates"]) != {DEFAULT_RATE}:
        notes.mistake(
            rates_node.place, "several rates need `by`, the JMESPath that selects one; without it only `default` counts"
        )
        return WRONG
    if DEFAULT_RATE not in values["rates"]:
        notes.warning(rates_node.place, "there is no `default`: an event that selects another rate is refused")
    return PriceRow(values["effective"], values["rates"], values["by"])


@frozen
class _Book:
    """A price book: rows in ascending order of their effective dates."""

    rows: ListOf

    def read(self, node: Node, notes: Notes) -> Any:
        rows = self.rows.read(node, notes)
        if rows is WRONG:
            return WRONG
        places = [row.place for row in getattr(node, "nodes", ())]
        for earlier, later, place in zip(rows, rows[1:], places[1:], strict=False):
            if later.effective <= earlier.effective:
                notes.mistake(
                    place, f"is effective {later.effective:%Y-%m-%dT%H:%M:%SZ}, not after the row above; oldest first"
                )
        return rows


def _terms(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    given = {name: value for name, value in values.items() if value is not None}
    if ("amount" in given) == ("price" in given):
        notes.mistake(node.place, "a charge is either `amount`, or `price` with `quantity`")
        return WRONG
    allowed = {"amount"} if "amount" in given else {"price", "quantity", "minimum", "maximum"}
    for name in given.keys() - allowed:
        notes.mistake((node.get(name) or node).place, f"`{name}` has no meaning beside `amount`")
    if "price" in given and "quantity" not in given:
        notes.mistake(node.place, "`quantity` is missing: the JMESPath of what the price is for")
        return WRONG
    return _bounded(given, node, notes)


def _bounded(given: Mapping[str, Any], node: Members, notes: Notes) -> DraftTerms:
    minimum, maximum = given.get("minimum"), given.get("maximum")
    if minimum is not None and maximum is not None and minimum > maximum:
        notes.mistake((node.get("minimum") or node).place, f"the minimum {minimum} is above the maximum {maximum}")
    return DraftTerms(
        place=node.place,
        book=given.get("price"),
        book_place=(node.get("price") or node).place,
        quantity=given.get("quantity"),
        amount=given.get("amount"),
        minimum=minimum,
        maximum=maximum,
    )


ACTION_KEYS: Mapping[Action, tuple[str, ...]] = {
    Action.DEBIT: ("charge",),
    Action.REFUND: ("refund",),
    Action.FLAG: ("reason",),
}
"""What each action needs beside ``name``, ``match`` and ``action``; what the others need has no meaning for it."""


def _rule(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    action = Action(values["action"])
    needed = ACTION_KEYS[action]
    for name in (name for keys in ACTION_KEYS.values() for name in keys):
        value = node.get(name)
        if value is None and name in needed:
            notes.mistake(node.place, f"a {action} rule needs `{name}`")
        if value is not None and name not in needed:
            notes.mistake(value.place, f"`{name}` has no meaning in a {action} rule")
    refund = values["refund"] or {}
    rule = Rule(
        name=values["name"],
        action=action,
        matches=values["match"].matches,
        line=node.place.line,
        refund_percent=refund.get("percent"),
        reason=values["reason"],
    )
    return DraftRule(rule, values["match"].pattern, values["charge"])


@frozen
class _Draft:
    """A part with a pattern: the part itself, and the pattern for what it looks at."""

    part: Any
    pattern: Mapping[str, Any]


def _anomaly(values: Mapping[str, Any], node: Members, _notes: Notes) -> _Draft:
    matcher: Matcher = values["match"]
    return _Draft(AnomalyRule(values["name"], matcher.matches, node.place.line, values["reason"]), matcher.pattern)


def _catch_up(values: Mapping[str, Any], node: Members, _notes: Notes) -> _Draft:
    event, matcher = values["event"], values["when"]
    catch_up = CatchUp(
        matches=matcher.matches,
        statuses=_statuses(matcher.pattern),
        source=event["source"],
        detail_type=event["detail-type"],
        time=event["time"],
        line=node.place.line,
    )
    return _Draft(catch_up, matcher.pattern)


def _statuses(pattern: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the exact statuses that a row must have, or None where the pattern does not name them."""
    statuses = pattern.get("status")
    is_exact = isinstance(statuses, list) and all(isinstance(status, str) for status in statuses)
    return tuple(statuses) if is_exact and statuses else None


# --- the grammar ------------------------------------------------------------------------------------------------------

PRICE_ROW = Keys(
    {"effective": Key(Instant()), "by": Key(Expression(), None), "rates": Key(MapOf(AMOUNT))},
    _price_row,
)

CHARGE = Keys(
    {
        "price": Key(Text("the name of a price book"), None),
        "quantity": Key(Expression(), None),
        "amount": Key(AMOUNT, None),
        "minimum": Key(AMOUNT, None),
        "maximum": Key(AMOUNT, None),
    },
    _terms,
)

REFUND = Keys({"percent": Key(Number(Decimal(0), Decimal(100)))})

RULE = Keys(
    {
        "name": Key(Name(reserved=BUILT_IN_ANOMALIES)),
        "match": Key(EventPattern()),
        "action": Key(Word(tuple(Action))),
        "charge": Key(CHARGE, None),
        "refund": Key(REFUND, None),
        "reason": Key(Text(), None),
    },
    _rule,
)

ANOMALY = Keys(
    {"name": Key(Name(reserved=BUILT_IN_ANOMALIES)), "match": Key(EventPattern()), "reason": Key(Text(), None)},
    _anomaly,
)

CATCH_UP = Keys(
    {
        "when": Key(EventPattern()),
        "event": Key(Keys({"source": Key(Text()), "detail-type": Key(Text()), "time": Key(Expression())})),
    },
    _catch_up,
)

POLICY = Keys(
    {
        "version": Key(Word(("1",))),
        "name": Key(Name()),
        "event": Key(Keys({"job": Key(Expression()), "user": Key(Expression()), "time": Key(Expression())})),
        "money": Key(
            Keys(
                {
                    "places": Key(Number(Decimal(0), Decimal(PLACES_MAX), whole=True), 4),
                    "rounding": Key(Word(tuple(ROUNDINGS)), "half-even"),
                },
                _money,
            ),
            Money(),
        ),
        "prices": Key(MapOf(_Book(ListOf(PRICE_ROW))), {}),
        "rules": Key(ListOf(RULE)),
        "overdraft": Key(Word(tuple(Overdraft)), "flag"),
        "unknown_user": Key(Word(tuple(UnknownUser)), "refuse"),
        "anomalies": Key(ListOf(ANOMALY, least=0), ()),
        "catch_up": Key(ListOf(CATCH_UP, least=0), ()),
        "explain": Key(
            Keys(
                {
                    "model": Key(Text("the name of a model"), "gpt-4.1"),
                    "max_per_hour": Key(Number(Decimal(0), Decimal(1_000_000), whole=True), 60),
                },
                lambda values, _node, _notes: Explain(**values),
            ),
            Explain(),
        ),
    },
    lambda values, node, _notes: (values, node),
)
"""What may stand in a policy: a new construct is a line here and a function above."""


# --- what parts say of each other -------------------------------------------------------------------------------------


def _linked(read: tuple[Mapping[str, Any], Members], notes: Notes) -> Any:
    """Return the policy, its parts linked to each other, or WRONG."""
    values, node = read
    books = {name: PriceBook(name, rows) for name, rows in values["prices"].items()}
    money: Money = values["money"]
    _check_names(node, ("rules", "anomalies"), notes)
    rules = [_linked_rule(draft, books, money, notes) for draft in values["rules"]]
    if any(rule is WRONG for rule in rules):
        return WRONG
    return Policy(
        name=values["name"],
        digest="",
        fields=Fields(**values["event"]),
        money=money,
        rules=tuple(rules),
        overdraft=Overdraft(values["overdraft"]),
        unknown_user=UnknownUser(values["unknown_user"]),
        anomalies=tuple(draft.part for draft in values["anomalies"]),
        catch_up=tuple(draft.part for draft in values["catch_up"]),
        explain=values["explain"],
        row_attributes=_row_attributes(values, books),
    )


def _check_names(node: Members, lists: Iterable[str], notes: Notes) -> None:
    """Rules and anomalies share one space of names: entries, metrics and messages show both."""
    seen: dict[str, Place] = {}
    for name in _names(node, lists):
        if name.text in seen:
            notes.mistake(name.place, f"the name `{name.text}` is taken; it is in line {seen[name.text].line} already")
        seen.setdefault(name.text, name.place)


def _names(node: Members, lists: Iterable[str]) -> Iterable[Scalar]:
    for key in lists:
        for item in getattr(node.get(key), "nodes", ()):
            name = item.get("name") if isinstance(item, Members) else None
            if isinstance(name, Scalar):
                yield name


def _linked_rule(draft: DraftRule, books: Mapping[str, PriceBook], money: Money, notes: Notes) -> Any:
    if draft.terms is None:
        return draft.rule
    terms = draft.terms
    _check_places(terms, money, notes)
    if terms.book is not None and terms.book not in books:
        place = terms.book_place or terms.place
        notes.mistake(place, f"there is no price book `{terms.book}`{did_you_mean(terms.book, books)}")
        return WRONG
    book = books[terms.book] if terms.book is not None else None
    linked = ChargeTerms(terms.amount, book, terms.quantity, terms.minimum, terms.maximum)
    return evolve(draft.rule, charge=linked)


def _check_places(terms: DraftTerms, money: Money, notes: Notes) -> None:
    for name in ("amount", "minimum", "maximum"):
        value = getattr(terms, name)
        if value is not None and money.round(value) != value:
            notes.mistake(terms.place, f"`{name}` {value} has more than the {money.places} places of `money`")


def _row_attributes(values: Mapping[str, Any], books: Mapping[str, PriceBook]) -> frozenset[str] | None:
    """Return the attributes of a row of Jobs that the policy can look at, or None where that cannot be told."""
    drafts: list[DraftRule] = values["rules"]
    paths = [*values["event"].values()]
    paths += [draft.terms.quantity for draft in drafts if draft.terms and draft.terms.quantity]
    paths += [row.by for book in books.values() for row in book.rows if row.by]
    patterns = [draft.pattern for draft in (*drafts, *values["anomalies"])]
    looks: list[frozenset[str] | None] = [expression_attributes(path) for path in paths]
    looks += [pattern_attributes(pattern) for pattern in patterns]
    looks += [pattern_attributes({"detail": draft.pattern}) for draft in values["catch_up"]]
    looks += [time_attributes(draft.part.time) for draft in values["catch_up"]]
    return None if None in looks else frozenset({"jobId", "status"}).union(*(look or () for look in looks))


__all__ = ["load_policy", "parse_policy"]
