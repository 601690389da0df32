"""Who prices charges anew by hand, by what was read a moment ago, with nothing but the rules of facts between two of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from engine.domain.decision import Decision, Standing
from engine.domain.entry import Correction, PricedAnew
from engine.domain.errors import CorrectionError
from engine.domain.fact import Charge
from engine.domain.facts import Facts
from engine.domain.log import JobLog
from engine.domain.price import Price
from engine.ledger.store import Receipt, Verdict
from engine.policy import Policy
from engine.policy.model import UnknownUser
from engine.rating.correct import Word, correct
from engine.reconcile.settle import settle
from engine.runtime.clock import Deadline
from tests.simulation.repricings import REPRICE, Repricing
from tests.simulation.world.deeds import PERSON_SECONDS, tried
from tests.simulation.world.plan import Step

if TYPE_CHECKING:
    from tests.simulation.world.play import World


def price_by_hand(world: World, step: Step) -> None:
    """Tell all charges that a job's log kept a moment ago with a revision more, whatever others tell meanwhile."""
    said, caller = step.subject, world.caller(step)
    caller.ends_at = float("inf")
    store: Any = world.reach(world.place, caller)
    deadline = caller.clock().deadline(PERSON_SECONDS)

    def act() -> Decision | None:
        log = store.read(f"job#{said.job}", deadline)
        if log.facts.charge is None:
            return None
        name = f"{said.name} ({step.seed})"
        world.repricings.append(Repricing(name, said.job, log.sequence, amount=Fraction(said.amount), is_plan=False))
        word = _by_hand(name, log, Decimal(said.amount), said.job, world)
        try:
            return settle(Told(word, world.policy, store, log), store, deadline)[0]
        except CorrectionError:  # a job that cost nothing so far, of somebody who has no balance
            if world.policy.unknown_user is not UnknownUser.REFUSE:
                raise
            world.count["word that made no sense"] += 1
            return None

    decision = tried(world, f"{said.job} is priced anew at {said.amount}", act)
    if decision is not None:
        world.count["repricing by hand"] += 1
        world.count[f"outcome {decision.outcome.value} by command"] += 1


def _by_hand(name: str, log: JobLog, amount: Decimal, job: str, world: World) -> Word:
    price, policy, at = Price(amount=amount), world.policy, world.timeline.now()

    def anew(charges: tuple[Charge, ...]) -> tuple[Charge, ...]:
        return tuple(evolve(each, amount=amount, revision=each.revision + 1, policy=policy.identity) for each in charges)

    facts = Facts(charges=anew(log.facts.charges), weak_charges=anew(log.facts.weak_charges))
    correction = Correction("a wrong price", "ann", plan=name, priced=(PricedAnew(price),))
    return Word(f"job#{job}", job, log.user or "", at, REPRICE, facts, correction, price)


@define(eq=False)
class Told:
    """A person's word that is to stand on a log. It is a ``settle.Proposal``."""

    word: Word
    policy: Policy
    store: Any
    log: JobLog
    standing: Standing = Standing.ASSUMED_COVERED

    @property
    def reference(self) -> str:
        """The log."""
        return self.word.reference

    def decide(self, _attempt: int, _deadline: Deadline) -> Decision:
        """Return what is to be posted."""
        return correct(self.word, self.log, self.standing, self.policy)

    def learn(self, receipt: Receipt, deadline: Deadline) -> None:
        """Take in what a refusal tells."""
        self.standing = receipt.standing or self.standing
        if receipt.verdict is Verdict.SEQUENCE_TAKEN:
            self.log, self.standing = self.store.read(self.reference, deadline), Standing.ASSUMED_COVERED
