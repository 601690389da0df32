"""Diagnoses of blanks, quotes and brackets, and of values that begin with a sign of YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.policy.not_yaml.survey import CLOSERS, Bracket
from engine.policy.not_yaml.trouble import KEY, Finding, Trouble, in_quotes, short
from engine.policy.places import Place, named

NAMES = {"\t": "a tab", "\u00a0": "a no-break space", "\ufeff": "a byte order mark", "\u3000": "a wide space"}
ODD_INDENT = re.compile(r"[ -]*(?P<odd>[^\S ]|[\ufeff\u200b])")


# --- blanks -----------------------------------------------------------------------------------------------------------


def odd_indent(trouble: Trouble) -> Finding | None:
    """A tab, or what only looks like a blank, in front of a line; or a tab between words where the parser takes none."""
    if trouble.rest(trouble.at).startswith("\t") and not trouble.begins_line and trouble.says("any token"):
        return Finding(trouble.at, "a tab stands here; write a blank")
    for start in (Place(trouble.at.line, 1), trouble.above(trouble.at)):
        found = ODD_INDENT.match(trouble.lines[start.line - 1]) if start else None
        if start and found and _may_be_blamed(trouble, Place(start.line, found.start("odd") + 1)):
            odd = NAMES.get(found["odd"], f"the character U+{ord(found['odd']):04X}")
            remedy = "write blanks" if found["odd"].isspace() else "leave it out"
            return Finding(Place(start.line, found.start("odd") + 1), f"{odd} stands in front of this line; {remedy}")
    return None


def _may_be_blamed(trouble: Trouble, place: Place) -> bool:
    """Whether a blank of another kind counts here: within brackets and texts of several lines it may stand."""
    offset = trouble.offset(place)
    return not trouble.survey.is_text(offset) and (trouble.rest(place)[0] == "\t" or not trouble.survey.open_at(offset))


# --- quotes -----------------------------------------------------------------------------------------------------------


def open_quote(trouble: Trouble) -> Finding | None:
    """A quote that nothing closes, or that the next quote of another line closes by mistake."""
    quoted = trouble.survey.quoted_before(trouble.offset(trouble.at))
    if quoted is None or trouble.says("escape", "hexdec", "hexadec"):
        return None
    start, end = trouble.place(quoted.start), trouble.place(quoted.end)
    quote = trouble.survey.text[quoted.start]
    if not quoted.is_closed or trouble.says("document indicator", "document separator"):
        return Finding(start, f"the quote {quote} that begins here is never closed; write {quote} behind the text")
    is_close = start.line < end.line == trouble.at.line or (start.line == end.line == trouble.at.line and end == trouble.at)
    inside = trouble.survey.text[quoted.start + 1 : quoted.end - 1].rstrip()
    if is_close and (start.line < end.line or inside.endswith((":", ",", "[", "{"))):
        return Finding(
            start, f"the quote {quote} that begins here is closed in line {end.line}, column {end.column - 1}; close it before"
        )
    return None


def behind_quotes(trouble: Trouble) -> Finding | None:
    """Something follows a text in quotes: mostly a quote that was meant as a part of it."""
    quoted = trouble.survey.quoted_before(trouble.offset(trouble.at))
    if quoted is None or not quoted.is_closed or trouble.begins_line or trouble.rest(trouble.at)[:1] in {"]", "}", ""}:
        return None
    if trouble.survey.text[quoted.end : trouble.offset(trouble.at)].strip(" "):
        return None
    if trouble.survey.open_at(trouble.offset(trouble.at)) and KEY.match(trouble.rest(trouble.at)):
        return _comma_before(trouble)
    inside = '\\"' if trouble.survey.text[quoted.start] == '"' else "''"
    comma = ", or a comma is missing" if trouble.survey.open_at(trouble.offset(trouble.at)) else ""
    begun = short(trouble.value(trouble.at))
    return Finding(trouble.at, f"{begun} follows a text that is closed already; a quote inside it is written {inside}{comma}")


def escape(trouble: Trouble) -> Finding | None:
    """A backslash in double quotes that begins nothing YAML knows."""
    if not trouble.says("escape", "hexdec", "hexadec"):
        return None
    backslash = trouble.line(trouble.at).rfind("\\", 0, trouble.at.column)
    place = Place(trouble.at.line, backslash + 1) if backslash != -1 else trouble.at
    if trouble.says("Unicode"):
        return Finding(place, f"{short(trouble.rest(place).split('"')[0])} stands for no character")
    escape = short(trouble.rest(place)[:2])
    return Finding(place, f"{escape} is no escape of YAML; write \\\\ for a backslash, or single quotes")


# --- brackets ---------------------------------------------------------------------------------------------------------


def wrong_closer(trouble: Trouble) -> Finding | None:
    """A bracket that closes nothing, or something else than what is open."""
    sign = trouble.rest(trouble.at)[:1]
    if sign not in CLOSERS.values() or not sign:
        return None
    still = trouble.survey.open_at(trouble.offset(trouble.at))
    if not still:
        return Finding(trouble.at, f"{named(sign)} closes no bracket; leave it out")
    opening, closer = trouble.place(still[-1].start), CLOSERS[still[-1].sign]
    if closer == sign:
        return None
    if opening.line != trouble.at.line:
        return _never_closed(trouble, still, opening.line)
    wrong = f"{named(sign)} does not close the {named(still[-1].sign)} of column {opening.column}"
    return Finding(trouble.at, f"{wrong}; write {named(closer)}")


def open_bracket(trouble: Trouble) -> Finding | None:
    """A bracket that nothing closes: the parser goes on into the lines below."""
    still = trouble.survey.open_at(trouble.offset(trouble.at))
    if not still or not (trouble.says("expected ',' or", "end of stream", "any token", "node content")):
        return None
    opening = trouble.place(still[-1].start)
    is_at_end = trouble.offset(trouble.at) >= len(trouble.survey.text.rstrip())
    if still[-1].closed_at is not None or not (is_at_end or opening.line < trouble.at.line):  # so a comma is missing
        return None
    return _never_closed(trouble, still, opening.line)


def _never_closed(trouble: Trouble, still: Sequence[Bracket], line: int) -> Finding:
    of_line = [one for one in still if trouble.place(one.start).line == line]
    closers = named("".join(CLOSERS[one.sign] for one in reversed(of_line)))
    opening = of_line[-1]
    message = f"the {named(opening.sign)} that begins here is never closed; write {closers} behind its last value"
    return Finding(trouble.place(opening.start), message)


def comma(trouble: Trouble) -> Finding | None:
    """In brackets a comma too few or too many, or a value with a colon in it."""
    if not trouble.survey.open_at(trouble.offset(trouble.at)):
        return None
    sign = trouble.rest(trouble.at)[:1]
    if trouble.says("node content", "unexpected ':'"):
        return _nothing_there(trouble, sign)
    if not trouble.says("expected ',' or"):
        return None
    return _colon_in_brackets(trouble) if sign == ":" else _comma_before(trouble)


def _nothing_there(trouble: Trouble, sign: str) -> Finding:
    """A comma, a colon or a dash where a value was to begin."""
    if trouble.says("unexpected ':'"):
        return Finding(trouble.at, "a blank is missing behind this colon")
    if sign == "-":
        return Finding(trouble.at, "a list in brackets has no dashes; write `[first, second]`")
    what = {",": "this comma", ":": "this colon"}.get(sign, short(trouble.value(trouble.at)))
    return Finding(trouble.at, f"nothing stands before {what}; leave it out, or write what is missing")


def _colon_in_brackets(trouble: Trouble) -> Finding:
    """Two entries without a comma between them, or one whose value has a colon."""
    value = re.split(r"[,{\[]|: ", trouble.before(trouble.at))[-1]
    start = Place(trouble.at.line, trouble.at.column - len(value.lstrip()))
    if not trouble.before(start).strip():
        above = trouble.above(trouble.at) or start
        return Finding(Place(above.line, len(trouble.line(above).rstrip()) + 1), "a comma is missing at the end of this line")
    words = value.split()
    if len(words) > 1:
        place = Place(trouble.at.line, trouble.at.column - len(value.split(" ")[-1]))
        return Finding(place, f"a comma is missing before {named(words[-1])}")
    whole = trouble.value(start)
    return Finding(start, f"the value {short(whole)} has a colon in it; put it in quotes: {in_quotes(whole)}")


def _comma_before(trouble: Trouble) -> Finding:
    if trouble.begins_line and (above := trouble.above(trouble.at)):
        return Finding(Place(above.line, len(trouble.line(above).rstrip()) + 1), "a comma is missing at the end of this line")
    return Finding(trouble.at, f"a comma is missing before {short(trouble.value(trouble.at, ',]}:'))}")


# --- how a value begins -----------------------------------------------------------------------------------------------


BEGINS = (
    "any token",
    "alphabetic or numeric",
    "node content",
    "keys are not allowed",
    "block scalar",
    "chomping",
    "tag",
)
"""The parser stops at a sign that begins something else than a value."""


def reserved_sign(trouble: Trouble) -> Finding | None:
    """A value that begins with a sign that YAML keeps for itself."""
    at = trouble.since if trouble.says("scanning a", "parsing a tag", "tag handle") else trouble.at
    sign = trouble.rest(at)[:1]
    if not sign or sign not in "@`%*&!|>,?" or not trouble.says(*BEGINS):
        return None
    if sign in "|>" and "tab" in trouble.words:
        return None
    return Finding(at, f"a value cannot begin with {sign} as it stands; put it in quotes: {in_quotes(trouble.value(at))}")


def directive(trouble: Trouble) -> Finding | None:
    """A line that begins with a percent sign."""
    for place in (trouble.since, trouble.at):
        if place.column == 1 and trouble.line(place).startswith("%"):
            return Finding(place, "a line that begins with % is a directive of YAML and means nothing here; leave it out")
    return None


def list_in_line(trouble: Trouble) -> Finding | None:
    """A list that begins behind its key."""
    if not trouble.says("sequence entries are not allowed"):
        return None
    return Finding(trouble.at, "the dash of a list begins a line; write this below, indented, or write `[first, second]`")
