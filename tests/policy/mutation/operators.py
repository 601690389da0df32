"""What can be wrong with a policy: each operator makes a mutant of every place that it fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice

import yaml
from attrs import frozen

from engine.domain.instants import instant_text, read_instant
from engine.policy.patterns.parse import OR
from tests.policy.mutation.places import (
    EXPRESSIONS,
    TEXTS,
    felt_at,
    fits,
    is_expression,
    is_in_pattern,
    is_operator,
    is_own_key,
    words_at,
)
from tests.policy.mutation.tree import Path, Spot, Tree

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
DURATION = re.compile(r"([0-9]+)([smhd])")
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*")
COMPARISONS = ("=", "<", "<=", ">", ">=")
MISUSED = {"prefix": "suffix", "suffix": "prefix", "equals-ignore-case": "prefix", "wildcard": "prefix", "cidr": "prefix"}
WRONG_OPERANDS = {"numeric": '[">", ">"]', "exists": "perhaps", "anything-but": "{a: b}"}
"""All others take a text, and get a number."""

YEARS = 3652
"""Ten of them in days."""


@frozen
class Mutant:
    """A policy with one thing wrong, at ``path``.

    A refusal must name one of the lines ``at``, and besides them none but those where the change is ``felt``.
    """

    operator: str
    path: Path
    text: str
    at: frozenset[int]
    felt: frozenset[int]

    def is_rightly_placed(self, lines: Iterable[int | None]) -> bool:
        """Say whether a refusal that names these lines names the right ones."""
        named = set(lines)
        return bool(named & self.at) and named <= self.at | self.felt


@frozen
class Change:
    """A changed text.

    ``at`` are the paths in it where a refusal must stand (``keys``: at the key itself): there and nowhere else (``is_exact``),
    there and besides where the change is felt, or (``is_loose``, as for a price that is too high) in one of both.
    """

    path: Path
    text: str
    at: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    is_loose: bool = False
    is_exact: bool = False


Operator = Callable[[Tree], Iterator[Change]]


def mutants(text: str, every: int = 1, kinds: str = "") -> Iterator[Mutant]:
    """Yield the mutants of a policy: of each operator whose name begins with ``kinds`` the first and each ``every``-th on."""
    tree = Tree(text)
    for name, operator in OPERATORS.items():
        if name.startswith(kinds):
            yield from (_mutant(name, change) for change in islice(operator(tree), None, None, every))


def _mutant(operator: str, change: Change) -> Mutant:
    tree = Tree(change.text)
    places = _lines(tree.by_path[path] for path in change.at if path in tree.by_path)
    at = places | frozenset(tree.by_path[path].key_line for path in change.keys)
    felt = frozenset() if change.is_exact else _lines(felt_at(change.path, tree))
    container = frozenset() if change.is_exact else _lines([tree.by_path[change.path[:-1]]])
    return Mutant(operator, change.path, change.text, at | felt if change.is_loose else at, felt | container)


def _lines(spots: Iterable[Spot]) -> frozenset[int]:
    return frozenset(line for spot in spots for line in spot.lines)


# --- keys -------------------------------------------------------------------------------------------------------------


def drop_letter(word: str) -> str:
    """Return a word without its middle letter."""
    return word[: len(word) // 2] + word[len(word) // 2 + 1 :]


def swap_letters(word: str) -> str:
    """Return a word with the last two neighbours that differ in each other's place."""
    at = max((at for at in range(len(word) - 1) if word[at] != word[at + 1]), default=0)
    return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]


def misspelt_keys(misspell: Callable[[str], str]) -> Operator:
    """Return the operator that misspells each key."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in (spot for spot in tree.spots if spot.key):
            wrong = misspell(str(spot.path[-1]))
            path = (*spot.path[:-1], wrong)
            own = is_own_key(spot)
            at = (spot.path[:-1], *_taken_for_operators(tree, spot, path)) if own else ()
            yield Change(spot.path, tree.with_key(spot, quoted(wrong)), at, keys=(path,), is_loose=own)

    return operator


def _taken_for_operators(tree: Tree, spot: Spot, path: Path) -> list[Path]:
    """Return where the alternatives of a misspelt ``$or`` stand: they are taken for the operators of a field of that name."""
    alternatives = tree.below.get(spot.path, ()) if spot.path[-1] == OR else ()
    return [path + field.path[len(path) :] for item in alternatives for field in tree.below.get(item.path, ())]


def removed_keys(tree: Tree) -> Iterator[Change]:
    """Each key is removed with all below it; the mapping that it was in lacks it."""
    for spot in (spot for spot in tree.spots if spot.key):
        yield Change(spot.path, tree.without(spot), (spot.path[:-1],), is_loose=True)


def duplicated_keys(tree: Tree) -> Iterator[Change]:
    """Each key is written twice; the second is one too many."""
    for spot in (spot for spot in tree.spots if spot.key):
        yield Change(spot.path, tree.with_twice(spot), keys=(spot.path,), is_exact=True)


# --- kinds ------------------------------------------------------------------------------------------------------------


def scalar_to_list(tree: Tree) -> Iterator[Change]:
    """Each scalar is put into a list."""
    for spot in scalars(tree):
        written = tree.text[spot.start : spot.end]
        is_safe = spot.is_quoted or not set(written) & set("[]{},")  # what brackets would take for their own
        yield _valued(tree, spot, f"[{written if is_safe else quoted(written)}]")


def list_to_scalar(tree: Tree) -> Iterator[Change]:
    """A word stands for each list."""
    for spot in (spot for spot in tree.spots if isinstance(spot.node, yaml.SequenceNode)):
        yield _valued(tree, spot, "nonsense", is_loose=fits(spot.path, *EXPRESSIONS))  # of which a word is one too


def mapping_to_scalar(tree: Tree) -> Iterator[Change]:
    """A word stands for each mapping but the whole."""
    yield from (_valued(tree, spot, "nonsense") for spot in tree.spots[1:] if isinstance(spot.node, yaml.MappingNode))


def number_to_word(tree: Tree) -> Iterator[Change]:
    """A word stands for each number."""
    yield from (_valued(tree, spot, "many") for spot in scalars(tree) if NUMBER.fullmatch(spot.scalar or ""))


def broken_expression(tree: Tree) -> Iterator[Change]:
    """Each JMESPath lacks what closes its bracket."""
    yield from (_valued(tree, spot, quoted(f"{spot.scalar}[")) for spot in scalars(tree) if is_expression(spot))


def _valued(tree: Tree, spot: Spot, new: str, *, is_loose: bool = False) -> Change:
    """Return the change of a value. What is wrong with an operand may be said of its operator."""
    operator = tree.parent(spot)
    at = (spot.path, operator.path) if is_operator(operator) else (spot.path,)
    return Change(spot.path, tree.with_value(spot, new), at, is_loose=is_loose)


# --- bounds -----------------------------------------------------------------------------------------------------------


def moved_numbers(up: int) -> Operator:
    """Return the operator that moves each number by one unit of its last place."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in scalars(tree):
            if NUMBER.fullmatch(spot.scalar or "") and not fits(spot.path, "version"):
                number = Decimal(spot.scalar or "")
                yield _moved(tree, spot, f"{number + up * Decimal(1).scaleb(int(number.as_tuple().exponent)):f}")

    return operator


def slipped_points(places: int) -> Operator:
    """Return the operator that moves the point of each number by some digits: 30 for 0.30, a half for fifty percent."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in scalars(tree):
            if (
                NUMBER.fullmatch(spot.scalar or "")
                and not fits(spot.path, "version", "money.**")
                and Decimal(spot.scalar or "")
            ):
                yield _moved(tree, spot, f"{Decimal(spot.scalar or '').scaleb(places):f}")

    return operator


def moved_instants(**by: int) -> Operator:
    """Return the operator that moves each instant."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in scalars(tree):
            instant = read_instant(spot.scalar) if INSTANT.fullmatch(spot.scalar or "") else None
            if isinstance(instant, datetime):
                yield _moved(tree, spot, instant_text(instant + timedelta(**by)))

    return operator


def moved_durations(up: int) -> Operator:
    """Return the operator that moves each length of time by one of its unit."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in scalars(tree):
            if not is_in_pattern(spot.path) and (match := DURATION.fullmatch(spot.scalar or "")):
                yield _moved(tree, spot, f"{int(match[1]) + up}{match[2]}")

    return operator


def _moved(tree: Tree, spot: Spot, new: str) -> Change:
    return _valued(tree, spot, quoted(new) if spot.is_quoted else new, is_loose=True)


# --- patterns ---------------------------------------------------------------------------------------------------------


def misused_comparisons(tree: Tree) -> Iterator[Change]:
    """Each comparison becomes each other one."""
    for spot in (spot for spot in scalars(tree) if is_in_pattern(spot.path) and spot.scalar in COMPARISONS):
        for other in COMPARISONS:
            if other != spot.scalar:
                yield _valued(tree, spot, quoted(other), is_loose=True)


def misused_operators(tree: Tree) -> Iterator[Change]:
    """A prefix becomes a suffix; what must exist must not."""
    for spot in operators(tree):
        name = str(spot.path[-1])
        if name in MISUSED:
            other = (*spot.path[:-1], MISUSED[name])
            yield Change(spot.path, tree.with_key(spot, MISUSED[name]), (other,), is_loose=True)
        if name == "exists":
            yield _valued(tree, spot, "false" if spot.scalar == "true" else "true", is_loose=True)


def unknown_operators(tree: Tree) -> Iterator[Change]:
    """Each operator becomes one that there is not."""
    for spot in operators(tree):
        yield Change(spot.path, tree.with_key(spot, "resembles"), keys=((*spot.path[:-1], "resembles"),))


def wrong_operands(tree: Tree) -> Iterator[Change]:
    """Each operand becomes one that its operator does not take."""
    yield from (_valued(tree, spot, WRONG_OPERANDS.get(str(spot.path[-1]), "7")) for spot in operators(tree))


def misspelt_words_of_events(tree: Tree) -> Iterator[Change]:
    """Each exact value of a pattern, and each word of a catch-up event, is misspelt."""
    for spot in scalars(tree):
        is_word = is_in_pattern(spot.path) and spot.key is None and spot.scalar not in COMPARISONS
        is_number = NUMBER.fullmatch(spot.scalar or "") is not None
        if (is_word or is_operand(spot) or fits(spot.path, *TEXTS)) and spot.scalar and not is_number:
            yield _valued(tree, spot, quoted(swap_letters(spot.scalar)), is_loose=True)


def is_operand(spot: Spot) -> bool:
    """Say whether a text stands behind an operator, as in ``prefix: test-``."""
    return is_operator(spot) and spot.scalar is not None and spot.path[-1] != "exists"


def operators(tree: Tree) -> list[Spot]:
    """Return the operators of all patterns, with their operands."""
    return [spot for spot in tree.spots if is_operator(spot)]


# --- words ------------------------------------------------------------------------------------------------------------


def other_words(tree: Tree) -> Iterator[Change]:
    """Each word of a list becomes each other word of that list."""
    for spot in scalars(tree):
        others = [word for word in words_at(spot.path) if word != spot.scalar]
        yield from (_valued(tree, spot, word, is_loose=True) for word in others)


def misspelt_words(tree: Tree) -> Iterator[Change]:
    """Each word of a list is misspelt."""
    for spot in scalars(tree):
        if words_at(spot.path):
            yield _valued(tree, spot, drop_letter(spot.scalar or ""))


# --- parts ------------------------------------------------------------------------------------------------------------


def dropped(*lists: str) -> Operator:
    """Return the operator that leaves out each item of some lists."""

    def operator(tree: Tree) -> Iterator[Change]:
        for spot in (spot for spot in tree.spots if fits(spot.path, *lists)):
            yield Change(spot.path, tree.without(spot), (spot.path[:-1],), is_loose=True)

    return operator


def misused_rows(tree: Tree) -> Iterator[Change]:
    """Each row's `rates` become `changes`, and the other way round."""
    for spot in (spot for spot in tree.spots if fits(spot.path, "prices.*.*.rates", "prices.*.*.changes")):
        row, other = spot.path[:-1], "changes" if spot.path[-1] == "rates" else "rates"
        text = tree.with_key(spot, other)
        at = tuple(path for path in Tree(text).by_path if path[: len(row)] == row)  # its `by`, its rates, or all of it
        yield Change(spot.path, text, at, is_loose=True)


def rates_to_null(tree: Tree) -> Iterator[Change]:
    """Null stands for each rate: in `changes` the rate is taken away."""
    for spot in scalars(tree):
        if spot.key is not None and fits(spot.path, "prices.*.*.rates|changes.*.**"):
            yield _valued(tree, spot, "null", is_loose=True)


def swapped_rules(tree: Tree) -> Iterator[Change]:
    """Each two rules that follow each other change places."""
    for one, other in tree.neighbours(("rules",)):
        yield Change(one.path, tree.swapped(one, other), (one.path, other.path), is_loose=True)


def other_expressions(tree: Tree) -> Iterator[Change]:
    """Each JMESPath becomes one that finds nothing, and the policy's next one."""
    spots = [spot for spot in scalars(tree) if is_expression(spot)]
    texts = list(dict.fromkeys(spot.scalar or "" for spot in spots))
    for spot in spots:
        following = texts[(texts.index(spot.scalar or "") + 1) % len(texts)]
        yield from (_valued(tree, spot, quoted(other), is_loose=True) for other in ("detail.elsewhere", following))


# --- all of them ------------------------------------------------------------------------------------------------------

OPERATORS: Mapping[str, Operator] = {
    "key misspelt: a letter dropped": misspelt_keys(drop_letter),
    "key misspelt: two letters swapped": misspelt_keys(swap_letters),
    "key removed": removed_keys,
    "key duplicated": duplicated_keys,
    "scalar -> list": scalar_to_list,
    "list -> scalar": list_to_scalar,
    "mapping -> scalar": mapping_to_scalar,
    "number -> word": number_to_word,
    "JMESPath broken": broken_expression,
    "JMESPath replaced": other_expressions,
    "number moved up": moved_numbers(+1),
    "number moved down": moved_numbers(-1),
    "point slipped to the right": slipped_points(+2),
    "point slipped to the left": slipped_points(-2),
    "instant a day later": moved_instants(days=1),
    "instant a day earlier": moved_instants(days=-1),
    "instant ten years later": moved_instants(days=YEARS),
    "instant ten years earlier": moved_instants(days=-YEARS),
    "duration longer": moved_durations(+1),
    "duration shorter": moved_durations(-1),
    "comparison replaced": misused_comparisons,
    "operator replaced": misused_operators,
    "operator unknown": unknown_operators,
    "operand of a wrong type": wrong_operands,
    "word of an event misspelt": misspelt_words_of_events,
    "word replaced": other_words,
    "word misspelt": misspelt_words,
    "rule dropped": dropped("rules.*"),
    "rules swapped": swapped_rules,
    "price row dropped": dropped("prices.*.*"),
    "rates and changes confused": misused_rows,
    "rate -> null": rates_to_null,
    "component dropped": dropped("rules.*.charge|grant|hold.components.*"),
    "anomaly dropped": dropped("anomalies.*"),
    "catch-up dropped": dropped("catch_up.*"),
}
"""What can be wrong: a new operator is a line here and a function above."""


def scalars(tree: Tree) -> list[Spot]:
    """Return the spots of all scalars."""
    return [spot for spot in tree.spots if spot.scalar is not None]


def quoted(text: str) -> str:
    """Return a scalar as YAML, quoted where it would be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_.-]*", text) and text not in {"true", "false", "null"}
    return text if is_plain else '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
