"""Diagnoses of whole lines: colons, indentation, and what ends a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.policy.not_yaml.trouble import KEY, LOOK_MAX, VALUE_MAX, Finding, Trouble, in_quotes, short
from engine.policy.places import Place, named

# --- colons -----------------------------------------------------------------------------------------------------------


def colon_in_value(trouble: Trouble) -> Finding | None:
    """A second colon in a line, or one in a line that was to begin something new."""
    if not trouble.says("mapping values are not allowed"):
        return None
    key = KEY.match(trouble.line(trouble.at).lstrip())
    begins = len(trouble.line(trouble.at)) - len(trouble.line(trouble.at).lstrip())
    if key is None or begins + key.end() >= trouble.at.column:
        return _line_without_colon(trouble) or _too_deep(trouble)
    value = trouble.line(trouble.at)[begins + key.end() :]
    place = Place(trouble.at.line, begins + key.end() + len(value) - len(value.lstrip()) + 1)
    return Finding(place, f"the value of {named(key['key'])} has a colon in it; put it in quotes: {in_quotes(value)}")


def _line_without_colon(trouble: Trouble) -> Finding | None:
    """The line above was to be a key."""
    above = trouble.above(trouble.at)
    if above is None or (KEY.match(trouble.rest(above)) and not re.match(r"-[^\s:]", trouble.rest(above))):
        return None
    return _no_key(trouble, above)


def _too_deep(trouble: Trouble) -> Finding | None:
    """The key above has its value already, and this line is indented as if it belonged to it."""
    above = trouble.above(trouble.at)
    key = KEY.match(trouble.rest(above)) if above else None
    here = len(trouble.line(trouble.at)) - len(trouble.line(trouble.at).lstrip()) + 1
    if above is None or key is None:
        return None
    column = above.column + len(key["dashes"])
    text = f"{named(key['key'])} in line {above.line} has its value already, and this line is indented as a part of it"
    return Finding(Place(trouble.at.line, here), f"{text}; begin it in column {column}")


def no_colon(trouble: Trouble) -> Finding | None:
    """A line that was to be a key and its value."""
    return _no_key(trouble, trouble.since) if trouble.says("could not find expected ':'") else None


def _no_key(trouble: Trouble, place: Place) -> Finding:
    text = trouble.rest(place)[:LOOK_MAX]
    if text.startswith("//"):
        return Finding(place, "a comment begins with #")
    if re.match(r"-[^\s-]", text):
        return Finding(place, f"a blank is missing behind the dash; write `- {text[1:].split(' #')[0].strip()[:VALUE_MAX]}`")
    glued = re.match(r"(?:- +)*(?P<key>[\w-]+)(?P<sign>:|\s*=\s*)(?P<value>\S.*)", text)
    if glued:
        wrong = "a blank is missing behind the colon" if glued["sign"] == ":" else "a key ends with a colon"
        return Finding(place, f"{wrong}; write `{glued['key']}: {glued['value'][:VALUE_MAX].strip()}`")
    return Finding(place, f"{short(text.split(' #')[0])} is no key with a value; a colon is missing, as in `key: value`")


# --- indentation ------------------------------------------------------------------------------------------------------


class Level(NamedTuple):
    """A column in which lines of one list or one mapping begin, and the last such line."""

    column: int
    is_list: bool
    line: int
    word: str


def indent(trouble: Trouble) -> Finding | None:
    """A line that begins in a column where nothing above begins."""
    if not trouble.begins_line or not trouble.says("expected key", "'-' indicator", "block end"):
        return None
    text = trouble.rest(trouble.at)
    if text.startswith(":"):
        return Finding(trouble.at, "a key is missing before the colon")
    is_list = text.startswith(("- ", "-")) and text[1:2] in {"", " "}
    levels = [level for level in _levels(trouble) if level.is_list == is_list]
    if not levels:
        return Finding(trouble.at, "this line belongs to no list and no mapping above it; look at the lines above for a key")
    near = min(levels, key=lambda level: (abs(level.column - trouble.at.column), -level.column))
    begun = "this dash" if is_list else short(text.split(":")[0])
    right = f"begin it in column {near.column}, like {near.word} in line {near.line}"
    return Finding(trouble.at, f"{begun} begins in column {trouble.at.column}; {right}")


def _levels(trouble: Trouble) -> list[Level]:
    """Return the columns in which the lines above begin, as far as they are still open in the line just above."""
    levels: list[Level] = []
    for number, line in enumerate(trouble.lines[: trouble.at.line - 1], start=1):
        key = re.match(r"(?P<indent> *)(?P<dashes>(?:- +)*)(?P<key>[^\s#\[\]{},-][^:]*):(?:\s|$)", line)
        if key is None:
            continue
        columns = [key.end("indent") + 1 + found.start() for found in re.finditer("-", key["dashes"])]
        levels = [level for level in levels if level.column < (columns or [key.start("key") + 1])[0]]
        levels += [Level(column, True, number, "the dash") for column in columns]  # noqa: FBT003
        levels.append(Level(key.start("key") + 1, False, number, short(key["key"])))  # noqa: FBT003
    return levels


def behind_bracket(trouble: Trouble) -> Finding | None:
    """Something follows a bracket that is closed already."""
    if trouble.begins_line or trouble.before(trouble.at).rstrip()[-1:] not in {"]", "}"}:
        return None
    begun = short(trouble.rest(trouble.at))
    return Finding(trouble.at, f"{begun} follows a closed bracket; leave it out, or quote the whole value")


# --- the rest ---------------------------------------------------------------------------------------------------------


def end_of_document(trouble: Trouble) -> Finding | None:
    """Three dots end a document; what follows is another one."""
    if not trouble.says("document start"):
        return None
    dots = [number for number, line in enumerate(trouble.lines[: trouble.at.line], start=1) if line.startswith("...")]
    if dots:
        return Finding(Place(dots[-1], 1), "`...` ends the policy, and more follows; leave this line out")
    above = trouble.above(trouble.at)
    if above is None or above.column <= trouble.at.column:
        return _no_key(trouble, above) if above and not KEY.match(trouble.rest(above)) else None
    top = next(_lines_that_say_something(trouble))
    return Finding(top, f"the first line begins in column {top.column}, and a line below in column {trouble.at.column}")


def _lines_that_say_something(trouble: Trouble) -> Iterator[Place]:
    for number, line in enumerate(trouble.lines, start=1):
        text = line.lstrip()
        if text and not text.startswith(("#", "%", "---")):
            yield Place(number, len(line) - len(text) + 1)


def block_text(trouble: Trouble) -> Finding | None:
    """A text of several lines."""
    if not trouble.says("block scalar"):
        return None
    if "tab" in trouble.words:
        return Finding(trouble.at, "a tab stands in front of this line; write blanks")
    return Finding(trouble.at, "a text of several lines begins below its | or >; write nothing else in that line")
