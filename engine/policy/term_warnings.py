"""Warnings of what rules and anomalies most likely say by mistake: half a percent for a half, a row that counts no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.domain.fact_kinds import BY_ACTION, PRICED, Action
from engine.domain.instants import instant_text
from engine.domain.money import canonical
from engine.policy.expressions.paths import PLAIN
from engine.policy.grammar import NUMBER
from engine.policy.hints import did_you_mean
from engine.policy.model import Grants
from engine.policy.patterns.parse import OR
from engine.policy.price_books import DEFAULT_RATE, rates_by_unit
from engine.policy.price_changes import WrittenRow
from engine.policy.source import Items, Members, Node, Notes, Place, Scalar, named
from engine.policy.word_warnings import expressions_in

PERCENT_LEAST = Decimal(1)
"""So little of a charge, or less, is most likely meant as a share of 1."""

ROW_NAMED = re.compile(r"(?P<book>.+) (?P<at>[0-9]{4}-[0-9TZ:.-]*)(?: (?P<unit>.*))?")
"""How ``charge.price`` names a row and a rate: book, effective date, unit. A prefix may end anywhere behind the year."""

Named = re.Match[str]


def warn_of_terms(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note what is most likely not meant in rules and anomalies, and between them and the rest."""
    _warn_of_nobody_granting(values, policy, notes)
    for rule in _members(policy.get("rules")):
        _warn_of_percent(rule, notes)
        _warn_of_absent(rule, notes)
    for anomaly in _members(policy.get("anomalies")):
        _warn_of_rows(anomaly, values["prices"], notes)


def _members(node: Node | None) -> list[Members]:
    return [item for item in node.nodes if isinstance(item, Members)] if isinstance(node, Items) else []


def _warn_of_nobody_granting(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Where the application gives no credits, some event has to."""
    node = policy.get("grants")
    if node is None or values["grants"] != Grants.EVENTS:
        return
    if all(draft.action is not Action.GRANT for draft in values["rules"]):
        notes.warning(node.place, "no rule has `action: grant`: nobody but a person who adjusts balances can give credits")


def _warn_of_percent(rule: Members, notes: Notes) -> None:
    for key in (kind.key for kind in BY_ACTION.values()):
        terms = rule.get(key)
        node = terms.get("percent") if isinstance(terms, Members) else None
        if isinstance(node, Scalar) and NUMBER.fullmatch(node.text) and 0 < Decimal(node.text) <= PERCENT_LEAST:
            share = canonical(Decimal(node.text) * 100)
            notes.warning(node.place, f"is {node.text} percent; for {node.text} of the whole write {share}")


def _warn_of_absent(rule: Members, notes: Notes) -> None:
    """A rule that asks for events without a field cannot take a figure or a time from it."""
    absent = dict(_fields_without_value(rule.get("match"), ""))
    for terms in (node for key, node in rule.pairs if key.text != "match" and absent):
        for expression in expressions_in(terms, is_one=False):
            above = next((field for field in absent if f"{expression.text}.".startswith(f"{field}.")), None)
            if above is not None and PLAIN.fullmatch(expression.text):
                line = absent[above].line
                notes.warning(expression.place, f"these events have no {named(above)}: `match` says so in line {line}")


def _fields_without_value(node: Node | None, above: str) -> Iterator[tuple[str, Place]]:
    """Yield the fields that a pattern wants to be absent or null. Of alternatives (``$or``) nothing is known."""
    for key, value in node.pairs if isinstance(node, Members) else ():
        if isinstance(value, Members):
            yield from _fields_without_value(value, f"{above}{key.text}.")
        elif key.text != OR and isinstance(value, Items) and all(map(_is_without_value, value.nodes)):
            yield f"{above}{key.text}", key.place


def _is_without_value(test: Node) -> bool:
    exists = test.get("exists") if isinstance(test, Members) else None
    return (isinstance(test, Scalar) and test.is_empty) or (isinstance(exists, Scalar) and exists.text == "false")


# --- rows that anomalies name -----------------------------------------------------------------------------------------


def _warn_of_rows(anomaly: Members, prices: Mapping[str, Sequence[WrittenRow]], notes: Notes) -> None:
    """An anomaly that names a row says nothing of the rows that follow it, and nobody is told when one is added."""
    match = anomaly.get("match")
    for kind in PRICED:
        terms = match.get(kind.key) if isinstance(match, Members) else None
        components = terms.get("components") if isinstance(terms, Members) else None
        found = [*_rows_named(terms), *_rows_named(components)]
        for book in dict.fromkeys(named_row["book"] for _, named_row in found):
            _warn_of_book(book, [(node, row) for node, row in found if row["book"] == book], prices, kind.key, notes)


def _rows_named(terms: Node | None) -> Iterator[tuple[Scalar, Named]]:
    """Yield the texts, and the beginnings of texts, that name a row in what a pattern asks of a price."""
    tests = terms.get("price") if isinstance(terms, Members) else None
    for test in tests.nodes if isinstance(tests, Items) else ():
        node = test.get("prefix") if isinstance(test, Members) else test
        if isinstance(node, Scalar) and (row := ROW_NAMED.fullmatch(node.text)) is not None:
            yield node, row


def _warn_of_book(
    book: str, found: Sequence[tuple[Scalar, Named]], prices: Mapping[str, Sequence[WrittenRow]], key: str, notes: Notes
) -> None:
    if book not in prices:
        notes.warning(found[0][0].place, f"there is no price book {named(book)}{did_you_mean(book, prices)}")
        return
    for node, row in found:
        _warn_of_row(node, row, prices[book], notes)
    counting = _still_counting(prices[book])
    missed = [written for written in counting if not any(_names(row, written) for _, row in found)]
    if missed:
        since, line = instant_text(missed[0].row.effective), missed[0].node.place.line
        defaulted = f"; `{key}: {{defaulted: [true]}}` means every row" if _are_defaults(found) else ""
        notes.warning(found[-1][0].place, f"says nothing of the row in line {line}, which counts from {since} on{defaulted}")


def _warn_of_row(node: Scalar, row: Named, rows: Sequence[WrittenRow], notes: Notes) -> None:
    meant = [written for written in rows if _names(row, written)]
    if not meant:
        dates = ", ".join(instant_text(written.row.effective) for written in rows)
        notes.warning(node.place, f"there is no row of {named(row['book'])} from {row['at']} on; there are: {dates}")
    elif row["unit"] and not any(row["unit"] in dict(rates_by_unit(written.row.rates)) for written in meant):
        units = [unit for written in meant for unit, _ in rates_by_unit(written.row.rates)]
        notes.warning(node.place, f"that row has no rate {named(row['unit'])}{did_you_mean(row['unit'], units)}")


def _names(row: Named, written: WrittenRow) -> bool:
    at = instant_text(written.row.effective)
    return at == row["at"] if row["unit"] is not None else at.startswith(row["at"])


def _still_counting(rows: Sequence[WrittenRow]) -> Sequence[WrittenRow]:
    """Return the last row without an end, and those behind it: what counts once all of them have begun."""
    last = max((at for at, written in enumerate(rows) if written.row.until is None), default=0)
    return rows[last:]


def _are_defaults(found: Sequence[tuple[Scalar, Named]]) -> bool:
    return all((row["unit"] or "").split("/")[-1] == DEFAULT_RATE for _, row in found)
