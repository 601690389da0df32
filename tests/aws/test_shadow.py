"""A second policy beside the first on the deployed stack: its log agrees with a plan, and nothing of it has moved."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.policy import load_policy
from engine.policy.compiled import compile_policy
from tests.support.planned_by_engine import plan
from tests.support.stack import balance, entries, failed, give, rendered, served_with
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT

FIRST = ROOT / "policies" / "video.yaml"
SECONDS_MAX = 30


def test_what_the_deployed_shadow_tells_is_what_a_plan_says_of_the_same_events(deployed: Deployment, tmp_path: Path) -> None:
    """By the bus and the queue, some of it twice; users pay by the first policy alone."""
    file = tmp_path / "next.yaml"
    file.write_text(FIRST.read_text().replace('default: "0.10"', 'default: "0.15"'))
    compile_policy(file)  # the function reads no YAML
    user = f"u-{uuid.uuid4().hex[:12]}"
    jobs = [f"{user}-{number}" for number in range(3)]
    events = [*(rendered(user, job) for job in jobs), rendered(user, jobs[0])]
    planned = plan([*events, failed(user, jobs[1])], load_policy(FIRST), load_policy(file)).answer()["credits"]["net"]
    give(deployed, user, "100")

    with served_with(deployed, SECONDS_MAX, SHADOW_POLICY_FILE=str(file)):
        deployed.send(*events)
        wait_until(lambda: all(entries(deployed, job) for job in jobs), "all jobs are charged")
        deployed.send(failed(user, jobs[1]))
        wait_until(lambda: len(shadows(deployed, user)) == len(jobs) + 1, "each entry has told its shadow")

    told = shadows(deployed, user)
    assert {"now": "-1.6000", "then": "-2.4000"} == planned
    assert Decimal(planned["then"]) == sum(Decimal(shadow["amount"]) for shadow in told)
    assert Decimal(planned["then"]) - Decimal(planned["now"]) == sum(Decimal(shadow["difference"]) for shadow in told)
    assert 100 + Decimal(planned["now"]) == balance(deployed, user)


def shadows(stack: Deployment, user: str) -> list[dict[str, Any]]:
    """Return what the function's log tells of the shadow for a user."""
    lines = [json.loads(line) for line in stack.log_lines() if user in line and '"shadow"' in line]
    return [line["shadow"] for line in lines]
