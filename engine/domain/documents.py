"""JSON from outside: one reading of it, whichever door it came in by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.domain.envelope import Document
from engine.domain.errors import EventError, quoted
from engine.domain.money import json_number

JSON = json.JSONDecoder(parse_float=json_number)

UNREADABLE = "(unreadable)"

WHOLE_DIGITS_MAX = 4000
"""Python reads no longer whole numbers; none of more than 38 digits is ever stored."""

NAMES_MAX = 8
"""How many members of what is no event a message names."""


def read_document(text: object, name: str = UNREADABLE) -> Document:
    """Return a JSON object. A whole number in it is exact, any other the decimal that every door reads (``json_number``).

    ``name`` is what an error calls it. Raises EventError for anything else.
    """
    if not isinstance(text, str | bytes):
        raise EventError(name, "(none)", "body", f"is {quoted(text)}; a text is needed")
    try:
        document = JSON.decode(text) if isinstance(text, str) else json.loads(text, parse_float=json_number)
    except (ValueError, ArithmeticError) as error:
        raise EventError(name, "(none)", "body", f"is not JSON: {error}") from error
    except RecursionError as error:
        raise EventError(name, "(none)", "body", "is not JSON that can be read: it is nested too deeply") from error
    if not isinstance(document, dict):
        raise EventError(name, "(none)", "body", f"is a JSON {type(document).__name__}; an object is needed")
    return document


def read_event(text: object, name: str = UNREADABLE) -> Document:
    """Return the EventBridge event in a text. Raises EventError for what is no JSON object, or one of another kind."""
    document = read_document(text, name)
    if not is_event(document):
        raise EventError(name, "(none)", "body", no_event(document))
    return document


def is_event(document: object) -> bool:
    """Say whether this is an EventBridge event: it says in words what it is, and where it comes from."""
    if not isinstance(document, Mapping):
        return False
    return all(isinstance(document.get(name), str) for name in ("source", "detail-type"))


def no_event(document: object) -> str:
    """Return what there is in place of an EventBridge event, and what to do about it, as an error says it."""
    if not isinstance(document, Mapping):
        return f"is {quoted(document)}, which is no EventBridge event"
    if document.get("Type") == "Notification" and "TopicArn" in document:
        return "is no EventBridge event but an SNS notification: turn on raw message delivery for its subscription"
    if isinstance(document.get("Records"), list):
        return "is no EventBridge event but a list of records, as a queue, a bucket or a topic hands them to a function"
    wrong = [f"`{name}` is {quoted(document.get(name))}" for name in ("source", "detail-type") if not _is_text(document, name)]
    return f"is no EventBridge event: {' and '.join(wrong)}; {_members(document)}"


def _is_text(document: Mapping[Any, Any], name: str) -> bool:
    return isinstance(document.get(name), str)


def _members(document: Mapping[Any, Any]) -> str:
    names = [quoted(name) for name in list(document)[:NAMES_MAX]]
    more = ", ..." if len(document) > NAMES_MAX else ""
    return f"it has {', '.join(names)}{more}" if names else "it is empty"


def told_number(text: str) -> int | Decimal:
    """Return a number as a document of others says it: a whole one is exact, any other is ``json_number``'s."""
    return int(text) if text.lstrip("-").isdigit() and len(text) <= WHOLE_DIGITS_MAX else json_number(text)


def as_told(value: Any) -> Any:
    """Return what a table holds of a document as an event would have told it: a fraction is the decimal of its binary double.

    Whole numbers stay exact. Only for documents of others: what the ledger wrote itself is never rounded.
    """
    if isinstance(value, Decimal):
        return value if not value.is_finite() or value == value.to_integral_value() else json_number(str(value))
    if isinstance(value, dict):
        return {name: as_told(member) for name, member in value.items()}
    return [as_told(member) for member in value] if isinstance(value, list) else value
