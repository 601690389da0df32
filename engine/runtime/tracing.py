"""Subsegments of AWS X-Ray: where the time of an invocation goes. Nothing else in the house knows the X-Ray SDK.

Lambda says with each invocation, in ``_X_AMZN_TRACE_ID``, whether it is sampled. One that is not gets objects that do nothing,
and the SDK is not imported. Whatever goes wrong with X-Ray is logged, and no event waits for it or fails.

Source of the limits: "AWS X-Ray segment documents" and "AWS X-Ray endpoints and quotas".
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from engine.domain.assessment import Assessment
from engine.domain.entry import Entry

HEADER = "_X_AMZN_TRACE_ID"
SAMPLED = "Sampled=1"

SPANS_MAX = 100
"""So many subsegments of one invocation are sent, half a kilobyte each: a trace holds 100 KB at the least. What a scan or a
batch does after that is no longer traced; the last subsegment says so (``last``)."""

TEXT_CHARACTERS_MAX = 1000
"""What X-Ray takes of a text."""

PSEUDONYM_DIGITS = 16

LOG = logging.getLogger(__name__)

type Fact = str | float | None
type Subject = Assessment | Entry


class Span:
    """The subsegment of an invocation that is not sampled: it does nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object, /) -> None:
        return None

    def annotate(self, about: Iterable[Subject] = (), /, **facts: Fact | Iterator[Fact]) -> None:
        """Say what the time was spent on; can be searched for.

        Of several subjects, and of an iterator's facts, it is told what all of them have in common, and how many they are.
        """

    def failed(self, error: BaseException) -> None:
        """Mark a fault, for an error that does not leave the subsegment (one that does is marked by itself)."""


class Tracer:
    """What traces an invocation that is not sampled: nothing."""

    __slots__ = ()
    trace: str | None = None
    """The trace's id."""

    def span(self, name: str) -> Span:  # noqa: ARG002  XRayTracer needs it
        """Return the subsegment of what is done within it, a context manager."""
        return NOTHING


NOTHING = Span()
UNTRACED = Tracer()


def tracer_of(environment: Mapping[str, str]) -> Tracer:
    """Return what traces the invocation that Lambda describes in ``environment``."""
    header = environment.get(HEADER)
    if header is None or SAMPLED not in header or (recorder := _recorder()) is None:
        return UNTRACED
    return _harmless(_begin, recorder, header) or UNTRACED


def pseudonym(user: str) -> str:
    """Return what a trace calls a user: always the same, and as long as nobody guesses the id, not to be turned back.

    The first digits of its SHA-256, so that whoever may know a user's id finds the traces of it, without a key.
    """
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:PSEUDONYM_DIGITS]


# --- sampled: plain classes, which every cold start makes and few need ---


class XRayTracer(Tracer):
    """What traces a sampled invocation."""

    def __init__(self, recorder: Any, trace: str) -> None:
        self.recorder, self.trace, self.left = recorder, trace, SPANS_MAX

    def span(self, name: str) -> Span:
        """Return a subsegment, or once there were too many of them, what does nothing."""
        if not self.left:
            return NOTHING
        self.left -= 1
        return XRaySpan(self.recorder, name, is_last=not self.left)


class XRaySpan(Span):
    """A subsegment. It is sent when it is left, in a datagram of its own."""

    def __init__(self, recorder: Any, name: str, *, is_last: bool) -> None:
        self.recorder, self.name, self.is_last = recorder, name, is_last
        self.subsegment: Any = None
        self.errors = 0

    def __enter__(self) -> Self:
        self.subsegment = _harmless(self.recorder.begin_subsegment, self.name)
        if self.is_last:
            self.annotate(last=True)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object, /) -> None:
        if error is not None:
            self.failed(error)
        _harmless(self.recorder.end_subsegment)

    def annotate(self, about: Iterable[Subject] = (), /, **facts: Fact | Iterator[Fact]) -> None:
        """Annotate the subsegment."""
        _harmless(self._annotate, about, facts)

    def failed(self, error: BaseException) -> None:
        """Mark a fault. The error's message stays in the log: it may name a user."""
        _harmless(self._failed, error)

    def _failed(self, error: BaseException) -> None:
        self.errors += 1
        self.subsegment.add_fault_flag()
        fields = {name: getattr(error, name, None) for name in ("rule", "field")}
        self._annotate((), {"error": type(error).__name__, "errors": self.errors, **fields})

    def _annotate(self, about: Iterable[Subject], facts: Mapping[str, Fact | Iterator[Fact]]) -> None:
        subjects = tuple(about)
        told = {name: _common(getattr(subject, name) for subject in subjects) for name in ("job", "user", "rule")}
        told["events"] = len(subjects) if len(subjects) > 1 else None
        told |= {name: _common(fact) if isinstance(fact, Iterator) else fact for name, fact in facts.items()}
        for name, fact in told.items():
            if fact is not None:
                self.subsegment.put_annotation(name, _shown(name, fact))


def _common(facts: Iterable[Fact]) -> Fact:
    """Return what all facts are, or None where they differ."""
    different = set(facts)
    return different.pop() if len(different) == 1 else None


def _shown(name: str, fact: Fact) -> Fact:
    if name == "user":
        return pseudonym(str(fact))
    return str(fact)[:TEXT_CHARACTERS_MAX] if isinstance(fact, str) else fact


def _begin(recorder: Any, header: str) -> Tracer:
    """Return what traces an invocation below the segment that Lambda itself makes of it.

    The SDK's own context for Lambda is not used. It keeps the segment of the invocation before where both belong to one trace,
    as with a retry, and reads the header anew for everything it does.
    """
    from aws_xray_sdk.core.models.facade_segment import FacadeSegment  # noqa: PLC0415  see _recorder
    from aws_xray_sdk.core.models.trace_header import TraceHeader  # noqa: PLC0415  the same

    origin = TraceHeader.from_header_str(header)
    if origin.sampled != 1 or not origin.root or not origin.parent:
        return UNTRACED
    recorder.set_trace_entity(FacadeSegment("lambda", origin.parent, origin.root, sampled=True))
    return XRayTracer(recorder, origin.root)


@functools.cache
def _recorder() -> Any:
    """Return the SDK's recorder, or None where it cannot be had; asked once, since what fails would fail with every event."""
    return _harmless(_imported_recorder)


def _imported_recorder() -> Any:
    from aws_xray_sdk.core import xray_recorder  # noqa: PLC0415  twenty milliseconds, which an unsampled invocation does not pay
    from aws_xray_sdk.core.context import Context  # noqa: PLC0415  the same

    xray_recorder.configure(context=Context(), streaming_threshold=0)
    return xray_recorder


def _harmless[Result](do: Callable[..., Result], *arguments: Any) -> Result | None:
    """Return what ``do`` returns, or None where it fails."""
    try:
        return do(*arguments)
    except Exception as error:  # noqa: BLE001  whatever it is, the money must move
        LOG.warning("X-Ray: %s: %s", type(error).__name__, error)
        return None
