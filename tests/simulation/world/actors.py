"""What others do in some histories: explain, look back, repair what is sound, send dead letters again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from engine.anomalies.look_back import look_back
from engine.audit.repair import repair
from engine.cli.dead_letters import settle
from engine.reconcile.dead_letters import Letter, read_letter
from engine.reconcile.give_up import RECEIVES
from engine.runtime.clock import Deadline
from tests.simulation.faults import Caller
from tests.simulation.world.by_hand import price_by_hand
from tests.simulation.world.deeds import PERSON_SECONDS, tried
from tests.simulation.world.desk import approve, say, withdraw
from tests.simulation.world.explaining import BATCH_MAX, PER_HOUR
from tests.simulation.world.plan import Document, Round, Step
from tests.simulation.world.plan_files import apply_prices, plan_prices

if TYPE_CHECKING:
    from tests.simulation.world.play import World

EXPLAIN_SECONDS = (12.0, 60.0, 60.0)
"""How long the platform lets the function that explains live; the shortest is over before its model has answered."""


def explain(world: World, step: Step) -> None:
    """Hand a batch of the Ledger's stream to the function that explains."""
    desk, chance = world.desk, Random(step.seed)
    desk.look(desk.words(world.place))
    desk.stream.look(world.place.entries(), chance)
    records = desk.stream.batch(chance, chance.choice((1, 3, BATCH_MAX)))
    if not records:
        return
    caller = world.caller(step)
    caller.ends_at = world.timeline.steady + (EXPLAIN_SECONDS[-1] if world.is_calm else chance.choice(EXPLAIN_SECONDS))
    explainer = desk.explainer(world.reach(world.place, caller), world.policy, caller, per_hour(world))
    documents = desk.documents(records, chance)
    answer = tried(world, f"{len(records)} records to explain", lambda: explainer.batch(documents, _until_the_end(caller)))
    lost = desk.stream.come_back(records, None if answer is None else set(answer))
    world.count["record of the stream lost"] += lost
    world.count["record of the stream that came again"] += sum(record.tries > 0 for record in records)
    desk.look(desk.words(world.place))


def per_hour(world: World) -> int:
    """Return how many questions of an hour this history's policy allows."""
    return PER_HOUR[world.plan.seed % len(PER_HOUR)]


def look(world: World, step: Step) -> None:
    """Look back, at any moment."""
    caller = world.caller(step)
    reconciler = world.reconciler(caller)
    said = tried(world, "a look back", lambda: look_back(reconciler, reconciler.clock.now(), _until_the_end(caller)))
    if said:
        world.count["look back that came to its end"] += "problem" not in said["lookBack"]


def mend(world: World, step: Step) -> None:
    """Repair a ledger in which nothing is wrong, beside all writers: nothing is to be corrected, nor left to a person."""
    caller = world.caller(step)
    caller.ends_at = float("inf")
    ledger, deadline = world.reconciler(caller).ledger, caller.clock().deadline(PERSON_SECONDS)
    done = tried(world, "a repair", lambda: repair(ledger, "u-nobody", "nothing is wrong", None, deadline))
    if done is None:
        return
    world.count["repair that came to its end"] += 1
    if done.corrections or done.left or not done.after.is_clean:
        world.wrong.append(f"a repair of a sound ledger: {done}")


def resend(world: World, step: Step) -> None:
    """Send dead letters again, as ``reconciler dead-letters replay`` does: what is settled goes, the others stay."""
    caller, chance = world.caller(step), Random(step.seed)
    caller.ends_at = float("inf")
    reconciler = world.reconciler(caller)
    for document in list(world.queue.letters):
        letter = letter_of(document, chance)
        what = f"the command sends {document['id']} again"
        said = tried(world, what, lambda letter=letter: settle(letter, reconciler, _patience(caller)))
        if said is None:
            return
        is_there = any(each is document for each in world.queue.letters)
        if said[1] is None and is_there:
            world.queue.letters = [each for each in world.queue.letters if each is not document]
            world.count["dead letter settled by the command"] += 1
        world.count["dead letter left by the command"] += said[1] is not None


def letter_of(document: Document, chance: Random) -> Letter:
    """Return an event as one of the dead-letter queues keeps it."""
    said: dict[str, Any] = {"MessageId": document["id"], "ReceiptHandle": "r"}
    way = chance.choice(("queue", "destination", "batch", "given-up"))
    body: Any = document
    if way in {"destination", "batch"}:
        payload = document if way == "destination" else {"Records": [{"body": json.dumps(document)}]}
        body = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload}
    if way == "given-up":
        said["MessageAttributes"] = {RECEIVES: {"StringValue": "3"}, "ErrorMessage": {"StringValue": "it makes no sense"}}
    return read_letter({**said, "Body": json.dumps(body)}, "letters")


def _until_the_end(caller: Caller) -> Deadline:
    return caller.clock().deadline(caller.ends_at - caller.timeline.steady - 0.5)


def _patience(caller: Caller) -> Callable[[], Deadline]:
    return lambda: caller.clock().deadline(30.0)


ACTS: Mapping[str, Callable[[World, Step], None]] = {
    "explain": explain,
    "look": look,
    "mend": mend,
    "resend": resend,
    "say": say,
    "approve": approve,
    "withdraw": withdraw,
    "price_by_hand": price_by_hand,
    "plan_prices": plan_prices,
    "apply_prices": apply_prices,
}
"""By the kind of their step."""


def explained_at_last(world: World) -> list[str]:
    """Let every record be handed over, those that were lost too, and return what is wrong with the explanations."""
    if not any(step.kind == "explain" for step in world.plan.steps()):
        return []
    stream, number = world.desk.stream, 0
    stream.look(world.place.entries(), Random(0))
    stream.waiting, stream.lost = [*stream.waiting, *stream.lost], []
    while stream.waiting:
        number += 1
        world.round(Round(number, (Step("explain", number),), 1.0))
    return world.desk.check(world.place.entries(), world.desk.words(world.place), per_hour(world))
