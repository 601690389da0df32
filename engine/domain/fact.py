"""The single facts: what one event, one row of Jobs or one person has told of a job or a grant, each as it was first told.

How facts of a kind join, and which of them count, stands in ``domain.facts``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.money import EXACT, ZERO

Content = tuple[tuple[str, str], ...]
"""What an event said: each expression that was asked, and the text of what it found."""

TOLD_BY = "#event"
"""Where a content has no expression but the id of the event that has told it: its time was read from the job's own row."""


END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@frozen
class Charge:
    """The fact "this job's work was done at ``at`` and costs ``amount``" (credits, >= 0).

    ``amount`` is fixed when the charge is first told, by ``policy`` (its identity). ``content`` is what the event said.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""
    once: str = ""
    """The rule that told it, if that ignores repeats: of one content the earliest counts. Else each instant is news."""
    revision: int = 0
    """How often a person has priced it anew. Of one content the highest revision counts; the event itself tells the 0th."""
    attempt: int = 0
    """Which try of the job it is of, where the policy numbers them."""

    def is_one_with(self, other: Charge) -> bool:
        """Say whether both are one charge, told at two instants perhaps, of which repeats are ignored."""
        one, two = ((each.attempt, each.amount, each.content, each.policy) for each in (self, other))
        return bool(self.once or other.once) and one == two


@frozen
class Hold:
    """The fact "``amount`` credits (>= 0) were reserved at ``at``, before an attempt's work began, until ``expires_at``".

    It is a provisional charge: whatever else is known of its attempt decides over it. ``amount`` and ``expires_at`` are fixed
    when it is first told, by ``policy``.
    """

    amount: Decimal
    at: datetime
    expires_at: datetime
    content: Content = ()
    policy: str = ""
    attempt: int = 0

    def moved(self, at: datetime) -> Hold:
        """Return the same hold at another instant, for as long."""
        return evolve(self, at=at, expires_at=until(at, self.expires_at - self.at))


@frozen
class Expiry:
    """The fact "by ``at`` the hold of an attempt had expired, and no more was known of that": the scheduled run tells it."""

    at: datetime
    attempt: int = 0


@frozen
class Grant:
    """The fact "``amount`` credits were bought or given at ``at``" (>= 0), fixed when it is first told, by ``policy``.

    A grant is made once, so its instant plays no part in what counts.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""


@frozen
class Refund:
    """The fact "this job failed at ``at``, and so much of its charge goes back", first told by ``rule``.

    That is ``percent`` of it (0 to 100), or an ``amount`` of credits (>= 0), as the policy of the first telling says; one of
    the two is None. ``content`` is what the event said, where it says the number itself. Nothing goes back where the charge is
    older than ``within`` (None: however old it is).
    """

    percent: Decimal | None
    at: datetime
    within: timedelta | None = None
    policy: str = ""
    rule: str = ""
    """Empty in entries of the first form, which kept one refund an instant."""
    amount: Decimal | None = None
    content: Content = ()
    attempt: int = 0
    """Which try of the job has failed. It takes back what the tries before it were charged, where it has no charge itself."""

    def is_in_time_for(self, charge: Charge) -> bool:
        """Say whether something of a charge goes back: the charge is not later, and not older than the window.

        What an earlier attempt was charged came first, whatever the clocks say.
        """
        age = self.at - charge.at
        is_after = self.attempt > charge.attempt or age >= timedelta(0)
        return is_after and (self.within is None or age <= self.within)

    def is_told_by(self, other: Refund) -> bool:
        """Say whether ``other`` is of this instant and rule: it tells this refund again, if it says what this one says."""
        return self.at == other.at and self.rule in {"", other.rule}

    def gives(self, charge: Charge) -> Decimal:
        """Return how many credits of a charge go back, unrounded: never more than it cost."""
        return part_of(charge.amount, self.percent, self.amount)


@frozen
class Revoke:
    """The fact "by ``at`` so much of this grant was taken back, in all, for the reason ``series``", first told by ``policy``.

    That is ``percent`` of it (0 to 100) or an ``amount`` of credits (>= 0); one of the two is None. It is told anew with each
    step: of a series the latest counts, and 0 gives back what the series has taken. What several series take adds up.
    """

    percent: Decimal | None
    amount: Decimal | None
    at: datetime
    series: str
    content: Content = ()
    policy: str = ""

    def takes(self, grant: Grant) -> Decimal:
        """Return how many credits of a grant it takes back, unrounded: never more than it gave."""
        return part_of(grant.amount, self.percent, self.amount)


@frozen
class Adjustment:
    """A person's word, told once under ``id``: so many credits are given (or, of a user alone, taken: below 0).

    On a job's log it is a concession: the job costs so much less (``amount`` > 0), whatever is told of the job later. On the
    log ``adjust#<id>`` it moves the user's balance, unless it names a ``job``: then it only claims the id that a concession of
    that job goes by. ``reverses`` names the adjustment that it takes back, whose amount it repeats.
    """

    id: str
    amount: Decimal
    at: datetime
    job: str = ""
    reverses: str = ""


def until(at: datetime, length: timedelta) -> datetime:
    """Return when a length of time ends; nothing is later than the end of all time."""
    return at + length if length <= END_OF_TIME - at else END_OF_TIME


def part_of(whole: Decimal, percent: Decimal | None, amount: Decimal | None) -> Decimal:
    """Return ``percent`` of ``whole``, or else ``amount`` of it, unrounded: never more than all of it."""
    if amount is not None:
        return min(amount, whole)
    return EXACT.scaleb(EXACT.multiply(whole, percent or ZERO), -2)


type Claim = Charge | Grant | Hold
"""What has an amount that was fixed by its first telling."""

type Fact = Claim | Refund | Revoke | Adjustment | Expiry
