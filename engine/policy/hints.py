"""What a message says beside what is wrong: the nearest right word, and what stands at a place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from itertools import islice

from engine.policy.source import WORD_CHARACTERS_MAX, Items, Members, Node, named

WORDS_MAX = 40


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the end of a message: the nearest right word, and all of them (of very many the first)."""
    import difflib  # noqa: PLC0415  what is right needs none

    allowed = [*islice(allowed, WORDS_MAX)]
    near = difflib.get_close_matches(word[:WORD_CHARACTERS_MAX], allowed, n=1, cutoff=0.6)
    return (f"; did you mean {named(near[0])}?" if near else ";") + f" allowed: {', '.join(allowed)}"


def kind_of(node: Node) -> str:
    """Name what stands at a node, for a message."""
    match node:
        case Items():
            return "a list"
        case Members():
            return "a mapping"
    return "empty" if node.is_empty or not node.text.strip() else named(node.text)


def unknown_key(name: str, allowed: Collection[str]) -> str:
    """Say what is wrong with a key: most often a letter, or the blank behind its colon."""
    key, colon, value = name.partition(":")
    if colon and value and key in allowed:
        return f"a blank is missing behind the colon; write {named(f'{key}: {value}')}"
    return f"{named(name)} is not known here{did_you_mean(name, allowed)}"


def bound_text(number: Decimal) -> str:
    """Return a bound as a message shows it: nobody counts 28 zeros."""
    return re.sub(r"(?<![0-9])10{12,}(?![0-9])", lambda power: f"10^{len(power[0]) - 1}", f"{number:f}")
