"""A template as AWS takes it: SAM's transform, CloudFormation's substitution, and then what each service says of its part.

``Judges`` asks the real validators: cfn-lint with CloudFormation's own schemas, asl-validator for the state machine,
parliament for what roles permit. What no validator knows (what outlives a failed creation, what must be there before the first
event) stands here.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.support.aws_delivery import delivery_problems
from tests.support.aws_limits import partition_problems, size_problems
from tools import environments
from tools.environments import ROOT
from tools.translate import Resolver, resolved, values_of

Template = dict[str, Any]

DEFAULTS = {"Environment": "dev"}

NAMES_MAX = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::DynamoDB::Table": ("TableName", 255),
    "AWS::Events::Rule": ("Name", 64),
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::SNS::Topic": ("TopicName", 256),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", 80),
}
"""How long a name may be, by the services' own quotas."""

DESCRIPTION_MAX = 256
"""Of a version of a function."""

PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
for text in json.load(sys.stdin):
    name, policy = json.loads(text)
    for finding in analyze_policy_string(json.dumps(policy)).findings:
        print(json.dumps([text, f"{name}: {finding.issue} {json.dumps(finding.detail, default=str)}"]))
"""

INVALID, IS_INVALID = re.compile(r'✕ State machine definition "(.+?)" is invalid:'), 1
"""How asl-validator names a file before it says what is wrong there, and its status then. A larger one is its own failure."""

NO_ERRORS = "W", "I"
"""Of what cfn-lint says: what SAM's transform leaves unused, and hints."""


def translated(cases: Sequence[tuple[Template, Mapping[str, str]]]) -> list[Template]:
    """Return what SAM's own transform makes of each template under its parameters; it is asked for the same only once."""
    asked = json.dumps([[template, {**DEFAULTS, **parameters}] for template, parameters in cases], default=str)
    results: list[Template] = json.loads(_translated(asked))
    return results


@cache
def _translated(asked: str) -> str:
    environments.fill(environments.SAM)
    command = [environments.SAM.python, ROOT / "tools" / "translate.py"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


@frozen
class Judges:
    """The validators, and where they may write."""

    folder: Path
    state_machines: tuple[str, ...]
    """The command of asl-validator."""

    def problems(
        self, cases: Mapping[str, tuple[Template, Mapping[str, str]]], by_schema: Collection[str]
    ) -> dict[str, list[str]]:
        """Return all that is wrong with each template under its parameters.

        CloudFormation's schemas see those of ``by_schema`` alone: cfn-lint takes seconds for each.
        """
        wholes = dict(zip(cases, translated(list(cases.values())), strict=True))
        made = {name: resolved(whole, {**DEFAULTS, **cases[name][1]})["Resources"] for name, whole in wholes.items()}
        said = self._said_of(sorted({text for each in made.values() for _, text in state_machines(each)}))
        found = {
            name: [
                *_state_problems(made[name], said),
                *retention_problems(made[name]),
                *order_problems(whole["Resources"]),
                *name_problems(made[name]),
                *delivery_problems(made[name]),
                *size_problems(made[name]),
                *partition_problems(cases[name][0]["Resources"]),  # SAM's own are of the Region that it translates for
            ]
            for name, whole in wholes.items()
        }
        seen = {name: wholes[name] for name in by_schema}
        for problems in (self._schema_problems(seen), self._permission_problems(made)):
            for name, problem in problems:
                found[name].append(problem)
        return found

    def _schema_problems(self, wholes: Mapping[str, Template]) -> Iterator[tuple[str, str]]:
        cases: dict[str, list[str]] = {}  # most stacks are one template: its conditions are AWS's to decide
        for name, whole in wholes.items():
            cases.setdefault(json.dumps({key: part for key, part in whole.items() if key != "Rules"}), []).append(name)
        files = {str(self.folder / f"{number}.json"): text for number, text in enumerate(cases)}
        for file, text in files.items():
            Path(file).write_text(text)
        command = [environments.DEV.python.with_name("cfn-lint"), "--format", "json", *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for match in json.loads(done.stdout or "[]"):
            if not match["Rule"]["Id"].startswith(NO_ERRORS):
                path = "/".join(map(str, match["Location"]["Path"] or ()))
                for name in cases[files[match["Filename"]]]:
                    yield name, f"{path}: {match['Rule']['Id']} {match['Message']}"

    def _said_of(self, definitions: Sequence[str]) -> Mapping[str, str]:
        """Return what asl-validator finds in each definition that is wrong; node takes half a second to start."""
        files = {str(self.folder / f"{number}.asl.json"): text for number, text in enumerate(definitions)}
        for file, text in files.items():
            Path(file).write_text(text)
        command = [*self.state_machines, *(word for file in files for word in ("--json-path", file))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        before, *found = INVALID.split(done.stderr)
        assert done.returncode <= IS_INVALID, done.stderr
        assert not before.strip(), done.stderr
        return {files[file]: " ".join(text.split()) for file, text in itertools.batched(found, 2)}

    def _permission_problems(self, made: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        cases: dict[str, list[str]] = {}
        for case, resources in made.items():
            for name, resource in resources.items():
                for policy in documents_of(resource):
                    cases.setdefault(json.dumps([name, policy["PolicyDocument"]]), []).append(case)
        command = [environments.CHECKOV.python, "-W", "ignore", "-c", PARLIAMENT]
        done = subprocess.run(command, input=json.dumps(list(cases)), capture_output=True, text=True, check=True)
        for policy, finding in map(json.loads, done.stdout.splitlines()):
            if not any(known in finding for known in KNOWN_FINDINGS):
                yield from ((case, finding) for case in cases[policy])


def _state_problems(made: Mapping[str, Any], said: Mapping[str, str]) -> Iterator[str]:
    for name, definition in state_machines(made):
        if definition in said:
            yield f"{name}: {said[definition]}"
        if "${" in definition:
            yield f"{name}: a substitution has no value"
        if any(not resource.startswith("arn:") for resource in _resources_of(json.loads(definition))):
            yield f"{name}: a state's Resource is no ARN"


def documents_of(resource: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the policies of a role, or the one that stands by itself."""
    properties = resource.get("Properties", {})
    if resource["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
        return [{"PolicyName": "itself", "PolicyDocument": properties["PolicyDocument"]}]
    return properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []


KNOWN_FINDINGS = (
    "dynamodb:EnclosingOperation",  # parliament's list of condition keys is older than this one
    "RESOURCE_STAR",  # X-Ray has nothing narrower; a test of the template holds that it is the only one
    '"required_format": "arn:*:states:*:*:express:*:*:*"',  # it asks for every kind of execution; ours are none of these
    '"action": "dynamodb:ListStreams", "required_format": "*"',  # as SAM's own DynamoDBStreamReadPolicy has it
)


def state_machines(made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each state machine's definition, its substitutions replaced: by text, whatever stands around them."""
    for name, resource in made.items():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            definition: str = resource["Properties"]["DefinitionString"]
            for key, value in resource["Properties"].get("DefinitionSubstitutions", {}).items():
                definition = definition.replace(f"${{{key}}}", str(value))
            yield name, definition


def _resources_of(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _resources_of(item)
    elif isinstance(part, dict):
        if isinstance(part.get("Resource"), str):
            yield part["Resource"]
        for value in part.values():
            yield from _resources_of(value)


def retention_problems(made: Mapping[str, Any]) -> Iterator[str]:
    """What is kept under a fixed name would be in the way of the next try; a version that goes is none to go back to."""
    for name, resource in made.items():
        if resource["Type"] == "AWS::Lambda::Version" and resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: is deleted as soon as another description takes its place; take UpdateReplacePolicy: Retain"
        if resource.get("DeletionPolicy") == "Retain" and any(key.endswith("Name") for key in _named(resource)):
            yield f"{name}: Retain keeps it after a failed first creation, and its name is taken; take RetainExceptOnCreate"


def _named(resource: Mapping[str, Any]) -> set[str]:
    own = {"TableName", "QueueName", "LogGroupName", "TopicName", "BucketName", "Name"}
    return own & resource["Properties"].keys()


def order_problems(resources: Mapping[str, Any]) -> Iterator[str]:
    """A rule that is there before what it needs loses its first events."""
    for name, resource in resources.items():
        if resource["Type"] != "AWS::Events::Rule":
            continue
        before = {name for name, _ in _needed(name, resources)}
        for target in resource["Properties"]["Targets"]:
            for needed in _deliver_for(target, resources):
                if needed not in before:
                    yield f"{name}: may be there before {needed}, without which its events are lost"


def _needed(name: str, resources: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Yield all that is made before a resource."""
    for reference in _references(resources[name], resources) - seen:
        yield reference, name
        yield from _needed(reference, resources, seen | {name, reference})


def _references(part: Any, resources: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    if isinstance(part, dict):
        depends = part.get("DependsOn", [])
        found |= set([depends] if isinstance(depends, str) else depends)
        for key, value in part.items():
            names = [value] if key == "Ref" else [value[0]] if key == "Fn::GetAtt" else []
            found |= {name for name in names if name in resources}
            found |= _references(value, resources)
    elif isinstance(part, list):
        for item in part:
            found |= _references(item, resources)
    return found


def _deliver_for(target: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield what lets a target take an event: the policies of its queues, the permission and the mapping of its function."""
    reached = _references(target, resources)
    for name, resource in resources.items():
        place = DELIVERS.get(resource["Type"])
        if place is not None and _references(resource["Properties"][place], resources) & reached:
            yield name


DELIVERS = {
    "AWS::SQS::QueuePolicy": "Queues",
    "AWS::Lambda::Permission": "FunctionName",
    "AWS::Lambda::EventSourceMapping": "EventSourceArn",
}
"""What lets a target take an event, and where it names the target."""


def name_problems(made: Mapping[str, Any]) -> Iterator[str]:
    """Names and descriptions that are longer than their service takes."""
    for name, resource in made.items():
        key, most = NAMES_MAX.get(resource["Type"], ("", 0))
        text = resource["Properties"].get(key, "") if key else ""
        if len(text) > most:
            yield f"{name}: {key} has {len(text)} characters, at most {most} are allowed"


def refusals(template: Template, parameters: Mapping[str, str]) -> list[str]:
    """Return what the template's ``Rules`` say to these parameters, as CloudFormation does before it makes anything."""
    resolver = Resolver(template, values_of(template, {**DEFAULTS, **parameters}))
    return [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if "RuleCondition" not in rule or resolver.value(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.value(assertion["Assert"])
    ]
