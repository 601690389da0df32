"""What the parts of a policy say of each other, each of which is fine by itself: names, price books, what takes what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.domain.fact_kinds import BY_ACTION
from engine.domain.references import JOB
from engine.policy.expressions.own_row import own_row_attributes
from engine.policy.expressions.paths import Path
from engine.policy.grammar import WRONG
from engine.policy.hints import did_you_mean
from engine.policy.hold_warnings import warn_of_holds
from engine.policy.outside_warnings import warn_of_outside, warn_of_own_events
from engine.policy.patterns import Pattern, required_values
from engine.policy.patterns.cover import Extent
from engine.policy.price_rows import AMOUNT
from engine.policy.rate_warnings import warn_of_rates
from engine.policy.rules import DraftRule
from engine.policy.source import Items, Members, Node, Notes, Place, Scalar, named
from engine.policy.term_warnings import warn_of_terms
from engine.policy.word_warnings import warn_of_words

PAIRS_MAX = 50_000
"""How many pairs of rules (of their combinations of ``$or``, if they have any) are compared: all of them up to 316 rules."""


def check_policy(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note what the parts of a policy say of each other that cannot be."""
    _check_names(policy, notes)
    for terms in _terms(policy):
        _check_places(terms, values["money"], notes)
        for priced in _with_components(terms):
            _check_book(priced, policy.get("prices"), notes)
    _check_reference(policy, notes)
    _check_own_row(values, policy, notes)
    _check_prices_used(policy, notes)
    if values.get("rules", WRONG) is not WRONG:
        _check_reachable(values["rules"], notes)
        _check_catch_ups(values, policy, notes)
    _check_ignored(values, policy, notes)
    if not notes.mistakes and {"rules", "event"} <= values.keys():
        for warn in WARNINGS:
            warn(values, policy, notes)


WARNINGS = (warn_of_rates, warn_of_terms, warn_of_holds, warn_of_outside, warn_of_own_events, warn_of_words)
"""What is most likely not meant. They look only at a policy in which nothing is wrong so far."""


def _check_reachable(drafts: Sequence[DraftRule], notes: Notes) -> None:
    """Of the rules that decide, the first that matches counts: one whose events an earlier one takes can never decide."""
    deciding = [draft for draft in drafts if draft.kind.decides]
    extents = [Extent(draft.matcher.matches.parsed) for draft in deciding]
    effort = 0
    for later, earlier in _with_earlier(len(deciding)):
        effort += extents[earlier].effort(extents[later])
        if effort > PAIRS_MAX:
            return
        if extents[earlier].covers(extents[later]):
            taken_by, rule = deciding[earlier], deciding[later]
            line = taken_by.place.line
            notes.mistake(rule.place, f"never decides: {named(taken_by.name)} in line {line} takes all its events first")


def _with_earlier(count: int) -> Iterator[tuple[int, int]]:
    """Yield each position with each one before it."""
    return ((later, earlier) for later in range(count) for earlier in range(later))


def _check_catch_ups(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """A row that no rule takes, or that an earlier part has taken, would never be charged, and nobody would know."""
    if values["catch_up"] is WRONG:
        return
    patterns = [draft.matcher.matches.parsed for draft in values["rules"] if draft.kind.decides]
    seen: list[Extent] = []
    for catch_up, node in zip(values["catch_up"], _mappings(policy.get("catch_up")), strict=True):
        extent = Extent(catch_up.matches.parsed)
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
            notes.mistake(node.place, f"`{key.text}` {value:f} has more than the {money.places} places of `money`")


def _check_reference(policy: Members, notes: Notes) -> None:
    """A grant is made once for each reference, so the policy must say where that is."""
    event = policy.get("event")
    if not isinstance(event, Members) or event.get("reference"):
        return
    with_reference = [action for action, kind in BY_ACTION.items() if kind.log != JOB]
    for rule in _mappings(policy.get("rules")):
        action = rule.get("action")
        if isinstance(action, Scalar) and action.text in with_reference:
            notes.mistake(rule.place, f"a {action.text} rule needs `event.reference`, the JMESPath of the purchase's id")


def _check_own_row(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """The job names the row that `row` is, and some expressions are not asked beside it."""
    event = policy.get("event")
    job = event.get("job") if isinstance(event, Members) else None
    if job is not None and values["event"] is not WRONG and _reads_own_row(values["event"]["job"]):
        notes.mistake(job.place, "reads `row`, the row of the job in Jobs; the event itself has to say which job it is")
    for catch_up, node in zip(_read(values["catch_up"]), _mappings(policy.get("catch_up")), strict=False):
        if _reads_own_row(catch_up.time):
            notes.warning(node.place, f"looks for {named(catch_up.time.text)} in the row itself; leave out `row.`")
    for rule, node in zip(_read(values["anomalies"]), _mappings(policy.get("anomalies")), strict=False):
        paths = rule.detector.paths() if rule.detector is not None else ()
        for path in (path for path in paths if _reads_own_row(path)):
            notes.warning(node.place, f"{named(path.text)} finds nothing: anomalies see the event and `charge`, and no `row`")


def _read(parts: Any) -> Sequence[Any]:
    return () if parts is WRONG else parts


def _reads_own_row(path: Path) -> bool:
    return own_row_attributes(path) != frozenset()


def _check_prices_used(policy: Members, notes: Notes) -> None:
    prices = policy.get("prices")
    priced = [each for terms in _terms(policy) for each in _with_components(terms)]
    used = {book.text for each in priced if isinstance(book := each.get("price"), Scalar)}
    for key, _ in prices.pairs if isinstance(prices, Members) else ():
        if key.text not in used:
            notes.warning(key.place, f"no rule uses the price book {named(key.text)}")


def _terms(policy: Members) -> Iterator[Members]:
    for rule in _mappings(policy.get("rules")):
        for kind in BY_ACTION.values():
            terms = rule.get(kind.key)
            if isinstance(terms, Members):
                yield terms


def _with_components(terms: Members) -> list[Members]:
    """Return a charge or a grant, and its components: each may name a price book."""
    return [terms, *_mappings(terms.get("components"))]


def _mappings(node: Node | None) -> list[Members]:
    return [item for item in node.nodes if isinstance(item, Members)] if isinstance(node, Items) else []
