"""What rules and anomalies most likely say by mistake is warned of, in its line; words that are meant are not."""

from __future__ import annotations

import pytest

from tests.support.policies import EXAMPLE, example

REFUND, FAILED = "refund: {percent: 100}", "detail-type: [video.failed]"
TEST_RENDERS = 'match: {detail: {jobId: [{prefix: "test-"}]}}'
NO_RESULT = "  - {name: no-result, match: {detail-type: [video.rendered], detail: {result_url: [{exists: false}]}}}\n"
BY = 'by: detail.model\n      rates: {default: "0.12", premium'
"""The second row's."""

FIRST, SECOND = "render-second 2025-01-01T00:00:00Z", "render-second 2026-07-01T00:00:00Z"


def told(*changes: tuple[str, str]) -> list[str]:
    """Return what is told of the example with some texts replaced, each with its place."""
    return [f"{warning.line}:{warning.column}: {warning.message}" for warning in example(*changes).warnings]


def of_price(test: str) -> list[str]:
    """Return what is told of an anomaly in line 31 that looks at the price that was charged; its tests begin in column 57."""
    return told((NO_RESULT, f"  - {{name: no-price-of-its-own, match: {{charge: {{price: {test}}}}}}}\n"))


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        ("0.5", ["21:23: is 0.5 percent; for 0.5 of the whole write 50"]),
        ("0.125", ["21:23: is 0.125 percent; for 0.125 of the whole write 12.5"]),
        ("1", ["21:23: is 1 percent; for 1 of the whole write 100"]),
        ("1.5", []),
        ("0", []),
        ("50", []),
    ],
)
def test_so_few_percent_are_most_likely_a_share(percent: str, expected: list[str]) -> None:
    """0.5 gives half a percent back. Nothing at all may be meant."""
    assert expected == told((REFUND, f"refund: {{percent: {percent}}}"))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("submittedAt: [{exists: false}]", ["17:47: these events have no `detail.submittedAt`"]),
        ("submittedAt: [{exists: false}, null]", ["17:47: these events have no `detail.submittedAt`"]),
        ("seconds: [null]", ["17:77: these events have no `detail.seconds`"]),
        ("submittedAt: [{exists: true}]", []),
        ("submittedAt: [{exists: false}, {prefix: x}]", []),
        ("submitted: [{exists: false}]", []),
    ],
)
def test_a_rule_for_events_without_a_field_cannot_ask_for_it(match: str, expected: list[str]) -> None:
    """As far as its own pattern tells."""
    rendered = "detail-type: [video.rendered]}\n    action: debit"
    found = told(
        (rendered, f"detail-type: [video.rendered], detail: {{{match}}}}}\n    action: debit"),
        ("charge: {price: render-second,", "charge: {price: render-second, priced_at: detail.submittedAt,"),
    )
    assert [f"{start}: `match` says so in line 15" for start in expected] == found


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        (f"[{SECOND} default]", []),
        (f"[{FIRST} premium, {SECOND} premium]", []),
        ("[{prefix: render-second 2026}]", []),
        ("[{suffix: /default}]", []),
        ("[{anything-but: {prefix: render-second 2025}}]", []),
        (
            f"[{FIRST} default]",
            [
                "31:58: says nothing of the row in line 10, which counts from 2026-07-01T00:00:00Z on; "
                "`charge: {defaulted: [true]}` means every row"
            ],
        ),
        (
            f"[{FIRST} premium]",
            ["31:58: says nothing of the row in line 10, which counts from 2026-07-01T00:00:00Z on"],
        ),
        (
            "[{prefix: render-second 2025-01}]",
            ["31:67: says nothing of the row in line 10, which counts from 2026-07-01T00:00:00Z on"],
        ),
        (
            "[render-secnd 2026-07-01T00:00:00Z default]",
            ["31:58: there is no price book `render-secnd`; did you mean `render-second`? allowed: render-second"],
        ),
        (
            "[render-second 2026-07-02T00:00:00Z premium]",
            [
                "31:58: there is no row of `render-second` from 2026-07-02T00:00:00Z on; "
                "there are: 2025-01-01T00:00:00Z, 2026-07-01T00:00:00Z",
                "31:58: says nothing of the row in line 10, which counts from 2026-07-01T00:00:00Z on",
            ],
        ),
        (
            f"[{SECOND} premuim]",
            ["31:58: that row has no rate `premuim`; did you mean `premium`? allowed: default, premium"],
        ),
    ],
)
def test_an_anomaly_that_names_a_row_must_name_the_last_one(tests: str, expected: list[str]) -> None:
    """Else a new row switches it off, and nobody is told."""
    assert expected == of_price(tests)


def test_a_row_with_an_end_counts_beside_the_one_before_it() -> None:
    """An anomaly that names the row before says nothing while it counts."""
    row = '    - {effective: 2026-12-01T00:00:00Z, until: 2026-12-08T00:00:00Z, changes: {default: "0.10"}}\n'
    named = (NO_RESULT, f"  - {{name: costs, match: {{charge: {{price: [{SECOND} premium]}}}}}}\n")

    assert ["32:44: says nothing of the row in line 13, which counts from 2026-12-01T00:00:00Z on"] == told(
        ("rules:\n", f"{row}rules:\n"), named
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [(f"source: [video.generation], {FAILED}", "source: [video.generation], detail-type: [video.faield]")],
            ["36:52: no rule takes"],
        ),
        (
            [(TEST_RENDERS, "match: {detail-type: [video.renderd]}")],
            ["23:27: `video.renderd` is close to `video.rendered` in line 15; is it the same?"],
        ),
        (
            [(TEST_RENDERS, "match: {$or: [{source: [video.genertaion]}, {detail: {model: [premuim]}}]}")],
            [
                "23:29: `video.genertaion` is close to `video.generation` in line 15; is it the same?",
                "23:67: `premuim` is close to `premium` in line 9; is it the same?",
            ],
        ),
        (
            [(TEST_RENDERS, "match: {detail: {model: [{anything-but: [premuim]}]}}")],
            ["23:46: `premuim` is close to `premium` in line 9; is it the same?"],
        ),
        (
            [(TEST_RENDERS, "match: {detail: {modle: [premium]}}")],
            ["23:22: `detail.modle` is close to `detail.model` in line 8; is it the same?"],
        ),
        (
            [(BY, BY.replace("detail.model", "detail.modle"))],
            [
                "8:11: `detail.model` is close to `detail.modle` in line 11; is it the same?",
                "11:11: `detail.modle` is close to `detail.model` in line 8; is it the same?",
            ],
        ),
        (
            [("quantity: detail.seconds", "quantity: detail.secnods")],
            [
                "17:46: `detail.secnods` is close to `detail.seconds` in line 30; is it the same?",
                "30:52: `detail.seconds` is close to `detail.secnods` in line 17; is it the same?",
            ],
        ),
        (
            [
                (
                    "source: [video.generation], detail-type: [video.failed]",
                    'source: [{prefix: "video."}], detail-type: [video.failed]',
                ),
                ("source: video.generation, detail-type: video.failed", "source: video.genertaion, detail-type: video.failed"),
            ],
            ["36:21: `video.genertaion` is close to `video.generation` in line 15; is it the same?"],
        ),
        ([(TEST_RENDERS, "match: {detail: {status: [canceled]}, detail-type: [cancelled]}")], []),
        ([(TEST_RENDERS, "match: {detail: {reason: [timeout, timeuot]}}")], []),
        ([(TEST_RENDERS, "match: {detail: {jobId: [VIDEO, Video], model: [video.rendered]}}")], []),
        ([(TEST_RENDERS, "match: {detail: {models: [x], mode: [y], userIds: [z]}}")], []),
        ([(TEST_RENDERS, "match: {detail: {model: [1080, 1800]}}")], []),
    ],
)
def test_a_word_that_is_close_to_another_is_most_likely_the_same(changes: list[tuple[str, str]], expected: list[str]) -> None:
    """Of the same field: what a rate is named, or what more places say, is taken for right. Else both are told."""
    try:
        found = told(*changes)
    except ValueError as error:
        found = [str(error).split("\n", maxsplit=1)[0].removeprefix("example.yaml:")]
    assert expected == [message[: len(start)] for message, start in zip(found, expected, strict=True)]


def test_the_example_has_nothing_of_all_this() -> None:
    """It is what people write."""
    assert [] == told()
    assert [] == told(("name: video\n", "name: video2\n"))
    assert EXAMPLE.count("video.generation") > 1


ONLY_DETAIL = "an event has no `{}` beside its `detail`; is `{}` meant?"


@pytest.mark.parametrize(
    ("written", "meant", "expected"),
    [
        ("quantity: seconds", "quantity: detail.seconds", ["17:46: " + ONLY_DETAIL.format("seconds", "detail.seconds")]),
        ("quantity: Detail.seconds", "quantity: detail.seconds", ["17:46: " + ONLY_DETAIL.format("Detail", "detail.seconds")]),
        ("user: userId", "user: detail.userId", ["3:34: " + ONLY_DETAIL.format("userId", "detail.userId")]),
        ("match: {jobId: [test-1]}", TEST_RENDERS, ["23:13: " + ONLY_DETAIL.format("jobId", "detail.jobId")]),
        ("refund: {amount: charge.amount}", REFUND, ["21:22: only anomalies see `charge`; here the event alone is asked"]),
        ("match: {account: ['123456789012'], replay-name: [{exists: true}]}", TEST_RENDERS, []),
        ('quantity: "sum([seconds])"', "quantity: detail.seconds", []),
    ],
)
def test_what_is_looked_for_beside_the_detail_is_told(written: str, meant: str, expected: list[str]) -> None:
    """No event of EventBridge has it there, so each would be refused. Within a function nothing is judged."""
    assert expected == told((meant, written))


def test_rules_and_rows_that_wait_for_the_systems_own_events_are_told():
    """They would be ignored without a word: two rules, and two kinds of rows. To ask for all others is right."""
    own = "`credit.reconciler` is this system's own source, about whose events no rule is asked; name another"
    anything_but = "match: {source: [{anything-but: credit.reconciler}]"

    assert [f"{place}: {own}" for place in ("15:22", "19:22", "34:21", "36:21")] == told(
        ("video.generation", "credit.reconciler")
    )
    assert [] == told(("match: {source: [video.generation]", anything_but))


PURCHASED = """\
rules:
  - {name: bought, match: {detail-type: [credits.purchased]}, action: grant, grant: {quantity: detail.credits}}
"""
REFERENCE = "time: time}", "time: time, reference: detail.purchaseId}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("overdraft: flag", "grants: events")],
            ["26:9: no rule has `action: grant`: nobody but a person who adjusts balances can give credits"],
        ),
        ([("overdraft: flag", "grants: events"), REFERENCE, ("rules:\n", PURCHASED)], []),
        ([("overdraft: flag", "grants: application")], []),
    ],
)
def test_where_only_events_give_credits_some_rule_takes_them(changes: list[tuple[str, str]], expected: list[str]) -> None:
    """Who forgets the rule takes all purchases for events that nothing matches."""
    assert expected == told(*changes)
