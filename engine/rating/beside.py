"""What a second policy would have posted for an event, on the log of the first. Pure.

Nothing of a second policy is stored. So its log is the first one's, told again (``rating.retelling``), and what it has posted
is what that should have cost. Then it decides as any policy does.
"""

from __future__ import annotations

from attrs import define, evolve, field

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision, Standing
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import RowNeeded
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.money import EXACT, ZERO
from engine.policy.model import NOTHING_READ, Policy
from engine.rating.assess import assess
from engine.rating.cost import desired_cost, desired_held
from engine.rating.decide import decide
from engine.rating.retelling import Retelling, Untold


def _without_anomalies(policy: Policy) -> Policy:
    """They move nothing."""
    return evolve(policy, anomalies=())


@define(eq=False, repr=False)
class Beside:
    """A second policy (``then``) beside the one that runs (``now``)."""

    now: Policy
    then: Policy = field(converter=_without_anomalies)
    retelling: Retelling = field(init=False)

    @retelling.default
    def _retelling(self) -> Retelling:
        return Retelling(self.now, self.then)

    def assessed(self, envelope: Envelope, known: Assessment | None) -> Assessment | None:
        """Return what the second policy makes of an event of which ``known`` is what the first makes of it.

        Raises EventError where it makes no sense, and Untold.
        """
        if envelope.source is Source.SCAN and not _reads_no_more(self.then.row_attributes, self.now.row_attributes):
            raise Untold("it looks at attributes of the job's row that the scan did not read")
        if known is not None and self.then.own_row != NOTHING_READ and _reads_no_more(self.then.own_row, self.now.own_row):
            envelope = evolve(envelope, row=known.row)
        try:
            return assess(envelope, self.then)
        except RowNeeded as needed:
            raise Untold(f"`{needed.expression}` needs the job's row, which was not read") from needed

    def decided(self, told: Assessment, known: Assessment, before: JobLog) -> Decision:
        """Return what it would have decided on a log of which ``before`` is what the first policy's knew.

        Raises EventError where the event makes no sense there, and Untold.
        """
        if (told.reference, told.user) != (known.reference, known.user):
            raise Untold("it finds another job, grant or user in the event")
        return decide(told, self._log(before), Standing.ASSUMED_COVERED, self.then)

    def _log(self, before: JobLog) -> JobLog:
        """Return its own log. What a refusal left due under the first policy was not posted under the second either."""
        if before.sequence == 0:
            return NO_ENTRIES
        facts = self.retelling.facts(before)
        cost = desired_cost(facts, self.then.money)
        if before.due != ZERO and before.sequence > 1:
            raise Untold("what was posted before a refusal is not known any more")
        posted = EXACT.minus(cost) if before.due == ZERO else ZERO
        return JobLog(before.sequence, before.user, facts, cost, posted, desired_held(facts, self.then.money))


def is_passed_over(told: Facts, known: Facts) -> bool:
    """Say whether an event tells something of an instant of which a log keeps nothing, since another one counts."""
    strong = (told.charges, known.charges), (told.refunds, known.refunds), (told.holds, known.holds)
    weak = (told.weak_charges, known.weak_charges), (told.weak_refunds, known.weak_refunds)
    return any(not {fact.at for fact in new} <= {fact.at for fact in old} for new, old in (*strong, *weak))


def _reads_no_more(read: frozenset[str] | None, known: frozenset[str] | None) -> bool:
    """Say whether all that one policy reads of a row is what another has read (None: all of it)."""
    return known is None or (read is not None and read <= known)
