"""What can go wrong, and what each kind means for the event at hand.

``PolicyError``  the policy is wrong: nothing runs until it is mended.
``EventError``   the event makes no sense under the policy: sending it again will not help, so it must be kept and shown.
``LedgerError``  the store did not take the posting: nothing is half done, and the event must come back.
``CorrectionError``  a person's word makes no sense: nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Self

from attrs import frozen

from engine.domain.digits import in_digits


@frozen
class Mistake:
    """One thing that is wrong in a policy, and what would be right.

    ``path`` leads from the root of what was checked to the wrong value: mapping keys and list indices. ``line`` and
    ``column`` count from 1 and are known once the mistake has been placed in a file. ``subject`` is the key whose value
    the message is about, where the message does not name one.
    """

    message: str
    path: tuple[str | int, ...] = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    subject: str | None = None

    @property
    def sentence(self) -> str:
        """What is wrong, with the key that it is about."""
        return f"{self.subject} {self.message}" if self.subject else self.message

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{where}: {self.sentence}" if where else self.sentence
        return f"{text}\n{self.excerpt}" if self.excerpt else text


class PolicyError(ValueError):
    """A policy, or a part of one, that must not run. Carries every mistake that was found, in the order of the file.

    ``warnings`` are what is allowed but most likely not meant.
    """

    def __init__(self, mistakes: Iterable[Mistake], warnings: Iterable[Mistake] = ()) -> None:
        self.mistakes, self.warnings = tuple(mistakes), tuple(warnings)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))

    @classmethod
    def of(cls, message: str, *path: str | int) -> PolicyError:
        """Return the error of a single mistake at ``path``, not yet placed in a file."""
        return cls([Mistake(message, path)])

    @property
    def file(self) -> str | None:
        return self.mistakes[0].file

    @property
    def line(self) -> int | None:
        return self.mistakes[0].line

    @property
    def column(self) -> int | None:
        return self.mistakes[0].column


class EventError(ValueError):
    """An event that a rule matches but that makes no sense. It moved nothing and must not be dropped."""

    def __init__(self, event: str, rule: str, field: str, problem: str) -> None:
        self.event, self.rule, self.field, self.problem = event, rule, field, problem
        where = " ".join(field.split()) if "\n" in field else field  # an expression may be written on several lines
        super().__init__(f"event {event}, rule {rule}, field {where}: {problem}")


class NoRow(EventError):
    """The event can be told only with the row of its job, and Jobs has none. The row may come later."""


class Intricate(EventError):
    """An event whose arrays cannot be looked through within bounds, whatever a pattern asks of them.

    A pattern does not know whose event it looks at: who does tells it (``about``).
    """

    def __init__(self, event: str = "(unnamed)", rule: str = "(none)") -> None:
        problem = "its arrays are too many, or nested too deeply, for a pattern to look through them"
        super().__init__(event, rule, "event", problem)

    def about(self, event: str, rule: str | None = None) -> Intricate:
        """Return this error with the name of its event."""
        return Intricate(event, rule or self.rule)


class RowNeeded(Exception):
    """An ``expression`` of ``rule`` reads the row of ``job`` in Jobs, and that row has not been read yet.

    ``missing`` is what is wrong with the event where there is no such row.
    """

    expression: str = ""
    job: str = ""
    rule: str = ""
    missing: NoRow

    @classmethod
    def of_job(cls, job: str, missing: NoRow) -> Self:
        """Return what names the job whose row has to be read."""
        needed = cls()
        needed.expression, needed.job, needed.rule, needed.missing = missing.field, job, missing.rule, missing
        return needed


class LedgerError(RuntimeError):
    """The store refused a request or did not answer in time. Nothing is half done; the event must come back.

    Who raises it for an event says whose it is (``about``); until then the subject is not known.
    """

    event: str | None = None
    job: str | None = None
    user: str | None = None
    rule: str | None = None
    field: str | None = None

    def about(self, event: str | None, *, job: str | None, user: str | None, rule: str | None) -> Self:
        """Return this error with its subject, an error of its own: several events may have failed by one request."""
        known = {"event": event, "rule": rule, "job": job, "user": user}
        told = type(self).__new__(type(self))
        told.__dict__.update(self.__dict__)
        told.args = (", ".join(f"{name} {_plain(value)}" for name, value in known.items() if value is not None) + f": {self}",)
        told.__dict__.update(known)
        told.__cause__ = self
        return told


def _plain(name: str) -> str:
    """Return the name of an event, a job or a user as a terminal shows it: it may hold what one would obey."""
    return name if name.isprintable() else shown(name)


class LedgerUnavailable(LedgerError):
    """The store did not take the request before the deadline. Sending the event again will help."""


class TimeIsUp(LedgerUnavailable):
    """The store answered all along; the time ended before the work. Sending the event again will help."""


class LedgerRefused(LedgerError):
    """The store refuses this very request, whenever it is sent: a person has to look. ``field`` is what is wrong.

    ``is_of_an_item`` says that it is an item of the event's own (its entry, its user's balance, its job's row), and no table
    and no permission.
    """

    def __init__(self, problem: str, field: str | None = None, *, is_of_an_item: bool = False) -> None:
        super().__init__(problem)
        self.field, self.is_of_an_item = field, is_of_an_item


class NoOpenAnomaly(LookupError):
    """A person resolves an anomaly, and there is none that is open."""


class CorrectionError(ValueError):
    """A person's word that makes no sense of a log, or that nobody may say. Nothing moved; said again it is refused again."""

    def __init__(self, reference: str, problem: str) -> None:
        super().__init__(f"{_plain(reference)} {problem}")
        self.reference = reference


class QueueError(RuntimeError):
    """A queue refused a request or did not answer. What was not deleted is still in it."""


SHOWN_CHARACTERS_MAX = 80


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, not too long, with nothing that a terminal would obey."""
    try:
        text = "missing" if value is None else ascii(_in_digits(value))
    except ValueError:  # Python writes out no whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[: SHOWN_CHARACTERS_MAX - 3]}..."


def quoted(value: object) -> str:
    """Return a value of an event, or of a row, as a message may quote it: of an object or a list only what it is.

    A policy asks for one value, and a person has to see what stands in its place. What else a producer puts there with it (a
    name, an address, a prompt) nobody has asked for, and logs are kept for a year.
    """
    if isinstance(value, Mapping):
        return f"an object with {len(value)} member{'s' * (len(value) != 1)}"
    if isinstance(value, list | tuple):
        return f"a list with {len(value)} element{'s' * (len(value) != 1)}"
    return shown(value)


class _Digits(str):
    """Digits that stand in a message as they are, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _in_digits(value: Any, levels: int = SHOWN_CHARACTERS_MAX) -> Any:
    """Return a value with the numbers in it in plain digits; what lies deeper than a message can show stays as it is."""
    if isinstance(value, float | Decimal):
        return _number_in_digits(value)
    if not levels:
        return value
    if value.__class__ is dict:
        return {name: _in_digits(member, levels - 1) for name, member in value.items()}
    return [_in_digits(element, levels - 1) for element in value] if value.__class__ is list else value


def _number_in_digits(value: float | Decimal) -> Any:
    """Of what is no number, or longer than a message, Python's own text tells more."""
    number = Decimal(repr(value)) if isinstance(value, float) else value
    is_short = number.is_finite() and abs(number.adjusted()) < SHOWN_CHARACTERS_MAX
    return _Digits(in_digits(number)) if is_short else _Digits(value)
