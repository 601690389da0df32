"""The conformance cases of ``conformance.yaml``, and what an emulator of EventBridge makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from attrs import frozen

FILE = Path(__file__).with_name("conformance.yaml")

MATCH, MISS, REFUSED = "match", "miss", "refused"

ENVELOPE = {
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "conformance",
    "source": "conformance.test",
    "account": "123456789012",
    "time": "2026-01-05T10:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:conformance"],
}
"""What the API asks of every event; the fields of a case come on top."""


@frozen
class Case:
    """One pattern with the answer of AWS: it matches the event, misses it, or the pattern is refused."""

    name: str
    source: str
    pattern: Any
    expected: str
    event: Any = None


type Answer = Callable[[Case], str]


@cache
def load_cases() -> tuple[Case, ...]:
    """Return all cases in the order of the file. Names are unique."""
    cases = tuple(case for group in _document()["groups"] for case in _cases_of(group))
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
    return cases


def explanations(emulator: str) -> dict[str, str]:
    """Return why the emulator answers otherwise than AWS, by the name of the case."""
    entries = _document()["emulators"][emulator]
    return {name: entry["because"] for entry in entries for name in entry["cases"]}


def disagreements(answer: Answer, cases: Iterable[Case]) -> dict[str, str]:
    """Return what ``answer`` says for each case on which it does not say what AWS says."""
    return {case.name: given for case in cases if (given := answer(case)) != case.expected}


def emulator_disagreements(client: Any, cases: Iterable[Case]) -> dict[str, str]:
    """Return the disagreements of the EventBridge behind a boto3 ``events`` client, asked with ``TestEventPattern``."""

    def answer(case: Case) -> str:
        try:
            result = client.test_event_pattern(EventPattern=as_json(case.pattern), Event=as_json(_enveloped(case)))
        except client.exceptions.InvalidEventPatternException:
            return REFUSED
        return MATCH if result["Result"] else MISS

    return disagreements(answer, cases)


def as_json(value: object) -> str:
    """Return the JSON of a pattern or an event."""
    return json.dumps(value, default=float)


def _enveloped(case: Case) -> dict[str, Any]:
    return {**ENVELOPE, **(case.event or {"detail": {}})}


def _cases_of(group: Mapping[str, Any]) -> Iterator[Case]:
    source, pattern = group["source"], group.get("pattern") or {"detail": {"x": group.get("tests")}}
    for key, expected in (("match", MATCH), ("miss", MISS)):
        yield from (Case(name, source, pattern, expected, event) for name, event in group.get(key, {}).items())
    for key, expected in (("accepts", MATCH), ("rejects", MISS)):
        for name, value in group.get(key, {}).items():
            yield Case(name, source, pattern, expected, {"detail": {"x": value}})
    yield from (Case(name, source, wrong, REFUSED) for name, wrong in group.get("refuses", {}).items())
    for name, tests in group.get("refuses-tests", {}).items():
        yield Case(name, source, {"detail": {"x": tests}}, REFUSED)


class _JsonLikeLoader(yaml.CSafeLoader):
    """YAML whose numbers are those of JSON, exact, and whose mappings do not repeat a key."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - what the base class calls it


def _unique_mapping(loader: _JsonLikeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"{node.start_mark}: a name occurs twice"
    return loader.construct_mapping(node, deep=True)


def _number(_loader: _JsonLikeLoader, node: yaml.ScalarNode) -> int | Decimal:
    return int(node.value) if node.value.lstrip("-").isdigit() else Decimal(node.value)


_JsonLikeLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_JsonLikeLoader.add_constructor("!number", _number)
_JsonLikeLoader.add_implicit_resolver("!number", re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z"), list("-0123456789"))
_JsonLikeLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)\Z"), list("tf"))
_JsonLikeLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"null\Z"), ["n"])


@cache
def _document() -> dict[str, Any]:
    return yaml.load(FILE.read_text(), _JsonLikeLoader)  # noqa: S506 - a safe loader with other numbers
