"""The drafts of a repair: which logs are put right, and what only a person can say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from engine.audit.repairs.draft import Draft
from engine.audit.repairs.history import LogHistory
from engine.audit.repairs.suspects import NAMED, Believes, Books, Lineup, Suspect, Verdict, lineup, weigh
from engine.ledger.audits import AuditedEntry
from engine.ledger.moved import NOTHING
from engine.ledger.stored import EntryKey, Place

NOBODYS = Books(NOTHING, None)
"""The books of an entry that names no user: they tell nothing."""

NOTHING_AGAINST: Mapping[EntryKey, str] = {}

CHOICES_MAX = 8
"""So many choices that agree with a user's books are drafted, to see whether they end alike."""


@frozen
class Drafts:
    """What a repair can do, and what is ``left`` to a person."""

    drafts: tuple[Draft, ...]
    left: tuple[str, ...]
    gaps: Mapping[str, Verdict]
    """By user what the books say; a gap is what entries and ``posted`` differ by once all is put right."""
    unsettled: frozenset[str] = frozenset()
    """Whom logs name that are not in order: their rows wait."""


def drafts(
    histories: Iterable[LogHistory],
    books: Mapping[str, Books],
    believes: Believes,
    forged: frozenset[EntryKey] = frozenset(),
    *,
    posted: frozenset[EntryKey] = frozenset(),
    said: frozenset[str] = frozenset(),
    against: Mapping[EntryKey, str] = NOTHING_AGAINST,
) -> Drafts:
    """Return what puts logs right. A person has said of entries that they are ``forged``, or that they were ``posted``.

    ``against`` is why others are forged, unless the person says that they were posted.
    Of the users in ``said`` a person has said what is wrong with a row that says no number: so no forged entry moved it.
    """
    whys = {**{key: why for key, why in against.items() if key not in posted}, **dict.fromkeys(forged, NAMED)}
    lineups = [
        lineup(each, believes, _of_log(each, whys), frozenset(_of_log(each, dict.fromkeys(posted, "")))) for each in histories
    ]
    by_user = _by_user(lineups)
    verdicts = {
        user: weigh(books.get(user, NOBODYS), [each for _, each in found], is_row_wrong=user in said)
        for user, found in by_user.items()
    }
    for user in books.keys() - verdicts.keys():
        verdicts[user] = weigh(books[user], ())
    verdicts |= {user: _in_the_dark(user, each, lineups, said) for user, each in verdicts.items() if each.is_blind}
    for user in sorted(user for user, each in verdicts.items() if each.choices):
        verdicts[user] = _decided(user, lineups, by_user, verdicts)
    made, left, unsettled = list[Draft](), list[str](), set[str]()
    for each in lineups:
        problems = list(_problems(each, verdicts))
        draft = _draft(each, by_user, verdicts)
        problems += [_unreadable(seen) for seen in draft.unreadable]
        problems += _blind(draft, verdicts)
        left += problems
        is_damaged = bool(draft.put_backs or draft.is_needed)
        if not problems and is_damaged:
            made.append(draft)
        if problems or is_damaged:
            unsettled |= each.history.users
    return Drafts(tuple(made), tuple(left), verdicts, frozenset(unsettled))


def _decided(user: str, lineups: Iterable[Lineup], by_user: ByUser, verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict where several choices agree with the books, and end alike: then it is the same which is true.

    What came into a place that was free, say, and was refunded there, has moved a balance by nothing in the end.
    """
    verdict = verdicts[user]
    if len(verdict.choices) > CHOICES_MAX:
        return verdict
    concerned = [each for each in lineups if any(suspect.user == user for suspect in each.suspects)]
    first, *others = (evolve(verdict, moved=moved, gap=NOTHING, is_clear=True) for moved in reversed(verdict.choices))
    for each in concerned:
        outcome = _draft(each, by_user, {**verdicts, user: first}).outcome
        if any(_draft(each, by_user, {**verdicts, user: other}).outcome != outcome for other in others):
            return verdict
    return first


def _in_the_dark(user: str, verdict: Verdict, lineups: Iterable[Lineup], said: frozenset[str]) -> Verdict:
    """Return the verdict where the row says no number. What is not archived may have moved it, whatever a person says."""
    if any(stranger.line.user == user for each in lineups for stranger in each.unknown):
        return evolve(verdict, is_clear=False)
    return evolve(verdict, is_blind=user not in said)


def _blind(draft: Draft, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Yield who has to be put right before a log: whose balance would move, or may have, where the row says no number."""
    suspected = {each.user for each, _ in draft.open_forged if each.moves}
    for user, each in draft.amounts().items():
        if user and verdicts[user].is_blind and (each.moved or user in suspected):
            yield (
                f"{draft.history.reference}: Credits says no number as what was posted for {user}, so that nothing tells what"
                f" has moved the balance; say what is wrong with the row, in a repair of {user}: --wrong"
            )


def _unreadable(seen: AuditedEntry) -> str:
    reference, place = seen.line.key
    return (
        f"{reference}, entry {place}: is no entry of this system, and events of this log fail as long as it stands there:"
        " nothing that is added undoes it; remove it by hand, then plan again"
    )


def _named(history: LogHistory, said: frozenset[EntryKey]) -> frozenset[Place]:
    return frozenset(sequence for reference, sequence in said if reference == history.reference)


def _of_log(history: LogHistory, said: Mapping[EntryKey, str]) -> dict[Place, str]:
    return {sequence: why for (reference, sequence), why in said.items() if reference == history.reference}


type ByUser = Mapping[str, Sequence[tuple[str, Suspect]]]
"""By user the suspects, each with its log, in an order that stays."""


def _by_user(lineups: Iterable[Lineup]) -> ByUser:
    found: dict[str, list[tuple[str, Suspect]]] = defaultdict(list)
    for each in lineups:
        for suspect in _open(each):
            found[suspect.user].append((each.history.reference, suspect))
    return found


def _open(each: Lineup) -> Iterator[Suspect]:
    yield from each.suspects


def _problems(each: Lineup, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    reference = each.history.reference
    for stranger in each.unknown:
        yield (
            f"{reference}, entry {stranger.line.sequence}: the archive has never seen it come; take it in, or say that it is"
            f" forged: --forged {reference}/{stranger.line.sequence}"
        )
    for suspect in each.suspects:
        if not (suspect.is_certain or suspect.is_settled or verdicts[suspect.user].is_clear):
            place = suspect.seen.line.sequence
            yield (
                f"{reference}, entry {place} of {suspect.moves.amount:f} for {suspect.user} {suspect.why}, and the books do"
                f" not tell whether it was posted; if it is forged say --forged {reference}/{place}, if it was posted say"
                f" --posted {reference}/{place}"
            )


def _draft(each: Lineup, by_user: ByUser, verdicts: Mapping[str, Verdict]) -> Draft:
    """Return a log's draft: what is doubtful and moved the balance was posted, and the rest of what is doubtful was not."""
    forged, movers, trusted = list[Suspect](), set[int](), set[int]()
    for suspect in each.suspects:
        index = by_user[suspect.user].index((each.history.reference, suspect))
        has_moved = index in verdicts[suspect.user].moved
        if not suspect.is_certain and (has_moved or not suspect.moves):
            trusted.add(suspect.number if suspect.number is not None else -1)
            continue
        if has_moved:
            movers.add(len(forged))
        forged.append(suspect)
    return Draft(each.history, tuple(forged), frozenset(movers), frozenset(trusted))
