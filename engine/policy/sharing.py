"""The grammar of what goes back: how much of a charge a refund gives, how much of a grant is taken back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.policy.grammar import FINDS_NUMBER, WRONG, Duration, Key, Keys, Name, Number
from engine.policy.hints import kind_of
from engine.policy.price_rows import AMOUNT
from engine.policy.shares import ALL_OF_IT, RefundTerms, RevokeTerms
from engine.policy.source import Members, Node, Notes, Scalar

BEGINS_A_NUMBER = re.compile(r"\s*[-+]?\.?[0-9]")
"""No JMESPath begins so."""


@frozen(eq=False, repr=False)
class NumberOrExpression:
    """A plain decimal, or the JMESPath of one."""

    number: Number

    def read(self, node: Node, notes: Notes) -> Any:
        if not isinstance(node, Scalar) or node.is_empty or not node.text.strip():
            notes.mistake(
                node.place, f"is {kind_of(node)}; write {self.number.wanted}, or a JMESPath expression that finds it"
            )
            return WRONG
        return (self.number if BEGINS_A_NUMBER.match(node.text) else FINDS_NUMBER).read(node, notes)


PERCENT = NumberOrExpression(Number(Decimal(0), ALL_OF_IT))


def _check_share(_values: Mapping[str, Any], share: Members, notes: Notes) -> None:
    given = share.names()
    if "percent" not in given and "amount" not in given:
        notes.mistake(share.place, "`percent` or `amount` is missing: how much goes back")
    elif "percent" in given and "amount" in given:
        notes.mistake((share.get("amount") or share).place, "`amount` has no meaning beside `percent`; write one of the two")


SHARE: Mapping[str, Key] = {"percent": Key(PERCENT, None), "amount": Key(NumberOrExpression(AMOUNT), None)}

REFUND = Keys(
    {**SHARE, "within": Key(Duration(), None)},
    lambda values, _node, _notes: RefundTerms(**values),
    _check_share,
)

REVOKE = Keys(
    {**SHARE, "series": Key(Name(), None)},
    lambda values, _node, _notes: RevokeTerms(**values),
    _check_share,
)
