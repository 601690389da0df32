"""Policy tests: what given events must post under a policy, written in YAML beside it, and what no test has reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve, frozen

from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.errors import CorrectionError, EventError, Mistake, PolicyError
from engine.domain.instants import instant_text
from engine.domain.money import ZERO
from engine.domain.price import Tier
from engine.domain.references import ADJUST, GRANT, JOB
from engine.policy import Policy, load_policy
from engine.policy.grammar import WRONG, Key, Keys, ListOf, MapOf, Number, Text, Word
from engine.policy.hints import did_you_mean
from engine.policy.price_books import rates_by_unit
from engine.policy.source import Items, Members, Node, Notes, named, read_yaml
from engine.preview.dry_run import DryRun, store_of
from engine.preview.given import CREDITS, Given, JobsRow, do, identified, is_claim, with_policies
from engine.rating.baselines import Baseline, Baselines


@frozen
class Expected:
    """An entry that must be posted; what is None may be anything."""

    reference: str
    type: str
    amount: Decimal
    rule: str | None = None
    anomalies: tuple[str, ...] | None = None

    def describes(self, entry: Entry) -> bool:
        """Say whether an entry is the expected one."""
        return (
            (self.reference, self.type, self.amount) == (entry.reference, entry.type.value, entry.amount)
            and self.rule in {None, entry.rule}
            and self.anomalies in {None, names_of(entry)}
        )

    def __str__(self) -> str:
        rule = f" by {self.rule}" if self.rule else ""
        anomalies = f" [{', '.join(self.anomalies)}]" if self.anomalies else ""
        return f"{self.reference} {self.type} {self.amount:f}{rule}{anomalies}"


@frozen
class PolicyTest:
    """One test: events and rows in, entries and balances out, or an error that says a certain text."""

    name: str
    line: int
    given: tuple[Mapping[str, Any], ...]
    expect: tuple[Expected, ...] = ()
    users: Mapping[str, Decimal] | None = None
    balances: Mapping[str, Decimal] = {}
    held: Mapping[str, Decimal] = {}
    baselines: Mapping[str, Mapping[str, Baseline]] = {}
    error: str | None = None
    rows: tuple[Mapping[str, Any], ...] = ()
    """The rows of Jobs that the policy may read by ``row``."""


@frozen
class TestFile:
    """A file of tests, and the policy that they are about."""

    __test__ = False

    path: Path
    policy: Policy
    tests: tuple[PolicyTest, ...]


@frozen
class Result:
    """How a test ended: nothing wrong, or lines that show what differs (``-`` expected, ``+`` found)."""

    test: PolicyTest
    differences: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.differences


# --- the file ---------------------------------------------------------------------------------------------------------


LOGS: Mapping[str, str] = {"job": JOB, "grant": GRANT, "adjust": ADJUST}


def _expected(values: Mapping[str, Any], node: Members, notes: Notes) -> Any:
    named_logs = [f"{log}{values[name]}" for name, log in LOGS.items() if values[name] is not None]
    if len(named_logs) != 1:
        notes.mistake(node.place, "an entry is of a `job`, of a `grant`, or of an adjustment: `adjust`")
        return WRONG
    (reference,) = named_logs
    return Expected(reference, values["type"], values["amount"], values["rule"], values["anomalies"])


def _test(values: Mapping[str, Any], node: Members, notes: Notes) -> PolicyTest:
    if values["error"] is not None and (values["expect"] or values["balances"] or values["held"]):
        notes.mistake(node.place, "a test that expects an `error` expects no entries and no balances")
    return PolicyTest(line=node.place.line, **values)


EXPECTED = Keys(
    {
        "job": Key(Text("a job"), None),
        "grant": Key(Text("the reference of a grant"), None),
        "adjust": Key(Text("the id of an adjustment"), None),
        "type": Key(Word(tuple(EntryType))),
        "amount": Key(CREDITS),
        "rule": Key(Text("the name of a rule"), None),
        "anomalies": Key(ListOf(Text("the name of an anomaly"), least=0), None),
    },
    _expected,
)

BASELINE = Keys(
    {
        "median": Key(CREDITS),
        "mad": Key(CREDITS),
        "samples": Key(Number(Decimal(1), Decimal(10**6), whole=True)),
        "log_mad": Key(CREDITS, None),
    },
    lambda values, _node, _notes: Baseline(values["median"], values["mad"], values["samples"], values["log_mad"]),
)

TEST = Keys(
    {
        "name": Key(Text("what the test shows")),
        "given": Key(ListOf(Given())),
        "expect": Key(ListOf(EXPECTED, least=0), ()),
        "users": Key(MapOf(CREDITS, least=0), None),
        "balances": Key(MapOf(CREDITS), {}),
        "held": Key(MapOf(CREDITS), {}),
        "baselines": Key(MapOf(MapOf(BASELINE)), {}),
        "error": Key(Text("what the error says"), None),
        "rows": Key(ListOf(JobsRow()), ()),
    },
    _test,
)

TESTS = Keys({"policy": Key(Text("the policy's file, beside this one")), "tests": Key(ListOf(TEST))})


def load_tests(path: Path, edited: Policy | None = None) -> TestFile:
    """Return a file of tests with its policy, or with ``edited`` in the place of that.

    Raises PolicyError for a mistake in either.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError([Mistake(f"cannot be read: {error.strerror or error}", file=str(path))]) from error
    node, notes = read_yaml(data, str(path))
    values = TESTS.read(node, notes)
    if notes.mistakes or values is WRONG:
        raise notes.error()
    policy = edited or load_policy(path.parent / values["policy"])
    _check_baselines(node, policy, notes)
    if notes.mistakes:
        raise notes.error()
    tests = (evolve(test, given=tuple(with_policies(given, path.parent) for given in test.given)) for test in values["tests"])
    return TestFile(path, policy, tuple(tests))


def _check_baselines(node: Node, policy: Policy, notes: Notes) -> None:
    """A baseline of something that no anomaly looks at would make a test pass that shows nothing."""
    known = policy.measured
    tests = node.get("tests") if isinstance(node, Members) else None
    for test in tests.nodes if isinstance(tests, Items) else ():
        baselines = test.get("baselines") if isinstance(test, Members) else None
        for key, _ in baselines.pairs if isinstance(baselines, Members) else ():
            if key.text not in known:
                notes.mistake(key.place, f"no anomaly looks at {named(key.text)}{did_you_mean(key.text, known)}")


# --- a run ------------------------------------------------------------------------------------------------------------


def run_test(test: PolicyTest, policy: Policy) -> Result:
    """Try what a test is given and what the next scheduled run makes of it, and compare."""
    store = store_of(test.users)
    store.baselines[policy.name] = Baselines(test.baselines, computed_at=store.clock.now())
    store.jobs.update({row["jobId"]: dict(row) for row in test.rows})
    run = DryRun(policy, store)
    try:
        for place, given in enumerate(test.given, start=1):
            do(identified(given, place, policy), run)
        run.look_back()
    except (EventError, CorrectionError) as error:
        return _failed(test, run, error)
    entries = _entries(run)
    differences = [*_error_missing(test), *_entry_differences(test, entries), *_balance_differences(test, run)]
    return Result(test, tuple(differences), entries)


def _entries(run: DryRun) -> tuple[Entry, ...]:
    """Return what was posted, but for what only claims the id of an adjustment."""
    return tuple(entry for entry in run.entries() if not is_claim(entry))


def _failed(test: PolicyTest, run: DryRun, error: EventError | CorrectionError) -> Result:
    entries = _entries(run)
    if test.error is not None and test.error in str(error):
        return Result(test, (), entries)
    wanted = f"- an error that says: {test.error}" if test.error is not None else "- no error"
    return Result(test, (wanted, f"+ {error}"), entries)


def _error_missing(test: PolicyTest) -> list[str]:
    return [f"- an error that says: {test.error}", "+ no error"] if test.error is not None else []


def _entry_differences(test: PolicyTest, entries: tuple[Entry, ...]) -> list[str]:
    """Return what was expected and is missing, and what was found and not expected; of one job the order counts."""
    left = list(entries)
    missing = []
    for expected in test.expect:
        following = next((entry for entry in left if entry.reference == expected.reference), None)
        if following is not None and expected.describes(following):
            left.remove(following)
        else:
            missing.append(f"- {expected}")
    return [*missing, *(f"+ {_shown(entry)}" for entry in left)]


def _balance_differences(test: PolicyTest, run: DryRun) -> Iterator[str]:
    for user, expected in test.balances.items():
        row = run.store.balance(user, run.deadline)
        found = row["remaining"] if row is not None else None
        if found != expected:
            yield f"- {user} has {expected:f}"
            yield f"+ {user} has {found:f}" if found is not None else f"+ {user} has no row"
    for user, expected in test.held.items():
        found = (run.store.balance(user, run.deadline) or {}).get("held", ZERO)
        if found != expected:
            yield from (f"- held of {user}: {expected:f}", f"+ held of {user}: {found:f}")


def _shown(entry: Entry) -> str:
    return str(Expected(entry.reference, entry.type.value, entry.amount, entry.rule, names_of(entry)))


def names_of(entry: Entry) -> tuple[str, ...]:
    """Return the names of an entry's anomalies."""
    return tuple(anomaly.name for anomaly in entry.anomalies)


# --- what no test reached ---------------------------------------------------------------------------------------------


@define
class Coverage:
    """The rules, rates and anomalies that tests have reached. A rate belongs to the row that says it."""

    reached: set[str] = Factory(set)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count what these entries came from."""
        for entry in entries:
            if entry.source is not Source.COMMAND:  # what a person tells has the command in the place of a rule
                self.reached.add(f"rule {entry.rule}")
            self.reached.update(f"{kind} {name}" for name in names_of(entry) for kind in ("rule", "anomaly"))
            for price in entry.price.parts if entry.price else ():
                if price.effective is not None:
                    self.reached.add(f"rate {price.book} {instant_text(price.effective)} {price.unit}")

    def missed(self, policy: Policy) -> list[str]:
        """Return what no test reached, in the policy's order."""
        reached = {*self.reached, *(said for part, said in _rates(policy) if part in self.reached)}
        return [part for part in parts_of(policy) if part not in reached]


def parts_of(policy: Policy) -> Iterator[str]:
    """Yield everything in a policy that a test can reach: rates, rules, anomalies.

    Of a row that is written as changes these are the rates that it changes: all others are those of the row above.
    """
    yield from (part for part, said in _rates(policy) if part == said)
    yield from (f"rule {rule.name}" for rule in policy.rules)
    yield from (f"anomaly {anomaly.name}" for anomaly in policy.anomalies)


def _rates(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield each rate of each row, with the rate of the row that says it: another one where ``changes`` leave it as it is."""
    for book in policy.prices.values():
        told: dict[datetime | None, dict[str, tuple[tuple[Tier, ...], str]]] = {None: {}}
        for row in book.rows:
            above, here = told[row.over], told.setdefault(row.effective, {})
            for unit, tiers in rates_by_unit(row.rates):
                part = f"rate {book.name} {instant_text(row.effective)} {unit}"
                old = above.get(unit)
                here[unit] = old if old is not None and old[0] == tiers else (tiers, part)
                yield part, here[unit][1]
