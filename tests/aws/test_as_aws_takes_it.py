"""The template as AWS takes it, by the services' own validators; each kind of mistake that an emulator forgives is seen."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.as_aws import Judges, refusals
from tools.language_server import LanguageServerMissingError, installed
from tools.template import load

pytestmark = pytest.mark.slow

Template = dict[str, Any]
Edit = Callable[[Template], None]

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

STACKS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "direct delivery from another bus": {"Delivery": "direct", "EventBusName": "video"},
    "with the application's own tables": {
        "ExistingJobsTable": "jobs", "ExistingCreditsTable": "credits", "ExistingLedgerTable": "ledger",
        "ExistingLedgerStream": "2026-11-28T00:00:00.000", "ExistingSealsTable": "seals",
    },
    "in production, with a reserve and snapshots": {
        "Environment": "prod", "AlarmEmail": "a@example.com", "ReservedConcurrency": "20", "SnapStart": "on",
        "LlmModel": "gpt-5", "LlmBaseUrl": "https://models.example.com/v1", "Rollout": "Linear10PercentEvery1Minute",
    },
    "with a key of one's own": {"KmsKeyArn": KEY},
    "with an archive": {"Archive": "on"},
    "with an archive under a key of one's own, locked for everybody": {
        "Archive": "on", "KmsKeyArn": KEY, "ArchiveLockMode": "COMPLIANCE", "ArchiveRetentionDays": "3650",
    },
    "with the archive of a ledger that is there": {
        "Archive": "on", "ExistingLedgerTable": "ledger", "ExistingLedgerStream": "2026-11-28T00:00:00.000",
        "ExistingSealsTable": "seals", "ExistingArchiveBucket": "archive-of-entries",
    },
    "of a secret that is there": {
        "Environment": "staging",
        "ExistingLlmSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:llm-AbCdEf",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def problems(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the validators say of each stack and of each planted mistake; ``checkov`` is where parliament stands."""
    assert checkov.exists()
    try:
        validator = installed("asl-validator", "dist", "bin", "asl-validator.js")
    except LanguageServerMissingError as error:
        pytest.skip(str(error))
    cases = {name: (load(), parameters) for name, parameters in STACKS.items()}
    cases |= {edit.__name__: (edited(edit), {}) for edit, _ in MISTAKES if edit not in TOLD_BY_SCHEMA}
    cases[TOGETHER] = edited(*TOLD_BY_SCHEMA), {}
    found = Judges(tmp_path_factory.mktemp("as-aws"), validator).problems(cases, [*STACKS, TOGETHER])
    return found | {edit.__name__: found[TOGETHER] for edit in TOLD_BY_SCHEMA}


def edited(*edits: Edit) -> Template:
    """Return the template with mistakes in it."""
    template = copy.deepcopy(load())
    for edit in edits:
        edit(template)
    return template


@pytest.mark.parametrize("stack", STACKS)
def test_aws_finds_nothing_wrong_with_the_template(problems: dict[str, list[str]], stack: str) -> None:
    """Types, names, sizes, permissions, conditions, the state machine, and what must be there before the first event."""
    assert [] == problems[stack]


# --- what an emulator forgives ---


def states(template: Template) -> Any:
    """Return the states of the scheduled run."""
    return template["Resources"]["CatchUpRun"]["Properties"]["Definition"]["States"]


def quote_a_number(template: Template) -> None:
    """As SAM does with every substitution: CloudFormation puts text in its place, between the quotes."""
    template["Resources"]["CatchUpRun"]["Properties"]["DefinitionSubstitutions"]["AtOnce"] = {"Ref": "ScansAtOnceMax"}
    del states(template)["Scan"]["MaxConcurrencyPath"]
    states(template)["Scan"]["MaxConcurrency"] = "${AtOnce}"


def misname_a_state(template: Template) -> None:
    """The next state is not there."""
    states(template)["Begin"]["Next"] = "Scans"


def forget_a_substitution(template: Template) -> None:
    """What is called has no name."""
    del template["Resources"]["CatchUpRun"]["Properties"]["DefinitionSubstitutions"]["Invoke"]


def misname_an_action(template: Template) -> None:
    """There is no such permission."""
    statement(template, "ReconcilerRole", "ReadTheLedger")["Action"] = "dynamodb:Querry"


def misname_a_condition_key(template: Template) -> None:
    """IAM takes it, and the condition never holds."""
    wrong = {"StringEquals": {"dynamodb:LeadingKey": "a"}}
    statement(template, "ExplainRole", "KeepTheBudget")["Condition"] = wrong


def forget_a_resource_of_a_permission(template: Template) -> None:
    """An action on a queue, permitted on a table."""
    statement(template, "ReconcilerRole", "KeepFailedEvents")["Resource"] = {"Fn::GetAtt": ["StateTable", "Arn"]}


def lengthen_a_name(template: Template) -> None:
    """A rule has 64 characters."""
    long = {"Fn::Sub": "credit-reconciler-${Environment}-the-events-of-the-video-application-as-they-come"}
    template["Resources"]["VideoEvents"]["Properties"]["Name"] = long


def keep_a_table_always(template: Template) -> None:
    """Also after a first deployment that failed."""
    template["Resources"]["LedgerTable"]["DeletionPolicy"] = "Retain"


def let_the_rule_come_first(template: Template) -> None:
    """Before the queue may take its events."""
    del template["Resources"]["VideoEvents"]["DependsOn"]


def forget_the_policy_of_the_queue(template: Template) -> None:
    """CloudFormation asks for none; EventBridge is refused."""
    del template["Resources"]["EventsPolicy"]
    template["Resources"]["VideoEvents"]["DependsOn"].remove("EventsPolicy")


def forget_the_permission_of_the_function(template: Template) -> None:
    """The same, with direct delivery."""
    template["Parameters"]["Delivery"]["Default"] = "direct"
    del template["Resources"]["VideoEventsPermission"]
    template["Resources"]["VideoEvents"]["DependsOn"].remove("VideoEventsPermission")


def let_in_another_rule(template: Template) -> None:
    """Renamed, and the policies know the old name."""
    template["Resources"]["VideoEvents"]["Properties"]["Name"] = {"Fn::Sub": "credit-reconciler-${Environment}-told"}


def forget_the_permission_of_the_schedule(template: Template) -> None:
    """It may start another machine."""
    (policy,) = template["Resources"]["CatchUpScheduleRole"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"][0]["Resource"] = {"Fn::Sub": "arn:${AWS::Partition}:states:::stateMachine:other"}


def write_for_one_partition(template: Template) -> None:
    """As it is copied from a page."""
    states(template)["Finish"]["Resource"] = "arn:aws:states:::lambda:invoke"


def refer_to_nothing(template: Template) -> None:
    """A variable that nobody gives."""
    template["Resources"]["Alarms"]["Properties"]["TopicName"] = {"Fn::Sub": "credit-reconciler-${Stage}-alarms"}


def let_a_version_go(template: Template) -> None:
    """With the first parameter that changes."""
    del template["Resources"]["ReconcilerFunction"]["UpdateReplacePolicy"]


def describe_at_length(template: Template) -> None:
    """A description that grows with what is in it."""
    template["Parameters"]["PolicyFile"]["Default"] = f"policies/{'p' * 250}.yaml"


def ask_for_too_many_sources(template: Template) -> None:
    """A pattern has 2,048 characters."""
    pattern = template["Resources"]["VideoEvents"]["Properties"]["EventPattern"]
    pattern["source"] = [f"the.producer.number.{number}" for number in range(100)]


def permit_at_length(template: Template) -> None:
    """More than a role takes."""
    statement(template, "ReconcilerRole", "ReadTheLedger")["Sid"] = "R" * 10_240


def hand_over_without_end(template: Template) -> None:
    """SQS refuses the queue."""
    template["Resources"]["Events"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] = 1001


def misspell_a_property(template: Template) -> None:
    """CloudFormation refuses it."""
    template["Resources"]["Events"]["Properties"]["VisibilityTimeOut"] = 60


def take_a_word_for_a_number(template: Template) -> None:
    """A threshold is a number."""
    template["Resources"]["DriftAlarm"]["Properties"]["Threshold"] = "none"


def take_an_unknown_word(template: Template) -> None:
    """There is no such way to look at a number."""
    template["Resources"]["DriftAlarm"]["Properties"]["ComparisonOperator"] = "GreaterThan"


def statement(template: Template, role: str, sid: str) -> Any:
    """Return what a role permits under this name."""
    (policy,) = template["Resources"][role]["Properties"]["Policies"]
    return next(part for part in policy["PolicyDocument"]["Statement"] if part["Sid"] == sid)


MISTAKES: list[tuple[Edit, str]] = [
    (quote_a_number, "MaxConcurrency"),
    (misname_a_state, "Scans"),
    (forget_a_substitution, "a substitution has no value"),
    (misname_an_action, "Querry"),
    (misname_a_condition_key, "dynamodb:LeadingKey"),
    (forget_a_resource_of_a_permission, "sqs:SendMessage"),
    (lengthen_a_name, "VideoEvents"),
    (keep_a_table_always, "LedgerTable: Retain keeps it"),
    (let_the_rule_come_first, "VideoEvents: may be there before EventsPolicy"),
    (forget_the_policy_of_the_queue, "VideoEvents: nothing lets it send to arn:aws:sqs"),
    (forget_the_permission_of_the_function, "VideoEvents: nothing lets it send to arn:aws:lambda"),
    (let_in_another_rule, "VideoEvents: nothing lets it send to"),
    (forget_the_permission_of_the_schedule, "CatchUpSchedule: nothing lets it send to arn:aws:states"),
    (write_for_one_partition, "CatchUpRun: "),
    (refer_to_nothing, "Stage"),
    (let_a_version_go, "is deleted as soon as"),
    (describe_at_length, "Description has"),
    (ask_for_too_many_sources, "VideoEvents: EventPattern has"),
    (permit_at_length, "ReconcilerRole: Policies has"),
    (hand_over_without_end, "Events: maxReceiveCount is 1001"),
    (misspell_a_property, "VisibilityTimeOut"),
    (take_a_word_for_a_number, "Properties/Threshold: "),
    (take_an_unknown_word, "Properties/ComparisonOperator: "),
]

TOLD_BY_SCHEMA = (refer_to_nothing, misspell_a_property, take_a_word_for_a_number, take_an_unknown_word)
"""What CloudFormation's own schemas tell: each at its place, so that one template can have all; cfn-lint takes seconds."""

TOGETHER = "all that schemas tell"


@pytest.mark.parametrize(("edit", "told"), MISTAKES, ids=[edit.__name__ for edit, _ in MISTAKES])
def test_a_mistake_that_aws_refuses_is_seen(problems: dict[str, list[str]], edit: Edit, told: str) -> None:
    """Each told by what is wrong; all but those of the schemas are planted alone."""
    assert [problem for problem in problems[edit.__name__] if told in problem], problems[edit.__name__]


# --- parameters ---

CONTRADICTIONS: list[tuple[dict[str, str], str]] = [
    ({"Environment": "prod"}, "AlarmEmail is empty"),
    ({"ExistingLedgerStream": "2026-11-28T00:00:00.000"}, "name it in ExistingLedgerTable"),
    ({"ExistingSealsTable": "seals"}, "name it in ExistingLedgerTable"),
    ({"Archive": "on", "ExistingLedgerTable": "ledger"}, "Name it in ExistingLedgerStream"),
    ({"ExistingArchiveBucket": "b", "ExistingLedgerTable": "ledger", "ExistingSealsTable": "seals"}, "put Archive on"),
    ({"ReservedConcurrency": "1"}, "ReservedConcurrency is 1"),
    ({"ReservedConcurrency": "1", "Delivery": "queue", "AlarmEmail": "a@example.com"}, "ReservedConcurrency is 1"),
]


@pytest.mark.parametrize(("parameters", "told"), CONTRADICTIONS)
def test_contradictions_are_refused_before_anything_is_made(parameters: dict[str, str], told: str) -> None:
    """By CloudFormation itself; it says what would be right."""
    (refusal,) = refusals(load(), parameters)

    assert told in refusal


@pytest.mark.parametrize(
    "parameters", [*STACKS.values(), {"Delivery": "direct", "ReservedConcurrency": "1"}, {"ReservedConcurrency": "2"}]
)
def test_what_does_not_contradict_itself_is_not_refused(parameters: dict[str, str]) -> None:
    """One invocation at a time is enough where no queue asks for two."""
    assert [] == refusals(load(), parameters)


def test_no_forgotten_override_brings_one_environment_to_another() -> None:
    """`sam deploy --config-env prod --parameter-overrides X=...` leaves out all that samconfig.toml says."""
    assert "Default" not in load()["Parameters"]["Environment"]


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("", True), ("https://models.example.com/v1", True), ("http://models.example.com/v1", False),
        ("HTTP://models.example.com", False), ("models.example.com", False), ("http://a https://b", False),
        ("https://", False),
    ],
)  # fmt: skip
def test_the_endpoint_of_a_model_speaks_tls(url: str, *, is_taken: bool) -> None:
    """Its key would be read on the way."""
    assert is_taken is bool(re.fullmatch(load()["Parameters"]["LlmBaseUrl"]["AllowedPattern"], url))


def test_the_hash_of_the_last_seal_outlives_the_stack() -> None:
    """It stands in the log of the scheduled run, whose name is in nobody's way."""
    log = load()["Resources"]["CatchUpLogs"]

    assert ("RetainExceptOnCreate", "Retain") == (log["DeletionPolicy"], log["UpdateReplacePolicy"])
    assert "LogGroupName" not in log["Properties"]
