"""What a person asks to be adjusted, as words on logs, and whether a person may ask for it. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.adjustment import AdjustmentRequest, Approval, Identity
from engine.domain.decision import Decision, Standing
from engine.domain.digits import in_digits
from engine.domain.entry import Correction, Entry
from engine.domain.errors import CorrectionError, shown
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.domain.log import JobLog
from engine.domain.money import ZERO, fits
from engine.domain.references import ADJUST, JOB
from engine.domain.texts import is_key, text_problem
from engine.policy.model import AdjustmentBounds, Policy
from engine.rating.correct import Word, correct

RULE = "adjust"
"""What an entry has for a rule, whose facts a person has told by this command."""

ID_CHARACTERS_MAX = 256
"""An id is typed and read by people. As UTF-8 it leaves a key of DynamoDB room for what stands before it."""

UNREADABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that an id must not have: two ids that look alike are one to whoever reads them."""


@frozen
class Asked:
    """A request with who asks, when, and who approves."""

    request: AdjustmentRequest
    by: Identity
    at: datetime
    approval: Approval | None = None

    @property
    def reference(self) -> str:
        """The log that moves: the job's, the one that is taken back, or the id's own."""
        request = self.request
        return f"{JOB}{request.job}" if request.job else f"{ADJUST}{request.reverses or request.id}"

    @property
    def claim_reference(self) -> str:
        """The log that claims the id."""
        return f"{ADJUST}{self.request.id}"

    @property
    def correction(self) -> Correction:
        """What its entries keep of it."""
        approved_by = self.approval.by.name if self.approval is not None else ""
        said = self.request
        return Correction(said.reason, self.by.name, said.id, approved_by, about=said.about)

    def word(self) -> Word:
        """Return what is said of the log that moves."""
        request = self.request
        told = (Adjustment(request.id, request.amount, self.at, reverses=request.reverses),)
        facts = Facts(concessions=told) if request.job else Facts(adjustments=told)
        return Word(self.reference, request.job or None, request.user, self.at, RULE, facts, self.correction)

    def claim(self) -> Word:
        """Return what is said of the log that claims the id, where that is another one: it moves nothing there."""
        request = self.request
        told = Adjustment(request.id, request.amount, self.at, request.job, request.reverses)
        return Word(self.claim_reference, None, request.user, self.at, RULE, Facts(adjustments=(told,)), self.correction)


def adjust(asked: Asked, log: JobLog, claimed: JobLog, standing: Standing, policy: Policy) -> tuple[Decision, Entry | None]:
    """Return what an adjustment makes of the log that moves, and the entry that claims its id where that is on another log.

    ``claimed`` is what stands on the log of its id. Raises CorrectionError for what makes no sense of either.
    """
    _check_log(asked, log)
    decision = correct(asked.word(), log, standing, policy)
    if decision.entry is None or asked.claim_reference == asked.reference:
        return decision, None
    return decision, correct(asked.claim(), claimed, standing, policy).entry


def _check_log(asked: Asked, log: JobLog) -> None:
    request = asked.request
    if not request.reverses:
        return
    told = log.facts.concessions if request.job else log.facts.adjustments
    if all(each.id != request.reverses for each in told):
        raise CorrectionError(asked.reference, f"does not know the adjustment {request.reverses!r}")
    for other in told:
        if other.reverses == request.reverses and other.id != request.id:
            raise CorrectionError(f"{ADJUST}{request.reverses}", f"was taken back already, by {other.id!r}")


# --- what stands under an id ------------------------------------------------------------------------------------------


def told_under(name: str, claimed: JobLog) -> Adjustment | None:
    """Return what was told under an id, by the log that claims it; None where nothing was."""
    return next((each for each in claimed.facts.adjustments if each.id == name), None)


def other_content(request: AdjustmentRequest, told: Adjustment, user: str | None) -> str:
    """Return what stands under the id of a request, if it is not what the request says; else nothing.

    The reason is no part of it: two people who say the same in other words have said it once.
    """
    said = request.user, request.amount, request.job, request.reverses
    if (user, told.amount, told.job, told.reverses) == said:
        return ""
    of_job = f" of job {told.job!r}" if told.job else ""
    takes_back = f", which takes back {told.reverses!r}" if told.reverses else ""
    return f"is an adjustment of {in_digits(told.amount)} for user {user!r}{of_job}{takes_back}"


def reversal_of(request: AdjustmentRequest, claimed: JobLog) -> AdjustmentRequest:
    """Return a request that takes an adjustment back, with what that was. ``claimed`` is the log of the one it reverses.

    Raises CorrectionError where there is none, and where it takes one back itself.
    """
    reference = f"{ADJUST}{request.reverses}"
    if (told := told_under(request.reverses, claimed)) is None or claimed.user is None:
        raise CorrectionError(reference, "is no adjustment in the ledger")
    if told.reverses:
        raise CorrectionError(reference, f"takes back {told.reverses!r}, and cannot be taken back itself: adjust anew")
    if request.user and request.user != claimed.user:
        raise CorrectionError(reference, f"is of user {claimed.user!r}, not of {request.user!r}")
    return evolve(request, user=claimed.user, amount=told.amount, job=told.job)


# --- what may be asked ------------------------------------------------------------------------------------------------


def check_request(request: AdjustmentRequest, policy: Policy) -> None:
    """Raise CorrectionError for what no ledger keeps, what makes no sense, and what is above the policy's bound."""
    reference = f"{ADJUST}{request.id}"
    problems = ("id", _id_problem(request.id)), ("reason", _reason_problem(request.reason)), *_name_problems(request)
    for subject, problem in problems:
        if problem:
            raise CorrectionError(reference, f"has a wrong {subject}: it {problem}")
    if problem := _amount_problem(request, policy):
        raise CorrectionError(reference, problem)
    if problem := bound_problem(request.amount, policy.adjustments):
        raise CorrectionError(reference, problem)


def check_owner(request: AdjustmentRequest, owner: str | None) -> None:
    """Raise CorrectionError where a job of which the ledger knows nothing is not the user's by its own row in Jobs.

    What a person says of it would be the log's first entry, and the log the user's: the true user's events would be refused.
    """
    reference = f"{JOB}{request.job}"
    if owner is None:
        raise CorrectionError(reference, "has no entry in the ledger, and Jobs names nobody whose job it is")
    if owner != request.user:
        raise CorrectionError(reference, f"is of user {owner!r} by its row in Jobs, not of {request.user!r}")


def check_about(request: AdjustmentRequest, log: JobLog) -> None:
    """Raise CorrectionError where the log that a request is about is nobody's, or another user's."""
    if not log.sequence:
        raise CorrectionError(request.about, "has no entry in the ledger")
    if log.user != request.user:
        raise CorrectionError(request.about, f"is of user {log.user!r}, not of {request.user!r}")


def bound_problem(amount: Decimal, bounds: AdjustmentBounds) -> str | None:
    """Return why nobody may adjust by so much, or None. A reversal counts by what it takes back."""
    if bounds.maximum is None or amount.copy_abs() <= bounds.maximum:
        return None
    return f"moves {in_digits(amount.copy_abs())} credits; `adjustments.maximum` of the policy is {in_digits(bounds.maximum)}"


def needs_second_person(amount: Decimal, bounds: AdjustmentBounds) -> bool:
    """Say whether another person has to approve an adjustment by so much."""
    return bounds.second_person_above is not None and amount.copy_abs() > bounds.second_person_above


def _amount_problem(request: AdjustmentRequest, policy: Policy) -> str | None:
    amount = request.amount
    if amount == ZERO:
        return "moves 0 credits; write an amount above or below 0"
    if request.job and amount < ZERO:
        return f"concedes {in_digits(amount)}, which is below 0; to take more for a job reprice it, or adjust the user"
    if request.reverses:
        return None  # it was of the places of its own day
    if not fits(amount.copy_abs()) or policy.money.round(amount) != amount:
        return f"moves {in_digits(amount)} credits; a credit has {policy.money.places} places in this policy"
    return None


def _id_problem(name: str) -> str | None:
    if not 1 <= len(name) <= ID_CHARACTERS_MAX:
        return f"has {len(name)} characters; 1 to {ID_CHARACTERS_MAX} are needed"
    if any(unicodedata.category(character) in UNREADABLE for character in name):
        return f"is {shown(name)}; what nobody can read is not allowed"
    if name != " ".join(name.split()):
        return f"is {shown(name)}; blanks stand one at a time between words"
    is_composed = unicodedata.is_normalized("NFC", name)
    return None if is_composed else f"is {shown(name)}; write each letter in one piece, with its accent (NFC)"


def _name_problems(request: AdjustmentRequest) -> Iterator[tuple[str, str | None]]:
    """Yield the names that no key of a table can be."""
    names = {"user": request.user, "job": request.job and f"{JOB}{request.job}", "reference": request.about}
    for subject, name in names.items():
        is_needed = subject == "user"
        yield subject, None if is_key(name) or not (name or is_needed) else f"is {shown(name)}, which no key can be"


def _reason_problem(reason: str) -> str | None:
    return text_problem(reason) if reason.strip() else "is empty"
