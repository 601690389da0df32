"""What one log must come to by the rules of the design alone, in fractions: a page, and none of it the engine's.

What a telling comes to by itself stands in claims.py, what people say in words.py and repricings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from attrs import Factory, define, evolve

from tests.simulation.claims import Claim, Fact, claim_of, rounded
from tests.simulation.words import Word, standing


@define
class Oracle:
    """All that was told on a log, each in the words of its first telling, by what it is; beside it what people said."""

    told: dict[str, list[Claim]] = Factory(lambda: {"debit": [], "refund": [], "grant": [], "revoke": []})
    words: list[Word] = Factory(list)

    def tell(self, fact: Fact, policy: Mapping[str, Any], name: str, row: Mapping[str, str]) -> None:
        """Take down what is told under the policy of this name, while the job's row says ``row``."""
        new = claim_of(fact, policy, name, row)
        claims = self.told[new.rule["action"]]
        latest = max((old.fact.at for old in claims if old.fact.weak == fact.weak and not old.once), default=None)
        known = [place for place, old in enumerate(claims) if self.is_one(old, new, latest)]
        place = min(known, key=lambda place: (*claims[place].distance(new), -place if fact.weak else place), default=-1)
        old = claims[place] if known else new
        if known and old.once and fact.at < old.fact.at:  # the price of an earlier time counts
            figure = new.figure if (old.policy, old.row) == (name, row) else old.figure
            claims[place] = evolve(old, fact=fact, figure=figure)
        elif known and new.once and not old.once:  # what is sent again from now on is a repeat of it
            claims.append(evolve(old, fact=min(old.fact, fact, key=lambda each: each.at), rule=new.rule))
        elif not known or (fact.weak and new.rule["action"] == "refund"):
            claims.append(evolve(old, fact=fact))

    def is_one(self, old: Claim, new: Claim, latest: Any) -> bool:
        """Say whether the new claim is the old one, told again."""
        fact, at, action, is_edited = new.fact, old.fact.at, new.rule["action"], old.policy != new.policy
        if not (old.is_said_by(fact) and old.reads_as(new)):
            return False
        if action == "debit" and (old.once or new.once):
            is_repeat = old.expressions == new.expressions and old.fact.kind == fact.kind
            is_told = is_edited and (old.once or at == latest) and (at == fact.at or is_repeat)
            return is_told or (old.once and old.rule["name"] == new.rule["name"])
        if action == "debit":
            since = max((back.fact.at for back in self.told["refund"] if back.fact.weak), default=None)
            is_told = at == fact.at and (is_edited or old.figure == new.figure or old.row != new.row)
            return at == latest and (is_told or (fact.weak and (since is None or at > since)))
        if action == "refund":
            charge = self.charge()
            is_still_so = fact.weak and (charge is None or at >= charge.fact.at)
            return old.rule["name"] == new.rule["name"] and (at == fact.at or is_still_so)
        return action == "grant" or (at == fact.at and (is_edited or old.figure == new.figure))

    def charge(self) -> Claim | None:
        """The latest charge counts, of one instant the smallest; a weak one while nothing has a time of its own."""
        has_own_time = any(not claim.fact.weak for claim in (*self.told["debit"], *self.told["refund"]))
        charges = (claim for claim in self.told["debit"] if not (claim.fact.weak and has_own_time))
        return max(charges, key=lambda claim: (claim.fact.at, -claim.costs), default=None)

    def net(self) -> Fraction:
        """The sum that the log's entries must have; a debit is negative."""
        if self.told["grant"]:
            granted, latest = min(claim.figure for claim in self.told["grant"]), dict[str, tuple[datetime, Fraction]]()
            for claim in self.told["revoke"]:
                series = claim.rule["revoke"].get("series", claim.rule["name"])
                latest[series] = max(latest.get(series, (claim.fact.at, Fraction(0))), (claim.fact.at, claim.of(granted)))
            return rounded(max(granted - sum(taken for _, taken in latest.values()), Fraction(0)))
        if (charge := self.charge()) is None:
            return standing(word for word in self.words if not word.job)
        in_time = [back for back in self.told["refund"] if back.is_in_time(charge.fact.at)]
        in_time = [back for back in in_time if not back.fact.weak] or in_time
        last = max((back.fact.at for back in in_time), default=None)
        back = max((back.of(charge.costs) for back in in_time if back.fact.at == last), default=Fraction(0))
        return -max(min(charge.costs, rounded(charge.costs - back)) - standing(self.words), Fraction(0))
