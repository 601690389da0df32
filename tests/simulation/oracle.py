"""What one log must come to by the rules of the design alone, in fractions: a page, and none of it the engine's.

What a telling comes to by itself stands in claims.py, several in sums.py, what is held in holds.py, what people say in
words.py and repricings.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from attrs import Factory, define, evolve

from tests.simulation.attempts import attempt_beside
from tests.simulation.claims import Claim, Fact, claim_of
from tests.simulation.holds import Standing, open_hold, standing_with
from tests.simulation.sums import given, left
from tests.simulation.words import Word, standing


@define
class Oracle:
    """All that was told on a log, each in the words of its first telling, by what it is; beside it what people said."""

    told: dict[str, list[Claim]] = Factory(lambda: {"debit": [], "refund": [], "hold": [], "grant": [], "revoke": []})
    expired: set[int] = Factory(set)
    words: list[Word] = Factory(list)

    def tell(self, fact: Fact, policy: Mapping[str, Any], name: str, row: Mapping[str, str]) -> None:
        """Take down what is told under the policy of this name, while the job's row says ``row``."""
        new = claim_of(fact, policy, name, row)
        new = evolve(new, attempt=attempt_beside(new, self.told, policy))
        claims = self.told[new.rule["action"]]
        known = [place for place, old in enumerate(claims) if self.is_one(old, new)]
        place = min(known, key=lambda place: (*claims[place].distance(new), -place if fact.weak else place), default=-1)
        old = claims[place] if known else new
        if known and old.once and fact.at < old.fact.at:  # the price of an earlier time counts
            figure = new.figure if (old.policy, old.row) == (name, row) else old.figure
            claims[place] = evolve(old, fact=fact, figure=figure)
        elif known and new.once and not old.once:  # what is sent again from now on is a repeat of it
            claims.append(evolve(old, fact=min(old.fact, fact, key=lambda each: each.at), rule=new.rule))
        elif not known or (fact.weak and new.rule["action"] == "refund"):
            claims.append(evolve(old, fact=fact))

    def is_one(self, old: Claim, new: Claim) -> bool:
        """Say whether the new claim is the old one, told again. What a row without a time says is of one attempt."""
        fact, at, action, is_edited = new.fact, old.fact.at, new.rule["action"], old.policy != new.policy
        is_of_another = fact.weak and old.attempt != new.attempt
        if is_of_another or not (old.is_said_by(fact) and old.reads_as(new)):
            return False
        beside = [claim for claim in self.told[action] if (claim.attempt, claim.fact.weak) == (old.attempt, fact.weak)]
        latest = max((claim.fact.at for claim in beside if not claim.once), default=None)
        if action == "debit" and (old.once or new.once):
            is_repeat = old.expressions == new.expressions and old.fact.kind == fact.kind
            is_told = is_edited and (old.once or at == latest) and (at == fact.at or is_repeat)
            return is_told or (old.once and old.rule["name"] == new.rule["name"])
        if action == "debit":
            weak = (back.fact.at for back in self.told["refund"] if back.fact.weak and back.attempt == old.attempt)
            since = max(weak, default=None)
            is_told = at == fact.at and (is_edited or old.figure == new.figure or old.row != new.row)
            return at == latest and (is_told or (fact.weak and (since is None or at > since)))
        if action == "refund":
            charge = self.charge({old.attempt})
            is_still_so = fact.weak and (charge is None or at >= charge.fact.at)
            ends = max((claim.fact.at for claim in beside if "within" not in claim.rule["refund"]), default=at)
            is_kept = fact.weak or at >= ends  # what counts no more is forgotten
            return is_kept and old.rule["name"] == new.rule["name"] and (at == fact.at or is_still_so)
        if action == "hold" and at > min(claim.fact.at for claim in beside):  # of an attempt the earliest request is kept
            return False
        return action == "grant" or (at == fact.at and (is_edited or old.figure == new.figure))

    def charge(self, attempts: Collection[int] = ()) -> Claim | None:
        """Of the highest attempt the latest, of one instant the smallest; weak while nothing there has a time of its own."""
        of_own_time = {claim.attempt for claim in (*self.told["debit"], *self.told["refund"]) if not claim.fact.weak}
        charges = (claim for claim in self.told["debit"] if not (claim.fact.weak and claim.attempt in of_own_time))
        asked = (claim for claim in charges if not attempts or claim.attempt in attempts)
        return max(asked, key=lambda claim: (claim.attempt, claim.fact.at, -claim.costs), default=None)

    def net(self) -> Fraction:
        """The sum that the log's entries must have; a debit is negative."""
        if self.told["grant"]:
            return given(self.told["grant"], self.told["revoke"])
        if not (self.told["debit"] or self.told["hold"]):
            return standing(word for word in self.words if not word.job)
        return -(self.standing().costs + self.standing().held)

    def standing(self) -> Standing:
        """What the job's work costs, and what is held for it."""
        below = left(charge, self.told["refund"]) if (charge := self.charge()) else Fraction(0)
        return standing_with(open_hold(self.told, self.expired), below, standing(self.words))
