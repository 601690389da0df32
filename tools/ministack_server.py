"""The local AWS's server process: ministack, mended where it would show events that AWS does not.

It runs on ministack's own Python and imports nothing of this project. The mends reach into ministack, which is why its
version is pinned exactly; tests/aws/test_local_aws.py (of the keys test_support.py) holds each of them to what AWS documents.

- PutEvents keeps each entry's ``Time``; ministack stamps every event with the present.
- An entry whose ``TraceHeader`` is ``the-service-itself`` may have a source of AWS's own (``aws.*``). Nobody but AWS puts such
  events, so PutEvents refuses them, here as on AWS; but ministack has no MediaConvert that would tell of its jobs.
- EventBridge invokes a function asynchronously, with Lambda's retries and its dead-letter queue; ministack tries once.
- IAM's conditions see ``dynamodb:LeadingKeys``, the partition key of an item that a request, or an item of a transaction, is
  about; ministack gives them none, so that a condition by it would hold for whatever comes.
- A message in a function's dead-letter queue is the event itself with RequestID, ErrorCode and ErrorMessage as attributes;
  ministack writes the envelope of an on-failure destination.
- A function's log has whatever it wrote before its answer; ministack waits some milliseconds for lines that are on their way,
  and on a busy machine gives what comes later to the next invocation.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import signal
import sys
import threading
import time
import uuid
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator, lambda_runtime  # type: ignore[import-not-found]
from ministack.services import dynamodb, eventbridge, lambda_svc, sqs  # type: ignore[import-not-found]

# ruff: noqa: SLF001  mending means reaching into what is private

ERROR_MESSAGE_CHARACTERS_MAX = 1024

MARK_SECONDS_MAX = 5
"""A function that has closed its output shows no mark."""

BY_THE_SERVICE = "the-service-itself"

time_of_entry: ContextVar[float | None] = ContextVar("time_of_entry", default=None)


def die_with_parent() -> None:
    """Wait until the parent is gone, which closes our standard input, and take every function along."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def put_events_keeping_time(data: dict[str, Any], **options: Any) -> Any:
    """Put the entries one by one, each at its own time; ministack's answer for all of them where it refuses the request."""
    entries = data.get("Entries", [])
    if not 1 <= len(entries) <= 10:  # noqa: PLR2004 (the limit of PutEvents)
        return put_events(data, **options)
    answers = []
    for entry in entries:
        token = time_of_entry.set(entry.get("Time"))
        try:
            by_service = {"allow_aws_source": True} if entry.get("TraceHeader") == BY_THE_SERVICE else {}
            status, headers, body = put_events({**data, "Entries": [entry]}, **options, **by_service)
        finally:
            time_of_entry.reset(token)
        if status >= 400:  # noqa: PLR2004 (an HTTP error)
            return status, headers, body
        answers.append(json.loads(body))
    whole = {
        "FailedEntryCount": sum(answer["FailedEntryCount"] for answer in answers),
        "Entries": [result for answer in answers for result in answer["Entries"]],
    }
    return status, headers, json.dumps(whole).encode()


def now_or_time_of_entry() -> float:
    """Return the time of the event being put, else the present."""
    at = time_of_entry.get()
    return time.time() if at is None else float(at)


def invoke_asynchronously(arn: str, payload: str) -> None:
    """Invoke a rule's target function as EventBridge does."""
    function, configuration, _name = lambda_svc._get_func_record_for_ref(arn)
    if function and configuration:
        record = lambda_svc._execution_record_for_config(function, configuration)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def route_failure(target: str, name: str, event: dict[str, Any], result: dict[str, Any]) -> None:
    """Send an event that failed for the last time where its function's configuration says."""
    configuration = lambda_svc._functions.get(name, {}).get("config", {})
    queue = sqs._queue_by_arn(target)
    if queue is None or target != (configuration.get("DeadLetterConfig") or {}).get("TargetArn"):
        route_to_destination(target, name, event, result)
        return
    body = result.get("body")
    message = body.get("errorMessage") if isinstance(body, dict) else None
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": str(uuid.uuid4())},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {
            "DataType": "String",
            "StringValue": str(message or "unknown")[:ERROR_MESSAGE_CHARACTERS_MAX],
        },
    }
    *_, account, queue_name = target.split(":")
    url = sqs._queue_url_for_account(account, queue_name)
    sqs._act_send_message({"QueueUrl": url, "MessageBody": json.dumps(event), "MessageAttributes": attributes}, url)


class TableOfItem(str):
    """The ARN of a table, in the check of one item of a transaction. It knows the item's partition key."""

    __slots__ = ("leading_keys",)

    leading_keys: list[str]


def leading_keys(request: Any) -> list[str]:
    """Return the partition key of the item that a request, or a part of a transaction, names by its key or has whole."""
    table = dynamodb._tables.get(request.get("TableName")) if isinstance(request, dict) else None
    named = (request.get("Key") or request.get("Item") or {}) if table else {}
    return [str(value) for value in (named.get(table["pk_name"]) or {}).values()] if table else []


def context_with_keys(body: bytes) -> dict[str, Any]:
    """Return the condition keys of a request, the partition key of its item among them."""
    context: dict[str, Any] = service_context(body)
    try:
        keys = leading_keys(json.loads(body or b"{}"))
    except ValueError:
        keys = []
    return {**context, "dynamodb:LeadingKeys": keys} if keys else context


def checks_with_keys(action: str, body: bytes, *place: str) -> list[tuple[str, str]]:
    """Return the checks of a transaction, each with the partition key of the item that it is about."""
    checks: list[tuple[str, str]] = []
    items = json.loads(body).get("TransactItems") if transaction_checks(action, body, *place) else []
    for item in items:
        for item_action, arn in transaction_checks(action, json.dumps({"TransactItems": [item]}).encode(), *place):
            table = TableOfItem(arn)
            table.leading_keys = [key for part in item.values() for key in leading_keys(part)]
            checks.append((item_action, table))
    return checks


def enforce_with_keys(*caller: Any, resource_arn: str = "*", service_context: dict[str, Any] | None = None) -> Any:
    """Enforce IAM's policies as ministack does, on one item where the check is of one."""
    if isinstance(resource_arn, TableOfItem) and resource_arn.leading_keys:
        service_context = {**(service_context or {}), "dynamodb:LeadingKeys": resource_arn.leading_keys}
    return enforce(*caller, resource_arn=str(resource_arn), service_context=service_context)


def whole_log(worker: Any, **waits: Any) -> str:
    """Return what a function has written so far: all that stands in its pipe before a line of ours."""
    mark = f"mark-{uuid.uuid4()}"
    try:
        with open(f"/proc/{worker._proc.pid}/fd/1", "ab", buffering=0) as pipe:  # noqa: PTH123  a pipe cannot be sought in
            pipe.write(f"{mark}\n".encode())
    except (OSError, AttributeError):  # it has ended, or this is not Linux
        return str(log_so_far(worker, **waits))
    lines: list[str] = []
    until = time.monotonic() + MARK_SECONDS_MAX
    while not (lines and lines[-1].endswith(mark)) and time.monotonic() < until:
        try:
            lines.append(worker._stderr_queue.get_nowait())
        except queue.Empty:
            time.sleep(0.001)
    return "\n".join(lines).removesuffix(mark).rstrip("\n")


put_events, route_to_destination = eventbridge._put_events, lambda_svc._route_async_failure

service_context, transaction_checks = iam_actions.dynamodb_service_context, iam_actions.dynamodb_transaction_checks
enforce = iam_evaluator.enforce
log_so_far = lambda_runtime.ProvidedWorker._drain_stderr_bounded

lambda_runtime.ProvidedWorker._drain_stderr_bounded = whole_log
iam_actions.dynamodb_service_context = context_with_keys
iam_actions.dynamodb_transaction_checks = checks_with_keys
iam_evaluator.enforce = enforce_with_keys
eventbridge._put_events = put_events_keeping_time
eventbridge._now_ts = now_or_time_of_entry
eventbridge._dispatch_to_lambda = invoke_asynchronously
lambda_svc._route_async_failure = route_failure

if __name__ == "__main__":
    threading.Thread(target=die_with_parent, daemon=True).start()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
