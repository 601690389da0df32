"""The grammar of a policy in one place, and how its parts become a Policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from engine.domain.anomaly import BUILT_IN_ANOMALIES
from engine.domain.errors import Mistake, PolicyError
from engine.domain.money import Money
from engine.policy.detectors import ANOMALY
from engine.policy.event_patterns import EventPattern
from engine.policy.grammar import WRONG, Duration, Expression, Key, Keys, ListOf, Name, Number, Text, Word, did_you_mean
from engine.policy.model import (
    Action,
    CatchUp,
    Clocks,
    Explain,
    Fields,
    Overdraft,
    Policy,
    RefundTerms,
    Rule,
    UnknownJob,
    UnknownUser,
)
from engine.policy.patterns import Pattern, parse_pattern, required_values
from engine.policy.patterns.cover import Extent
from engine.policy.patterns.index import PatternIndex
from engine.policy.price_books import PriceBook
from engine.policy.pricing import AMOUNT, CHARGE, GRANT, MONEY, PRICES, DraftTerms
from engine.policy.rows import row_attributes
from engine.policy.source import Items, Members, Node, Notes, Place, Scalar, named, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

PAIRS_MAX = 50_000
"""How many pairs of rules (of their combinations of ``$or``, if they have any) are compared: all of them up to 316 rules."""


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


@frozen(eq=False, repr=False)
class DraftRule:
    """A rule whose charge or grant is not linked to its price book yet."""

    rule: Rule
    terms: DraftTerms | None

    def linked(self, books: Mapping[str, PriceBook]) -> Rule:
        """Return the rule with its price book."""
        return evolve(self.rule, terms=self.terms.linked(books)) if self.terms else self.rule


ACTION_KEYS: Mapping[Action, tuple[str, ...]] = {
    Action.DEBIT: ("charge",),
    Action.REFUND: ("refund",),
    Action.GRANT: ("grant",),
    Action.FLAG: ("reason",),
}
"""What each action needs beside ``name``, ``match`` and ``action``; what the others need has no meaning for it."""


def _rule(values: Mapping[str, Any], node: Members, _notes: Notes) -> DraftRule:
    rule = Rule(
        name=values["name"],
        action=Action(values["action"]),
        matches=values["match"].matches,
        pattern=values["match"].pattern,
        line=node.place.line,
        column=node.place.column,
        refund=values["refund"],
        reason=values["reason"],
    )
    return DraftRule(rule, values["charge"] or values["grant"])


def _check_rule(values: Mapping[str, Any], rule: Members, notes: Notes) -> None:
    action = values.get("action", WRONG)
    if action is WRONG:
        return
    needed = ACTION_KEYS[Action(action)]
    for name in (name for keys in ACTION_KEYS.values() for name in keys):
        value = rule.get(name)
        if value is None and name in needed:
            notes.mistake(rule.place, f"a {action} rule needs `{name}`")
        if value is not None and name not in needed:
            notes.mistake(value.place, f"`{name}` has no meaning in a {action} rule")


def _refund(values: Mapping[str, Any], _node: Members, _notes: Notes) -> RefundTerms:
    return RefundTerms(**values)


def _catch_up(values: Mapping[str, Any], node: Members, _notes: Notes) -> CatchUp:
    event, matcher = values["event"], values["when"]
    return CatchUp(
        matches=matcher.matches,
        pattern=matcher.pattern,
        statuses=_statuses(matcher.pattern),
        source=event["source"],
        detail_type=event["detail-type"],
        time=event["time"],
        line=node.place.line,
    )


def _statuses(pattern: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the exact statuses that a row must have, in the order they are written, or None where others can match."""
    required = required_values(parse_pattern(pattern), "status")
    if not required:
        return None
    written = pattern.get("status")
    in_order = [status for status in written if isinstance(status, str)] if isinstance(written, list) else []
    return tuple(dict.fromkeys([*(status for status in in_order if status in required), *sorted(required)]))


# --- what parts say of each other -------------------------------------------------------------------------------------


def _check_policy(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    _check_names(policy, notes)
    for terms in _terms(policy):
        _check_book(terms, policy.get("prices"), notes)
        _check_places(terms, values["money"], notes)
    _check_reference(policy, notes)
    _check_prices_used(policy, notes)
    if values.get("rules", WRONG) is not WRONG:
        _check_reachable(values["rules"], notes)
        _check_catch_ups(values, policy, notes)
    _check_ignored(values, policy, notes)


def _check_reachable(drafts: Sequence[DraftRule], notes: Notes) -> None:
    """Of the rules that decide, the first that matches counts: one whose events an earlier one takes can never decide."""
    deciding = [draft.rule for draft in drafts if draft.rule.action is not Action.FLAG]
    extents = [Extent(parse_pattern(rule.pattern)) for rule in deciding]
    effort = 0
    for later, earlier in _with_earlier(len(deciding)):
        effort += extents[earlier].effort(extents[later])
        if effort > PAIRS_MAX:
            return
        if extents[earlier].covers(extents[later]):
            taken_by, rule = deciding[earlier], deciding[later]
            place = Place(rule.line, rule.column)
            notes.mistake(place, f"never decides: {named(taken_by.name)} in line {taken_by.line} takes all its events first")


def _with_earlier(count: int) -> Iterator[tuple[int, int]]:
    """Yield each position with each one before it."""
    return ((later, earlier) for later in range(count) for earlier in range(later))


def _check_catch_ups(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """A row that no rule takes, or that an earlier part has taken, would never be charged, and nobody would know."""
    if values["catch_up"] is WRONG:
        return
    deciding = [draft.rule for draft in values["rules"] if draft.rule.action is not Action.FLAG]
    patterns = [parse_pattern(rule.pattern) for rule in deciding]
    seen: list[Extent] = []
    for catch_up, node in zip(values["catch_up"], _mappings(policy.get("catch_up")), strict=True):
        extent = Extent(parse_pattern(catch_up.pattern))
        if any(earlier.covers(extent) for earlier in seen):
            notes.mistake(node.place, "never counts: an earlier part of `catch_up` takes all its rows first")
        seen.append(extent)
        for key, value in (("source", catch_up.source), ("detail-type", catch_up.detail_type)):
            _check_taken(key, value, patterns, node, notes)


def _check_ignored(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """A status that is mapped and ignored says two things."""
    ignored = policy.get("catch_up_ignore")
    if values["catch_up"] is WRONG or values["catch_up_ignore"] is WRONG or not isinstance(ignored, Items):
        return
    mapped = {status: catch_up.line for catch_up in values["catch_up"] for status in catch_up.statuses or ()}
    for node in ignored.nodes:
        if isinstance(node, Scalar) and node.text in mapped:
            line = mapped[node.text]
            notes.mistake(node.place, f"{named(node.text)} is mapped by `catch_up` in line {line}; it cannot be ignored too")


def _check_taken(key: str, value: str, patterns: Sequence[Pattern], node: Members, notes: Notes) -> None:
    """Some rule that decides must be able to take an event with this value."""
    taken = [required_values(pattern, key) for pattern in patterns]
    event = node.get("event")
    if taken and all(values is not None and value not in values for values in taken) and isinstance(event, Members):
        known = sorted({word for values in taken for word in values or ()})
        place = (event.get(key) or event).place
        notes.mistake(place, f"no rule takes events of {key} {named(value)}{did_you_mean(value, known)}")


def _check_names(policy: Members, notes: Notes) -> None:
    """Rules and anomalies share one space of names: entries, metrics and messages show both."""
    seen: dict[str, Place] = {}
    for item in (*_mappings(policy.get("rules")), *_mappings(policy.get("anomalies"))):
        name = item.get("name")
        if not isinstance(name, Scalar) or name.is_empty:
            continue
        if name.text in seen:
            notes.mistake(name.place, f"the name {named(name.text)} is taken; it is in line {seen[name.text].line} already")
        seen.setdefault(name.text, name.place)


def _check_book(charge: Members, prices: Node | None, notes: Notes) -> None:
    book = charge.get("price")
    books = [key.text for key, _ in prices.pairs] if isinstance(prices, Members) else []
    if isinstance(book, Scalar) and not book.is_empty and book.text not in books:
        known = did_you_mean(book.text, books) if books else "; `prices` has none"
        notes.mistake(book.place, f"there is no price book {named(book.text)}{known}")


def _check_places(charge: Members, money: Any, notes: Notes) -> None:
    for key, node in charge.pairs:
        if money is WRONG or key.text not in {"amount", "minimum", "maximum"}:
            continue
        value = AMOUNT.read(node, Notes("", [""]))  # what is wrong with it has been noted already
        if value is not WRONG and money.round(value) != value:
            notes.mistake(node.place, f"`{key.text}` {value} has more than the {money.places} places of `money`")


def _check_reference(policy: Members, notes: Notes) -> None:
    """A grant is made once for each reference, so the policy must say where that is."""
    event = policy.get("event")
    if not isinstance(event, Members) or event.get("reference"):
        return
    for rule in _mappings(policy.get("rules")):
        action = rule.get("action")
        if isinstance(action, Scalar) and action.text == Action.GRANT:
            notes.mistake(rule.place, "a grant rule needs `event.reference`, the JMESPath of the purchase's id")


def _check_prices_used(policy: Members, notes: Notes) -> None:
    prices = policy.get("prices")
    used = {book.text for terms in _terms(policy) if isinstance(book := terms.get("price"), Scalar)}
    for key, _ in prices.pairs if isinstance(prices, Members) else ():
        if key.text not in used:
            notes.warning(key.place, f"no rule uses the price book {named(key.text)}")


def _terms(policy: Members) -> Iterator[Members]:
    for rule in _mappings(policy.get("rules")):
        for name in ("charge", "grant"):
            terms = rule.get(name)
            if isinstance(terms, Members):
                yield terms


def _mappings(node: Node | None) -> list[Members]:
    return [item for item in node.nodes if isinstance(item, Members)] if isinstance(node, Items) else []


# --- the grammar ------------------------------------------------------------------------------------------------------

REFUND = Keys({"percent": Key(Number(Decimal(0), Decimal(100))), "within": Key(Duration(), None)}, _refund)

RULE = Keys(
    {
        "name": Key(Name(reserved=BUILT_IN_ANOMALIES)),
        "match": Key(EventPattern()),
        "action": Key(Word(tuple(Action))),
        "charge": Key(CHARGE, None),
        "refund": Key(REFUND, None),
        "grant": Key(GRANT, None),
        "reason": Key(Text(), None),
    },
    _rule,
    _check_rule,
)

EVENT = Keys(
    {
        "job": Key(Expression()),
        "user": Key(Expression()),
        "time": Key(Expression()),
        "reference": Key(Expression(), None),
    }
)

CATCH_UP = Keys(
    {
        "when": Key(EventPattern()),
        "event": Key(Keys({"source": Key(Text()), "detail-type": Key(Text()), "time": Key(Expression())})),
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
    },
    check=_check_policy,
)
"""What may stand in a policy: a new construct is a line here and a function above."""


# --- the whole --------------------------------------------------------------------------------------------------------


def _linked(values: Mapping[str, Any]) -> Policy:
    """Return the policy, its parts linked to each other."""
    books = {name: PriceBook(name, rows) for name, rows in values["prices"].items()}
    rules = tuple(draft.linked(books) for draft in values["rules"])
    policy = Policy(
        name=values["name"],
        digest="",
        fields=Fields(**values["event"]),
        money=values["money"],
        rules=rules,
        index=PatternIndex.of([rule.pattern for rule in rules], [rule.matches for rule in rules]),
        overdraft=Overdraft(values["overdraft"]),
        unknown_user=UnknownUser(values["unknown_user"]),
        unknown_job=UnknownJob(values["unknown_job"]),
        clock=values["clock"],
        anomalies=values["anomalies"],
        catch_up=values["catch_up"],
        catch_up_ignore=values["catch_up_ignore"],
        explain=values["explain"],
        prices=books,
    )
    return evolve(policy, row_attributes=row_attributes(policy))


__all__ = ["load_policy", "parse_policy"]
