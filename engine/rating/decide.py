"""The one idea: posting = desired(facts, policy) - posted so far. Pure: no clock, no network, no randomness."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.anomaly import Anomaly
from engine.domain.assessment import Assessment
from engine.domain.built_in_anomalies import OVERDRAFT, UNKNOWN_USER
from engine.domain.decision import Decision, Guard, Standing
from engine.domain.digits import in_digits
from engine.domain.entry import Entry
from engine.domain.entry_types import ENTRY_TYPES, EntryType, Outcome
from engine.domain.envelope import Source
from engine.domain.errors import EventError
from engine.domain.fact import Content
from engine.domain.fact_kinds import moving_type, type_of_hold
from engine.domain.facts import NOTHING_KNOWN, TWINS_MAX, Facts, most_twins
from engine.domain.job_row import Mark
from engine.domain.log import JobLog, due
from engine.domain.money import EXACT, ZERO
from engine.domain.references import JOB, log_name
from engine.domain.texts import plainly
from engine.policy.expressions.paths import Path
from engine.policy.model import Overdraft, Policy, UnknownUser
from engine.rating.contributions import recognised
from engine.rating.cost import cost_of, held_of
from engine.rating.doubts import Doubt, doubts
from engine.rating.recognise import Telling
from engine.rating.unnumbered import beside_unnumbered

LOG_FACTS_MAX = 10_000
"""What the entries of one log tell at most, together: each tells all that is known, and an event may have to read all of them.

So a job has ten thousand entries of one charge, or a hundred of a hundred refunds. Of a fact that is kept a few hundred bytes
are stored: a full log is some megabytes, and its reading some thousand read units.
"""

REFUSED_MAX = 50
"""So many refused requests are kept of one log: whoever asks again and again must not fill it, its charge has to find room."""

FULL_FROM = 100
"""No shorter log is full: an entry tells at most one fact more than the one before."""


def decide(assessment: Assessment, log: JobLog, standing: Standing, policy: Policy) -> Decision:
    """Return the entry that brings the job's postings to what it should cost, or why there is none.

    ``standing`` is what is known of the user's balance so far. Raises EventError when the event names another user than
    the job's first entry did, or a user who does not exist where the policy refuses those.
    """
    if log.user is not None and assessment.user != log.user:
        raise error_of(assessment, policy.fields.user, f"is {assessment.user!r}; {_whose(assessment)} names {log.user!r}")
    assessment = beside_unnumbered(assessment, log.facts, policy)
    if assessment.fact.holds or assessment.fact.expiries:
        return _of_hold(assessment, log, standing, policy)
    return _told(assessment, log, standing, policy)


def _told(assessment: Assessment, log: JobLog, standing: Standing, policy: Policy) -> Decision:
    facts, doubtful = _joined(assessment, log.facts, policy)
    decision = _decision(assessment, _Situation(log, facts, doubtful, standing), policy)
    return evolve(decision, is_unclear=True) if _contradicts(assessment, facts) else decision


def _of_hold(assessment: Assessment, log: JobLog, standing: Standing, policy: Policy) -> Decision:
    """Decide on a hold, or on its expiry: neither says anything where its attempt is decided, or a higher one is known.

    A request that was refused once stays refused, however often it comes; the next request is a new one.
    """
    if assessment.event_id is not None and assessment.event_id in log.facts.refused:
        return Decision(Outcome.REFUSED)
    known = log.facts
    told = recognised(_telling(assessment, policy), known)
    if {*told.holds, *told.expiries} <= {*known.holds, *known.expiries}:
        return Decision(Outcome.DUPLICATE)
    if _is_closed(assessment, known) or (told.expiries and not _is_due(known, assessment.at)):
        return Decision(Outcome.CLOSED)
    if known.join(told).work == known.work:
        return Decision(Outcome.DUPLICATE)
    return _told(assessment, log, standing, policy)


def _is_due(known: Facts, at: datetime) -> bool:
    """Say whether the open hold has expired. While the run tells of one an earlier request may come, which stands longer."""
    return known.hold is not None and known.hold.expires_at <= at


def _is_closed(assessment: Assessment, known: Facts) -> bool:
    """Say whether an attempt has no use for a hold any more."""
    attempt = _attempt_of(assessment)
    return known.is_decided(attempt) or attempt < max(known.attempts, default=0)


@frozen(eq=False, repr=False)
class _Situation:
    """What is known before and with an event, what about it is unsure, and what is known of the user's balance."""

    log: JobLog
    facts: Facts
    doubtful: tuple[Doubt, ...]
    standing: Standing

    @property
    def is_known(self) -> bool:
        return self.facts == self.log.facts


def _decision(assessment: Assessment, now: _Situation, policy: Policy) -> Decision:
    log, facts, standing = now.log, now.facts, now.standing
    if now.is_known and log.due == ZERO:
        return Decision(Outcome.DUPLICATE, mark=_mark(assessment, facts, log.sequence))
    if log.sequence >= FULL_FROM and log.sequence * facts.kept > LOG_FACTS_MAX:
        raise error_of(assessment, _naming(assessment, policy), f"has a log of {log.sequence} entries; no more are kept")
    entry = _entry(assessment, log, facts, cost_of(facts, log, policy.money), policy)
    if now.doubtful:
        entry = evolve(entry, anomalies=(*entry.anomalies, *(doubt.anomaly for doubt in now.doubtful)))
    if not entry.moves_credits:
        return _settle(entry, Guard.NONE, assessment, log)
    if standing is Standing.UNKNOWN_USER and policy.unknown_user is UnknownUser.REFUSE:
        raise error_of(assessment, policy.fields.user, f"is {assessment.user!r}; there is no such user in Credits")
    if _is_hold_refused(entry, assessment, standing):
        return _refuse_hold(entry, assessment, log)
    if found := standing_anomalies(entry, standing):
        entry = evolve(entry, anomalies=(*entry.anomalies, *found))
    if _is_refused(entry, standing, policy):
        return _refuse(entry, assessment, known=now.is_known)
    return _settle(entry, _guard(entry, assessment, standing, policy), assessment, log)


def mark_only(assessment: Assessment, log: JobLog, policy: Policy) -> Decision:
    """Return the entry that flags a log and moves nothing, whatever is due; none where it is flagged already.

    It is of the log's user: where a correction gave the log back to its user, older entries may name another.
    """
    facts = log.facts.join(assessment.fact)
    if facts == log.facts:
        return Decision(Outcome.DUPLICATE)
    entry = _entry(assessment, log, facts, log.cost, policy)
    return Decision(Outcome.FLAGGED, evolve(entry, user=log.user or entry.user, type=EntryType.FLAG, amount=ZERO))


def _joined(assessment: Assessment, known: Facts, policy: Policy) -> tuple[Facts, tuple[Doubt, ...]]:
    """Return all that is known with this event, and what about it is unsure.

    Raises EventError for one charge (or grant) more than the log keeps of one instant.
    """
    if known == NOTHING_KNOWN:
        return assessment.fact, ()
    telling = _telling(assessment, policy)
    new = recognised(telling, known)
    facts = known.join(new)
    if any(most_twins(facts.of_attempt(attempt)) > TWINS_MAX for attempt in facts.attempts or {0}):
        raise error_of(assessment, policy.fields.time, _one_too_many(new))
    doubtful = tuple(doubts(telling, known.of_attempt(telling.attempt), new, policy.clock.skew))
    raised = tuple((doubt.anomaly.name, doubt.at) for doubt in doubtful if doubt.at is not None)
    if not raised:
        return facts, doubtful
    flagged = facts.join(Facts(flags=raised))
    is_news = flagged.flags != facts.flags or facts != known
    return flagged, doubtful if is_news else ()


def _telling(assessment: Assessment, policy: Policy) -> Telling:
    return Telling(
        facts=assessment.fact,
        document=assessment.document,
        source=assessment.source,
        row_attributes=policy.row_attributes,
        time_is_assumed=assessment.time_is_assumed,
        attempt=_attempt_of(assessment),
        rule=assessment.rule,
        rules=policy.rules,
    )


def _attempt_of(assessment: Assessment) -> int:
    """Return the attempt that an event's fact is of: 0 where it has none, or is told of a time without numbers."""
    return max(assessment.fact.attempts, default=0)


def _one_too_many(new: Facts) -> str:
    if any(charge.once for charge in (*new.charges, *new.weak_charges)):
        return f"is of one charge more than the {TWINS_MAX} of a job that are kept where repeats are ignored"
    return f"is of the same instant as {TWINS_MAX} others, and each says something else; no more are kept"


def _contradicts(assessment: Assessment, facts: Facts) -> bool:
    """Say whether a row without a time of its own says otherwise than what counts."""
    if not assessment.time_is_assumed:
        return False
    said, known = assessment.fact, facts.of_attempt(_attempt_of(assessment))
    charge = known.charge
    if said.weak_charges:
        content = said.weak_charges[0].content
        return charge is None or known.refunding != () or not _agree(charge.content, content)
    return bool(said.weak_refunds) and charge is not None and charge.at > said.weak_refunds[0].at


def _agree(known: Content, said: Content) -> bool:
    """Say whether all that both were asked was answered alike."""
    answers = dict(known)
    return all(answers.get(expression, text) == text for expression, text in said)


def _entry(assessment: Assessment, log: JobLog, facts: Facts, cost: Decimal, policy: Policy) -> Entry:
    held = EXACT.subtract(held_of(facts, log, policy.money), log.held)
    entry_type, amount = moving(assessment.reference, log, facts, due(cost, log.posted), held)
    return Entry(
        reference=assessment.reference,
        job=assessment.job,
        sequence=log.sequence + 1,
        user=assessment.user,
        type=entry_type,
        amount=amount,
        occurred_at=assessment.at,
        rule=assessment.rule,
        policy=policy.identity,
        facts=facts,
        cost=cost,
        money=policy.money,
        source=assessment.source,
        price=assessment.price,
        quantity=assessment.quantity,
        anomalies=assessment.anomalies,
        samples=assessment.samples,
        signs=assessment.signs,
        event_id=assessment.event_id,
        time_is_assumed=assessment.time_is_assumed,
        held=held,
    )


def moving(reference: str, log: JobLog, facts: Facts, amount: Decimal, held: Decimal) -> tuple[EntryType, Decimal]:
    """Return the type of the entry that brings a log to facts, and what of the ``amount`` due it posts.

    A hold posts just what is held more, its release at least what is held less. What an earlier refusal left due stays due,
    and a release gives back no more than was posted: of what became held while something was due nobody has paid all. Another
    request of the instant of the open one says nothing of what is held, and takes nothing that is due either.
    """
    known, of_hold = log.facts, type_of_hold(log.facts, facts)
    if of_hold is not None:
        reserved = min(max(amount, EXACT.minus(held)), EXACT.minus(log.posted))
        return of_hold, amount if of_hold is EntryType.SETTLE else reserved
    if amount == ZERO:
        return EntryType.FLAG if facts.same_work(known) else EntryType.VOID, amount
    if facts.holds != known.holds:
        return EntryType.FLAG, ZERO
    return moving_type(reference, amount, facts, known), amount


def _is_hold_refused(entry: Entry, assessment: Assessment, standing: Standing) -> bool:
    is_covered = standing is Standing.ASSUMED_COVERED or entry.amount >= ZERO
    return entry.type is EntryType.HOLD and not is_covered and not assessment.may_overdraw


def _refuse_hold(entry: Entry, assessment: Assessment, log: JobLog) -> Decision:
    """Remember that this request was refused, and nothing else of it. After very many that is said, but not kept."""
    if len(log.facts.refused) >= REFUSED_MAX:
        return Decision(Outcome.REFUSED)
    assert assessment.event_id is not None  # noqa: S101  an event without one makes no sense
    facts = log.facts.join(Facts(refused=(assessment.event_id,)))
    found = standing_anomalies(entry, Standing.NOT_COVERED)
    flag = evolve(entry, type=EntryType.FLAG, amount=ZERO, held=ZERO, facts=facts, cost=log.cost)
    return Decision(Outcome.REFUSED, evolve(flag, anomalies=(*entry.anomalies, *found)))


def standing_anomalies(entry: Entry, standing: Standing) -> tuple[Anomaly, ...]:
    """Return what is to be said of an entry by what is known of its user's balance."""
    overdraft = Anomaly(OVERDRAFT, "the balance does not cover the debit", (("debit", in_digits(-entry.amount)),))
    unknown = Anomaly(UNKNOWN_USER, "the user had no row in Credits")
    if standing is Standing.UNKNOWN_USER:
        return (unknown, overdraft) if entry.amount < ZERO else (unknown,)
    if standing is Standing.NOT_COVERED and entry.amount < ZERO:
        return (overdraft,)
    return ()


def _is_refused(entry: Entry, standing: Standing, policy: Policy) -> bool:
    """Only a charge waits for a balance: what was granted is taken back at once, whatever is left. A hold has its own word."""
    is_covered = standing is Standing.ASSUMED_COVERED
    may_wait = ENTRY_TYPES[entry.type].waits_for_balance and entry.amount < ZERO and entry.type is not EntryType.HOLD
    return may_wait and not is_covered and policy.overdraft is Overdraft.REFUSE


def _guard(entry: Entry, assessment: Assessment, standing: Standing, policy: Policy) -> Guard:
    """A hold has its own word about overdrafts: it is refused, or the balance is not asked."""
    if entry.type is not EntryType.HOLD or standing is Standing.UNKNOWN_USER or entry.amount >= ZERO:
        return guard_of(entry, standing, policy)
    return Guard.EXISTS if assessment.may_overdraw else Guard.COVERED


def guard_of(entry: Entry, standing: Standing, policy: Policy) -> Guard:
    """Return what must hold of the user's row for an entry that moves credits."""
    if standing is Standing.UNKNOWN_USER:
        return Guard.MISSING
    if entry.amount >= ZERO or policy.overdraft is Overdraft.ALLOW:
        return Guard.EXISTS
    return Guard.COVERED if standing is Standing.ASSUMED_COVERED else Guard.NOT_COVERED


def _refuse(entry: Entry, assessment: Assessment, *, known: bool) -> Decision:
    """Keep the charge due. A refusal that is already in the log is not written again. What was held for it is charged."""
    if known:
        return Decision(Outcome.REFUSED)
    flag = evolve(entry, type=entry.type if entry.type is EntryType.SETTLE else EntryType.FLAG, amount=ZERO)
    mark = Mark(assessment.marks, settled=False, sequence=flag.sequence) if assessment.job is not None else None
    return Decision(Outcome.REFUSED, flag, Guard.EXISTS if flag.held else Guard.NONE, mark)


def _settle(entry: Entry, guard: Guard, assessment: Assessment, log: JobLog) -> Decision:
    """Post an entry. A job of which something is due all the same is not settled: a release gives back what was held alone."""
    mark = _mark(assessment, entry.facts, entry.sequence)
    if mark is not None and due(entry.cost, EXACT.add(log.posted, entry.amount)) != ZERO:
        mark = evolve(mark, settled=False)
    return Decision(ENTRY_TYPES[entry.type].outcome, entry, guard, mark)


def _mark(assessment: Assessment, facts: Facts, sequence: int) -> Mark | None:
    """Return the mark for the job's row, which rests on the entry of this sequence.

    A scan has read the row and marks what it read. An event speaks for the row only while no later fact is known.
    """
    latest = facts.latest()
    is_latest = latest is None or (assessment.attempt or 0, assessment.at) >= (latest.attempt, latest.at)
    speaks_for_the_row = assessment.job is not None and (assessment.source is Source.SCAN or is_latest)
    return Mark(assessment.marks, sequence=sequence) if assessment.marks is not None and speaks_for_the_row else None


def error_of(assessment: Assessment, field: Path, problem: str) -> EventError:
    """Return the error of an event that makes no sense, for a person to find it again."""
    event = plainly(assessment.event_id or f"of {assessment.reference} from {assessment.source}")
    return EventError(event, assessment.rule, field.text, problem)


def _naming(assessment: Assessment, policy: Policy) -> Path:
    """Return the expression that names the log: a job's or, say, a grant's."""
    is_of_job = assessment.job is not None and assessment.reference == f"{JOB}{assessment.job}"
    return policy.fields.job if is_of_job or policy.fields.reference is None else policy.fields.reference


def _whose(assessment: Assessment) -> str:
    return f"the {log_name(assessment.reference)}'s first entry"
