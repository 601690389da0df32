"""``make play``: after the demo's day the local AWS stays, and commands to try on it are printed, ready to be pasted."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from tools.deployment import Deployment
from tools.environments import DEV, ROOT
from tools.local_aws import tables_environment

POLICY = ROOT / "policies" / "video.yaml"
EDIT = ('{default: "0.12", premium: "0.25"}', '{default: "0.15", premium: "0.25"}')
"""What the policy says of July, and what the edit makes of it: a second of an ordinary model costs 0.15 instead of 0.12."""

ENVIRONMENT, EDITED, EVENTS = "environment", "edited.yaml", "events.jsonl"
"""The files that the commands need, in the folder of the local AWS."""

FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS")
"""What somebody may have set for another AWS; it would count before what the commands need."""

OWN_EVENT = (
    "import boto3, json; "
    'boto3.client("events").put_events(Entries=[{"Source": "video.generation", "DetailType": "video.rendered", '
    '"Detail": json.dumps({"jobId": "j-200", "userId": "cyd", "seconds": 10, "model": "premium", "result_url": "s3://renders/j-200.mp4"})}])'
)

ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Ctrl-C, and what ends a process or closes its terminal."""


def play(stack: Deployment, envelopes: list[dict[str, Any]]) -> None:
    """Print the commands to try on the stack, and wait for Ctrl-C.

    ``envelopes`` are the day's events, which a plan looks at. Signals stay blocked afterwards: a second Ctrl-C would leave
    half of the local AWS behind.
    """
    write_files(stack, envelopes)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    print("\n".join(lines(stack.aws.folder)), flush=True)
    signal.sigwait(ENDS)
    print("\nStopping; this takes a few seconds.", flush=True)


def write_files(stack: Deployment, envelopes: list[dict[str, Any]]) -> None:
    """Write what the commands need beside the local AWS's own files, which vanish with it."""
    folder = stack.aws.folder
    (folder / EDITED).write_text(POLICY.read_text().replace(*EDIT))
    (folder / EVENTS).write_text("".join(f"{json.dumps(envelope)}\n" for envelope in envelopes))
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in environment(stack).items())
    (folder / ENVIRONMENT).write_text(f"unset {' '.join(FOREIGN)}\n{''.join(exports)}")


def environment(stack: Deployment) -> dict[str, str]:
    """Return the variables that lead the command to the stack's tables and queue, and nowhere else."""
    tables = evolve(stack.tables, state="State-dev")  # no output names this one
    queue = stack.failed_events_queue.rsplit("/", 1)[-1]
    return {**stack.aws.environment(), **tables_environment(tables), "DEAD_LETTER_QUEUES": queue, "POLICY_FILE": str(POLICY)}


def lines(folder: Path) -> Iterator[str]:
    """Yield what is printed; what is to be pasted is indented by four blanks."""
    yield "\nThe local AWS stays until Ctrl-C. In another terminal, first:\n"
    yield f"    cd {shlex.quote(str(ROOT))} && . {shlex.quote(str(folder / ENVIRONMENT))}"
    yield "\nThen, in any order:"
    for what, command in commands(folder):
        yield f"\n{what}:\n\n    {command}"
    yield "\nCtrl-C here stops everything and removes it."


def commands(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what can be tried: what it shows, and the command."""
    reconciler = DEV.folder / "bin" / "reconciler"
    yield "Every entry of a user, with the balance after each", f"{reconciler} statement cyd"
    yield "Why a job was charged and refunded, counted again from its entries", f"{reconciler} explain --entry 'job#j-112'"
    yield "Whether all entries add up to the balances", f"{reconciler} audit"
    plan = shlex.join([str(reconciler), "plan", str(folder / EDITED), "--events", str(folder / EVENTS)])
    yield "What this day would have cost at 0.15 credits a second instead of 0.12", plan
    yield "Which entries were flagged for a person", f"{reconciler} anomalies list"
    yield "Which event was refused, and why", f"{reconciler} dead-letters list"
    yield "An event of your own, as an application sends it; a second later the statement has it", own_event()


def own_event() -> str:
    """Return the command that sends ten seconds of a premium model."""
    return f"{DEV.folder / 'bin' / 'python'} -c {shlex.quote(OWN_EVENT)}"
