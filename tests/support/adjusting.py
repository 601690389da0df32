"""People with roles who correct: each does what its name says, with a role's rights, and returns what the command says."""

from __future__ import annotations

import json

from tests.support.staff import POLICY_TEXT, TABLES, Staff

BECAUSE = ("--reason", "a mistake of ours")


def a_user(staff: Staff) -> str:
    """Return a user with a hundred credits."""
    user: str = staff.event()["detail"]["userId"]
    return user


def adjusted(staff: Staff, *words: str, role: str = "") -> str:
    """Say ``reconciler adjust``, within bounds: 100 credits, above 20 by two people."""
    return staff.run("adjust", *words, "--policy", staff.bounded_policy_file(), role=role)


def an_adjustment(staff: Staff) -> str:
    """Gives a user credits: entry and balance."""
    user = a_user(staff)
    said = adjusted(staff, user, "5", *BECAUSE, "--by", "ann")
    row = staff.owner.get_item(TableName=TABLES.credits, Key={"userId": {"S": user}})["Item"]
    return f"{said}\nbalance: {row['remaining']['N']}"


def a_concession(staff: Staff, user: str, job: str) -> str:
    """Gives back a part of what a job has cost."""
    return adjusted(staff, user, "0.5", "--job", job, *BECAUSE, "--by", "ann")


def a_proposal(staff: Staff) -> str:
    """Asks for more than one person may give."""
    return adjusted(staff, a_user(staff), "50", *BECAUSE, "--by", "ann")


def an_approval(staff: Staff) -> str:
    """Another person approves what an operator has proposed."""
    name = f"a-{staff.number}"
    adjusted(staff, a_user(staff), "50", "--id", name, *BECAUSE, "--by", "ann", role="operator")
    return adjusted(staff, "approve", name, "--by", "ben")


def a_withdrawal(staff: Staff) -> str:
    """Takes back what was proposed, by who has proposed it."""
    name = f"w-{staff.number}"
    adjusted(staff, a_user(staff), "50", "--id", name, *BECAUSE, "--by", "ann", role="operator")
    return staff.run("adjust", "withdraw", name, "--by", "ann")


def a_list(staff: Staff) -> str:
    """Shows what waits and what was adjusted."""
    return staff.run("adjust", "list")


def a_dearer_policy(staff: Staff) -> str:
    """Return the file of a policy under which eight seconds cost 1.60."""
    path = staff.folder / "dearer.yaml"
    path.write_text(POLICY_TEXT.replace('default: "0.10"', 'default: "0.20"'))
    return str(path)


def planned(staff: Staff, role: str = "") -> tuple[str, str]:
    """Plan all charges anew by a dearer policy: what the command says, and the plan's file."""
    plan = staff.folder / f"plan-{staff.number}.jsonl"
    plan.unlink(missing_ok=True)
    words = ("reprice", "--policy", a_dearer_policy(staff), "--reason", "it was too low", "--out", str(plan), "--by", "ann")
    return staff.run(*words, role=role), str(plan)


def a_plan_applied(staff: Staff) -> str:
    """Plans a job at a dearer price, and posts exactly that."""
    event = staff.event()
    file = staff.folder / f"{event['detail']['jobId']}.jsonl"
    file.write_text(json.dumps(event))
    staff.run("replay", str(file), "--policy", staff.policy_file())
    said, plan = planned(staff)
    return said + staff.run("apply", plan, "--policy", a_dearer_policy(staff), "--by", "ann")
