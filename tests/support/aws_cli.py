"""Commands of a page, done: those of the AWS CLI through boto3, others by what the test names. The shell is a small one.

An option has to be one of its operation, and a value of its kind: what the AWS CLI would refuse is refused here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jmespath
from attrs import Factory, define
from botocore import xform_name

VARIABLE = re.compile(r"\$([A-Z_]+)")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(?:\$\((?P<command>.*)\)|(?P<value>\S+))\s*")
BOOLEANS = {"true": True, "false": False}


class UsageError(ValueError):
    """A command that the AWS CLI would refuse."""


def commands(text: str) -> list[list[str]]:
    """Return the lines of shell blocks of a text, block by block."""
    return [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


@define
class AwsCli:
    """The AWS CLI, on the services that ``client`` reaches."""

    client: Callable[[str], Any]

    def run(self, words: list[str]) -> str:
        """Do a command (its words behind ``aws``), and return what it prints. Raises UsageError, or the service's error."""
        service, operation, *arguments = words
        client = self.client(service)
        try:
            if operation == "wait":
                return self._wait(client, *arguments)
            options = dict(_options(arguments))
            query, output = options.pop("--query", ["@"])[0], options.pop("--output", ["json"])[0]
            method = operation.replace("-", "_")
            given = parameters(_input(client, method), options)
            answer = getattr(client, method)(**given)
        finally:
            client.close()
        return _printed(jmespath.search(query, answer), output)

    def _wait(self, client: Any, what: str, *arguments: str) -> str:
        waiter = client.get_waiter(what.replace("-", "_"))
        operation = xform_name(waiter.config.operation)
        waiter.wait(**parameters(_input(client, operation), dict(_options(arguments))))
        return ""


def parameters(shape: Any, options: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the parameters of a request that options stand for."""
    members = {f"--{xform_name(name, '-')}": (name, member) for name, member in shape.members.items()}
    flags = {f"--no-{option[2:]}": name for option, (name, member) in members.items() if member.type_name == "boolean"}
    found: dict[str, Any] = {}
    for option, values in options.items():
        if option in flags and not values:
            found[flags[option]] = False
        elif option in members:
            name, member = members[option]
            found[name] = _value(member, values, option)
        else:
            raise UsageError(f"{option}: no option of {shape.name}")
    if missing := set(shape.required_members) - found.keys():
        raise UsageError(f"{shape.name} needs {sorted(missing)}")
    return found


def _value(shape: Any, values: list[str], option: str) -> Any:
    kind = shape.type_name
    if kind == "boolean" and not values:
        return True
    if kind == "list" and values and values[0][0] not in "[{":
        return [_single(shape.member, value, option) for value in values]
    if len(values) != 1:
        raise UsageError(f"{option}: takes one value, not {values}")
    return _single(shape, values[0], option)


def _single(shape: Any, text: str, option: str) -> Any:
    kind = shape.type_name
    if kind in {"structure", "map", "list"} and text[0] in "[{":
        return json.loads(text)
    if kind == "structure":
        return _shorthand(shape, text, option)
    if kind == "boolean":
        return BOOLEANS[text]
    if kind not in {"string", "timestamp", "integer", "long"}:
        raise UsageError(f"{option}: write a {kind} as JSON")
    return int(text) if kind in {"integer", "long"} else text


def _shorthand(shape: Any, text: str, option: str) -> dict[str, Any]:
    """``Key=Value,Key=Value``."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in shape.members:
            raise UsageError(f"{option}: {part!r} is no member of {shape.name}")
        member = shape.members[name]
        found[name] = [value] if member.type_name == "list" else _single(member, value, option)
    return found


def _options(arguments: Iterable[str]) -> Iterable[tuple[str, list[str]]]:
    """Yield each option with the words behind it."""
    option: tuple[str, list[str]] | None = None
    for word in arguments:
        if word.startswith("--"):
            if option:
                yield option
            option = (word, [])
        elif option is None:
            raise UsageError(f"{word!r} belongs to no option")
        else:
            option[1].append(word)
    if option:
        yield option


def _input(client: Any, method: str) -> Any:
    operation = client.meta.method_to_api_mapping.get(method)
    if operation is None:
        raise UsageError(f"{method}: no operation of {client.meta.service_model.service_name}")
    return client.meta.service_model.operation_model(operation).input_shape


def _printed(value: Any, output: str) -> str:
    if output == "text":
        if not isinstance(value, str):
            raise UsageError(f"{value!r} is no text")
        return value
    return json.dumps(value, default=str)


@define
class Shell:
    """Runs lines. ``programs`` take their words and return what they print. An unset variable is an error (``set -u``)."""

    programs: Mapping[str, Callable[[list[str]], str]]
    export: Callable[[str, str], None]
    variables: dict[str, str] = Factory(dict)

    def run(self, line: str) -> str:
        """Do a line, and return what it prints."""
        if assigned := ASSIGNMENT.fullmatch(line):
            if assigned[1] not in self.variables:  # what the test has set is for its reader to fill in
                command = assigned["command"]
                self.variables[assigned[1]] = self.run(command) if command else assigned["value"]
            return ""
        words = shlex.split(VARIABLE.sub(lambda found: self.variables[found[1]], line))
        if words[0] != "export":
            return self.programs[words[0]](words[1:])
        for name, _, value in (word.partition("=") for word in words[1:]):
            self.export(name, value)
        return ""
