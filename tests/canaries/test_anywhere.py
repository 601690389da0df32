"""Personal details anywhere in an event or a row but in a text that the policy reads: none is told, whatever else is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from engine.policy import load_policy
from tests.support.canaries import EAR, PERSONAL
from tests.support.events import event, failed, rendered
from tests.support.malformed import MALFORMED
from tests.wallet.meter import Meter
from tools.environments import ROOT

RECIPES = "docs/recipes"
POLICIES = (
    "policies/video.yaml",
    "docs/recipes/stripe/policy.yaml",
    "docs/recipes/fal/policy.yaml",
    "policies/mediaconvert.yaml",
)
CANARIES = sorted(PERSONAL.values())
ODD: list[Any] = [None, True, 0, -1, 1000, "", "x", [], {}, "2026-13-05T10:00:00Z", "1" * 40]


def wrapped(chance: Random, depth: int = 3) -> Any:
    """Return a canary within objects and lists: never by itself."""
    inner: Any = chance.choice(CANARIES)
    for _ in range(chance.randint(1, depth)):
        name = chance.choice(["id", "email", "object", "value"])
        inner = chance.choice([{name: inner}, [inner, chance.choice(ODD)]])
    return inner


def spoilt(document: Any, chance: Random) -> Any:
    """Return a document in which some values, at any depth, are odd, and some are canaries within objects or lists."""
    if isinstance(document, dict):
        return {name: spoilt(value, chance) for name, value in document.items() if chance.random() > 0.03}
    draw = chance.random()
    if draw < 0.08:
        return wrapped(chance)
    return chance.choice(ODD) if draw < 0.16 else document


def documents(chance: Random) -> Iterator[dict[str, Any]]:
    """Yield events of all kinds without end, spoilt."""
    told = [json.loads((ROOT / RECIPES / of / "event.json").read_text()) for of in ("stripe", "fal", "mediaconvert")]
    bought = event("credits.purchased", {"purchaseId": "p", "userId": "u-1", "credits": 5})
    kinds = [rendered(), failed(), bought, *told, *(document for _, document, _, _ in MALFORMED)]
    while True:
        yield {**spoilt(chance.choice(kinds), chance), f"extra-{chance.random()}": wrapped(chance)}


@pytest.mark.parametrize("number", [60, pytest.param(3_000, marks=pytest.mark.proof)])
@pytest.mark.parametrize("file", POLICIES)
def test_no_event_tells_what_nobody_asked_for(file: str, number: int) -> None:
    """By both doors, under policies that read many members, and the job's own row."""
    chance, meter, outcomes = Random(file), Meter(load_policy(ROOT / file)), set[str]()  # noqa: S311  to be played again
    meter.world.job()
    for _, document in zip(range(number), documents(chance), strict=False):
        body = json.dumps(document)
        for bill in (meter.batch(body), meter.event(json.loads(body))):
            outcomes |= {line["outcome"] for line in bill.told}

    assert [] == EAR.take()
    assert {"error", "ignored"} <= outcomes


@pytest.mark.parametrize("number", [60, pytest.param(3_000, marks=pytest.mark.proof)])
def test_no_row_tells_what_nobody_asked_for(number: int) -> None:
    """A scan reads each of them."""
    chance, meter = Random("rows"), Meter(load_policy(ROOT / "policies/video.yaml"))  # noqa: S311  the same
    columns = {"seconds": 8, "model": "veo-3", "status": "completed", "updatedAt": "2026-01-05T10:00:00Z", "userId": "u-1"}
    for job in range(number):
        meter.world.job(f"j-{job}", **spoilt(columns, chance))

    told = meter.scan().told

    assert [] == EAR.take()
    assert {"error", "debited"} <= {line.get("outcome") for line in told}
