"""Whether an event says what a known fact says. Pure.

An event says the same as a fact if it answers the expressions *kept with the fact* as the fact does, whatever today's policy
asks. So what is known stays known, and keeps the amount of its first telling, however often prices and selectors change.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from engine.domain.envelope import Document, Source
from engine.domain.errors import PolicyError, RowNeeded
from engine.domain.fact import TOLD_BY, Charge, Claim, Content, Grant, Hold
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.joins import ignores_repeats
from engine.domain.money import PLAIN_DECIMAL, canonical, read_number
from engine.policy.expressions import OWN_ROW
from engine.policy.expressions.paths import ROW, Path, PathProblem, compile_path

if TYPE_CHECKING:
    from engine.policy.model import Rule


DIGITS_OF_A_DOUBLE = 17


def needs_row(path: Path, document: Document) -> bool:
    """Say whether an event answers an expression only with the job's own row."""
    if OWN_ROW not in path.text:
        return False
    from engine.policy.expressions.event_and_row import EventAndRow  # noqa: PLC0415  few facts rest on the row

    try:
        path.search(EventAndRow(document, None))
    except RowNeeded:
        return True
    except PathProblem:
        return False
    return False


def known_by(event: str, facts: Facts) -> Facts:
    """Return facts that are known again by the id of their event: their time was read from a row, which may change."""
    said = (TOLD_BY, event)
    return evolve(
        facts,
        charges=tuple(evolve(charge, content=(said, *charge.content)) for charge in facts.charges),
        refunds=tuple(evolve(refund, content=(said, *refund.content)) for refund in facts.refunds),
        holds=tuple(evolve(hold, content=(said, *hold.content)) for hold in facts.holds),
        revokes=tuple(evolve(revoke, content=(said, *revoke.content)) for revoke in facts.revokes),
    )


@frozen
class Telling:
    """What one event tells: its facts under today's policy, and the event itself, to be asked what an older policy asked.

    ``row_attributes`` are those of the row of Jobs that were read (None: all of them), where the event was made from a row.
    """

    facts: Facts
    document: Document
    source: Source
    row_attributes: frozenset[str] | None = None
    time_is_assumed: bool = False
    attempt: int = 0
    rule: str = ""
    rules: tuple[Rule, ...] = ()
    """The rule by which it is told, and all that there are today."""

    def says(self, content: Content, asked: Content) -> bool:
        """Say whether the event answers the expressions of ``content`` as they were answered; ``asked`` are today's answers.

        An expression about attributes of a row that were not read says nothing. What the job's own row has answered (``row``)
        is fixed: it may change between two tellings of one event.
        """
        today = dict(asked)
        return all(
            today.get(expression) == text or any(_are_one(text, answer) for answer in self._answers(expression, text))
            for expression, text in content
        )

    def finds_another_row(self, content: Content, asked: Content) -> bool:
        """Say whether the job's own row answers today (``asked``) something else than it did for ``content``."""
        today = dict(asked)
        return any(today.get(expression, text) != text and self._reads_row(expression) for expression, text in content)

    def first_charges(self, known: tuple[Charge, ...], new: tuple[Charge, ...]) -> tuple[Charge, ...]:
        """Return the new charges, each that is known as it was first told, or where repeats are ignored first happened."""
        if not ignores_repeats(known) and not ignores_repeats(new):
            return self.first_told(known, new)
        return tuple(self._first_charge(known, charge) for charge in new)

    def _first_charge(self, known: tuple[Charge, ...], new: Charge) -> Charge:
        candidates = [old for old in known if self._is_repeated(old, new)]
        if not candidates:
            return new
        old = min(candidates, key=lambda old: _distance(old, new))
        if not old.once and new.once:  # since the first telling the rule has come to ignore repeats
            return evolve(old, at=min(old.at, new.at), once=new.once)
        if new.at >= old.at or not old.once or self.is_its_event(old.content):
            return old
        is_of_policy = old.policy == new.policy and not old.revision
        may_cost_otherwise = is_of_policy and not self.finds_another_row(old.content, new.content)
        amount = new.amount if may_cost_otherwise else old.amount  # another price may have been in force then
        return evolve(old, amount=amount, at=new.at)

    def _is_repeated(self, old: Charge, new: Charge) -> bool:
        """Say whether the new charge is the old one, told again at whatever instant where repeats of either are ignored.

        Under one policy a rule that ignores repeats and any other rule tell different charges, whatever the order. After an
        edit of the policy what was told before must not be told anew: at its own moment whatever is asked today; at another
        both must have asked the same, where the rule's name does not show it.
        """
        if not (old.once or new.once):
            return self._is_told(old, new)
        is_edited = _is_of_another_policy(old, new)
        is_one_moment = old.at == new.at or self.is_its_event(old.content)
        if old.once == self.rule or (is_edited and is_one_moment):
            return self.says(old.content, new.content)
        is_of_no_other_rule = all(rule.name != old.once for rule in self.rules)
        if not is_edited or not is_of_no_other_rule or _asked(old.content) != _asked(new.content):
            return False
        return self.says(old.content, new.content) and (bool(old.content) or old.amount == new.amount)

    def first_told[T: (Charge, Grant, Hold)](self, known: tuple[T, ...], new: tuple[T, ...]) -> tuple[T, ...]:
        """Return the new claims, each that is known in the words of its first telling."""
        return tuple(next((old for old in known if self._is_told(old, claim)), claim) for claim in new)

    def _is_told(self, old: Claim, new: Claim) -> bool:
        """One policy prices one event but once, so under one policy different amounts are different events.

        That is, unless the job's own row, or the event's time that was read from it, has changed the price since.
        """
        is_its_event = self.is_its_event(old.content)
        is_one_moment = isinstance(old, Grant) or old.at == new.at or is_its_event
        is_one_price = _is_of_another_policy(old, new) or old.amount == new.amount or is_its_event
        is_told = is_one_moment and self.says(old.content, new.content)
        return is_told and (is_one_price or self.finds_another_row(old.content, new.content))

    def is_its_event(self, content: Content) -> bool:
        """Say whether this very event has told a fact whose time was read from the job's own row: the time may have moved."""
        told_by = dict(content).get(TOLD_BY)
        return told_by is not None and told_by == self.document.get("id")

    def _reads_row(self, expression: str) -> bool:
        """Say whether the event answers an expression only with the job's own row, as that was at the first telling."""
        if self.time_is_assumed or OWN_ROW not in expression:
            return False
        path = self._path(expression)
        return path is not None and needs_row(path, self.document)

    def _asked(self, path: Path) -> Any:
        """Return what the event answers. Raises PathProblem, and RowNeeded where only the job's own row can tell.

        A weak fact is what a row says at each scan anew, so that there the row is asked.
        """
        if OWN_ROW not in path.text:
            return path.search(self.document)
        from engine.policy.expressions.event_and_row import EventAndRow  # noqa: PLC0415  few facts rest on the row

        return path.search(EventAndRow(self.document, self.document.get(ROW) if self.time_is_assumed else None))

    def _answers(self, expression: str, text: str) -> tuple[str, ...]:
        """Return what the event answers, as text and as a number; ``text`` itself where it cannot be asked."""
        path = self._path(expression)
        if path is None or not self._was_read(path):
            return (text,)
        try:
            value = self._asked(path)
            return (*((value,) if isinstance(value, str) else ()), canonical(read_number(value)))
        except RowNeeded:
            return (text,)
        except PathProblem:
            return ()
        except ValueError:
            return (value,) if isinstance(value, str) else ()

    def _path(self, expression: str) -> Path | None:
        """Return a kept expression; today's own is compiled already, and needs no library."""
        todays = (path for rule in self.rules for path in rule.terms.paths() if path.text == expression)
        return next(todays, None) or _path(expression)

    def _was_read(self, path: Path) -> bool:
        if self.source is not Source.SCAN or self.row_attributes is None:
            return True
        attributes = path.row_attributes()
        return attributes is not None and attributes <= self.row_attributes and self._own_row_was_read(path)

    def _own_row_was_read(self, path: Path) -> bool:
        if OWN_ROW not in path.text or self.row_attributes is None:
            return True
        from engine.policy.expressions.own_row import own_row_attributes  # noqa: PLC0415  few facts rest on the row

        attributes = own_row_attributes(path)
        return attributes is not None and attributes <= self.row_attributes


def _is_of_another_policy(old: Claim, new: Claim) -> bool:
    """Say whether the known one may have been told under another policy: one that was priced anew names only its last."""
    return old.policy != new.policy or (isinstance(old, Charge) and old.revision > 0)


def _distance(old: Charge, new: Charge) -> tuple[bool, bool, bool]:
    """Return how far a known charge is from a repeat that says what it said: an edit may ask so little that it says several.

    A charge that happened before comes first: what is told again must not move any other.
    """
    return old.at > new.at, old.once != new.once or _asked(old.content) != _asked(new.content), not old.once


def _asked(content: Content) -> frozenset[str]:
    """Return the expressions that a fact's policy asked of its event."""
    return frozenset(expression for expression, _ in content)


def _are_one(kept: str, answer: str) -> bool:
    """Say whether two texts are one: the same instant, say, in another zone.

    Earlier versions kept more digits of a number than a binary double has.
    """
    if kept == answer:
        return True
    if not PLAIN_DECIMAL.fullmatch(kept):
        return (instant := read_instant(kept)) is not None and instant == read_instant(answer)
    has_more_digits = len(kept) > DIGITS_OF_A_DOUBLE and PLAIN_DECIMAL.fullmatch(answer) is not None
    return has_more_digits and float(kept) == float(answer)


@functools.lru_cache(maxsize=1024)
def _path(expression: str) -> Path | None:
    """Return a kept expression, compiled; None for one that today's language does not have."""
    try:
        return compile_path(expression)
    except PolicyError:
        return None
