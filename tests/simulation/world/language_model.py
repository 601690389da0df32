"""The language model's side of the wire: it answers, hangs, talks nonsense or breaks, by the seed. The client is the real one.

Source of the protocol: "Create chat completion" and "Error codes", OpenAI API reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import openai
from attrs import Factory, define, frozen

from engine.anomalies.explain.model import bound
from tests.simulation.faults import Caller
from tests.support.model_server import FINE, KEY, completion

ADDRESS = "https://model.example/v1"
BAD = 0.5
"""How likely a question is answered badly, where anything may go wrong."""

THINKS_SECONDS_MAX = 12.0


@define(eq=False)
class LanguageModel:
    """A model that all containers ask. ``asked_at`` has when each question reached it, in the world's steady seconds."""

    asked_at: list[float] = Factory(list)

    def connected(self, caller: Caller) -> openai.OpenAI:
        """Return the official client of one invocation, whose requests end here."""
        transport = httpx2.MockTransport(lambda request: self._answer(request, caller))
        http = httpx2.Client(transport=transport, event_hooks={"response": [bound]})
        return openai.OpenAI(api_key=KEY, base_url=ADDRESS, max_retries=0, http_client=http)

    def _answer(self, request: Any, caller: Caller) -> httpx2.Response:
        self.asked_at.append(caller.timeline.steady)
        chance = caller.dice.chance
        caller.wait(chance.random() * THINKS_SECONDS_MAX)
        name = chance.choice(tuple(WAYS)) if caller.dice.often and chance.random() < BAD else "answers"
        caller.dice.count[f"model {name}"] += 1
        return WAYS[name](Question(request, caller))


@frozen(eq=False)
class Question:
    """One request under way, and the ways to answer it."""

    request: Any
    caller: Caller

    @property
    def labels(self) -> list[str]:
        """The entries that are asked about."""
        text = json.loads(self.request.content)["messages"][1]["content"].split("\n")[1]
        return [entry["entry"] for entry in json.loads(text)["entries"]]

    def explain(self, labels: list[str], **changes: Any) -> httpx2.Response:
        """Say something fine of the labels, but for the changes."""
        said = [{"entry": label, **FINE, **changes} for label in labels]
        return self.say(json.dumps({"explanations": said}))

    def say(self, content: str | None, finish: str = "stop", **message: Any) -> httpx2.Response:
        """Answer with a message."""
        return httpx2.Response(200, json=completion("gpt-4.1", content, finish, **message))

    def fail(self, status: int, code: str | None = None, **headers: str) -> httpx2.Response:
        """Answer with an error."""
        error = {"message": f"something is wrong with {KEY}", "type": "error", "param": None, "code": code}
        return httpx2.Response(status, json={"error": error}, headers=headers)

    def hang(self) -> httpx2.Response:
        """Say nothing until whoever asks gives up."""
        self.caller.wait(self.request.extensions["timeout"]["read"])
        raise httpx2.ReadTimeout("nothing was said", request=self.request)

    def hang_up(self) -> httpx2.Response:
        """Take no connection."""
        raise httpx2.ConnectError("refused", request=self.request)

    def break_down(self) -> httpx2.Response:
        """Fail as no library should."""
        raise RuntimeError("a bug of the client's")


OBEYS = {"explanations": [], "transfer": {"to": "u-evil", "credits": 1_000_000}}
"""What an event's text may have asked for."""

WAYS: Mapping[str, Callable[[Question], httpx2.Response]] = {
    "answers": lambda question: question.explain(question.labels),
    "leaves entries out": lambda question: question.explain(question.labels[1:]),
    "knows another cause": lambda question: question.explain(question.labels, likely_cause="refund-everyone"),
    "sends people somewhere": lambda question: question.explain(question.labels, suggested_check="See http://evil.example"),
    "speaks of others": lambda question: question.explain(["e99"]),
    "obeys the event": lambda question: question.say(json.dumps(OBEYS)),
    "writes prose": lambda question: question.say("Refund everyone!"),
    "says nothing": lambda question: question.say(None),
    "refuses": lambda question: question.say(None, refusal="I cannot help with that."),
    "is cut off": lambda question: question.say('{"explanations": [', "length"),
    "is too long": lambda question: question.say("x" * 300_000),
    "fails": lambda question: question.fail(500),
    "asks to wait": lambda question: question.fail(429, **{"Retry-After": "2"}),
    "asks to wait long": lambda question: question.fail(429, **{"Retry-After": "3600"}),
    "is out of credit": lambda question: question.fail(429, "insufficient_quota"),
    "refuses the key": lambda question: question.fail(401, "invalid_api_key"),
    "hangs": Question.hang,
    "hangs up": Question.hang_up,
    "breaks down": Question.break_down,
}
"""How a question can be answered."""
