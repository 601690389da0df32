"""An event that makes no sense raises, names event, rule and field, and leaves nothing behind."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.decision import Outcome
from engine.domain.errors import EventError
from tests.support.books import Books
from tests.support.events import rendered
from tests.support.malformed import MALFORMED, MALFORMED_IN_A_FILE, TIME, UNMATCHED, ids
from tests.support.policies import example

CASES = [*MALFORMED, *MALFORMED_IN_A_FILE]


@pytest.mark.parametrize(("document", "field", "problem"), [case[1:] for case in CASES], ids=ids(CASES))
def test_an_event_that_makes_no_sense_is_refused(document: dict[str, Any], field: str, problem: str) -> None:
    """Nothing is posted, and the message says where to look."""
    books = Books(example(TIME), {"u-1": Decimal(100)})

    with pytest.raises(EventError) as caught:
        books.deliver(document)

    assert {} == books.entries
    assert (document["id"], field) == (caught.value.event, caught.value.field)
    assert caught.value.rule in {"debit-rendered", "refund-failed"}
    assert problem in caught.value.problem
    assert all(part in str(caught.value) for part in (document["id"], caught.value.rule, field))


def test_a_model_without_a_rate_needs_a_default() -> None:
    """A price book that names its models is meant to know them all."""
    books = Books(example(('default: "0.10", ', "")), {"u-1": Decimal(100)})

    with pytest.raises(EventError, match="detail.model"):
        books.deliver(rendered(model="veo-3"))


def test_what_no_rule_matches_is_none_of_our_business() -> None:
    """An event is only read when a rule wants it."""
    assert [Outcome.IGNORED] == Books(example(), {}).deliver(UNMATCHED)


@pytest.mark.parametrize("seconds", [8, 8.0, "8", "8.0", Decimal(8), Decimal("8.000")])
def test_all_ways_to_write_a_number_are_one_charge(seconds: Any) -> None:
    """A queue, a row and a direct event write the same length differently; it is not rendered twice."""
    books = Books(example(), {"u-1": Decimal(100)})

    assert [Outcome.DEBITED, Outcome.DUPLICATE] == books.deliver(rendered(seconds=8), rendered(seconds=seconds))
