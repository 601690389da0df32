"""The events of a history, to be sent again when it is over, each under the policy that has priced it first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from engine.policy import Policy
from tests.simulation.world.plan import Document, Plan
from tests.simulation.world.play import World
from tests.simulation.world.terms import document_of, policy_of


def documents_of(world: World) -> tuple[Document, ...]:
    """Return the events that make sense, each once."""
    plan = world.plan
    told = {step.subject["id"]: step.subject for step in plan.steps() if step.kind in {"direct", "send"}}
    return tuple(document for name, document in told.items() if name not in plan.senseless)


def policies_of(world: World) -> dict[str, Policy]:
    """Return the policy that has priced each event first, by the event's name."""
    plan = world.plan
    policies = [policy_of(edit, plan.overdraft, plan.unknown_user) for edit in edits_of(plan)]
    by_identity = {policy.identity: policy for policy in policies}
    entries = [entry for entry in world.place.entries() if entry["policy"] in by_identity]
    first: dict[Any, Policy] = {}
    for entry in sorted(entries, key=lambda entry: entry["sequence"]):
        first.setdefault(entry.get("eventId"), by_identity[entry["policy"]])
    return first


def told_again(world: World, documents: Sequence[Document]) -> frozenset[str]:
    """Return the names of the events that tell the same again.

    One whose price depends on the job's row does not: the row may be another by now.
    """
    own = {document["id"] for document in documents if "userId" in document["detail"]}
    plan = world.plan
    asks = {name for edit in edits_of(plan) for name in _asking(document_of(edit, plan.overdraft, plan.unknown_user))}
    asked = {entry.get("eventId") for entry in world.place.entries() if entry["rule"] in asks}
    return frozenset(own - asked)


def edits_of(plan: Plan) -> list[int]:
    """Return the edits of the policy that were at work in a history."""
    return sorted({plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")})


def _asking(policy: Document) -> Iterator[str]:
    """Yield the rules of a policy whose price depends on the job's row."""
    books = {f'"{name}"' for name, rows in policy["prices"].items() if "row." in json.dumps(rows)}
    for rule in policy["rules"]:
        if any(name in json.dumps(rule) for name in {"row.", *books}):
            yield rule["name"]
