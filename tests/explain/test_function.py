"""The function of its own: what it imports and when, and what it answers. What serves events imports none of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.anomalies.explain.function import UNFOLLOWED, build_explainer
from engine.reconcile.wiring import Settings
from engine.runtime.clock import Clock
from tests.explain.conftest import Desk
from tests.support.events import rendered
from tests.support.holding import POLICY
from tests.support.model_server import KEY
from tools.environments import ROOT
from tools.local_aws import tables_environment

HEAVY = ("openai", "pydantic", "pydantic_core", "httpx", "httpx2", "httpcore2", "engine.anomalies.explain")

TELL = """
import json, os, sys
import handler

event = json.loads(sys.argv[2])
answer = getattr(handler, sys.argv[1])(event) if event else None
print(json.dumps([answer, [name for name in {heavy!r} if name in sys.modules]]), file=sys.stderr)
"""


def run(handler: str, event: Any, environment: dict[str, str]) -> tuple[Any, list[str]]:
    """Return what a fresh process answers, and what of the heavy modules it has imported."""
    command = [sys.executable, "-c", TELL.format(heavy=HEAVY), handler, json.dumps(event)]
    whole = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, env=whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    answer, heavy = json.loads(done.stderr.splitlines()[-1])
    return answer, heavy


@pytest.fixture
def environment(desk: Desk, local_aws: str) -> dict[str, str]:
    """Return the environment of a function on the local AWS, with a key for the model."""
    return {
        **tables_environment(desk.world.tables),
        "AWS_ENDPOINT_URL": local_aws,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": desk.server.url,
    }


def test_importing_the_handler_imports_nothing_of_the_models() -> None:
    """No environment at all: what every cold start pays."""
    assert (None, []) == run("lambda_handler", None, {})


def test_a_first_debit_imports_nothing_of_the_models(environment: dict[str, str]) -> None:
    """Flagged or not: the stream carries it elsewhere."""
    answer, heavy = run("lambda_handler", rendered(seconds=700), environment)

    assert ("debited", ["costs-over-50", "longer-than-5-minutes", "unknown-job"]) == (answer["outcome"], answer["anomalies"])
    assert [] == heavy


def test_the_explain_handler_answers_a_batch_of_the_stream(desk: Desk, environment: dict[str, str]) -> None:
    """Built from its environment alone: tables, policy, key and endpoint."""
    desk.world.deliver(rendered("j-1", seconds=700))

    answer, heavy = run("explain_handler", {"Records": [{"eventName": "?"}, None, *desk.records()]}, environment)

    assert {"batchItemFailures": []} == answer
    assert "model" == desk.explanations("j-1")[0]["by"]
    assert "openai" in heavy


@pytest.mark.parametrize("event", [{"Records": None}, "x"])
def test_what_is_no_batch_at_all_raises_nothing(event: Any, environment: dict[str, str]) -> None:
    """A stream that stands still explains nothing more."""
    assert {"batchItemFailures": []} == run("explain_handler", event, environment)[0]


IMPORTS_OF_AN_INVOCATION = """
import json, os, sys

import handler

before = set(sys.modules)
answer = handler.explain_handler(json.loads(sys.argv[1]))
late = sorted(name for name in set(sys.modules) - before if name.split(".")[0] in {"openai", "pydantic", "httpx2", "botocore"})
print(json.dumps([answer, late]), file=sys.stderr)
"""


def test_the_client_is_imported_in_init_and_never_in_an_invocation(desk: Desk, environment: dict[str, str]) -> None:
    """Not one module of it is left for the first question, which is asked and answered here."""
    desk.world.deliver(rendered("j-1", seconds=700))
    in_lambda = {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "_HANDLER": "handler.explain_handler",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
    }
    command = [sys.executable, "-c", IMPORTS_OF_AN_INVOCATION, json.dumps({"Records": desk.records()})]
    whole = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **environment, **in_lambda}
    done = subprocess.run(command, env=whole, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert [{"batchItemFailures": []}, []] == json.loads(done.stderr.splitlines()[-1])
    assert "model" == desk.explanations("j-1")[0]["by"]


@pytest.mark.parametrize(("parameter", "is_told"), [("off", True), ("on", False), ("", False)])
def test_a_stack_that_does_not_follow_the_balances_of_its_policy_says_so(
    desk: Desk, tmp_path: Path, parameter: str, *, is_told: bool
) -> None:
    """The policy has bounds, and the stack's parameter is off: a line of the log says what to put on."""
    lines: list[str] = []
    file = tmp_path / "holding.yaml"
    file.write_text(POLICY)
    environment = {**tables_environment(desk.world.tables), "POLICY_FILE": str(file), "LOW_BALANCES": parameter}

    build_explainer(Settings.from_environment(environment), environment, lines.append, Clock())

    said = [UNFOLLOWED] if is_told else []
    assert said == [line["problem"] for line in map(json.loads, lines) if line["message"] == "unfollowed"]
