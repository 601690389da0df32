"""The template as CloudFormation makes it: expanded by SAM's own translator, its conditions decided, its parameters put in.

What only AWS knows (a resource's ARN, a pseudo parameter) stays as the template writes it.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping
from typing import Any

from tools import environments
from tools.template import Template, load

NO_VALUE = {"Ref": "AWS::NoValue"}

TRANSLATE = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

template = json.load(sys.stdin)
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"  # what `sam package` writes
print(json.dumps(Translator({}, Parser()).translate(template, {}, feature_toggle=None)))
"""


@functools.cache
def translated(text: str) -> Template:
    """Return a template (JSON) as SAM's translator expands it; it lives in the environment of the SAM CLI."""
    environments.fill(environments.SAM)
    command = [environments.SAM.python, "-c", TRANSLATE]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, env={"AWS_DEFAULT_REGION": "us-east-1"}, check=True
    )
    template: Template = json.loads(done.stdout)
    return template


def resolved(parameters: Mapping[str, str], template: Template | None = None) -> Template:
    """Return the resources and outputs of a stack, by name; a parameter that is not given has its default."""
    expanded = translated(json.dumps(template or load()))
    values = {name: parameters.get(name, declared.get("Default")) for name, declared in expanded["Parameters"].items()}
    holds = {name: _holds(condition, values, expanded["Conditions"]) for name, condition in expanded["Conditions"].items()}
    return {
        part: {
            name: _decided(body, values, holds)
            for name, body in expanded[part].items()
            if holds.get(body.get("Condition", ""), True)
        }
        for part in ("Resources", "Outputs")
    }


def _holds(condition: Any, values: Mapping[str, Any], conditions: Mapping[str, Any]) -> bool:
    ((function, argument),) = condition.items()
    match function:
        case "Condition":
            return _holds(conditions[argument], values, conditions)
        case "Fn::Not":
            return not _holds(argument[0], values, conditions)
        case "Fn::And":
            return all(_holds(each, values, conditions) for each in argument)
        case "Fn::Or":
            return any(_holds(each, values, conditions) for each in argument)
        case _:
            left, right = (_decided(each, values, {}) for each in argument)
            return str(left) == str(right)


def _decided(value: Any, values: Mapping[str, Any], holds: Mapping[str, bool]) -> Any:
    """Return a part of the template with each ``Fn::If`` decided, each parameter put in, and what has no value left out."""
    match value:
        case {"Fn::If": [condition, then, otherwise]}:
            return _decided(then if holds[condition] else otherwise, values, holds)
        case {"Ref": name} if name in values:
            return values[name]
        case dict():
            parts = {key: _decided(part, values, holds) for key, part in value.items()}
            return {key: part for key, part in parts.items() if part != NO_VALUE}
        case list():
            return [part for part in (_decided(each, values, holds) for each in value) if part != NO_VALUE]
        case _:
            return value
