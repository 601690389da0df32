"""The grammar of rules: a pattern, an action, and the terms of that action under the key of its kind of fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from engine.domain.built_in_anomalies import BUILT_IN_ANOMALIES
from engine.domain.fact_kinds import BY_ACTION, Action, FactKind
from engine.policy.event_patterns import EventPattern, Matcher
from engine.policy.grammar import WRONG, Key, Keys, Name, Word
from engine.policy.model import Rule
from engine.policy.price_books import PriceBook
from engine.policy.pricing import DraftHold, DraftTerms
from engine.policy.source import Members, Notes, Place
from engine.policy.terms import FlagTerms, Terms, terms_shape

REPEATS = "repeats"
"""Only a charge can be repeated: a refund counts by its instant, a purchase by its reference."""

TERMS_KEYS = tuple(kind.key for kind in BY_ACTION.values())


@frozen(eq=False, repr=False)
class DraftRule:
    """A rule whose terms are not linked to their price book yet: they are as ``terms_shape`` reads them."""

    name: str
    action: Action
    matcher: Matcher
    place: Place
    terms: Any
    ignores_repeats: bool

    @property
    def kind(self) -> FactKind:
        """The kind of fact that it contributes."""
        return BY_ACTION[self.action]

    def linked(self, books: Mapping[str, PriceBook]) -> Rule:
        """Return the rule with its price book."""
        matcher, place = self.matcher, self.place
        terms = _linked(self.terms, books)
        return Rule(
            self.name, self.action, matcher.matches, matcher.pattern, place.line, place.column, terms, self.ignores_repeats
        )


def _linked(terms: DraftHold | DraftTerms | Terms | str, books: Mapping[str, PriceBook]) -> Terms:
    match terms:
        case DraftTerms() | DraftHold():
            return terms.linked(books)
        case str():
            return FlagTerms(terms)
        case _:
            return terms


def _rule(values: Mapping[str, Any], node: Members, _notes: Notes) -> DraftRule:
    action = Action(values["action"])
    terms, ignores_repeats = values[BY_ACTION[action].key], values["repeats"] is not None
    return DraftRule(values["name"], action, values["match"], node.place, terms, ignores_repeats)


def _check_rule(values: Mapping[str, Any], rule: Members, notes: Notes) -> None:
    """What the terms of other actions would say has no meaning for this one."""
    action = values.get("action", WRONG)
    if action is WRONG:
        return
    needed = BY_ACTION[Action(action)].key
    for name in TERMS_KEYS:
        value = rule.get(name)
        if value is None and name == needed:
            notes.mistake(rule.place, f"a {action} rule needs `{name}`")
        if value is not None and name != needed:
            notes.mistake(value.place, f"`{name}` has no meaning in a {action} rule")
    repeats = rule.get(REPEATS)
    if repeats is not None and Action(action) is not Action.DEBIT:
        notes.mistake(repeats.place, f"`{REPEATS}` has no meaning in a {action} rule")


RULE = Keys(
    {
        "name": Key(Name(reserved=BUILT_IN_ANOMALIES)),
        "match": Key(EventPattern()),
        "action": Key(Word(tuple(Action))),
        REPEATS: Key(Word(("ignore",)), None),
        **{kind.key: Key(terms_shape(action), None) for action, kind in BY_ACTION.items()},
    },
    _rule,
    _check_rule,
)
