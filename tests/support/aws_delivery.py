"""Whether events may pass: each target of a rule has to let this very rule in, which CloudFormation does not look at.

Works on resources whose references are resolved (``tools.translate.resolved``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tools.translate import PSEUDO

Resources = Mapping[str, Any]

EVENTBRIDGE = {"Service": "events.amazonaws.com"}


def delivery_problems(made: Resources) -> Iterator[str]:
    """Yield every target and dead-letter queue of a rule that would refuse what the rule sends."""
    for name, rule in _of(made, "AWS::Events::Rule"):
        for target in rule["Properties"]["Targets"]:
            places = [target["Arn"], *(part["Arn"] for part in [target.get("DeadLetterConfig")] if part)]
            for place in places:
                if not _lets_in(place, arn_of(rule["Properties"]), target, made):
                    yield f"{name}: nothing lets it send to {place}"


def arn_of(rule: Mapping[str, Any]) -> str:
    """Return a rule's ARN, which names the bus unless that is the default one (EventBridge User Guide, ARNs of rules)."""
    bus = rule.get("EventBusName", "default")
    place = ":".join(PSEUDO[f"AWS::{part}"] for part in ("Region", "AccountId"))
    return f"arn:{PSEUDO['AWS::Partition']}:events:{place}:rule/{'' if bus == 'default' else f'{bus}/'}{rule['Name']}"


def _lets_in(place: str, rule: str, target: Mapping[str, Any], made: Resources) -> bool:
    match place.split(":")[2]:
        case "sqs":
            return any(_takes(statement, place, rule) for statement in _queue_statements(made))
        case "lambda":
            permissions = [permission["Properties"] for _, permission in _of(made, "AWS::Lambda::Permission")]
            return any(_calls(permission, place, rule) for permission in permissions)
        case _:
            return any(_starts(statement, place) for statement in _role_statements(target.get("RoleArn", ""), made))


def _takes(statement: Mapping[str, Any], queue: str, rule: str) -> bool:
    permits = statement["Effect"] == "Allow" and statement["Principal"] == EVENTBRIDGE
    asked = [
        pattern
        for operator in ("ArnEquals", "ArnLike")  # both take wildcards
        for pattern in _listed(statement.get("Condition", {}).get(operator, {}).get("aws:SourceArn", []))
    ]
    is_asked = any(fnmatchcase(rule, pattern) for pattern in asked)
    return permits and "sqs:SendMessage" in _listed(statement["Action"]) and statement["Resource"] == queue and is_asked


def _calls(permission: Mapping[str, Any], function: str, rule: str) -> bool:
    expected = ("lambda:InvokeFunction", "events.amazonaws.com", function, rule)
    return expected == tuple(permission.get(key) for key in ("Action", "Principal", "FunctionName", "SourceArn"))


def _starts(statement: Mapping[str, Any], machine: str) -> bool:
    return "states:StartExecution" in _listed(statement["Action"]) and machine in _listed(statement["Resource"])


def _queue_statements(made: Resources) -> Iterator[Mapping[str, Any]]:
    for _, policy in _of(made, "AWS::SQS::QueuePolicy"):
        yield from policy["Properties"]["PolicyDocument"]["Statement"]


def _role_statements(arn: str, made: Resources) -> Iterator[Mapping[str, Any]]:
    role = made.get(arn.rpartition("/")[2], {"Properties": {}})
    for policy in role["Properties"].get("Policies", ()):
        yield from policy["PolicyDocument"]["Statement"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of(made: Resources, kind: str) -> Iterator[tuple[str, Any]]:
    return ((name, resource) for name, resource in made.items() if resource["Type"] == kind)
