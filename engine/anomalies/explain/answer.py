"""What may be said of a flagged entry: a strict schema, and what of an answer is taken.

The answer comes from outside, however polite the question was. Only what keeps to the schema to the letter is taken, and its
texts are escaped: whoever shows them to a person shows text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from engine.anomalies.explain.texts import cleaned

LIKELY_CAUSES = (
    "unusual-usage",
    "policy-limit",
    "repeated-work",
    "insufficient-balance",
    "unknown-user",
    "conflicting-events",
    "producer-fault",
    "pricing-mistake",
    "test-traffic",
    "misuse",
    "unclear",
)
SEVERITIES = ("low", "medium", "high")

SUMMARY_CHARACTERS_MAX = 400
CHECK_CHARACTERS_MAX = 300
SENTENCES_MAX = 2

SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")
ADDRESS = re.compile(r"://|www\.|mailto:|\b[\w.+-]+@[\w-]+\.\w", re.IGNORECASE)
"""An explanation sends nobody anywhere: what has an address in it was dictated by somebody else."""

PSEUDONYM = re.compile(r"\b(user|job|event)-\d+\b")

EXPLANATION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "entry": {"type": "string"},
        "summary": {"type": "string"},
        "likely_cause": {"type": "string", "enum": list(LIKELY_CAUSES)},
        "severity": {"type": "string", "enum": list(SEVERITIES)},
        "suggested_check": {"type": "string"},
    },
    "required": ["entry", "summary", "likely_cause", "severity", "suggested_check"],
    "additionalProperties": False,
}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"explanations": {"type": "array", "items": EXPLANATION_SCHEMA}},
    "required": ["explanations"],
    "additionalProperties": False,
}
"""What the endpoint is asked to keep to: only keywords that strict structured outputs know. The rest is checked here."""


class AnswerError(ValueError):
    """An answer that is none. It has a reason for people, never what was said."""


@frozen
class Judgement:
    """What was said of one entry: checked and escaped."""

    summary: str
    likely_cause: str
    severity: str
    suggested_check: str


@frozen
class Explanation:
    """What is stored of a flagged entry. ``by`` is ``model`` or ``rules``.

    ``model`` names the model that was asked, ``why`` says why none was or what was wrong with its answer, and ``like`` names
    the entry whose cause and severity these are: one explained within the hour that is flagged for the same reasons.
    """

    judgement: Judgement
    by: str
    at: str
    model: str | None = None
    why: str | None = None
    like: str | None = None

    def attributes(self) -> dict[str, str]:
        """Return it as it is stored; what says nothing is left out."""
        said = self.judgement
        found = {
            "summary": said.summary,
            "likely_cause": said.likely_cause,
            "severity": said.severity,
            "suggested_check": said.suggested_check,
            "by": self.by,
            "model": self.model,
            "why": self.why,
            "like": self.like,
            "at": self.at,
        }
        return {name: value for name, value in found.items() if value is not None}


def read_answer(text: str, labels: Iterable[str]) -> dict[str, Judgement]:
    """Return what was said of each of ``labels``, as far as it may be taken. Raises AnswerError for what is no answer."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnswerError("is not JSON") from error
    if not isinstance(answer, dict) or answer.keys() != {"explanations"} or not isinstance(answer["explanations"], list):
        raise AnswerError("has not the members that were asked for")
    wanted = set(labels)
    found: dict[str, Judgement] = {}
    for said in answer["explanations"]:
        label = said.get("entry") if isinstance(said, dict) else None
        if not isinstance(label, str) or label not in wanted or label in found:
            raise AnswerError("speaks of entries that nobody asked about, or twice of one")
        if (judgement := _judgement(said)) is not None:
            found[label] = judgement
    return found


def _judgement(said: Mapping[str, Any]) -> Judgement | None:
    """Return what was said of one entry, or None where it does not keep to the schema."""
    if said.keys() != EXPLANATION_SCHEMA["properties"].keys() or not all(isinstance(value, str) for value in said.values()):
        return None
    summary, check = said["summary"], said["suggested_check"]
    keeps = (
        said["likely_cause"] in LIKELY_CAUSES
        and said["severity"] in SEVERITIES
        and is_plain(summary, SUMMARY_CHARACTERS_MAX)
        and is_plain(check, CHECK_CHARACTERS_MAX)
    )
    return Judgement(escaped(summary), said["likely_cause"], said["severity"], escaped(check)) if keeps else None


def is_plain(text: str, characters_max: int) -> bool:
    """Say whether ``text`` is one or two sentences of printable text, not too long, and without an address in it."""
    is_shown_whole = bool(text.strip()) and len(text) <= characters_max and cleaned(text, characters_max) == text.strip()
    return is_shown_whole and sentences(text) <= SENTENCES_MAX and not ADDRESS.search(text)


def sentences(text: str) -> int:
    """Return how many sentences ``text`` has; one at least."""
    ends = len(SENTENCE_END.findall(text))
    return ends + (not SENTENCE_END.search(text.rstrip()[-1:]))


def escaped(text: str) -> str:
    """Return ``text`` as a page may show it, with the users and jobs that only the question named."""
    plain = PSEUDONYM.sub(lambda name: f"the {name[1]}", text.strip())
    return html.escape(plain, quote=False)
