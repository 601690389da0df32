"""Prices, rows of jobs, repeats, refunds and revokes in one policy and its edits, and an oracle written from the rules alone.

The oracle keeps every telling, counts in fractions, and knows nothing of the engine.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from attrs import Factory, define, evolve, frozen

from engine.domain.envelope import Envelope, Source
from engine.policy import Policy, parse_policy
from engine.reconcile.job_rows import row_event

TEXT = """\
version: 1
name: meeting
event: {{job: detail.jobId, user: "detail.userId || row.userId", time: time, reference: detail.order}}
prices:
  unit:
    - {{effective: 2025-01-01T00:00:00Z, by: detail.model, rates: {{default: "{rate}", pro: "0.30"}}}}
    - {{effective: 2026-01-05T12:00:00Z, changes: {{pro: "0.50"}}}}
    - {{effective: 2026-01-05T13:00:00Z, until: 2026-01-05T14:00:00Z, changes: {{default: "0.05", pro: "0.20"}}}}
  plan:
    - {{effective: 2025-01-01T00:00:00Z, by: row.plan, rates: {{default: "0.02", gold: "0.01"}}}}
    - {{effective: 2026-01-05T12:00:00Z, changes: {{gold: "0.03"}}}}
rules:
  - name: render
    match: {{detail-type: [rendered]}}
    action: debit
    {render}charge:
      components: [{{price: unit, quantity: {quantity}}}, {{price: plan, quantity: {quantity}}}]
      minimum: "0.40"
  - name: extend
    match: {{detail-type: [extended]}}
    action: debit
    charge:
      components: [{{price: unit, quantity: {quantity}}}, {{price: plan, quantity: {quantity}}}, {{amount: "0.25"}}]
      priced_at: detail.submitted
  - name: hook
    match: {{detail-type: [hooked]}}
    action: debit
    {hook}charge:
      components:
        - {{price: unit, quantity: "multiply({quantity}, `2`)"}}
        - {{price: plan, quantity: "multiply({quantity}, row.size)"}}
  - name: copy
    match: {{detail-type: [copied]}}
    action: debit
    repeats: ignore
    charge: {{price: unit, quantity: {quantity}}}
  - {{name: whole, match: {{detail-type: [failed]}}, action: refund, refund: {{percent: 100, within: 2h}}}}
  - {{name: part, match: {{detail-type: [cancelled]}}, action: refund, refund: {{{part}}}}}
  - {{name: credit, match: {{detail-type: [credited]}}, action: refund, refund: {{amount: detail.n, within: 1h}}}}
  - {{name: own, match: {{detail-type: [waived]}}, action: refund, refund: {{amount: "multiply(detail.n, row.back)"}}}}
  - {{name: buy, match: {{detail-type: [bought]}}, action: grant, grant: {{quantity: {quantity}}}}}
  - {{name: back, match: {{detail-type: [returned]}}, action: revoke, revoke: {{{back}, series: {series}}}}}
  - {{name: dispute, match: {{detail-type: [disputed]}}, action: revoke, revoke: {{percent: "multiply(detail.n, `10`)"}}}}
  - {{name: no-frames, match: {{detail: {{m: [{{numeric: ["<", 0]}}]}}}}, action: flag, reason: a scan reads the frames}}
overdraft: {overdraft}
unknown_job: flag
catch_up:
  - {{when: {{status: [completed]}}, event: {{source: app, detail-type: rendered, time: at}}}}
  - {{when: {{status: [hooked]}}, event: {{source: app, detail-type: hooked, time: at}}}}
  - {{when: {{status: [failed]}}, event: {{source: app, detail-type: failed, time: at}}}}
"""


@frozen
class Edit:
    """What one edit of the policy says."""

    rate: str = "0.10"
    quantity: str = "detail.n"
    part: str = 'percent: "multiply(detail.n, `10`)"'
    back: str = "amount: detail.n"
    series: str = "back"
    once: tuple[str, ...] = ("hook", "copy")

    def policy(self, overdraft: str) -> Policy:
        """Return the policy."""
        repeats = {rule: "repeats: ignore\n    " * (rule in self.once) for rule in ("render", "hook")}
        said = {name: getattr(self, name) for name in ("rate", "quantity", "part", "back", "series")}
        return parse_policy(TEXT.format(**said, **repeats, overdraft=overdraft), "meeting.yaml")


EDITS = [
    Edit(),
    Edit(rate="0.70", part='amount: "1.5"'),
    Edit(quantity="detail.m", back="percent: 30"),
    Edit(once=("copy",)),
    Edit(once=("render", "hook", "copy"), rate="0.90"),
    Edit(quantity="detail.m", once=("render", "copy"), series="other"),
]
POLICIES = {how: [edit.policy(how) for edit in EDITS] for how in ("allow", "flag", "refuse")}
ROWS = [{"plan": "gold", "size": 4, "back": 1}, {"plan": "base", "size": 8, "back": 2}, {"plan": "gold", "size": 8, "back": 3}]
RULES = {
    "rendered": "render", "extended": "extend", "hooked": "hook", "copied": "copy", "failed": "whole", "cancelled": "part",
    "credited": "credit", "waived": "own", "bought": "buy", "returned": "back", "disputed": "dispute",
}  # fmt: skip
CHARGES, ON_GRANT = {"rendered", "extended", "hooked", "copied"}, {"bought", "returned", "disputed"}
BY_ROW = {"rendered": "completed", "hooked": "hooked", "failed": "failed"}


@frozen
class Telling:
    """One telling under one edit and one row of the job (None: not there yet)."""

    kind: str
    minute: int
    n: int = 1
    model: str = "std"
    submitted: int = 600
    edit: int = 0
    row: int | None = 0
    door: str = "event"

    @property
    def said(self) -> dict[str, Any]:
        """What the event, or the row that stands for it, says by itself."""
        return {"n": self.n, "m": self.n // 3 + 2, "model": self.model, "submitted": clock(self.submitted)}

    def envelope(self, policy: Policy) -> Envelope:
        """Return the event."""
        user = {} if self.kind in {"rendered", "hooked", "waived"} else {"userId": "u-1"}
        if self.door in {"scan", "weak"}:
            at = {"at": clock(self.minute)} if self.door == "scan" else {}
            made = row_event(policy, {**row_of(self), "status": BY_ROW[self.kind], **at, **self.said}, clock(self.minute))
            assert made is not None
            return made
        detail = {"order": "o-1"} if self.kind in ON_GRANT else {"jobId": "j-1"}
        document = {"source": "app", "detail-type": self.kind, "time": clock(self.minute), "detail": detail | user | self.said}
        return Envelope(document, Source(self.door))


def clock(minute: int) -> str:
    """Return an instant of the day."""
    return f"2026-01-05T{minute // 60:02}:{minute % 60:02}:00Z"


def row_of(telling: Telling) -> dict[str, Any]:
    """Return the job's row in Jobs as it is then."""
    return {"jobId": "j-1", "userId": "u-1", **ROWS[telling.row or 0]}


# --- the oracle -------------------------------------------------------------------------------------------------------


@frozen
class Claim:
    """A fact as it was first told; ``figure`` is credits, or a percent where ``percent`` says so."""

    rule: str
    at: int
    said: frozenset[tuple[str, Any]]
    figure: Fraction
    edit: int
    row: int | None
    percent: bool = False
    hours: int | None = None
    series: str = ""
    once: bool = False

    def of(self, whole: Fraction) -> Fraction:
        """Return how much of something it takes."""
        return whole * self.figure / 100 if self.percent else min(self.figure, whole)


def rate(book: str, at: int, selected: str, edit: Edit) -> Fraction:
    """Return the rate in force."""
    if book == "plan":
        return Fraction("0.02" if selected != "gold" else "0.03" if at >= 720 else "0.01")
    if 780 <= at < 840:
        return Fraction("0.20" if selected == "pro" else "0.05")
    return Fraction(edit.rate if selected != "pro" else "0.50" if at >= 720 else "0.30")


def claim_of(telling: Telling) -> Claim:
    """Return what the rules make of a telling by itself."""
    edit, row, rule, at = EDITS[telling.edit], ROWS[telling.row or 0], RULES[telling.kind], telling.minute
    quantity = Fraction(telling.said[edit.quantity.removeprefix("detail.")])
    asked, terms, bare = {(edit.quantity, quantity)}, {}, frozenset[tuple[str, Any]]()
    if telling.kind in CHARGES:
        moment = telling.submitted if rule == "extend" else at
        asked |= {("model", telling.model)} | ({("submitted", moment)} if rule == "extend" else set())
        unit = rate("unit", moment, telling.model, edit) * quantity * (2 if rule == "hook" else 1)
        plan = rate("plan", moment, row["plan"], edit) * quantity * (row["size"] if rule == "hook" else 1)
        figure = {"render": max(unit + plan, Fraction("0.4")), "extend": unit + plan + Fraction("0.25"), "copy": unit}
        reads_row = None if rule == "copy" else telling.row
        return Claim(
            rule, at, frozenset(asked), figure.get(rule, unit + plan), telling.edit, reads_row, once=rule in edit.once
        )
    told, tens = frozenset({("detail.n", Fraction(telling.n))}), Fraction(10 * telling.n)
    figure, said, terms = {
        "whole": (Fraction(100), bare, {"percent": True, "hours": 2}),
        "part": (tens, told, {"percent": True}) if "percent" in edit.part else (Fraction("1.5"), bare, {}),
        "credit": (Fraction(telling.n), told, {"hours": 1}),
        "own": (Fraction(telling.n * row["back"]), told, {}),
        "buy": (quantity, frozenset(asked), {}),
        "back": (Fraction(telling.n), told, {}) if "amount" in edit.back else (Fraction(30), bare, {"percent": True}),
        "dispute": (tens, told, {"percent": True}),
    }[rule]
    return Claim(rule, at, said, figure, telling.edit, telling.row, series={"back": edit.series}.get(rule, rule), **terms)


@define
class Oracle:
    """All that was told, in the order of its telling."""

    charges: list[Claim] = Factory(list)
    refunds: list[Claim] = Factory(list)
    grants: list[Claim] = Factory(list)
    revokes: list[Claim] = Factory(list)

    def tell(self, telling: Telling) -> None:
        """Take one telling down; one that is known stays as it was first told."""
        new = claim_of(telling)
        said = {(name, value) for edit in range(len(EDITS)) for name, value in claim_of(evolve(telling, edit=edit)).said}
        said |= {
            ("detail.n", Fraction(telling.n)),
            ("detail.m", Fraction(telling.said["m"])),
            ("submitted", telling.submitted),
        }
        claims = self.charges if telling.kind in CHARGES else self.refunds
        claims = {"bought": self.grants, "returned": self.revokes, "disputed": self.revokes}.get(telling.kind, claims)
        known = [old for old in claims if old.said <= said and self._is_one(old, new, telling)]
        if not known:
            claims.append(new)
            return
        old = min(known, key=lambda old: (old.at > new.at, (old.rule, old.said) != (new.rule, new.said)))
        if new.at < old.at and old.once and new.once:
            figure = new.figure if (old.edit, old.row) == (new.edit, new.row) else old.figure
            claims[claims.index(old)] = evolve(old, at=new.at, figure=figure)

    def _is_one(self, old: Claim, new: Claim, telling: Telling) -> bool:
        is_edited, is_one_figure = (
            old.edit != new.edit,
            (old.figure, old.percent, old.series) == (new.figure, new.percent, new.series),
        )
        if telling.kind in CHARGES:
            if old.once or new.once:
                return (old.once and old.rule == new.rule) or (is_edited and old.at == new.at)
            has_other_row = old.rule == new.rule and old.row != new.row
            return old.at == new.at and (is_edited or is_one_figure or has_other_row)
        if telling.kind == "bought":
            return is_edited or is_one_figure
        same = old.at == new.at
        return same and (old.rule == new.rule if telling.kind not in ON_GRANT else is_edited or is_one_figure)

    def cost(self) -> Fraction:
        """Return what the job should cost."""
        if not self.charges:
            return Fraction(0)
        at = max(claim.at for claim in self.charges)
        amount = min(claim.figure for claim in self.charges if claim.at == at)
        in_time = [back for back in self.refunds if back.at >= at and (back.hours is None or back.at - at <= 60 * back.hours)]
        last = max((back.at for back in in_time), default=0)
        return amount - max((back.of(amount) for back in in_time if back.at == last), default=Fraction(0))

    def given(self) -> Fraction:
        """Return what the purchase gives."""
        granted, latest = min((claim.figure for claim in self.grants), default=Fraction(0)), dict[str, tuple[int, Fraction]]()
        for revoke in self.revokes:
            step = (revoke.at, revoke.of(granted))
            latest[revoke.series] = max(step, latest.get(revoke.series, step))
        return max(granted - sum(taken for _, taken in latest.values()), Fraction(0))


def expected(told: list[Telling]) -> tuple[Fraction, Fraction]:
    """Return the net of the job and of the purchase; an event that needs the row tells nothing while there is none."""
    oracle = Oracle()
    for telling in told:
        if (
            telling.row is not None
            or telling.kind not in {"rendered", "extended", "hooked", "waived"}
            or telling.door == "scan"
        ):
            oracle.tell(telling)
    return -oracle.cost(), oracle.given()
