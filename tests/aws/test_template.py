"""The template: what no local AWS shows, and what must never drift from the design."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.anomalies.bus import EVENTS_MAX, EXPLAINED
from engine.anomalies.corrections import CREDITS, tell_corrections
from engine.anomalies.explain.run import AGAIN, STORE_SECONDS, TOGETHER_MAX
from engine.anomalies.explain.run import METRICS as EXPLAIN_METRICS
from engine.anomalies.notices import NOTICES
from engine.anomalies.notifier import NOTICE_METRICS
from engine.audit.differences import Kind
from engine.domain.anomaly import Anomaly, Sample
from engine.domain.assessment import Assessment
from engine.domain.decision import Outcome
from engine.domain.entry import Correction, Entry, EntryType
from engine.domain.entry_types import METRICS
from engine.domain.envelope import OWN_SOURCE, Envelope, Source
from engine.domain.errors import EventError, LedgerRefused, LedgerUnavailable
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.domain.shadowed import METRICS as SHADOW_METRICS
from engine.ledger.archive.chain import PREFIX
from engine.ledger.archive.writer import METRICS as ARCHIVE_METRICS
from engine.ledger.archive.writer import ODD
from engine.ledger.dynamodb.balances import PAGES
from engine.ledger.dynamodb.heads import HEAD
from engine.ledger.dynamodb.holds import INDEX as HOLD_INDEX
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.store import ACTIONS_MAX
from engine.policy.patterns import compile_pattern
from engine.reconcile.give_up import RECEIVES_MAX
from engine.runtime.clock import Clock
from engine.runtime.telemetry import RETURNED, SINCE_WHOLE, Failure, Report, Telemetry, found_metric, settled_metrics
from tools.environments import ROOT
from tools.template import function_properties, load, resources, role_statements, statements_of, table_schemas, template_rules

TEMPLATE = load()
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = {name: function_properties(name, TEMPLATE) for name in resources(TEMPLATE, "AWS::Serverless::Function")}
FUNCTION = FUNCTIONS["ReconcilerFunction"]
POLICIES = resources(TEMPLATE, "AWS::SQS::QueuePolicy")
TABLES = resources(TEMPLATE, "AWS::DynamoDB::Table")
QUEUES = resources(TEMPLATE, "AWS::SQS::Queue")
ROLES = role_statements(TEMPLATE)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BALANCE_ACTIONS, ACTIONS_OF_A_JOB = 1, 2
"""What a transaction of a single user takes: the balance, and for each job its entry and its mark."""
SHORTEST_CANARY_SECONDS = 5 * 60
ONE_DAY = 24 * 60 * 60
FOURTEEN_DAYS = 14 * ONE_DAY


def strings(value: Any) -> list[str]:
    """Return every string in a part of the template."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.items() for part in item for text in strings(part)]
        case list():
            return [text for part in value for text in strings(part)]
        case _:
            return []


def actions(statement: dict[str, Any]) -> set[str]:
    """Return what a statement permits."""
    return {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])


@pytest.mark.parametrize("logical_id", ["JobsTable", "CreditsTable", "LedgerTable", "SealsTable"])
def test_a_table_outlives_its_stack_and_can_be_restored_to_any_second(logical_id: str) -> None:
    """They hold money, or what proves it."""
    table = TABLES[logical_id]

    assert ("RetainExceptOnCreate", "Retain") == (table["DeletionPolicy"], table["UpdateReplacePolicy"])
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["SSESpecification"]["Fn::If"][2] == {"SSEEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["Production", True, False]}
    assert "PAY_PER_REQUEST" == table["Properties"]["BillingMode"]


def test_the_tables_have_the_keys_that_the_stored_data_has() -> None:
    """A changed key would be another table."""
    keys = {
        logical_id: {key["KeyType"]: key["AttributeName"] for key in schema["KeySchema"]}
        for logical_id, schema in table_schemas(TEMPLATE).items()
    }
    types = {
        attribute["AttributeName"]: attribute["AttributeType"]
        for schema in table_schemas(TEMPLATE).values()
        for attribute in schema["AttributeDefinitions"]
    }

    assert keys == {
        "JobsTable": {"HASH": "jobId"},
        "CreditsTable": {"HASH": "userId"},
        "LedgerTable": {"HASH": "reference", "RANGE": "sequence"},
        "StateTable": {"HASH": "id"},
        "SealsTable": {"HASH": "id", "RANGE": "number"},
    }
    texts = ("id", "jobId", "userId", "reference", "postedAt", "holdShard", "holdDue")
    assert types == {**dict.fromkeys(texts, "S"), "sequence": "N", "number": "N"}


def test_the_ledger_can_be_read_by_user() -> None:
    """Statements and the audit need every attribute of an entry."""
    index, _ = table_schemas(TEMPLATE)["LedgerTable"]["GlobalSecondaryIndexes"]

    assert "UserIdIndex" == index["IndexName"]
    assert ["userId", "postedAt"] == [key["AttributeName"] for key in index["KeySchema"]]
    assert {"ProjectionType": "ALL"} == index["Projection"]


def test_holds_are_found_by_when_they_are_due() -> None:
    """The index has their keys and no more: what became of a hold is read from its log."""
    _, index = table_schemas(TEMPLATE)["LedgerTable"]["GlobalSecondaryIndexes"]

    assert HOLD_INDEX == index["IndexName"]
    assert [("holdShard", "HASH"), ("holdDue", "RANGE")] == [
        (key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]
    ]
    assert {"ProjectionType": "KEYS_ONLY"} == index["Projection"]


@pytest.mark.parametrize("role", ["Jobs", "Credits", "Ledger"])
def test_a_table_that_exists_already_takes_the_place_of_a_new_one(role: str) -> None:
    """In the function's environment, in what it may do, and in the outputs."""
    made, given = {"Ref": f"{role}Table"}, {"Ref": f"Existing{role}Table"}

    assert f"Make{role}Table" == TABLES[f"{role}Table"]["Condition"]
    assert {"Fn::If": [f"Make{role}Table", made, given]} == FUNCTION["Environment"]["Variables"][f"{role.upper()}_TABLE"]
    assert {"Fn::If": [f"Make{role}Table", made, given]} == TEMPLATE["Outputs"][f"{role}TableName"]["Value"]
    for name, function in FUNCTIONS.items():
        statements = ROLES[function["Role"]["Fn::GetAtt"][0]]
        is_reached = any(
            f"${{Existing{role}Table}}" in text for statement in statements.values() for text in strings(statement)
        )
        own = {"ExplainFunction": {"Ledger", "Credits"}, "ArchiveFunction": {"Ledger"}}
        assert is_reached is (role in own.get(name, {role}))


def test_seals_are_out_of_reach_of_what_serves_events() -> None:
    """It does not even know the table's name; the scheduled run adds seals and changes none."""
    name = {"Fn::If": ["MakeSealsTable", {"Ref": "SealsTable"}, {"Ref": "ExistingSealsTable"}]}

    assert name == RESOURCES["CatchUpFunction"]["Properties"]["Environment"]["Variables"]["SEALS_TABLE"]
    assert name == TEMPLATE["Outputs"]["SealsTableName"]["Value"]
    assert "MakeSealsTable" == TABLES["SealsTable"]["Condition"]
    assert not any("Seals" in text for text in strings(ROLES["ReconcilerRole"]))
    assert "SEALS_TABLE" not in FUNCTION["Environment"]["Variables"]


def test_what_serves_events_may_do_what_a_posting_needs_and_nothing_else() -> None:
    """No table can be scanned, nothing deleted, and no entry of the ledger changed."""
    assert permitted("ReconcilerRole") == {
        "AppendToTheLedger": {"dynamodb:PutItem"},
        "ReadTheLedger": {"dynamodb:Query"},
        "MoveBalances": {"dynamodb:UpdateItem"},
        "ReadBalances": {"dynamodb:GetItem"},
        "MarkJobs": {"dynamodb:UpdateItem"},
        "ReadRowsOfJobs": {"dynamodb:BatchGetItem", "dynamodb:GetItem"},
        "ReadBaselines": {"dynamodb:GetItem"},
        "TakeEvents": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        "KeepFailedEvents": {"sqs:SendMessage"},
        "SendTraces": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        "WriteLogs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    }


def test_the_catch_up_may_read_whole_tables_as_well() -> None:
    """Jobs for what is due, the ledger for the baselines; and nothing can be deleted here either."""
    assert permitted("CatchUpRole") == {
        "AppendToTheLedger": {"dynamodb:PutItem"},
        "ReadTheLedger": {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"},
        "ReadStatements": {"dynamodb:Query"},
        "FindHoldsThatAreDue": {"dynamodb:Query"},
        "MoveBalances": {"dynamodb:UpdateItem"},
        "ReadBalances": {"dynamodb:GetItem", "dynamodb:Scan"},
        "FindAndMarkJobs": {
            "dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem",
        },
        "SealEntries": {"dynamodb:PutItem", "dynamodb:Query"},
        "ReadTheHead": {"dynamodb:GetItem"},
        "KeepTheBookOfBalances": {"dynamodb:PutItem", "dynamodb:Query"},
        "ReadTheArchive": {"s3:GetObjectVersion"},
        "ListTheArchive": {"s3:ListBucketVersions"},
        "KeepCheckpoints": {"s3:PutObject"},
        "KeepBaselinesAndTheRun": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "SendTraces": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        "WriteLogs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    }  # fmt: skip


@pytest.mark.parametrize("role", ["ReconcilerRole", "CatchUpRole"])
@pytest.mark.parametrize("sid", ["AppendToTheLedger", "MoveBalances"])
def test_entries_and_balances_move_in_transactions_alone(role: str, sid: str) -> None:
    """IAM refuses the same write by itself: an entry without its balance, a balance without its entry."""
    only_in_a_transaction = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}

    assert only_in_a_transaction == ROLES[role][sid]["Condition"]


def test_what_explains_may_add_an_explanation_to_an_entry_and_see_what_is_left_and_nothing_else() -> None:
    """No table of credits or jobs is named in its role, no entry can be put, and of one only the explanation written."""
    role = ROLES["ExplainRole"]

    assert permitted("ExplainRole") == {
        "SeeWhetherThereIsAnExplanation": {"dynamodb:GetItem"},
        "AddAnExplanation": {"dynamodb:UpdateItem"},
        "ReadStatements": {"dynamodb:Query"},
        "ReadBaselines": {"dynamodb:GetItem"},
        "KeepTheBudget": {"dynamodb:UpdateItem"},
        "ReadBalances": {"dynamodb:GetItem"},
        "FollowTheLedger": {
            "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
        },
        "ReadTheKey": {"secretsmanager:GetSecretValue"},
        "TellTheBus": {"events:PutEvents"},
        "KeepUnexplainedEntries": {"sqs:SendMessage"},
        "SendTraces": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        "WriteLogs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    }  # fmt: skip
    assert not [text for text in strings(role) if "Jobs" in text]
    assert not [sid for sid, each in role.items() if sid != "ReadBalances" and "Credits" in " ".join(strings(each))]
    assert ["userId", "remaining"] == role["ReadBalances"]["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    for sid in ("SeeWhetherThereIsAnExplanation", "AddAnExplanation"):
        attributes = role[sid]["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
        assert ["reference", "sequence", "explanation"] == attributes
    assert ["NONE", "UPDATED_OLD", "UPDATED_NEW"] == (
        role["AddAnExplanation"]["Condition"]["StringEqualsIfExists"]["dynamodb:ReturnValues"]
    )
    assert {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["explain#*", "low#*"]}} == role["KeepTheBudget"]["Condition"]
    told = {"events:source": OWN_SOURCE, "events:detail-type": [EXPLAINED, *NOTICES]}
    assert {"StringEquals": told} == role["TellTheBus"]["Condition"]


MAPPING = RESOURCES["FlaggedEntries"]["Properties"]

ENTRY = Entry(
    reference="job#j", job="j", sequence=1, user="u", type=EntryType.DEBIT, amount=Decimal(-1), occurred_at=NOON,
    rule="r", policy="p", facts=Facts(), cost=Decimal(1), money=Money(), source=Source.EVENT,
)  # fmt: skip


HOLD, REFUSED = {"type": EntryType.HOLD}, {"type": EntryType.FLAG, "amount": Decimal(0)}
FLAGGED, ADJUSTED = {"anomalies": (Anomaly("costs-over-50"),)}, {"source": Source.COMMAND, "type": EntryType.ADJUST}


@pytest.mark.parametrize(
    ("kind", "changes", "is_taken"),
    [
        ("INSERT", FLAGGED, True),
        ("INSERT", {"anomalies": (Anomaly("costs-over-50"),) * 3}, True),
        ("INSERT", {}, False),
        ("MODIFY", FLAGGED, False),
        ("REMOVE", FLAGGED, False),
        ("INSERT", ADJUSTED, True),
        ("INSERT", ADJUSTED | FLAGGED, True),
        ("INSERT", ADJUSTED | {"type": EntryType.REPRICE}, True),
        ("INSERT", ADJUSTED | {"type": EntryType.VOID}, False),
        ("INSERT", ADJUSTED | {"source": Source.REPAIR}, False),
        ("MODIFY", ADJUSTED, False),
        ("INSERT", HOLD, True),
        ("INSERT", HOLD | {"amount": Decimal(0)}, True),
        ("INSERT", HOLD | {"type": EntryType.SETTLE}, True),
        ("INSERT", HOLD | {"type": EntryType.RELEASE}, True),
        ("MODIFY", HOLD, False),
        ("INSERT", REFUSED | {"anomalies": (Anomaly("overdraft"),)}, True),
        ("INSERT", REFUSED, False),
    ],
)
def test_the_stream_hands_over_what_is_flagged_and_what_people_have_corrected(
    kind: str, changes: dict[str, Any], *, is_taken: bool
) -> None:
    """New entries, by filters that are event patterns like any other; an explanation that is stored wakes nobody."""
    assert is_taken is takes(kind, changes, is_following_balances=False)


def takes(kind: str, changes: dict[str, Any], *, is_following_balances: bool) -> bool:
    """Say whether the mapping hands over an entry, with one value of the parameter or the other."""
    record = {"eventName": kind, "dynamodb": {"NewImage": item_of(evolve(ENTRY, **changes), NOON)}}
    filters = [
        each["Fn::If"][1 if is_following_balances else 2] if "Fn::If" in each else each
        for each in MAPPING["FilterCriteria"]["Filters"]
    ]
    return any(compile_pattern(json.loads(each["Pattern"]))(record) for each in filters if "Pattern" in each)


@pytest.mark.parametrize(
    ("kind", "changes", "is_taken"),
    [
        ("INSERT", {}, True),
        ("INSERT", {"type": EntryType.REFUND, "amount": Decimal("0.01")}, True),
        ("INSERT", {"type": EntryType.VOID, "amount": Decimal("0.0000")}, False),
        ("MODIFY", {}, False),
    ],
)
def test_where_low_balances_are_told_all_that_moves_credits_is_handed_over(
    kind: str, changes: dict[str, Any], *, is_taken: bool
) -> None:
    """A debit by itself is told to nobody; what it leaves may be."""
    assert is_taken is takes(kind, changes, is_following_balances=True)
    assert "TellLowBalances" == next(each["Fn::If"][0] for each in MAPPING["FilterCriteria"]["Filters"] if "Fn::If" in each)


def test_what_is_to_be_told_comes_again_for_as_long_as_the_stream_keeps_it() -> None:
    """A batch that fails as a whole is halved. What is a day old lies in a queue; words are given up long before."""
    assert timedelta(seconds=MAPPING["MaximumRecordAgeInSeconds"]) > 100 * AGAIN
    assert ["ReportBatchItemFailures"] == MAPPING["FunctionResponseTypes"]
    assert (True, -1, ONE_DAY) == tuple(
        MAPPING[key] for key in ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds")
    )
    assert {"OnFailure": {"Destination": {"Fn::GetAtt": ["UnexplainedEntries", "Arn"]}}} == MAPPING["DestinationConfig"]
    assert TOGETHER_MAX == EVENTS_MAX == MAPPING["BatchSize"]
    assert {"StreamViewType": "NEW_IMAGE"} == TABLES["LedgerTable"]["Properties"]["StreamSpecification"]


def test_the_function_that_explains_has_room_for_what_it_imports() -> None:
    """A whole processor, time for the model and for the entries, and only the name of a secret."""
    function = FUNCTIONS["ExplainFunction"]

    assert ("handler.explain_handler", 1769) == (function["Handler"], function["MemorySize"])
    assert function["Timeout"] > 2 * STORE_SECONDS
    own = RESOURCES["ExplainFunction"]["Properties"]["Environment"]["Variables"]
    assert {"EVENT_BUS", "LOW_BALANCES", "LLM_MODEL", "OPENAI_SECRET_ID", "OPENAI_BASE_URL"} == set(own)
    assert '{"api_key": ""}' == RESOURCES["LlmSecret"]["Properties"]["SecretString"]


def test_what_archives_may_put_objects_and_move_the_one_row_and_nothing_else() -> None:
    """It reads no object and no table of the ledger, and removes nothing; of the Seals it sees no seal."""
    role = ROLES["ArchiveRole"]
    folders = [each["Fn::Sub"][0] for each in role["PutObjects"]["Resource"]]

    assert permitted("ArchiveRole") == {
        "PutObjects": {"s3:PutObject"},
        "MoveTheHead": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "FollowTheLedger": permitted("ExplainRole")["FollowTheLedger"],
        "KeepUnarchivedEntries": {"sqs:SendMessage"},
        "SendTraces": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        "WriteLogs": {"logs:CreateLogStream", "logs:PutLogEvents"},
    }
    assert [f"arn:${{AWS::Partition}}:s3:::${{Name}}/{folder}*" for folder in (PREFIX, ODD)] == folders
    assert {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [HEAD]}} == role["MoveTheHead"]["Condition"]
    assert not [text for text in strings(role) if "Credits" in text or "Jobs" in text]


def test_every_change_of_the_ledger_is_archived_and_none_is_given_up_before_the_stream_forgets_it() -> None:
    """No filter, no end of retries; what becomes a day old is told by a queue. A batch is as long as Lambda makes it."""
    mapping = RESOURCES["ArchivedEntries"]["Properties"]

    assert "FilterCriteria" not in mapping
    assert (-1, ONE_DAY, 10_000, 30) == tuple(
        mapping[key]
        for key in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "BatchSize", "MaximumBatchingWindowInSeconds")
    )
    assert {"OnFailure": {"Destination": {"Fn::GetAtt": ["UnarchivedEntries", "Arn"]}}} == mapping["DestinationConfig"]
    assert "TRIM_HORIZON" == mapping["StartingPosition"]


def test_dynamodb_lets_two_read_a_shard_of_the_stream() -> None:
    """A third would be throttled, and the others with it: "Change data capture for DynamoDB Streams", Developer Guide."""
    mappings = resources(TEMPLATE, "AWS::Lambda::EventSourceMapping")
    streams = [name for name, each in mappings.items() if "StartingPosition" in each["Properties"]]

    assert ["FlaggedEntries", "ArchivedEntries"] == streams


def test_nobody_changes_or_removes_what_is_archived() -> None:
    """Versions, Object Lock from the bucket's creation, no public access, TLS; it outlives the stack."""
    bucket = RESOURCES["ArchiveBucket"]
    properties = bucket["Properties"]
    (deny,) = RESOURCES["ArchiveBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert ("RetainExceptOnCreate", "Retain") == (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"])
    assert "BucketName" not in properties
    assert properties["ObjectLockEnabled"] is True
    retention = {"Mode": {"Ref": "ArchiveLockMode"}, "Days": {"Ref": "ArchiveRetentionDays"}}
    assert {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}} == properties["ObjectLockConfiguration"]
    assert {"Status": "Enabled"} == properties["VersioningConfiguration"]
    assert {True} == set(properties["PublicAccessBlockConfiguration"].values())
    assert ("Deny", {"Bool": {"aws:SecureTransport": False}}) == (deny["Effect"], deny["Condition"])
    assert not [rule for rule in properties["LifecycleConfiguration"]["Rules"] if "xpiration" in json.dumps(rule)]


def test_no_role_goes_round_the_lock() -> None:
    """Nor removes a version, nor changes how the bucket keeps them."""
    archive = {
        action for role in ROLES.values() for statement in role.values() for action in actions(statement) if "s3:" in action
    }
    operator = statements_of(RESOURCES["OperatorPolicy"]["Properties"]["PolicyDocument"])

    assert {"s3:PutObject", "s3:GetObjectVersion", "s3:ListBucketVersions"} == archive
    assert archive == {action for statement in operator for action in actions(statement) if "s3:" in action}


RULES = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule"
RULE = [
    {"Fn::Sub": f"{RULES}/credit-reconciler-${{Environment}}-events"},
    {"Fn::Sub": f"{RULES}/*/credit-reconciler-${{Environment}}-events"},
]
"""The rule of events by its name, on the default bus and on any other."""


def permitted(role: str) -> dict[str, set[str]]:
    """Return what a role's statements permit."""
    return {sid: actions(statement) for sid, statement in ROLES[role].items()}


def test_each_function_has_a_role_of_its_own() -> None:
    """And a log of its own."""
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in FUNCTIONS.items()}

    assert {f"{name}Function": f"{name}Role" for name in ("Reconciler", "CatchUp", "Explain", "Archive")} == roles
    assert set(ROLES) == {*roles.values(), "CatchUpRunRole", "CatchUpScheduleRole"}
    for function in FUNCTIONS.values():
        (log,) = ROLES[function["Role"]["Fn::GetAtt"][0]]["WriteLogs"]["Resource"]["Fn::GetAtt"][:1]
        assert {"LogGroup": {"Ref": log}, "LogFormat": "JSON"} == function["LoggingConfig"]


def test_no_permission_has_a_wildcard() -> None:
    """Each names its one resource, but for executions, rows of State, and traces, which have no names before."""
    statements = [statement for role in ROLES.values() for sid, statement in role.items() if sid != "SendTraces"]
    texts = [text for part in (statements, POLICIES) for text in strings(part)]
    arn = "arn:${AWS::Partition}:{}:${AWS::Region}:${AWS::AccountId}:{}:credit-reconciler-${Environment}-catch-up"
    executions = arn.replace("{}", "states", 1).replace("{}", "execution", 1)
    rule = f"{RULES}/*/credit-reconciler-${{Environment}}-events"

    folders = [f"arn:${{AWS::Partition}}:s3:::${{Name}}/{name}*" for name in ("", "checkpoints/", "entries/", "odd/")]
    others = ["explain#*", "low#*", f"{executions}:*", f"{executions}/*:*", rule, rule]
    assert sorted([*folders, *others]) == sorted(text for text in texts if "*" in text)


def test_lambda_decides_which_invocations_are_traced_and_only_it_asks_x_ray() -> None:
    """All functions send, by the two permissions that X-Ray gives for all of it or not at all."""
    statement = {"Sid": "SendTraces", "Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]}

    for function in FUNCTIONS.values():
        assert "Active" == function["Tracing"]
        assert {**statement, "Resource": "*"} == ROLES[function["Role"]["Fn::GetAtt"][0]]["SendTraces"]


def test_the_rule_takes_rendered_and_failed_videos_from_the_video_application() -> None:
    """And nothing else, since every other event would be paid for and ignored."""
    assert template_rules(TEMPLATE) == {
        "VideoEvents": {"source": ["video.generation"], "detail-type": ["video.rendered", "video.failed"]}
    }


def test_the_catch_up_runs_every_six_hours() -> None:
    """The longest that a lost event stays unnoticed."""
    schedule = RESOURCES["CatchUpSchedule"]["Properties"]
    (target,) = schedule["Targets"]

    assert ("rate(6 hours)", {"Ref": "CatchUpRun"}) == (schedule["ScheduleExpression"], target["Arn"])


def test_the_run_of_the_scan_has_a_history_that_does_not_end() -> None:
    """An execution ends at 25,000 steps, so each segment is one of its own; it is found by its name, as the role has it."""
    run = RESOURCES["CatchUpRun"]["Properties"]
    scan = run["Definition"]["States"]["Scan"]

    assert {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} == scan["ItemProcessor"]["ProcessorConfig"]
    assert ROLES["CatchUpRunRole"]["StartSegments"]["Resource"]["Fn::Sub"].endswith(f":stateMachine:{run['Name']['Fn::Sub']}")


def test_the_run_tries_again_what_may_succeed_and_tells_what_cannot() -> None:
    """The names are those of the errors that the function raises."""
    states = RESOURCES["CatchUpRun"]["Properties"]["Definition"]["States"]
    tasks = [states["Begin"], states["Scan"]["ItemProcessor"]["States"]["Work"], states["Finish"]]
    tasks += [states["Again"]["ItemProcessor"]["States"]["WorkAgain"], states["FinishAgain"]]

    for task in tasks:
        never, always = task["Retry"]
        assert {"ErrorEquals": [EventError.__name__, LedgerRefused.__name__], "MaxAttempts": 0} == never
        assert (["States.ALL"], 5) == (always["ErrorEquals"], always["MaxAttempts"])
    assert LedgerUnavailable.__name__ not in never["ErrorEquals"]


def test_an_event_that_cannot_be_delivered_is_kept() -> None:
    """For the rule and for the schedule alike; only these two may write to that queue."""
    (target,) = RESOURCES["VideoEvents"]["Properties"]["Targets"]
    (scheduled,) = RESOURCES["CatchUpSchedule"]["Properties"]["Targets"]
    sources = {"VideoEvents": target, "CatchUpSchedule": scheduled}
    (statement,) = RESOURCES["UndeliveredEventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert all(
        {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]} == source["DeadLetterConfig"]["Arn"] for source in sources.values()
    )
    assert all(source["RetryPolicy"]["MaximumRetryAttempts"] > 0 for source in sources.values())
    schedule = {"Fn::Sub": f"{RULES}/credit-reconciler-${{Environment}}-every-six-hours"}
    assert {"ArnLike": {"aws:SourceArn": [*RULE, schedule]}} == statement["Condition"]
    assert {"VideoEvents", "CatchUpSchedule", "HoldsSchedule"} == {*template_rule_names()}


def test_holds_that_are_due_are_looked_for_every_fifteen_minutes() -> None:
    """By the function alone, not tried again: a look that was lost is made good by the next one, so nothing is kept of it."""
    schedule = RESOURCES["HoldsSchedule"]["Properties"]
    (target,) = schedule["Targets"]
    permission = RESOURCES["HoldsPermission"]["Properties"]

    assert {"Fn::Sub": "rate(${HoldsEveryMinutes} minutes)"} == schedule["ScheduleExpression"]
    assert 15 == TEMPLATE["Parameters"]["HoldsEveryMinutes"]["Default"]
    assert {"Fn::GetAtt": ["CatchUpFunction", "Arn"]} == target["Arn"]
    assert {"expire": "holds"} == json.loads(target["Input"])
    assert target["Arn"] == permission["FunctionName"]
    assert {"Fn::Sub": f"{RULES}/credit-reconciler-${{Environment}}-holds"} == permission["SourceArn"]
    assert 0 == FUNCTIONS["CatchUpFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"]


def template_rule_names() -> list[str]:
    """Return the rules of the template."""
    return list(resources(TEMPLATE, "AWS::Events::Rule"))


def test_an_event_that_the_function_raises_on_is_retried_and_then_kept() -> None:
    """Twice, then it waits for a person."""
    assert 2 == FUNCTION["EventInvokeConfig"]["MaximumRetryAttempts"]
    assert {"Type": "SQS", "TargetArn": {"Fn::GetAtt": ["FailedEvents", "Arn"]}} == FUNCTION["DeadLetterQueue"]


def test_events_come_by_the_queue_or_directly() -> None:
    """One parameter; either way the rule's target may be reached by the rule alone."""
    (target,) = RESOURCES["VideoEvents"]["Properties"]["Targets"]
    (statement,) = RESOURCES["EventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    permission = RESOURCES["VideoEventsPermission"]
    by_queue, directly = {"Fn::GetAtt": ["Events", "Arn"]}, {"Ref": "ReconcilerFunction.Alias"}

    assert "queue" == TEMPLATE["Parameters"]["Delivery"]["Default"]
    assert {"Fn::If": ["ByQueue", by_queue, directly]} == target["Arn"]
    source, bus = permission["Properties"]["SourceArn"]["Fn::Sub"]
    assert source == f"{RULES}/${{Bus}}credit-reconciler-${{Environment}}-events"
    assert {"Bus": {"Fn::If": ["DefaultBus", "", {"Fn::Sub": "${EventBusName}/"}]}} == bus
    assert (by_queue, {"ArnLike": {"aws:SourceArn": RULE}}) == (statement["Resource"], statement["Condition"])


def test_the_queue_is_in_step_with_the_function() -> None:
    """What the Lambda Developer Guide asks for: six times the timeout, and no fewer than five attempts."""
    queue, batches = RESOURCES["Events"]["Properties"], RESOURCES["EventBatches"]["Properties"]

    assert queue["VisibilityTimeout"] >= 6 * FUNCTION["Timeout"] + batches["MaximumBatchingWindowInSeconds"]
    assert ["ReportBatchItemFailures"] == batches["FunctionResponseTypes"]
    assert BALANCE_ACTIONS + ACTIONS_OF_A_JOB * batches["BatchSize"] <= ACTIONS_MAX
    at_once = {"Fn::If": ["Reserve", {"Ref": "ReservedConcurrency"}, {"Ref": "BatchesAtOnceMax"}]}
    assert {"MaximumConcurrency": at_once} == batches["ScalingConfig"]


def test_no_throttling_of_a_day_turns_a_good_event_into_a_dead_letter() -> None:
    """SQS's own maximum of receives is two days, of fourteen that a letter is kept: twelve are left for a person."""
    queue = RESOURCES["Events"]["Properties"]

    assert {"deadLetterTargetArn": {"Fn::GetAtt": ["FailedEvents", "Arn"]}, "maxReceiveCount": 1000} == queue["RedrivePolicy"]
    assert 2 * ONE_DAY < queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] < FOURTEEN_DAYS - 11 * ONE_DAY


def test_what_makes_no_sense_in_a_batch_goes_where_lambda_puts_what_was_delivered_directly() -> None:
    """After as many tries; the function may send there and nowhere else."""
    queue = {"Ref": "FailedEvents"}

    assert queue == FUNCTION["Environment"]["Variables"]["FAILED_EVENTS_QUEUE_URL"]
    assert {"Fn::GetAtt": ["FailedEvents", "Arn"]} == FUNCTION["DeadLetterQueue"]["TargetArn"]
    assert {"Fn::GetAtt": ["FailedEvents", "Arn"]} == ROLES["ReconcilerRole"]["KeepFailedEvents"]["Resource"]
    assert 1 + FUNCTION["EventInvokeConfig"]["MaximumRetryAttempts"] == RECEIVES_MAX
    for name in ("CatchUpFunction", "ExplainFunction"):
        assert "FAILED_EVENTS_QUEUE_URL" not in FUNCTIONS[name]["Environment"]["Variables"]


def test_an_event_that_keeps_coming_back_is_told_in_each_period_of_its_alarm() -> None:
    """It is received once in a visibility timeout, and SQS does not count it any more when the other alarm would begin."""
    alarm, waiting = (ALARMS[name]["Properties"] for name in ("ReturningEventsAlarm", "WaitingEventsAlarm"))
    visibility = RESOURCES["Events"]["Properties"]["VisibilityTimeout"]

    assert RETURNED == alarm["MetricName"]
    assert visibility < alarm["Period"]
    assert (RECEIVES_MAX - 1) * visibility < waiting["Threshold"] < alarm["Threshold"]


def test_a_new_account_turns_no_event_into_a_dead_letter() -> None:
    """It runs ten functions at once; what is throttled comes back, and each time counts as an attempt."""
    parameters = TEMPLATE["Parameters"]

    assert parameters["BatchesAtOnceMax"]["Default"] + parameters["ScansAtOnceMax"]["Default"] < 10


def test_events_move_to_a_new_version_bit_by_bit_and_back_when_an_alarm_begins() -> None:
    """By the alias, which is all that the queue and the rule call; a changed parameter is a new version as well."""
    preference = FUNCTION["DeploymentPreference"]
    alias = {"Ref": "ReconcilerFunction.Alias"}

    assert ("live", True) == (FUNCTION["AutoPublishAlias"], FUNCTION["AutoPublishAliasAllProperties"])
    assert {"Ref": "Rollout"} == preference["Type"]
    assert TEMPLATE["Parameters"]["Rollout"]["Default"].startswith("Canary")
    assert ["ErrorsAlarm", "NothingTakenAlarm", "SlowEventsAlarm"] == [alarm["Ref"] for alarm in preference["Alarms"]]
    for alarm in (ALARMS[alarm["Ref"]]["Properties"] for alarm in preference["Alarms"]):
        assert alarm["Period"] * alarm["EvaluationPeriods"] < SHORTEST_CANARY_SECONDS, "it would begin when all is over"
    assert alias == RESOURCES["EventBatches"]["Properties"]["FunctionName"]
    assert alias == RESOURCES["VideoEventsPermission"]["Properties"]["FunctionName"]


def test_snapshots_can_be_switched_on() -> None:
    """They cost, and without them a cold start keeps its promise."""
    assert {"ApplyOn": {"Fn::If": ["Snapshots", "PublishedVersions", "None"]}} == FUNCTION["SnapStart"]
    assert "off" == TEMPLATE["Parameters"]["SnapStart"]["Default"]


def test_concurrency_can_be_reserved() -> None:
    """None is by default: a reserve is taken from all other functions of the account."""
    reserved = {"Fn::If": ["Reserve", {"Ref": "ReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}

    assert reserved == FUNCTION["ReservedConcurrentExecutions"]
    assert 0 == TEMPLATE["Parameters"]["ReservedConcurrency"]["Default"]


@pytest.mark.parametrize("logical_id", sorted(QUEUES))
def test_a_queue_keeps_its_messages_as_long_as_it_can(logical_id: str) -> None:
    """And encrypted."""
    assert FOURTEEN_DAYS == QUEUES[logical_id]["Properties"]["MessageRetentionPeriod"]
    assert {"Fn::If": ["OwnKey", False, True]} == QUEUES[logical_id]["Properties"]["SqsManagedSseEnabled"]


def test_the_function_is_as_the_design_has_it() -> None:
    """Handler, runtime, size, and an environment that names all it needs."""
    assert ("handler.lambda_handler", "python3.12", 512) == tuple(
        FUNCTION[key] for key in ("Handler", "Runtime", "MemorySize")
    )
    assert set(FUNCTION["Environment"]["Variables"]) == {
        *("JOBS_TABLE", "CREDITS_TABLE", "LEDGER_TABLE", "STATE_TABLE", "POLICY_FILE", "LOG_LEVEL"),
        *("FAILED_EVENTS_QUEUE_URL", "SHADOW_POLICY_FILE"),
    }
    assert (ROOT / TEMPLATE["Parameters"]["PolicyFile"]["Default"]).is_file()


def test_logs_are_json_and_do_not_pile_up_for_ever() -> None:
    """30 days in dev, longer where it matters."""
    groups = resources(TEMPLATE, "AWS::Logs::LogGroup").values()
    retention = {"Fn::FindInMap": ["Logs", "RetentionInDays", {"Ref": "Environment"}]}

    assert all(retention == group["Properties"]["RetentionInDays"] for group in groups)
    assert {"dev": 30, "staging": 90, "prod": 365} == TEMPLATE["Mappings"]["Logs"]["RetentionInDays"]


HOLD_METRICS = {"HoldsDue", "HoldsExpired", "HoldsOverdue", "HoldsLateSeconds", "ExpiriesUnfinished"}
"""What a run tells that asks for holds that are due."""


def test_the_dashboard_shows_every_metric_of_ours_and_no_other() -> None:
    """It is well-formed, and no two widgets share a place."""
    text, _ = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(text)["widgets"]
    shown = {name for widget in widgets for name in own_metrics(widget["properties"].get("metrics", []))}

    assert {
        *METRICS.values(),
        "Errors",
        "CreditsMoved",
        "Adjustments",
        "Drift",
        "AuditsUnfinished",
        "ScansCapped",
        RETURNED,
        *EXPLAIN_METRICS,
        *ARCHIVE_METRICS,
        *map(found_metric, Kind),
        SINCE_WHOLE,
        "ComparisonsUnfinished",
        *CREDITS.values(),
        *SHADOW_METRICS,
        *HOLD_METRICS,
        *NOTICE_METRICS,
    } == shown
    assert len(widgets) == len({(widget["x"], widget["y"]) for widget in widgets})


def own_metrics(metrics: list[list[Any]]) -> set[str]:
    """Return the names of our own metrics; a dot repeats what stands above it, three of them the whole line."""
    names, namespace, name = set(), "", ""
    for metric in metrics:
        if metric[0] != "..." and len(metric) > 1:
            namespace = namespace if metric[0] == "." else metric[0]
            name = name if metric[1] == "." else metric[1]
        if namespace == "Reconciler":
            names.add(name)
    return names


ALARMS = resources(TEMPLATE, "AWS::CloudWatch::Alarm")


def test_every_kind_of_finding_that_a_run_can_make_has_an_alarm_of_its_name() -> None:
    """Its name says the kind, which is all that a message in the night shows; it is there only where an archive is."""
    found = {
        alarm["Properties"]["AlarmName"]["Fn::Sub"].split("-found-")[1]: alarm
        for name, alarm in ALARMS.items()
        if name.startswith("Found")
    }

    assert set(Kind) == found.keys()
    for kind, alarm in found.items():
        assert (found_metric(kind), "ArchiveEntries") == (alarm["Properties"]["MetricName"], alarm["Condition"])
        assert [{"Name": "FunctionName", "Value": {"Ref": "CatchUpFunction"}}] == alarm["Properties"]["Dimensions"]


def test_what_goes_by_seals_is_there_only_without_an_archive() -> None:
    """The alarms of the books and of audits that end by no archive, and the permission to seal; and nothing else."""
    alone = {name: resource for name, resource in RESOURCES.items() if resource.get("Condition") == "WithoutArchive"}
    seals = ROLES["CatchUpRole"]["SealEntries"]["Action"]

    assert {"Fn::Not": [{"Condition": "ArchiveEntries"}]} == TEMPLATE["Conditions"]["WithoutArchive"]
    assert {"Drift", "AuditsUnfinished"} == {alarm["Properties"]["MetricName"] for alarm in alone.values()}
    assert (["dynamodb:PutItem", "dynamodb:Query"], HEAD, PAGES) == (
        seals,
        *(
            ROLES["CatchUpRole"][sid]["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"][0]
            for sid in ("ReadTheHead", "KeepTheBookOfBalances")
        ),
    )


RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


@pytest.mark.parametrize("logical_id", sorted(ALARMS))
def test_an_alarm_tells_a_person_what_to_do(logical_id: str) -> None:
    """When it begins and when it is over, with a section of the runbook: what it means, look, fix, verify."""
    alarm = ALARMS[logical_id]["Properties"]
    section = alarm["AlarmName"]["Fn::Sub"].removeprefix("credit-reconciler-${Environment}-")
    page = RUNBOOK.split(f"\n## {section}\n")[1].split("\n## ")[0]

    assert [{"Ref": "Alarms"}] == alarm["AlarmActions"] == alarm["OKActions"]
    assert alarm["AlarmDescription"].endswith(f". docs/runbook.md#{section}")
    assert all(f"**{word}**" in page for word in ("Means", "Look", "Fix", "Verify"))


def test_the_runbook_has_no_section_of_an_alarm_that_is_gone() -> None:
    """Its first sections are those of the alarms."""
    sections = [line.removeprefix("## ") for line in RUNBOOK.splitlines() if line.startswith("## ")]

    alarms = {alarm["Properties"]["AlarmName"]["Fn::Sub"].split("}-")[1] for alarm in ALARMS.values()}

    assert alarms == set(sections[: len(ALARMS)])


def test_an_alarm_looks_at_something_that_is_there() -> None:
    """A function or queue of this stack, or a metric that the function's own lines carry."""
    filters = {
        transformation["MetricName"]
        for metric_filter in resources(TEMPLATE, "AWS::Logs::MetricFilter").values()
        for transformation in metric_filter["Properties"]["MetricTransformations"]
    }
    entry = evolve(ENTRY, source=Source.SCAN, samples=(Sample("charge.amount by detail.model", "veo-3", Decimal(1)),))
    assessment = Assessment(reference="job#j", job="j", user="u", at=NOON, rule="r", fact=Facts(), source=Source.SCAN)
    lines: list[str] = []
    telemetry = Telemetry(lines.append, Clock())
    telemetry.failed(Failure(Envelope({}, Source.QUEUE), ValueError(), 0.0))
    telemetry.returned({}, 1800.0)
    telemetry.audited({}, 0)
    telemetry.compared({}, dict.fromkeys(Kind, 0), is_out_of_time=False, since_whole=60.0)
    telemetry.looked_back({})
    telemetry.renewed({})
    telemetry.scanned({}, is_capped=True)
    telemetry.audit_unfinished({}, is_out_of_time=True)
    tell_corrections([evolve(ENTRY, **ADJUSTED, correction=Correction("a mistake", "ann"))], telemetry)
    own = settled_metrics(Report(None, Outcome.DEBITED, assessment, entry)).keys()
    own |= {key for line in lines for key in json.loads(line)} | {*EXPLAIN_METRICS, *ARCHIVE_METRICS, *SHADOW_METRICS}
    own |= {*HOLD_METRICS, *NOTICE_METRICS}

    for alarm in ALARMS.values():
        properties = alarm["Properties"]
        match properties["Namespace"]:
            case "Reconciler":
                assert properties["MetricName"] in own
                assert ["FunctionName"] == [dimension["Name"] for dimension in properties["Dimensions"]]
            case {"Fn::Sub": "Reconciler/${Environment}"}:
                assert properties["MetricName"] in filters
            case "AWS/States":
                assert [{"Name": "StateMachineArn", "Value": {"Ref": "CatchUpRun"}}] == properties["Dimensions"]
                assert properties["MetricName"] in {"ExecutionsFailed", "ExecutionsStarted"}
            case "AWS/Lambda" | "AWS/SQS":
                (dimension,) = properties["Dimensions"]
                (target,) = [text.split(".")[0] for text in strings(dimension["Value"]) if text in RESOURCES]
                assert RESOURCES[target]["Type"] in {"AWS::Serverless::Function", "AWS::SQS::Queue"}
            case other:
                pytest.fail(f"{other} is no namespace of ours")


@pytest.mark.parametrize(
    ("logical_id", "threshold"),
    [("FailedEvents", 0), ("UndeliveredEvents", 0), ("UnexplainedEntries", 0), ("UnarchivedEntries", 0), ("Events", 600)],
)
def test_every_queue_has_an_alarm(logical_id: str, threshold: int) -> None:
    """One dead letter is enough; of the others the oldest counts, by the seconds it has waited."""
    watched = [
        alarm["Properties"]
        for alarm in ALARMS.values()
        if {"Fn::GetAtt": [logical_id, "QueueName"]} in [d["Value"] for d in alarm["Properties"].get("Dimensions", [])]
    ]

    assert [threshold] == [alarm["Threshold"] for alarm in watched]


def test_everything_with_a_name_is_named_by_its_environment() -> None:
    """So that dev, staging and prod can share an account."""
    named = {
        f"{logical_id}.{key}": name
        for logical_id, resource in RESOURCES.items()
        for key, name in resource["Properties"].items()
        if key in {"TableName", "QueueName", "FunctionName", "LogGroupName", "AlarmName", "TopicName"}
        and not {"Ref", "Fn::GetAtt"} & set(name)
    }
    named |= {name: rule["Properties"]["Name"] for name, rule in resources(TEMPLATE, "AWS::Events::Rule").items()}
    named |= {"CatchUpRun": RESOURCES["CatchUpRun"]["Properties"]["Name"]}

    assert len(named) >= len(TABLES) + len(QUEUES) + 2
    assert all("${Environment}" in name["Fn::Sub"] for name in named.values())


@pytest.mark.parametrize("section", ["default", "staging", "prod"])
def test_each_environment_is_one_word_to_deploy(section: str) -> None:
    """samconfig.toml answers all that SAM would ask; only prod asks before it changes anything."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[section]
    environment = {"default": "dev"}.get(section, section)

    assert f"cc-agent-reconciler-{environment}" == config["global"]["parameters"]["stack_name"]
    assert f"Environment={environment}" == config["deploy"]["parameters"]["parameter_overrides"].split()[0]
    assert config["deploy"]["parameters"]["resolve_s3"] is True
    assert (environment == "prod") is config["deploy"]["parameters"]["confirm_changeset"]
    assert config["build"]["parameters"]["build_in_source"] is True
