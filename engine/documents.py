"""JSON from outside, with its numbers exact."""

from __future__ import annotations

import json
from decimal import Decimal

from engine.errors import EventError
from engine.values import Document

EXACT_JSON = json.JSONDecoder(parse_float=Decimal)


def read_document(text: str | bytes) -> Document:
    """Return a JSON object with its numbers exact (a fraction is a Decimal). Raises EventError for anything else."""
    try:
        document = EXACT_JSON.decode(text) if isinstance(text, str) else json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise EventError("(unreadable)", "(none)", "body", f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise EventError("(unreadable)", "(none)", "body", f"is a JSON {type(document).__name__}; an object is needed")
    return document
