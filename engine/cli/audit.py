"""``reconciler audit``: whether the books agree and the entries are what they were, and corrections where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from engine.audit.balances import BalanceKeeper, CheckedBalances
from engine.audit.books import Audit, Drift, Fault
from engine.audit.books import audit as run_audit
from engine.audit.repair import Correction, Repair, Wrong, rehearse, users_found
from engine.audit.repair import repair as run_repair
from engine.audit.seals import Deviation, Sealer, Verification
from engine.audit.seals import verify as run_verify
from engine.cli import repair_plan
from engine.cli.archive_option import ArchivePlaceIfNamed
from engine.cli.audit_archive import audit_against, check_usage, users_against
from engine.cli.options import (
    AsJson,
    CreditsTable,
    JobsTable,
    LedgerTable,
    SealPolicy,
    SealsTable,
    Target,
    forever,
    key_of_a_table,
    on_aws,
    patience,
)
from engine.cli.output import complain, print_counts, print_json, progress, say
from engine.cli.place import Place, TableName
from engine.cli.reprice import By
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import LedgerRefused
from engine.ledger.moved import more_held
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.policy.model import Grants

HEAD_SHOWN = 12


@on_aws
def audit(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Without an archive: compare every sealed entry with the ledger now.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(help="With --archive: the digest of a head, from the log of a run; with --verify: the hash of a seal."),
    ] = None,
    seal: Annotated[bool, typer.Option("--seal", help="Without an archive: seal the entries since the last seal.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Show the entries that would correct a user's findings.")] = False,
    user: Annotated[
        str | None, typer.Option(help="With --repair: whose findings. One user at a time.", callback=key_of_a_table)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: post these entries.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --repair: the reason, which each correction keeps.")] = None,
    wrong: Annotated[Wrong | None, typer.Option(help="With --repair: which side, where entries and balance disagree.")] = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --repair: write a plan against the archive; apply does it.", dir_okay=False),
    ] = None,
    forged: Annotated[
        list[str] | None,
        typer.Option(metavar="LOG/NUMBER", help="With --plan: an entry that somebody has put there, like job#j-1/2."),
    ] = None,
    posted: Annotated[
        list[str] | None,
        typer.Option(metavar="LOG/NUMBER", help="With --plan: an entry in doubt that was posted, like job#j-1/2."),
    ] = None,
    by: By = None,
    archive: ArchivePlaceIfNamed = "",
    since_checkpoint: Annotated[
        bool, typer.Option("--since-checkpoint", help="With --archive: what came since the last audit.  [the default]")
    ] = False,
    whole: Annotated[bool, typer.Option("--whole", help="With --archive: all of the ledger and all of the archive.")] = False,
    policy: SealPolicy = None,
    place: Place,
    jobs_table: JobsTable = "Jobs",
    credits_table: CreditsTable = "Credits",
    ledger_table: LedgerTable = "Ledger",
    seals_table: SealsTable = "Seals",
    as_json: AsJson = False,
) -> None:
    """Check that every user's entries add up to `posted` in Credits, and that each entry follows from those before it."""
    check_usage(archive, verify=verify, seal=seal, repair=repair, user=user, plan=plan, whole=whole, since=since_checkpoint)
    given = None if archive and not repair else head
    _check_usage(
        verify=verify, head=given, seal=seal, policy=policy, repair=repair, user=user, yes=yes, reason=reason, wrong=wrong
    )
    repair_plan.check_usage(user if repair else None, plan, yes=yes, has_words=bool(forged or posted or by))
    target = Target(Tables(jobs_table, credits_table, ledger_table, seals=seals_table), place)
    ledger = target.ledger(needed=frozenset({"seals"} if seal or verify or repair or archive else ()))
    if archive and not repair:
        keeper = _keeper(ledger, None, seals_table, seal=False)
        if not audit_against(archive, ledger, place, keeper, head, whole=whole, as_json=as_json):
            raise typer.Exit(FAILED)
        return
    answer: dict[str, Any] = {}
    is_good = True
    if repair:
        _check_user(ledger, user, archive, place, seals_table)
    if plan is not None and user is not None:
        words = [tuple(map(repair_plan.entry_key, each or ())) for each in (forged, posted)]
        asked = repair_plan.Asked(user, plan, archive, reason or "", by, wrong, *words)
        repair_plan.plan(asked, target, ledger, place, as_json=as_json)
        return
    if repair and user is not None and not yes:
        _show(rehearse(ledger, user, reason or "", wrong, forever()), user, as_json=as_json)
        return
    if repair and user is not None:
        done = run_repair(ledger, user, reason or "", wrong, forever())
        result = done.after
        answer |= {"corrections": [asdict(correction) for correction in done.corrections], "left": list(done.left)}
    else:
        result = _audited(ledger, _keeper(ledger, policy, seals_table, seal=seal), seal=seal)
    if verify:
        verified = _verified(ledger)
        is_known = head is None or head in verified.hashes
        is_good = is_known and not verified.open
        answer["seals"] = _verification(verified) | ({} if head is None else {"headIsKnown": is_known})
    answer = _answer(result) | answer
    print_json(answer) if as_json else _print(answer, result)
    if not (result.is_clean and is_good):
        raise typer.Exit(FAILED)


def _check_usage(**given: Any) -> None:
    """Exit where options are given that do not go together."""
    for problem in _problems(**given):
        complain(problem)
        raise typer.Exit(MISUSED)


def _problems(
    *,
    verify: bool,
    head: str | None,
    seal: bool,
    policy: Path | None,
    repair: bool,
    user: str | None,
    yes: bool,
    reason: str | None,
    wrong: Wrong | None,
) -> Iterator[str]:
    goes_with_repair = user is not None or yes or reason is not None or wrong is not None
    problems = {
        "--user, --reason, --wrong and --yes go with --repair": not repair and goes_with_repair,
        "--yes needs --reason, which stands in each correction": yes and not (reason or "").strip(),
        "--seal does not go with --repair: seal once all is right": repair and seal,
        "--verify goes with --repair once that has posted (--yes)": repair and verify and not yes,
        "--head goes with --verify": head is not None and not verify,
        "--policy goes with --seal": policy is not None and not seal,
    }
    yield from (problem for problem, is_wrong in problems.items() if is_wrong)


def _check_user(ledger: Store, user: str | None, archive: str, place: Place, seals_table: str) -> None:
    """Exit where no user is named, and for one of whom no table tells: nothing to correct would read as if all were right."""
    if user is None:
        keeper = _keeper(ledger, None, seals_table, seal=False) if archive else None
        _name_users(users_against(archive, ledger, place, keeper) if archive else users_found(ledger, forever()))
    elif ledger.balance(user, patience()) is None and next(iter(ledger.entries_of_user(user, patience())), None) is None:
        complain(f"{user}: no such user in Credits and no entry in the ledger")
        raise typer.Exit(FAILED)


def _name_users(users: Sequence[str]) -> None:
    """Say of whom something is found, and exit: a repair takes one user at a time."""
    found = "Something is found of:" if users else "No user is named by what is found."
    complain(f"--repair corrects one user at a time; name one by --user. {found}")
    for user in users:
        complain(f"  {user}")
    raise typer.Exit(MISUSED)


def _show(tried: Repair, user: str, *, as_json: bool) -> None:
    """Show what a repair would post, and exit with the status of a check: 1 where something is to be done."""
    if as_json:
        planned = [asdict(correction) for correction in tried.corrections]
        print_json({"user": user, "planned": planned, "left": list(tried.left)})
    else:
        for correction in tried.corrections:
            say(f"would correct: {_correction(correction)}")
        for problem in tried.left:
            say(f"left: {problem}")
        say("nothing was posted; --yes posts it" if tried.corrections else f"{user}: nothing to post")
    if tried.corrections or tried.left:
        raise typer.Exit(FAILED)


def _keeper(ledger: Store, policy: Path | None, seals_table: str, *, seal: bool) -> BalanceKeeper | None:
    """Return what holds balances to the ledger, as the book says, or as a policy does that is named for sealing.

    None where nobody has named the table of seals and it cannot be read: then nothing can hold them.
    """
    wanted = load_policy(policy).grants is Grants.EVENTS if policy is not None else None
    try:
        return BalanceKeeper(ledger.audits(), ledger.clock.now(), forever(), wanted, writes=seal)
    except LedgerRefused:
        if isinstance(seals_table, TableName) and not seals_table.is_default:
            raise
        return None


def _audited(ledger: Store, keeper: BalanceKeeper | None, *, seal: bool) -> Audit:
    sealer = Sealer(ledger.audits(), ledger.clock.now(), forever()) if seal else None
    with progress() as bar:
        task = bar.add_task("audit: entries", total=None)
        return run_audit(ledger, forever(), lambda count: bar.update(task, completed=count), sealer, keeper)


def _verified(ledger: Store) -> Verification:
    with progress() as bar:
        task = bar.add_task("verify: sealed entries", total=None)
        return run_verify(ledger.audits(), forever(), lambda count: bar.update(task, completed=count))


def _answer(result: Audit) -> dict[str, Any]:
    sums = {"entries": result.entries, "users": result.users, "net": result.net}
    seal = {"number": result.sealed.number, "entries": result.sealed.total, "hash": result.sealed.hash}
    return {
        **sums,
        "drifts": [asdict(drift) for drift in result.drifts],
        "faults": [asdict(fault, filter=lambda field, _: field.name != "claim") for fault in result.faults],
        "busy": list(result.busy),
        **({"balances": _balances(result.checked)} if result.checked is not None else {}),
        **({"seal": seal, "cameOrWent": result.came_or_went} if result.sealed.number else {}),
    }


def _balances(checked: CheckedBalances) -> dict[str, Any]:
    return {"checkedSince": checked.since, "drifts": [{**asdict(drift), "by": drift.by} for drift in checked.drifts]}


def _verification(verified: Verification) -> dict[str, Any]:
    return {
        "seals": verified.seals,
        "entries": verified.entries,
        "head": verified.head,
        "findings": [_deviation(deviation) for deviation in verified.deviations],
    }


def _deviation(deviation: Deviation) -> dict[str, Any]:
    return {
        "damage": deviation.damage.value,
        "reference": deviation.reference,
        "sequence": deviation.sequence,
        "problem": deviation.problem,
        "seal": deviation.seal,
        "correctedBy": deviation.corrected_by,
    }


def _print(answer: dict[str, Any], result: Audit) -> None:
    print_counts("Audit", {name: answer[name] for name in ("entries", "users", "net")})
    for line in _lines(answer, result):
        say(line)


def _lines(answer: dict[str, Any], result: Audit) -> list[str]:
    lines = [f"corrected: {_correction(Correction(**correction))}" for correction in answer.get("corrections", ())]
    lines += [f"left: {problem}" for problem in answer.get("left", ())]
    lines += [_drift(drift) for drift in result.drifts] + [_fault(fault) for fault in result.faults]
    lines += [f"balance: {drift.problem}" for drift in result.balances]
    lines += [f"busy: {user}: was being written to at each look; look again" for user in result.busy]
    if "seal" in answer:
        lines.append(f"sealed: {result.sealed.total} entries in {result.sealed.number} seals, {result.sealed.hash}")
    if result.came_or_went:
        what = "were added" if result.came_or_went > 0 else "are gone"
        lines.append(f"seals: {abs(result.came_or_went)} entries {what} behind the seals; --verify names them")
    if seals := answer.get("seals"):
        lines += _seal_lines(seals)
    lines.append("every user's entries add up" if not result.drifts else f"{len(result.drifts)} users drift")
    if result.checked is not None:
        off = f"{len(result.balances)} balances do not" if result.balances else "every balance does"
        lines.append(f"balances have to follow from the ledger since {result.checked.since}: {off}")
    return lines


def _seal_lines(seals: dict[str, Any]) -> list[str]:
    lines = [
        f"{deviation['damage']}: {deviation['reference'] or 'seals'}"
        + (f", entry {deviation['sequence']}" if deviation["sequence"] else "")
        + f": {deviation['problem']}"
        + (f"; corrected by entry {deviation['correctedBy']}" if deviation["correctedBy"] else "")
        for deviation in seals["findings"]
    ]
    if seals.get("headIsKnown") is False:
        lines.append("head: no seal has this hash: seals were removed or made anew")
    is_whole = all(deviation["correctedBy"] for deviation in seals["findings"])
    lines.append(f"{seals['entries']} sealed entries in {seals['seals']} seals" + (" are unchanged" if is_whole else ""))
    return lines


def _drift(drift: Drift) -> str:
    return f"drift: {drift.user}: {drift.problem_of('entries')}"


def _fault(fault: Fault) -> str:
    return f"fault: {fault.reference}, entry {fault.sequence}: {fault.problem}"


def _correction(correction: Correction) -> str:
    moved = f", the balance moved by {correction.moved:f}" if correction.moved else ""
    amount = f"{correction.amount:f}{more_held(correction.held)}"
    return f"{correction.reference}, entry {correction.sequence}: {amount} for {correction.user}{moved}: {correction.problem}"
