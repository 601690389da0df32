"""What the judge makes of what people say, worked out by hand: adjustments, concessions, charges that are priced anew."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve

from tests.simulation.claims import instant
from tests.simulation.repricings import Planned, Repricing
from tests.simulation.tellings import Telling
from tests.simulation.test_judge import FAILED, POLICIES, base, entries, rendered, told, verdict
from tests.simulation.words import Word

AT_FIVE, AT_SIX = rendered("05:00"), rendered("06:00")
CANCELLED = told("cancelled", "07:00")
GIVEN = Word("a-1", "u-1", Fraction(5), "goodwill")
BACK = Word("a-2", "u-1", Fraction(0), "by mistake", reverses="a-1")
CONCEDED = Word("c-1", "u-1", Fraction("0.5"), "it came late", job="j-1")
CONCEDED_BACK = Word("c-2", "u-1", Fraction(0), "it did not", reverses="c-1")

Entry = dict[str, Any]


def of(word: Word, amount: str, reference: str | None = None) -> Entry:
    """Return an entry of a word, with no place in its log yet."""
    where = reference or (f"job#{word.job}" if word.job else f"adjust#{word.id}")
    said = {"id": word.id, "reason": word.reason, "by": "ann"}
    return {"reference": where, "userId": word.user, "rule": "adjust", "amount": amount, "policy": "base", "correction": said}


def anew(plan: str, amount: str) -> Entry:
    """Return an entry of a job that was priced anew."""
    said = {"plan": plan, "reason": "a wrong price", "by": "ann"}
    return {"reference": "job#j-1", "userId": "u-1", "rule": "reprice", "amount": amount, "policy": "base", "correction": said}


def event(telling: Telling, amount: str) -> Entry:
    """Return the entry of an event."""
    (entry,) = entries(*base((telling, amount)))
    return entry


def numbered(*log: Entry) -> list[Entry]:
    """Return entries with their places in their logs."""
    count: dict[str, int] = {}
    for entry in log:
        count[entry["reference"]] = count.get(entry["reference"], 0) + 1
        entry["sequence"] = count[entry["reference"]]
    return [dict(entry) for entry in log]


def judged(log: list[Entry], net: str, *tellings: Telling, **more: Any) -> list[str]:
    """Return what the judge says."""
    return verdict(numbered(*log), list(tellings), net, **more)


CONCESSION = of(CONCEDED, "0.5"), of(CONCEDED, "0", "adjust#c-1")
NETS: dict[str, tuple[list[Entry], str, tuple[Telling, ...], tuple[Word, ...]]] = {
    "5 for a user": ([of(GIVEN, "5")], "5", (), (GIVEN,)),
    "and taken back": ([of(GIVEN, "5"), of(BACK, "-5", "adjust#a-1"), of(BACK, "0")], "0", (), (GIVEN, BACK)),
    "0.8 less a concession of 0.5": ([event(AT_FIVE, "-0.8"), *CONCESSION], "-0.3", (AT_FIVE,), (CONCEDED,)),
    "which came first": (
        [of(CONCEDED, "0"), of(CONCEDED, "0", "adjust#c-1"), event(AT_FIVE, "-0.3")], "-0.3", (AT_FIVE,), (CONCEDED,)),
    "and nothing goes back twice when the job fails": (
        [event(AT_FIVE, "-0.8"), *CONCESSION, event(FAILED, "0.3")], "0", (AT_FIVE, FAILED), (CONCEDED,)),
    "never below nothing: half of 0.8 less 0.5": (
        [event(AT_FIVE, "-0.8"), *CONCESSION, event(CANCELLED, "0.3")], "0", (AT_FIVE, CANCELLED), (CONCEDED,)),
    "a concession that is taken back": (
        [event(AT_FIVE, "-0.8"), *CONCESSION, of(CONCEDED_BACK, "-0.5", "job#j-1"), of(CONCEDED_BACK, "0")], "-0.8",
        (AT_FIVE,), (CONCEDED, CONCEDED_BACK)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_what_people_say_comes_to_its_sum(name: str) -> None:
    """A ten-thousandth more or less is wrong."""
    log, net, tellings, words = NETS[name]
    assert [] == judged(log, net, *tellings, words=words)

    moves = next(entry for entry in log if Fraction(entry["amount"]))
    more = [
        {**entry, "amount": str(Fraction(entry["amount"]) + Fraction(1, 10_000))} if entry is moves else entry for entry in log
    ]
    assert 1 == len(judged(more, str(Fraction(net) + Fraction(1, 10_000)), *tellings, words=words))


def test_an_id_is_one_word_and_claimed_once() -> None:
    """With the word itself, on whichever log that stands; what was said is known in the end."""
    other = evolve(GIVEN, amount=Fraction(7), reason="another")
    words = [GIVEN, other]
    assert [] == judged([of(GIVEN, "5")], "5", words=words)
    assert "adjust#a-1: the id is that of several words" in judged([of(GIVEN, "5"), of(other, "7")], "12", words=words)
    assert ["adjust#a-1: it was said, and no entry knows of it"] == judged([], "0", words=words)

    (unclaimed,) = judged([event(AT_FIVE, "-0.8"), CONCESSION[0]], "-0.3", AT_FIVE, words=[CONCEDED])
    assert unclaimed.startswith("adjust#c-1: it stands at")
    (lost,) = judged([event(AT_FIVE, "-0.8"), CONCESSION[1]], "-0.8", AT_FIVE, words=[CONCEDED])
    assert lost.startswith("adjust#c-1: it stands at")


def test_a_proposal_of_what_another_has_taken_back_holds_its_id() -> None:
    """It waits for a second person, who is refused now; another word with its id is refused until somebody withdraws it."""
    large = evolve(GIVEN, amount=Fraction(40))
    waits = evolve(BACK, id="a-5", reason="by two")
    other = evolve(GIVEN, id="a-5", reason="another")
    log = [of(large, "40"), of(BACK, "-40", "adjust#a-1"), of(BACK, "0")]
    by_two = [{**entry, "correction": {**entry["correction"], "approvedBy": "arn:cid"}} for entry in log]

    assert [] == judged(by_two, "0", words=[large, BACK, waits, other])
    assert ["adjust#a-5: it was said, and no entry knows of it"] == judged(by_two, "0", words=[large, BACK, other])


def test_what_nobody_said_is_wrong() -> None:
    """An adjustment by an id, a reason or a plan that is unknown."""
    for entry in (of(GIVEN, "5"), {**of(GIVEN, "5"), "rule": "reprice"}, anew("p-1", "0.3")):
        assert judged([entry], "5" if entry["rule"] == "adjust" else entry["amount"], words=[])


def test_what_is_taken_back_is_taken_back_once() -> None:
    """The second finds nothing that stands, and need not be known; nor need what takes back nothing, or what took back."""
    again = evolve(BACK, id="a-3", reason="by mistake too")
    nothing = evolve(BACK, id="a-4", reason="of nothing", reverses="a-9")
    taken = evolve(BACK, id="a-5", reason="of what took back", reverses="a-2")
    log = [of(GIVEN, "5"), of(BACK, "-5", "adjust#a-1"), of(BACK, "0")]
    words = [GIVEN, BACK, again, nothing, taken]
    assert [] == judged(log, "0", words=words)

    twice = [*log, of(again, "-5", "adjust#a-1"), of(again, "0")]
    assert "adjust#a-1: it is taken back twice" in judged(twice, "-5", words=words)
    assert ["adjust#a-2: it was said, and no entry knows of it"] == judged(log[:1], "5", words=[GIVEN, BACK])
    back = [*log, of(taken, "0", "adjust#a-2"), of(taken, "0")]
    assert ["adjust#a-2: it is taken back, and took back"] == judged(back, "0", words=words)


# --- charges that are priced anew -------------------------------------------------------------------------------------


def by_hand(plan: str, amount: str, read: int) -> Repricing:
    """Return what somebody says of all charges that the log had after ``read`` entries."""
    return Repricing(plan, "j-1", read, amount=Fraction(amount), is_plan=False)


def priced(log: list[Entry], net: str, *said: Repricing, tellings: tuple[Telling, ...] = (AT_FIVE,)) -> list[str]:
    """Return what the judge says of a job that was priced anew."""
    return judged(log, net, *tellings, repricings=said, plan_policies=POLICIES)


def test_the_highest_revision_counts() -> None:
    """Whatever the event says again: 0.8, then 0.3, then 0.6; half of that goes back."""
    log = [event(AT_FIVE, "-0.8"), anew("p-1", "0.5"), event(AT_FIVE, "0"), anew("p-2", "-0.3"), event(CANCELLED, "0.3")]
    said = by_hand("p-1", "0.3", 1), by_hand("p-2", "0.6", 3)
    assert [] == priced(log, "-0.3", *said, tellings=(AT_FIVE, CANCELLED))
    assert [] != priced(log, "-0.3", said[0], by_hand("p-2", "0.7", 3), tellings=(AT_FIVE, CANCELLED))


def test_of_equal_revisions_the_smaller_amount_counts() -> None:
    """Both have read the charge of 0.8: whoever comes first, 0.3 counts."""
    said = by_hand("p-1", "0.3", 1), by_hand("p-2", "0.6", 1)
    assert [] == priced([event(AT_FIVE, "-0.8"), anew("p-1", "0.5"), anew("p-2", "0")], "-0.3", *said)
    assert [] == priced([event(AT_FIVE, "-0.8"), anew("p-2", "0.2"), anew("p-1", "0.3")], "-0.3", *said)


def test_then_of_contents_the_smallest_counts() -> None:
    """Twins of one instant, 0.8 and 0.2: both at 0.5 make no difference to the second telling of either; a later one does."""
    twin = rendered("05:00", seconds="2")
    log = [event(AT_FIVE, "-0.8"), event(twin, "0.6"), anew("p-1", "-0.3"), event(twin, "0")]
    assert [] == priced(log, "-0.5", by_hand("p-1", "0.5", 2), tellings=(AT_FIVE, twin))
    one = [event(AT_FIVE, "-0.8"), anew("p-1", "0.3"), event(twin, "0.3")]
    assert [] == priced(one, "-0.2", by_hand("p-1", "0.5", 1), tellings=(AT_FIVE, twin))
    later = [event(AT_FIVE, "-0.8"), anew("p-1", "0.3"), event(AT_SIX, "-0.3")]
    assert [] == priced(later, "-0.8", by_hand("p-1", "0.5", 1), tellings=(AT_FIVE, AT_SIX))


def test_a_row_without_a_time_is_priced_anew_while_it_counts() -> None:
    """Then an event has a time of its own."""
    weak = told("rendered", "12:00", weak=True, seconds="8", frames="5", model="veo", resolution="hd")
    log = [event(weak, "-1.2"), anew("p-1", "1"), event(AT_FIVE, "-0.6")]
    assert [] == priced(log[:2], "-0.2", by_hand("p-1", "0.2", 1), tellings=(weak,))
    assert [] == priced(log, "-0.8", by_hand("p-1", "0.2", 1), tellings=(weak, AT_FIVE))


def test_a_plan_prices_by_its_policy_what_has_not_changed() -> None:
    """8 seconds at 0.05 instead of 0.1. Where a charge came in between it leaves the job out, and only there."""
    plan = Repricing("p-1", "j-1", 1, policy="cheaper", ended=2)
    assert [] == priced([event(AT_FIVE, "-0.8"), anew("p-1", "0.4")], "-0.4", plan)
    assert [] != priced([event(AT_FIVE, "-0.8"), anew("p-1", "0.5")], "-0.3", plan)
    assert [] == priced([event(AT_FIVE, "-0.8"), event(AT_SIX, "0")], "-0.8", plan, tellings=(AT_FIVE, AT_SIX))
    changed = [event(AT_FIVE, "-0.8"), event(AT_SIX, "0"), anew("p-1", "0.4")]
    (ignored,) = priced(changed, "-0.4", plan, tellings=(AT_FIVE, AT_SIX))
    assert ignored.endswith("though a charge had changed since")
    (left,) = priced([event(AT_FIVE, "-0.8"), event(FAILED, "0.8")], "0", plan, tellings=(AT_FIVE, FAILED))
    assert left.endswith("has left it out, though none of its charges had changed")


def test_a_plan_has_every_job_that_costs_something_else() -> None:
    """8 seconds at five o'clock. It has no line of what lies outside its window, and none where the price is the same."""
    day, noon, five = (instant(f"2026-01-05T{hour}:00:00Z") for hour in ("00", "12", "05"))
    log, standing = [event(AT_FIVE, "-0.8")], {"job#j-1": 1}
    plan = Planned("p-1", "cheaper", day, noon, frozenset({"j-1"}), standing)

    def said_of(planned: Planned) -> list[str]:
        return judged(log, "-0.8", AT_FIVE, plans=[planned], plan_policies=POLICIES)

    assert [] == said_of(plan) == said_of(evolve(plan, jobs=frozenset(), policy="base"))
    assert ["job#j-1: plan p-1 has no line of it"] == said_of(evolve(plan, jobs=frozenset()))
    assert [] == said_of(evolve(plan, jobs=frozenset(), lengths={}))  # others were at work on it
    assert [] == said_of(evolve(plan, jobs=frozenset(), since=noon)) == said_of(evolve(plan, jobs=frozenset(), until=five))
    assert ["job#j-1: plan p-1 has a line of it, and no charge in its window"] == said_of(evolve(plan, until=five))
    assert [] == said_of(evolve(plan, jobs=frozenset(), policy="renamed"))  # whose rules have other names
    assert [] == said_of(evolve(plan, jobs=frozenset(), policy="figures"))  # which asks for frames; nobody has kept them
