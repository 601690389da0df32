"""What the rows of price books change, in words for people. It imports no library, so that ``validate`` starts fast."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import east_asian_width

from engine.domain.digits import in_digits
from engine.domain.instants import instant_text
from engine.domain.money import canonical
from engine.domain.price import Tier, TierModel
from engine.policy.price_differences import Paid, RateChange, RowChanges, shown_tiers, told_together

COLUMNS = 80
INDENT = "    "
GAP = "  "

WIDEST = ((36, 18, 18, 14), (30, 14, 14, 12))
"""What fits into the columns of a table: the name of a rate, what its events cost before and now, and the difference.

The second ones fit into 80 columns whatever stands in them.
"""

HEAD = ("rate", "before", "now", "")

Cells = tuple[str, str, str, str]


def table_lines(changes: Iterable[RowChanges]) -> Iterator[str]:
    """Yield the lines of a screen: a part for each row that follows another one."""
    for row in changes:
        yield f"{_printable(row.book)} from {instant_text(row.row.effective)} {_until(row)}:"
        yield from _followed(row)
        yield from _selectors(row)
        told = [_cells(name, change) for name, change in told_together(row.changes, (row.base, row.row))]
        yield from _laid_out(told)
        yield from _kept(row.kept, is_beside_others=bool(told))


def _until(row: RowChanges) -> str:
    return f"until {instant_text(row.until)}" if row.until is not None else "on"


def _followed(row: RowChanges) -> Iterator[str]:
    """Say what a row with an end is compared with: another one with an end may stand between them."""
    if row.row.until is not None:
        yield f"{INDENT}compared with the row from {instant_text(row.base.effective)}, which has no end"


def _selectors(row: RowChanges) -> Iterator[str]:
    before, now = (_printable(", ".join(by.text for by in each.by)) for each in (row.base, row.row))
    if before != now:
        yield from _filled(INDENT, f"selected by {now or 'nothing'}; before by {before or 'nothing'}".split(), INDENT * 2)


def _kept(kept: int, *, is_beside_others: bool) -> Iterator[str]:
    if kept:
        rates = f"{kept}{' other' if is_beside_others else ''} rate{'s' if kept > 1 else ''}"
        yield f"{INDENT}{rates} cost{'s' if kept == 1 else ''} as much as before"


def _cells(name: str, change: RateChange) -> Cells:
    """Return what is told of a rate."""
    before, now = (_cost(paid, {name, change.unit}) for paid in (change.before, change.after))
    return _printable(name), _printable(before), _printable(now), _more_or_less(change.percent)


def _cost(paid: Paid | None, names: Collection[str]) -> str:
    """Return what events cost; where they have no rate of these names, with the one that counts for them."""
    if paid is None:
        return "refused"
    model = " (volume)" if len(paid.tiers) > 1 and paid.tier_model is TierModel.VOLUME else ""
    unit = "/".join(paid.keys)
    by = f" ({unit})" if unit not in names else ""
    return f"{shown_tiers(paid.tiers)}{model}{by}"


def _more_or_less(percent: Decimal | None) -> str:
    if percent is None:
        return ""
    return f"{canonical(abs(percent))} % {'more' if percent > 0 else 'less'}" if percent else "under 0.1 %"


# --- lines ------------------------------------------------------------------------------------------------------------


def _laid_out(told: Sequence[Cells]) -> Iterator[str]:
    """Yield rates in columns. What is too wide for them stands below the name of its rate."""
    tables = ([cells for cells in told if _fits(cells, widest)] for widest in WIDEST)
    table = next(cells for cells in tables if _width(_row(HEAD, _widths(cells))) <= COLUMNS)
    widths, inside = _widths(table), set(table)
    if table:
        yield _row(HEAD, widths).rstrip()
    for cells in told:
        yield from [_row(cells, widths).rstrip()] if cells in inside else _below(cells)


def _fits(cells: Cells, widest: Sequence[int]) -> bool:
    return all(_width(cell) <= most for cell, most in zip(cells, widest, strict=True))


def _widths(table: Sequence[Cells]) -> list[int]:
    return [max(map(_width, column)) for column in zip(HEAD, *table, strict=True)]


def _row(cells: Cells, widths: Sequence[int]) -> str:
    placed = (cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
    return f"{INDENT}{GAP.join(placed)}"


def _below(cells: Cells) -> Iterator[str]:
    name, before, now, difference = cells
    yield f"{INDENT}{name}"
    for label, text in ((HEAD[1], before), (HEAD[2], f"{now}: {difference}" if difference else now)):
        start = f"{INDENT * 2}{label}{' ' * (len(HEAD[1]) - len(label))}{GAP}"
        yield from _filled(start, text.split(), " " * len(start))


def _filled(first: str, words: Sequence[str], further: str) -> Iterator[str]:
    """Yield words in lines of at most 80 columns."""
    line, is_empty = first, True
    for word in words:
        if not is_empty and _width(f"{line} {word}") > COLUMNS:
            yield line
            line, is_empty = further, True
        line, is_empty = (f"{line}{word}" if is_empty else f"{line} {word}"), False
    yield line


def _width(text: str) -> int:
    """Return how many columns a text takes: what East Asia writes takes two."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _printable(text: str) -> str:
    """Return a text with nothing in it that a terminal would obey."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


# --- for machines -----------------------------------------------------------------------------------------------------


def plainly(row: RowChanges) -> dict[str, Any]:
    """Return the same as JSON has it. Rates are exact strings."""
    return {
        "book": row.book,
        "effective": instant_text(row.row.effective),
        "until": instant_text(row.until) if row.until is not None else None,
        "follows": instant_text(row.base.effective),
        "by": [by.text for by in row.row.by],
        "rates": [_plain_change(change) for change in row.changes],
        "kept": row.kept,
    }


def _plain_change(change: RateChange) -> dict[str, Any]:
    percent = in_digits(change.percent) if change.percent is not None else None
    before, after = _plain_paid(change.before), _plain_paid(change.after)
    return {"unit": change.unit, "change": change.kind.value, "before": before, "after": after, "percent": percent}


def _plain_paid(paid: Paid | None) -> dict[str, Any] | None:
    if paid is None:
        return None
    rate = {"rate": f"{paid.tiers[0].rate:f}"}
    tiers = {"tiers": [_plain_tier(tier) for tier in paid.tiers], "model": paid.tier_model.value}
    return {"unit": "/".join(paid.keys), **(rate if len(paid.tiers) == 1 else tiers)}


def _plain_tier(tier: Tier) -> dict[str, str]:
    bound = {"up_to": canonical(tier.up_to)} if tier.up_to is not None else {}
    return {**bound, "rate": f"{tier.rate:f}"}
