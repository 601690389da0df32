"""What is sent to X-Ray, and that nothing which goes wrong there is felt."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.domain.assessment import Assessment
from engine.domain.envelope import Source
from engine.domain.errors import EventError
from engine.domain.facts import Facts
from engine.runtime import tracing
from engine.runtime.telemetry import Telemetry
from engine.runtime.tracing import TEXT_CHARACTERS_MAX, UNTRACED, Tracer, XRayTracer, pseudonym, tracer_of
from tests.support.clock import ManualClock
from tests.support.xray import Daemon, annotations

ROOT, PARENT = "1-5bef4de7-ad49b0e87f6ef6c87fc2e700", "9a9197af755a6419"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Return a daemon to which the SDK sends."""
    with Daemon() as listening:
        monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", listening.address)
        tracing._recorder.cache_clear()  # noqa: SLF001  the SDK reads the address once for each process
        tracing._recorder().emitter.set_daemon_address(listening.address)  # noqa: SLF001  the same
        yield listening
    tracing._recorder.cache_clear()  # noqa: SLF001  the same


@pytest.fixture
def tracer(daemon: Daemon) -> Tracer:
    """Return what traces a sampled invocation."""
    return tracer_of({"_X_AMZN_TRACE_ID": SAMPLED})


def assessment(job: str | None = "j-1", user: str = "u-1", rule: str = "debit-rendered") -> Assessment:
    """Return an assessment that says whose it is."""
    return Assessment(f"job#{job}", job, user, datetime(2026, 1, 5, 10, tzinfo=UTC), rule, Facts(), Source.EVENT)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"Root={ROOT};Parent={PARENT};Sampled=0",
        f"Root={ROOT};Parent={PARENT};Sampled=?",
        f"Root={ROOT};Parent={PARENT}",
        f"Root={ROOT};Sampled=1",
        f"Parent={PARENT};Sampled=1",
        "Sampled=1",
        "Sampled=12",
        "nonsense",
    ],
)
def test_what_lambda_has_not_sampled_is_not_traced(header: str | None, daemon: Daemon) -> None:
    """Or what it says of it cannot be used."""
    assert UNTRACED is tracer_of({} if header is None else {"_X_AMZN_TRACE_ID": header})


def test_a_subsegment_says_what_it_was_about(tracer: Tracer, daemon: Daemon) -> None:
    """The trace is known by its root."""
    with tracer.span("decide") as span:
        span.annotate([assessment()], outcome="debited", attempt=1, policy=None)

    assert ROOT == tracer.trace
    about = {"job": "j-1", "user": "a24a7f55f278dd49", "rule": "debit-rendered"}
    assert [("decide", {**about, "outcome": "debited", "attempt": 1})] == annotations(daemon.documents())


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ([], {}),
        ([assessment("j-1"), assessment("j-2")], {"user": "a24a7f55f278dd49", "rule": "debit-rendered", "events": 2}),
        ([assessment("j-1"), assessment("j-1", "u-2", "refund-failed")], {"job": "j-1", "events": 2}),
        ([assessment(None)], {"user": "a24a7f55f278dd49", "rule": "debit-rendered"}),
    ],
)
def test_of_several_it_says_what_they_have_in_common(
    about: list[Assessment], told: dict[str, Any], tracer: Tracer, daemon: Daemon
) -> None:
    """And how many they are; a grant has no job."""
    with tracer.span("match") as span:
        span.annotate(iter(about))

    assert [("match", told)] == annotations(daemon.documents())


@pytest.mark.parametrize(("outcomes", "told"), [(["debited"] * 2, "debited"), (["debited", "duplicate"], None), ([], None)])
def test_of_several_outcomes_it_says_the_one_that_all_have(
    outcomes: list[str], told: str | None, tracer: Tracer, daemon: Daemon
) -> None:
    """Different ones are in the log."""
    with tracer.span("decide") as span:
        span.annotate(outcome=iter(outcomes))

    assert [told] == [about.get("outcome") for _, about in annotations(daemon.documents())]


def test_a_user_is_called_by_the_first_digits_of_a_hash() -> None:
    """`printf %s u-1 | sha256sum | cut -c 1-16`; ids that are no Unicode have one too."""
    assert "a24a7f55f278dd49" == pseudonym("u-1")
    assert pseudonym("u-1") != pseudonym("u-2")
    assert 16 == len(pseudonym("\ud800"))


def test_a_text_is_cut_where_x_ray_would_refuse_it(tracer: Tracer, daemon: Daemon) -> None:
    """A job's id has up to 1,024 characters."""
    with tracer.span("match") as span:
        span.annotate([assessment("j" * 1024)])

    ((_, about),) = annotations(daemon.documents())
    assert "j" * TEXT_CHARACTERS_MAX == about["job"]


def test_an_error_that_leaves_a_subsegment_is_its_fault(tracer: Tracer, daemon: Daemon) -> None:
    """The error goes on as it is; its message, which may name a user, is not sent."""
    error = EventError("e-1", "debit-rendered", "detail.userId", "is u-2, and the job belongs to u-1")

    with pytest.raises(EventError) as raised, tracer.span("decide"):
        raise error

    (document,) = daemon.documents()
    assert error is raised.value
    assert {"event", "rule", "field", "problem"} == vars(error).keys()
    assert document["fault"] is True
    told = {"error": "EventError", "errors": 1, "rule": "debit-rendered", "field": "detail.userId"}
    assert told == document["annotations"]
    assert "u-2" not in json.dumps(document)


def test_an_error_inside_that_does_not_leave_it_can_be_told(tracer: Tracer, daemon: Daemon) -> None:
    """As of an event in a batch."""
    with tracer.span("match") as span:
        span.failed(EventError("e-1", "r", "time", "is missing"))
        span.failed(RuntimeError("no"))

    (document,) = daemon.documents()
    assert (True, 2) == (document["fault"], document["annotations"]["errors"])


class Broken:
    """A recorder of which nothing works."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any) -> Any:
            raise OSError(f"{name} is broken")

        return fail


def test_an_sdk_that_fails_is_not_felt(caplog: pytest.LogCaptureFixture) -> None:
    """What is done inside is done, what it raises is raised, and the log says what X-Ray's problem is."""
    done = []

    with XRayTracer(Broken(), ROOT).span("post") as span:
        span.annotate([assessment()], outcome="debited")
        done.append("posted")
    with pytest.raises(EventError), XRayTracer(Broken(), ROOT).span("match"):
        raise EventError("e-1", "r", "time", "is missing")

    assert ["posted"] == done
    assert "X-Ray: OSError: begin_subsegment is broken" in caplog.messages


def test_an_sdk_that_cannot_be_imported_is_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Trying again would cost each event what the import costs."""
    monkeypatch.setitem(sys.modules, "aws_xray_sdk.core", None)
    tracing._recorder.cache_clear()  # noqa: SLF001  as in a fresh process

    assert [UNTRACED, UNTRACED] == [tracer_of({"_X_AMZN_TRACE_ID": SAMPLED}) for _ in range(2)]
    assert 1 == len(caplog.messages)
    tracing._recorder.cache_clear()  # noqa: SLF001  for the tests that come


def test_without_a_sample_nobody_asks_for_the_sdk(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It need not even be there."""
    monkeypatch.setitem(sys.modules, "aws_xray_sdk.core", None)
    tracing._recorder.cache_clear()  # noqa: SLF001  as in a fresh process

    assert UNTRACED is tracer_of({"_X_AMZN_TRACE_ID": SAMPLED.replace("Sampled=1", "Sampled=0")})
    assert [] == caplog.messages


def test_a_sampled_invocations_log_names_its_trace() -> None:
    """So that one comes from a slow line to where the time went."""
    lines: list[dict[str, Any]] = []
    clock = ManualClock().clock()

    Telemetry(lambda line: lines.append(json.loads(line)), clock, trace=ROOT).scanned({"rows": 1})
    Telemetry(lambda line: lines.append(json.loads(line)), clock).scanned({"rows": 1})

    assert [ROOT, None] == [line.get("trace") for line in lines]
