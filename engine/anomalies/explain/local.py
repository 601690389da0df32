"""What explains from the command line: the same, on tables that are open already, and nobody is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.anomalies.explain.function import build_model
from engine.anomalies.explain.run import Explainer
from engine.ledger.store import Store
from engine.policy import load_policy
from engine.runtime.telemetry import Telemetry


def explainer_on(ledger: Store, policy_file: Path, environment: Mapping[str, str], write: Callable[[str], None]) -> Explainer:
    """Return what explains the entries of ``ledger``, with the model that the environment and the policy name."""
    policy, clock = load_policy(policy_file), ledger.clock
    telemetry = Telemetry(write, clock, {"FunctionName": "reconciler"})
    model = build_model(policy, ledger, environment, telemetry)
    return Explainer(policy, ledger, model, telemetry, clock)
