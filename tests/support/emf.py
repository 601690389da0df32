"""Metrics out of log lines, as CloudWatch extracts them: the embedded metric format (EMF), read strictly.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide; the schema is its own, as strict as its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema

from tests.support.cloudwatch import Datum

BYTES_MAX = 256 * 1024
RATES = "Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits"
UNIT = f"^(Seconds|Microseconds|Milliseconds|Percent|Count|Count/Second|None|({RATES})(/Second)?)$"
NAME = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[\x20-\x7e]*\S[\x20-\x7e]*$"}

METRIC = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {"Name": NAME, "Unit": {"type": "string", "pattern": UNIT}, "StorageResolution": {"enum": [1, 60]}},
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^:][-A-Za-z0-9._/#: ]*$"},
        "Dimensions": {"type": "array", "minItems": 1, "items": {"type": "array", "maxItems": 30, "items": NAME}},
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": METRIC},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1_000_000_000_000, "maximum": 9_999_999_999_999},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": DIRECTIVE},
            },
        }
    },
}
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class EmfError(ValueError):
    """CloudWatch would drop these metrics without a word."""


def read_line(line: str) -> list[Datum]:
    """Return the metrics of a log line; none for a line that carries none. Raises EmfError for what CloudWatch would drop."""
    try:
        document = json.loads(line)
    except ValueError:
        return []
    if not isinstance(document, dict) or "_aws" not in document:
        return []
    if len(line.encode()) > BYTES_MAX:
        raise EmfError(f"{len(line.encode())} bytes")
    if problems := sorted(error.message for error in VALIDATOR.iter_errors(document)):
        raise EmfError("; ".join(problems))
    return list(_data(document))


def _data(document: dict[str, Any]) -> Iterator[Datum]:
    at = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, _text(document, name)) for name in names)
            for metric in directive["Metrics"]:
                for value in _numbers(document, metric["Name"]):
                    yield Datum(directive["Namespace"], metric["Name"], dimensions, at, value)


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 1024:
        raise EmfError(f"the dimension {name} is {value!r}; a text is needed")
    return value


def _numbers(document: dict[str, Any], name: str) -> list[float]:
    value = document.get(name)
    values = value if isinstance(value, list) and len(value) <= 100 else [value]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        raise EmfError(f"the metric {name} is {value!r}; a number is needed")
    return [float(each) for each in values]
