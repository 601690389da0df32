"""What is said without a model: from the entry's own figures, the same every time, and as safe as an answer must be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.anomalies.explain.answer import LIKELY_CAUSES, SEVERITIES, SUMMARY_CHARACTERS_MAX, sentences
from engine.anomalies.explain.brief import Names, brief
from engine.anomalies.explain.fallback import CHECKS, explained_by_rules
from engine.anomalies.explain.texts import cleaned
from engine.domain.anomaly import Anomaly
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.explanations import RecentEntry
from engine.rating.baselines import NO_BASELINES

FIGURES = (
    ("value", "70"), ("of", "charge.amount by detail.model"), ("group", "veo-3"), ("median", "0.8"), ("mad", "0.8"),
    ("mads", "86.5"), ("samples", "40"),
)  # fmt: skip

FALLING = (
    ("median", "0.3"), ("usual", "0.8"), ("last", "20"), ("first", "job#j-0"), ("since", "2026-01-05T09:00:00Z"),
    ("of", "charge.amount by detail.model"), ("group", "veo-3"),
)  # fmt: skip


def entry(*anomalies: Anomaly, user: str = "u-1") -> Entry:
    """Return a debit of 70 that is flagged."""
    return Entry(
        reference="job#j-1", job="j-1", sequence=1, user=user, type=EntryType.DEBIT, amount=Decimal(-70),
        occurred_at=datetime(2026, 1, 5, 10, tzinfo=UTC), rule="debit-rendered", policy="video@1", facts=Facts(),
        cost=Decimal(70), money=Money(), source=Source.EVENT, anomalies=anomalies,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("anomaly", "summary", "cause", "severity"),
    [
        (
            Anomaly("costs-over-50", None, (("amount", "70"), ("quantity", "700"))),
            "A debit of 70 credits by debit-rendered is flagged costs-over-50. Behind it: amount 70, quantity 700.",
            "policy-limit", "low",
        ),
        (
            Anomaly("unusual-for-its-model", None, FIGURES),
            "A debit of 70 credits by debit-rendered is flagged unusual-for-its-model. Behind it: 70 where veo-3 has a median"
            " of 0.8 in 40 samples (86.5 mads away).",
            "unusual-usage", "high",
        ),
        (
            Anomaly("overdraft", "the balance does not cover the debit", (("debit", "70"),)),
            "A debit of 70 credits by debit-rendered is flagged overdraft. Behind it: debit 70.",
            "insufficient-balance", "medium",
        ),
        (
            Anomaly("unknown-user", "the user had no row in Credits"),
            "A debit of 70 credits by debit-rendered is flagged unknown-user.", "unknown-user", "high",
        ),
        (
            Anomaly("conflicting-charge", None, (("known", "1"), ("new", "2"))),
            "A debit of 70 credits by debit-rendered is flagged conflicting-charge. Behind it: known 1, new 2.",
            "conflicting-events", "high",
        ),
        (
            Anomaly("burst-of-one-user", None, (("jobs", "21"), ("first", "job#j-0"), ("since", "2026-01-05T09:51:00Z"))),
            "A debit of 70 credits by debit-rendered is flagged burst-of-one-user. Behind it: 21 jobs say the same since"
            " 2026-01-05T09:51:00Z, the first of them job#j-0.",
            "unusual-usage", "low",
        ),
        (
            Anomaly("rendered-twice", None, (("jobs", "2"), ("first", "job#j-0"), ("since", "2026-01-05T09:51:00Z"))),
            "The same work may be charged twice: job#j-1 costs 70 credits, and says the same as job#j-0 of"
            " 2026-01-05T09:51:00Z. It is flagged rendered-twice.",
            "repeated-work", "medium",
        ),
        (
            Anomaly("charges-fall", None, FALLING),
            "A debit of 70 credits by debit-rendered is flagged charges-fall. Behind it: the last 20 of veo-3 have a median of"
            " 0.3 where 0.8 is usual, since 2026-01-05T09:00:00Z.",
            "unusual-usage", "low",
        ),
    ],
)  # fmt: skip
def test_the_rules_explain_by_their_own_figures(anomaly: Anomaly, summary: str, cause: str, severity: str) -> None:
    """What was flagged, the figures behind it, and what to look at first."""
    judgement = explained_by_rules(entry(anomaly))

    assert (summary, cause, severity) == (judgement.summary, judgement.likely_cause, judgement.severity)
    assert CHECKS[cause] == judgement.suggested_check


OF_HOLDS = [
    (EntryType.HOLD, -70, 70, "A hold of 70 credits by debit-rendered is flagged overdraft. Behind it: debit 70."),
    (EntryType.SETTLE, 10, -80, "A settlement of 70 credits by debit-rendered is flagged overdraft. Behind it: debit 70."),
    (EntryType.FLAG, 0, 0, "A request to hold 70 credits by debit-rendered is flagged overdraft. Behind it: debit 70."),
]


@pytest.mark.parametrize(("entry_type", "amount", "held", "summary"), OF_HOLDS, ids=[str(row[0]) for row in OF_HOLDS])
def test_what_is_held_settled_or_refused_is_called_so(entry_type: EntryType, amount: int, held: int, summary: str) -> None:
    """A settlement by what it charges: 70 of the 80 that were held. A refused request by what was asked for."""
    flagged = entry(Anomaly("overdraft", None, (("debit", "70"),)))
    moved = evolve(flagged, type=entry_type, amount=Decimal(amount), held=Decimal(held), event_id="e-1")
    facts = Facts(refused=("e-1",)) if entry_type is EntryType.FLAG else Facts()

    judgement = explained_by_rules(evolve(moved, facts=facts))

    assert (summary, "insufficient-balance") == (judgement.summary, judgement.likely_cause)


def test_what_was_charged_in_the_place_of_a_hold_is_a_charge_too() -> None:
    """0.6 of the 0.8 that were held; a hold and its release are none, and neither is a settlement that gives back."""
    told = (("debit", "-0.5", 0), ("settle", "0.2", "-0.8"), ("hold", "-0.8", "0.8"), ("release", "0.8", "-0.8"))
    entries = [RecentEntry("job#j-1", 1, kind, Decimal(amount), False, Decimal(held)) for kind, amount, held in told]  # noqa: FBT003

    assert [Decimal("0.5"), Decimal("0.6"), None, None] == [entry.charge for entry in entries]
    assert RecentEntry("job#j-1", 2, "settle", Decimal(1), False, Decimal("-0.5")).charge is None  # noqa: FBT003


@pytest.mark.parametrize(
    ("entry_type", "rule", "summary"),
    [
        (EntryType.ADJUST, "adjust", "An adjustment of 70 credits by adjust is flagged overdraft."),
        (EntryType.REPRICE, "reprice", "A repricing of 70 credits by reprice is flagged overdraft."),
    ],
)
def test_what_a_person_has_told_leads_to_that_person(entry_type: EntryType, rule: str, summary: str) -> None:
    """No event and no producer stands behind it: the reason in the entry does."""
    flagged = evolve(entry(Anomaly("overdraft")), type=entry_type, rule=rule, source=Source.COMMAND)

    judgement = explained_by_rules(flagged)

    assert (summary, "insufficient-balance", "medium") == (
        judgement.summary, judgement.likely_cause, judgement.severity,
    )  # fmt: skip
    assert judgement.suggested_check.startswith("Read the reason that the entry keeps")


def test_there_is_something_to_look_at_for_every_cause() -> None:
    """Also for those that only a model names: what an entry is like keeps its cause."""
    assert set(LIKELY_CAUSES) == CHECKS.keys()


TEXTS = st.text(max_size=600)


@given(
    st.lists(
        st.builds(Anomaly, TEXTS, TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=9).map(tuple)), min_size=1, max_size=4
    )
)
def test_whatever_a_figure_says_it_is_said_in_two_sentences(anomalies: list[Anomaly]) -> None:
    """On one line, bounded, with no control character in it and nothing that a page would obey."""
    named = [Anomaly("costs-over-50", anomaly.reason, anomaly.figures) for anomaly in anomalies]

    judgement = explained_by_rules(entry(*named))

    assert 2 >= sentences(judgement.summary)
    assert SUMMARY_CHARACTERS_MAX * 5 >= len(judgement.summary)
    assert cleaned(judgement.summary, 10_000) == judgement.summary
    assert not set("<>") & set(judgement.summary)
    assert judgement.severity in SEVERITIES


@given(TEXTS, TEXTS)
def test_no_text_gets_out_of_the_data_of_a_question(group: str, user: str) -> None:
    """Neither mark can be written, nor a line begun."""
    flagged = entry(Anomaly("unusual", None, (("group", group),)), user=user or "u")

    begin, _, end = brief({"e1": flagged}, NO_BASELINES, {}, Names()).split("\n")

    assert ("<data>", "</data>") == (begin, end)


@pytest.mark.parametrize(("text", "kept"), [(200 * "x", 200 * "x"), (201 * "x", 197 * "x" + "...")], ids=["200", "201"])
def test_of_one_text_a_question_has_200_characters(text: str, kept: str) -> None:
    """Of its name, too."""
    flagged = entry(Anomaly("unusual", None, ((text, text),)))

    _, said, _ = brief({"e1": flagged}, NO_BASELINES, {}, Names()).split("\n")

    assert {kept: kept} == json.loads(said)["entries"][0]["anomalies"][0]["figures"]


def test_a_true_name_is_hidden_wherever_it_stands() -> None:
    """The longest first; a short one only where it stands alone, since numbers have it too."""
    names = Names()
    names.of("user", "anna@example.com")
    names.of("job", "7")

    assert "user-1 rendered 700" == names.hide("anna@example.com rendered 700")
    assert "job-2" == names.hide("7")
