"""Read template.yaml, so that tests, demo and benchmarks use its tables and its rules instead of copies of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools.environments import ROOT

Template = dict[str, Any]

TABLE_PROPERTIES = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
"""What of a table's properties decides how it answers; the rest (recovery, encryption, protection) only AWS shows."""


TEMPLATE = ROOT / "template.yaml"


def load(path: Path = TEMPLATE) -> Template:
    """Return a CloudFormation template with its short tags written out: ``!Ref A`` is ``{"Ref": "A"}``.

    The template is the caller's own, to change as they like; a text is parsed once in a process.
    """
    return copy.deepcopy(_parsed(path.read_text()))


@cache
def _parsed(text: str) -> Template:
    template: Template = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader with constructors that make plain dicts)
    return template


def table_schemas(template: Template | None = None) -> dict[str, dict[str, Any]]:
    """Return ``create_table``'s arguments, all but the name, for each table by its logical id."""
    tables = resources(template or _parsed(TEMPLATE.read_text()), "AWS::DynamoDB::Table")
    schemas = {
        logical_id: {name: table["Properties"][name] for name in TABLE_PROPERTIES if name in table["Properties"]}
        for logical_id, table in tables.items()
    }
    return copy.deepcopy(schemas)


def template_rules(template: Template | None = None, parameters: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the event pattern of each EventBridge rule that has one, by its logical id, with its parameters filled in."""
    whole = template or load()
    rules = resources(whole, "AWS::Events::Rule").items()
    patterns = {name: rule["Properties"]["EventPattern"] for name, rule in rules if "EventPattern" in rule["Properties"]}
    return {
        name: {field: _filled_in(value, whole, parameters or {}) for field, value in pattern.items()}
        for name, pattern in patterns.items()
    }


def list_parameter(name: str, template: Template, parameters: Mapping[str, str]) -> list[str]:
    """Return a parameter of type CommaDelimitedList as CloudFormation reads it: each part without the blanks around it."""
    text = parameters.get(name, template["Parameters"][name].get("Default", ""))
    return [part.strip() for part in str(text).split(",")]


def _filled_in(value: Any, template: Template, parameters: Mapping[str, str]) -> Any:
    return list_parameter(value["Ref"], template, parameters) if isinstance(value, dict) and "Ref" in value else value


def function_properties(logical_id: str, template: Template | None = None) -> dict[str, Any]:
    """Return a function's properties, with what it shares with all others; SAM merges mappings, the environment's too."""
    whole = template or load()
    return _merged(whole["Globals"]["Function"], whole["Resources"][logical_id]["Properties"])


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    both = {name for name in shared.keys() & own.keys() if isinstance(shared[name], dict) and isinstance(own[name], dict)}
    return {**shared, **own, **{name: _merged(shared[name], own[name]) for name in both}}


def role_statements(template: Template | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what each role permits: its statements by their Sid, by the role's logical id."""
    return {
        role: {
            statement["Sid"]: statement
            for policy in properties["Properties"]["Policies"]
            for statement in statements_of(policy["PolicyDocument"])
        }
        for role, properties in resources(template, "AWS::IAM::Role").items()
    }


def statements_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a policy, also of those that are there under a condition alone."""
    return [each["Fn::If"][1] if "Fn::If" in each else each for each in document["Statement"]]


def resources(template: Template | None, kind: str) -> dict[str, Any]:
    """Return a template's resources of one ``kind`` by logical id."""
    found: Template = (template or load())["Resources"]
    return {logical_id: resource for logical_id, resource in found.items() if resource["Type"] == kind}


class _Loader(yaml.CSafeLoader):
    """YAML as CloudFormation writes it, read by the parser in C: the other one takes eight times as long."""


def _long_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any = None
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    if tag in {"Ref", "Condition"}:
        return {tag: value}
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", maxsplit=1)
    return {f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)
