"""Lambda's Runtime API on loopback, and the real ``awslambdaric`` in front of it: a cold start as Lambda makes it.

Source of the protocol: "Using the Lambda runtime API for custom runtimes", AWS Lambda Developer Guide.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from attrs import define, field, frozen

from benchmarks.throttle import Throttle

ANSWER_SECONDS_MAX = 30.0
UNSAMPLED = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"
SAMPLED = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
INVOCATION_SECONDS = 60


@frozen
class Answer:
    """What the function answered. ``kind`` is ``response`` or ``error``."""

    kind: str
    body: Any
    arrived: float


@define
class _Exchange:
    events: queue.Queue[tuple[Any, str] | None] = field(factory=queue.Queue)
    """Each event with its trace header; None ends the runtime."""
    answers: queue.Queue[Answer] = field(factory=queue.Queue)
    asked: queue.Queue[float] = field(factory=queue.Queue)
    """When the runtime asked for an event: the first time when init was done."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # without these two, delayed acknowledgements cost 40 ms a call
    exchange: _Exchange

    def do_GET(self) -> None:
        self.exchange.asked.put(time.perf_counter())
        given = self.exchange.events.get()
        if given is None:
            self.close_connection = True
            return
        event, trace = given
        body = json.dumps(event).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Trace-Id", trace)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + INVOCATION_SECONDS) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_POST(self) -> None:
        arrived = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.exchange.answers.put(Answer(self.path.rsplit("/", 1)[-1], json.loads(body or b"null"), arrived))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A sandbox that is killed resets its connections; that is no news."""


class Sandbox:
    """One execution environment: a fresh process that runs ``handler`` from ``task_root``.

    ``environment`` is all it gets beside what Lambda itself sets. Use as a context manager; leaving it ends the process.
    """

    def __init__(self, python: Path, task_root: Path, handler: str, environment: Mapping[str, str]) -> None:
        self.exchange = _Exchange()
        bound = type("Bound", (_Handler,), {"exchange": self.exchange})
        self.server = _Server(("127.0.0.1", 0), bound)
        self.command = [str(python), "-m", "awslambdaric", handler]
        self.environment = {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": handler,
            "PYTHONPATH": str(task_root),
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only: bytecode that is missing stays missing
            **environment,
        }
        self.task_root = task_root

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            self.command,
            cwd=self.task_root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def invoke(self, event: Any, trace: str = UNSAMPLED) -> Answer:
        """Hand over an event and return what the function answers. Raises RuntimeError if it answers with an error."""
        self.exchange.events.put((event, trace))
        try:
            answer = self.exchange.answers.get(timeout=ANSWER_SECONDS_MAX)
        except queue.Empty:
            raise RuntimeError(f"no answer in {ANSWER_SECONDS_MAX} s") from None
        if answer.kind == "error":
            raise RuntimeError(f"the function failed: {answer.body}")
        return answer

    def initialised(self) -> float:
        """Wait until init is done, and return how many milliseconds it took from the start of the process."""
        return (self.exchange.asked.get(timeout=ANSWER_SECONDS_MAX) - self.started) * 1000

    def throttled(self, event: Any, share: float) -> tuple[Answer, float]:
        """Hand over an event to a process that has ``share`` of a processor; return the answer and its milliseconds."""
        with Throttle(self.process.pid, share):
            begun = time.perf_counter()
            answer = self.invoke(event)
        return answer, (answer.arrived - begun) * 1000

    def milliseconds_to(self, answer: Answer) -> float:
        """Return the time from the start of the process to an answer."""
        return (answer.arrived - self.started) * 1000

    def memory_kib_max(self) -> int:
        """Return the most resident memory the process has had (Linux only)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.exchange.events.put(None)
        self.server.shutdown()
        self.server.server_close()
