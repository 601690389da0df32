"""The strict database's reads: pages, segments, order, indexes, old versions, and what they take.

Source: Query, Scan, GetItem and BatchGetItem, Amazon DynamoDB API Reference; "Paginating table query results", "DynamoDB read
consistency" and "DynamoDB read and write operations", Developer Guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.database import Client
from tests.simulation.things import INDEX, PLAIN, SORTED, case_id, item, made, put, refusal, values

LOG = {"TableName": SORTED, "KeyConditionExpression": "#l = :l", "ExpressionAttributeNames": {"#l": "log"}}


def pages(send: Any, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the answers of a query or a scan until nothing is left."""
    while True:
        yield (answer := send(**request))
        if "LastEvaluatedKey" not in answer:
            return
        request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def entries(answer: dict[str, Any]) -> list[str]:
    """Return the sort keys of an answer's items."""
    return [each["entry"]["N"] for each in answer["Items"]]


def with_log(entries_max: int = 12, **attributes: Any) -> Client:
    """Return a database with a log of so many entries, put in no order."""
    client = made()
    for number in sorted(range(1, entries_max + 1), key=lambda each: each * 7 % 13):
        put(client, SORTED, log="a", entry=number, **attributes)
    put(client, SORTED, log="b", entry=1)
    return client


def test_a_query_goes_in_the_order_of_the_sort_key() -> None:
    """Numbers by their worth, not by their digits; backwards on demand."""
    client = with_log()
    whole = {**LOG, "ExpressionAttributeValues": values(l="a")}

    assert [str(number) for number in range(1, 13)] == entries(client.query(**whole))
    assert [str(number) for number in range(12, 0, -1)] == entries(client.query(**whole, ScanIndexForward=False))
    paged = [entries(page) for page in pages(client.query, {**whole, "Limit": 5, "ScanIndexForward": False})]
    assert [["12", "11", "10", "9", "8"], ["7", "6", "5", "4", "3"], ["2", "1"]] == paged


@pytest.mark.parametrize(
    ("condition", "places", "found"),
    [
        ("entry = :e", {"e": 3}, ["3"]),
        ("entry < :e", {"e": 3}, ["1", "2"]),
        ("entry >= :e", {"e": 11}, ["11", "12"]),
        ("entry BETWEEN :e AND :f", {"e": 9, "f": 10}, ["9", "10"]),
        ("entry > :e", {"e": 12}, []),
    ],
)
def test_a_query_takes_a_range_of_the_sort_key(condition: str, places: dict[str, Any], found: list[str]) -> None:
    """The operators that a key condition knows."""
    client = with_log()
    request = {**LOG, "KeyConditionExpression": f"#l = :l AND {condition}"}

    assert found == entries(client.query(**request, ExpressionAttributeValues=values(l="a", **places)))


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"KeyConditionExpression": "entry = :e"}, {"e": 1}, "Query condition missed key schema element: log"),
    ({"KeyConditionExpression": "#l > :l"}, {"l": "a"}, "Query key condition not supported"),
    ({"KeyConditionExpression": "#l = :l AND other1 = :e"}, {"l": "a", "e": 1}, "missed key schema element: entry"),
    ({"KeyConditionExpression": "#l = :l OR entry = :e"}, {"l": "a", "e": 1}, "Invalid operator used in KeyConditionExpr"),
    ({"KeyConditionExpression": "#l = :l AND entry <> :e"}, {"l": "a", "e": 1}, "Invalid operator used"),
    ({"KeyConditionExpression": "#l = :l AND NOT entry = :e"}, {"l": "a", "e": 1}, "Invalid operator used"),
    ({"KeyConditionExpression": "#l = :l AND #l = :e"}, {"l": "a", "e": "b"}, "must only contain one condition per key"),
    ({"KeyConditionExpression": "#l = :l AND entry = :e"}, {"l": "a", "e": "1"}, "parameter type does not match schema"),
    ({"KeyConditionExpression": "#l = :l"}, {"l": ""}, "cannot contain an empty string value"),
    ({"FilterExpression": "entry = :e"}, {"l": "a", "e": 1}, "only contain non-primary key attributes: Primary key attr"),
    ({"FilterExpression": "NOT (x = :e OR size(#l) = :e)"}, {"l": "a", "e": 1}, "only contain non-primary key"),
    ({"IndexName": "Nowhere"}, {"l": "a"}, "The table does not have the specified index: Nowhere"),
    ({"IndexName": INDEX, "ConsistentRead": True}, {"l": "a"}, "Consistent reads are not supported on global secondary"),
    ({"ExclusiveStartKey": item(log="a")}, {"l": "a"}, "The provided starting key is invalid"),
    ({"ExclusiveStartKey": item(log="b", entry=1)}, {"l": "a"}, "outside query boundaries"),
    ({"Select": "ALL_PROJECTED_ATTRIBUTES"}, {"l": "a"}, "can be used only when Querying using an IndexName"),
    ({"Select": "SPECIFIC_ATTRIBUTES"}, {"l": "a"}, "Must specify the AttributesToGet or ProjectionExpression"),
    ({"Select": "COUNT", "ProjectionExpression": "x"}, {"l": "a"}, "Cannot specify the ProjectionExpression"),
]


@pytest.mark.parametrize(("changed", "places", "problem"), REFUSED, ids=case_id)
def test_a_query_that_aws_refuses_is_refused(changed: dict[str, Any], places: dict[str, Any], problem: str) -> None:
    """Equality on the hash key, at most one condition on the sort key, and no filter on either."""
    client = with_log()
    request = {**LOG, **changed, "ExpressionAttributeValues": values(**places)}
    if "#l" not in request["KeyConditionExpression"] + request.get("FilterExpression", ""):
        del request["ExpressionAttributeNames"]

    said = refusal(client.query, **request)

    assert said.startswith("ValidationException: ")
    assert problem in said
    assert 1 == len(client.database.validation_errors)


def test_a_limit_counts_before_the_filter() -> None:
    """A page that is full may show nothing, and says where it ended; one that ends with the last item says so too."""
    client = with_log(4)
    client.update_item(
        TableName=SORTED,
        Key=item(log="a", entry=4),
        UpdateExpression="SET x = :x",
        ExpressionAttributeValues=values(x=1),
    )
    request = {**LOG, "FilterExpression": "x = :x", "Limit": 2, "ExpressionAttributeValues": values(l="a", x=1)}

    answers = list(pages(client.query, request))

    assert [(0, 2), (1, 2), (0, 0)] == [(answer["Count"], answer["ScannedCount"]) for answer in answers]
    assert [[], ["4"], []] == [entries(answer) for answer in answers]


def test_a_page_ends_before_1_mb() -> None:
    """Three items of 400,000 bytes: two fit into 1,048,576, whatever the filter leaves of them."""
    client = with_log(3, text="x" * 399_900)
    request = {**LOG, "FilterExpression": "attribute_not_exists(x)", "ExpressionAttributeValues": values(l="a")}

    assert [["1", "2"], ["3"]] == [entries(page) for page in pages(client.query, request)]
    scanned = [page["ScannedCount"] for page in pages(client.scan, {"TableName": SORTED, "Select": "COUNT"})]
    assert 4 == sum(scanned)
    assert 2 == len(scanned)


@pytest.mark.parametrize("segments", [1, 2, 3, 7])
@pytest.mark.parametrize("limit", [None, 1, 13])
def test_the_segments_of_a_scan_have_each_item_once(segments: int, limit: int | None) -> None:
    """Whatever the pages are."""
    client = made()
    for number in range(100):
        put(client, id=f"j-{number}")
    more = {"Limit": limit} if limit else {}

    found: Counter[str] = Counter()
    for segment in range(segments):
        request = {"TableName": PLAIN, "Segment": segment, "TotalSegments": segments, **more}
        found.update(each["id"]["S"] for page in pages(client.scan, request) for each in page["Items"])

    assert Counter(f"j-{number}" for number in range(100)) == found


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"Segment": 0}, "The TotalSegments parameter is required"),
        ({"TotalSegments": 2}, "The Segment parameter is required"),
        ({"Segment": 2, "TotalSegments": 2}, "Segment: 2 is not less than TotalSegments: 2"),
        ({"ExclusiveStartKey": item(id="")}, "The provided starting key is invalid"),
        ({"FilterExpression": "id = :a"}, "is not defined; attribute value: :a"),
    ],
    ids=case_id,
)
def test_a_scan_that_aws_refuses_is_refused(request_: dict[str, Any], problem: str) -> None:
    """Both numbers of a segment, and a start within it."""
    assert problem in refusal(made().scan, TableName=PLAIN, **request_)


def test_a_start_of_another_segment_is_refused() -> None:
    """One of the two segments does not hold the item."""
    client = made()
    start = item(id="a")
    said = []
    for segment in range(2):
        try:
            client.scan(TableName=PLAIN, Segment=segment, TotalSegments=2, ExclusiveStartKey=start)
        except Exception as error:  # noqa: BLE001  what it is is compared
            said.append(str(error))

    assert 1 == len(said)
    assert "Please use ExclusiveStartKey with correct Segment" in said[0]


def test_an_index_shows_the_items_that_have_its_key() -> None:
    """In order of its sort key; its pages begin behind the keys of both; an item that loses the attribute is gone."""
    client = made()
    for number, at in enumerate(["t2", "t1", "t1", "t3"], 1):
        put(client, SORTED, log=f"l{number}", entry=1, owner1="u", at1=at)
    put(client, SORTED, log="l5", entry=1, owner1="u")
    put(client, SORTED, log="l6", entry=1, owner1="v", at1="t1")
    request = {"TableName": SORTED, "IndexName": INDEX, "KeyConditionExpression": "owner1 = :u", "Limit": 1}
    request |= {"ExpressionAttributeValues": values(u="u")}

    answers = list(pages(client.query, request))

    assert ["t1", "t1", "t2", "t3"] == [each["at1"]["S"] for answer in answers for each in answer["Items"]]
    assert {"log", "entry", "owner1", "at1"} == answers[0]["LastEvaluatedKey"].keys()
    client.update_item(TableName=SORTED, Key=item(log="l4", entry=1), UpdateExpression="REMOVE at1")
    assert 3 == sum(answer["Count"] for answer in pages(client.query, request))
    scanned = pages(client.scan, {"TableName": SORTED, "IndexName": INDEX, "Limit": 2})
    assert ["l1", "l2", "l3", "l6"] == sorted(each["log"]["S"] for answer in scanned for each in answer["Items"])


# --- many by their keys ---


def test_a_batch_returns_what_is_there() -> None:
    """In no order that counts; 100 keys, each once."""
    client = made()
    for number in range(99):
        put(client, id=f"a{number}", n=number)
    keys = [item(id=f"a{number}") for number in range(100)]

    answer = client.batch_get_item(RequestItems={PLAIN: {"Keys": keys, "ProjectionExpression": "n"}})

    assert set(range(99)) == {int(each["n"]["N"]) for each in answer["Responses"][PLAIN]}
    assert {} == answer["UnprocessedKeys"]
    for wanted, problem in (([*keys, item(id="b")], "less than or equal to 100"), (keys[:1] * 2, "contains duplicates")):
        assert problem in refusal(client.batch_get_item, RequestItems={PLAIN: {"Keys": wanted}})


def test_a_batch_leaves_over_what_is_more_than_16_mb() -> None:
    """The documentation's own example: of 100 items of 300 KB, 52 are answered (54 of these, which are 300 KB with all)."""
    client = made()
    for number in range(60):
        put(client, id=f"a{number:02}", text="x" * (300 * 1024 - 9))
    wanted = {"Keys": [item(id=f"a{number:02}") for number in range(60)], "ConsistentRead": True}

    answer = client.batch_get_item(RequestItems={PLAIN: wanted})
    left = answer["UnprocessedKeys"][PLAIN]

    assert (54, 6) == (len(answer["Responses"][PLAIN]), len(left["Keys"]))
    assert left["ConsistentRead"]
    assert 6 == len(client.batch_get_item(RequestItems={PLAIN: left})["Responses"][PLAIN])


# --- what they take ---


@pytest.mark.parametrize(
    ("size", "consistent", "units"),
    [(3500, True, 1.0), (3500, False, 0.5), (10_000, True, 3.0), (10_000, False, 1.5), (4096, True, 1.0), (4097, True, 2.0)],
)
def test_a_read_takes_a_unit_for_each_4_kb(size: int, *, consistent: bool, units: float) -> None:
    """Of the whole item, whatever is asked of it; half of it where old versions may be shown."""
    client = made()
    put(client, id="a", text="x" * (size - 7))
    request = {"TableName": PLAIN, "Key": item(id="a"), "ProjectionExpression": "id", "ReturnConsumedCapacity": "TOTAL"}

    answer = client.get_item(**request, ConsistentRead=consistent)

    assert {"TableName": PLAIN, "CapacityUnits": units} == answer["ConsumedCapacity"]


def test_a_query_rounds_once_and_a_batch_each_item() -> None:
    """The documentation's example: 1.5 KB and 6.5 KB are 8 KB for a query and 12 KB for a batch."""
    client = made()
    for number, size in ((1, 1536), (2, 6656)):
        put(client, SORTED, log="a", entry=number, text="x" * (size - 15))
        put(client, id=f"a{number}", text="x" * (size - 8))
    query = {**LOG, "ExpressionAttributeValues": values(l="a"), "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
    keys = {"Keys": [item(id="a1"), item(id="a2")], "ConsistentRead": True}

    assert 2.0 == client.query(**query)["ConsumedCapacity"]["CapacityUnits"]
    batch = client.batch_get_item(RequestItems={PLAIN: keys}, ReturnConsumedCapacity="TOTAL")
    assert [{"TableName": PLAIN, "CapacityUnits": 3.0}] == batch["ConsumedCapacity"]


def test_a_read_of_nothing_takes_the_least() -> None:
    """A read of an item that does not exist takes a unit, or half of one."""
    client = made()
    request = {"TableName": PLAIN, "Key": item(id="a"), "ReturnConsumedCapacity": "TOTAL"}

    taken = [client.get_item(**request, ConsistentRead=each)["ConsumedCapacity"]["CapacityUnits"] for each in (True, False)]

    assert [1.0, 0.5] == taken


def test_a_write_takes_a_unit_for_each_kilobyte_of_the_larger_version() -> None:
    """The page's own example: 1.6 KB are two units; an index takes as much again, and twice where its key moves."""
    client = made()
    asked = {"ReturnConsumedCapacity": "INDEXES"}
    put(client, id="a", text="x" * 1600)

    assert 2.0 == client.put_item(TableName=PLAIN, Item=item(id="a"), **asked)["ConsumedCapacity"]["CapacityUnits"]
    row = item(log="a", entry=1, owner1="u", at1="t")
    assert 2.0 == client.put_item(TableName=SORTED, Item=row, **asked)["ConsumedCapacity"]["CapacityUnits"]
    assert 1.0 == client.put_item(TableName=SORTED, Item=row, **asked)["ConsumedCapacity"]["CapacityUnits"]
    moved = client.put_item(TableName=SORTED, Item={**row, **item(owner1="v")}, **asked)["ConsumedCapacity"]
    assert 2.0 == moved["GlobalSecondaryIndexes"][INDEX]["CapacityUnits"]
