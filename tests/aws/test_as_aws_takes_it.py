"""The template as AWS takes it, by the services' own validators; each kind of mistake that an emulator forgives is seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.as_aws import DEFAULTS, DESCRIPTION_MAX, Judges, translated
from tools.language_server import LanguageServerMissingError, installed
from tools.template import load
from tools.translate import resolved

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
    cases |= {edit.__name__: (edited(edit), {}) for edit, _ in MISTAKES}
    return Judges(tmp_path_factory.mktemp("as-aws"), validator).problems(cases)


def edited(edit: Edit) -> Template:
    """Return the template with a mistake in it."""
    template = copy.deepcopy(load())
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
    (misspell_a_property, "VisibilityTimeOut"),
    (take_a_word_for_a_number, "Threshold"),
    (take_an_unknown_word, "ComparisonOperator"),
]


@pytest.mark.parametrize(("edit", "told"), MISTAKES, ids=[edit.__name__ for edit, _ in MISTAKES])
def test_a_mistake_that_aws_refuses_is_seen(problems: dict[str, list[str]], edit: Edit, told: str) -> None:
    """Each planted alone, each told by what is wrong."""
    assert [problem for problem in problems[edit.__name__] if told in problem], problems[edit.__name__]


# --- a changed parameter reaches what serves events ---

CHANGED: dict[str, str] = {
    "Environment": "staging",
    "ExistingJobsTable": "jobs", "ExistingCreditsTable": "credits", "ExistingLedgerTable": "ledger",
    "ExistingSealsTable": "seals", "ExistingLedgerStream": "2026-11-28T00:00:00.000",
    "Delivery": "direct", "BatchesAtOnceMax": "7", "ReservedConcurrency": "9", "Rollout": "AllAtOnce", "SnapStart": "on",
    "EventBusName": "video", "PolicyFile": "policies/mediaconvert.yaml", "LogLevel": "DEBUG", "LlmModel": "gpt-5",
    "LlmBaseUrl": "https://models.example.com", "ExistingLlmSecretArn": "arn:aws:secretsmanager:eu-west-1:1:secret:a",
    "ExplanationFallbacksMax": "3", "AlarmEmail": "a@example.com", "AdjustmentsMax": "3", "AdjustmentsCap": "3",
    "KmsKeyArn": KEY, "RejectedEventsMax": "3", "ScansAtOnceMax": "3", "CatchUpMemory": "1024", "QuietHoursMax": "3",
    "LostEventsGraceMinutes": "7", "UnjudgedMax": "7", "ArchiveDays": "7",
}  # fmt: skip
"""Of every parameter another value."""

NOT_OF_A_VERSION = {"ReservedConcurrentExecutions", "Tags"}
"""What of a function's properties counts for all versions at once."""


LONGEST = {
    **dict.fromkeys(("ExistingJobsTable", "ExistingCreditsTable", "ExistingLedgerTable"), "t" * 61),
    "PolicyFile": f"policies/{'p' * 34}.yaml", "LogLevel": "WARNING", "SnapStart": "off",
    "KmsKeyArn": KEY,
}  # fmt: skip
"""As long as their patterns let them be."""

Version = tuple[Any, dict[str, Any]]
"""What the published version holds, and how CloudFormation tells versions apart: by logical id and properties."""


def version_in(whole: Template, parameters: dict[str, str]) -> Version:
    """Return the version of the function that serves events."""
    made = resolved(whole, {**DEFAULTS, **parameters})["Resources"]
    function = made["ReconcilerFunction"]["Properties"]
    held = {name: value for name, value in function.items() if name not in NOT_OF_A_VERSION}
    return held, {name: part["Properties"] for name, part in made.items() if part["Type"] == "AWS::Lambda::Version"}


@pytest.fixture(scope="module")
def versions() -> dict[str, Version]:
    """The version under each changed parameter, with and without its description."""
    bare = copy.deepcopy(load())
    del bare["Resources"]["ReconcilerFunction"]["Properties"]["VersionDescription"]
    cases: dict[str, tuple[Template, dict[str, str]]] = {name: (load(), {name: value}) for name, value in CHANGED.items()}
    cases |= {"": (load(), {}), "longest": (load(), LONGEST)}
    cases |= {"bare": (bare, {}), "bare PolicyFile": (bare, {"PolicyFile": CHANGED["PolicyFile"]})}
    wholes = translated(list(cases.values()))
    return {name: version_in(whole, cases[name][1]) for name, whole in zip(cases, wholes, strict=True)}


def test_every_parameter_has_another_value_here() -> None:
    """So that none is forgotten below."""
    assert load()["Parameters"].keys() == CHANGED.keys()


@pytest.mark.parametrize("parameter", CHANGED)
def test_a_changed_parameter_makes_another_version_just_where_the_version_holds_it(
    parameter: str, versions: dict[str, Version]
) -> None:
    """Else `live` would go on with the old value. And where nothing changed, Lambda refuses to publish one more."""
    held, told_apart = versions[parameter]

    assert (held != versions[""][0]) is (told_apart != versions[""][1])


def test_without_the_description_changed_parameters_would_be_missed(versions: dict[str, Version]) -> None:
    """SAM tells versions apart by references as they are written."""
    assert versions["bare"][0] != versions["bare PolicyFile"][0]
    assert versions["bare"][1] == versions["bare PolicyFile"][1]


def test_the_longest_parameters_fit_into_the_description(versions: dict[str, Version]) -> None:
    """It has 256 characters."""
    ((version),) = versions["longest"][1].values()

    assert len(version["Description"]) <= DESCRIPTION_MAX


def test_contradictions_are_refused_before_anything_is_made() -> None:
    """By CloudFormation itself; each says what would be right."""
    rules = load()["Rules"]

    assert {"ProductionTellsSomebody", "StreamOfALedger", "SealsOfALedger", "ReserveForBatches"} == rules.keys()
    assert all(assertion["AssertDescription"] for rule in rules.values() for assertion in rule["Assertions"])


def test_no_forgotten_override_brings_one_environment_to_another() -> None:
    """`sam deploy --config-env prod --parameter-overrides X=...` leaves out all that samconfig.toml says."""
    assert "Default" not in load()["Parameters"]["Environment"]


def test_the_endpoint_of_a_model_speaks_tls() -> None:
    """Its key would be read on the way."""
    assert "^$|^https://.+$" == load()["Parameters"]["LlmBaseUrl"]["AllowedPattern"]


def test_the_hash_of_the_last_seal_outlives_the_stack() -> None:
    """It stands in the log of the scheduled run, whose name is in nobody's way."""
    log = load()["Resources"]["CatchUpLogs"]

    assert ("RetainExceptOnCreate", "Retain") == (log["DeletionPolicy"], log["UpdateReplacePolicy"])
    assert "LogGroupName" not in log["Properties"]
