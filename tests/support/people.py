"""People who correct a ledger in memory: what they say of its logs, by chance, and how it is posted."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from attrs import define, evolve

from engine.domain.decision import Decision, Outcome, Standing
from engine.domain.entry import Correction, PricedAnew
from engine.domain.fact import Adjustment, Charge
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.money import Money
from engine.domain.price import Price
from engine.domain.references import ADJUST, JOB
from engine.ledger.store import Receipt
from engine.rating.correct import Word, correct
from engine.reconcile.settle import settle
from tests.support.books import Books

AT = datetime(2026, 1, 6, tzinfo=UTC)
"""When they speak: after all events of the day before."""

BECAUSE = Correction("a mistake of ours", "arn:aws:iam::111122223333:user/ann")


@define(eq=False)
class Saying:
    """A person's word, proposed until the ledger has it."""

    word: Word
    books: Books
    log: JobLog = NO_ENTRIES
    standing: Standing = Standing.ASSUMED_COVERED

    @property
    def reference(self) -> str:
        """The log that it is about."""
        return self.word.reference

    def decide(self, _attempt: int, _deadline: object) -> Decision:
        """Return what is to be posted by the log as it stands."""
        log = self.books.store.read(self.reference, self.books.run.deadline)
        return correct(self.word, log, self.standing, self.books.policy)

    def learn(self, receipt: Receipt, _deadline: object) -> None:
        """Take in what the user's row has told."""
        self.standing = receipt.standing or self.standing


def say(books: Books, word: Word) -> Outcome:
    """Post a person's word, and return how it ended. Raises CorrectionError for one that makes no sense."""
    decision, _ = settle(Saying(word, books), books.store, books.run.deadline)
    return decision.outcome


@define
class People:
    """Somebody who adjusts jobs and users, takes some of it back, and prices jobs anew; each word is told twice."""

    books: Books
    chance: random.Random
    said: int = 0

    def speak_of(self, job: str, user: str) -> None:
        """Say something of a job or of its user."""
        self.said += 1
        act = self.chance.choice([self._concede, self._take_back, self._adjust, self._reprice, self._reprice])
        act(job, user)

    def _concede(self, job: str, user: str) -> None:
        self._adjustment(Adjustment(f"a-{self.said}", self._amount(), AT), job, user)

    def _take_back(self, job: str, user: str) -> None:
        known = self.books.store.read(f"{JOB}{job}", self.books.run.deadline).facts.concessions
        reversed_ids = {each.reverses for each in known}
        for each in known:
            if not each.reverses and each.id not in reversed_ids:
                self._adjustment(evolve(each, id=f"a-{self.said}", reverses=each.id), job, user)
                return

    def _adjustment(self, told: Adjustment, job: str, user: str) -> None:
        self._say(_adjusting(f"{JOB}{job}", job, user, Facts(concessions=(told,))))
        self._say(_adjusting(f"{ADJUST}{told.id}", job, user, Facts(adjustments=(evolve(told, job=job),))))

    def _adjust(self, _job: str, user: str) -> None:
        told = Adjustment(f"a-{self.said}", self._amount() * self.chance.choice([1, -1]), AT)
        self._say(_adjusting(f"{ADJUST}{told.id}", None, user, Facts(adjustments=(told,))))
        if self.chance.random() < 1 / 3:
            back = evolve(told, id=f"b-{self.said}", reverses=told.id)
            self._say(_adjusting(f"{ADJUST}{told.id}", None, user, Facts(adjustments=(back,))))

    def _reprice(self, job: str, user: str) -> None:
        known = self.books.store.read(f"{JOB}{job}", self.books.run.deadline).facts
        anew, priced = {}, []
        for charge in (*known.charges, *known.weak_charges):
            how = PricedAnew(Price(book="second", rate=self._amount()), self._amount())
            anew[charge] = self._priced(charge, how, self.books.policy.money)
            priced.append(how)
        if anew:
            facts = Facts(
                charges=tuple(anew[charge] for charge in known.charges),
                weak_charges=tuple(anew[charge] for charge in known.weak_charges),
            )
            said = evolve(BECAUSE, priced=tuple(priced))
            how = priced[0]
            self._say(Word(f"{JOB}{job}", job, user, AT, "reprice", facts, said, how.price, how.quantity))

    def _priced(self, charge: Charge, how: PricedAnew, money: Money) -> Charge:
        amount = Fraction(how.price.rate or 0) * Fraction(how.quantity or 0) * 10**money.places
        whole = {"up": -(-amount // 1), "down": amount // 1, "half-up": (amount + Fraction(1, 2)) // 1}
        rounded = Decimal(whole.get(money.rounding, round(amount))).scaleb(-money.places)  # round() is half-even
        return evolve(charge, amount=rounded, policy=self.books.policy.identity, revision=charge.revision + 1)

    def _say(self, word: Word) -> None:
        if say(self.books, word) is not Outcome.REFUSED:
            assert say(self.books, word) is Outcome.DUPLICATE

    def _amount(self) -> Decimal:
        return Decimal(self.chance.randint(1, 9999)).scaleb(-self.chance.choice([2, 3, 4]))


def _adjusting(reference: str, job: str | None, user: str, facts: Facts) -> Word:
    (told,) = (*facts.concessions, *facts.adjustments)
    return Word(reference, job, user, AT, "adjust", facts, evolve(BECAUSE, id=told.id))
