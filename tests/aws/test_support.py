"""What a support desk may do with SupportPolicy: adjust and read, and nothing else.

Enforced by a local AWS under IAM, like the operator's policy. What IAM cannot bound, the amount, other tests hold: the command
refuses what is above the policy's maximum, and the transaction asks for another person above the second bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.staff import STACK, Staff, policy_document, staff_with

POLICY = "SupportPolicy"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staff]:
    """Return a local AWS that enforces IAM, and a support desk there."""
    with staff_with(tmp_path_factory.mktemp("support"), "support", POLICY) as staff:
        staff.hire("operator", policy_document("OperatorPolicy"))
        yield staff


# --- the command, and what it needs ---------------------------------------------------------------------------------------


def a_charged_job(desk: Staff) -> tuple[str, str]:
    """Let an operator charge a job, and return its user and its name."""
    event = desk.event()
    file = desk.folder / f"{event['detail']['jobId']}.jsonl"
    file.write_text(json.dumps(event))
    desk.run("replay", str(file), "--policy", desk.policy_file(), role="operator")
    return event["detail"]["userId"], event["detail"]["jobId"]


def a_statement(desk: Staff) -> str:
    """Reads a user's entries by the index, and the balance; the tables' names from the stack's outputs."""
    user, _ = a_charged_job(desk)
    return desk.run("statement", user, "--stack", STACK)


def a_jobs_story(desk: Staff) -> str:
    """Reads a job's log and its row."""
    _, job = a_charged_job(desk)
    return desk.run("job", job, "--policy", desk.policy_file())


def an_audit(desk: Staff) -> str:
    """Reads all entries and all balances."""
    a_charged_job(desk)
    return desk.run("audit", "--verify")
