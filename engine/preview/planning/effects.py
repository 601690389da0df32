"""What the two policies make of an event. Events of one reduction share an effect, which the engine has worked out once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from engine.domain.assessment import Assessment
from engine.domain.entry_types import Outcome
from engine.domain.envelope import Document
from engine.domain.errors import EventError
from engine.domain.fact_kinds import content_of
from engine.domain.price import Price
from engine.domain.references import JOB, log_name
from engine.policy.detectors import Frequency
from engine.policy.expressions.paths import Path as Expression
from engine.policy.expressions.paths import PathProblem, compile_path
from engine.policy.model import Policy
from engine.preview.planning.lines import exactly_decoded, quickly_decoded
from engine.preview.planning.reads import Reads
from engine.preview.planning.reducer import Reducer, reducer_of
from engine.preview.planning.reduction import EPOCH, Reduced, Uncarried, microseconds, uncarried
from engine.preview.planning.side import REFUSED, Side, moved
from engine.preview.planning.spill import append
from engine.rating.detectors import sign_text

MEMO_MAX = 10_000
"""So many effects are kept in memory: of a year of a real service there were fewer."""

WORKERS_MAX = 64
"""So many processes at most: the number of an effect names the one that has met it."""


NUMBERS_OF_AN_EFFECT = 8
"""So many numbers an effect has on average at most: each process that meets it gives it one."""

KEPT_TOGETHER = 500
"""So many lines wait in memory to be kept in the file."""


class Sign(NamedTuple):
    """What an event is counted by: the anomaly, and either the places of its texts among those carried, or the text itself."""

    name: str
    places: tuple[int, ...] | None
    key: str


class Effect:
    """What both policies make of all events of one reduction. A plain class: millions of them are looked at."""

    __slots__ = (
        "alike",
        "alone",
        "assessments",
        "fixed",
        "models",
        "number",
        "prefixes",
        "shared",
        "signs",
        "stem",
        "waiting",
    )

    def __init__(self, number: int, assessments: tuple[Any, Any], *, shared: bool, models: Any, signs: Any) -> None:
        self.number, self.assessments, self.shared = number, assessments, shared
        self.models: tuple[str | None, str | None] = models
        self.signs: tuple[tuple[Sign, ...], tuple[Sign, ...]] = signs
        self.prefixes = tuple(_prefix(each) for each in assessments)
        """What the reference of the event's log begins with under each policy; None where it has none."""
        self.stem = self.prefixes[0] if self.prefixes[0] == self.prefixes[1] else None
        """The same, where the log is one and the same under both."""
        self.waiting: list[tuple[tuple[str, ...], int]] = []
        """The texts and the times of events that wait to be counted, of all effects of which the same is counted."""
        self.fixed = tuple(_fixed(each) for each in assessments)
        """How an event without a log ends."""
        self.alike = number
        """The number of the first effect that folds as this one does: failures of jobs that cost differently, say."""
        self.alone: Any = None
        """How a log ends that is this event alone, once it was asked for."""


def _file(folder: Path, worker: int) -> Path:
    return folder / f"effects-{worker}"


def _prefix(assessment: Assessment | EventError | None) -> str | None:
    return f"{log_name(assessment.reference)}#" if isinstance(assessment, Assessment) else None


type Counted = tuple[tuple[int, str], ...]
"""What ``Seen`` counts of an event: the places of texts, and the anomalies that they are counted for."""


def _counted(signs: Iterable[Iterable[Sign]]) -> Counted:
    told = (sign for side in signs for sign in side)
    return tuple(dict.fromkeys((sign.places[0], sign.name) for sign in told if sign.places is not None))


def _named(prefix: str | None, reduced: Reduced) -> Named:
    if prefix is None:
        return None
    _, job, reference, user, at, _, _ = reduced
    return f"{prefix}{job if prefix == JOB else reference}", user or "", at


def _named_alone(assessment: Assessment | EventError | None) -> Named:
    if not isinstance(assessment, Assessment):
        return None
    return assessment.reference, assessment.user, microseconds(assessment.at)


def _fixed(assessment: Assessment | EventError | None) -> str:
    return REFUSED if isinstance(assessment, EventError) else Outcome.IGNORED.value


type Named = tuple[str, str, int] | None
"""The reference of an event's log, its user, and its time (microseconds since 1970) under a policy; None without a log."""


class Met(NamedTuple):
    """An event as it was met: its effect, what it names now and then, and the texts that jobs are counted by."""

    effect: Effect
    named: tuple[Named, Named]
    event_id: str | None
    texts: tuple[str, ...]
    document: Any


class Effects:
    """The effects that are known, the last ``memo_max`` of them in memory; of each an event is kept in a file."""

    def __init__(self, sides: tuple[Side, Side], reads: Reads | None, folder: Path, worker: int, memo_max: int) -> None:
        self.sides, self.memo_max, self.worker = sides, memo_max, worker
        self.reduce: Reducer = reducer_of(reads) if reads is not None else _uncarried
        if any(side.policy.holds for side in sides):
            self.reduce = _with_an_id(self.reduce)
        self.signs = [compile_path(".".join(names)) for names in reads.signs] if reads is not None else []
        self.of_policy = tuple(_Signs(side.policy, reads) for side in sides)
        self.by_key: dict[Any, Effect] = {}
        self.direct: dict[Any, Effect] = {}
        """Those of them whose events have one log, whatever the policy."""
        self.by_number: dict[int, Effect] = {}
        self.firsts: dict[Any, int] = {}
        self.folder = folder
        self.waiting: list[bytes] = []
        self.waiting_for: dict[Counted, list[tuple[tuple[str, ...], int]]] = {}
        """What waits to be counted by ``Seen``."""
        self.size = 0

    def met(self, line: bytes) -> Met:
        """Return the event in a line. Raises UnreadableEvents, and NoRow where rows are needed and none are given."""
        document = quickly_decoded(line)
        reduced = self._reduced(document)
        if reduced is None:
            return self._met_alone(line)
        key, _, _, _, _, event_id, texts = reduced
        effect = self.by_key.get(key)
        if effect is None:
            effect = self._new(self._keep(line), document, key)
        now, then = effect.prefixes
        named = _named(now, reduced)
        return Met(effect, (named, named if now == then else _named(then, reduced)), event_id, texts, document)

    def _reduced(self, document: Any) -> Reduced | None:
        try:
            return self.reduce(document)
        except Uncarried:
            return None

    def _met_alone(self, line: bytes) -> Met:
        document = exactly_decoded(line)
        effect = self._new(self._keep(line), document, None)
        now, then = map(_named_alone, effect.assessments)
        texts = tuple([sign_text(path.search(document)) for path in self.signs])
        return Met(effect, (now, then), None, texts, document)

    def _keep(self, line: bytes) -> int:
        """Keep the line in the file, and return the number of its effect."""
        at = self.size
        self.waiting.append(len(line).to_bytes(4) + line)
        self.size += len(self.waiting[-1])
        if len(self.waiting) >= KEPT_TOGETHER:
            self.flush()
        return at * WORKERS_MAX + self.worker

    def _new(self, number: int, document: Document, key: Any) -> Effect:
        now, then = (side.assessment(document) for side in self.sides)
        models = tuple(_model(each, side.policy) for each, side in zip((now, then), self.sides, strict=True))
        signs = tuple(of.signs(each) for each, of in zip((now, then), self.of_policy, strict=True))
        effect = Effect(number, (now, then), shared=key is not None, models=models, signs=signs)
        effect.waiting = self.waiting_for.setdefault(_counted(signs), effect.waiting)
        if key is not None:
            effect.alike = self._alike(effect, document)
        self._remember(number, effect, key)
        return effect

    def _alike(self, effect: Effect, document: Document) -> int:
        """Return the number of the first effect that no fold can tell from this one."""
        told = (_told(each, side, document) for each, side in zip(effect.assessments, self.sides, strict=True))
        if len(self.firsts) >= self.memo_max:
            self.firsts.clear()
        return self.firsts.setdefault((*told, effect.models, effect.signs, effect.fixed), effect.number)

    def _remember(self, number: int, effect: Effect, key: Any) -> None:
        if key is not None:
            if len(self.by_key) >= self.memo_max:
                self.by_key.clear()
                self.direct.clear()
            self.by_key[key] = effect
            if effect.stem is not None:
                self.direct[key] = effect
        if len(self.by_number) >= (NUMBERS_OF_AN_EFFECT if effect.shared else 1) * self.memo_max:
            self.by_number.clear()
        self.by_number[number] = effect

    # --- when logs are folded ---

    def flush(self) -> None:
        """Let other processes read what this one has met."""
        append(_file(self.folder, self.worker), b"".join(self.waiting))
        self.waiting.clear()

    def numbered(self, number: int) -> Effect:
        """Return an effect by its number."""
        effect = self.by_number.get(number)
        return effect if effect is not None else self._read(number)

    def _read(self, number: int) -> Effect:
        line = self._line(*divmod(number, WORKERS_MAX))
        document = quickly_decoded(line)
        reduced = self._reduced(document)
        if reduced is None:
            return self._new(number, exactly_decoded(line), None)
        effect = self.by_key.get(reduced[0])
        if effect is None:
            return self._new(number, document, reduced[0])
        self._remember(number, effect, None)
        return effect

    def _line(self, at: int, worker: int) -> bytes:
        with _file(self.folder, worker).open("rb") as file:
            file.seek(at)
            return file.read(int.from_bytes(file.read(4)))


def _with_an_id(reduce: Reducer) -> Reducer:
    """Return a reducer that leaves an event without an id to the engine: whether it has one decides over a hold."""

    def reduced(document: Any) -> Reduced:
        found = reduce(document)
        *_, event_id, _ = found
        return found if event_id is not None else uncarried()

    return reduced


def _uncarried(_document: Any) -> Reduced:
    """Stand for the reducer of policies of which only the engine can tell what they look at."""
    uncarried()


def _told(assessment: Assessment | EventError | None, side: Side, document: Document) -> Any:
    """Return what a fold sees of an event: its facts, and how it answers what other events of its kind were asked.

    An event is asked what known facts were asked, to see whether it tells one of them again: by rules of its own action.
    """
    if not isinstance(assessment, Assessment):
        return None
    actions = {rule.action for rule in side.policy.rules if rule.name == assessment.rule}
    paths = [path for rule in side.policy.rules if rule.action in actions for path in rule.terms.paths()]
    answers = tuple((value.__class__, value) for path in paths for value in [_answer(path, document)])
    seen = assessment.rule, assessment.price, assessment.quantity, assessment.anomalies, log_name(assessment.reference)
    return moved(assessment.fact, EPOCH), *seen, answers


def _answer(path: Expression, document: Document) -> Any:
    try:
        value = path.search(document)
    except PathProblem as problem:
        return str(problem)
    return repr(value) if isinstance(value, list | dict) else value


# --- what it is called by ---------------------------------------------------------------------------------------------


class _Signs:
    """What events are counted by under a policy: as the engine has it, or by texts that each record carries."""

    def __init__(self, policy: Policy, reads: Reads | None) -> None:
        self.places: dict[str, tuple[int, ...]] = {}
        for rule in policy.anomalies:
            if isinstance(rule.detector, Frequency) and reads is not None and reads.carries(rule.detector):
                ways = (tuple(path.text.split(".")) for path in rule.detector.same)
                self.places[rule.name] = tuple(reads.signs.index(names) for names in ways)

    def signs(self, assessment: Assessment | EventError | None) -> tuple[Sign, ...]:
        if not isinstance(assessment, Assessment):
            return ()
        return tuple(Sign(sign.name, self.places.get(sign.name), sign.key) for sign in assessment.signs)


def _model(assessment: Assessment | EventError | None, policy: Policy) -> str | None:
    """Return what has selected the rate of an event, as the event says it; None for what has no price."""
    if not isinstance(assessment, Assessment) or assessment.price is None:
        return None
    said = dict(content_of(assessment.fact))
    return " + ".join(dict.fromkeys(_selected(price, said, policy) for price in assessment.price.parts))


FLAT = "(flat)"


def _selected(price: Price, said: dict[str, str], policy: Policy) -> str:
    if price.book is None:
        return FLAT
    rows = policy.prices[price.book].rows
    row = next((row for row in rows if row.effective == price.effective), None)
    asked: Iterable[str] = (by.text for by in row.by) if row is not None else ()
    return "/".join(said[text] for text in asked if text in said) or price.unit or FLAT
