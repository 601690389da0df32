"""What is there to do something to: every entry of a ledger, whoever has spoken of its log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from attrs import define, field, frozen

from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.postings import EXPLANATION
from tests.simulation.damages.stage import Stage
from tests.simulation.world.damage import Hands, Key, Spot, key_of
from tests.simulation.world.strict import TABLES


@frozen
class Target(Spot):
    """One entry, and where it stands."""

    others: tuple[Item, ...] = ()
    """All other entries of its user."""

    @property
    def is_spoken(self) -> bool:
        """Whether a person has said something of its log."""
        return any("correction" in item for item in self.log)

    @property
    def is_plain(self) -> bool:
        """Whether nobody has said anything of its log."""
        return not self.is_spoken and not self.reference.startswith("adjust#")

    @property
    def is_word(self) -> bool:
        """Whether it is what a person has said."""
        return "correction" in self.item

    @property
    def is_concession(self) -> bool:
        """Whether a person has let somebody off with it."""
        return self.is_word and self.reference.startswith("job#") and self.item["rule"] == {"S": "adjust"}

    @property
    def is_adjustment(self) -> bool:
        """Whether a person has given or taken credits with it."""
        return self.is_word and self.reference.startswith("adjust#") and self.moves

    @property
    def is_claim(self) -> bool:
        """Whether it does nothing but claim the id of a word."""
        return self.is_word and self.reference.startswith("adjust#") and self.is_still

    @property
    def is_repriced(self) -> bool:
        """Whether a charge was priced anew with it."""
        return self.is_word and self.item["rule"] == {"S": "reprice"}

    @property
    def is_correction(self) -> bool:
        """Whether a repair has made it."""
        return self.item["source"] == {"S": "repair"}

    @property
    def is_told(self) -> bool:
        """Whether an event has told what it says."""
        return "eventId" in self.item

    @property
    def is_explained(self) -> bool:
        """Whether it has an explanation."""
        return EXPLANATION in self.item

    @property
    def is_unexplained(self) -> bool:
        """Whether it is flagged, and has no explanation."""
        return self.is_flagged and not self.is_explained

    @property
    def is_no_flagged(self) -> bool:
        """Whether it has no anomaly."""
        return not self.is_flagged

    @property
    def is_middle(self) -> bool:
        """Whether it stands between others."""
        return self.is_not_last and self.key[1] > 1

    @property
    def is_debit(self) -> bool:
        """Whether it takes credits."""
        return self.amount < 0

    @property
    def is_of_job(self) -> bool:
        """Whether its log is a job's."""
        return self.reference.startswith("job#")

    @property
    def has_rate(self) -> bool:
        """Whether its price says one rate."""
        return "rate" in self.item.get("price", {}).get("M", {})

    @property
    def moves_in_all(self) -> bool:
        """Whether its log moves something in the end."""
        return not self.comes_to_nothing

    @property
    def other_moves(self) -> bool:
        """Whether its user has an entry in another log that moves something else."""
        return any(self._is_another(item) for item in self.others)

    def another(self) -> Item:
        """Return that entry."""
        return next(item for item in self.others if self._is_another(item))

    @property
    def is_due(self) -> bool:
        """Whether its log costs something, and nothing is left open."""
        cost = Decimal(self.log[-1]["cost"]["N"])
        return cost > 0 and cost == -self.net

    @property
    def others_have_a_concession(self) -> bool:
        """Whether its user was let off something of another job."""
        return any(self._is_another_concession(item) for item in self.others)

    def concession(self) -> Item:
        """Return the entry that says so."""
        return next(item for item in self.others if self._is_another_concession(item))

    def _is_another_concession(self, item: Item) -> bool:
        is_of_another = item["reference"]["S"].startswith("job#") and item["reference"]["S"] != self.reference
        return is_of_another and item["rule"] == {"S": "adjust"} and "id" in item.get("correction", {"M": {}})["M"]

    def _is_another(self, item: Item) -> bool:
        amount = Decimal(item["amount"]["N"])
        return item["reference"]["S"] != self.reference and amount not in {0, self.amount} and "correction" not in item


@define(eq=False)
class StageHands(Hands):
    """What somebody does to the tables of a stage, and to its archive."""

    stage: Stage = field(kw_only=True)
    old: set[Key] = field(factory=set, kw_only=True)
    """Entries that were there when the ledger was looked at last."""

    @property
    def bucket(self) -> Any:
        """The bucket of the archive."""
        return self.stage.bucket

    def spots(self) -> Iterator[Target]:
        """Yield every entry of the logs that nothing was done to."""
        logs: dict[str, list[Item]] = defaultdict(list)
        by_user: dict[str, list[Item]] = defaultdict(list)
        for item in sorted(filter(self._is_whole, self.items("ledger")), key=key_of):
            logs[item["reference"]["S"]].append(item)
            by_user[item["userId"]["S"]].append(item)
        for log in logs.values():
            is_told_again = all(item.get("eventId", {}).get("S") in self.sent for item in log)
            is_old = [key_of(item) in self.old for item in log]
            for item, old in zip(log, is_old, strict=True):
                yield Target(item, tuple(log), old, sum(is_old), is_told_again, tuple(by_user[item["userId"]["S"]]))

    def _is_whole(self, item: Item) -> bool:
        """Say whether nothing was done to an entry's log."""
        return item["reference"]["S"] not in self.touched

    def touch(self, *names: str) -> None:
        """Take down whom and what is done to; with a log those on which the same words stand."""
        super().touch(*names)
        linked = self._linked()
        for name in names:
            super().touch(*linked.get(name, ()))

    def _linked(self) -> Mapping[str, set[str]]:
        """Return by log the others that have an id of a word in common with it, and their users."""
        by_id: dict[str, set[str]] = defaultdict(set)
        for record in self.stage.told:
            item = record["dynamodb"].get("NewImage", {})
            for name in _ids(item) if "S" in item.get("userId", {}) else ():
                by_id[name] |= {item["reference"]["S"], item["userId"]["S"]}
        linked: dict[str, set[str]] = defaultdict(set)
        for names in by_id.values():
            for each in names:
                if "#" in each:
                    linked[each] |= names
        return linked

    def change(self, spot: Spot, **changes: Any) -> None:
        """Change an entry, whoever it is of then."""
        self.touch(spot.user)
        super().change(spot, **changes)

    def head(self) -> Item:
        """Return the row of the archive's head."""
        key = {"id": {"S": "archive"}, "number": {"N": "0"}}
        found: Item = self.client.get_item(TableName=TABLES.seals, Key=key, ConsistentRead=True)["Item"]
        return found


def _ids(item: Item) -> Iterator[str]:
    name = item.get("correction", {}).get("M", {}).get("id", {}).get("S")
    if name:
        yield str(name)
    for told in item.get("facts", {}).get("M", {}).get("adjustments", {}).get("L", ()):
        if "reverses" in told["M"]:
            yield str(told["M"]["reverses"]["S"])


type Do = Any
"""What somebody does: of the hands and of what was picked."""


def anything(_hands: Hands, _spots: list[Spot], _chance: Random) -> str:
    """Choose nothing: there is only one."""
    return ""
