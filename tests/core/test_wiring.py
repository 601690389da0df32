"""What the environment says, and what is made of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from engine.ledger import Tables
from engine.wiring import HOME, Settings, build_client, build_ledger, log_level
from tests.support.clock import ManualClock


def test_nothing_in_the_environment_means_the_defaults() -> None:
    """Tables Jobs, Credits and Ledger, and the shipped policy."""
    assert Settings(Tables("Jobs", "Credits", "Ledger"), "policies/video.yaml") == Settings.from_environment({})


def test_an_empty_variable_means_its_default() -> None:
    """As a template writes a parameter that was left out."""
    assert Settings() == Settings.from_environment({"JOBS_TABLE": "", "POLICY_FILE": "", "LOG_LEVEL": ""})


def test_every_variable_is_heard() -> None:
    """The endpoint of DynamoDB alone comes before the one of all services."""
    settings = Settings.from_environment(
        {
            "JOBS_TABLE": "j",
            "CREDITS_TABLE": "c",
            "LEDGER_TABLE": "l",
            "POLICY_FILE": "p.yaml",
            "LOG_LEVEL": "DEBUG",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_ENDPOINT_URL": "http://all",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb",
        }
    )

    assert Settings(Tables("j", "c", "l"), "p.yaml", "DEBUG", "f", "http://dynamodb") == settings


def test_the_policy_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As given, or beside the program."""
    monkeypatch.chdir(tmp_path)

    assert HOME / "policies/video.yaml" == Settings().policy_path()
    (tmp_path / "own.yaml").touch()
    assert Path("own.yaml") == Settings(policy_file="own.yaml").policy_path()
    assert Path("/etc/p.yaml") == Settings(policy_file="/etc/p.yaml").policy_path()


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "us-east-1"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_the_region_is_found_as_lambda_and_the_aws_tools_name_it(
    variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local endpoint needs none."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    ledger = build_ledger(Tables(), ManualClock().clock())

    assert region == ledger.client.meta.region_name  # type: ignore[attr-defined]


def test_the_client_leaves_retries_to_the_ledger_and_gives_up_on_lost_answers() -> None:
    """One attempt a call, two seconds at most."""
    config = build_client("us-east-1").meta.config

    assert (1, 1, 2) == (config.retries["total_max_attempts"], config.connect_timeout, config.read_timeout)


@pytest.mark.parametrize(("name", "level"), [("DEBUG", logging.DEBUG), ("warning", logging.WARNING), ("loud", logging.INFO)])
def test_a_log_level_is_read_in_any_case(name: str, level: int) -> None:
    """One that is unknown means INFO rather than an error in production."""
    assert level == log_level(name)
