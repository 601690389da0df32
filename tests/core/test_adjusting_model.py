"""People and events in any order, against a model that keeps every word and knows nothing of logs: to the last digit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.adjustment import Identity
from engine.domain.errors import CorrectionError
from tests.core.test_adjusting import ANN, BEN, CID, Desk, request
from tests.support.events import failed, rendered
from tests.support.examples import part

type Word = tuple[str, str, Fraction, str, str]
"""Id, user, amount, job, and what it takes back."""

MAXIMUM, SECOND_ABOVE = 100, 20
JOBS = {"j-1": "u-1", "j-2": "u-1", "j-3": "u-2"}
EXAMPLES = [150, pytest.param(part(2000), marks=pytest.mark.proof)]


@define
class Model:
    """What was said so far, by its ids; what waits, with who has proposed it; what was told of each job."""

    said: dict[str, Word] = Factory(dict)
    waits: dict[str, tuple[Word, Identity]] = Factory(dict)
    charged: dict[str, Fraction] = Factory(dict)
    failed: set[str] = Factory(set)

    def say(self, word: Word, by: Identity) -> None:
        """Take in what a person says, if it makes sense."""
        name, user, amount, job, reverses = word
        if reverses:
            if reverses not in self.said or self.said[reverses][4]:
                return
            _, user, amount, job, _ = self.said[reverses]
        whole = name, user, amount, job, reverses
        if name in self.said or name in self.waits or not self._makes_sense(whole):
            return
        if abs(amount) > SECOND_ABOVE:
            self.waits[name] = whole, by
        else:
            self.said[name] = whole

    def approve(self, name: str, by: Identity) -> None:
        """Let a proposal count, if somebody else has made it and it still makes sense."""
        word, proposer = self.waits.get(name, (None, by))
        if word is not None and proposer != by and self._makes_sense(word):
            self.said[name] = word
            del self.waits[name]

    def _makes_sense(self, word: Word) -> bool:
        name, user, amount, job, reverses = word
        is_known = not job or job in self.charged or job in self.failed
        is_right = not job or JOBS[job] == user
        is_free = not reverses or all(each[4] != reverses for each in self.said.values())
        is_bounded = 0 < abs(amount) <= MAXIMUM and (amount > 0 or not job)
        return is_known and is_right and is_free and is_bounded and name != reverses

    def balance(self, user: str) -> Fraction:
        """Return ten, and what stands of what people said, less what each job costs with what was conceded."""
        back = {each[4] for each in self.said.values()}
        standing = [each for each in self.said.values() if not each[4] and each[0] not in back]
        given_to_user = sum((amount for _, whose, amount, job, _ in standing if whose == user and not job), Fraction(0))
        costs = sum((self._cost(job, standing) for job, whose in JOBS.items() if whose == user), Fraction(0))
        return 10 + given_to_user - costs

    def _cost(self, job: str, standing: list[Word]) -> Fraction:
        charge = Fraction(0) if job in self.failed else self.charged.get(job, Fraction(0))
        return max(charge - sum(amount for _, _, amount, of, _ in standing if of == job), Fraction(0))


IDS = st.sampled_from(["a-1", "a-2", "a-3"])
PEOPLE = st.sampled_from([ANN, BEN, CID])
AMOUNTS = st.sampled_from(["0.3", "0.5", "3", "-3", "20", "20.5", "-50", "99", "101"])
SAY_USER = st.tuples(st.just("say"), IDS, st.sampled_from(["u-1", "u-2"]), AMOUNTS, st.just(""), PEOPLE)
SAY_JOB = st.tuples(st.just("say"), IDS, st.sampled_from(["u-1", "u-2"]), AMOUNTS, st.sampled_from([*JOBS]), PEOPLE)
BACK = st.tuples(st.just("back"), IDS, IDS, PEOPLE)
APPROVE = st.tuples(st.just("approve"), IDS, PEOPLE)
RENDERED = st.tuples(st.just("rendered"), st.sampled_from([*JOBS]), st.integers(5, 9))
FAILED = st.tuples(st.just("failed"), st.sampled_from([*JOBS]))
STEPS = st.lists(st.one_of(SAY_USER, SAY_USER, SAY_JOB, BACK, APPROVE, APPROVE, RENDERED, FAILED), min_size=5, max_size=20)


def take(desk: Desk, model: Model, step: tuple[Any, ...]) -> None:
    """Take one step on both. What a person says and makes no sense is an error, and moves nothing."""
    kind, *rest = step
    try:
        if kind == "say":
            name, user, amount, job, by = rest
            model.say((name, user, Fraction(amount), job, ""), by)
            desk.adjuster.adjust(request(name, amount, user, job=job), by, desk.deadline())
        elif kind == "back":
            name, reverses, by = rest
            model.say((name, "", Fraction(0), "", reverses), by)
            desk.adjust(name, by=by, reverses=reverses)
        elif kind == "approve":
            model.approve(*rest)
            desk.approve(*rest)
        else:
            tell(desk, model, kind, *rest)
    except CorrectionError:
        return


def tell(desk: Desk, model: Model, kind: str, job: str, seconds: int = 0) -> None:
    """Tell an event of a job: one charge a job, and one failure after it."""
    if kind == "failed":
        model.failed.add(job)
        desk.deliver(failed(job, user=JOBS[job]))
    elif job not in model.charged:
        model.charged[job] = Fraction(seconds, 10)
        desk.deliver(rendered(job, user=JOBS[job], seconds=seconds))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_balances_are_those_of_a_model_that_keeps_every_word(examples: int):
    """Whatever people say, in whatever order; and each entry is counted again from the ledger alone."""

    @settings(max_examples=examples)
    @given(STEPS)
    def check(steps: list[tuple[Any, ...]]) -> None:
        desk, model = Desk(), Model()
        desk.store.credits["u-2"] = {"userId": "u-2", "remaining": desk.store.credits["u-1"]["remaining"]}
        for step in steps:
            take(desk, model, step)
            balances = {user: Fraction(desk.store.credits[user]["remaining"]) for user in ("u-1", "u-2")}
            assert {user: model.balance(user) for user in balances} == balances, step
        assert {f"adjust#{name}" for name in model.said} == {each for each in desk.store.kept if each.startswith("adjust#")}
        assert model.waits.keys() == desk.store.proposals.keys()
        logs = list(desk.store.all_logs())
        assert [] == [problem for log in logs for each in recount(log) for problem in each.problems]

    check()
