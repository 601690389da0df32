"""The form in which an entry keeps its facts. It is for good: an entry of years ago is read by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.errors import quoted
from engine.domain.fact import Adjustment, Charge, Claim, Content, Expiry, Grant, Hold, Refund, Revoke
from engine.domain.instants import instant_text

Stored = Mapping[str, Any]
"""What an entry keeps of its facts, in plain values: ``Decimal``, texts, lists and maps. None is left out."""


@frozen(eq=False, repr=False)
class Kept:
    """A field of ``Facts``: how an entry writes it down (``write``), and how it is read back from there."""

    field: str
    write: Callable[[Any], dict[str, object]]
    read: Callable[[Stored], tuple[Any, ...]]


def _claims(name: str, field: str, of: Callable[[Stored], Claim]) -> Kept:
    """The claim that counts stands under its name, those that say something else in a list beside it."""
    twins = f"{name}Twins"

    def write(claims: tuple[Claim, ...]) -> dict[str, object]:
        if not claims:
            return {}
        others = {twins: [_claim(claim) for claim in claims[1:]]} if len(claims) > 1 else {}
        return {name: _claim(claims[0]), **others}

    def read(stored: Stored) -> tuple[Claim, ...]:
        claims = [stored[name]] if name in stored else []
        return tuple(of(claim) for claim in (*claims, *stored.get(twins, ())))

    return Kept(field, write, read)


def _claim(claim: Claim) -> dict[str, object]:
    return {
        "amount": claim.amount,
        "at": instant_text(claim.at),
        "content": dict(claim.content) or None,
        "policy": claim.policy or None,
        **(_of_charge(claim) if isinstance(claim, Charge) else {}),
        **(_of_hold(claim) if isinstance(claim, Hold) else {}),
    }


def _of_charge(charge: Charge) -> dict[str, object]:
    """What most charges have not."""
    rare = {"once": charge.once, "revision": charge.revision, "attempt": charge.attempt}
    return {name: value for name, value in rare.items() if value}


def _charge_of(stored: Stored) -> Charge:
    return Charge(*_claimed(stored), _text(stored, "once"), int(stored.get("revision", 0)), int(stored.get("attempt", 0)))


def _of_hold(hold: Hold) -> dict[str, object]:
    return {"expiresAt": instant_text(hold.expires_at), **({"attempt": hold.attempt} if hold.attempt else {})}


def _hold_of(stored: Stored) -> Hold:
    amount, at, content, policy = _claimed(stored)
    return Hold(amount, at, _instant(stored["expiresAt"]), content, policy, int(stored.get("attempt", 0)))


def _write_expiries(expiries: tuple[Expiry, ...]) -> dict[str, object]:
    return {"expiries": [{"at": instant_text(each.at), "attempt": each.attempt} for each in expiries] or None}


def _expiries_of(stored: Stored) -> tuple[Expiry, ...]:
    return tuple(Expiry(_instant(each["at"]), int(each["attempt"])) for each in stored.get("expiries", ()))


def _write_refused(events: tuple[str, ...]) -> dict[str, object]:
    return {"refused": list(events) or None}


def _refused_of(stored: Stored) -> tuple[str, ...]:
    return tuple(_is_text(event) for event in stored.get("refused", ()))


def _grant_of(stored: Stored) -> Grant:
    return Grant(*_claimed(stored))


def _claimed(stored: Stored) -> tuple[Decimal, datetime, Content, str]:
    return _number(stored, "amount"), _instant(stored["at"]), _content(stored), _text(stored, "policy")


def _refunds(name: str, field: str, first_form: str | None = None) -> Kept:
    """Refunds stand in a list. The first form of entries kept the latest refund alone, under ``first_form``."""

    def write(refunds: tuple[Refund, ...]) -> dict[str, object]:
        return {name: [_refund(refund) for refund in refunds] or None}

    def read(stored: Stored) -> tuple[Refund, ...]:
        alone = [stored[first_form]] if first_form is not None and first_form in stored else []
        return tuple(_refund_of(refund) for refund in stored.get(name, alone))

    return Kept(field, write, read)


def _refund(refund: Refund) -> dict[str, object]:
    return {
        "percent": refund.percent,
        "at": instant_text(refund.at),
        "withinSeconds": int(refund.within.total_seconds()) if refund.within is not None else None,
        "policy": refund.policy or None,
        "rule": refund.rule or None,
        "amount": refund.amount,
        "content": dict(refund.content) or None,
        **({"attempt": refund.attempt} if refund.attempt else {}),
    }


def _refund_of(stored: Stored) -> Refund:
    seconds = stored.get("withinSeconds")
    return Refund(
        percent=None if "amount" in stored else _number(stored, "percent"),
        at=_instant(stored["at"]),
        within=timedelta(seconds=int(seconds)) if seconds is not None else None,
        policy=_text(stored, "policy"),
        rule=_text(stored, "rule"),
        amount=_number(stored, "amount") if "amount" in stored else None,
        content=_content(stored),
        attempt=int(stored.get("attempt", 0)),
    )


def _content(stored: Stored) -> Content:
    said = stored.get("content", {})
    if not isinstance(said, dict):
        return ()  # the first form kept values without expressions
    return tuple(sorted((expression, _is_text(found)) for expression, found in said.items()))


def _write_revokes(revokes: tuple[Revoke, ...]) -> dict[str, object]:
    return {"revokes": [_revoke(revoke) for revoke in revokes] or None}


def _revoke(revoke: Revoke) -> dict[str, object]:
    return {
        "percent": revoke.percent,
        "amount": revoke.amount,
        "at": instant_text(revoke.at),
        "series": revoke.series,
        "content": dict(revoke.content) or None,
        "policy": revoke.policy or None,
    }


def _revokes_of(stored: Stored) -> tuple[Revoke, ...]:
    return tuple(_revoke_of(revoke) for revoke in stored.get("revokes", ()))


def _revoke_of(stored: Stored) -> Revoke:
    return Revoke(
        percent=None if "amount" in stored else _number(stored, "percent"),
        amount=_number(stored, "amount") if "amount" in stored else None,
        at=_instant(stored["at"]),
        series=_is_text(stored["series"]),
        content=_content(stored),
        policy=_text(stored, "policy"),
    )


def _adjustments(name: str) -> Kept:
    def write(told: tuple[Adjustment, ...]) -> dict[str, object]:
        return {name: [_adjustment(each) for each in told] or None}

    def read(stored: Stored) -> tuple[Adjustment, ...]:
        return tuple(_adjustment_of(each) for each in stored.get(name, ()))

    return Kept(name, write, read)


def _adjustment(told: Adjustment) -> dict[str, object]:
    return {
        "id": told.id,
        "amount": told.amount,
        "at": instant_text(told.at),
        "job": told.job or None,
        "reverses": told.reverses or None,
    }


def _adjustment_of(stored: Stored) -> Adjustment:
    amount, at = _number(stored, "amount"), _instant(stored["at"])
    return Adjustment(_is_text(stored["id"]), amount, at, _text(stored, "job"), _text(stored, "reverses"))


def _write_flags(flags: tuple[tuple[str, datetime], ...]) -> dict[str, object]:
    return {"flags": {name: instant_text(at) for name, at in flags} or None}


def _flags_of(stored: Stored) -> tuple[tuple[str, datetime], ...]:
    return tuple(sorted((name, _instant(at)) for name, at in stored.get("flags", {}).items()))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _number(stored: Stored, name: str) -> Decimal:
    number = Decimal(stored[name])
    if not number.is_finite():
        raise ValueError(f"its {name} is {number}; a number is needed")
    return number


def _text(stored: Stored, name: str) -> str:
    return _is_text(stored[name]) if name in stored else ""


def _is_text(said: Any) -> str:
    """Return a text as it is. What is none could be compared with no other, or not be told from one."""
    if said.__class__ is not str:
        raise ValueError(f"{quoted(said)} is no text")
    return str(said)


CHARGES, WEAK_CHARGES = _claims("charge", "charges", _charge_of), _claims("weakCharge", "weak_charges", _charge_of)

REFUNDS, WEAK_REFUNDS = _refunds("refunds", "refunds", first_form="refund"), _refunds("weakRefunds", "weak_refunds")

GRANTS = _claims("grant", "grants", _grant_of)

REVOKES = Kept("revokes", _write_revokes, _revokes_of)

CONCESSIONS, ADJUSTMENTS = _adjustments("concessions"), _adjustments("adjustments")

HOLDS = _claims("hold", "holds", _hold_of)

EXPIRIES, REFUSED = Kept("expiries", _write_expiries, _expiries_of), Kept("refused", _write_refused, _refused_of)

FLAGS = Kept("flags", _write_flags, _flags_of)
