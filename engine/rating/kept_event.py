"""What a charge has kept of its event, as something that another policy can ask. Pure.

A ledger keeps no events. With each charge it keeps the expressions that its policy asked, and what they found. That answers
those very expressions for ever, and any other that looks at nothing else. What looks further is told so: never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NoReturn, Self

from attrs import evolve

from engine.domain.fact import TOLD_BY, Claim, Content, Refund, Revoke
from engine.domain.instants import instant_text
from engine.domain.money import PLAIN_DECIMAL
from engine.policy.charges import ChargeTerms
from engine.policy.expressions.paths import PLAIN, Path
from engine.policy.price_books import PriceBook, PriceRow
from engine.policy.shares import Share


class NotKept(LookupError):
    """An expression looks at something that was not kept with the charge."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        super().__init__(f"`{expression}` was not kept")


class KeptEvent(dict[str, Any]):
    """A part of an event: the members that are known. Whoever looks for another, or at all of them, gets NotKept."""

    __slots__ = ("place",)

    def __init__(self, place: str = "") -> None:
        super().__init__()
        self.place = place

    def get(self, name: str, otherwise: object = None) -> Any:
        """Return a member that is known; there is no other answer."""
        del otherwise
        return dict.__getitem__(self, name) if dict.__contains__(self, name) else self._unknown(name)

    __getitem__ = get

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or self._unknown(str(name))

    def _unknown(self, name: str = "") -> NoReturn:
        raise NotKept(f"{self.place}.{name}".strip(".") if name or self.place else "@")

    def _whole(self, *_: object) -> NoReturn:
        self._unknown()

    __iter__ = keys = values = items = copy = _whole

    def part(self, name: str) -> KeptEvent | None:
        """Return the object that is this member, a new one where nothing of it was known; None where it is none."""
        if not dict.__contains__(self, name):
            dict.__setitem__(self, name, KeptEvent(f"{self.place}.{name}".strip(".")))
        found = dict.__getitem__(self, name)
        return found if isinstance(found, KeptEvent) else None


class Kept(KeptEvent):
    """All that a charge has kept: its answers by their expressions, and the event as far as these show it.

    Of a text in digits nobody knows whether the event had a number there: those of ``numbers`` are read as numbers.
    """

    __slots__ = ("answers",)

    @classmethod
    def of(cls, fact: Claim | Refund | Revoke, time: str, numbers: frozenset[str] = frozenset()) -> Self:
        """Return what a charge has kept, say. ``time`` is the expression by which today's policy finds an event's time."""
        event = cls()
        event.answers = {time: instant_text(fact.at)}
        event.answers |= {asked: _read(text, is_number=asked in numbers) for asked, text in said_by(fact.content)}
        for asked, _ in said_by(fact.content):
            event.put(asked, event.answers[asked])
        return event

    answers: dict[str, Any]

    def answer(self, path: Path) -> Any:
        """Return what the event would have answered. Raises NotKept, and PathProblem as any event does."""
        return self.answers[path.text] if path.text in self.answers else path.search(self)

    def put(self, asked: str, value: object) -> None:
        """Let the event say so where a plain path found it."""
        if not PLAIN.fullmatch(asked):
            return
        *above, name = asked.split(".")
        place: KeptEvent | None = self
        for each in above:
            place = place.part(each) if place is not None else None
        if place is not None and not dict.__contains__(place, name):
            dict.__setitem__(place, name, value)


def said_by(content: Content) -> Iterator[tuple[str, str]]:
    """Yield what an event has answered; not the id of the event itself."""
    return ((asked, text) for asked, text in content if asked != TOLD_BY)


def digits_in(content: Content) -> tuple[str, ...]:
    """Return the expressions whose answers are digits: the event may have had a number there, or a text."""
    return tuple(asked for asked, text in said_by(content) if PLAIN_DECIMAL.fullmatch(text))


def leaves_of(content: Content) -> Mapping[str, tuple[object, ...]]:
    """Return the values that patterns may find, by their dotted names: of digits both, the text and the number.

    What the job's own row has answered no pattern sees.
    """
    plain = ((asked, text) for asked, text in said_by(content) if PLAIN.fullmatch(asked) and not asked.startswith("row."))
    return {asked: (text, Decimal(text)) if PLAIN_DECIMAL.fullmatch(text) else (text,) for asked, text in plain}


def _read(text: str, *, is_number: bool) -> object:
    return Decimal(text) if is_number else text


# --- terms that ask it ------------------------------------------------------------------------------------------------


def asking(terms: ChargeTerms) -> ChargeTerms:
    """Return terms whose expressions are asked of a ``Kept`` event: each by its text first, else of what is known."""
    return evolve(
        terms,
        quantity=_asked(terms.quantity) if terms.quantity else None,
        priced_at=_asked(terms.priced_at) if terms.priced_at else None,
        book=_book(terms.book) if terms.book else None,
        components=tuple(map(asking, terms.components)),
    )


def share_asking(share: Share) -> Share:
    """Return how much goes back, asked of a ``Kept`` event likewise."""
    asked = (_asked(said) if isinstance(said, Path) else said for said in (share.percent, share.amount))
    return Share(*asked)


def _book(book: PriceBook) -> PriceBook:
    return evolve(book, rows=tuple(map(_row, book.rows)))


def _row(row: PriceRow) -> PriceRow:
    return evolve(row, by=tuple(map(_asked, row.by)))


def _asked(path: Path) -> Path:
    return Path(path.text, lambda event: event.answer(path))
