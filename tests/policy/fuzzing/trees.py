"""A policy as a tree that can be taken apart, put together wrongly, and written in any style."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence

import yaml
from attrs import define

ODD = [
    "", "~", "null", "true", "no", "0", "-0", "-1", "010", "1e3", "1e99999999999999999999", ".5", ".inf", ".nan",
    "9" * 50, "0." + "0" * 200 + "1", "[]", "{}", "[[]]", "{a: b}", "*a", "&a b", "!!str x", "!!python/object:x y",
    "<<", "? x", "- x", "|", ">", "'", '"', '"\\e[2J"', '"\\ud800"', "@", "`", "%", "\ufeff", "$or",
    "detail..x", "sum(@)", "a" * 2000, "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "exists",
]  # fmt: skip
ODDER = [
    *ODD, "!!python/object/apply:os.system [ls]", "!!binary AAAA", "!!set {a}", "! x", "!local x", "&a [*a]", "&a {b: *a}",
    "\t", "a\tb", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202e", "\ufffe", "é", "e\u0301", "\U0001f3ac", "ﬀ", "٣",
    "\u00a0", '"\\0"', '"\\x85"', '"\\U0010ffff"', '"\\uD83C\\uDFAC"', "'it''s'", "a: b: c", "[a", "a]", "{a", "a}", "#",
    "a #b", "---", "...", "%YAML 9.9", "[{numeric: ['>', 1e400]}]", "[{wildcard: '***'}]", "[{cidr: 10.0.0.0/99}]",
    "{$or: []}", "[{exists: 1}]", "[{anything-but: {prefix: ''}}]", "[{prefix: {equals-ignore-case: 1}}]",
    "charge.amount", "max(a, b)", "length(`1`)", "a[?b]", "a[*].b", "&a", "@.@", "a || 'b'", "7d", "99999d",
    "0s", "{up_to: 1, rate: 1}", "[{up_to: 0, rate: 1}]", "default", "1" * 5000,
]  # fmt: skip
"""What may stand in the place of a key or a value. Most of it is written raw: it need not be YAML."""


@define
class Tree:
    """A list (without keys) or a mapping. ``prefix`` is an anchor or a tag; a scalar is its own text."""

    values: list[Node]
    keys: list[str] | None = None
    prefix: str = ""


type Node = str | Tree
type Random = random.Random
type Change = Callable[[Random, Tree], None]

PLAIN = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_. -]*")


def read_tree(text: str) -> Tree:
    """Return a YAML text as a tree."""
    tree = _tree(yaml.compose(text, Loader=yaml.SafeLoader))
    assert isinstance(tree, Tree)
    return tree


def _tree(node: yaml.Node | None) -> Node:
    if isinstance(node, yaml.MappingNode):
        return Tree([_tree(value) for _, value in node.value], [_text(key) for key, _ in node.value])
    if isinstance(node, yaml.SequenceNode):
        return Tree([_tree(item) for item in node.value])
    assert isinstance(node, yaml.ScalarNode)
    return _text(node)


def _text(node: yaml.ScalarNode) -> str:
    is_plain = node.style is None and PLAIN.fullmatch(node.value)
    return str(node.value) if is_plain else json.dumps(node.value, ensure_ascii=False)


def copied(node: Node) -> Node:
    """Return a node that shares nothing with the other."""
    if isinstance(node, str):
        return node
    return Tree([copied(value) for value in node.values], node.keys and [*node.keys], node.prefix)


def trees(tree: Tree) -> Iterator[Tree]:
    """Yield all lists and mappings, a tree before what is in it."""
    yield tree
    for value in tree.values:
        if isinstance(value, Tree):
            yield from trees(value)


def flow(node: Node) -> str:
    """Return a node in brackets."""
    if isinstance(node, str):
        return node
    values = [flow(value) for value in node.values]
    if node.keys is None:
        return f"{node.prefix}[{', '.join(values)}]"
    return f"{node.prefix}{{{', '.join(f'{key}: {value}' for key, value in zip(node.keys, values, strict=True))}}}"


def block(node: Node, depth: int, indent: int = 0) -> str:
    """Return a node in lines of its own, down to a depth."""
    if isinstance(node, str) or depth == 0 or not node.values:
        return flow(node)
    heads = ["-"] * len(node.values) if node.keys is None else [f"{key}:" for key in node.keys]
    parts = [_part(head, value, depth - 1, indent) for head, value in zip(heads, node.values, strict=True)]
    return node.prefix.strip() + "".join(f"\n{' ' * indent}{part}" for part in parts)


def _part(head: str, value: Node, depth: int, indent: int) -> str:
    return f"{head} {block(value, depth, indent + 2)}"


# --- changes of a tree ------------------------------------------------------------------------------------------------


def _somewhere(rng: Random, tree: Tree) -> tuple[Tree, int]:
    """Return a list or mapping that is not empty, and one of its places."""
    found = rng.choice([part for part in trees(tree) if part.values] or [tree])
    if not found.values:
        found.values, found.keys = ["x"], found.keys and ["x"]
    return found, rng.randrange(len(found.values))


def swap(rng: Random, tree: Tree) -> None:
    """Let two values change places, copies of them: one may hold the other."""
    (one, at), (other, there) = _somewhere(rng, tree), _somewhere(rng, tree)
    first, second = copied(one.values[at]), copied(other.values[there])
    one.values[at] = second
    other.values[there] = first


def delete(rng: Random, tree: Tree) -> None:
    """Leave something out."""
    part, at = _somewhere(rng, tree)
    del part.values[at]
    if part.keys is not None:
        del part.keys[at]


def repeat(rng: Random, tree: Tree) -> None:
    """Write something twice or very often, once in a while under other names."""
    part, at = _somewhere(rng, tree)
    times = rng.choice((1, 1, 1, 3, 20))
    part.values[at:at] = [copied(part.values[at]) for _ in range(times)]
    if part.keys is not None:
        other = rng.choice(("", "x"))
        part.keys[at:at] = [f"{part.keys[at]}{other and index}" for index in range(times)]


def replace(rng: Random, tree: Tree) -> None:
    """Put something odd in the place of a value."""
    part, at = _somewhere(rng, tree)
    part.values[at] = rng.choice(ODDER)


def rename(rng: Random, tree: Tree) -> None:
    """Put something odd, or another key, in the place of a key."""
    part, at = _somewhere(rng, tree)
    if part.keys is not None:
        known = rng.choice([key for other in trees(tree) for key in other.keys or ()] or ["x"])
        part.keys[at] = rng.choice((known, rng.choice(ODDER)))


def bury(rng: Random, tree: Tree) -> None:
    """Put a value deep into lists or mappings."""
    part, at = _somewhere(rng, tree)
    depth = rng.choice((1, 2, 60, 63, 64, 65, 100, 900, 20_000))
    opening, closing = rng.choice((("[", "]"), ("{a: ", "}"), ("[[{a: [", "]}]]")))
    part.values[at] = opening * depth + flow(part.values[at]) + closing * depth


def share(rng: Random, tree: Tree) -> None:
    """Give a value an anchor, and let an alias or a merge key stand for it elsewhere, perhaps within itself."""
    (part, at), (other, there) = _somewhere(rng, tree), _somewhere(rng, tree)
    other.values[there] = "*a"
    if other.keys is not None and rng.random() < 0.5:
        other.keys[there] = "<<"
    value = part.values[at]
    part.values[at] = f"&a {value}" if isinstance(value, str) else Tree(value.values, value.keys, "&a ")


def tag(rng: Random, tree: Tree) -> None:
    """Give a value a tag."""
    part, at = _somewhere(rng, tree)
    part.values[at] = f"{rng.choice(('!!str', '!!map', '!!python/object:os.system', '!x', '!'))} {flow(part.values[at])}"


def swell(rng: Random, tree: Tree) -> None:
    """Put something very long in the place of a value."""
    part, at = _somewhere(rng, tree)
    size = rng.choice((100, 1000, 20_000))
    part.values[at] = rng.choice(
        (
            "a" * size, "9" * size, f"0.{'1' * size}", f"[{'a, ' * size}a]", f"[{'[], ' * size}]", '"' + "\\x41" * size + '"',
            f"'{'a.' * (size // 2)}b'", "'" + "(" * min(size, 400) + "a" + ")" * min(size, 400) + "'",
            f"'a{'||a' * min(size, 300)}'",
            f"[{{wildcard: '{'*a' * min(size, 2000)}'}}]", "{" + ", ".join(f"k{index}: v" for index in range(size // 4)) + "}",
            "[" + ", ".join(f"{{name: n{index}, match: {{a: [b{index}]}}}}" for index in range(size // 20)) + "]",
        )
    )  # fmt: skip


CHANGES: Sequence[Change] = (swap, swap, delete, delete, repeat, replace, replace, rename, rename, bury, share, tag, swell)
