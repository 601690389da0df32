"""Event patterns matched by trying everything: every branch of ``$or``, every choice of elements of every array.

Written from the EventBridge user guide. It takes patterns that AWS takes; whether one is refused is asked elsewhere.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import product
from typing import Any

type Leaves = list[tuple[str, Any, dict[tuple[Any, ...], int]]]
"""Each leaf of an event: its dotted name, its value, and for each array of objects around it the element it is in."""

OCTETS = 4


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Say whether an event matches a pattern."""
    leaves = list(_leaves(event, "", (), {}))
    return any(_holds(list(branch.items()), leaves, {}) for branch in _branches(pattern))


def _branches(pattern: Mapping[str, Any], before: str = "") -> list[dict[str, list[Any]]]:
    """Return the combinations of ``$or``, each as its fields by dotted name; of two tests of one field the last one counts."""
    branches: list[dict[str, list[Any]]] = [{}]
    for key, value in pattern.items():
        if key == "$or":
            more = [branch for member in value for branch in _branches(member, before)]
        elif isinstance(value, Mapping):
            more = _branches(value, f"{before}{key}.")
        else:
            more = [{f"{before}{key}": list(value)}]
        branches = [{**one, **other} for one, other in product(branches, more)]
    return branches


def _leaves(node: Any, name: str, path: tuple[Any, ...], around: dict[tuple[Any, ...], int]) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{name}.{key}" if path else key, (*path, key), around)
    elif isinstance(node, list | tuple):
        for at, item in enumerate(node):
            inner = {**around, path: at} if isinstance(item, Mapping | list | tuple) else around
            yield from _leaves(item, name, (*path, at), inner)
    elif path:
        yield name, node, around


def _holds(fields: list[tuple[str, list[Any]]], leaves: Leaves, chosen: dict[tuple[Any, ...], int]) -> bool:
    """Say whether all fields hold, none of them in another element of an array than one before. Fields in order of names."""
    if not fields:
        return True
    (name, tests), *rest = sorted(fields, key=lambda field: field[0])
    there = [(value, around) for field, value, around in leaves if field == name and _agree(around, chosen)]
    if any({"exists": False} == test for test in tests) and not there and _holds(rest, leaves, chosen):
        return True
    return any(
        _holds(rest, leaves, {**chosen, **around}) for value, around in there if any(passes(test, value) for test in tests)
    )


def _agree(one: Mapping[Any, int], other: Mapping[Any, int]) -> bool:
    return all(other.get(array, element) == element for array, element in one.items())


def passes(test: Any, leaf: Any) -> bool:
    """Say whether a leaf passes a test of a pattern's list."""
    if not isinstance(test, Mapping):
        return _equals(test, leaf) or _same_address(test, leaf)
    ((operator, operand),) = test.items()
    if operator == "exists":
        return bool(operand)
    if operator == "numeric":
        return _compares(operand, leaf)
    if operator == "anything-but":
        return not any(_excluded(one, leaf) for one in _listed(operand))
    return isinstance(leaf, str) and _of_text(operator, operand, leaf)


def _listed(operand: Any) -> list[Any]:
    if isinstance(operand, Mapping):
        ((operator, texts),) = operand.items()
        return [{operator: text} for text in (texts if isinstance(texts, list) else [texts])]
    return operand if isinstance(operand, list) else [operand]


def _excluded(one: Any, leaf: Any) -> bool:
    if not isinstance(one, Mapping):
        return _equals(one, leaf)
    ((operator, text),) = one.items()
    return isinstance(leaf, str) and _of_text(operator, text, leaf)


def _equals(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return Decimal(repr(one)) == Decimal(repr(other))
    return type(one) is type(other) and one == other


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value))


def _compares(operand: list[Any], leaf: Any) -> bool:
    if not _is_number(leaf):
        return False
    number = Decimal(repr(leaf))
    signs = {"=": number.__eq__, "<": number.__lt__, "<=": number.__le__, ">": number.__gt__, ">=": number.__ge__}
    return all(signs[sign](Decimal(repr(bound))) for sign, bound in zip(operand[::2], operand[1::2], strict=True))


def _of_text(operator: str, operand: Any, leaf: str) -> bool:
    if isinstance(operand, Mapping):
        text = operand["equals-ignore-case"]
        return any(_ignoring_case(text, part) for part in _affixes(operator, leaf))
    if operator == "equals-ignore-case":
        return _ignoring_case(operand, leaf)
    if operator == "cidr":
        return _in_network(operand, leaf)
    if operator == "wildcard":
        signs = re.findall(r"\\[\\*]|\*|[^\\*]", operand, re.DOTALL)
        regex = "".join(".*" if sign == "*" else re.escape(sign[-1]) for sign in signs)
        return re.fullmatch(regex, leaf, re.DOTALL) is not None
    return {"prefix": leaf.startswith, "suffix": leaf.endswith, "exactly": leaf.__eq__}[operator](operand)


def _affixes(operator: str, leaf: str) -> list[str]:
    cuts = range(len(leaf) + 1)
    return [leaf[:cut] if operator == "prefix" else leaf[cut:] for cut in cuts]


def _ignoring_case(text: str, leaf: str) -> bool:
    """Each character of the text in its lower or its upper case, whichever stands there; an upper case may be longer."""
    if not text:
        return not leaf
    first, rest = text[0], text[1:]
    return any(leaf.startswith(case) and _ignoring_case(rest, leaf[len(case) :]) for case in {first.lower(), first.upper()})


def _same_address(one: Any, other: Any) -> bool:
    return (
        isinstance(one, str)
        and isinstance(other, str)
        and (address := _address(one)) is not None
        and address == _address(other)
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){3}", text):
        octets = [int(part) for part in text.split(".")]
        return ipaddress.IPv4Address(bytes(octets)) if max(octets) <= 255 else None
    if not re.fullmatch(r"[0-9a-fA-F:]+", text):
        return None
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address


def _in_network(network: str, leaf: str) -> bool:
    base, mask = network.split("/")
    first, address = _address(base), _address(leaf)
    if first is None or address is None or first.version != address.version:
        return False
    return address in ipaddress.ip_network((first, int(mask)), strict=False)
