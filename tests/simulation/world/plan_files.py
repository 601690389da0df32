"""The pricing team: it plans into a file by another edit of the policy, and applies that later, killed and begun again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from engine.policy import Policy
from engine.reconcile.plan_file import PlanFile
from engine.reconcile.repricing.apply import Applying, Done
from engine.reconcile.repricing.plan import Wish, make_plan
from engine.reconcile.repricing.which_jobs import Filters
from tests.simulation.repricings import REPRICE, Planned, Repricing
from tests.simulation.world.deeds import PERSON_SECONDS, tried
from tests.simulation.world.plan import Step
from tests.simulation.world.sayings import Pricing
from tests.simulation.world.terms import policies_by_name, policy_of

if TYPE_CHECKING:
    from tests.simulation.world.play import World

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
COUNTED = {
    "posted": "was posted",
    "posted_before": "was posted before",
    "changed": "has changed",
    "refused": "was refused",
    "left": "was left for the next run",
}
"""What a run tells of the jobs of its plan."""

FILE = "plan.jsonl"
APPLIED_MAX = (2, 10_000, 10_000)
"""How many entries one run may post: what is over waits for the next one."""


@define(eq=False)
class PlanOnFile:
    """A plan: the bytes of its file, and what the judge has to know of it."""

    text: bytes
    planned: Planned

    @contextmanager
    def on_disk(self) -> Iterator[PlanFile]:
        """Put the file somewhere for a while."""
        with TemporaryDirectory(prefix="plan-") as folder:
            path = Path(folder) / FILE
            path.write_bytes(self.text)
            yield PlanFile.open(path, REPRICE)


def plan_prices(world: World, step: Step) -> None:
    """Plan into a file, and take down which jobs it has, and as they were when it read them."""
    said: Pricing = step.subject
    caller = world.caller(step)
    caller.ends_at = float("inf")
    store: Any = world.reach(world.place, caller)
    since, until = (instant and datetime.fromisoformat(instant) for instant in (said.since, said.until))
    reason, policy = f"prices of {said.name}", priced_by(world, said)
    wish = Wish(policy, reason, "ann", store.clock.now(), {"ledger": "Ledger"}, Filters(since, until))
    before, what = lengths(world), f"{said.name}, edit {said.edit} from {said.since} to {said.until}, is planned"
    with TemporaryDirectory(prefix="plan-") as folder:
        path = Path(folder) / FILE
        if tried(world, what, lambda: make_plan(wish, store, path, caller.clock().deadline(PERSON_SECONDS))) is None:
            return
        file, text = PlanFile.open(path, REPRICE), path.read_bytes()
        jobs = {line["job"]: int(line["sequence"]) for line in file.lines() if "job" in line}
    world.count["plan of new prices"] += 1
    now = lengths(world)
    still = {reference: length for reference, length in now.items() if before.get(reference) == length}
    name = policy_name(world, said)
    window = since or ALWAYS[0], until or ALWAYS[1]
    world.pricings[said.name] = PlanOnFile(text, Planned(file.digest, name, *window, frozenset(jobs), still))
    world.repricings += (Repricing(file.digest, job, read, policy=name) for job, read in jobs.items())
    world.lines[-1] += f" ({file.digest[:8]}): {', '.join(jobs) or 'no job'}"


def apply_prices(world: World, step: Step) -> None:
    """Apply a plan file, if there is one; when all is quiet, to its end."""
    said: Pricing = step.subject
    plan = world.pricings.get(said.name)
    if plan is None:
        return
    caller = world.caller(step)
    caller.ends_at = float("inf")
    store: Any = world.reach(world.place, caller)
    deadline = caller.clock().deadline(PERSON_SECONDS)
    entries_max = APPLIED_MAX[0 if not world.is_calm and step.seed % len(APPLIED_MAX) == 0 else 1]
    with plan.on_disk() as file:
        applying = Applying(file, priced_by(world, said), store, "bob", deadline)
        checked = applying.check() if world.is_calm else None
        done = tried(world, f"{said.name} is applied", lambda: applying.post(entries_max))
    if checked is not None and done is not None and not done.refused and checked != done:
        world.wrong.append(f"{said.name}: a look at it says {checked}, and a run of it {done}")
    if done is None:
        return
    for name, words in COUNTED.items():
        world.count[f"job of a plan that {words}"] += getattr(done, name)
    world.lines[-1] += f" {done.posted} posted, {done.posted_before} before, {done.changed} changed, {done.refused} refused"
    world.wrong += told_wrong(world, plan, done, entries_max)
    if world.is_calm:
        _ended(world, plan, {alone["job"] for alone in done.alone if alone["what"] == "refused"})


def told_wrong(world: World, plan: PlanOnFile, done: Done, entries_max: int) -> Iterator[str]:
    """Yield what a run says of itself that is not so. What others have posted of the same plan at once counts for either."""
    name = f"a run of plan {plan.planned.plan[:8]}"
    if done.posted + done.posted_before + done.changed + done.refused + done.left != done.jobs or done.posted > entries_max:
        yield f"{name} may post {entries_max} entries, and says {done}"
    if done.jobs != len(plan.planned.jobs):
        yield f"{name} tells of {done.jobs} jobs; {len(plan.planned.jobs)} are in the file"
    posted = [entry for entry in world.place.entries() if entry.get("correction", {}).get("plan") == plan.planned.plan]
    amount = sum((entry["amount"] for entry in posted), Decimal(0))
    if world.is_calm and (len(posted), amount) != (done.posted + done.posted_before, done.credits):
        yield f"{name} says {done}; {len(posted)} entries come to {amount}"


def _ended(world: World, plan: PlanOnFile, refused: set[str]) -> None:
    """Take down how long each log is now, of the jobs that the plan has not left alone for their users' balance."""
    now, digest = lengths(world), plan.planned.plan
    world.repricings = [
        evolve(each, ended=now[f"job#{each.job}"]) if each.plan == digest and each.job not in refused else each
        for each in world.repricings
    ]


def lengths(world: World) -> dict[str, int]:
    """Return how many entries each log has."""
    count: dict[str, int] = {}
    for entry in world.place.entries():
        count[entry["reference"]] = count.get(entry["reference"], 0) + 1
    return count


def priced_by(world: World, said: Pricing) -> Policy:
    """Return the policy that a plan prices by."""
    return policy_of(said.edit, world.plan.overdraft, world.plan.unknown_user)


def policy_name(world: World, said: Pricing) -> str:
    """Return what entries name it."""
    (name,) = policies_by_name(frozenset({said.edit}), world.plan.overdraft, world.plan.unknown_user)
    return name
