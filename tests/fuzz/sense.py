"""Whether an event makes sense under the example policy, and what it costs: written from the design's rules alone.

Nothing of the engine is imported. Amounts are fractions, instants are seconds since 1970 as fractions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import Factory, define, frozen

from tests.fuzz.matcher import matches

TIME = re.compile(
    r"(?P<y>[0-9]{4})(?P<dash>-?)(?P<m>[0-9]{2})(?P=dash)(?P<d>[0-9]{2})T(?P<H>[0-9]{2})"
    r"(?:(?P<colon>:?)(?P<M>[0-9]{2})(?:(?P=colon)(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]+))?)?)?"
    r"(?:Z|(?P<sign>[+-])(?P<oh>[0-9]{2})(?::?(?P<om>[0-9]{2}))?)"
)
MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAY = 24 * 60 * 60
FIRST_PRICE = "2025-01-01T00:00:00Z"
RENDERED = {"source": ["video.generation"], "detail-type": ["video.rendered"]}
FAILED = {"source": ["video.generation"], "detail-type": ["video.failed"]}
TEST_RENDER = {"detail": {"jobId": [{"prefix": "test-"}]}}
RATES = {"premium": Fraction(1, 4)}
DEFAULT_RATE = Fraction(1, 10)
PLACES = 10**4


def seconds_of(text: object) -> Fraction | None:
    """Return an ISO 8601 instant with a zone in seconds since 1970, cut off below a microsecond; None for anything else."""
    if not isinstance(text, str) or (found := TIME.fullmatch(text)) is None:
        return None
    if found["colon"] is not None and bool(found["colon"]) is not bool(found["dash"]):
        return None
    year, month, day, hour = (int(found[name]) for name in "ymdH")
    minute, second, off_hour, off_minute = (int(found[name] or 0) for name in ("M", "S", "oh", "om"))
    if not (year and 1 <= month <= 12 and 1 <= day <= _days(year, month) and hour < 24 and off_hour < 24):
        return None
    if max(minute, second, off_minute) > 59:
        return None
    whole = _days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second
    whole -= (off_hour * 3600 + off_minute * 60) * (-1 if found["sign"] == "-" else 1)
    fraction = Fraction(int((found["f"] or "0")[:6].ljust(6, "0")), 10**6)
    in_calendar = _days_since_1970(1, 1, 1) * DAY <= whole < _days_since_1970(10_000, 1, 1) * DAY
    return whole + fraction if in_calendar else None


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else MONTHS[month - 1]


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_since_1970(year: int, month: int, day: int) -> int:
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400
    return before * 365 + leaps + sum(_days(year, one) for one in range(1, month)) + day - 1 - 719_162


def number_of(value: object) -> Fraction | None:
    """Return a quantity: a finite JSON number >= 0 or a plain decimal text, of at most 38 digits written out."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    text = repr(value) if isinstance(value, float) else str(value) if not isinstance(value, int) else _long(value)
    found = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", text.removeprefix("-"), re.ASCII)
    if found is None or (isinstance(value, str) and (found[3] or text.startswith("-"))):
        return None
    digits, places = f"{found[1]}{found[2] or ''}", len(found[2] or "") - int(found[3] or 0)
    stripped = digits.rstrip("0")
    if not stripped.strip("0"):
        return Fraction(0)
    places -= len(digits) - len(stripped)
    wide = max(len(stripped.lstrip("0")) - places, 0) + max(places, 0)
    if text.startswith("-") or wide > 38:
        return None
    return Fraction(int(stripped)) / 10**places if places >= 0 else Fraction(int(stripped)) * 10**-places


def _long(value: int) -> str:
    return str(value) if abs(value) < 10**60 else f"{'-' * (value < 0)}{'9' * 60}"


def is_name(value: object, room: int) -> bool:
    """Say whether a job or a user can be called so."""
    if not isinstance(value, str) or not 1 <= len(value) <= 1024:
        return False
    return all(unicodedata.category(sign) not in {"Cc", "Cs"} for sign in value) and len(value.encode()) <= room


def is_kept(value: object) -> bool:
    """Say whether an entry can keep a text."""
    return isinstance(value, str) and len(value) <= 1024 and not any(0xD800 <= ord(sign) <= 0xDFFF for sign in value)


@frozen
class Told:
    """A fact of a job: a charge (``amount``) or a refund (None) at an instant. ``is_only_flagged``: no fact at all."""

    job: str
    user: str
    at: Fraction
    amount: Fraction | None = None
    is_only_flagged: bool = False


def told_by(document: Any, now: str) -> Told | str:
    """Return what an event tells, or ``ignored``, or ``senseless``."""
    if not isinstance(document, Mapping) or not all(isinstance(document.get(name), str) for name in ("source", "detail-type")):
        return "senseless"
    is_charge, is_refund = matches(RENDERED, document), matches(FAILED, document)
    if not (is_charge or is_refund or matches(TEST_RENDER, document)):
        return "ignored"
    detail = document.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    job, user, at = detail.get("jobId"), detail.get("userId"), seconds_of(document.get("time"))
    name = document.get("id")
    latest = seconds_of(now)
    assert latest is not None
    if not is_name(job, 2044) or not is_name(user, 2048) or at is None or at > latest + 3600:
        return "senseless"
    if isinstance(name, str) and not is_kept(name):
        return "senseless"
    if not is_charge:
        return Told(str(job), str(user), at, None, not is_refund)
    return _charge(Told(str(job), str(user), at), detail)


def _charge(told: Told, detail: Mapping[str, Any]) -> Told | str:
    quantity, model, first = number_of(detail.get("seconds")), detail.get("model"), seconds_of(FIRST_PRICE)
    assert first is not None
    if quantity is None or not is_kept(model) or told.at < first:
        return "senseless"
    cost = min(max(RATES.get(str(model), DEFAULT_RATE) * quantity, Fraction(1, 100)), Fraction(500))
    return Told(told.job, told.user, told.at, Fraction(round(cost * PLACES), PLACES))


@define
class Books:
    """What some events come to: who owns which job, and what each user's balance moves by."""

    owners: dict[str, str]
    """Whose each job is, by its row."""
    known_users: frozenset[str]
    """Who has a row in Credits; what moves credits of anybody else makes no sense."""
    facts: dict[str, list[Told]] = Factory(dict)

    def take(self, told: Told | str) -> bool:
        """Take what an event tells; say whether it makes sense. A job's first event says whose it is, unless its row does."""
        if isinstance(told, str):
            return told == "ignored"
        before = self.facts.get(told.job, [])
        moves = desired(before) != desired([*before, told])
        if self.owners.get(told.job, told.user) != told.user or (moves and told.user not in self.known_users):
            return False
        self.owners[told.job] = told.user
        self.facts[told.job] = [*before, told]
        return True

    def moved(self) -> dict[str, Fraction]:
        """Return by how much each user's balance moves."""
        moved: dict[str, Fraction] = {}
        for job, facts in self.facts.items():
            user = self.owners[job]
            moved[user] = moved.get(user, Fraction(0)) - desired(facts)
        return {user: amount for user, amount in moved.items() if amount}


def desired(facts: Iterable[Told]) -> Fraction:
    """Return what a job should cost: its latest charge, of one instant the smallest; nothing once it is refunded."""
    known = [one for one in facts if not one.is_only_flagged]
    charges = [one for one in known if one.amount is not None]
    if not charges:
        return Fraction(0)
    latest = max(one.at for one in charges)
    if any(one.amount is None and one.at >= latest for one in known):
        return Fraction(0)
    return min(one.amount for one in charges if one.at == latest and one.amount is not None)
