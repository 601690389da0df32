"""YAML as a tree of nodes that know where they stand.

Scalars stay text: nothing here guesses that ``no`` is false, ``010`` eight or ``0.10`` a binary float. Built from the parser's
events, with bounds, so that no file can exhaust memory or stack (anchors that multiply, nesting without end).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Any, NamedTuple

from attrs import define, evolve, field

from engine.domain.errors import Mistake, PolicyError
from engine.policy.places import WORD_CHARACTERS_MAX, Place, named

BYTES_MAX = 200_000
NODES_MAX = 100_000
DEPTH_MAX = 64
MISTAKES_MAX = 500

EXCERPT_CHARACTERS_MAX = 120
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML takes for the end of a line."""

CORE_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}
"""The plain scalars of YAML 1.2 that are neither text nor number."""


CORE_TAGS = "tag:yaml.org,2002:"
"""What `!!` stands for in front of a tag."""

MERGE_KEY = "<<"
"""What other readers of YAML take for keys to copy from elsewhere. Nothing is copied here, and none may believe that it is."""


class Scalar(NamedTuple):
    """One value as it is written. A quoted scalar is text, whatever it looks like."""

    text: str
    quoted: bool
    place: Place

    @property
    def is_empty(self) -> bool:
        """Say whether nothing (or null) is written here."""
        return not self.quoted and CORE_WORDS.get(self.text, "") is None


class Items(NamedTuple):
    """A sequence."""

    nodes: tuple[Node, ...]
    place: Place


class Members(NamedTuple):
    """A mapping; a key that is written twice has been reported already."""

    pairs: tuple[tuple[Scalar, Node], ...]
    place: Place

    def get(self, name: str) -> Node | None:
        """Return the value of a key, or None."""
        return next((node for key, node in self.pairs if key.text == name), None)

    def names(self) -> set[str]:
        """Return all keys."""
        return {key.text for key, _ in self.pairs}


Node = Scalar | Items | Members

SAYS_NO_SUBJECT = ("is ", "has ")
"""How a message begins that is about the value of a key, and leaves the key to whoever reads it."""


@define(eq=False, repr=False)
class Notes:
    """What is wrong in a file so far. Each mistake is placed, with an excerpt of its line and a caret below."""

    file: str
    lines: list[str]
    mistakes: list[Mistake] = field(factory=list)
    warnings: list[Mistake] = field(factory=list)
    subject: str = ""
    """The key whose value is being read, as a message names it."""
    combinations: int = 0
    """Of alternatives (``$or``) in all patterns so far."""
    rates_taken_over: int = 0
    """From the row above, by all rows of price books so far that say only what changes."""

    def mistake(self, place: Place, message: str) -> None:
        """Note a mistake. Raises PolicyError where there are so many that no more will help."""
        subject = self.subject if message.startswith(SAYS_NO_SUBJECT) else ""
        self.mistakes.append(evolve(self._placed(place, message), subject=_on_one_line(subject) or None))
        if len(self.mistakes) == MISTAKES_MAX:
            self.mistakes.append(
                self._placed(place, f"there are {MISTAKES_MAX} mistakes up to here; the rest has not been read")
            )
            raise self.error()

    def warning(self, place: Place, message: str) -> None:
        """Note something that is allowed but most likely not meant."""
        self.warnings.append(self._placed(place, message))

    def error(self) -> PolicyError:
        """Return all mistakes in the order of the file, each once, however often an alias repeats it."""
        once: dict[object, Mistake] = {}
        for mistake in self.mistakes:
            once.setdefault((mistake.line, mistake.column, mistake.message), mistake)
        mistakes = sorted(once.values(), key=lambda mistake: (mistake.line or 0, mistake.column or 0))
        return PolicyError(mistakes, self.warnings)

    def _placed(self, place: Place, message: str) -> Mistake:
        if place.line > len(self.lines):  # where the parser puts the end of a file without a last line break
            place = Place(len(self.lines), len(self.lines[-1]) + 1)
        text = self.lines[place.line - 1]
        start = max(0, place.column - EXCERPT_CHARACTERS_MAX // 2) if len(text) > EXCERPT_CHARACTERS_MAX else 0
        part = "".join(sign if sign.isprintable() else " " for sign in text[start : start + EXCERPT_CHARACTERS_MAX])
        caret = " " * (place.column - 1 - start) + "^"
        excerpt = f"    {part}\n    {caret}"
        return Mistake(_on_one_line(message), file=self.file, line=place.line, column=place.column, excerpt=excerpt)


def _on_one_line(text: str) -> str:
    """Return a message with nothing in it that a terminal would obey, whatever the file says."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def read_yaml(data: bytes, file: str) -> tuple[Node, Notes]:
    """Return a file's only document, and notes of what is wrong with it so far.

    Raises PolicyError where there is no one document to go on with.
    """
    text = _decoded(data, file)
    notes = Notes(file, LINE_BREAK.split(text))
    return _Composer(_events(text, notes), notes).document(), notes


def _decoded(data: bytes, file: str) -> str:
    if len(data) > BYTES_MAX:
        raise _at_the_top(file, f"the file has {len(data)} bytes; a policy has at most {BYTES_MAX}")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise _at_the_top(file, "the file is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        above = LINE_BREAK.split(error.object[: error.start].decode("utf-8-sig"))
        message = f"the byte 0x{error.object[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise PolicyError([Mistake(message, file=file, line=len(above), column=len(above[-1]) + 1)]) from error


def _at_the_top(file: str, message: str) -> PolicyError:
    return PolicyError([Mistake(message, file=file, line=1, column=1)])


def _events(text: str, notes: Notes) -> Iterator[Any]:
    import yaml  # noqa: PLC0415  a policy that is compiled beforehand never needs it

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error, notes) from error
    except yaml.YAMLError as error:
        sign = chr(getattr(error, "character", 0))
        notes.mistake(_place_of_first(sign, text), f"the character U+{ord(sign):04X} cannot stand in YAML; leave it out")
        raise notes.error() from error


def _no_yaml(error: Any, notes: Notes) -> PolicyError:
    """Return what is wrong with a text that the parser could not read to its end."""
    from engine.policy.not_yaml import finding_of  # noqa: PLC0415  what is right needs none

    at, since = error.problem_mark or error.context_mark, error.context_mark
    words = f"{error.context or ''} {error.problem or ''}"
    notes.mistake(*finding_of(notes.lines, words, _place(at) if at else Place(1, 1), _place(since) if since else None))
    return notes.error()


def _place_of_first(sign: str, text: str) -> Place:
    """Return where the reader stopped: at the first of the characters that it does not take."""
    above = LINE_BREAK.split(text.partition(sign)[0])
    return Place(len(above), len(above[-1]) + 1)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


@define(eq=False, repr=False)
class _Composer:
    """Puts the parser's events together, within bounds."""

    events: Iterator[Any]
    notes: Notes
    anchors: dict[str, Node] = field(factory=dict)
    nodes: int = 0

    def document(self) -> Node:
        """Return the only document of the stream."""
        next(self.events)  # the stream's start
        start = next(self.events)
        if type(start).__name__ != "DocumentStartEvent":
            raise self._stop(Place(1, 1), "the file is empty; a policy begins with `version: 1`")
        node = self._node(next(self.events), depth=1)
        next(self.events)  # the document's end
        following = next(self.events)
        if type(following).__name__ == "DocumentStartEvent":
            raise self._stop(_place(following.start_mark), "a second document begins here; a policy is one document")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        place = _place(event.start_mark)
        self._count(place, depth)
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._aliased(event, place, depth)
        if event.tag is not None and event.tag != "!":
            tag = named(event.tag.replace(CORE_TAGS, "!!", 1))
            self.notes.mistake(place, f"the tag {tag} means nothing here; leave it out, or quote a text that begins with !")
        node = self._built(kind, event, place, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _built(self, kind: str, event: Any, place: Place, depth: int) -> Node:
        if kind == "ScalarEvent":
            return Scalar(event.value, event.style in {"'", '"', "|", ">"}, place)
        if kind == "SequenceStartEvent":
            return Items(tuple(self._node(item, depth + 1) for item in self._until("SequenceEndEvent")), place)
        return Members(tuple(self._pairs(depth)), place)

    def _pairs(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, Place] = {}
        for event in self._until("MappingEndEvent"):
            key = self._node(event, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.notes.mistake(key.place, "a key is a word here, not a list or a mapping")
            elif key.text == MERGE_KEY and not key.quoted:
                self.notes.mistake(
                    key.place,
                    f"merge keys ({named(MERGE_KEY)}) do not work; write the keys out, or quote a key of that name",
                )
            elif key.text in seen:
                self.notes.mistake(
                    key.place, f"{named(key.text)} is here a second time; the first is in line {seen[key.text].line}"
                )
            else:
                seen[key.text] = key.place
                yield key, value

    def _until(self, end: str) -> Iterator[Any]:
        while type(event := next(self.events)).__name__ != end:
            yield event

    def _aliased(self, event: Any, place: Place, depth: int) -> Node:
        """Return what an alias stands for. Its nodes count again: that is what makes a bomb of anchors."""
        node = self.anchors.get(event.anchor)
        if node is None:
            raise self._stop(
                place, f"{named('*' + event.anchor)} is no anchor of the lines above; quote a text that begins with *"
            )
        self.nodes += _size(node)
        self._count(place, depth + _depth(node) - 1)
        return node

    def _count(self, place: Place, depth: int) -> None:
        self.nodes += 1
        if depth > DEPTH_MAX:
            raise self._stop(place, f"is nested deeper than {DEPTH_MAX} levels")
        if self.nodes > NODES_MAX:
            raise self._stop(place, f"has more than {NODES_MAX} values, aliases counted each time")

    def _stop(self, place: Place, message: str) -> PolicyError:
        self.notes.mistake(place, message)
        return self.notes.error()


def _size(node: Node) -> int:
    match node:
        case Items():
            return 1 + sum(_size(item) for item in node.nodes)
        case Members():
            return 1 + sum(1 + _size(value) for _, value in node.pairs)
    return 1


def _depth(node: Node) -> int:
    match node:
        case Items():
            return 1 + max((_depth(item) for item in node.nodes), default=0)
        case Members():
            return 1 + max((_depth(value) for _, value in node.pairs), default=0)
    return 1


__all__ = [
    "WORD_CHARACTERS_MAX",
    "Items",
    "Members",
    "Node",
    "Notes",
    "Place",
    "Scalar",
    "named",
    "read_yaml",
]
