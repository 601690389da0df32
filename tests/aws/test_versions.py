"""A changed parameter reaches what serves events: the alias moves to a version that holds it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.support.as_aws import DEFAULTS, DESCRIPTION_MAX, translated
from tools.template import load
from tools.translate import resolved

Template = dict[str, Any]

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

CHANGED: dict[str, str] = {
    "Environment": "staging",
    "ExistingJobsTable": "jobs", "ExistingCreditsTable": "credits", "ExistingLedgerTable": "ledger",
    "ExistingSealsTable": "seals", "ExistingLedgerStream": "2026-11-28T00:00:00.000",
    "Delivery": "direct", "BatchesAtOnceMax": "7", "ReservedConcurrency": "9", "Rollout": "AllAtOnce", "SnapStart": "on",
    "EventSources": "aws.mediaconvert", "EventDetailTypes": "MediaConvert Job State Change", "EventBusName": "video",
    "PolicyFile": "policies/mediaconvert.yaml", "ShadowPolicyFile": "policies/mediaconvert.yaml",
    "LogLevel": "DEBUG", "LlmModel": "gpt-5",
    "LlmBaseUrl": "https://models.example.com", "ExistingLlmSecretArn": "arn:aws:secretsmanager:eu-west-1:1:secret:a",
    "ExplanationFallbacksMax": "3", "AlarmEmail": "a@example.com", "AdjustmentsMax": "3", "AdjustmentsCap": "3",
    "KmsKeyArn": KEY, "RejectedEventsMax": "3", "ScansAtOnceMax": "3", "CatchUpMemory": "1024", "QuietHoursMax": "3",
    "HoldsExpiredMax": "3", "LowBalances": "on", "HoldsEveryMinutes": "3",
    "LostEventsGraceMinutes": "7", "UnjudgedMax": "7", "ArchiveDays": "7", "CreditsAdjustedMax": "7",
    "Archive": "on", "ArchiveLockMode": "COMPLIANCE", "ArchiveRetentionDays": "7", "ExistingArchiveBucket": "archive-before",
}  # fmt: skip
"""Of every parameter another value."""

HELD = (
    *("ExistingJobsTable", "ExistingCreditsTable", "ExistingLedgerTable"),
    *("SnapStart", "PolicyFile", "ShadowPolicyFile", "LogLevel", "KmsKeyArn"),
)
"""What a version holds of the parameters that a stack in use may change."""

NOT_OF_A_VERSION = {"ReservedConcurrentExecutions", "Tags"}
"""What of a function's properties counts for all versions at once."""


LONGEST = {
    **dict.fromkeys(("ExistingJobsTable", "ExistingCreditsTable", "ExistingLedgerTable"), "t" * 61),
    "PolicyFile": f"policies/{'p' * 34}.yaml", "ShadowPolicyFile": f"policies/{'s' * 14}.yaml",
    "LogLevel": "WARNING", "SnapStart": "off",
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
    cases |= {"bare": (bare, {}), **{f"bare {name}": (bare, {name: CHANGED[name]}) for name in HELD}}
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


@pytest.mark.parametrize("parameter", HELD)
def test_without_the_description_a_changed_parameter_would_be_missed(parameter: str, versions: dict[str, Version]) -> None:
    """SAM tells versions apart by references as they are written."""
    assert versions["bare"][0] != versions[f"bare {parameter}"][0]
    assert versions["bare"][1] == versions[f"bare {parameter}"][1]


def test_the_longest_parameters_fit_into_the_description(versions: dict[str, Version]) -> None:
    """It has 256 characters."""
    ((version),) = versions["longest"][1].values()

    assert len(version["Description"]) <= DESCRIPTION_MAX
