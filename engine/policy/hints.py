"""What a message says beside what is wrong: the nearest right word, and what stands at a place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from itertools import islice

from engine.policy.source import WORD_CHARACTERS_MAX, Items, Members, Node, named

WORDS_MAX = 40

UP_TO = "up_to"
TIERS_ARE_A_LIST = "tiers are a list; write [{up_to: ..., rate: ...}, {rate: ...}]"


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the end of a message: the nearest right word, and all of them (of very many the first)."""
    import difflib  # noqa: PLC0415  what is right needs none

    allowed = [*islice(allowed, WORDS_MAX)]
    near = difflib.get_close_matches(word[:WORD_CHARACTERS_MAX], allowed, n=1, cutoff=0.6)
    return (f"; did you mean {named(near[0])}?" if near else ";") + f" allowed: {', '.join(allowed)}"


def two_names(joined: str) -> str:
    """Say how to write what messages join: ``veo-3/4k`` is the rate ``4k`` below ``veo-3``."""
    above, _, below = joined.partition("/")
    return f"{named(joined)} is one name; for the rate {named(below)} below {named(above)} write {above}: {{{below}: ...}}"


def rates_too_deep(rates: Members, selectors: str) -> str:
    """Say what is wrong with rates inside a rate: a tier without its list, or ``selectors`` has one expression too few."""
    if UP_TO in rates.names():
        return TIERS_ARE_A_LIST
    return f"these rates need one more expression in {selectors} to select one"


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
