"""What several claims come to together, by the rules of the design alone: refunds of a charge, revokes of a grant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from fractions import Fraction

from tests.simulation.claims import Claim, rounded


def left(charge: Claim, refunds: Collection[Claim]) -> Fraction:
    """What refunds leave of a charge: one of its attempt takes of it, and one of each attempt above of what is left then."""
    left = charge.costs
    for attempt in sorted({back.attempt for back in refunds if back.attempt >= charge.attempt}):
        in_time = [back for back in refunds if back.attempt == attempt and back.is_in_time(charge)]
        in_time = [back for back in in_time if not back.fact.weak] or in_time
        last = max((back.fact.at for back in in_time), default=None)
        left -= max((back.of(left) for back in in_time if back.fact.at == last), default=Fraction(0))
    return min(charge.costs, rounded(left))


def given(grants: Iterable[Claim], revokes: Iterable[Claim]) -> Fraction:
    """The smallest that was granted, less what each series takes by its latest step, of one instant the larger."""
    granted, latest = min(claim.figure for claim in grants), dict[str, tuple[datetime, Fraction]]()
    for claim in revokes:
        series = claim.rule["revoke"].get("series", claim.rule["name"])
        latest[series] = max(latest.get(series, (claim.fact.at, Fraction(0))), (claim.fact.at, claim.of(granted)))
    return rounded(max(granted - sum(taken for _, taken in latest.values()), Fraction(0)))
