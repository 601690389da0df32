"""What the policy makes of an envelope: which rules match, what they contribute, and what that costs. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.domain.anomaly import Anomaly
from engine.domain.assessment import Assessment
from engine.domain.envelope import OWN_SOURCE, Document, Envelope, Source
from engine.domain.errors import EventError, Intricate, NoRow, RowNeeded, quoted, shown
from engine.domain.fact import Content
from engine.domain.fact_kinds import PRICED
from engine.domain.facts import Facts
from engine.domain.instants import instant_text, read_instant
from engine.domain.money import DIGITS_MAX, read_number
from engine.domain.price import Component, Price
from engine.domain.references import JOB
from engine.domain.texts import KEY_BYTES_MAX, plainly, text_problem
from engine.policy.expressions.paths import Path, PathProblem, compile_path
from engine.policy.model import NOTHING_READ, Policy, Rule
from engine.policy.price_books import EVENT_TIME, PriceProblem
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.rating.contributions import CONTRIBUTE, Effect
from engine.rating.detectors import find_anomalies
from engine.rating.recognise import known_by, needs_row

IDENTIFIER_CHARACTERS_MAX = 1024
CALL = "("
"""What only an expression with a function has in it."""


def assess(
    envelope: Envelope, policy: Policy, baselines: Baselines = NO_BASELINES, now: datetime | None = None
) -> Assessment | None:
    """Return what the policy makes of an event, or None when no rule matches it.

    ``baselines`` are what outliers are measured by; ``now`` is the clock of whoever works on the event (None: its
    time is not judged by one). Raises EventError when a rule matches but the event makes no sense, and RowNeeded when it can
    be told only with the job's own row, which the envelope does not have yet.
    """
    try:
        return _assessed(envelope, policy, baselines, now)
    except Intricate as error:
        raise error.about(describe(envelope)) from error


def _assessed(envelope: Envelope, policy: Policy, baselines: Baselines, now: datetime | None) -> Assessment | None:
    document = envelope.document
    if document.get("source") == OWN_SOURCE:
        return None
    matching = policy.matching(document)
    deciding = next((rule for rule in matching if rule.decides), None)
    flags = [rule for rule in matching if not rule.decides]
    if deciding is None and not flags:
        return None
    reader = EventReader(with_own_row(envelope, policy), (deciding or flags[0]).name, policy)
    reference, job = reader.log(deciding.kind.log if deciding else JOB)
    user, at = reader.identifier(policy.fields.user), reader.instant(policy.fields.time)
    if now is not None and not envelope.time_is_assumed:
        reader.refuse_ahead(at, now)
    effect = reader.effect(deciding, at) if deciding else Effect(Facts())
    attempt = reader.attempt() if deciding and deciding.kind.is_of_an_attempt else None
    fact = effect.fact if attempt is None else effect.fact.in_attempt(attempt, reader.said_attempt(attempt))
    fact = fact if policy.own_row == NOTHING_READ else reader.told_by(fact)
    for rule in flags:
        fact = fact.join(reader.effect(rule, at).fact)
    if effect.fact.holds and envelope.id is None:
        raise reader.error("id", "is missing; a hold needs the id of its event: a request that was refused is known by it")
    found = find_anomalies(policy.anomalies, document, priced_view(effect), baselines)
    return Assessment(
        reference=reference,
        job=job,
        user=user,
        at=at,
        rule=reader.rule,
        fact=fact,
        source=envelope.source,
        event_id=reader.event_id(),
        price=effect.price,
        quantity=effect.quantity,
        anomalies=(*(Anomaly(rule.name, rule.reason) for rule in flags), *found.anomalies),
        samples=found.samples,
        signs=found.signs,
        unjudged=found.unjudged,
        status=envelope.status if envelope.source is Source.SCAN else _status(document, policy),
        attempt=attempt,
        may_overdraw=effect.may_overdraw,
        time_is_assumed=envelope.time_is_assumed,
        document=document,
        row=envelope.row,
    )


def with_own_row(envelope: Envelope, policy: Policy) -> Envelope:
    """Return the envelope as the policy's expressions see it: with the job's own row, where some of them reads it."""
    if policy.own_row == NOTHING_READ:
        return envelope
    from engine.policy.expressions.event_and_row import EventAndRow  # noqa: PLC0415  few policies read it

    return evolve(envelope, document=EventAndRow(envelope.document, envelope.row))


# --- what anomalies see -----------------------------------------------------------------------------------------------


def priced_view(effect: Effect | Assessment) -> dict[str, dict[str, object]]:
    """Return what anomalies see beside the envelope: of a priced fact its figures under the name of its kind, else nothing."""
    for kind in PRICED:
        fact = kind.counting(effect.fact)
        if fact is not None:
            price = effect.price or NO_PRICE
            seen = _seen(price, effect.quantity, fact.amount)
            if price.components:
                seen["components"] = [_seen_component(component) for component in price.components]
            return {kind.key: seen}
    return {}


def _seen(price: Price, quantity: Decimal | None, amount: Decimal | None) -> dict[str, object]:
    return {
        "amount": amount,
        "quantity": quantity,
        "rate": price.rate,
        "unit": price.unit,
        "price": _named(price),
        "defaulted": price.defaulted,
    }


def _seen_component(component: Component) -> dict[str, object]:
    return {"name": component.name, **_seen(component.price, component.quantity, component.amount)}


NO_PRICE = Price()


def _named(price: Price) -> str | None:
    """Return which rate of which row of which price book it is."""
    return f"{price.book} {instant_text(price.effective)} {price.unit}" if price.effective is not None else None


# --- what an envelope says --------------------------------------------------------------------------------------------


@frozen
class EventReader:
    """Reads an envelope and turns whatever makes no sense into an EventError that names event, rule and field."""

    envelope: Envelope
    rule: str
    policy: Policy

    def log(self, log: str) -> tuple[str, str | None]:
        """Return the reference of the event's log, which begins with ``log``, and the job where the event names one."""
        return self._job() if log == JOB else self._other(log)

    def _job(self) -> tuple[str, str]:
        job = self.identifier(self.policy.fields.job, JOB)
        return f"{JOB}{job}", job

    def _other(self, log: str) -> tuple[str, str | None]:
        """A grant's log, say, is named by the event's reference; the event may name a job beside it."""
        path = self.policy.fields.reference
        assert path is not None  # noqa: S101  the loader refuses a rule of such a log without it
        try:
            job = self.identifier(self.policy.fields.job, JOB)
        except EventError:
            job = None
        return f"{log}{self.identifier(path, log)}", job

    def identifier(self, path: Path, prefix: str = "") -> str:
        value = self._search(path)
        if not isinstance(value, str):
            raise self.error(path.text, f"is {quoted(value)}; a string is needed")
        if problem := _identifier_problem(value, prefix):
            raise self.error(path.text, problem)
        return value

    def event_id(self) -> str | None:
        """Return the event's id, which the entry keeps, where it has one."""
        if (value := self.envelope.id) is not None and (problem := text_problem(value)):
            raise self.error("id", problem)
        return value

    def instant(self, path: Path) -> datetime:
        value = self._search(path)
        if (instant := read_instant(value)) is None:
            raise self.error(path.text, f"is {quoted(value)}; an ISO 8601 instant with a zone is needed")
        return instant

    def attempt(self) -> int | None:
        """Return which try of its job the event is about; None where the policy does not number them."""
        path = self.policy.fields.attempt
        return None if path is None else self.whole_number(path)

    def names_no_attempt(self) -> bool:
        """Say whether nothing stands where the policy looks for the attempt."""
        path = self.policy.fields.attempt
        return path is None or self._search(path) is None

    def said_attempt(self, attempt: int) -> Content:
        """Return what the event said of its attempt: kept with the fact, it tells one attempt's event from another's."""
        path = self.policy.fields.attempt
        return () if path is None else ((path.text, str(attempt)),)

    def whole_number(self, path: Path) -> int:
        value = self._search(path)
        if (number := _whole(value)) is None:
            raise self.error(path.text, f"is {quoted(value)}; a whole number >= 0 of at most {DIGITS_MAX} digits is needed")
        return number

    def told_by(self, fact: Facts) -> Facts:
        """Return a fact with the id of its event, where its time was read from the job's own row, which may change."""
        if (told := self.event_id()) is None:
            return fact
        return known_by(told, fact) if needs_row(self.policy.fields.time, self.envelope.document) else fact

    def refuse_ahead(self, at: datetime, now: datetime) -> None:
        """Raise EventError for a time that lies too far ahead of the clock."""
        ahead = self.policy.clock.ahead
        if at - now > ahead:
            latest = instant_text((now + ahead).replace(microsecond=0))
            raise self.error(
                self.policy.fields.time.text, f"is {instant_text(at)}; a time not after {latest} is needed (`clock.ahead`)"
            )

    def effect(self, rule: Rule, at: datetime) -> Effect:
        try:
            return CONTRIBUTE[rule.action](rule, self.envelope, at, self.policy)
        except RowNeeded as needed:
            raise self.needing(needed.expression) from None
        except PriceProblem as problem:
            raise self._unpriced(problem) from problem

    def _unpriced(self, problem: PriceProblem) -> EventError:
        """An instant that a function has worked out stands nowhere in the event: the error says it."""
        field = self.policy.fields.time.text if problem.field == EVENT_TIME else problem.field
        return self.error(field, problem.with_instant if CALL in field else problem.problem)

    def error(self, field: str, problem: str) -> EventError:
        return EventError(describe(self.envelope, self._job_said()), self.rule, field, f"{problem}{self._whose_row(field)}")

    def _whose_row(self, field: str) -> str:
        """Name the job by whose row an expression was answered, where the error names the event by its id alone."""
        envelope = self.envelope
        if envelope.row is None or envelope.id is None or not needs_row(compile_path(field), envelope.document):
            return ""
        return f"; `row` is that of job {shown(self._job_said())}"

    def _job_said(self) -> str | None:
        """Return the job that an error names where the event has no id of its own."""
        try:
            value = self.policy.fields.job.search(self.envelope.document)
        except PathProblem:
            return None
        return value if isinstance(value, str) else None

    def _search(self, path: Path) -> Any:
        try:
            return path.search(self.envelope.document)
        except PathProblem as problem:
            raise self.error(path.text, str(problem)) from problem
        except RowNeeded:
            raise self.needing(path.text) from None

    def needing(self, expression: str) -> RowNeeded:
        """Return what has to be read before the event can be told. Raises EventError for an event that names no job."""
        path = self.policy.fields.job
        job = self._search(path)
        if not isinstance(job, str) or (problem := _identifier_problem(job, JOB)):
            said = f"is {quoted(job)}" if not isinstance(job, str) else problem
            raise self.error(path.text, f"{said}; `{expression}` is read from the row of that job in Jobs")
        problem = f"there is no row of job {shown(job)} in Jobs, which `{expression}` needs"
        return RowNeeded.of_job(job, NoRow(describe(self.envelope, job), self.rule, expression, problem))


def describe(envelope: Envelope, job: str | None = None) -> str:
    """Name an event for a person: its id; without one the row of Jobs it is, or what it is and whose."""
    document = envelope.document
    if envelope.id:
        return plainly(envelope.id)
    row = document.get("detail") if envelope.source is Source.SCAN else None
    if isinstance(row, Mapping):
        return f"row {quoted(row.get('jobId'))}"
    place = envelope.source if envelope.message is None else f"{envelope.source}, message {envelope.message}"
    whose = "" if job is None else f", job {shown(job)}"
    return f"{quoted(document.get('detail-type'))} from {place}{whose}"


def _whole(value: Any) -> int | None:
    try:
        number = read_number(value)
    except ValueError:
        return None
    return int(number) if number == number.to_integral_value() else None


def _identifier_problem(value: str, prefix: str) -> str | None:
    if not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        return f"has {len(value)} characters; 1 to {IDENTIFIER_CHARACTERS_MAX} are needed"
    if value.isascii() and value.isprintable():
        return None  # as nearly all are: no control character, and a byte for each character
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        return f"is {shown(value)}; control characters are not allowed"
    size, room = len(value.encode()), KEY_BYTES_MAX - len(prefix)
    return f"takes {size} bytes as UTF-8; a key of DynamoDB has room for {room}" if size > room else None


def _status(document: Document, policy: Policy) -> str | None:
    """Return the status of Jobs that an event stands for: the catch-up read backwards."""
    for catch_up in policy.catch_up:
        same_kind = document.get("source") == catch_up.source and document.get("detail-type") == catch_up.detail_type
        if same_kind and catch_up.statuses:
            return catch_up.statuses[0]
    return None
