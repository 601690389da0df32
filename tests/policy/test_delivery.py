"""A rule that waits for events which the stack does not deliver is told, with the value to set; so is an event for no rule."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.delivery import Delivery, delivery_warnings
from tools.delivery import chosen, samconfig_parameters, warnings
from tools.environments import ROOT
from tools.template import load, template_rules

BEFORE = """\
version: 1
name: shop
event: {job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}
rules:
"""
DEBIT = "  - {name: %s, match: %s, action: debit, charge: {amount: 1}}\n"
FLAG = "  - {name: %s, match: %s, action: flag, reason: to look at}\n"


def told(rules: str, delivers: str) -> list[tuple[int | None, str]]:
    """Return the line and the text of each warning about a policy of these rules."""
    text = BEFORE + rules
    found = delivery_warnings(parse_policy(text, "shop.yaml"), text, "shop.yaml", Delivery.read(delivers))
    return [(warning.line, warning.message) for warning in found]


IGNORED = "is delivered, and no rule takes it: such events are counted as ignored"
WAITS = "waits for events that are not delivered"
LACKS = "does not get every event that it names"
NONE_FITS = "no source comes with a detail-type that its `match` takes"


@pytest.mark.parametrize(
    ("match", "delivers", "expected"),
    [
        ("{source: [a], detail-type: [x]}", "a/x", []),
        ("{source: [a], detail-type: [x]}", "b/x", [(5, f"`r` {WAITS}: set EventSources=a"), (None, f"b/x {IGNORED}")]),
        (
            "{source: [a], detail-type: [x, y]}",
            "a/x",
            [(5, f"`r` {LACKS}: set EventDetailTypes=x,y")],
        ),
        (
            "{source: [b], detail-type: [y]}",
            "a/x",
            [(5, f"`r` {WAITS}: set EventSources=b and EventDetailTypes=y"), (None, f"a/x {IGNORED}")],
        ),
        ("{source: [{prefix: a}]}", "ab/x", []),
        (
            "{source: [{prefix: a}]}",
            "ba/x",
            [(5, f"`r` {WAITS}: {NONE_FITS}"), (None, f"ba/x {IGNORED}")],
        ),
        ("{detail-type: [{anything-but: [x]}]}", "a/y", []),
        ("{source: [{equals-ignore-case: A}]}", "a/y", []),
        ("{$or: [{source: [a]}, {detail-type: [y]}]}", "b/y", [(5, f"`r` {LACKS}: set EventSources=b,a")]),
        ("{$or: [{source: [{wildcard: a*}]}, {detail-type: [y]}]}", "b/y", []),
        ("{detail: {status: [done]}}", "a/x,b/y", []),
        ("{source: [{exists: false}]}", "a/x", [(5, f"`r` {WAITS}: {NONE_FITS}"), (None, f"a/x {IGNORED}")]),
        ("{source: [aws.partner/pay.example/1], detail-type: [x]}", "aws.partner/pay.example/1/x", []),
        ("{source: [a], detail-type: [Job State Change]}", " a / Job State Change ", []),
    ],
)  # fmt: skip
def test_what_a_rule_waits_for_is_held_to_what_is_delivered(
    match: str, delivers: str, expected: list[tuple[int | None, str]]
) -> None:
    """By the pattern language's own matcher, whatever the rule tests beside source and detail-type."""
    assert expected == told(DEBIT % ("r", match), delivers)


def test_one_value_to_set_serves_all_rules_that_wait() -> None:
    """Whoever follows any one warning has followed all; what no rule needs is not carried along."""
    rules = DEBIT % ("r", "{source: [a], detail-type: [x]}") + DEBIT % ("s", "{source: [a], detail-type: [y]}")

    assert [
        (5, f"`r` {WAITS}: set EventDetailTypes=x,y"),
        (6, f"`s` {WAITS}: set EventDetailTypes=x,y"),
        (None, f"a/z {IGNORED}"),
    ] == told(rules, "a/z")


def test_a_flag_rule_takes_events_only_where_it_names_them() -> None:
    """A flag over every event marks what others decide; one that names a detail-type is there for that."""
    rules = DEBIT % ("r", "{source: [a], detail-type: [x]}")

    assert [(None, f"a/y {IGNORED}")] == told(rules + FLAG % ("f", "{detail: {jobId: [{prefix: t}]}}"), "a/x,a/y")
    assert [] == told(rules + FLAG % ("f", "{detail-type: [y]}"), "a/x,a/y")


def test_pairs_that_two_lists_make_by_themselves_are_not_told() -> None:
    """A rule of EventBridge delivers each source with each detail-type; but of pairs that are written out each one counts."""
    rules = DEBIT % ("r", "{source: [a], detail-type: [x]}") + DEBIT % ("s", "{source: [b], detail-type: [y]}")

    assert [] == told(rules, "a/x,a/y,b/x,b/y")
    assert [(None, f"a/y {IGNORED}")] == told(rules, "a/x,a/y,b/y")


def test_what_the_scan_alone_tells_is_said() -> None:
    """Such rows are charged, hours late."""
    scan = "catch_up:\n  - {when: {status: [done]}, event: {source: a, detail-type: x, time: at}}\n"
    (warning, ignored) = told(DEBIT % ("r", "{source: [a], detail-type: [x]}") + scan, "b/y")

    assert (5, f"`r` {WAITS}: set EventSources=a and EventDetailTypes=x; until then the scan alone tells of them") == warning
    assert (None, f"b/y {IGNORED}") == ignored


def test_an_anomaly_that_waits_is_told_and_one_without_a_pattern_never_waits() -> None:
    """What an anomaly looks for comes the same way."""
    odd = "anomalies:\n  - {name: odd, match: {detail-type: [z]}}\n"
    far = "  - {name: far, outlier: {value: charge.amount, group: detail.m, mads: 6, samples: 9}}\n"
    rules = DEBIT % ("r", "{source: [a], detail-type: [x]}")

    assert [(7, f"`odd` {WAITS}: set EventDetailTypes=x,z")] == told(rules + odd + far, "a/x")


def test_a_list_that_is_too_long_for_eventbridge_is_told() -> None:
    """A pattern has at most 2,048 characters."""
    rules = DEBIT % ("r", "{source: [a]}")
    fine = "y" * (2048 - len('{"source":["a"],"detail-type":[""]}'))
    assert [] == told(rules, f"a/{fine}")
    ((line, message),) = told(rules, f"a/{fine}y")
    assert line is None
    assert message.startswith("the event pattern of what is delivered has 2049 characters: EventBridge takes 2048 characters;")


@pytest.mark.parametrize("text", ["", "a", "a/", "/x", "a/x,", "a/x,,b/y", " / "])
def test_what_is_no_pair_is_refused(text: str) -> None:
    """The message says what would be right."""
    with pytest.raises(PolicyError, match="no SOURCE/DETAIL-TYPE; write for example video.generation/video.rendered"):
        Delivery.read(text)


# --- the template, samconfig.toml and the shipped policies ------------------------------------------------------------


def test_the_templates_defaults_leave_out_the_purchases_of_the_shipped_policy_and_the_build_says_so() -> None:
    """With the very value to set; followed, nothing is left to say."""
    (warning,) = warnings({})

    assert "policies/video.yaml" == warning.file
    assert (
        "  - name: grant-purchased"
        == (ROOT / "policies" / "video.yaml").read_text().splitlines()[(warning.line or 0) - 1][:25]
    )
    setting = "EventDetailTypes=video.failed,video.rendered,credits.purchased"
    assert f"`grant-purchased` {WAITS}: set {setting}" == warning.message
    assert () == warnings(chosen([setting]))


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_samconfig_delivers_all_that_the_shipped_policy_waits_for(environment: str) -> None:
    """So `make deploy` and `sam deploy` as they come leave no rule waiting."""
    assert environment == samconfig_parameters(environment)["Environment"]
    assert () == warnings(chosen([environment]))


def test_overrides_replace_what_samconfig_says_as_sam_does() -> None:
    """So a deployment that changes one parameter and forgets the others is warned of."""
    assert {"Environment": "dev"} == chosen(["dev", "--parameter-overrides", "Environment=dev"])
    quoted = chosen(["prod", "--config-file=other.toml", 'EventDetailTypes="MediaConvert Job State Change"'])
    assert {"EventDetailTypes": "MediaConvert Job State Change"} == quoted
    assert ["`grant-purchased`"] == [warning.message.split()[0] for warning in warnings(chosen(["dev", "Environment=dev"]))]


def test_mediaconvert_gets_its_events_by_its_parameters_and_not_without() -> None:
    """Each rule is named; then none."""
    policy = {"PolicyFile": "policies/mediaconvert.yaml"}
    parameters = {"EventSources": "aws.mediaconvert", "EventDetailTypes": "MediaConvert Job State Change"}
    messages = [warning.message for warning in warnings(policy)]

    settings = "set EventSources=aws.mediaconvert and EventDetailTypes=MediaConvert Job State Change"
    assert [f"`{name}` {WAITS}: {settings}" for name in ("debit-complete", "refund-unfinished")] == messages[:2]
    assert [f"video.generation/video.{kind} {IGNORED}" for kind in ("failed", "rendered")] == messages[2:]
    assert () == warnings(policy | parameters)


def test_a_second_policy_is_asked_what_it_waits_for_too() -> None:
    """What no rule of the first takes is not delivered for the second either: it would say nothing of it."""
    beside = {"ShadowPolicyFile": "policies/mediaconvert.yaml"}
    alone = [warning.message for warning in warnings({})]
    messages = [warning.message for warning in warnings(beside)]

    assert alone == messages[: len(alone)]
    assert ["`debit-complete`", "`refund-unfinished`"] == [message.split()[0] for message in messages[len(alone) :]][:2]
    with pytest.raises(PolicyError, match="policies/gone.yaml: cannot be read"):
        warnings({"ShadowPolicyFile": "policies/gone.yaml"})


def test_a_policy_that_is_not_there_stops_the_deployment(tmp_path: Path) -> None:
    """`make deploy` checks the policy that the parameters choose before anything is deployed."""
    command = [sys.executable, "-m", "tools.delivery", "dev", "PolicyFile=policies/other.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (1, "policies/other.yaml: cannot be read: No such file or directory\n") == (done.returncode, done.stderr)
    makefile = (ROOT / "Makefile").read_text()
    for target in ("\ndeploy: ", "\ndeploy-built: "):
        checked, deployed = makefile.split(target)[1].split("\n\n")[0].split("$(SAM) deploy")
        assert "-m tools.delivery $(ENVIRONMENT) $(DEPLOY_OPTIONS)" in checked
        assert "$(DEPLOY_OPTIONS)" in deployed


def test_the_rule_lists_the_parameters_values_without_the_blanks_around_them() -> None:
    """As CloudFormation reads a CommaDelimitedList."""
    parameters = {"EventSources": " a.b ,c", "EventDetailTypes": "Clip Finished, x"}

    assert {"VideoEvents": {"source": ["a.b", "c"], "detail-type": ["Clip Finished", "x"]}} == template_rules(None, parameters)


@pytest.mark.parametrize(
    ("name", "fine", "refused"),
    [
        (
            "EventSources",
            ["video.generation", "aws.mediaconvert", "aws.partner/pay.example/123/live", "studio"],
            ["", " ", "a b", '"a"', "a\nb", "x" * 257],
        ),
        (
            "EventDetailTypes",
            ["video.rendered", "MediaConvert Job State Change", "x", "Object Created", "über/neu"],
            ["", " ", " x", "x ", '"x"', "x\\", "x" * 129],
        ),
    ],
)
def test_a_value_that_could_not_be_meant_is_refused_when_the_stack_is_made(
    name: str, fine: list[str], refused: list[str]
) -> None:
    """CloudFormation holds each value of the list to AllowedPattern; an empty list is one empty value."""
    pattern = re.compile(load()["Parameters"][name]["AllowedPattern"])

    assert fine == [value for value in (*fine, *refused) if pattern.fullmatch(value)]
