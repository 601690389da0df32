"""How much AWS takes: sizes that no schema has, each by its service's own quotas page, and ARNs of one partition alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Resources = Mapping[str, Any]

EVENT_PATTERN_MAX = 2048
TRUST_POLICY_MAX = 2048
INLINE_POLICIES_MAX = 10_240
"""All that a role permits by policies of its own, together."""
ENVIRONMENT_MAX = 4096
"""Bytes of all variables of a function, together."""
DESCRIPTIONS_MAX = {"AlarmDescription": 1024, "Description": 256}
RESOURCES_MAX = 500
RECEIVES_MAX = 1000
"""How often SQS hands a message over at most, before it puts it into the dead-letter queue."""


def size_problems(made: Resources) -> Iterator[str]:
    """Yield what is larger than its service takes, with both figures."""
    if len(made) > RESOURCES_MAX:
        yield f"the stack has {len(made)} resources, at most {RESOURCES_MAX} are allowed"
    for name, resource in made.items():
        if (receives := resource["Properties"].get("RedrivePolicy", {}).get("maxReceiveCount", 1)) > RECEIVES_MAX:
            yield f"{name}: maxReceiveCount is {receives}, at most {RECEIVES_MAX} are allowed"
        for what, size, most in _sizes(resource["Type"], resource["Properties"]):
            if size > most:
                yield f"{name}: {what} has {size} characters, at most {most} are allowed"


def _sizes(kind: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    for key, most in DESCRIPTIONS_MAX.items():
        yield key, len(properties.get(key, "")), most
    match kind:
        case "AWS::Events::Rule":
            yield "EventPattern", _compact(properties.get("EventPattern", {})), EVENT_PATTERN_MAX
        case "AWS::Lambda::Function":
            yield "Environment", _compact(properties.get("Environment", {}).get("Variables", {})), ENVIRONMENT_MAX
        case "AWS::IAM::Role":
            yield "AssumeRolePolicyDocument", _compact(properties["AssumeRolePolicyDocument"]), TRUST_POLICY_MAX
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
            yield "Policies", sum(map(_compact, documents)), INLINE_POLICIES_MAX


def _compact(document: Any) -> int:
    """Return a document's size without the white space, which IAM and EventBridge do not count."""
    return len(json.dumps(document, separators=(",", ":"), default=str))


def partition_problems(whole: Resources) -> Iterator[str]:
    """Yield ARNs that are written for one partition: GovCloud and China have others."""
    for name, resource in whole.items():
        for text in _texts(resource):
            if "arn:aws" in text:
                yield f"{name}: {text[:80]} is of one partition; write ${{AWS::Partition}}"


def _texts(part: Any) -> Iterator[str]:
    match part:
        case str():
            yield part
        case dict():
            for value in part.values():
                yield from _texts(value)
        case list():
            for value in part:
                yield from _texts(value)
