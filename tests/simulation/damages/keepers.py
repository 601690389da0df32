"""Those who look at a ledger and put it right, as scheduled runs and people do it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from attrs import define, frozen

from engine.audit.books import audit
from engine.audit.repair import Wrong
from engine.audit.seals import Damage, Sealer, verify
from engine.ledger.dynamodb.store import DynamoStore
from tests.simulation.damages.stage import Stage
from tests.simulation.world.damage import Key, key_of
from tests.support.repairs import repair_everybody

REASON = "found by the judge"


@frozen
class Seen:
    """What a look has found: users, logs, and whether the archive (or what takes its place) is not as it was."""

    noticed: frozenset[str] = frozenset()
    """By the scheduled run."""
    named: frozenset[str] = frozenset()
    """By the command that a person runs then."""
    counts: bool = False
    """More or fewer entries are there than there should be; whose, nobody says."""
    of_archive: bool = False
    is_found_weekly: bool = False
    """Whether the audit of the whole, once a week, finds something."""
    stopped: str = ""
    """The error with which the look has ended: nothing was seen."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is found."""
        return not (self.noticed or self.named or self.counts or self.of_archive)


NOTHING_SEEN = Seen()


@frozen
class Mended:
    """What a repair did: how many entries it has written, and what it leaves to a person."""

    written: int = 0
    left: tuple[str, ...] = ()
    stopped: str = ""
    """The error with which it has ended."""


@frozen
class Word:
    """What a person says: which side is wrong where sums disagree, which entries are forged, and which events told."""

    wrong: Wrong | None = None
    forged: Collection[tuple[str, str]] = ()
    posted: Collection[tuple[str, str]] = ()


NOTHING_SAID = Word()


class Keeper(Protocol):
    """Whoever looks and puts right."""

    def look(self, stage: Stage, *, whole: bool = False) -> Seen:
        """Look, as the scheduled run does, and keep what the next look needs; ``whole``: as once a week."""

    def known(self, stage: Stage) -> set[Key]:
        """Return the entries that a later look can hold to what they were."""

    def mend(self, stage: Stage, word: Word, ledger: Any = None) -> Mended:
        """Put right what is found, of one user after the other."""


@define(eq=False)
class WithoutArchive:
    """The audit of sums, logs and seals, and the repair of what the rest of a log proves."""

    def look(self, stage: Stage, *, whole: bool = False) -> Seen:  # noqa: ARG002  each run looks at all of it
        """Audit and seal as a scheduled run does, and verify what was sealed before."""
        try:
            return self._look(stage)
        except Exception as error:  # noqa: BLE001  whatever it is, the run has seen nothing
            return Seen(stopped=f"{type(error).__name__}: {error}")

    def _look(self, stage: Stage) -> Seen:
        store, deadline = stage.ledger.audits(), stage.ledger.clock.deadline(600)
        before = verify(store, deadline)
        seen = audit(stage.ledger, deadline, sealer=Sealer(store, store.clock.now(), deadline))
        noticed = {fault.reference for fault in seen.faults} | {drift.user for drift in seen.drifts}
        named = {deviation.reference for deviation in before.open if deviation.reference}
        return Seen(
            frozenset(noticed),
            frozenset(named | noticed),
            counts=seen.came_or_went != 0,
            of_archive=any(deviation.damage is Damage.SEAL for deviation in before.open),
        )

    def known(self, stage: Stage) -> set[Key]:
        """Return what is sealed."""
        until = stage.ledger.audits().last_seal(stage.ledger.clock.deadline(60)).until
        return {key_of(item) for item in stage.items("ledger") if posted_at(item) <= until}

    def mend(self, stage: Stage, word: Word, ledger: DynamoStore | None = None) -> Mended:
        """Repair everybody of whom something is found."""
        ledger = ledger or stage.ledger
        try:
            return self._mend(ledger, word)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was put right
            return Mended(stopped=f"{type(error).__name__}: {error}")

    def _mend(self, ledger: DynamoStore, word: Word) -> Mended:
        done = repair_everybody(ledger, REASON, word.wrong, ledger.clock.deadline(6000))
        return Mended(len(done.corrections), done.left)


def posted_at(item: Mapping[str, Any]) -> str:
    """Return when an entry says that it was posted; what does not say it is older than all."""
    return str(item.get("postedAt", {}).get("S", ""))
