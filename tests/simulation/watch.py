"""What the tables alone cannot tell in the end: whether each posting was allowed when it was made, and what was given up.

Whoever reaches the tables takes down each entry that was committed, with the user's row right after it (``Moved``); here it
is judged, by the rules of the design alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, evolve, frozen

if TYPE_CHECKING:
    from tests.simulation.world.plan import Plan
    from tests.simulation.world.play import World

OUR_MARKS = frozenset({"reconciled", "reconciledStatus", "reconciledSequence"})
OVERDRAFT, UNKNOWN_USER = "overdraft", "unknown-user"

OF_AN_ENTRY = frozenset(
    {
        *("reference", "sequence", "userId", "jobId", "type", "amount", "cost", "money", "occurredAt", "occurredAtFrom"),
        *("postedAt", "rule", "policy", "price", "quantity", "facts", "anomalies", "flagged", "samples", "signs", "source"),
        *("eventId", "resolution", "correction", "held", "holdDue", "holdShard"),
    }
)
OF_A_PRICE = frozenset(
    ("amount", "book", "effective", "rate", "unit", "tiers", "tierModel", "minimum", "maximum", "components")
)
OF_A_USER = frozenset({"userId", "remaining", "posted", "held"})
"""What items have, and nothing beside it: whatever an item says more is there for good, and somebody will read it."""


@frozen
class Moved:
    """An entry that was committed and moved a balance, and what was left of it then."""

    reference: str
    sequence: int
    user: str
    amount: Decimal
    flags: frozenset[str]
    had_row: bool
    left: Decimal
    type: str = "debit"
    policy: str = ""
    transaction: int = 0
    """In which it was committed, where that moved the balances of several jobs."""


@frozen
class Refusal:
    """An entry that remembers that a request to hold credits was refused, and since when that was decided on."""

    reference: str
    sequence: int
    user: str
    since: float
    until: float


@define
class Balances:
    """What was left to each user at which moments, in the world's steady seconds; and which requests were refused."""

    left: dict[str, list[tuple[float, Decimal]]] = Factory(dict)
    refusals: list[Refusal] = Factory(list)

    def moved(self, user: str, at: float, left: Decimal) -> None:
        """Take down what is left to a user from now on."""
        self.left.setdefault(user, []).append((at, left))

    def lowest_of_refusals(self) -> dict[tuple[str, int], Fraction]:
        """Return by entry the least that the user had meanwhile; one who had no row is left out."""
        found = ((each.reference, each.sequence, self._lowest(each)) for each in self.refusals)
        return {(reference, sequence): lowest for reference, sequence, lowest in found if lowest is not None}

    def _lowest(self, refusal: Refusal) -> Fraction | None:
        told = self.left.get(refusal.user, ())
        before = [left for at, left in told if at < refusal.since][-1:]
        meanwhile = [left for at, left in told if refusal.since <= at <= refusal.until]
        return min(map(Fraction, (*before, *meanwhile)), default=None) if before else None


def watched(world: World) -> Iterator[str]:
    """Yield what was done that must not be done, whatever the tables say in the end."""
    may_overdraw = policies_that_overdraw(world.plan)

    def overdraft_of(moved: Moved) -> str:
        if moved.type != "hold":
            return world.plan.overdraft
        return "allow" if moved.policy in may_overdraw else "refuse"  # it has a word of its own

    for moved in in_an_order(world.place.moved, lambda each: overdraft_of(each) == "allow"):
        where = f"{moved.reference}: entry {moved.sequence} of {moved.amount:f}"
        yield from (f"{where} {problem}" for problem in problems(moved, overdraft_of(moved), world.plan.unknown_user))
    yield from _rows_as_written(world)
    _, users = world.place.rows()
    yield from said_too_much(world.place.entries(), users, world.plan.unknown_user)
    for event, reason in world.queue.given_up:
        if not reason.startswith("event "):
            yield f"{event}: makes sense, and was given up: {reason}"


def in_an_order(committed: Iterable[Moved], may_overdraw: Callable[[Moved], bool]) -> Iterator[Moved]:
    """Yield what was moved as if one came after the other, also within a transaction: last whatever may overdraw."""
    last: dict[tuple[int, str], Decimal] = {}
    for moved in (committed := list(committed)):
        if moved.amount < 0 and may_overdraw(moved):
            key = moved.transaction, moved.user
            last[key] = last.get(key, Decimal(0)) + moved.amount
    for moved in committed:
        taken = Decimal(0) if may_overdraw(moved) else last.get((moved.transaction, moved.user), Decimal(0))
        yield evolve(moved, left=moved.left - taken)


def policies_that_overdraw(plan: Plan) -> frozenset[str]:
    """Return the names of the policies under which a hold goes through that the balance does not cover."""
    from tests.simulation.world.terms import holds_that_overdraw  # noqa: PLC0415  a policy is read where it is asked for

    return holds_that_overdraw(plan.overdraft, plan.unknown_user)


def problems(moved: Moved, overdraft: str, unknown_user: str) -> Iterator[str]:
    """Yield what is wrong with a movement under a policy.

    A charge that is not covered waits where the policy says so; what goes through is flagged. Nobody without a row is charged
    where the policy refuses that.
    """
    is_flagged, is_short = OVERDRAFT in moved.flags, moved.left < 0
    if moved.amount < 0 and overdraft != "allow" and moved.had_row:
        if is_short and not is_flagged:
            yield f"leaves {moved.left:f}, and no flag says so"
        if is_flagged and not is_short:
            yield f"leaves {moved.left:f}, and is flagged as not covered"
    if moved.amount < 0 and is_short and overdraft == "refuse" and moved.reference.startswith(("job#", "adjust#")):
        yield f"leaves {moved.left:f}; it should wait"
    if not moved.had_row and unknown_user == "refuse":
        yield f"moves the balance of {moved.user}, who has none"
    if moved.had_row is (UNKNOWN_USER in moved.flags):
        yield f"says {'that' if moved.had_row else 'nothing of it that'} {moved.user} has no balance, wrongly"


def said_too_much(
    entries: Iterable[Mapping[str, Any]], users: Mapping[str, Mapping[str, Any]], unknown_user: str
) -> Iterator[str]:
    """Yield which items say what they have no place for, and what a policy would have refused that stands there as a flag."""
    for entry in entries:
        where = f"{entry['reference']}: entry {entry['sequence']}"
        more = {*(entry.keys() - OF_AN_ENTRY), *(entry.get("price", {}).keys() - OF_A_PRICE)}
        if more or _has_null(entry):
            yield f"{where} says {', '.join(sorted(more)) or 'NULL'}, for which it has no place"
        if unknown_user == "refuse" and any(each["name"] == UNKNOWN_USER for each in entry.get("anomalies", ())):
            yield f"{where} stands there, of a user who is not there"
    yield from _nothing_new(entries)
    for user, row in users.items():
        if row.keys() - OF_A_USER or _has_null(row):
            yield f"{user}: the row says {sorted(row)}"


def _nothing_new(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield which entries move nothing and know no more than the one before: what was refused is refused once."""
    known: dict[str, Any] = {}
    for entry in sorted(entries, key=lambda each: (each["reference"], each["sequence"])):
        reference = entry["reference"]
        if not entry["amount"] and known.get(reference) == entry["facts"]:
            yield f"{reference}: entry {entry['sequence']} says nothing new"
        known[reference] = entry["facts"]


def _has_null(value: Any) -> bool:
    """Say whether anything in a value is NULL: what an item does not say is not there."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return value is None or any(map(_has_null, inner))


def _rows_as_written(world: World) -> Iterator[str]:
    """Rows of Jobs say what applications wrote, and beside it our marks alone."""
    written: dict[str, Mapping[str, Any]] = {}
    for job, kind, row, _ in world.written:
        written[job] = row if kind == "put" else {**written.get(job, {}), **row}
    jobs, _ = world.place.rows()
    for job in sorted(jobs.keys() | written.keys()):
        said, right = (_of_the_application(rows.get(job, {})) for rows in (jobs, written))
        if said != right or job not in written:
            yield f"{job}: its row in Jobs says {said}; {right or 'nothing'} was written"


def _of_the_application(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not ours, without what is missing: a place may write None or leave it out."""
    return {name: value for name, value in row.items() if name not in OUR_MARKS and value is not None}
