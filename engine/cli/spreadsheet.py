"""Rows as CSV (RFC 4180) that a spreadsheet takes as text and numbers, and never as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from engine.domain.digits import in_digits

BEGINS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  spreadsheets take the wide forms for the narrow ones
"""A cell that begins so is worked out by a spreadsheet. Source: OWASP, "CSV Injection"."""


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return the columns' names and the rows as CSV. Numbers are exact; a quote stands before what would be a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return in_digits(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in BEGINS_A_FORMULA else text
