"""The model that was used, as far as facts tell it: what an expression like ``detail.model`` has found in the event."""

from __future__ import annotations

import re

from engine.domain.fact_kinds import content_of
from engine.domain.facts import Facts

FINDS_A_MODEL = re.compile(r"(?:^|\.)model$")
"""An expression that finds a model: ``detail.model``, ``row.model``."""


def model_named(facts: Facts) -> str:
    """Return the model that the event named whose priced fact counts; empty where the policy asked for none."""
    return ", ".join(dict.fromkeys(str(text) for expression, text in content_of(facts) if FINDS_A_MODEL.search(expression)))
