"""A policy at work on kept facts in place of events; and the effects of facts that are alike, worked out once."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Standing
from engine.domain.entry import Correction, Entry
from engine.domain.envelope import Document, Source
from engine.domain.errors import EventError
from engine.domain.fact import Adjustment, Hold
from engine.policy.model import Policy
from engine.preview.planning.effects import Effects
from engine.preview.planning.kept.anew import Anew, Edits
from engine.preview.planning.kept.facts import KeptFact, reduce_kept
from engine.preview.planning.reads import moments_of
from engine.preview.planning.reduction import EPOCH
from engine.preview.planning.side import Side
from engine.rating.correct import Word, correct
from engine.rating.which_rule import Unpriced

NOBODY = Correction("", "")
"""Who has told a correction plays no part in a plan."""


@frozen(eq=False)
class KeptSide(Side):
    """A policy that tells kept facts; ``other`` is the one that it is compared with."""

    other: Policy = field(kw_only=True)
    edits: Edits = field(kw_only=True)
    anew: Anew = field(init=False)

    @anew.default
    def _anew(self) -> Anew:
        return Anew(self.policy, self.other, self.edits)

    def assessment(self, document: Document) -> Assessment | EventError | None:
        """Return what the policy makes of the fact in a line; an error where the ledger does not keep enough."""
        kept = KeptFact.read(document)
        try:
            told = self.anew.told(kept)
        except Unpriced as problem:
            return EventError(f"of {kept.reference}", kept.rule, "facts", str(problem))
        if told is None:
            return None
        return Assessment(
            reference=kept.reference,
            job=kept.job,
            user=kept.user,
            at=kept.at,
            rule=told.rule,
            fact=told.facts,
            source=Source.REPLAY,
            price=told.price,
            quantity=told.quantity,
            attempt=kept.attempt,
        )

    def _end(self, assessment: Assessment) -> tuple[str, str, Entry | None]:
        return self._corrected(assessment) if assessment.fact.concessions else super()._end(assessment)

    def _corrected(self, assessment: Assessment) -> tuple[str, str, Entry | None]:
        """Return how a person's concession ends: no rule tells it, so that it is a correction here too."""
        run, of = self.run, assessment
        word = Word(of.reference, of.job, of.user, of.at, "adjust", of.fact, NOBODY)
        decision = correct(word, run.store.read(of.reference, run.deadline), Standing.ASSUMED_COVERED, self.policy)
        if decision.entry is not None:
            run.store.post(decision.entry, decision.guard, decision.mark, run.deadline)
        return decision.outcome.value, "", decision.entry


def sides_of(now: Policy, then: Policy) -> tuple[KeptSide, KeptSide]:
    """Return both policies, each beside the other."""
    edits = Edits.between(now, then)
    return KeptSide(now, other=then, edits=edits), KeptSide(then, other=now, edits=edits)


def effects_of_kept(now: Policy, then: Policy, folder: Path, worker: int, memo_max: int) -> Effects:
    """Return the effects of kept facts."""
    effects = Effects(sides_of(now, then), None, folder, worker, memo_max)
    effects.reduce = reduce_kept
    return effects


@frozen
class Likeness:
    """Says which kept facts have one effect under two policies: all but whose they are and when they happened is the same.

    Of the time it counts which rows of price books have begun and ended by then.
    """

    moments: tuple[datetime, ...]

    @classmethod
    def between(cls, now: Policy, then: Policy) -> Likeness | None:
        """Return it for two policies; None where an expression reads the event's time, so that no two facts are alike."""
        for policy in (now, then):
            paths = (path for rule in policy.rules for path in rule.terms.paths())
            if any(policy.fields.time.text in path.text for path in paths):
                return None
        return cls(tuple(sorted({*moments_of(now), *moments_of(then)})))

    def key(self, kept: KeptFact) -> tuple[Any, ...] | None:
        """Return all that the effect of a fact follows from; None for what a row without a time, or a person, has told."""
        if kept.is_weak or isinstance(kept.fact, Adjustment):
            return None
        alike = kept.fact.moved(EPOCH) if isinstance(kept.fact, Hold) else evolve(kept.fact, at=EPOCH)
        return kept.rule, bisect_right(self.moments, kept.at), alike
