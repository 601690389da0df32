"""The judge: what the tables must say once everything is quiet, by the rules of the design alone.

It knows nothing of the engine: tellings are what applications have told, policies are their files, entries and rows are what
is stored. What a log must come to, the oracle works out (oracle.py); entries say what was told first, and under which policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, product
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from tests.simulation.claims import Fact, instant, parts, rule_of, selectors, terms_of, value
from tests.simulation.holds import (
    EXPIRY,
    is_refused,
    told_after_refusal,
    wrong_of_expiry,
    wrong_of_move,
    wrong_of_refusal,
)
from tests.simulation.oracle import Oracle
from tests.simulation.repricings import REPRICE, Kept, Planned, Repricing, amount_by, is_changed, kept, price_anew
from tests.simulation.tellings import Policies, Telling, is_fine, knows
from tests.simulation.words import ADJUST, Word, Wrong, of_ids, standing_of, word_of

Entry = Mapping[str, Any]


# --- the whole ledger -------------------------------------------------------------------------------------------------


@frozen
class Case:
    """What is known in the end. ``granted`` is what applications gave each user, ``may_be_due`` are logs that may wait."""

    tellings: Sequence[Telling]
    policies: Policies
    entries: Sequence[Entry]
    credits: Mapping[str, Mapping[str, Any]]
    granted: Mapping[str, Fraction]
    senseless: frozenset[str]
    letters: frozenset[str]
    may_be_due: frozenset[str] = frozenset()
    words: Sequence[Word] = ()
    repricings: Sequence[Repricing] = ()
    plans: Sequence[Planned] = ()
    plan_policies: Policies = MappingProxyType({})
    """The policies that people have priced by, whether or not they were deployed."""
    lowest: Mapping[tuple[str, int], Fraction] = MappingProxyType({})
    """By the entry that remembers a refusal: the least that its user had while it was decided on, without a row left out."""


def judge(case: Case) -> list[str]:
    """Return all that is wrong; nothing where every balance is right."""
    logs: dict[str, list[Entry]] = defaultdict(list)
    for entry in case.entries:
        logs[entry["reference"]].append(entry)
    tellings: dict[str, list[Telling]] = defaultdict(list)
    for telling in case.tellings:
        tellings[telling.reference].append(telling)
    wrong = [*_of_words(case), *_of_logs(case, logs, tellings), *_of_users(case)]
    wrong += [f"{entry['reference']}: {entry['eventId']} makes no sense, and stands in the ledger" for entry in case.entries
              if entry.get("eventId") in case.senseless and not is_refused(entry)]  # fmt: skip
    if case.letters != case.senseless:
        wrong.append(f"dead letters are {sorted(case.letters)}; {sorted(case.senseless)} make no sense")
    return wrong


def _of_logs(case: Case, logs: Mapping[str, list[Entry]], tellings: Mapping[str, list[Telling]]) -> Iterator[str]:
    for reference in sorted(logs.keys() | tellings.keys()):
        log, told = sorted(logs.get(reference, ()), key=lambda entry: entry["sequence"]), tellings.get(reference, [])
        if [entry["sequence"] for entry in log] != list(range(1, len(log) + 1)):
            yield f"{reference}: the log has gaps: {[entry['sequence'] for entry in log]}"
        if len(owners(log, told)) > 1:
            yield f"{reference}: its entries are of several users"
        try:
            yield from _of_net(case, reference, log, told)
        except Wrong as wrong:
            yield f"{reference}: {wrong}"


def owners(log: Sequence[Entry], told: Sequence[Telling]) -> set[str]:
    """Return whose a log is. A request that was refused says nothing of that."""
    refused = {entry["eventId"] for entry in log if is_refused(entry)}
    named = {entry["userId"] for entry in log if not is_refused(entry)}
    return named | {telling.user for telling in told if telling.event not in refused}


def _of_words(case: Case) -> Iterator[str]:
    try:
        bounds = next(iter(case.policies.values()))["adjustments"]
        yield from of_ids(_not_held(case, Fraction(bounds["second_person_above"])), case.entries, bounds)
    except Wrong as wrong:
        yield str(wrong)


def _not_held(case: Case, bound: Fraction) -> list[Word]:
    """Return the words but for those whose id a proposal may hold that waits in vain.

    It needs a second person, who is refused: another word has taken back what it is to take back.
    """
    stand = {entry["correction"]["id"]: word_of(case.words, entry) for entry in case.entries if entry["rule"] == ADJUST}
    taken = {name for word in stand.values() if (name := word.reverses) in stand and abs(stand[name].amount) > bound}
    held = {word.id for word in case.words if word.reverses in taken and word.id not in stand}
    return [word for word in case.words if word.id not in held]


def _of_net(case: Case, reference: str, log: list[Entry], told: list[Telling]) -> Iterator[str]:
    """Yield what is wrong, whichever way the entries are read: two writings of a row may come to one quantity."""
    wrong: list[str] = []
    for read in islice(product(*(readings(entry, told, case) for entry in log)), READINGS_MAX):
        found = list(_as_read(case, reference, log, told, read))
        if not found:
            return
        wrong = wrong or found
    yield from wrong


def _as_read(case: Case, reference: str, log: list[Entry], told: list[Telling], read: Sequence[Reading]) -> Iterator[str]:
    posted, oracle = Fraction(0), Oracle()
    known = [_kept(oracle)]
    for entry, reading in zip(log, read, strict=True):
        before, problems = oracle.standing(), [*_taken_in(oracle, entry, reading, case, known)]
        problems += wrong_of_move(entry, before, oracle.standing(), posted)
        yield from (f"{reference}: entry {entry['sequence']} {problem}" for problem in problems)
        posted += Fraction(entry["amount"])
        known.append(_kept(oracle))
    yield from left_out(reference, log, case, known)
    yield from (f"{reference}: {problem}" for problem in told_after_refusal(log))
    refused = {entry["eventId"] for entry in log if is_refused(entry)}
    for telling in told:
        if not (
            telling.event in refused
            or is_fine(oracle, telling, case.policies)
            or any(knows(oracle, each, case.policies) for each in told if each.event in telling.others)
        ):
            at = telling.fact.at
            yield f"{reference}: the {telling.fact.kind} of {at:%FT%TZ} was told, and no entry knows of it"
            return
    if posted != (expected := oracle.net()) and not (reference in case.may_be_due and expected <= posted <= 0):
        yield f"{reference}: its entries come to {float(posted)}; {float(expected)} is right"
    if (hold := oracle.standing().hold) is not None:
        yield f"{reference}: a hold of {hold.fact.at:%FT%TZ} is open still"


def _taken_in(oracle: Oracle, entry: Entry, reading: Reading, case: Case, known: Sequence[Kept]) -> Iterator[str]:
    """Tell the oracle what an entry tells, and yield what is wrong with a refusal or an expiry."""
    before = oracle.standing()
    if "correction" in entry:
        hear(oracle, entry, case, known)
    elif entry["rule"] == EXPIRY:
        yield from wrong_of_expiry(entry, before)
        oracle.expired |= {before.hold.attempt} if before.hold else set()
    elif reading is not None and is_refused(entry):
        other = evolve(oracle, told={action: [*claims] for action, claims in oracle.told.items()})
        other.tell(*reading)
        asked = other.standing().held - before.held
        lowest = case.lowest.get((entry["reference"], entry["sequence"]))
        yield from wrong_of_refusal(rule_of(reading[0].kind, reading[1]), asked, lowest)
    elif reading is not None:
        oracle.tell(*reading)


# --- what people say --------------------------------------------------------------------------------------------------


def _kept(oracle: Oracle) -> Kept:
    return kept(oracle.told["debit"], oracle.told["refund"])


def hear(oracle: Oracle, entry: Entry, case: Case, known: Sequence[Kept]) -> None:
    """Tell the oracle what a person has said; ``known`` are the charges that were kept after each entry before."""
    if entry["rule"] == ADJUST:
        word = word_of(case.words, entry)
        oracle.words += standing_of(word, entry["reference"])
        return
    said = next((each for each in case.repricings if is_it_priced_so(each, entry)), None)
    if entry["rule"] != REPRICE or said is None:
        raise Wrong(f"entry {entry['sequence']} is a correction that nobody said")
    if said.is_plan and known[said.read] != known[-1]:
        raise Wrong(f"plan {said.plan} was applied to it, though a charge had changed since")
    by_policy = amount_by(case.plan_policies[said.policy], said.policy) if said.policy else None
    price_anew(oracle.told["debit"], known[said.read], by_policy or (lambda _claim: said.amount or Fraction(0)))


def is_it_priced_so(said: Repricing, entry: Entry) -> bool:
    """Say whether an entry is of this repricing of this job."""
    correction = entry["correction"]
    return (said.plan, f"job#{said.job}") == (correction.get("plan") or correction.get("id"), entry["reference"])


def left_out(reference: str, log: Sequence[Entry], case: Case, known: Sequence[Kept]) -> Iterator[str]:
    """Yield each plan that has left a job out, though it was to be priced anew, or none of its charges had changed since."""
    for plan in case.plans:
        charges = known[plan.lengths.get(reference, 0)]
        is_in = reference.removeprefix("job#") in plan.jobs
        if not is_in and plan.is_about(charges) and is_changed(charges, case.plan_policies[plan.policy], plan.policy):
            yield f"{reference}: plan {plan.plan} has no line of it"
        if is_in and reference in plan.lengths and not plan.is_about(charges):
            yield f"{reference}: plan {plan.plan} has a line of it, and no charge in its window"
    applied = {entry["correction"].get("plan") for entry in log if "correction" in entry}
    for said in case.repricings:
        was_applied = f"job#{said.job}" == reference and said.ended is not None
        if was_applied and said.plan not in applied and known[said.read] == known[said.ended or 0]:
            yield f"{reference}: plan {said.plan} has left it out, though none of its charges had changed"


# --- what entries tell ------------------------------------------------------------------------------------------------


type Reading = tuple[Fact, Mapping[str, Any], str, Mapping[str, str]] | None
"""What an entry tells the oracle: a fact, the policy and its name, what the job's row said. None for a flag, and a word."""

READINGS_MAX = 64


def readings(entry: Entry, told: Sequence[Telling], case: Case) -> list[Reading]:
    """Return what an entry may tell: one thing, unless the job's row has said several and the entry does not show which."""
    if "correction" in entry:
        return [None]
    if (policy := case.policies.get(entry["policy"])) is None:
        raise Wrong(f"an entry names policy {entry['policy']}, which was never deployed")
    rule = next((rule for rule in policy["rules"] if rule["name"] == entry["rule"] and rule["action"] != "flag"), None)
    if rule is None:  # a rule that only flags, or a look back
        return [None]
    found: dict[tuple[tuple[str, str], ...], Reading] = {}
    for telling in told:
        fact = telling.fact if "eventId" in entry else telling.by_scan(policy)
        fact = evolve(fact, at=instant(entry["occurredAt"]), weak="occurredAtFrom" in entry)
        for row in _rows_read(entry, telling, rule, case):
            said = tuple(sorted({**telling.fact.said, **row}.items()))
            found.setdefault(said, (fact, policy, entry["policy"], row))
    if not found:
        raise Wrong(f"an entry tells a {entry['rule']} of {entry['occurredAt']} that nobody told")
    return list(found.values())


def _rows_read(entry: Entry, telling: Telling, rule: Mapping[str, Any], case: Case) -> list[Mapping[str, str]]:
    """Return what the job's row may have said when an entry was made of a telling; none where it was not.

    One will do where no price asks it: neither that of the telling, nor one by which a person may price it anew.
    """
    if not is_it(telling, entry, rule):
        return []
    said, terms, books = telling.fact.said, terms_of(rule), case.policies[entry["policy"]]["prices"]
    asks_row = case.repricings or "row." in f"{terms} {[selectors(part, books) for part in parts(terms)]}"
    rows = [row for row in telling.rows if is_priced_so(entry, terms, books, {**said, **row})]
    return rows if asks_row else rows[:1]


def is_it(telling: Telling, entry: Entry, rule: Mapping[str, Any]) -> bool:
    """Say whether an entry is about this telling: it names the event, or else it is of a row."""
    fact, weak = telling.fact, "occurredAtFrom" in entry
    if fact.kind not in rule["match"]["detail-type"] or entry["userId"] != telling.user:
        return False
    if "eventId" in entry:
        return telling.by_event and telling.event == entry["eventId"] and not weak and fact.at == instant(entry["occurredAt"])
    return telling.by_row and weak == telling.is_timeless and (weak or fact.at == instant(entry["occurredAt"]))


def is_priced_so(entry: Entry, terms: Mapping[str, Any], books: Mapping[str, Any], said: Mapping[str, str]) -> bool:
    """Say whether an entry shows the quantities that were said, and the rate that the plan in the job's row selects."""
    shown = entry.get("price", {})
    components = shown.get("components", [{**shown, "quantity": entry.get("quantity")}])
    for part, each in zip(parts(terms), components, strict=True):
        if "quantity" in part and value(part["quantity"], said) != Fraction(each["quantity"]):
            return False
        if "row.plan" in selectors(part, books) and (each["unit"] == "gold") is not (said.get("row.plan") == "gold"):
            return False
    return True


# --- what users have --------------------------------------------------------------------------------------------------


def _of_users(case: Case) -> Iterator[str]:
    sums: dict[str, Fraction] = defaultdict(Fraction)
    holds: dict[str, Fraction] = defaultdict(Fraction)
    for entry in case.entries:
        sums[entry["userId"]] += Fraction(entry["amount"])
        holds[entry["userId"]] += Fraction(entry.get("held", 0))
    for user in sorted(sums.keys() | case.credits.keys()):
        row = case.credits.get(user, {})
        posted, remaining, held = (Fraction(row.get(name, 0)) for name in ("posted", "remaining", "held"))
        if sums[user] != posted:
            yield f"{user}: entries come to {float(sums[user])}, and Credits says {float(posted)} was posted"
        if held or holds[user]:
            yield f"{user}: its entries hold {float(holds[user])}, and Credits {float(held)}; when all is quiet 0 is right"
        if remaining - posted != case.granted.get(user, 0):
            yield f"{user}: remaining - posted is {float(remaining - posted)}; {float(case.granted.get(user, 0))} was granted"
