"""docs/how-to/reserve-before-the-work.md, word for word: the application's lines, and the step to a policy with holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from engine.policy import load_policy, parse_policy
from engine.preview.policy_tests import load_tests, run_test
from tests.support.books import Books
from tests.support.documentation import read_page
from tests.support.events import event, failed, rendered
from tests.support.stack import entries, give, put_job, served_with
from tools.deployment import Deployment, wait_until
from tools.environments import ROOT

PAGE = ROOT / "docs" / "how-to" / "reserve-before-the-work.md"
POLICIES = ROOT / "policies"
VIDEO, WITH_HOLDS = POLICIES / "video.yaml", POLICIES / "video-with-holds.yaml"
RULE, ATTEMPT = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
(LINES,) = (block.text for block in read_page(PAGE).blocks if block.kind == "python application")

SECONDS_MAX = 30
"""The timeout of the function, as the template has it."""

STORY = """
def render(job):
    job["seconds"] = 8
    return job["jobId"] != "j-203"

def asked(job, **more):
    return {"jobId": job, "userId": "ana", "seconds": 10, "model": "veo-3"} | more

held = reserve(asked("j-201"), "r-1")
told = [held, reserve(asked("j-201"), "r-1"), reserve(asked("j-202"), "r-2"), reserve(asked("j-202"), "r-2")]
print(json.dumps([told, start(asked("j-202")), start(asked("j-201"))]))
"""
"""ana's 1.50 credits are for one video; its answer is asked for twice, as if the process had died before it read it."""

LATER = """
def render(job):
    return False

def asked(job, **more):
    return {"jobId": job, "userId": "ana", "seconds": 5, "model": "veo-3"} | more

print(json.dumps([start(asked("j-203")), start(asked("j-203", attempt=1))]))
"""
"""A render that fails, and is tried again."""


def run_lines(stack: Deployment, story: str) -> Any:
    """Run the application's lines in a process of their own, and return what the story prints."""
    command = [sys.executable, "-c", f"{LINES}\n{story}"]
    done = subprocess.run(command, env=stack.aws.environment(), capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stack(deployed: Deployment) -> Iterator[Deployment]:
    """Return the stack, at work by the page's policy, as the application finds it: users have credits, jobs have rows."""
    give(deployed, "ana", "1.50")
    for job in ("j-201", "j-202", "j-203"):
        put_job(deployed, "ana", job, status="queued")
    with served_with(deployed, SECONDS_MAX, POLICY_FILE=f"policies/{WITH_HOLDS.name}"):
        yield deployed


def row_of_ana(stack: Deployment) -> tuple[Decimal, Decimal]:
    """Return what she can spend, and what is held."""
    item = stack.dynamodb.get_item(TableName=stack.tables.credits, Key={"userId": {"S": "ana"}}, ConsistentRead=True)["Item"]
    return Decimal(item["remaining"]["N"]), Decimal(item.get("held", {"N": "0"})["N"])


def amounts(stack: Deployment, job: str) -> list[tuple[str, Decimal]]:
    """Return a job's entries as (type, amount)."""
    return [(entry["type"]["S"], Decimal(entry["amount"]["N"])) for entry in entries(stack, job)]


def test_the_applications_lines_reserve_once_are_refused_and_settle(stack: Deployment) -> None:
    """The page's example, in which each answer is asked for once more."""
    told, refused, rendered_after = run_lines(stack, STORY)
    wait_until(lambda: row_of_ana(stack)[1] == 0, "the hold is settled")

    assert ["held", "duplicate", "refused", "refused"] == [answer["outcome"] for answer in told]
    assert [Decimal(1), Decimal(1)] == [Decimal(answer["held"]) for answer in told[:2]]
    assert Decimal("0.50") == Decimal(told[0]["remaining"])
    assert [Decimal("0.50")] * 2 == [Decimal(answer["missing"]) for answer in told[2:]]
    assert "0.5000 credits are missing" == refused
    assert "1 credits were held" == rendered_after, "as the second of two requests of one try, which is a duplicate"
    assert (Decimal("0.70"), Decimal(0)) == row_of_ana(stack)
    assert [("hold", Decimal(-1)), ("settle", Decimal("0.20"))] == amounts(stack, "j-201")
    assert [("flag", Decimal(0)), ("flag", Decimal(0))] == amounts(stack, "j-202"), "r-2, and the request of `start`"


def test_a_try_that_failed_gives_back_and_the_next_is_reserved_by_itself(stack: Deployment) -> None:
    """Each takes 0.50 and gives it back, so that ana has after it what she had before."""
    before = row_of_ana(stack)

    assert ["0.5000 credits were held"] * 2 == run_lines(stack, LATER)

    wait_until(lambda: len(amounts(stack, "j-203")) == 4, "both tries are released")
    assert before == row_of_ana(stack)


def test_the_lines_of_the_page_are_those_of_the_policy() -> None:
    """Word for word, so that what its tests show is true here too."""
    text = WITH_HOLDS.read_text()

    assert RULE in text
    assert ATTEMPT in text


def with_the_lines(text: str) -> str:
    """Return a policy with the lines of the page where the page says."""
    rules, event_fields = "  - name: debit-rendered", "  time: time\n"
    return text.replace(event_fields, event_fields + ATTEMPT, 1).replace(rules, RULE + rules, 1)


def test_a_policy_with_the_lines_of_the_page_posts_for_who_asks_for_no_hold_what_it_did() -> None:
    """All tests of the shipped policy, whose events know nothing of holds; the lines bring no warning either."""
    policy = parse_policy(with_the_lines(VIDEO.read_text()), "edited.yaml")

    assert () == policy.warnings
    assert [] == [
        line for test in load_tests(POLICIES / "tests" / VIDEO.name).tests for line in run_test(test, policy).differences
    ]


def submitted(job: str, at: str, seconds: int = 10) -> dict[str, Any]:
    """Return a request to hold."""
    return event("video.submitted", {"jobId": job, "userId": "u-1", "seconds": seconds, "model": "veo-3"}, at)


def test_nothing_is_migrated_on_the_way_to_holds_or_back() -> None:
    """Jobs of before go on as ever; what is held when the rule goes away is settled or given back by the events that come."""
    before, after = load_policy(VIDEO), parse_policy(with_the_lines(VIDEO.read_text()), "edited.yaml")
    books = Books(before, {"u-1": Decimal(10)})
    books.deliver(rendered("j-1"), rendered("j-2"))

    books.policy = after
    books.deliver(
        rendered("j-1"), failed("j-2"), submitted("j-3", "12:00"), submitted("j-4", "12:00"), submitted("j-1", "12:00")
    )
    assert [Decimal("7.2"), Decimal(2)] == [books.store.credits["u-1"][name] for name in ("remaining", "held")]

    books.policy = before
    books.deliver(rendered("j-3", seconds=8, at="12:03"), failed("j-4", at="12:03"), submitted("j-5", "12:05"))
    assert [Decimal("8.4"), Decimal(0)] == [books.store.credits["u-1"][name] for name in ("remaining", "held")]
    assert [("debit", "-0.8000")] == books.lines("j-1")
    assert [("debit", "-0.8000"), ("refund", "0.8000")] == books.lines("j-2")
    assert [("hold", "-1.0000"), ("settle", "0.2000")] == books.lines("j-3")
    assert [("hold", "-1.0000"), ("release", "1.0000")] == books.lines("j-4")
    assert [] == books.lines("j-5")
