"""What is said of a flagged entry without a model: composed from its own figures, the same every time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from engine.anomalies.explain.answer import ADDRESS, SUMMARY_CHARACTERS_MAX, Judgement, escaped
from engine.anomalies.explain.texts import cleaned
from engine.anomalies.notices import refused_of
from engine.domain.anomaly import Anomaly
from engine.domain.built_in_anomalies import (
    CLOSE_CALL,
    CONFLICTING_CHARGE,
    CONFLICTING_GRANT,
    OVERDRAFT,
    REPEAT_AFTER_REFUND,
    REPEATED_GRANT,
    REPLACED_CHARGE,
    UNKNOWN_USER,
)
from engine.domain.entry import Entry, EntryType
from engine.domain.money import EXACT

CAUSES: Mapping[str, str] = {
    UNKNOWN_USER: "unknown-user",
    CONFLICTING_CHARGE: "conflicting-events",
    CONFLICTING_GRANT: "conflicting-events",
    REPEATED_GRANT: "conflicting-events",
    REPLACED_CHARGE: "conflicting-events",
    REPEAT_AFTER_REFUND: "conflicting-events",
    CLOSE_CALL: "conflicting-events",
    OVERDRAFT: "insufficient-balance",
}
"""What the engine's own anomalies come from, the worst first.

A policy's own are unusual usage if measured or counted, else a limit. A second job that says the same is repeated work.
"""

CHECKS: Mapping[str, str] = {
    "unusual-usage": "Compare the quantity with the job's own row and with what this user usually renders.",
    "policy-limit": "See whether the job's row agrees with the event, and whether the limit still fits what is sold.",
    "repeated-work": "Compare both jobs by reconciler job: if the work was done once, give one back by reconciler adjust.",
    "insufficient-balance": "See what the user has bought, and why the application lets work begin that no balance covers.",
    "unknown-user": "See why work was done for a user who has no row in Credits.",
    "conflicting-events": "Compare the two events of this reference: the producer has told two different things.",
    "producer-fault": "Compare the event with the job's own row, and with what the producer is meant to send.",
    "pricing-mistake": "Count the entry again with reconciler explain, and compare the price with the published one.",
    "test-traffic": "See which environment the job came from.",
    "misuse": "Look at the user's statement for similar jobs before and after.",
    "unclear": "Look at the entry, the job's row and the user's statement.",
}
"""What to look at first, by the likely cause."""

PEOPLES: Mapping[EntryType, str] = {EntryType.ADJUST: "An adjustment", EntryType.REPRICE: "A repricing"}
"""What a person's entries are called."""

CALLED: Mapping[EntryType, str] = {**PEOPLES, EntryType.SETTLE: "A settlement"}
"""What entries are called; all others are called as their types."""

PEOPLES_CHECK = "Read the reason that the entry keeps, and ask who has told it: no event stands behind it."

SEVERE = {"unknown-user", "conflicting-events"}
MATTERS = {"insufficient-balance", "repeated-work"}
FAR_MADS = 20
"""So many spreads from what is usual are no chance."""

FIGURES_CHARACTERS_MAX = 40
NAME_CHARACTERS_MAX = 80
"""As much is said of the name of another log: a shorter part of it nobody could look for."""

MEASURED = {"value", "group", "median", "mads", "samples"}
COUNTED = {"jobs", "first", "since"}
"""The figures of a frequency: how many jobs say the same, and the first of them."""
FALLEN = {"median", "usual", "last", "group", "since"}
ENDS_A_SENTENCE = re.compile(r"[.!?]+(?=\s|$)")


def explained_by_rules(entry: Entry) -> Judgement:
    """Return what the figures of a flagged entry say by themselves."""
    cause = likely_cause(entry)
    check = PEOPLES_CHECK if entry.type in PEOPLES else check_of(cause)
    return Judgement(summary_of(entry), cause, severity_of(entry, cause), check)


def summary_of(entry: Entry) -> str:
    """Return two sentences: what was flagged and for what, and the figures behind it."""
    names = ", ".join(anomaly.name for anomaly in entry.anomalies)
    what = f"{_subject(entry)} is flagged {names}."
    if is_repeated_work(entry):
        return escaped(cleaned(_repeated(entry, names), SUMMARY_CHARACTERS_MAX))
    figures = "; ".join(dict.fromkeys(_figures(anomaly) for anomaly in entry.anomalies if anomaly.figures))
    said = f"{what} Behind it: {figures}." if figures else what
    return escaped(cleaned(said, SUMMARY_CHARACTERS_MAX))


def likely_cause(entry: Entry) -> str:
    """Return the word for what the anomalies come from."""
    names = {anomaly.name for anomaly in entry.anomalies}
    for name, cause in CAUSES.items():
        if name in names:
            return cause
    if is_repeated_work(entry):
        return "repeated-work"
    return "unusual-usage" if any(map(_is_of_many, entry.anomalies)) else "policy-limit"


def is_repeated_work(entry: Entry) -> bool:
    """Say whether a look back has found that another job says what this one says, and this one is charged all the same."""
    return entry.cost > 0 and any(_is_second(anomaly) for anomaly in entry.anomalies)


def _is_second(anomaly: Anomaly) -> bool:
    said = dict(anomaly.figures)
    return said.keys() == COUNTED and said["jobs"] == "2"


def _is_of_many(anomaly: Anomaly) -> bool:
    said = dict(anomaly.figures).keys()
    return "mads" in said or said == COUNTED or said >= FALLEN


def severity_of(entry: Entry, cause: str) -> str:
    """Return how much it matters: what cannot be, or is very far from what is usual, most."""
    if cause in SEVERE or any(_is_far(anomaly) for anomaly in entry.anomalies):
        return "high"
    return "medium" if cause in MATTERS or len(entry.anomalies) > 1 else "low"


def check_of(cause: str) -> str:
    """Return what to look at first."""
    return CHECKS[cause]


def _is_far(anomaly: Anomaly) -> bool:
    try:
        return Decimal(dict(anomaly.figures).get("mads", "0")) >= FAR_MADS
    except InvalidOperation:  # a detector of another kind has its own words
        return False


def _figures(anomaly: Anomaly) -> str:
    said = dict(anomaly.figures)
    if said.keys() == COUNTED:
        return (
            f"{_word(said['jobs'])} jobs say the same since {_word(said['since'])}, the first of them {_name(said['first'])}"
        )
    if said.keys() >= FALLEN:
        last = f"the last {_word(said['last'])} of {_word(said['group'])} have a median of {_word(said['median'])}"
        return f"{last} where {_word(said['usual'])} is usual, since {_word(said['since'])}"
    if said.keys() >= MEASURED:
        figures = {name: _word(text) for name, text in said.items()}
        return (
            f"{figures['value']} where {figures['group']} has a median of {figures['median']}"
            f" in {figures['samples']} samples ({figures['mads']} mads away)"
        )
    return ", ".join(f"{_word(name)} {_word(text)}" for name, text in anomaly.figures)


def _subject(entry: Entry) -> str:
    """Return what is flagged: the entry, or the job, where a look back has put the flag behind all of its entries."""
    if entry.rule in {anomaly.name for anomaly in entry.anomalies}:
        return _name(entry.reference)
    if not entry.names_its_user:
        return f"A request to hold {_word(refused_of(entry) or '')} credits by {_word(entry.rule)}"
    what = CALLED.get(entry.type, f"A {entry.type.value}")
    moved = EXACT.add(entry.amount, entry.held) if entry.type is EntryType.SETTLE else entry.amount
    return f"{what} of {abs(moved):f} credits by {_word(entry.rule)}"


def _repeated(entry: Entry, names: str) -> str:
    """Return what a second charge of the same work is, with both jobs and what the second costs."""
    said = next(dict(anomaly.figures) for anomaly in entry.anomalies if _is_second(anomaly))
    second = f"{_name(entry.reference)} costs {entry.cost:f} credits"
    first = f"says the same as {_name(said['first'])} of {_word(said['since'])}"
    return f"The same work may be charged twice: {second}, and {first}. It is flagged {names}."


def _name(reference: str) -> str:
    return _word(reference, NAME_CHARACTERS_MAX)


def _word(text: str, characters_max: int = FIGURES_CHARACTERS_MAX) -> str:
    """Return a text of an event as a part of a sentence, which it cannot end, and without an address."""
    if ADDRESS.search(text):
        return "(an address)"
    return ENDS_A_SENTENCE.sub("", cleaned(text, characters_max))
