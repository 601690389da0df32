"""The day of `make demo` ends as it was worked out by hand in whatever order the queue brings its events."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
import yaml

from engine.domain.envelope import Document
from engine.domain.errors import EventError
from engine.policy import load_policy
from tests.support.books import Books
from tools.demo.__main__ import DAY, envelope_of
from tools.environments import ROOT

OF_THE_ENTRY = {"unknown-job"}
"""What rests on the table of Jobs, which memory has for every job."""

ORDERS = 60


def told(books: Books, documents: list[Document]) -> dict[str, set[str]]:
    """Deliver the events, and return what is flagged, by job. The senseless one is refused."""
    for document in documents:
        try:
            books.deliver(document)
        except EventError:
            assert "j-108" == document["detail"]["jobId"]
    jobs = {str(document["detail"]["jobId"]) for document in documents}
    return {job: names for job in jobs if (names := {*books.anomalies(job)})}


@pytest.mark.parametrize("first", [[], ["j-104"]], ids=["as it comes", "the large one first"])
def test_no_order_of_the_queue_flags_more_or_less(first: list[str]) -> None:
    """A busy machine reorders what it hands over; the demo said that a value differs where nothing was wrong."""
    day: Any = yaml.safe_load(DAY.read_text())
    expected = {job: {*names.split(", ")} - OF_THE_ENTRY for job, names in day["expected"]["flagged"].items()}
    balances = {user: Decimal(granted) for user, granted in day["users"].items()}
    chance, policy = random.Random(7), load_policy(ROOT / "policies" / "video.yaml")  # noqa: S311  an order is no secret
    documents = [{"id": str(number), **envelope_of(event)} for number, event in enumerate(day["events"])]

    for _ in range(ORDERS):
        chance.shuffle(documents)
        documents.sort(key=lambda document: document["detail"]["jobId"] not in first)
        assert expected == told(Books(policy, balances), documents)
