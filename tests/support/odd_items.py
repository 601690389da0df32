"""Items that are no entries of this system, or hardly: whoever can write the table can put each of them into it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

type Item = dict[str, Any]

HUGE, TINY = f"9{'9' * 37}E+87", "1E-130"

ODD_VALUES: Mapping[str, Any] = {
    "nothing": None,
    "a text": {"S": "paid by hand"},
    "no character": {"S": ""},
    "half a character's neighbour": {"S": "\u0000\u202e"},
    "a number": {"N": "7"},
    "a half": {"N": "-0.5"},
    "a huge number": {"N": HUGE},
    "a tiny number": {"N": TINY},
    "a null": {"NULL": True},
    "a truth": {"BOOL": False},
    "bytes": {"B": b"\x00\xff"},
    "an empty list": {"L": []},
    "a list of nothing": {"L": [{"NULL": True}, {"L": []}, {"S": "x"}]},
    "a list of lists": {"L": [{"L": [{"L": [{"M": {}}]}]}]},
    "an empty map": {"M": {}},
    "a map of junk": {"M": {"name": {"L": []}, "at": {"M": {"x": {"BS": [b"\x01"]}}}, "id": {"N": "1"}, "": {"S": "x"}}},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2.5"]},
}
"""What stands in the place of an attribute; None: it is left out."""

ODD_SEQUENCES = ("1.5", "0", "-1", "7", "99999999999999999999999999999999999999", HUGE, TINY)


def odd_items(entry: Item) -> Iterator[tuple[str, Item]]:
    """Yield items with what is odd in each: an entry with another value for each attribute, at each depth, or in its key."""
    for path in _paths(entry):
        if path[0] not in {"reference", "sequence"}:
            for name, value in ODD_VALUES.items():
                yield f"{'.'.join(map(str, path))} is {name}", _with(entry, path, value)
    for sequence in ODD_SEQUENCES:
        yield f"sequence is {sequence}", {**entry, "sequence": {"N": sequence}}
    for reference in ("x", "job#", "#", "adjust#", "repair#\u0000", "grant#" + "g" * 1500):
        yield f"reference is {reference[:9]!r}", {**entry, "reference": {"S": reference}}
    yield "nothing but its key", {name: entry[name] for name in ("reference", "sequence")}
    yield "one attribute more", {**entry, "resolution": {"M": {"entries": {"S": "1"}}}, "explanation": {"N": "1"}}


def _paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield where values stand in an item, at any depth."""
    for name, each in value.items():
        yield (name,)
        if "M" in each:
            yield from ((name, *rest) for rest in _paths(each["M"]))
        if "L" in each:
            for place, member in enumerate(each["L"]):
                yield (name, place)
                yield from ((name, place, *rest) for rest in _paths(member.get("M", {})))


def _with(entry: Item, path: tuple[str | int, ...], value: Any) -> Item:
    changed = copy.deepcopy(entry)
    here: Any = changed
    for place, part in enumerate(path[:-1]):
        here = here[part]
        here = here["L"] if isinstance(path[place + 1], int) else here["M"]
    if value is None:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return changed
