"""What is unusual for its group: how the usual is worked out, kept at hand and measured by, and what happens without it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.domain.anomaly import Sample
from engine.domain.decision import Outcome
from engine.rating.baselines import GROUPS_MAX, Baseline, Baselines, baseline_of, compute_baselines
from tests.support.books import Books
from tests.support.clock import START
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.steps import Steps

OF = "charge.amount by detail.model"
LOG_9_TO_8 = Decimal("0.105360515657")
"""The natural logarithm of 1.0 / 0.9, to twelve digits; that of 0.9 / 0.8 is larger."""

UNUSUAL = (
    "catch_up:\n",
    "  - {name: unusual, outlier: {value: charge.amount, group: detail.model, mads: 6, samples: 30}}\ncatch_up:\n",
)


@pytest.mark.parametrize(
    ("values", "median", "spread"),
    [
        ([5], "5", "0"),
        ([1, 2, 3, 4, 100], "3", "1"),  # deviations 2 1 0 1 97
        ([1, 1, 2, 2, 4, 6, 9], "2", "1"),  # the textbook's example: deviations 1 1 0 0 2 4 7
        ([1, 2, 3, 4], "2.5", "1"),
        ([8, 8, 8, 8, 18], "8", "1.6906"),  # more than half are equal: 0.8453 x mean deviation of 2
        ([8, 8, 8], "8", "0"),
    ],
)
def test_a_baseline_is_a_median_and_the_median_of_the_deviations(values: list[int], median: str, spread: str) -> None:
    """Worked out by hand."""
    baseline = baseline_of([Decimal(value) for value in values])

    assert (Decimal(median), Decimal(spread), len(values)) == (baseline.median, baseline.spread, baseline.samples)


def test_a_single_wild_value_hardly_moves_a_baseline() -> None:
    """That is why it is not a mean and a standard deviation."""
    values = [Decimal(value) for value in range(1, 100)]

    calm, wild = baseline_of(values), baseline_of([*values, Decimal(10) ** 9])

    assert abs(calm.median - wild.median) <= 1
    assert abs(calm.spread - wild.spread) <= 1


def test_of_too_many_groups_the_largest_are_kept() -> None:
    """All of them are one item of a table."""
    samples = [Sample(OF, f"g-{number:05}", Decimal(1)) for number in range(GROUPS_MAX + 500)]

    baselines = compute_baselines([*samples, samples[-1]], START)

    assert GROUPS_MAX == sum(map(len, baselines.groups.values()))
    assert {f"g-{GROUPS_MAX + 499:05}", "g-00000"} < baselines.groups[OF].keys()
    assert f"g-{GROUPS_MAX:05}" not in baselines.groups[OF]


# --- measuring --------------------------------------------------------------------------------------------------------


def books(*changes: tuple[str, str], samples: int = 30, median: str = "0.8", spread: str = "0.1") -> Books:
    """Return books with a baseline for one model."""
    groups = {OF: {"veo-3": Baseline(Decimal(median), Decimal(spread), samples)}}
    return Books(example(UNUSUAL, *changes), {"u-1": Decimal(1000)}, Baselines(groups, START))


@pytest.mark.parametrize(
    ("seconds", "names"),
    [("8", []), ("14", []), ("14.001", ["unusual"]), ("2", []), ("1.99", ["unusual"]), ("2000", ["costs-over-50", "unusual"])],
)
def test_more_than_so_many_deviations_from_the_median_are_unusual(seconds: str, names: list[str]) -> None:
    """0.80 plus or minus 6 x 0.10, in either direction; the bound itself is usual."""
    ledger = books(('numeric: [">", 300]', 'numeric: [">", 9000]'))

    ledger.deliver(rendered(seconds=seconds))

    assert names == ledger.anomalies("j-1")


def test_the_figures_say_what_was_seen() -> None:
    """They are what an explanation is made of."""
    ledger = books()

    ledger.deliver(rendered(seconds=18))

    (anomaly,) = ledger.entries_of("j-1")[0].anomalies
    assert {
        "value": "1.8",
        "of": OF,
        "group": "veo-3",
        "median": "0.8",
        "mad": "0.1",
        "mads": "10.0",
        "samples": "30",
    } == dict(anomaly.figures)


@pytest.mark.parametrize(
    ("ledger", "document"),
    [
        (books(samples=29), rendered(seconds=200)),
        (books(), rendered(seconds=200, model="never-seen")),
        (Books(example(UNUSUAL), {"u-1": Decimal(1000)}), rendered(seconds=200)),
        (books(), failed()),
        (books(), rendered(seconds=200, model="premium" * 50)),
        (books(("by: detail.model", "by: time")), rendered(seconds=200, model="\ud800")),
    ],
    ids=["too few samples", "an unknown group", "no baseline", "no charge", "a group of senseless length", "half a surrogate"],
)
def test_without_a_baseline_nothing_is_unusual(ledger: Books, document: dict[str, Any]) -> None:
    """Nobody is woken by what cannot be judged."""
    ledger.deliver(document)

    assert "unusual" not in ledger.anomalies("j-1")


def test_where_all_samples_are_equal_any_other_value_is_unusual() -> None:
    """Thirty times 0.80, and now 0.90."""
    ledger = books(spread="0")

    ledger.deliver(rendered("j-1", seconds=8), rendered("j-2", seconds=9))

    assert ([], ["unusual"]) == (ledger.anomalies("j-1"), ledger.anomalies("j-2"))


def test_an_anomaly_may_be_looked_for_in_some_events_only() -> None:
    """``match`` beside ``outlier`` says in which."""
    only_long = ("{name: unusual, outlier", "{name: unusual, match: {detail: {seconds: [{numeric: ['>', 100]}]}}, outlier")
    ledger = books(only_long)

    ledger.deliver(rendered("j-1", seconds=99), rendered("j-2", seconds=101))

    assert ([], ["unusual"]) == (ledger.anomalies("j-1"), ledger.anomalies("j-2"))
    assert ((), 1) == (ledger.entries_of("j-1")[0].samples, len(ledger.entries_of("j-2")[0].samples))


def test_an_entry_keeps_the_sample_that_was_taken() -> None:
    """The baselines of tomorrow are made of them."""
    ledger = books()

    ledger.deliver(rendered(seconds=8), failed())

    assert [(Sample(OF, "veo-3", Decimal("0.8")),), ()] == [entry.samples for entry in ledger.entries_of("j-1")]


# --- keeping at hand --------------------------------------------------------------------------------------------------


def steps_with(baseline: Baselines | None = None) -> Steps:
    """Return a reconciler whose ledger has these baselines stored."""
    steps = Steps(example(UNUSUAL))
    steps.ledger.store.baselines[steps.reconciler.policy.name] = baseline or Baselines()
    return steps


FRESH = Baselines({OF: {"veo-3": Baseline(Decimal("0.8"), Decimal("0.1"), 30)}}, START)


def test_a_container_reads_the_baselines_once_in_ten_minutes() -> None:
    """However many events it sees."""
    steps = steps_with(FRESH)

    for number in range(50):
        steps.deliver(rendered(f"j-{number}"))
    assert 1 == steps.ledger.calls.count("load")

    steps.time.elapsed += 599
    steps.deliver(rendered("late-1"))
    assert 1 == steps.ledger.calls.count("load")

    steps.time.elapsed += 1
    steps.deliver(rendered("late-2"), rendered("late-3"))
    assert 2 == steps.ledger.calls.count("load")


def test_a_policy_without_outliers_reads_none() -> None:
    """The first debit of a job stays one call."""
    steps = Steps(example())

    steps.deliver(rendered())

    assert "load" not in steps.ledger.calls
    assert "baselines" not in steps.lines[-1]


@pytest.mark.parametrize(("age", "names"), [(timedelta(hours=24), ["unusual"]), (timedelta(hours=24, seconds=1), [])])
def test_a_baseline_of_yesterday_flags_nothing(age: timedelta, names: list[str]) -> None:
    """Four scheduled runs have missed it: what was usual then is not what is usual now."""
    steps = steps_with(Baselines(FRESH.groups, START - age))

    steps.deliver(rendered(seconds=200))

    assert names == [anomaly.name for anomaly in steps.ledger.lines("j-1")[0].anomalies]


@pytest.mark.parametrize(
    ("stored", "down", "said"),
    [
        (Baselines(), False, "missing"),
        (Baselines(FRESH.groups, START - timedelta(days=2)), False, "stale"),
        (FRESH, True, "unreadable"),
        (Baselines({OF: {"veo-3": evolve(FRESH.groups[OF]["veo-3"], samples=29)}}, START), False, "few"),
        (Baselines({OF: {"veo-2": FRESH.groups[OF]["veo-3"]}}, START), False, "few"),
        (FRESH, False, None),
    ],
)
def test_the_log_says_why_nothing_can_be_unusual(stored: Baselines, down: bool, said: str | None) -> None:  # noqa: FBT001
    """And the money moves all the same."""
    steps = steps_with(stored)
    steps.ledger.down = down

    (report,) = steps.deliver(rendered(seconds=8))

    assert Outcome.DEBITED is report.outcome
    assert said == steps.lines[-1].get("baselines")
    assert int(said is not None) == steps.lines[-1]["Unjudged"]


def test_the_scheduled_run_renews_the_baselines() -> None:
    """From the samples of the ledger; the next event is measured by them."""
    steps = steps_with()
    for number in range(40):
        steps.deliver(rendered(f"j-{number}", seconds=8 + number % 3))

    answer = steps.scheduled()
    steps.deliver(rendered("j-x", seconds=60))

    assert {"groups": 1, "samples": 40} == answer["baselines"]
    (renewed,) = steps.ledger.store.baselines.values()
    assert Baseline(Decimal("0.9"), Decimal("0.1"), 40, LOG_9_TO_8) == renewed.groups[OF]["veo-3"]
    assert ["unusual"] == [anomaly.name for anomaly in steps.ledger.lines("j-x")[0].anomalies]


def test_baselines_that_cannot_be_renewed_do_not_stop_the_scan() -> None:
    """The answer says what is wrong."""
    steps = steps_with()
    steps.ledger.down = True
    steps.ledger.rows["j-1"] = {"jobId": "j-1", "userId": "u-1", "status": "failed", "updatedAt": "2026-01-05T10:00:00Z"}

    answer = steps.scheduled()

    assert {"problem": "LedgerRefused: ResourceNotFoundException"} == answer["baselines"]
    assert 1 == answer["rows"]


def test_a_group_that_no_table_can_hold_is_no_sample() -> None:
    """Half a surrogate: the entry must not be refused for the sake of an anomaly."""
    ledger = books(("by: detail.model", "by: time"))

    ledger.deliver(rendered(model="\ud800"))

    assert [()] == [entry.samples for entry in ledger.entries_of("j-1")]
