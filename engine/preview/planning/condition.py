"""A condition on a plan's answer: ``net.percent > 5 or newly.refused > 0``. It says when a check should fail.

A comparison has a name, a sign (``>``, ``>=``, ``<``, ``<=``, ``==``, ``!=``) and a number. ``and`` binds more strongly than
``or``. A name leads to a number of the answer, or to a list, whose length counts: ``users.losers``, ``differences``. A row of
a group is named by its key: ``groups.model['veo-3'].percent``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.errors import shown
from engine.policy.hints import did_you_mean

COMPARISON = re.compile(
    r"""\s*(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*|\['[^']*'\])*)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<number>-?\d+(?:\.\d+)?)\s*"""
)
JOINT = re.compile(r"(?:and|or)\b")
STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\['([^']*)'\]")
SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


class ConditionError(ValueError):
    """A condition that cannot be read, or that names what the answer does not have."""


@frozen
class Comparison:
    """A number of the answer, and what it is compared with."""

    name: str
    sign: str
    compared_with: Decimal

    def holds(self, answer: Mapping[str, Any]) -> bool:
        """Say whether it holds of an answer; not where there is no percentage, of nothing. Raises ConditionError."""
        found = _found(self.name, answer)
        return found is not None and SIGNS[self.sign](found, self.compared_with)

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.compared_with:f}"


@frozen
class Condition:
    """Comparisons of which all of one group have to hold."""

    groups: tuple[tuple[Comparison, ...], ...]

    @classmethod
    def read(cls, text: str) -> Condition:
        """Return the condition in a text. Raises ConditionError."""
        groups: list[list[Comparison]] = [[]]
        at = 0
        while True:
            if (match := COMPARISON.match(text, at)) is None:
                raise ConditionError(f"{shown(text[at:].strip())} is no comparison; write one like `net.percent > 5`")
            groups[-1].append(Comparison(match["name"], match["sign"], Decimal(match["number"])))
            if (at := match.end()) == len(text):
                return cls(tuple(map(tuple, groups)))
            if (joint := JOINT.match(text, at)) is None:
                raise ConditionError(f"{shown(text[at:])} follows a comparison; `and` or `or` joins two of them")
            at = joint.end()
            if joint[0] == "or":
                groups.append([])

    def met(self, answer: Mapping[str, Any]) -> str | None:
        """Return in words what holds of an answer; None where the condition does not. Raises ConditionError."""
        verdicts = [(group, [each.holds(answer) for each in group]) for group in self.groups]  # each name is looked up
        return next((" and ".join(map(str, group)) for group, holds in verdicts if all(holds)), None)


def _found(name: str, answer: Mapping[str, Any]) -> Decimal | None:
    """Return the number that a name leads to; None for a percentage of nothing."""
    value: Any = answer
    for step in STEP.finditer(name):
        value = _member(value, step[1] if step[1] is not None else step[2], name)
    if isinstance(value, list):
        return Decimal(len(value))
    if value is None:
        if name.endswith("percent"):
            return None
        raise ConditionError(f"`{name}` is not known: {_why(answer)}")
    try:
        return Decimal(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ConditionError(f"`{name}` is no number") from error


def _why(answer: Mapping[str, Any]) -> str:
    """Return why the answer does not know something: what users had is all that it may not know."""
    return str(answer["balances"]["why"])


def _member(value: Any, step: str, name: str) -> Any:
    if isinstance(value, list):
        value = {row["key"]: row for row in value if isinstance(row, Mapping) and row.get("key") == step}
    if not isinstance(value, Mapping) or step not in value:
        hint = did_you_mean(step, list(value)) if isinstance(value, Mapping) else ""
        raise ConditionError(f"`{name}`: the plan has no `{step}`{hint}")
    return value[step]
