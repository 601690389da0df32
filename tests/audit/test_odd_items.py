"""One item that is no entry stops nothing: it is one finding, and whoever looks at the ledger still gets an answer.

Whoever can write the table can put anything into it. Each attribute of honest entries is put in the place of by eighteen odd
values, at each depth; all readers are run over each. The whole takes a minute: ``-m proof``; here one in forty-one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, define

from engine.anomalies.findings import findings
from engine.anomalies.on_demand import OnDemand
from engine.audit.books import audit
from engine.audit.repair import Wrong, rehearse, repair
from engine.audit.seals import Sealer, verify
from engine.audit.statement import Order
from engine.audit.story import story_of
from engine.cli.statement import read_statement
from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.references import LOGS
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.reconcile.adjustments import adjustments
from engine.reconcile.corrections import Adjuster
from tests.simulation.database import Client, Database
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.odd_items import Item, odd_items
from tests.support.world import World
from tools.local_aws import create_tables

ONE_IN = 41


@define
class Odd:
    """A ledger in memory with a charge that is flagged, its refund, a concession, the claim of its id, and a correction."""

    time: ManualClock = Factory(ManualClock)
    client: Any = Factory(lambda: Client(Database()))
    world: World = Factory(lambda self: self._world(), takes_self=True)

    def _world(self) -> World:
        world = World(self.client, create_tables(self.client, Tables()), clock=self.time.clock()).user()
        world.deliver(rendered("j-1", seconds=700), failed("j-1"))
        request = AdjustmentRequest(id="a-1", user="u-1", amount=Decimal("0.1"), reason="ticket 1", job="j-1")
        Adjuster.on(world.policy, DynamoStore(self.client, world.tables, world.clock)).adjust(
            request, Identity("arn:aws:iam::1:user/ann", "ann", "ann"), world.deadline()
        )
        return world

    def __attrs_post_init__(self) -> None:
        """Charge another job, seal all, double the charge by hand, and correct it."""
        self.world.deliver(rendered("j-2", seconds=10))
        self.time.wait(1200.0)
        deadline = self.world.deadline(10**9)
        audit(self.ledger, deadline, sealer=Sealer(self.ledger.audits(), self.time.now(), deadline))
        (charge,) = [item for item in self.items() if item["reference"] == {"S": "job#j-2"}]
        self.put({**charge, "amount": {"N": "-2"}})
        assert repair(self.ledger, "u-1", "doubled by hand", Wrong.ENTRIES, deadline).corrections

    @property
    def ledger(self) -> DynamoStore:
        """The ledger at work."""
        return DynamoStore(self.client, self.world.tables, self.world.clock)

    def items(self) -> list[Item]:
        """Return the honest entries."""
        found: list[Item] = self.client.scan(TableName=self.world.tables.ledger)["Items"]
        return found

    def readers(self, item: Item) -> Mapping[str, Callable[[], object]]:
        """Return what reads the ledger, by name."""
        ledger, deadline, reference = self.ledger, self.world.deadline(10**9), item["reference"]["S"]
        user = item.get("userId", {}).get("S") or "u-1"
        return {
            "audit": lambda: audit(ledger, deadline),
            "audit --seal": lambda: audit(ledger, deadline, sealer=Sealer(ledger.audits(), self.time.now(), deadline)),
            "audit --verify": lambda: verify(ledger.audits(), deadline),
            "repair": lambda: rehearse(ledger, user, "odd", None, deadline),
            "job": lambda: _story(ledger.stored_entries_of(reference, deadline)),
            "statement": lambda: [each.answer() for each in _statement(ledger, user)],
            "anomalies": lambda: [each.answer() for each in findings(ledger.flagged(None, deadline))],
            "adjust list": lambda: adjustments(ledger, None, self.time.now(), deadline),
            "adjust list --user": lambda: adjustments(ledger, user, None, deadline),
            "look-back": lambda: _look(OnDemand(self.world.reconciler(), "u-1", None, deadline)),
            "baselines": lambda: list(ledger.samples(self.time.now().replace(year=2000), 100, deadline)),
        }

    def put(self, item: Item) -> bool:
        """Put an item into the table; False where the table itself does not take it."""
        try:
            self.client.put_item(TableName=self.world.tables.ledger, Item=item)
        except ServiceError:
            return False
        return True

    def remove(self, item: Item) -> None:
        """Take it out of the table again."""
        key = {name: item[name] for name in ("reference", "sequence")}
        self.client.delete_item(TableName=self.world.tables.ledger, Key=key)


def _story(stored: list[dict[str, Any]]) -> object:
    story = story_of("j-1", stored, None)
    return story.now(), story.mark(), story.failed, [(each.door, each.answer()) for each in story.chapters]


def _statement(ledger: DynamoStore, user: str) -> Any:
    found = read_statement(ledger, user, Order.POSTING, (None, None))
    return found.lines if found is not None else ()


def _look(look: OnDemand) -> object:
    look.look()
    return look.found()


MAY_BE = (
    *("anomalies", "flagged", "samples", "signs", "jobId", "eventId", "explanation", "resolution", "correction", "price"),
    *("userId", "quantity", "occurredAtFrom", "facts", "rule", "policy", "source", "money", "postedAt", "occurredAt"),
)
"""Of these another value, or none, may be one of another honest entry: only a recount or the archive can tell."""


def all_odd(odd: Odd) -> list[tuple[Item, str, Item]]:
    """Return honest entries, each with what is odd in another one in its place."""
    return [(entry, name, item) for entry in odd.items() for name, item in odd_items(entry)]


def is_one_more_of_nothing(item: Item) -> bool:
    """Say whether an item may be the first entry of a log, which moves nothing: nobody notices one more of these."""
    is_first = item["reference"]["S"].startswith(LOGS) and item["sequence"] == {"N": "1"}
    return is_first and item.get("type") == {"S": "void"} and item.get("amount") == item.get("cost") == {"N": "0"}


def is_corrected(item: Item) -> bool:
    """Say whether an item stands in the log that has a correction: what is before that, an audit leaves to the seals."""
    return item["reference"] == {"S": "job#j-2"}


def look_at(odd: Odd, cases: list[tuple[Item, str, Item]]) -> int:
    """Put each item into the table, run every reader over it, and return in how many an audit has found something."""
    found = 0
    for entry, name, item in cases:
        if not odd.put(item):
            continue
        for reader, run in odd.readers(item).items():
            try:
                run()
            except Exception as error:
                raise AssertionError(f"{reader} ended with {error!r} where {name}") from error
        deadline = odd.world.deadline(10**9)
        seen = audit(odd.ledger, deadline)
        is_found = bool(seen.faults or seen.drifts or (is_corrected(entry) and verify(odd.ledger.audits(), deadline).open))
        found += is_found
        assert is_found or name.startswith(MAY_BE) or is_one_more_of_nothing(item), name
        odd.remove(item)
        odd.put(entry)
    return found


def test_an_odd_item_is_a_finding_and_stops_nothing() -> None:
    """One in forty-one of more than two thousand."""
    odd = Odd()
    cases = all_odd(odd)[::ONE_IN]

    assert len(cases) > 50
    assert look_at(odd, cases) > len(cases) // 2
    assert not audit(odd.ledger, odd.world.deadline()).damages


@pytest.mark.proof
@pytest.mark.drawn
@pytest.mark.parametrize("part", range(10))
def test_every_odd_item_is_a_finding_and_stops_nothing(part: int) -> None:
    """All of them, each alone, in ten parts."""
    odd = Odd()
    cases = all_odd(odd)[part::10]

    assert len(cases) > 200
    assert look_at(odd, cases) > len(cases) // 2


def test_all_odd_items_at_once_are_findings_of_one_audit() -> None:
    """Each in a log of its own: the scheduled run tells how many there are, and comes to its end."""
    odd = Odd()
    entry = odd.items()[0]
    for number, (_, item) in enumerate(odd_items(entry)):
        odd.put({**item, "reference": {"S": f"job#odd-{number}"}})
    seen = audit(odd.ledger, odd.world.deadline(600))
    told = odd.world.scheduled()["audit"]

    assert len({fault.reference for fault in seen.faults}) > 200
    assert len(told["faults"]) == 20
    assert "problem" not in told
    assert "problem" not in told["seal"]


def test_a_claim_in_a_log_of_no_kind_is_a_finding() -> None:
    """It moves nothing, and the id that it names is claimed and told elsewhere, so that nothing else tells of it."""
    odd = Odd()
    (claim,) = [item for item in odd.items() if item["reference"]["S"] == "adjust#a-1"]
    odd.put({**claim, "reference": {"S": "x"}})

    (fault,) = audit(odd.ledger, odd.world.deadline()).faults
    assert ("x", 1) == (fault.reference, fault.sequence)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sequence": {"N": "1.5"}}, "its sequence is 1.5; a whole number from 1 on is needed"),
        ({"postedAt": None}, "its postedAt is no instant: statements and what adds up a user's entries may miss it"),
        ({"postedAt": {"S": "soon"}}, "its postedAt is no instant: statements and what adds up a user's entries may miss it"),
        ({"facts": {"S": "x"}}, "is no entry of this system (AttributeError: 'str' object has no attribute 'get')"),
        ({"explanation": {"N": "7"}}, "is no entry of this system (its explanation is none)"),
        ({"correction": {"S": "x"}}, "is no entry of this system (AttributeError: 'str' object has no attribute 'get')"),
    ],
)
def test_what_is_odd_is_named(changes: Mapping[str, Any], problem: str) -> None:
    """An item in a log of its own; its amount is 0, so that no sum tells of it."""
    odd = Odd()
    entry = {**odd.items()[0], "reference": {"S": "job#j-9"}, "amount": {"N": "0"}, "cost": {"N": "0"}, "type": {"S": "void"}}
    odd.put({name: value for name, value in {**entry, **changes}.items() if value is not None})

    (fault,) = [each for each in audit(odd.ledger, odd.world.deadline()).faults if each.reference == "job#j-9"][-1:]
    assert fault.problem == problem
