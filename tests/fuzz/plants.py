"""Deliberate bugs, three behind each door: a door that finds none of them would find nothing else.

``python -m tests.fuzz.plants`` prints after how many inputs each is found, by chance of several seeds.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from attrs import evolve, frozen
from hypothesis import HealthCheck, Phase, given, seed, settings

import handler
from engine.anomalies.explain.run import Explainer, Record
from engine.cli import event_lines
from engine.cli.replay import _Run
from engine.domain import documents, instants, money
from engine.ledger import conditions
from engine.ledger.dynamodb import attributes, explanations
from engine.ledger.dynamodb.explanations import DynamoExplanationStore
from engine.policy import charges, source
from engine.policy.expressions import closures
from engine.policy.patterns import leaves
from engine.rating import assess
from engine.reconcile import dead_letters, reconciler
from engine.reconcile.batch import EventBatch
from tests.fuzz.door import Door
from tests.fuzz.doors import door as door_of

CERTAIN = 30
"""What one input in so many shows on average, this many times as many all miss once in e^30, which is 10^13, times."""

CHANCES = 10
"""With so many seeds the command looks for each."""

type Broken = Callable[[Any], Any]


@frozen
class Plant:
    """A deliberate bug behind a door: ``broken`` makes of what stands at ``name`` of ``place`` what takes its place.

    ``one_in`` says how often it shows at least, one input in so many; the command counts whether that is so.
    """

    door: str
    says: str
    place: Any
    name: str
    broken: Broken
    one_in: int = 100

    @property
    def inputs_max(self) -> int:
        """So many inputs are enough to find it, whichever they are."""
        return CERTAIN * self.one_in

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let it be at work for a while."""
        if isinstance(self.place, dict):
            change: Any = patch.dict(self.place, {self.name: self.broken(self.place[self.name])})
        else:
            change = patch.object(self.place, self.name, self.broken(vars(self.place)[self.name]))
        with change:
            yield


def always(value: Any) -> Broken:
    """Return what puts a function there that always answers the same."""
    return lambda _: lambda *_args, **_more: value


def put(value: Any) -> Broken:
    """Return what puts a value there."""
    return lambda _: value


def first_failure_alone(old: Any) -> Any:
    """Let only the first of the records that failed come back."""
    return lambda self, *given_: old(self, *given_)[:1]


def unguarded(_: Any) -> Any:
    """Read a record of the stream as if only entries came."""

    def read(self: Explainer, raw: Any) -> Record | None:
        inserted = self.explanations.inserted(raw)
        return Record(*inserted) if inserted is not None and inserted[0].anomalies else None

    return read


def without_rejecting(self: Any, event: Any, _error: Exception) -> None:
    """Count a reject and write it nowhere."""
    del event
    self.summary.rejected += 1
    self.summary.rejects.touch()


def without_minimum(old: Any) -> Any:
    """Let a charge cost as little as it comes to."""
    return lambda amount, price: old(amount, evolve(price, minimum=None))


def without_a_look(old: Any) -> Any:
    """Take each place for one within the file."""

    def placed(self: Any, place: Any, message: str) -> Any:
        assert self.lines[place.line - 1] is not None
        return old(self, place, message)

    return placed


def passes_no_null(old: Any) -> Any:
    """Let a test of what is not pass no null."""
    return lambda test, word: word != "null" and old(test, word)


def without_what_is_not_there(old: Any) -> Any:
    """Leave out of a list what nothing was found for."""

    def listed(tree: Any) -> Any:
        found = old(tree)
        return lambda value: [one for one in found(value) or () if one is not None]

    return listed


PLANTS = (
    Plant("handler", "a set of sources, and a list in the place of one", handler, "SCHEDULERS", frozenset),
    Plant("handler", "a time ahead of the clock counts", assess.EventReader, "refuse_ahead", always(None)),
    Plant("handler", "the row's user is not asked", conditions, "_user_allows", always(True)),
    Plant("handler", "the minimum is forgotten", charges, "within", without_minimum),
    Plant("queue", "only one message comes back", reconciler.Reconciler, "batch", first_failure_alone),
    Plant("queue", "a fraction keeps all digits", documents, "JSON", put(json.JSONDecoder(parse_float=Decimal))),
    Plant("queue", "an event that waits is forgotten", EventBatch, "_work_through", lambda old: lambda self, all_: old(
        self, {name: items[:1] for name, items in all_.items()})),
    Plant("loader", "messages with line breaks", source, "_on_one_line", lambda _: lambda text: f"{text}\n"),
    Plant("loader", "bytes that are no UTF-8 are an exception", source, "_decoded", put(lambda data, _: data.decode())),
    Plant("loader", "a place behind the last line", source.Notes, "_placed", without_a_look),
    Plant("patterns", "a letter is lowered to be compared", leaves, "_either_case", put(lambda sign: re.escape(sign.lower()))),
    Plant("patterns", "a prefix stands anywhere", leaves, "_starts", put(lambda text, leaf: text in leaf)),
    Plant("patterns", "null is nothing", leaves, "_word", passes_no_null),
    Plant("expressions", "0 gives way", closures, "is_false", put(lambda value: not value)),
    Plant("expressions", "not of 0 is true", closures, "negated", put(lambda value: not value)),
    Plant("expressions", "a list without its gaps", closures.VALUES, "multi_select_list", without_what_is_not_there),
    Plant("stream", "what is no entry is an exception", Explainer, "_read", unguarded),
    Plant("stream", "nothing is open", DynamoExplanationStore, "is_open", always(False)),
    Plant("stream", "what is no key is asked for", explanations, "is_key", always(True)),
    Plant("numbers", "39 digits", money, "fits", always(True)),
    Plant("numbers", "whatever Python's parser takes", instants, "INSTANT", put(re.compile(".*", re.DOTALL))),
    Plant("numbers", "zeros lost of whole numbers", attributes, "_canonical",
          put(lambda number: f"{number.normalize():f}"), one_in=200),
    Plant("files", "bytes that are no text are replaced", event_lines, "BYTES_KEPT", put("replace")),
    Plant("files", "a reject is lost", _Run, "_reject", put(without_rejecting)),
    Plant("files", "a letter's context is an object", dead_letters, "_object", put(lambda content, name: content.get(name))),
)  # fmt: skip


def found_after(plant: Plant, chance: int = 1) -> int | None:
    """Return how many inputs by chance it takes until the door finds a plant; None where none does."""
    door = door_of(plant.door)
    asked = 0

    @seed(chance)
    @settings(
        max_examples=plant.inputs_max,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(door.inputs)
    def look(given_: Any) -> None:
        nonlocal asked
        asked += 1
        if not stands(door, given_):
            found.append(asked)
            raise _Found  # hypothesis asks once more, to be sure

    found: list[int] = []
    with plant.at_work(), suppress(_Found):
        look()
    return found[0] if found else None


class _Found(Exception):
    """The plant was found."""


def stands(door: Door, given_: Any) -> bool:
    """Say whether all holds of an input."""
    try:
        door.watched(given_)
    except Exception:  # noqa: BLE001  whatever it is, it tells the plant
        return False
    return True


def main() -> int:
    """Print after how many inputs each plant is found, on average and at most. Exit status 1 where one is too rare."""
    rare = list(filter(_is_rare, PLANTS))
    return 1 if rare else 0


def _is_rare(plant: Plant) -> bool:
    """Look for a plant with several seeds; say whether that took more inputs on average than it says."""
    found = [found_after(plant, chance) or plant.inputs_max for chance in range(CHANCES)]
    mean = statistics.mean(found)
    print(f"{plant.door:<12} {plant.says:<52} {mean:6.0f} {max(found):6}, as it says {plant.one_in}", flush=True)
    return mean > plant.one_in


if __name__ == "__main__":
    sys.exit(main())
