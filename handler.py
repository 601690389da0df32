"""The Lambda entry points: build once per container, hand over, answer."""

from __future__ import annotations

import gc
import os

from engine.runtime import precompiled

if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
    gc.disable()  # until init is done: see _initialise
    precompiled.recall(os.path.dirname(__file__))  # noqa: PTH120  pathlib is not imported yet

import functools
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.domain.documents import is_event, no_event
from engine.domain.envelope import Source
from engine.domain.errors import EventError
from engine.domain.instants import read_instant
from engine.reconcile.reconciler import SQS, UNKNOWN, Reconciler
from engine.reconcile.wiring import Settings, build_reconciler
from engine.runtime.clock import Clock, Deadline
from engine.runtime.tracing import tracer_of

if TYPE_CHECKING:
    from engine.reconcile.scheduled import ClosingStep

Answer = dict[str, Any]

IN_LAMBDA = bool(os.environ.get("AWS_LAMBDA_RUNTIME_API"))

ANSWER_RESERVE_SECONDS = 0.5
"""What is kept back of an invocation's time, so that an error is told rather than cut off."""

SECONDS_WITHOUT_CONTEXT = 30.0

SCHEDULERS = ("aws.events", "aws.scheduler")
"""A tuple, and no set: whoever invokes the function may have put a list in the place of the source."""

INIT_SECONDS_MAX = 2.0
"""How long init waits for the database. Lambda ends an init of ten seconds; the first event would wait for itself."""


def lambda_handler(event: Any, context: Any = None) -> Answer:
    """Answer an EventBridge event, an SQS batch of EventBridge events, the scheduled event, or a step of a scheduled run.

    An event is answered with its outcome, a batch with ``{"batchItemFailures": [...]}``, a scan with its counts and the
    slices that are left over; ``reconcile/scheduled.py`` has them. Raises EventError for an event that makes no sense, and
    LedgerError when the database did not take it, so that Lambda's retry and the dead-letter queue keep it.
    """
    tracer = tracer_of(os.environ)
    with tracer.span("policy") as span:
        reconciler = _reconciler(_settings()).traced(tracer)
        span.annotate(policy=reconciler.policy.identity)
    for is_this_kind, answer in KINDS:
        if is_this_kind(event):
            return answer(event, reconciler, context)
    problem = EventError(f"of request {_request_of(context)}", "(none)", "event", _what_it_is(event))
    reconciler.refuse(problem, Source.EVENT)
    raise problem


def _request_of(context: Any) -> str:
    return str(getattr(context, "aws_request_id", None) or UNKNOWN)


def _what_it_is(event: Any) -> str:
    return f"{no_event(event)}; it is no SQS batch, schedule or step of a scan either"


def _settings() -> Settings:
    return Settings.from_environment(os.environ)


if IN_LAMBDA:
    _settings = functools.cache(_settings)  # the environment of a container never changes; that of a test does


@functools.cache
def _reconciler(settings: Settings) -> Reconciler:
    return build_reconciler(settings, write=_write)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _deadline(context: Any, clock: Clock) -> Deadline:
    seconds = context.get_remaining_time_in_millis() / 1000 if context is not None else SECONDS_WITHOUT_CONTEXT
    return clock.deadline(seconds - ANSWER_RESERVE_SECONDS)


def explain_handler(event: Any, context: Any = None) -> Answer:
    """Explain the flagged entries of a DynamoDB stream batch of the Ledger, in a function of its own.

    Answers ``{"batchItemFailures": [...]}``: the records whose explanation could not be stored. Raises nothing for a record.
    """
    from engine.anomalies.explain.function import answer, clock  # noqa: PLC0415  its init has imported it; what serves events must not

    return answer(event, _deadline(context, clock()))


def archive_handler(event: Any, context: Any = None) -> Answer:
    """Archive a DynamoDB stream batch of the Ledger, in a function of its own.

    Answers with what was archived. Raises LedgerError where the batch has to come again.
    """
    from engine.reconcile.archive_function import answer, clock  # noqa: PLC0415  as above

    return answer(event, _deadline(context, clock()))


def _is_queue_batch(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return False
    return not records or any(isinstance(record, Mapping) and record.get("eventSource") == SQS for record in records)


def _is_schedule(event: Any) -> bool:
    return isinstance(event, Mapping) and event.get("source") in SCHEDULERS and event.get("detail-type") == "Scheduled Event"


def _is_scan(event: Any) -> bool:
    return isinstance(event, Mapping) and isinstance(event.get("slices"), list)


def _is_begin(event: Any) -> bool:
    return isinstance(event, Mapping) and isinstance(event.get("begin"), str)


def _is_finish(event: Any) -> bool:
    parts = event.get("parts") if isinstance(event, Mapping) else None
    return isinstance(parts, list) and all(isinstance(part, Mapping) for part in parts)


def _is_finish_again(event: Any) -> bool:
    parts = event.get("again") if isinstance(event, Mapping) else None
    return isinstance(parts, list) and all(isinstance(part, Mapping) for part in parts)


def _is_expiry(event: Any) -> bool:
    return isinstance(event, Mapping) and event.get("expire") == "holds"


def _is_event(event: Any) -> bool:
    return is_event(event)


def _answer_batch(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    failures = reconciler.batch(event["Records"], _deadline(context, reconciler.clock), _request_of(context))
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failures]}


def _answer_schedule(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    from engine.reconcile.scheduled import everything  # noqa: PLC0415  what serves events needs none

    return everything(reconciler, _time_of(event, reconciler), closing_steps(), _deadline(context, reconciler.clock))


def _answer_scan(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    from engine.reconcile.scheduled import work  # noqa: PLC0415  the same

    return work(reconciler, event, _deadline(context, reconciler.clock))


def _answer_begin(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    from engine.reconcile.scheduled import begin  # noqa: PLC0415  the same

    return begin(reconciler, event["begin"], _time_of(event, reconciler), _deadline(context, reconciler.clock))


def _answer_finish(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    from engine.reconcile.scheduled import finish  # noqa: PLC0415  the same

    return finish(reconciler, event, closing_steps(), _deadline(context, reconciler.clock))


def _answer_finish_again(event: Any, _reconciler: Reconciler, _context: Any) -> Answer:
    from engine.reconcile.scheduled import finish_again  # noqa: PLC0415  the same

    return finish_again(event)


def _answer_expiry(_event: Any, reconciler: Reconciler, context: Any) -> Answer:
    from engine.reconcile.due_holds import expire_holds  # noqa: PLC0415  the same

    return expire_holds(reconciler, _deadline(context, reconciler.clock))


def closing_steps() -> tuple[ClosingStep, ...]:
    """Return what a scheduled run does at its end, in this order."""
    from engine.anomalies.digest import tell_daily  # noqa: PLC0415  the same
    from engine.anomalies.look_back import look_back  # noqa: PLC0415  the same
    from engine.audit.check import check_books  # noqa: PLC0415  the same

    return look_back, check_books, tell_daily


def _time_of(event: Any, reconciler: Reconciler) -> datetime:
    return read_instant(event.get("time")) or reconciler.clock.now()


def _answer_event(event: Any, reconciler: Reconciler, context: Any) -> Answer:
    return reconciler.event(event, Source.EVENT, _deadline(context, reconciler.clock)).answer()


KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Reconciler, Any], Answer]], ...] = (
    (_is_queue_batch, _answer_batch),
    (_is_schedule, _answer_schedule),
    (_is_scan, _answer_scan),
    (_is_begin, _answer_begin),
    (_is_finish, _answer_finish),
    (_is_finish_again, _answer_finish_again),
    (_is_expiry, _answer_expiry),
    (_is_event, _answer_event),
)
"""What an invocation can be: how it is recognised, and how it is answered. The first that fits counts."""


def _initialise() -> None:
    """Do during init, the part of a cold start that is fastest, what the first event would otherwise wait for.

    The garbage collector sleeps meanwhile, and never again looks at what was made: all of it stays.
    """
    handler = os.environ.get("_HANDLER", "").rpartition(".")[2]
    OWN_FUNCTIONS.get(handler, _initialise_events)()
    precompiled.forget()
    gc.freeze()
    gc.enable()


def _initialise_events() -> None:
    reconciler = _reconciler(_settings())
    _prime(reconciler)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        _live_through_snapshots(reconciler)


def _initialise_explain() -> None:
    from engine.anomalies.explain.function import prepare  # noqa: PLC0415  the model's client takes longer than all of a debit's cold start

    prepare()


def _initialise_archive() -> None:
    from engine.reconcile.archive_function import prepare  # noqa: PLC0415  what serves events archives nothing

    prepare()


OWN_FUNCTIONS: Mapping[str, Callable[[], None]] = {
    explain_handler.__name__: _initialise_explain,
    archive_handler.__name__: _initialise_archive,
}
"""How the init of a function begins that does not serve events, by its entry point."""


def _prime(reconciler: Reconciler) -> None:
    reconciler.prime(reconciler.clock.deadline(INIT_SECONDS_MAX))


def _live_through_snapshots(reconciler: Reconciler) -> None:
    """No connection goes into SnapStart's snapshot; each environment made from it opens one, and reads State, anew.

    Its credentials come from the container's endpoint, which botocore asks again when they have run out.
    """
    import snapshot_restore_py  # noqa: PLC0415  only the runtime has it

    snapshot_restore_py.register_before_snapshot(reconciler.close)
    snapshot_restore_py.register_after_restore(_prime, reconciler)


if IN_LAMBDA:
    _initialise()
