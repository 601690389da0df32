"""People who adjust at once, and a process that dies on the way: an id counts once, one approval posts, one reversal wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from attrs import evolve, field, frozen

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.envelope import Source
from engine.domain.errors import CorrectionError
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.policy import parse_policy
from engine.reconcile.adjustments import withdraw
from engine.reconcile.corrections import Adjusted, Adjuster
from engine.runtime.clock import Clock
from tests.ledger.test_crashes import CALLS_MAX, CrashError, crash_at, lose_answer_of
from tests.support.clock import START
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

POLICY = parse_policy(f"{EXAMPLE}adjustments: {{second_person_above: 20}}\n", "example.yaml")
PEOPLE = [Identity(f"arn:aws:iam::1:user/{name}", f"AIDA{name}", name) for name in ("ann", "ben", "cid", "dan")]
ANN, BEN, *_ = PEOPLE
ROUNDS = 4

GIFT = AdjustmentRequest("a-1", "u-1", Decimal(5), "a gift")
LARGE = evolve(GIFT, amount=Decimal(50))
CONCESSION = AdjustmentRequest("a-1", "u-1", Decimal("0.5"), "cut off", job="j-1")
BACK = AdjustmentRequest("a-2", "", Decimal(0), "a mistake", reverses="a-1")


@frozen
class Desk:
    """Tables with a user of a thousand credits and a job of 0.8, and people at work on them."""

    world: World
    client: Any = field(default=None)

    @classmethod
    def on(cls, client: Any, tables: Tables) -> Desk:
        """Return a desk on new tables."""
        world = World(client, tables, POLICY, Clock(now=lambda: START)).user()
        world.deliver(rendered())
        return cls(world)

    @property
    def adjuster(self) -> Adjuster:
        """What a process of its own works with."""
        return Adjuster.on(POLICY, DynamoStore(self.client or self.world.client, self.world.tables, self.world.clock))

    def adjust(self, request: AdjustmentRequest, by: Identity = ANN) -> Adjusted:
        """Adjust."""
        return self.adjuster.adjust(request, by, self.world.deadline())

    def approve(self, by: Identity = BEN) -> Adjusted:
        """Approve."""
        return self.adjuster.approve("a-1", by, self.world.deadline())

    def withdraw(self) -> None:
        """Withdraw; said again it is gone."""
        try:
            withdraw(self.adjuster.corrections, "a-1", ANN, self.world.deadline())
        except CorrectionError as error:
            assert str(error).endswith("is no proposal that waits")  # noqa: PT017  it may be raised, and need not

    def everything(self) -> Any:
        """Return all that the tables keep, and check that the balance is what was posted."""
        rows, row = self.world.everything(), self.world.user_row()
        assert row is not None
        posted = sum((Decimal(entry["amount"]) for entry in rows["ledger"]), Decimal(0))
        assert (posted, 1000 + posted) == (row["posted"], row["remaining"])
        return rows, list(self.adjuster.corrections.proposals(self.world.deadline()))


# --- one who dies -----------------------------------------------------------------------------------------------------

type Step = Callable[[Desk], Any]
ACTIONS: dict[str, tuple[list[Step], Step]] = {
    "a user": ([], lambda desk: desk.adjust(GIFT)),
    "a job": ([], lambda desk: desk.adjust(CONCESSION)),
    "a user's, taken back": ([lambda desk: desk.adjust(GIFT)], lambda desk: desk.adjust(BACK)),
    "a job's, taken back": ([lambda desk: desk.adjust(CONCESSION)], lambda desk: desk.adjust(BACK)),
    "a proposal": ([], lambda desk: desk.adjust(LARGE)),
    "an approval": ([lambda desk: desk.adjust(LARGE)], lambda desk: desk.approve()),
    "a withdrawal": ([lambda desk: desk.adjust(LARGE)], lambda desk: desk.withdraw()),
}


def run(client: Any, tables: Tables, name: str, disturb: Any = None, *, again: bool = False) -> tuple[Any, list[str]]:
    """Prepare a desk, take the step of an action through a disturbed client, and then ``again`` through a quiet one."""
    before, step = ACTIONS[name]
    desk = Desk.on(client, tables)
    for each in before:
        each(desk)
    disturbed = DisturbedClient(client, disturb or (lambda _operation, request, send: send(**request)))
    try:
        step(evolve(desk, client=disturbed))
    except CrashError:
        assert again
    if again:
        step(desk)
    return desk.everything(), disturbed.calls


@pytest.mark.parametrize("name", ACTIONS)
def test_who_dies_at_any_call_says_it_again(name: str, dynamodb: Any, new_tables: Any) -> None:
    """Behind each call in turn, which is before the next: the tables end as if nothing had happened."""
    expected, calls = run(dynamodb, new_tables(), name)
    assert 1 <= len(calls) <= CALLS_MAX

    for number in range(1, len(calls) + 1):
        found, _ = run(dynamodb, new_tables(), name, crash_at(number, after=True), again=True)
        assert expected == found, f"call {number} ({calls[number - 1]})"


@pytest.mark.parametrize("name", ACTIONS)
def test_an_answer_that_is_lost_changes_nothing(name: str, dynamodb: Any, new_tables: Any) -> None:
    """The request is sent again, and counts once."""
    expected, calls = run(dynamodb, new_tables(), name)

    for number in range(1, len(calls) + 1):
        found, _ = run(dynamodb, new_tables(), name, lose_answer_of(number))
        assert expected == found, f"call {number} ({calls[number - 1]})"


# --- several at once --------------------------------------------------------------------------------------------------


def at_once(*steps: Callable[[], Any]) -> Counter[str]:
    """Take steps at one moment, each in a thread of its own; return how they ended: by the outcome, or by what was wrong."""
    begin = Barrier(len(steps))

    def take(step: Callable[[], Any]) -> str:
        begin.wait()
        try:
            told = step()
        except CorrectionError as error:
            return str(error)
        return str(told.outcome) if isinstance(told, Adjusted) else "done"

    with ThreadPoolExecutor(len(steps)) as pool:
        return Counter(pool.map(take, steps))


@pytest.fixture
def desk(dynamodb: Any, tables: Tables) -> Desk:
    """Return a desk."""
    return Desk.on(dynamodb, tables)


def posted(desk: Desk, reference: str) -> list[Decimal]:
    """Return the amounts of a log."""
    found = desk.adjuster.store.entries_of(reference, desk.world.deadline())
    return [entry.amount for entry in found]


@pytest.mark.parametrize("request_", [GIFT, CONCESSION])
def test_an_id_that_four_people_tell_at_once_counts_once(desk: Desk, request_: AdjustmentRequest) -> None:
    """One has told it; the others hear that it was told."""
    for number in range(ROUNDS):
        told = evolve(request_, id=f"a-{number}", amount=Decimal("0.01"))
        ended = at_once(*(lambda who=who, told=told: desk.adjust(told, who) for who in PEOPLE))

        assert {"adjusted": 1, "duplicate": 3} == ended
    desk.everything()
    found = [posted(desk, f"adjust#a-{number}") for number in range(ROUNDS)]
    assert [[Decimal("0.01") if request_ is GIFT else 0]] * ROUNDS == found
    assert ROUNDS * [Decimal("0.01")] == (
        posted(desk, "job#j-1")[1:] if request_ is CONCESSION else ROUNDS * [Decimal("0.01")]
    )


def test_an_id_that_two_people_tell_otherwise_at_once_says_one_thing(desk: Desk) -> None:
    """A user's and a job's too. Who comes second hears what stands there."""
    for number in range(ROUNDS):
        of_user, of_job = evolve(GIFT, id=f"a-{number}"), evolve(CONCESSION, id=f"a-{number}", amount=Decimal("0.01"))
        ended = at_once(lambda told=of_user: desk.adjust(told, ANN), lambda told=of_job: desk.adjust(told, BEN))

        assert 1 == ended["adjusted"], ended
        (problem,) = ended.keys() - {"adjusted"}
        assert problem.startswith(f"adjust#a-{number} is an adjustment of ")
        assert 1 == len(posted(desk, f"adjust#a-{number}"))
    desk.everything()


def test_a_proposal_that_three_people_approve_at_once_is_posted_once(desk: Desk) -> None:
    """The first of them cannot be who has proposed it, whatever else goes on."""
    for number in range(ROUNDS):
        name = f"a-{number}"
        desk.adjust(evolve(LARGE, id=name))
        ended = at_once(
            *(lambda who=who, name=name: desk.adjuster.approve(name, who, desk.world.deadline()) for who in PEOPLE)
        )
        refusal = f"proposal#{name} was proposed by {ANN.name}; another person has to approve it"
        assert 1 == ended["adjusted"], ended
        assert ended["duplicate"] == 3 - ended[refusal]
        assert [Decimal(50)] == posted(desk, f"adjust#{name}")
    assert [] == desk.everything()[1]


def test_a_proposal_is_withdrawn_or_approved_and_never_both(desk: Desk) -> None:
    """Whoever comes second hears that it waits no more."""
    for number in range(ROUNDS):
        name = f"a-{number}"
        desk.adjust(evolve(LARGE, id=name))

        def take_back(name: str = name) -> None:
            withdraw(desk.adjuster.corrections, name, ANN, desk.world.deadline())

        ended = at_once(take_back, lambda name=name: desk.adjuster.approve(name, BEN, desk.world.deadline()))
        assert 1 == ended["done"] + ended["adjusted"], ended
        assert ended["adjusted"] == len(posted(desk, f"adjust#{name}"))
    assert [] == desk.everything()[1]


@pytest.mark.parametrize("request_", [GIFT, CONCESSION])
def test_an_adjustment_that_four_people_take_back_at_once_goes_back_once(desk: Desk, request_: AdjustmentRequest) -> None:
    """Each under an id of its own: the compare-and-set of its log lets one in."""
    before = desk.world.user_row()
    for number in range(ROUNDS):
        name = f"a-{number}"
        desk.adjust(evolve(request_, id=name))
        ended = at_once(
            *(
                lambda who=who, name=name: desk.adjust(evolve(BACK, id=f"{name}-{who.person}", reverses=name), who)
                for who in PEOPLE
            )
        )
        assert 1 == ended["adjusted"], ended
        assert all(f"adjust#{name} was taken back already, by " in problem for problem in ended.keys() - {"adjusted"})
    desk.everything()
    assert (before or {})["remaining"] == (desk.world.user_row() or {})["remaining"]


def test_a_job_that_fails_while_it_is_conceded_costs_nothing_in_the_end(desk: Desk) -> None:
    """Nothing goes back twice, whoever comes first."""
    for number in range(ROUNDS):
        job = f"j-{number + 2}"
        desk.world.deliver(rendered(job))
        told = evolve(CONCESSION, id=f"a-{number}", job=job)
        reconciler = desk.world.reconciler()
        ended = at_once(
            lambda told=told: desk.adjust(told),
            lambda job=job, reconciler=reconciler: reconciler.event(failed(job), Source.EVENT, desk.world.deadline()),
        )
        assert {"done"} < ended.keys() <= {"done", "adjusted", "voided"}
        assert Decimal(0) == sum(posted(desk, f"job#{job}"))
    desk.everything()
