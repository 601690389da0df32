"""How an event comes to its amount, step by step: what expressions find, the row and the rate that count, the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from attrs import frozen

from engine.domain.assessment import Assessment
from engine.domain.envelope import Document, Envelope
from engine.domain.fact_kinds import content_of
from engine.domain.instants import instant_text, read_instant
from engine.domain.money import Money, canonical
from engine.domain.price import Price, Tier
from engine.policy.charges import ChargeTerms, HoldTerms
from engine.policy.expressions.paths import PLAIN, Path
from engine.policy.model import Fields, Policy
from engine.policy.price_books import DEFAULT_RATE, PriceBook, PriceRow, Rates
from engine.policy.shares import Share
from engine.rating.arithmetic import price_steps
from engine.rating.assess import with_own_row
from engine.rating.cost import told_steps


def steps_of(envelope: Envelope, assessment: Assessment, policy: Policy) -> Iterator[str]:
    """Yield how an event comes to its amount, as the first event of its log. It has its job's row where that was needed."""
    rule = next(rule for rule in policy.rules if rule.name == assessment.rule)
    document = with_own_row(envelope, policy).document
    yield from _field_steps(document, policy.fields)
    yield from _attempt_steps(assessment, policy.fields)
    terms = rule.terms.charge if isinstance(rule.terms, HoldTerms) else rule.terms
    if assessment.price is not None and isinstance(terms, ChargeTerms):
        yield from _Priced.of(document, assessment, terms).steps(terms, assessment.price, policy.money)
    calculations = tuple(_share_steps(document, rule.terms)) if isinstance(rule.terms, Share) else ()
    yield from calculations
    said = {step.partition(" = ")[0].rpartition(" is ")[0] for step in calculations}
    said |= {policy.fields.attempt.text} if policy.fields.attempt is not None else set()
    yield from (step for step in told_steps(assessment.fact) if step.rpartition(" is ")[0] not in said)
    yield from _cover_steps(rule.terms) if isinstance(rule.terms, HoldTerms) else ()


def _cover_steps(terms: HoldTerms) -> Iterator[str]:
    if terms.may_overdraw:
        yield "whether the balance covers it or not: `overdraft` is allow"
    else:
        yield "refused where the balance does not cover it: `overdraft` is refuse"


def _share_steps(document: Document, share: Share) -> Iterator[str]:
    """Yield how an event comes to the figure that goes back, where that is worked out."""
    for path in share.paths():
        yield from _calculations(path, document)


def _field_steps(document: Document, fields: Fields) -> Iterator[str]:
    """Yield how job, user, time and attempt are made of what the event says, where they are not simply found in it."""
    for path in (fields.job, fields.user, fields.time, fields.reference, fields.attempt):
        yield from _calculations(path, document) if path is not None else ()


def _attempt_steps(assessment: Assessment, fields: Fields) -> Iterator[str]:
    if fields.attempt is not None and assessment.attempt is not None:
        numbered = f"attempt {assessment.attempt} of its job, by `event.attempt` ({fields.attempt.text})"
        yield f"{numbered}: a higher one decides over it"


def _calculations(path: Path, document: Document) -> tuple[str, ...]:
    if PLAIN.fullmatch(path.text):
        return ()
    from engine.policy.expressions.steps import steps  # noqa: PLC0415  only what calculates pays for jmespath

    return steps(path.text, document)


@frozen
class _Priced:
    """An event that is priced: what it said, and the instant that selects the rows of price books."""

    document: Document
    said: Mapping[str, str]
    time: datetime
    at: datetime
    quantity: Decimal | None

    @classmethod
    def of(cls, document: Document, assessment: Assessment, terms: ChargeTerms) -> _Priced:
        said = dict(content_of(assessment.fact))
        priced_at = None if terms.priced_at is None else read_instant(said[terms.priced_at.text])
        return cls(document, said, assessment.at, priced_at or assessment.at, assessment.quantity)

    def steps(self, terms: ChargeTerms, price: Price, money: Money) -> Iterator[str]:
        """Yield what the event was asked, and how its answers come to the amount."""
        yield from self._priced_at_steps(terms.priced_at) if terms.priced_at is not None else ()
        yield from self._asked_steps(terms, price, self.quantity)
        parts = zip(terms.components, price.components, strict=True)
        asked = [tuple(self._asked_steps(part, each.price, each.quantity)) for part, each in parts]
        yield from price_steps(price, self.quantity, money, asked)

    def _priced_at_steps(self, path: Path) -> Iterator[str]:
        yield from _calculations(path, self.document)
        whose = "the event's time too" if self.at == self.time else "not at the event's time"
        yield f"priced at {path.text}, which is {self.said[path.text]}, {whose}"

    def _asked_steps(self, terms: ChargeTerms, price: Price, quantity: Decimal | None) -> Iterator[str]:
        row = terms.book.row_at(self.at) if terms.book else None
        if terms.book and row:
            again, then = _ended(terms.book, row, self.at), _following(terms.book, self.at)
            yield f"at {instant_text(self.at)} the row from {instant_text(row.effective)} counts{again}; {then}"
            for by in row.by:
                yield from _calculations(by, self.document)
            yield from _defaults(row, self.said) if price.defaulted else ()
        if terms.quantity and quantity is not None:
            yield from self._quantity_steps(terms.quantity, quantity)

    def _quantity_steps(self, path: Path, quantity: Decimal) -> Iterator[str]:
        calculations = _calculations(path, self.document)
        yield from calculations
        text = " ".join(path.text.split())  # as a calculation is told: on one line
        is_told = text == f"`{canonical(quantity)}`" or (calculations and calculations[-1].startswith(f"{text} is "))
        if not is_told:
            yield f"{text} is {canonical(quantity)}"


# --- which row counts, and which rate ---------------------------------------------------------------------------------


def _ended(book: PriceBook, row: PriceRow, at: datetime) -> str:
    """Say that a row counts again, and which one that began after it has ended last."""
    ended = [(each.until, each.effective) for each in book.rows if each.until and row.effective < each.effective <= at]
    if not ended:
        return ""
    until, effective = max(ended)
    return f" again, since the one from {instant_text(effective)} ended at {instant_text(until)}"


def _following(book: PriceBook, at: datetime) -> str:
    if (change := book.next_change(at)) is None:
        return "there is no later one"
    following = book.row_at(change)
    if following is not None and following.effective == change:
        return f"the next one counts from {instant_text(change)} on"
    then = f"the row from {instant_text(following.effective)} counts again" if following else "none counts"
    return f"it ends at {instant_text(change)}, and then {then}"


def _defaults(row: PriceRow, said: Mapping[str, str]) -> Iterator[str]:
    """Yield each selected value that has no rate of its own, behind the keys that led to it."""
    rates: Rates | tuple[Tier, ...] = row.rates
    keys: list[str] = []
    for by in row.by:
        if isinstance(rates, tuple):
            return
        value = said[by.text]
        if value not in rates:
            yield f"`{'/'.join([*keys, value])}` has no rate of its own: `{DEFAULT_RATE}` counts"
        keys.append(value if value in rates else DEFAULT_RATE)
        rates = rates[keys[-1]]
