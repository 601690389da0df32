"""Records of the Ledger's stream at the function that explains: images of odd types, torn, of other tables, told twice."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen
from hypothesis import strategies as st

from engine.anomalies.explain.model import FAILED, ModelFailure
from engine.anomalies.explain.run import Explainer
from engine.domain.envelope import Envelope, Source
from engine.ledger.dynamodb.attributes import encode_item
from engine.policy.model import Policy
from engine.runtime.telemetry import Telemetry
from tests.fuzz.desk import Desk
from tests.fuzz.door import Door, seen
from tests.fuzz.odd import any_of, either, mapping, mostly, texts, values
from tests.support.events import rendered
from tests.support.policies import example

KINDS = ("S", "N", "BOOL", "NULL", "M", "L", "B", "SS", "NS", "BS", "X", "")
FLAGGED = {"a-1": 4000, "a-2": 301, "a-3": 2_000_000}
"""Jobs whose entries are flagged: too long, too dear."""


@functools.cache
def policy() -> Policy:
    """Return a policy that asks the model now and then."""
    return example()


class Mute:
    """A model that never answers."""

    calls = 0
    model = "mute"

    def ask(self, *_: Any) -> Any:
        """Raise what a broken endpoint raises."""
        raise ModelFailure(FAILED)

    def close(self) -> None:
        """There is nothing to close."""


def posted() -> Desk:
    """Return tables with three flagged entries and one that is not."""
    desk = Desk(is_strict=True)
    clock = desk.time.clock()
    told = [rendered(job, seconds=many) | {"id": f"e-{job}"} for job, many in {**FLAGGED, "a-4": 8}.items()]
    desk.reconciler().many([Envelope(document, Source.EVENT) for document in told], clock.deadline(60.0))
    return desk


@functools.cache
def images() -> tuple[dict[str, Any], ...]:
    """Return the items of the entries, as the stream shows them."""
    place = posted().place
    assert place is not None
    return tuple(encode_item(row) for row in sorted(place.entries(), key=lambda row: row["reference"]))


attributes = st.one_of(
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(KINDS), values),
    st.builds(lambda kind, text: {kind: text}, st.sampled_from(["S", "N"]), texts),
    values,
)
names = st.sampled_from(
    [
        "reference",
        "sequence",
        "userId",
        "jobId",
        "type",
        "amount",
        "cost",
        "money",
        "occurredAt",
        "rule",
        "policy",
        "facts",
        "anomalies",
        "samples",
        "signs",
        "price",
        "source",
        "quantity",
        "resolution",
        "correction",
        "explanation",
        "new",
    ]
)


@frozen
class Change:
    """What is done to an image: an attribute is put (None: taken away), perhaps within one of its members."""

    name: str
    inner: str | None
    attribute: Any

    def of(self, image: Any) -> Any:
        """Return the changed image."""
        if not isinstance(image, dict):
            return image
        image = copy.copy(image)
        member = image.get(self.name)
        if self.inner is not None and isinstance(member, dict) and isinstance(member.get("M"), dict) and member["M"]:
            inside = sorted(member["M"])[len(self.inner) % len(member["M"])]
            image[self.name] = {"M": Change(inside, None, self.attribute).of(member["M"])}
        elif self.attribute is None:
            image.pop(self.name, None)
        else:
            image[self.name] = self.attribute
        return image


changes = st.builds(Change, names, st.one_of(st.none(), st.text("x", max_size=4)), st.one_of(st.none(), attributes))


@frozen
class Record:
    """A record of an image with changes, and how its envelope is."""

    number: int
    changes: list[Change]
    envelope: Any
    raw: Any = None

    def told(self) -> Any:
        """Return it as Lambda hands it over."""
        if not isinstance(self.envelope, dict):
            return self.raw
        image: Any = images()[self.number]
        for change in self.changes:
            image = change.of(image)
        return {**self.envelope, "dynamodb": {**self._change(), "NewImage": image}}

    def _change(self) -> dict[str, Any]:
        inner = self.envelope.get("dynamodb")
        return inner if isinstance(inner, dict) else {"SequenceNumber": str(self.number)}

    @property
    def is_whole(self) -> bool:
        """Say whether this is just what the stream tells of a flagged entry."""
        is_insert = isinstance(self.envelope, dict) and self.envelope.get("eventName") == "INSERT"
        return is_insert and not self.changes and "SequenceNumber" in self._change() and self.number < len(FLAGGED)


envelopes = mapping(
    eventName=either("INSERT", "INSERT", "INSERT", "MODIFY", "REMOVE"),
    eventSource=either("aws:dynamodb"),
    dynamodb=mostly(mapping(SequenceNumber=either("100", "200"), StreamViewType=either("NEW_IMAGE"))),
)
anyhow = st.builds(Record, st.integers(0, 3), st.lists(changes, max_size=3), mostly(envelopes, st.none()), values)
with_another_key = st.builds(
    lambda number, name, attribute: Record(number, [Change(name, None, attribute)], {"eventName": "INSERT"}),
    st.integers(0, len(FLAGGED) - 1),
    st.sampled_from(["reference", "sequence", "userId"]),
    attributes,
)
"""All is right but what the tables are asked by."""

records = any_of(anyhow, anyhow, anyhow, with_another_key)
batches = st.lists(records, min_size=1, max_size=4)


def check(batch: list[Record]) -> None:
    """Nothing is raised; each whole record gets its words, once; no credit moves; only what was not stored comes back."""
    desk = posted()
    before = money(desk)
    lines: list[str] = []
    clock = desk.time.clock()
    telemetry = Telemetry(lines.append, clock, {"FunctionName": "explain"})
    explainer = Explainer(evolve(policy()), desk.store, Mute(), telemetry, clock)
    back = explainer.batch([record.told() for record in batch], clock.deadline(60.0))
    middle = explained(desk)
    again = explainer.batch([record.told() for record in batch], clock.deadline(60.0))
    assert all(isinstance(name, str) for name in [*back, *again])
    assert middle == explained(desk), "told twice is not told once"
    assert before == money(desk), "credits moved"
    whole = {images()[record.number]["reference"]["S"] for record in batch if record.is_whole}
    seen(f"{len(whole)} whole")
    assert whole <= middle.keys(), f"without words: {whole - middle.keys()}"
    check_words(middle)
    assert not back, f"come back although the table took everything: {back}"
    for line in lines:
        json.loads(line)
    assert not (desk.place and desk.place.wrong()), desk.place.wrong()[:1] if desk.place else ""


def money(desk: Desk) -> Any:
    """Return all that moves credits: balances, and the entries without their words."""
    assert desk.place is not None
    return sorted(map(repr, desk.place.entries())), repr(desk.credits())


def explained(desk: Desk) -> dict[str, Mapping[str, str]]:
    """Return the explanations by the references of their entries."""
    assert desk.place is not None
    return {reference: words for (reference, _), words in desk.place.words().items()}


def check_words(explanations: Mapping[str, Mapping[str, str]]) -> None:
    """Assert that an explanation can be read, and is not long."""
    for words in explanations.values():
        assert all(isinstance(text, str) and text.isprintable() for text in words.values()), words
        assert all(len(text) <= 1_000 for text in words.values()), words


DOOR = Door(
    "stream",
    batches,
    check,
    (
        "engine/anomalies/explain/run.py",
        "engine/anomalies/explain/fallback.py",
        "engine/ledger/stored.py",
        "engine/domain/fact_forms.py",
        "engine/ledger/dynamodb/attributes.py",
        "engine/ledger/dynamodb/explanations.py",
    ),
)
