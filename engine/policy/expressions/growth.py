"""How many times over an expression can say what it looks at, asked before it runs.

``[@, @]`` says it twice, and so does each of its kind behind a pipe: sixty of them fill any memory. Without them an expression
takes at most as long as its own length times that of the event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Tree = Mapping[str, Any]

GROWTH_MAX = 1000
"""What no expression needs: twenty values, of each twenty, are 400."""

ONE_BEHIND_ANOTHER = frozenset({"subexpression", "index_expression", "pipe", "projection", "value_projection"})
"""What the first child finds, the second looks at."""

ESCAPED = 2
"""A quote or a backslash takes two characters in the JSON that ``to_string`` writes."""


def growth(tree: Tree) -> int:
    """Return how many times over an expression can say what it looks at, at the most."""
    children = [growth(child) for child in tree["children"] if isinstance(child, Mapping)]
    match tree["type"]:
        case kind if kind in ONE_BEHIND_ANOTHER:
            return math.prod(children)
        case "filter_projection":
            base, each, condition = children
            return base * (each + condition)
        case "function_expression":
            return _of_function(tree, children)
        case _:
            return max(1, sum(children))


def _of_function(tree: Tree, children: list[int]) -> int:
    """Of ``map(&name, list)`` each element is looked at by ``&name``."""
    named = [grown for child, grown in zip(tree["children"], children, strict=True) if child["type"] == "expref"]
    given = sum(children) - sum(named)
    return max(1, given) * math.prod(named) * (ESCAPED if tree["value"] == "to_string" else 1)
