"""The book of balances: what its pages come to, however many an opening takes, and whoever dies on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.ledger.balances import BalanceBook, BalancePage, PageKind, paged
from engine.ledger.dynamodb.balances import page_item, page_of

AT, LATER = "2026-01-05T12:00:00Z", "2026-01-05T18:00:00Z"
ITEM_BYTES_MAX = 400_000

ODD = ("u-1", "a\u2028b", "\n", '"', "\\", "é" * 500, "\U0001f600" * 500, " ")


@pytest.mark.parametrize("amount", [None, Decimal(0), Decimal("-0.0001"), Decimal("9" * 38)])
def test_a_page_comes_back_as_it_was(amount: Decimal | None) -> None:
    """Users are what the application calls them: an id may have line ends, quotes and signs of any language."""
    page = BalancePage(7, PageKind.FOUND, AT, tuple((user, amount) for user in ODD), 2, 3)

    assert page == page_of(page_item(page))
    assert BalancePage(1, PageKind.CLOSED, AT) == page_of(page_item(BalancePage(1, PageKind.CLOSED, AT)))


@pytest.mark.parametrize("user", ["u-{}", "\U0001f600" * 500 + "{}"], ids=["short", "long"])
def test_an_opening_of_many_users_takes_several_pages_each_of_which_an_item_holds(user: str) -> None:
    """Together they are the opening."""
    lines = [(user.format(number), Decimal(number)) for number in range(1, 20_001 if "-" in user else 301)]
    pages = paged(4, PageKind.OPENING, AT, lines)

    assert len(pages) > 1
    assert [*range(4, 4 + len(pages))] == [page.number for page in pages]
    assert all(len(page_item(page)["lines"]["S"].encode()) < ITEM_BYTES_MAX for page in pages)
    assert dict(lines) == BalanceBook.of(pages).openings


def test_an_opening_counts_once_its_last_page_is_there() -> None:
    """Who dies before has taken none; the next one takes its own, whatever stands there already."""
    first = BalancePage(1, PageKind.OPENING, AT, (("u-1", Decimal(1)),), 1, 2)
    half = BalanceBook.of([first])
    anew = BalanceBook.of([first, BalancePage(2, PageKind.OPENING, LATER, (("u-2", Decimal(2)),))])

    assert (1, "", {}) == (half.number, half.since, half.openings)
    assert (2, LATER, {"u-2": Decimal(2)}) == (anew.number, anew.since, anew.openings)


def test_an_opening_that_was_not_finished_takes_nothing_from_the_one_before() -> None:
    """Balances stay held to that."""
    whole = BalancePage(1, PageKind.OPENING, AT, (("u-1", Decimal(1)),))
    half = BalancePage(2, PageKind.OPENING, LATER, (("u-2", Decimal(2)),), 1, 2)

    assert (AT, {"u-1": Decimal(1)}) == ((book := BalanceBook.of([whole, half])).since, book.openings)


def test_the_first_audit_that_saw_a_balance_off_stays_named_until_it_is_right() -> None:
    """Whatever it is off by meanwhile."""
    opening = BalancePage(1, PageKind.OPENING, AT)
    found = BalancePage(2, PageKind.FOUND, AT, (("u-1", Decimal(5)), ("u-2", None)))
    more = BalancePage(3, PageKind.FOUND, LATER, (("u-1", Decimal(7)), ("u-2", Decimal(0))))
    right = BalancePage(4, PageKind.FOUND, LATER, (("u-1", Decimal(0)),))

    assert {"u-1": AT, "u-2": AT} == BalanceBook.of([opening, found]).off
    assert {"u-1": AT} == BalanceBook.of([opening, found, more]).off
    assert {} == BalanceBook.of([opening, found, more, right]).off
