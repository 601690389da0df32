"""What is wrong with a text that is no YAML, in our words, at the line that a person has to change.

The parser names the place where it could not go on, in words about its own work. Each diagnosis below looks at the text for
one mistake that people make; the first that finds its own is told (``DIAGNOSES``). None of the parser's words is ever shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.policy.not_yaml import lines, signs
from engine.policy.not_yaml.trouble import Finding, Trouble
from engine.policy.places import Place

UNKNOWN = "cannot be read from here on; look for a quote, a bracket, a colon or a blank that is missing before"
"""What is said where no diagnosis knows better."""


def finding_of(text: Sequence[str], words: str, at: Place, since: Place | None) -> Finding:
    """Return what is wrong with a text that the parser has left with these words, at a place, ``since`` another."""
    trouble = Trouble.of(text, words, at, since)
    for diagnosis in DIAGNOSES:
        if found := diagnosis(trouble):
            return found
    return Finding(trouble.at, UNKNOWN)


DIAGNOSES: Sequence[Callable[[Trouble], Finding | None]] = (
    signs.odd_indent,
    signs.escape,
    signs.directive,
    signs.open_quote,
    signs.wrong_closer,
    signs.open_bracket,
    signs.behind_quotes,
    signs.comma,
    signs.reserved_sign,
    signs.list_in_line,
    lines.colon_in_value,
    lines.no_colon,
    lines.end_of_document,
    lines.block_text,
    lines.behind_bracket,
    lines.indent,
)
"""From the surest to the least sure."""
