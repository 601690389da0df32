"""The bus is told of holds and refusals, and of balances that are low: at least once, each with an id of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from engine.anomalies.bus import EVENTS_MAX, EXPLAINED, Bus
from engine.anomalies.notices import HELD, LOW, RECOVERED, REFUSED, RELEASED, SETTLED, notices_of
from engine.domain.digits import in_digits
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.stored import entry_of
from engine.policy import parse_policy
from engine.runtime.clock import Clock
from tests.explain.conftest import SECONDS, Desk, record
from tests.support.events import failed, rendered
from tests.support.holding import POLICY, submitted
from tests.support.model_server import Exchange
from tests.support.world import DisturbedClient

HOLDING = parse_policy(POLICY, "holding.yaml")
"""A submission holds 0.80, a render costs 0.60; a balance of less than 0.50 is low until it is 0.60."""


WIDEST = "\N{GRINNING FACE}"


@pytest.fixture
def holding(desk: Desk) -> Desk:
    """Return a ledger of a policy that holds, and its user with ten credits."""
    desk.world.policy = HOLDING
    desk.world.user("u-1", "10")
    return desk


def tell(desk: Desk, *documents: dict[str, Any], client: Any = None) -> list[str]:
    """Deliver events, hand all records of the ledger over, and return the names of what is told by that."""
    desk.world.deliver(*documents)
    desk.names.clear()
    desk.told.clear()
    assert [] == desk.explain(explainer=desk.explainer(client))
    return [name for name in desk.names if name != EXPLAINED]


def test_a_hold_and_its_settlement_are_told_with_their_figures(holding: Desk) -> None:
    """0.80 are held and 0.60 charged: 0.20 go back."""
    assert [HELD, SETTLED] == tell(holding, submitted("u-1", "j-1"), rendered())

    held, settled = holding.told
    assert ("job#j-1", 1, "j-1", "u-1", "hold", "-0.8", "0.8", "0.8", "hold-submitted") == tuple(
        held[name] for name in ("reference", "sequence", "jobId", "userId", "type", "amount", "held", "cost", "rule")
    )
    assert ("settle", "0.2", "-0.8", "0.6", 2) == tuple(
        settled[name] for name in ("type", "amount", "held", "cost", "sequence")
    )
    assert "2026-01-05T09:59:00Z" == held["occurredAt"]


def test_a_hold_that_ends_without_a_charge_is_told_as_released(holding: Desk) -> None:
    """The job failed: 0.80 go back."""
    assert [HELD, RELEASED] == tell(holding, submitted("u-1", "j-1"), failed())
    assert ("0.8", "-0.8", "0") == tuple(holding.told[1][name] for name in ("amount", "held", "cost"))


def test_a_request_that_the_balance_does_not_cover_is_told_as_refused(holding: Desk) -> None:
    """With what was asked for; the application finds its request by the event's id."""
    holding.world.user("u-1", "0.70")
    request = submitted("u-1", "j-1")

    assert [REFUSED] == tell(holding, request)
    assert ("0.8000", "hold", request["id"]) == tuple(holding.told[0][name] for name in ("asked", "of", "eventId"))


def test_a_charge_that_stays_due_is_told_as_refused_too(holding: Desk) -> None:
    """The user has 0.50 and the job costs 0.60. What is settled and refused in one entry is told as both."""
    holding.world.user("u-1", "0.50").user("u-2", "0.80")

    assert [REFUSED] == [name for name in tell(holding, rendered()) if name != LOW]
    assert ("0.6000", "charge") == (holding.told[0]["asked"], holding.told[0]["of"])


def test_what_is_charged_or_given_back_without_a_hold_tells_nothing(holding: Desk) -> None:
    """A debit and a refund: those who ask find them in the ledger."""
    assert [] == tell(holding, rendered(), failed())


def test_a_notice_has_the_same_id_however_often_it_is_told(holding: Desk) -> None:
    """And no two notices have one."""
    tell(holding, submitted("u-1", "j-1"), rendered(), submitted("u-1", "j-2"))
    ids = [notice["id"] for notice in holding.told]
    tell(holding)

    assert ids == [notice["id"] for notice in holding.told]
    assert 3 == len(set(ids))


def test_what_was_told_is_counted(holding: Desk) -> None:
    """By name in the line, together as a metric; where nothing is told there is no line."""
    tell(holding, submitted("u-1", "j-1"), rendered(), submitted("u-1", "j-2"))
    (line,) = [line for line in holding.lines if line["message"] == "told"]

    assert ({HELD: 2, SETTLED: 1}, 3, 0) == (line["notices"], line["NoticesTold"], line["NoticesUntold"])


@define
class Refusing:
    """A bus that refuses what it is told in the places named, in its next requests."""

    desk: Desk
    refused: list[Sequence[int]] = field(factory=list)

    def put_events(self, **request: Any) -> dict[str, Any]:
        """Take what is not refused."""
        refused = self.refused.pop(0) if self.refused else ()
        entries = [entry for place, entry in enumerate(request["Entries"]) if place not in refused]
        self.desk.put_events(Entries=entries)
        busy = {"ErrorCode": "ThrottlingException"}
        codes = [busy if place in refused else {"EventId": str(place)} for place in range(len(request["Entries"]))]
        return {"FailedEntryCount": len(refused), "Entries": codes}


def test_what_the_bus_does_not_take_comes_again(holding: Desk) -> None:
    """Of three notices the second; its record comes again, and the line says why."""
    holding.world.deliver(submitted("u-1", "j-1"), submitted("u-1", "j-2"), submitted("u-1", "j-3"))
    explainer = holding.explainer()
    bus = Bus(Refusing(holding, [(1,)]).put_events, "default")
    object.__setattr__(explainer.notifier, "bus", bus)

    assert ["2"] == holding.explain(explainer=explainer)
    assert ["j-1", "j-3"] == [notice["jobId"] for notice in holding.told]
    (line,) = [line for line in holding.lines if line["message"] == "told"]
    assert ("ERROR", 2, 1, "ThrottlingException") == tuple(
        line[name] for name in ("level", "NoticesTold", "NoticesUntold", "problem")
    )
    assert [] == holding.explain(explainer=explainer)


def test_nobody_waits_for_words(holding: Desk) -> None:
    """The notices are on the bus when the model is asked."""
    told_before: list[int] = []

    def look(exchange: Exchange) -> None:
        told_before.append(len(holding.told))
        exchange.explain()

    holding.server.does(look)
    holding.world.user("u-2", "0.10")
    assert [HELD, REFUSED] == tell(holding, submitted("u-1", "j-1"), submitted("u-2", "j-2"))[:2]
    assert [2] == told_before


def balances(desk: Desk, *documents: dict[str, Any], client: Any = None) -> list[tuple[str, str]]:
    """Return what is told of balances by some events: the name, and what is left."""
    tell(desk, *documents, client=client)
    found = zip(desk.names, desk.told, strict=True)
    return [(name, in_digits(Decimal(told["remaining"]))) for name, told in found if name in {LOW, RECOVERED}]


def test_a_balance_is_told_once_when_it_is_low_and_once_when_it_has_recovered(holding: Desk) -> None:
    """1.20, 0.40 after the hold. 0.55 is between the bounds: still low, and nothing new. The failure gives 0.80 back."""
    holding.world.user("u-1", "1.20")

    assert [] == balances(holding)
    assert [(LOW, "0.4")] == balances(holding, submitted("u-1", "j-1"))
    assert [] == balances(holding)
    move(holding, "0.15")
    assert [] == balances(holding)
    assert [(RECOVERED, "1.35")] == balances(holding, failed())
    move(holding, "-0.80")
    assert [] == balances(holding), "0.55 again, from above: not low"
    move(holding, "-0.06")
    assert [(LOW, "0.49")] == balances(holding)


def move(desk: Desk, amount: str) -> None:
    """Move the user's balance as the application does: no entry tells of it."""
    desk.world.client.update_item(
        TableName=desk.world.tables.credits,
        Key={"userId": {"S": "u-1"}},
        UpdateExpression="ADD remaining :amount",
        ExpressionAttributeValues={":amount": {"N": amount}},
    )


@pytest.mark.parametrize("write", [1, 2])
def test_a_low_balance_is_told_again_under_its_id_where_the_function_dies(holding: Desk, write: int) -> None:
    """Behind the first write it is noted and not told, before the second it is told and not noted."""
    holding.world.user("u-1", "1.20").deliver(submitted("u-1", "j-1"))
    writes = iter(range(1, 10))

    def dies(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "update_item" and request["TableName"] == holding.world.tables.state and next(writes) == write:
            raise ServiceError("ValidationException", "", 400, [])
        return send(**request)

    again = holding.explain(explainer=holding.explainer(DisturbedClient(holding.world.client, dies)))
    assert ["1"] == again
    first = [told["id"] for name, told in zip(holding.names, holding.told, strict=True) if name == LOW]
    assert write - 1 == len(first)

    assert [(LOW, "0.4")] == balances(holding)
    ids = {*first, *(told["id"] for name, told in zip(holding.names, holding.told, strict=True) if name == LOW)}
    assert 1 == len(ids)
    assert [] == balances(holding)


def test_two_at_work_on_one_user_tell_one_thing(holding: Desk) -> None:
    """Another container has noted and told the same between the look and the note of this one: it is not told again."""
    holding.world.user("u-1", "1.20").deliver(submitted("u-1", "j-1"))
    others = iter([True])

    def is_overtaken(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "update_item" and request["TableName"] == holding.world.tables.state and next(others, False):
            assert [] == holding.explain()
        return send(**request)

    assert [(LOW, "0.4")] == balances(holding, client=DisturbedClient(holding.world.client, is_overtaken))


def test_without_bounds_no_balance_is_read(desk: Desk) -> None:
    """What the policy does not ask for costs nothing."""
    desk.world.deliver(rendered())
    client = DisturbedClient(desk.world.client, lambda _operation, request, send: send(**request))

    assert [] == desk.explain(explainer=desk.explainer(client))
    assert [] == client.calls


def test_words_that_cannot_be_stored_hold_nobody_up_for_long(desk: Desk) -> None:
    """Within ten minutes the record comes again, then the stream goes on without words: an audit counts them."""
    desk.world.deliver(rendered(seconds=700))
    now = datetime.now(UTC)

    def refuses(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "update_item" and request["TableName"] == desk.world.tables.ledger:
            raise ServiceError("AccessDeniedException", "", 400, [])
        return send(**request)

    for minutes, expected in ((9, ["1"]), (11, [])):
        (record,) = desk.records()
        record["dynamodb"]["ApproximateCreationDateTime"] = (now - timedelta(minutes=minutes)).timestamp()
        explainer = desk.explainer(DisturbedClient(desk.world.client, refuses))
        assert expected == explainer.batch([record], Clock().deadline(SECONDS))


def test_a_charge_that_takes_a_hold_and_is_refused_the_rest_is_told_as_both(holding: Desk) -> None:
    """0.80 are held and nothing is left when the policy of that day charges 1.00: 0.80 are charged, 0.20 stay due."""
    holding.world.user("u-1", "0.80").deliver(submitted("u-1", "j-1"))
    holding.world.policy = parse_policy(POLICY.replace('amount: "0.60"', 'amount: "1.00"'), "holding.yaml")
    holding.world.deliver(rendered())

    (entry,) = [entry_of(stored) for stored in holding.world.entries() if stored["sequence"] == 2]
    told = {notice.name: notice.detail for notice in notices_of(entry)}
    assert [SETTLED, REFUSED] == [*told]
    assert ("0.2000", "charge") == (told[REFUSED]["asked"], told[REFUSED]["of"])
    assert told[SETTLED]["id"] != told[REFUSED]["id"]


def test_ten_of_the_longest_notices_fit_into_one_request(holding: Desk) -> None:
    """The bus takes 256 KB at once. What is longer than an entry may keep is cut: it would hold up the stream for a day."""
    sizes: list[int] = []

    def put_events(**request: Any) -> dict[str, Any]:
        sizes.append(sum(len(entry["Detail"].encode()) for entry in request["Entries"]))
        return {"FailedEntryCount": 0}

    holding.world.deliver(submitted("u-1", "j-1"))
    (stored,) = holding.world.entries()
    long = {"eventId": WIDEST * 1024, "jobId": WIDEST * 1024, "rule": "x" * 300_000, "userId": WIDEST * 512}
    entry = entry_of({**stored, **long, "reference": WIDEST * 512})
    notices = [(notice.name, notice.detail) for notice in notices_of(entry)] * EVENTS_MAX

    assert ((), "") == Bus(put_events, "default").send(notices)
    assert 100_000 < sizes[0] < 256 * 1024


@pytest.mark.parametrize(
    "forged",
    [
        {"type": "flag", "amount": 0, "anomalies": [{"name": "overdraft", "figures": {"debit": ["0.80"]}}]},
        {"type": "flag", "amount": 0, "anomalies": [{"name": "overdraft", "figures": {"debit": 1}}]},
        {"rule": 7},
        {"jobId": 7},
        {"type": "release", "eventId": 7},
        {"type": "settle", "held": "NaN", "cost": "Infinity"},
    ],
)
def test_a_forged_entry_holds_up_no_other(holding: Desk, forged: dict[str, Any]) -> None:
    """Somebody writes into the Ledger what looks like an entry: the batch goes through, and what is real is told."""
    holding.world.deliver(submitted("u-1", "j-1"), submitted("u-1", "j-2"))
    (stored,) = holding.world.entries("j-1")
    item = encode_item({**stored, **forged})
    records = [record(item, 1), *holding.records()[1:]]

    assert [] == holding.explainer().batch(records, Clock().deadline(SECONDS))
    assert "j-2" in [told["jobId"] for told in holding.told]
