"""What a person's word makes of a log: the one idea again, posting = desired - posted. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.decision import Decision, Standing
from engine.domain.entry import Correction, Entry
from engine.domain.entry_types import ENTRY_TYPES, EntryType, Outcome
from engine.domain.envelope import Source
from engine.domain.errors import CorrectionError
from engine.domain.fact_kinds import moving_type
from engine.domain.facts import Facts
from engine.domain.log import JobLog, due
from engine.domain.money import EXACT, ZERO
from engine.domain.price import Price
from engine.policy.model import Overdraft, Policy, UnknownUser
from engine.rating.cost import cost_of, held_of
from engine.rating.decide import FULL_FROM, LOG_FACTS_MAX, guard_of, standing_anomalies


@frozen
class Word:
    """What a person says of one log: facts, told at ``at`` by the command ``rule`` (adjust, reprice), and who says so and why.

    ``price`` and ``quantity`` are those of the charge that counts, where charges are priced anew.
    """

    reference: str
    job: str | None
    user: str
    at: datetime
    rule: str
    facts: Facts
    correction: Correction
    price: Price | None = None
    quantity: Decimal | None = None


def correct(word: Word, log: JobLog, standing: Standing, policy: Policy) -> Decision:
    """Return the entry that brings a log to what it should come to with a person's word; none where that is known.

    ``standing`` is what is known of the user's balance so far. What it does not cover is refused where the policy refuses
    overdrafts: then nothing is told and nothing stays due. What a refusal of earlier days has left due stays due, so much more
    or less as the word says. Raises CorrectionError where the log is another user's, has no room left, or where the user does
    not exist and the policy refuses those.
    """
    if log.user is not None and log.user != word.user:
        raise CorrectionError(word.reference, f"is of user {log.user!r}, not of {word.user!r}")
    facts = log.facts.join(word.facts)
    if facts == log.facts:
        return Decision(Outcome.DUPLICATE)
    if log.sequence >= FULL_FROM and log.sequence * facts.kept > LOG_FACTS_MAX:
        raise CorrectionError(word.reference, f"has a log of {log.sequence} entries; no more are kept")
    entry = _entry(word, log, facts, policy)
    return _moving(entry, standing, policy) if entry.moves_credits else Decision(ENTRY_TYPES[entry.type].outcome, entry)


def _moving(entry: Entry, standing: Standing, policy: Policy) -> Decision:
    if standing is Standing.UNKNOWN_USER and policy.unknown_user is UnknownUser.REFUSE:
        raise CorrectionError(entry.reference, f"is of user {entry.user!r}; there is no such user in Credits")
    is_covered = entry.amount >= ZERO or standing is Standing.ASSUMED_COVERED
    if not is_covered and policy.overdraft is Overdraft.REFUSE:
        return Decision(Outcome.REFUSED)
    entry = evolve(entry, anomalies=standing_anomalies(entry, standing))
    return Decision(ENTRY_TYPES[entry.type].outcome, entry, guard_of(entry, standing, policy))


def _entry(word: Word, log: JobLog, facts: Facts, policy: Policy) -> Entry:
    cost, held = cost_of(facts, log, policy.money), held_of(facts, log, policy.money)
    amount, entry_type = _posted(word, log, facts, due(cost, log.posted))
    return Entry(
        reference=word.reference,
        job=word.job,
        sequence=log.sequence + 1,
        user=word.user,
        type=entry_type,
        amount=amount,
        occurred_at=word.at,
        rule=word.rule,
        policy=policy.identity,
        facts=facts,
        cost=cost,
        money=policy.money,
        source=Source.COMMAND,
        price=word.price,
        quantity=word.quantity,
        correction=word.correction,
        held=EXACT.subtract(held, log.held),
    )


def _posted(word: Word, log: JobLog, facts: Facts, amount: Decimal) -> tuple[Decimal, EntryType]:
    """Return what is posted of what is due, and its type. A charge that the balance did not cover is not taken by the way."""
    if log.due < ZERO and amount < ZERO:
        return ZERO, EntryType.FLAG
    if amount == ZERO:
        return ZERO, EntryType.VOID
    return amount, moving_type(word.reference, amount, facts, log.facts, is_word=True)
