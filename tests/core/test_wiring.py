"""What the environment says, and what is made of it."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ProfileNotFound

from engine.ledger.dynamodb.signing import Credentials
from engine.ledger.dynamodb.wire import Endpoint, WireClient
from engine.ledger.store import Tables
from engine.reconcile.wiring import HOME, Settings, build_client, build_ledger, build_reconciler, log_level
from engine.runtime.tracing import UNTRACED, Tracer
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
            "ADJUSTMENTS_CAP": "7",
            "SCANS_AT_ONCE": "3",
            "LOST_EVENTS_GRACE_MINUTES": "30",
        }
    )

    assert Settings(Tables("j", "c", "l"), "p.yaml", "DEBUG", "f", "http://dynamodb", 7, 3, timedelta(minutes=30)) == settings


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1e3"])
def test_a_cap_that_is_no_whole_number_is_refused(text: str) -> None:
    """A limit that is misread would be none."""
    with pytest.raises(ValueError, match=r"ADJUSTMENTS_CAP is '.*'; a whole number is needed"):
        Settings.from_environment({"ADJUSTMENTS_CAP": text})


def test_the_policy_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As given, or beside the program."""
    monkeypatch.chdir(tmp_path)

    assert f"{HOME}/policies/video.yaml" == Settings().policy_path()
    (tmp_path / "own.yaml").touch()
    assert "own.yaml" == Settings(policy_file="own.yaml").policy_path()
    assert "/etc/p.yaml" == Settings(policy_file="/etc/p.yaml").policy_path()


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


OF_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
}


def test_within_lambda_the_ledger_stands_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the role's credentials and botocore's patience: a second to connect, two to answer."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    for name, value in OF_LAMBDA.items():
        monkeypatch.setenv(name, value)

    client = build_ledger(Tables(), ManualClock().clock()).client

    assert isinstance(client, WireClient)
    assert Endpoint("127.0.0.1", 9, is_tls=False) == client.endpoint
    assert (Credentials("AKID", "secret", "token"), "eu-west-1") == (client.signer.credentials, client.signer.region)
    assert (1, 2) == (client.connect_seconds, client.read_seconds)


@pytest.mark.parametrize(
    "more", [{"AWS_PROFILE": "none-such"}, {"AWS_LAMBDA_FUNCTION_NAME": ""}, {"HTTPS_PROXY": "http://127.0.0.1:9"}]
)
def test_what_the_wire_does_not_serve_botocore_does(more: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one is built or the other; a profile that does not exist is botocore's to complain of."""
    for name, value in (OF_LAMBDA | more).items():
        monkeypatch.setenv(name, value)

    if "AWS_PROFILE" in more:
        with pytest.raises(ProfileNotFound):
            build_ledger(Tables(), ManualClock().clock())
    else:
        assert not isinstance(build_ledger(Tables(), ManualClock().clock()).client, WireClient)


def test_an_endpoint_that_is_handed_in_is_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line names one; it is no part of a function."""
    for name, value in OF_LAMBDA.items():
        monkeypatch.setenv(name, value)

    client = build_ledger(Tables(), ManualClock().clock(), endpoint="http://127.0.0.1:8").client

    assert "http://127.0.0.1:8" == client.meta.endpoint_url  # type: ignore[attr-defined]


def test_the_client_leaves_retries_to_the_ledger_and_gives_up_on_lost_answers() -> None:
    """One attempt a call, two seconds at most."""
    config = build_client("us-east-1").meta.config

    assert (1, 1, 2) == (config.retries["total_max_attempts"], config.connect_timeout, config.read_timeout)


@pytest.mark.parametrize(("name", "level"), [("DEBUG", logging.DEBUG), ("warning", logging.WARNING), ("loud", logging.INFO)])
def test_a_log_level_is_read_in_any_case(name: str, level: int) -> None:
    """One that is unknown means INFO rather than an error in production."""
    assert level == log_level(name)


def test_a_traced_reconciler_keeps_what_the_container_has_read() -> None:
    """One that is not traced is the container's own."""
    reconciler = build_reconciler(Settings(), write=print)
    tracer = Tracer()

    traced = reconciler.traced(tracer)

    assert reconciler is reconciler.traced(UNTRACED)
    assert (tracer, tracer) == (traced.tracer, traced.ledger.tracer)
    assert reconciler.baselines is traced.baselines
    assert reconciler.ledger.client is traced.ledger.client
