"""What an entry has told anew, and which of it another log knows already, in the words of its first telling. Pure.

An event is recognised by what it said (``rating.recognise``). Of an event that is long over only its facts are left: what both
tellings asked must have been answered alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.fact import Charge, Claim, Content, Grant, Hold, Refund, Revoke
from engine.domain.fact_kinds import KEPT
from engine.domain.facts import Facts


def news(facts: Facts, known: Facts) -> Facts:
    """Return what ``facts`` have that is not ``known``, fact by fact."""
    fields = {kept.field: (getattr(facts, kept.field), getattr(known, kept.field)) for kept in KEPT}
    return Facts(**{name: tuple(fact for fact in told if fact not in before) for name, (told, before) in fields.items()})


def joined(known: Facts, told: Facts, *, is_sure: bool = True) -> Facts:
    """Return both together. What says the same as a known fact is known, and keeps the amount of its first telling.

    Where it is not sure that all of ``told`` is news, what says the same at another price is what somebody has changed.
    """
    return known.join(
        Facts(
            charges=_unknown_claims(told.charges, known.charges, is_sure=is_sure),
            refunds=tuple(each for each in told.refunds if not any(_is_refund_again(old, each) for old in known.refunds)),
            grants=_unknown_claims(told.grants, known.grants, is_sure=is_sure),
            flags=told.flags,
            weak_charges=_unknown_claims(told.weak_charges, known.weak_charges, is_sure=is_sure),
            weak_refunds=told.weak_refunds,
            revokes=tuple(each for each in told.revokes if not any(_is_step_again(old, each) for old in known.revokes)),
            concessions=told.concessions,
            adjustments=told.adjustments,
            holds=_unknown_claims(told.holds, known.holds, is_sure=is_sure),
            expiries=told.expiries,
            refused=told.refused,
        )
    )


def _unknown_claims[T: (Charge, Grant, Hold)](told: Iterable[T], known: Iterable[T], *, is_sure: bool) -> tuple[T, ...]:
    before = tuple(known)
    return tuple(each for each in told if not any(_is_claim_again(old, each, is_sure=is_sure) for old in before))


def _is_claim_again(old: Claim, new: Claim, *, is_sure: bool) -> bool:
    """Say whether a claim is told again. Under one policy another amount is another event; a new revision is news."""
    if isinstance(old, Charge) and isinstance(new, Charge):
        is_of_one_moment = old.at == new.at or (bool(old.once) and old.once == new.once and new.at > old.at)
        if not is_of_one_moment or new.revision > old.revision or new.attempt != old.attempt:
            return False
    if isinstance(old, Hold) and isinstance(new, Hold) and (old.at, old.attempt) != (new.at, new.attempt):
        return False
    return agree(old.content, new.content) and (not is_sure or old.policy != new.policy or old.amount == new.amount)


def _is_refund_again(old: Refund, new: Refund) -> bool:
    return old.attempt == new.attempt and old.is_told_by(new) and agree(old.content, new.content)


def _is_step_again(old: Revoke, new: Revoke) -> bool:
    return (old.series, old.at) == (new.series, new.at) and agree(old.content, new.content)


def agree(known: Content, said: Content) -> bool:
    """Say whether all that both were asked was answered alike."""
    answers = dict(known)
    return all(answers.get(expression, text) == text for expression, text in said)
