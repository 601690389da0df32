"""The model's endpoint: the official client, with bounds of our own on time, size and repetition.

Chat completions with a strict JSON schema, the form that most compatible endpoints speak. Every request is taken out of the
budget first. What cannot be used is a ModelFailure with one stable word for it; nothing of prompt, key or answer is in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from engine.anomalies.explain.answer import SCHEMA, AnswerError, Judgement, read_answer
from engine.anomalies.explain.brief import INSTRUCTIONS
from engine.anomalies.explain.budget import Budget
from engine.anomalies.explain.secret import ModelKey
from engine.runtime.clock import Clock, Deadline

ATTEMPTS_MAX = 3
ATTEMPT_SECONDS_MAX = 25.0
"""Ten entries take a model some ten seconds."""

CONNECT_SECONDS_MAX = 3.0
ANSWER_BYTES_MAX = 256 * 1024
"""Ten explanations are some ten thousand bytes."""

ANSWER_TOKENS_MAX = 4096

NO_KEY, BUDGET, TIMEOUT, UNREACHABLE = "no-key", "budget", "timeout", "unreachable"
THROTTLED, UNAVAILABLE, KEY_REFUSED, REQUEST_REFUSED = "throttled", "unavailable", "key-refused", "request-refused"
INSECURE = "insecure-endpoint"
REFUSAL, CUT_OFF, TOO_LARGE, NONSENSE, FAILED = "refusal", "cut-off", "too-large", "nonsense", "failed"

STATUS_WORDS = {401: KEY_REFUSED, 403: KEY_REFUSED, 408: UNAVAILABLE, 409: UNAVAILABLE, 429: THROTTLED}
SERVER_ERROR = 500
WORTH_ANOTHER = frozenset({TIMEOUT, UNREACHABLE, THROTTLED, UNAVAILABLE})
"""What may go well the next time. What a model said once it says again."""

OPENAI_S_OWN = "https://api.openai.com/v1"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

OUT_OF_CREDIT = "insufficient_quota"
"""A 429 that no waiting mends."""


class ModelFailure(Exception):
    """Why there is no answer: ``why`` is one of the words above, ``wait`` the seconds that the endpoint asked to wait."""

    def __init__(self, why: str, wait: float | None = None, *, again: bool | None = None) -> None:
        super().__init__(why)
        self.why, self.wait = why, wait
        self.again = why in WORTH_ANOTHER if again is None else again


class _TooLargeError(Exception):
    """An answer that nobody needs to see the end of."""


@define
class ModelEndpoint:
    """A model behind an endpoint that speaks OpenAI's protocol (``base_url``; None: OpenAI's own)."""

    model: str
    key: ModelKey
    budget: Budget
    clock: Clock
    base_url: str | None = None
    calls: int = 0
    _client: Any = field(default=None, repr=False)
    _client_key: str | None = field(default=None, repr=False)

    def ask(self, data: str, labels: Iterable[str], deadline: Deadline) -> dict[str, Judgement]:
        """Return what the model says of ``labels``, as far as it can be taken. Raises ModelFailure."""
        if not is_safe(self.base_url):
            raise ModelFailure(INSECURE)
        last, was_renewed = ModelFailure(TIMEOUT), False
        for _ in islice(deadline.attempts(), ATTEMPTS_MAX):
            key = self.key.now()
            if key is None:
                raise ModelFailure(NO_KEY)
            if not self.budget.take(deadline):
                raise ModelFailure(BUDGET)
            try:
                return self._once(key, data, list(labels), deadline.sooner(ATTEMPT_SECONDS_MAX))
            except ModelFailure as failure:
                last = failure
            is_rotated = last.why == KEY_REFUSED and not was_renewed and self.key.renew()
            was_renewed = was_renewed or last.why == KEY_REFUSED
            if not is_rotated and not (last.again and self._can_wait(last.wait, deadline)):
                break
        raise last

    def _can_wait(self, seconds: float | None, deadline: Deadline) -> bool:
        """Wait as long as the endpoint asked for, if there is time for that and for another answer."""
        if seconds is None:
            return True
        if seconds >= deadline.left():
            return False
        self.clock.wait(seconds)
        return True

    def _once(self, key: str, data: str, labels: list[str], deadline: Deadline) -> dict[str, Judgement]:
        self.calls += 1
        with self._failures_named(deadline):
            completion = self._connected(key).chat.completions.create(
                model=self.model,
                messages=[{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": data}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "explanations", "strict": True, "schema": dict(SCHEMA)},
                },
                max_completion_tokens=ANSWER_TOKENS_MAX,
                timeout=_timeouts(deadline),
            )
            return read_answer(_content(completion), labels)

    @contextmanager
    def _failures_named(self, deadline: Deadline) -> Iterator[None]:
        """Turn whatever goes wrong into a ModelFailure. At the deadline the connection is closed, whatever it still drips."""
        import openai  # noqa: PLC0415  heavy: the function's init has imported it, here it is found again

        watchdog = threading.Timer(max(deadline.left(), 0.0), self.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except ModelFailure:
            raise
        except _TooLargeError as error:
            raise ModelFailure(TOO_LARGE) from error
        except openai.APIStatusError as error:
            raise _status_failure(error) from error
        except (openai.APITimeoutError, openai.APIConnectionError) as error:
            is_late = isinstance(error, openai.APITimeoutError) or deadline.left() <= 0
            raise ModelFailure(TIMEOUT if is_late else UNREACHABLE) from error
        except (AnswerError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise ModelFailure(NONSENSE) from error
        except Exception as error:  # closed under its hands, or broken in a way of its own: the rules explain instead
            raise ModelFailure(TIMEOUT if deadline.left() <= 0 else FAILED) from error
        finally:
            watchdog.cancel()

    def _connected(self, key: str) -> Any:
        if self._client is None or self._client.is_closed() or self._client_key != key:
            self.close()
            self._client, self._client_key = connect(key, self.base_url), key
        return self._client

    def close(self) -> None:
        """Close the connection; the next question opens one again."""
        if self._client is not None:
            self._client.close()


def is_safe(base_url: str | None) -> bool:
    """Say whether a key may go to an endpoint: over TLS, or to this very machine, as for a model that runs there."""
    try:
        address = urlsplit(base_url or OPENAI_S_OWN)
    except ValueError:
        return False
    return address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK)


def connect(key: str, base_url: str | None) -> Any:
    """Return the official client. Retries are ours; a redirect would carry the question elsewhere."""
    import openai  # noqa: PLC0415  see above

    http = openai.DefaultHttpxClient(follow_redirects=False, event_hooks={"response": [bound]})
    headers = {"Accept-Encoding": "identity"}  # what is packed could be any size once it is unpacked
    return openai.OpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=http, default_headers=headers)


def bound(response: Any) -> None:
    """Let a response end with an error where it is larger than any answer, or packed."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _TooLargeError
    response.stream = _bounded(response.stream)


def _bounded(stream: Any) -> Any:
    import httpx2  # noqa: PLC0415  the client's own, and as heavy

    class Bounded(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            read = 0
            for part in stream:
                read += len(part)
                if read > ANSWER_BYTES_MAX:
                    raise _TooLargeError
                yield part

        def close(self) -> None:
            stream.close()

    return Bounded()


def _timeouts(deadline: Deadline) -> Any:
    import httpx2  # noqa: PLC0415  the same

    left = max(deadline.left(), 0.001)
    return httpx2.Timeout(left, connect=min(left, CONNECT_SECONDS_MAX))


def _content(completion: Any) -> str:
    """Return what the model wrote. Nothing of the answer's form has been checked by the client."""
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise ModelFailure(REFUSAL)
    if choice.finish_reason == "length":
        raise ModelFailure(CUT_OFF)
    content = choice.message.content
    if not isinstance(content, str):
        raise ModelFailure(NONSENSE)
    return content


def _status_failure(error: Any) -> ModelFailure:
    status = error.status_code
    if status == 429 and error.code == OUT_OF_CREDIT:  # noqa: PLR2004  too many requests
        return ModelFailure(THROTTLED, again=False)
    why = STATUS_WORDS.get(status, UNAVAILABLE if status >= SERVER_ERROR else REQUEST_REFUSED)
    return ModelFailure(why, _seconds_to_wait(error.response.headers, error.response))


def _seconds_to_wait(headers: Any, response: Any) -> float | None:
    """Return what ``Retry-After`` asks for: seconds, or until an instant (by the endpoint's own clock)."""
    text = headers.get("retry-after")
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(response.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (LookupError, TypeError, ValueError):
        return None
