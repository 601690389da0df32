"""The function that explains, at work beside all others: its stream, its model, its bus, and what must be true of its words.

Records of the stream come late, repeated, out of order; what fails comes back, and after some tries it is lost and told again
when all is quiet. Function, budget and client are the product's own; on the strict database the store is too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from engine.anomalies.bus import EXPLAINED, Bus
from engine.anomalies.explain.budget import Budget
from engine.anomalies.explain.model import ModelEndpoint
from engine.anomalies.explain.run import BY_MODEL, BY_RULES, Explainer
from engine.anomalies.explain.secret import ModelKey
from engine.ledger.dynamodb.attributes import encode_item
from engine.policy import Policy
from engine.runtime.telemetry import Telemetry
from tests.simulation.faults import Caller, FaultyStore
from tests.simulation.world.explanations import ExplainedMemory, Key, Shelf, Words
from tests.simulation.world.language_model import ADDRESS, LanguageModel
from tests.simulation.world.place import MemoryPlace
from tests.support.model_server import KEY

BATCH_MAX = 10
TRIES_MAX = 2
"""So often a record comes again before it is lost. The stream keeps it for a day: a history has few batches."""

REPEATED, STRANGE, WITHOUT_FILTER = 0.2, 0.15, 0.1
HOUR = 3600.0
PER_HOUR = (0, 1, 2, 3, 60)
"""How many questions of an hour the policy allows, by the seed."""

NO_RECORDS: tuple[Any, ...] = (
    {"eventName": "REMOVE", "dynamodb": {"Keys": {}, "SequenceNumber": "r"}},
    {"eventName": "MODIFY", "dynamodb": {"NewImage": {"flagged": {"BOOL": True}}, "SequenceNumber": "m"}},
    {"eventName": "INSERT", "dynamodb": {"NewImage": {"reference": {"S": "job#?"}}, "SequenceNumber": "i"}},
    {"eventName": "INSERT"},
    None,
    "INSERT",
)
"""What comes by the stream, and is no new entry."""


@define(eq=False)
class Record:
    """A record of the stream, and how often it was handed over."""

    document: Mapping[str, Any]
    number: str
    tries: int = 0


@define(eq=False)
class LedgerStream:
    """What the Ledger's stream hands to the function that explains."""

    seen: set[Key] = Factory(set)
    waiting: list[Record] = Factory(list)
    handed: list[Record] = Factory(list)
    lost: list[Record] = Factory(list)

    def look(self, entries: list[dict[str, Any]], chance: Random) -> None:
        """Take new entries; the mapping's filter passes those that are flagged, and sometimes it is not there."""
        for entry in entries:
            key = (entry["reference"], entry["sequence"])
            if key not in self.seen and (entry.get("flagged") or chance.random() < WITHOUT_FILTER):
                number = str(len(self.seen) + 1)
                change = {"NewImage": encode_item(entry), "SequenceNumber": number}
                self.waiting.append(Record({"eventName": "INSERT", "dynamodb": change}, number))
            self.seen.add(key)

    def batch(self, chance: Random, most: int) -> list[Record]:
        """Return records in any order; some that were handed over before, or are handed over twice at once."""
        chance.shuffle(self.waiting)
        some, self.waiting = self.waiting[:most], self.waiting[most:]
        if self.handed and chance.random() < REPEATED:
            some.append(evolve(chance.choice(self.handed)))
        if some and chance.random() < REPEATED:
            self.waiting.append(evolve(some[0]))  # another container gets it as well
        return some

    def come_back(self, records: list[Record], failed: set[str] | None) -> int:
        """Take back what failed (all of it where the function raised), and what came behind; return how many are lost."""
        first = next((at for at, record in enumerate(records) if failed is None or record.number in failed), len(records))
        self.handed += records[:first]
        given_up = []
        for record in records[first:]:
            record.tries += 1
            (self.waiting if record.tries <= TRIES_MAX else given_up).append(record)
        self.lost += given_up
        return len(given_up)


class Counted(Telemetry):
    """Counts what is said of explanations, and writes no line."""

    def __init__(self, count: Any, clock: Any) -> None:
        super().__init__(write=lambda _line: None, clock=clock)
        object.__setattr__(self, "count", count)

    def noted(self, message: str, fields: Mapping[str, Any], _metrics: Any = None, *, is_wrong: bool = False) -> None:  # noqa: ARG002
        """Count an explanation by who gave it, and anything else by its message."""
        said = f"explained by {fields['by']}" if message == "explained" else message
        self.count[f"{said}: {fields['why']}" if fields.get("why") else said] += 1  # type: ignore[attr-defined]
        if fields.get("like"):
            self.count["explained like another"] += 1  # type: ignore[attr-defined]


@frozen(eq=False)
class OnlyWords:
    """A client that takes down whatever the function that explains writes beside words and its own rows of State."""

    client: Any
    wrong: list[str]

    def __getattr__(self, operation: str) -> Any:
        send = getattr(self.client, operation)

        def sent(**request: Any) -> Any:
            if operation not in READS and not _is_its_own(operation, request):
                self.wrong.append(f"the function that explains asks for {operation}: {request}")
            return send(**request)

        return sent


READS = frozenset({"get_item", "query", "close"})


def _is_its_own(operation: str, request: Mapping[str, Any]) -> bool:
    key = request.get("Key", {}).get("id", {}).get("S", "")
    is_of_words = request.get("UpdateExpression") == "SET explanation = :explanation" and "ReturnValues" in request
    return operation == "update_item" and (key.startswith("explain#") or is_of_words)


class Endpoint(ModelEndpoint):
    """The model's endpoint in the world's own time: its watchdog, which counts real seconds, closes nothing."""

    def close(self) -> None:
        """Leave the connection open."""


@define(eq=False)
class ExplainDesk:
    """All that explains in one world."""

    stream: LedgerStream = Factory(LedgerStream)
    model: LanguageModel = Factory(LanguageModel)
    shelf: Shelf = Factory(Shelf)
    """Where words are kept of tables in memory."""
    told: list[Mapping[str, Any]] = Factory(list)
    before: dict[Key, Words] = Factory(dict)
    """The words that were seen so far: none of them may change."""
    wrong: list[str] = field(factory=list)

    def explainer(self, reached: Any, policy: Policy, caller: Caller, per_hour: int) -> Explainer:
        """Return the function of one container, as ``explain.function`` builds it; ``reached`` is its store."""
        store, clock = self._store(reached), caller.clock()
        budget = Budget(store.explanations(), per_hour, clock)
        key = ModelKey(lambda: self._secret(caller), clock)
        client = self.model.connected(caller)
        model = Endpoint("gpt-4.1", key, budget, clock, ADDRESS, client=client, client_key=KEY)
        policy = evolve(policy, explain=evolve(policy.explain, max_per_hour=per_hour))
        return Explainer(policy, store, model, Counted(caller.dice.count, clock), clock, Bus(Told(self, caller), "default"))

    def _store(self, reached: Any) -> Any:
        if isinstance(reached, FaultyStore):
            return ExplainedMemory(reached, self.shelf)
        return evolve(reached, client=OnlyWords(reached.client, self.wrong))

    def words(self, place: Any) -> Mapping[Key, Words]:
        """Return the explanations by the entries on which they stand."""
        return self.shelf.words if isinstance(place, MemoryPlace) else place.words()

    def _secret(self, caller: Caller) -> str:
        if caller.dice.happens("secret unreadable", 0.2):
            raise ConnectionError("no answer")
        return KEY

    def documents(self, records: list[Record], chance: Random) -> list[Any]:
        """Return a batch as Lambda hands it over, now and then with what is no entry."""
        strange = [chance.choice(NO_RECORDS)] if chance.random() < STRANGE else []
        return [*(record.document for record in records), *strange]

    # --- what must be true ---

    def look(self, words: Mapping[Key, Words]) -> None:
        """Compare the words with those that were seen."""
        for key, said in self.before.items():
            if words.get(key) != said:
                self.wrong.append(f"{key[0]}: the explanation of entry {key[1]} was changed or removed")
        self.before = {key: dict(said) for key, said in words.items()}

    def check(self, entries: list[dict[str, Any]], words: Mapping[Key, Words], per_hour: int) -> list[str]:
        """Return what is wrong once every record was handed over."""
        flagged = {(entry["reference"], entry["sequence"]) for entry in entries if entry.get("anomalies")}
        wrong = [*self.wrong]
        wrong += [f"{key[0]}: flagged entry {key[1]} has no explanation" for key in sorted(flagged - words.keys())]
        wrong += [f"{key[0]}: entry {key[1]} is explained, and not flagged" for key in sorted(words.keys() - flagged)]
        wrong += [f"{key[0]}: the explanation of entry {key[1]} {what}" for key, said in words.items() for what in _odd(said)]
        return [*wrong, *self._told_wrongly(words), *self._asked_too_often(per_hour)]

    def _told_wrongly(self, words: Mapping[Key, Words]) -> Iterator[str]:
        keys = [(detail["reference"], detail["sequence"]) for detail in self.told]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            yield f"{key[0]}: the explanation of entry {key[1]} was told {keys.count(key)} times"
        for key, detail in zip(keys, self.told, strict=True):
            if words.get(key) != detail["explanation"]:
                yield f"{key[0]}: of entry {key[1]} other words were told than stand there"

    def _asked_too_often(self, per_hour: int) -> Iterator[str]:
        asked = sorted(self.model.asked_at)
        for first, last in zip(asked, asked[per_hour:], strict=False):
            if last - first < HOUR:
                yield f"the model was asked {per_hour + 1} times in {last - first:.0f} seconds; {per_hour} an hour are allowed"


@frozen(eq=False)
class Told:
    """The bus as the function reaches it: it takes events, refuses them, or gives no answer."""

    desk: ExplainDesk
    caller: Caller

    def __call__(self, **request: Any) -> dict[str, Any]:
        self.caller.give_way()
        if self.caller.dice.happens("bus takes nothing", 0.3):
            return {"FailedEntryCount": len(request["Entries"]), "Entries": [{"ErrorCode": "ThrottlingException"}]}
        taken = [entry for entry in request["Entries"] if entry["DetailType"] == EXPLAINED]
        self.desk.told += [json.loads(entry["Detail"]) for entry in taken]
        if self.caller.dice.happens("bus takes all, answer lost", 0.3):
            raise ConnectionError("no answer")
        return {"FailedEntryCount": 0}


SAID = {"summary", "likely_cause", "severity", "suggested_check", "by", "at"}


def _odd(said: Words) -> Iterator[str]:
    if not said.keys() >= SAID or said["by"] not in {BY_MODEL, BY_RULES}:
        yield f"says only {sorted(said)}"
    elif (said["by"] == BY_MODEL) is not ("model" in said) or (said["by"] == BY_RULES) is not ("why" in said):
        yield "does not say whose it is"
    if "u-evil" in str(said) or "evil.example" in str(said):
        yield "says what an event dictated"
