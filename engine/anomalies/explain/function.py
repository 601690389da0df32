"""The Lambda function that explains: built once per container, from the environment. Its init pays for the model's client."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from engine.anomalies.bus import Bus
from engine.anomalies.explain.budget import Budget
from engine.anomalies.explain.model import ModelEndpoint, connect
from engine.anomalies.explain.run import Explainer
from engine.anomalies.explain.secret import ModelKey
from engine.ledger.store import Store
from engine.policy import load_policy
from engine.policy.compiled import load_compiled
from engine.policy.model import Policy
from engine.reconcile.wiring import Settings, build_client, build_ledger, log_level
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

NO_KEY_YET = "init"
"""Whatever a key is, the client's modules are the same."""

UNFOLLOWED = (
    "the policy has `low_balance`, and the stack's parameter LowBalances is off: most low balances are not seen; put it on"
)

TALKATIVE = ("httpx2", "httpcore2", "openai")
"""Libraries that would write addresses and headers into the log."""


def answer(event: Any, deadline: Deadline) -> dict[str, Any]:
    """Explain a batch of the Ledger's stream, and return the records that must come again. Raises nothing for a record."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    failures = _explainer().batch(records if isinstance(records, list) else [event], deadline)
    return {"batchItemFailures": [{"itemIdentifier": sequence_number} for sequence_number in failures]}


@functools.cache
def clock() -> Clock:
    """Return the container's clock."""
    return Clock()


def prepare() -> None:
    """Import during init what the first batch would otherwise wait for: the model's client, botocore, the policy."""
    explainer = _explainer()
    if isinstance(explainer.model, ModelEndpoint):
        explainer.model.key.now()
    connect(NO_KEY_YET, None).chat.completions.with_raw_response  # noqa: B018  the client imports its parts when they are asked for
    explainer.background.baselines(explainer.policy.name, clock().deadline(2.0))  # opens the connection


@functools.cache
def _explainer() -> Explainer:
    return build_explainer(Settings.from_environment(os.environ), os.environ, _write, clock())


def build_explainer(
    settings: Settings, environment: Mapping[str, str], write: Callable[[str], None], clock: Clock
) -> Explainer:
    """Return what explains, as the environment describes it. Raises PolicyError for a policy that must not run."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    path = settings.policy_path()
    policy = load_compiled(path) or load_policy(path)
    ledger = build_ledger(settings.tables, clock)
    telemetry = Telemetry(write, clock, {"FunctionName": settings.function}, log_level(settings.log_level))
    model = build_model(policy, ledger, environment, telemetry)
    if policy.low_balance is not None and environment.get("LOW_BALANCES") == "off":
        telemetry.noted("unfollowed", {"problem": UNFOLLOWED}, is_wrong=True)
    return Explainer(policy, ledger, model, telemetry, clock, _bus(environment))


def build_model(policy: Policy, ledger: Store, environment: Mapping[str, str], telemetry: Telemetry) -> ModelEndpoint:
    """Return the model that the environment and the policy name, with its key and its budget."""

    def tell(problem: str) -> None:
        telemetry.noted("keyless", {"problem": f"the model's key could not be read: {problem}"}, is_wrong=True)

    clock = ledger.clock
    name = environment.get("LLM_MODEL") or policy.explain.model
    budget = Budget(ledger.explanations(), policy.explain.max_per_hour, clock)
    base_url = environment.get("OPENAI_BASE_URL") or None
    return ModelEndpoint(name, ModelKey(_secret(environment), clock, tell), budget, clock, base_url)


def _secret(environment: Mapping[str, str]) -> Callable[[], str | None]:
    """Return how the key is read: from a secret where one is named, else from the environment, as for local runs."""
    name = environment.get("OPENAI_SECRET_ID")
    if not name:
        return lambda: environment.get("OPENAI_API_KEY")
    client = functools.cache(lambda: build_client(service="secretsmanager"))

    def read() -> str | None:
        text: str | None = client().get_secret_value(SecretId=name).get("SecretString")
        return text

    return read


def _bus(environment: Mapping[str, str]) -> Bus | None:
    name = environment.get("EVENT_BUS")
    if not name:
        return None
    return Bus(build_client(service="events").put_events, name)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
