"""Translate a template as AWS does: SAM's own transform, then what CloudFormation puts in the place of references.

Runs in the environment of the SAM CLI, which has the transform:

    python tools/translate.py < cases.json > translated.json

where ``cases`` are pairs of a template and its parameters.

``resolved`` needs no SAM. It puts parameters, conditions, mappings and pseudo parameters where they are referred to, as
CloudFormation does: a substitution is text, and of a resource the name (``Ref``) or an attribute is told by a stand-in.
"""

from __future__ import annotations

import copy
import json
import os
import re
import sys
from typing import Any

Template = dict[str, Any]

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/cc/7a4a5e00",
    "AWS::StackName": "cc",
    "AWS::URLSuffix": "amazonaws.com",
}

NO_VALUE = object()
"""What ``AWS::NoValue`` leaves: the property is not there."""

NAMES = ("FunctionName", "TableName", "LogGroupName", "QueueName", "TopicName", "StateMachineName", "Name")
"""By what a resource is told where it is referred to, and has a name of its own."""

ARNS = {
    ("AWS::DynamoDB::Table", "Arn"): "arn:aws:dynamodb:{place}:table/{name}",
    ("AWS::DynamoDB::Table", "StreamArn"): "arn:aws:dynamodb:{place}:table/{name}/stream/2026-11-28T00:00:00.000",
    ("AWS::Events::Rule", "Arn"): "arn:aws:events:{place}:rule/{name}",
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::123456789012:role/{name}",
    ("AWS::Lambda::Function", "Arn"): "arn:aws:lambda:{place}:function:{name}",
    ("AWS::Logs::LogGroup", "Arn"): "arn:aws:logs:{place}:log-group:{name}:*",
    ("AWS::SecretsManager::Secret", "Id"): "arn:aws:secretsmanager:{place}:secret:{name}-AbCdEf",
    ("AWS::SNS::Topic", "Arn"): "arn:aws:sns:{place}:{name}",
    ("AWS::SQS::Queue", "Arn"): "arn:aws:sqs:{place}:{name}",
    ("AWS::StepFunctions::StateMachine", "Arn"): "arn:aws:states:{place}:stateMachine:{name}",
    ("AWS::Lambda::Alias", "Arn"): "arn:aws:lambda:{place}:function:{name}:live",
}
"""What an ARN looks like, by what it is of."""

TOLD_BY_ARN = {"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine", "AWS::Lambda::Alias"}

VARIABLE = re.compile(r"\$\{([^!}]+)\}")


def translated(template: Template, parameters: dict[str, str]) -> Template:
    """Return the template after SAM's transform, with SAM's own code."""
    from samtranslator.parser.parser import Parser  # type: ignore[import-not-found]  # noqa: PLC0415  only SAM's venv has it
    from samtranslator.translator.translator import Translator  # type: ignore[import-not-found]  # noqa: PLC0415  the same

    os.environ["AWS_DEFAULT_REGION"] = PSEUDO["AWS::Region"]  # the transform asks for it
    whole = copy.deepcopy(template)
    for function in (part for part in whole["Resources"].values() if part["Type"] == "AWS::Serverless::Function"):
        function["Properties"]["CodeUri"] = "s3://artifacts/0123456789abcdef"  # what `sam package` makes of the folder
    whole["Globals"]["Function"].pop("CodeUri", None)
    translator = Translator({}, Parser())
    result: Template = translator.translate(sam_template=whole, parameter_values=values_of(template, parameters))
    return result


def values_of(template: Template, given: dict[str, str]) -> dict[str, Any]:
    """Return the value of each parameter, as CloudFormation has it: always a text, of a list its parts."""
    values: dict[str, Any] = {}
    for name, parameter in template["Parameters"].items():
        text = str(given.get(name, parameter.get("Default", "")))
        values[name] = text.split(",") if parameter["Type"] == "CommaDelimitedList" else text
    return values


def resolved(template: Template, parameters: dict[str, str]) -> Template:
    """Return the template with everything in its place that is known before anything is made."""
    resolver = Resolver(template, values_of(template, parameters))
    made = {
        name: resolver.value(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.condition(resource["Condition"])
    }
    return {**template, "Resources": made}


class Resolver:
    """Puts values in the place of CloudFormation's functions."""

    def __init__(self, template: Template, values: dict[str, Any]) -> None:
        self.template, self.values = template, values

    def condition(self, name: str) -> bool:
        """Return what a named condition says."""
        return bool(self.value(self.template["Conditions"][name]))

    def value(self, part: Any) -> Any:
        """Return a part of the template with all that can be known of it."""
        if isinstance(part, list):
            return [value for value in map(self.value, part) if value is not NO_VALUE]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((name, argument),) = part.items()
            if name in FUNCTIONS:
                return FUNCTIONS[name](self, argument)
        values = {key: self.value(value) for key, value in part.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def ref(self, name: str) -> Any:
        """Return a parameter, a pseudo parameter, or a stand-in for the name of a resource."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        if name in PSEUDO:
            return PSEUDO[name]
        resource = self.template["Resources"].get(name)
        if resource is None:
            return f"${{{name}}}"  # stands there as it is, for who looks at the result to see
        if resource["Type"] in TOLD_BY_ARN:
            return self.attribute([name, "Arn"])
        return self.name_of(name, f"<{name}>")

    def name_of(self, logical_id: str, otherwise: str) -> str:
        """Return the name that a resource gives itself, if it does."""
        properties = self.template["Resources"][logical_id]["Properties"]
        return str(self.value(next((properties[key] for key in NAMES if key in properties), otherwise)))

    def attribute(self, argument: Any) -> str:
        """Return a stand-in for an attribute: where it is an ARN, one that looks like it."""
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self.template["Resources"][name]
        form = ARNS.get((resource["Type"], attribute))
        if form is None:
            return f"<{name}.{attribute}>"
        own = name if resource["Type"] == "AWS::Lambda::Alias" else self.name_of(name, name)
        bus = self.value(resource["Properties"].get("EventBusName", "default"))
        if resource["Type"] == "AWS::Events::Rule" and bus != "default":
            own = f"{bus}/{own}"  # the default bus alone is not named in a rule's ARN
        return form.format(name=own, place="eu-west-1:123456789012")

    def sub(self, argument: Any) -> str:
        """Return a text with its variables replaced, each by text."""
        text, own = (argument, {}) if isinstance(argument, str) else argument
        given = {name: self.value(value) for name, value in own.items()}

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name in given:
                return str(given[name])
            return str(self.attribute(name) if "." in name else self.ref(name))

        return VARIABLE.sub(replaced, text)

    def choice(self, argument: Any) -> Any:
        """Return the branch of an ``Fn::If`` that counts."""
        name, then, otherwise = argument
        return self.value(then if self.condition(name) else otherwise)


FUNCTIONS: dict[str, Any] = {
    "Ref": lambda resolver, argument: resolver.ref(argument),
    "Condition": lambda resolver, argument: resolver.condition(argument),
    "Fn::GetAtt": lambda resolver, argument: resolver.attribute(argument),
    "Fn::Sub": lambda resolver, argument: resolver.sub(argument),
    "Fn::If": lambda resolver, argument: resolver.choice(argument),
    "Fn::Equals": lambda resolver, argument: str(resolver.value(argument[0])) == str(resolver.value(argument[1])),
    "Fn::Not": lambda resolver, argument: not resolver.value(argument[0]),
    "Fn::And": lambda resolver, argument: all(map(resolver.value, argument)),
    "Fn::Or": lambda resolver, argument: any(map(resolver.value, argument)),
    "Fn::Join": lambda resolver, argument: argument[0].join(map(str, resolver.value(argument[1]))),
    "Fn::FindInMap": lambda resolver, argument: _found(resolver, *argument),
    "Fn::Select": lambda resolver, argument: resolver.value(argument[1])[int(argument[0])],
    "Fn::Split": lambda resolver, argument: resolver.value(argument[1]).split(argument[0]),
}


def _found(resolver: Resolver, mapping: str, first: Any, second: Any) -> Any:
    return resolver.template["Mappings"][mapping][resolver.value(first)][resolver.value(second)]


if __name__ == "__main__":
    json.dump([translated(template, parameters) for template, parameters in json.load(sys.stdin)], sys.stdout)
