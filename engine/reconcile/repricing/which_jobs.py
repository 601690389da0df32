"""Which jobs a person means: those of whose charges one passes every filter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.domain.fact import Charge
from engine.domain.facts import Facts
from engine.domain.instants import instant_text
from engine.policy.patterns.parse import parse_pattern
from engine.rating.kept_event import leaves_of
from engine.rating.reprice import kept_charges
from engine.rating.which_rule import Evidence, Takes, Unpriced


@frozen
class Filters:
    """``since`` and ``until`` (the end is not in it) are instants of charges, ``pattern`` an event pattern over what was kept.

    ``charged_by`` is the digest of the policy that has priced it, or the beginning of it; the name may stand before it.
    """

    since: datetime | None = None
    until: datetime | None = None
    pattern: Mapping[str, Any] | None = None
    charged_by: str = ""

    def takes(self, facts: Facts) -> bool:
        """Say whether one of a job's kept charges passes. Raises Unpriced where nobody can tell."""
        said = [self._says(charge) for charge, _ in kept_charges(facts)]
        if Takes.YES in said:
            return True
        if Takes.PERHAPS in said:
            raise Unpriced("--match asks for something that was not kept")
        return False

    def _says(self, charge: Charge) -> Takes:
        is_in_time = (self.since is None or self.since <= charge.at) and (self.until is None or charge.at < self.until)
        if not is_in_time or not self._is_charged_by(charge.policy):
            return Takes.NO
        if self.pattern is None:
            return Takes.YES
        return Evidence(leaves_of(charge.content)).says(parse_pattern(self.pattern))

    def _is_charged_by(self, policy: str) -> bool:
        wanted, known = self.charged_by.rpartition("@")[2], policy.rpartition("@")[2]
        return not wanted or (bool(known) and (known.startswith(wanted) or wanted.startswith(known)))

    def answer(self) -> dict[str, Any]:
        """Return them as JSON-like values."""
        return {
            "since": instant_text(self.since) if self.since else None,
            "until": instant_text(self.until) if self.until else None,
            "match": self.pattern,
            "chargedBy": self.charged_by or None,
        }
