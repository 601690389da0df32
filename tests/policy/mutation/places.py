"""What a place of a policy means, as globs of paths, and where else a change of it may be felt.

In a glob ``*`` is any step, ``a|b`` one of several words, ``**`` any steps or none, and ``=`` (where a change is felt) the
same step as in the place that was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import pairwise

from engine.domain.fact_kinds import Action
from engine.domain.money import ROUNDINGS
from engine.domain.price import TierModel
from engine.policy.detectors import Scale
from engine.policy.grammar import NUMBER
from engine.policy.model import Grants, Overdraft, UnknownJob, UnknownUser
from engine.policy.patterns.parse import OR
from tests.policy.mutation.tree import Path, Spot, Tree

EXPRESSIONS = (
    "event.*",
    "prices.*.*.by",
    "prices.*.*.by.*",
    "rules.*.charge|grant|hold.quantity|priced_at",
    "rules.*.charge|grant|hold.components.*.quantity",
    "rules.*.refund|revoke.percent|amount",
    "anomalies.*.outlier|drift.value|group",
    "anomalies.*.frequency.same",
    "anomalies.*.frequency.same.*",
    "catch_up.*.event.time",
)
PATTERNS = ("rules.*.match", "anomalies.*.match", "catch_up.*.when")
TEXTS = ("catch_up.*.event.source|detail-type",)
"""Words that are neither a name nor meant for people: what an event says."""

OWN_KEYS = ("prices.*", "prices.*.*.rates|changes.**", *(f"{pattern}.**" for pattern in PATTERNS))
"""Keys that the author of a policy chooses. In a pattern they are the event's; operators stand below a list."""

WORDS: Mapping[str, Iterable[str | StrEnum]] = {
    "money.rounding": ROUNDINGS,
    "rules.*.action": Action,
    "rules.*.repeats": ("ignore",),
    "overdraft": Overdraft,
    "unknown_user": UnknownUser,
    "unknown_job": UnknownJob,
    "grants": Grants,
    "prices.*.*.tiers": TierModel,
    "anomalies.*.outlier.scale": Scale,
}

USES_OF_PRICES = ("rules.*.charge|grant|hold.price", "rules.*.charge|grant|hold.components.*.price")
AMOUNTS = ("rules.*.charge|grant|hold.amount|minimum|maximum",)

CHANGES = "prices.=.*.changes.**"
"""What rows above this one say, or no longer say, may be what this one changes."""

TAKEN = "catch_up.*.event.source|detail-type"
"""What some rule that decides must take."""

FELT: Mapping[str, tuple[str, ...]] = {
    "prices": USES_OF_PRICES,
    "prices.*": USES_OF_PRICES,  # there is no such book
    "prices.*.*": ("prices.=.*", CHANGES),  # oldest first
    "prices.*.*.effective|until": ("prices.=.*", "prices.=.*.until", CHANGES),
    "prices.*.*.by.**": (
        "prices.=.=",
        "prices.=.=.rates.**",
        CHANGES,
    ),  # several rates need `by`, as many as they are deep
    "prices.*.*.tiers": ("prices.=.=",),
    "prices.*.*.rates.**": ("prices.=.=", "prices.=.=.tiers", CHANGES),  # `tiers` has no meaning
    "prices.*.*.changes.**": ("prices.=.=", CHANGES),
    "money": AMOUNTS,  # more places than money has
    "money.places": AMOUNTS,
    "event": ("rules.*",),  # a grant rule needs `event.reference`
    "event.*": ("rules.*",),
    "rules": ("rules.*", TAKEN),
    "rules.*": ("rules.*", TAKEN),  # a rule that an earlier one leaves nothing to
    "rules.*.match.**": ("rules.*", TAKEN),
    "rules.*.action": ("rules.*", "rules.=.*", TAKEN),  # what one action needs has no meaning in another
    "rules.*.charge|grant|hold|refund": ("rules.=",),
    "rules.*.charge|grant|hold.*": (
        "rules.=.charge|grant|hold",
        "rules.=.charge|grant|hold.*",
    ),  # the minimum is above the maximum
    "rules.*.refund|revoke.*": ("rules.=.refund|revoke", "rules.=.refund|revoke.*"),  # percent or amount, and not both
    "rules.*.charge|grant|hold.components.**": ("rules.=.charge|grant|hold.**",),  # each name once, each component of one form
    "anomalies.*.outlier|frequency|drift": ("anomalies.=",),  # an anomaly looks for something, and for one thing
}
"""What the parts of a policy say of each other, so what is wrong with one may rightly be said of another."""


def fits(path: Path, *globs: str) -> bool:
    """Say whether a path is one of those that the globs mean."""
    return any(_fits(path, tuple(glob.split("."))) for glob in globs)


def _fits(path: Path, glob: tuple[str, ...]) -> bool:
    if not glob:
        return not path
    if glob[0] == "**":
        return True
    return bool(path) and (glob[0] == "*" or str(path[0]) in glob[0].split("|")) and _fits(path[1:], glob[1:])


def felt_at(path: Path, tree: Tree) -> Iterator[Spot]:
    """Yield the spots of a changed file where a change at ``path`` may be felt."""
    globs = [_bound(place, path) for glob, places in FELT.items() if fits(path, glob) for place in places]
    yield from (spot for spot in tree.spots if fits(spot.path, *globs) or _is_other_rate(spot.path, path))


def _is_other_rate(path: Path, changed: Path) -> bool:
    """Say whether a rate or a tier stands beside a changed one, or around it: some must be there, tiers leave no gaps."""
    if not fits(changed, "prices.*.*.rates|changes.*.**"):
        return False
    around = changed[:-2] if isinstance(changed[-2], int) else changed[:-1]
    return path[: len(around)] == around and len(path) <= len(changed)


def _bound(glob: str, path: Path) -> str:
    """Return a glob with the steps of a path in place of its ``=``."""
    steps = glob.split(".")
    return ".".join(str(path[at]) if step == "=" else step for at, step in enumerate(steps))


def is_expression(spot: Spot) -> bool:
    """Say whether a JMESPath expression stands here, and no number in its place."""
    return spot.scalar is not None and fits(spot.path, *EXPRESSIONS) and not NUMBER.fullmatch(spot.scalar)


def is_in_pattern(path: Path) -> bool:
    """Say whether a path leads below an event pattern's root."""
    return fits(path, *(f"{pattern}.*.**" for pattern in PATTERNS))


def is_operator(spot: Spot) -> bool:
    """Say whether a key is an operator of an event pattern, like ``prefix``: it stands below the list of a field."""
    steps = pairwise(spot.path[2:])
    return spot.key is not None and is_in_pattern(spot.path) and any(isinstance(at, int) and key != OR for key, at in steps)


def is_own_key(spot: Spot) -> bool:
    """Say whether the author of the policy, or of the event, chose this key."""
    return spot.key is not None and fits(spot.path, *OWN_KEYS) and not is_operator(spot) and not _is_tier(spot)


def _is_tier(spot: Spot) -> bool:
    return fits(spot.path, "prices.*.*.rates|changes.**") and isinstance(spot.path[-2], int)


def words_at(path: Path) -> list[str]:
    """Return the words that may stand at a path; none where there is no such list."""
    return [str(word) for glob, words in WORDS.items() if fits(path, glob) for word in words]
