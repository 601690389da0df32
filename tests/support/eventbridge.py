"""What EventBridge delivers to the function, by the rules of template.yaml and by no others."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.policy.patterns import compile_pattern
from tools.template import template_rules

ENVELOPE = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
BYTES_MAX = 256 * 1024
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""EventBridge keeps whole seconds, in UTC."""


@functools.cache
def rules() -> dict[str, Callable[[Mapping[str, Any]], bool]]:
    """Return the template's rules as predicates."""
    return {name: compile_pattern(pattern) for name, pattern in template_rules().items()}


def delivered(document: dict[str, Any]) -> dict[str, Any]:
    """Return the event as the function gets it: through JSON, and only if a rule of the template routes it here.

    Fails for an event that EventBridge would not accept or not deliver.
    """
    assert document.keys() == ENVELOPE, f"not an envelope of EventBridge: {sorted(document)}"
    assert TIME.fullmatch(document["time"]), f"not a time of EventBridge: {document['time']}"
    text = json.dumps(document, allow_nan=False)
    assert len(text) <= BYTES_MAX
    event: dict[str, Any] = json.loads(text)
    assert any(matches(event) for matches in rules().values()), "no rule of template.yaml delivers this event"
    return event
