"""Ledgers in memory, and plans of what they keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from engine.domain.decision import Standing
from engine.domain.entry import Correction
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.ledger.audits import Credit
from engine.policy import Policy
from engine.preview.dry_run import DryRun, store_of
from engine.preview.planning.answer import Asked, answer_of
from engine.preview.planning.kept.spool import Span
from engine.preview.planning.material import Material, prepared
from engine.preview.planning.of_ledger import OfLedger
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from engine.rating.correct import Word, correct
from tests.support.planning import text_of


@define
class Books:
    """A ledger in memory that a policy has posted to; ``balances`` are what users had before, None: plenty."""

    policy: Policy
    balances: Mapping[str, str] | None = None
    run: DryRun = field(init=False)

    @run.default
    def _run(self) -> DryRun:
        had = None if self.balances is None else {user: Decimal(amount) for user, amount in self.balances.items()}
        return DryRun(self.policy, store_of(had))

    def tell(self, *documents: Document) -> Books:
        """Post events; one that makes no sense moves nothing."""
        for document in documents:
            with suppress(EventError):
                self.run.reconcile(Envelope(document, Source.EVENT))
        return self

    def tell_rows(self, *documents: Document) -> Books:
        """Post what rows of Jobs say that have no time of their own, each at the start of a scan."""
        for document in documents:
            self.run.reconcile(Envelope(document, Source.SCAN, time_is_assumed=True))
        return self

    def concede(self, job: str, amount: str, at: str) -> Books:
        """Let a person lower what a job costs."""
        store, instant = self.run.store, datetime.fromisoformat(at)
        log = store.read(f"job#{job}", self.run.deadline)
        conceded = Facts(concessions=(Adjustment(f"a-{job}", Decimal(amount), instant),))
        word = Word(f"job#{job}", job, log.user or "", instant, "adjust", conceded, Correction("a mistake", "ann"))
        decision = correct(word, log, Standing.ASSUMED_COVERED, self.policy)
        assert decision.entry is not None
        store.post(decision.entry, decision.guard, decision.mark, self.run.deadline)
        return self

    def entries(self) -> list[dict[str, Any]]:
        """Return the entries as they are stored."""
        return [*self.run.store.logs().entries(self.run.deadline)]

    def credits(self) -> Iterator[Credit]:
        """Yield what users have, and what of that was posted."""
        for user, row in self.run.store.credits.items():
            yield Credit(user, Decimal(row.get("posted", 0)), Decimal(row["remaining"]), is_there=True)

    def material(self, events: tuple[Path, ...] = (), span: Span | None = None) -> Material:
        """Return what a plan is made of."""
        return Material(events, self.entries, None if self.balances is None else self.credits, span or Span())


def plan_of(material: Material, now: Policy, then: Policy, **wish: Any) -> dict[str, Any]:
    """Return the answer of a plan, as JSON has it."""
    with (
        prepared(material, Wish((), now, then, **wish), lambda _step, _done: None) as (asked, spooled),
        planned(asked) as done,
    ):
        ledger = OfLedger(spooled, material.why_unknown)
        answer: dict[str, Any] = json.loads(text_of(answer_of(asked, done, Asked(now, then, ledger=ledger))))
        return answer
