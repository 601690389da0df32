"""Deliberate bugs that no history sees: those that change something are shown here, the others stay unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.anomalies.explain.run import Explainer
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import NoAnswerError
from engine.runtime.telemetry import Telemetry
from tests.fuzz.desk import Desk
from tests.fuzz.doors.stream import Mute, Record, explained, policy, posted
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants.unseen import UNSEEN
from tests.simulation.world.strict import TABLES
from tests.support.clock import ManualClock

LOOKED_AT = 10
"""Of so many histories none may see it: one that does makes it a mutant."""


class Oldest:
    """A replica that has not heard of anything yet."""

    def back(self, _table: str, _index: str | None, versions: int) -> int:
        """Return the way back to the first version that is still known."""
        return versions - 1


class LosesAnAnswer:
    """A client whose first transaction is carried out, and whose answer is lost."""

    def __init__(self, client: Any) -> None:
        self.client, self.is_lost = client, False

    def transact_write_items(self, **request: Any) -> Any:
        """Carry it out."""
        answer = self.client.transact_write_items(**request)
        if self.is_lost:
            return answer
        self.is_lost = True
        raise NoAnswerError("lost")

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.client, operation)


def stale() -> Desk:
    """Return tables of which each read that may be old is as old as it may be."""
    desk = posted()
    assert desk.place is not None
    desk.place.database.staleness = Oldest()
    return desk


def an_entry_gets_its_words_at_once() -> bool:
    """Its record may come before a replica has heard of it."""
    desk, clock = stale(), ManualClock().clock()
    telemetry = Telemetry(lambda _line: None, clock, {"FunctionName": "explain"})
    record = Record(0, [], {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1"}})
    Explainer(policy(), desk.store, Mute(), telemetry, clock).batch([record.told()], clock.deadline(60.0))
    return bool(explained(desk))


def a_run_knows_itself_at_once() -> bool:
    """Its first step asks right after it has begun."""
    desk = stale()
    deadline = desk.store.clock.deadline(60.0)
    desk.store.begin_run("r-1", 5, deadline)
    desk.store.begin_run("r-2", 7, deadline)
    return bool(7 == desk.store.run_left("r-2", deadline))


def a_price_reads_the_row_that_was_written_before() -> bool:
    """The application writes the row, and then the event comes."""
    desk = stale()
    assert desk.place is not None
    for plan in ("base", "gold"):
        desk.place.put_job({"jobId": "j-8", "plan": plan})
    found = desk.store.job_rows(["j-8"], frozenset({"plan"}), desk.store.clock.deadline(60.0))
    return bool({"j-8": {"jobId": "j-8", "plan": "gold"}} == found)


def what_is_given_back_counts_once() -> bool:
    """Three of ten are taken and one is given back, and its first answer is lost: eight are left."""
    desk = Desk(is_strict=True)
    assert desk.place is not None
    store = DynamoStore(LosesAnAnswer(desk.place.client), TABLES, desk.time.clock())  # type: ignore[arg-type]
    deadline = store.clock.deadline(60.0)
    store.begin_run("r-1", 10, deadline)
    store.take_from_run("r-1", 3, deadline)
    store.give_back_to_run("r-1", 1, deadline)
    return 8 == store.run_left("r-1", deadline)


SHOWN: Mapping[str, Callable[[], bool]] = {
    "an entry that is new may be taken for gone": an_entry_gets_its_words_at_once,
    "a run may read what was left of another": a_run_knows_itself_at_once,
    "a row that prices read may be read as it was": a_price_reads_the_row_that_was_written_before,
    "a posting goes without a token": what_is_given_back_counts_once,
    "each try of a posting has a token of its own": what_is_given_back_counts_once,
}


def test_each_bug_that_changes_something_is_shown_by_a_test() -> None:
    """And none of them stands among those that histories see."""
    assert SHOWN.keys() == {name for name, unseen in UNSEEN.items() if not unseen.is_equivalent}
    assert UNSEEN.keys().isdisjoint(MUTANTS)


@pytest.mark.parametrize("name", SHOWN)
def test_a_bug_that_no_history_sees_is_seen_by_itself(name: str) -> None:
    """Right as it is, and wrong with the bug."""
    holds = SHOWN[name]
    is_right = holds()
    with UNSEEN[name].mutant.at_work():
        try:
            is_right_still = holds()
        except Exception:  # noqa: BLE001  it is wrong, however it ends
            is_right_still = False

    assert (True, False) == (is_right, is_right_still)


@pytest.mark.proof
@pytest.mark.drawn
@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_called_unseen_is_not_seen(name: str) -> None:
    """Otherwise its place is among the mutants, with a seed."""
    mutant = UNSEEN[name].mutant
    with mutant.at_work():
        assert [] == [seed for seed in range(LOOKED_AT) if mutant.is_caught_by(seed)]
