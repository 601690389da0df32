"""The tables of facts, entries and detectors: none has a gap, and whoever adds to them is told what is still to be done."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from attrs import fields

from engine.domain.entry_types import ENTRY_TYPES, METRICS, POSTED
from engine.domain.envelope import Source
from engine.domain.fact import Adjustment, Charge, Expiry, Grant, Hold, Refund, Revoke
from engine.domain.fact_kinds import BY_ACTION, KEPT, moving_type, read_facts, written
from engine.domain.facts import Facts
from engine.policy import parse_policy
from engine.policy.detectors import DETECTORS, Detector
from engine.policy.patterns import parse
from engine.rating.contributions import recognised
from engine.rating.recognise import Telling
from tests.support.policies import EXAMPLE
from tools.environments import ROOT

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
SAID = (("detail.seconds", "8"),)

FACTS: dict[str, tuple[object, ...]] = {
    "charges": (Charge(Decimal("0.8"), AT, SAID, "p@1"), Charge(Decimal("0.9"), AT, (), "p@1", revision=2)),
    "concessions": (
        Adjustment("a-1", Decimal("0.5"), AT),
        Adjustment("a-2", Decimal("0.5"), AT + timedelta(hours=1), reverses="a-1"),
    ),
    "adjustments": (Adjustment("a-3", Decimal(-2), AT, job="j-1"),),
    "refunds": (
        Refund(Decimal(50), AT, timedelta(hours=2), "p@1", "r"),
        Refund(None, AT, timedelta(hours=3), "p@1", "s", Decimal("1.5"), (("detail.back", "1.5"),)),
        Refund(Decimal(100), AT + timedelta(hours=1), timedelta(hours=1)),
    ),
    "grants": (Grant(Decimal(5), AT, SAID, "p@1"), Grant(Decimal(9), AT)),
    "flags": (("burst", AT), ("test", AT)),
    "weak_charges": (Charge(Decimal("0.8"), AT, SAID, "p@1"),),
    "weak_refunds": (Refund(Decimal(100), AT, None, "p@1", "r"),),
    "revokes": (
        Revoke(None, Decimal("1.5"), AT, "disputes", (("detail.taken", "1.5"),), "p@1"),
        Revoke(Decimal(50), None, AT, "refunds"),
    ),
    "holds": (
        Hold(Decimal("0.8"), AT, AT + timedelta(hours=2), SAID, "p@1", attempt=2),
        Hold(Decimal("0.9"), AT, AT + timedelta(hours=1)),
    ),
    "expiries": (Expiry(AT, attempt=2), Expiry(AT)),
    "refused": ("e-1", "e-2"),
}
"""Facts as each field of ``Facts`` keeps them."""

ITEMS: dict[str, dict[str, object]] = {
    "charges": {
        "charge": {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z", "content": dict(SAID), "policy": "p@1"},
        "chargeTwins": [
            {"amount": Decimal("0.9"), "at": "2026-01-05T10:00:00Z", "content": None, "policy": "p@1", "revision": 2}
        ],
    },
    "concessions": {
        "concessions": [
            {"id": "a-1", "amount": Decimal("0.5"), "at": "2026-01-05T10:00:00Z", "job": None, "reverses": None},
            {"id": "a-2", "amount": Decimal("0.5"), "at": "2026-01-05T11:00:00Z", "job": None, "reverses": "a-1"},
        ]
    },
    "adjustments": {
        "adjustments": [{"id": "a-3", "amount": Decimal(-2), "at": "2026-01-05T10:00:00Z", "job": "j-1", "reverses": None}]
    },
    "refunds": {
        "refunds": [
            {
                "percent": Decimal(50),
                "at": "2026-01-05T10:00:00Z",
                "withinSeconds": 7200,
                "policy": "p@1",
                "rule": "r",
                "amount": None,
                "content": None,
            },
            {
                "percent": None,
                "at": "2026-01-05T10:00:00Z",
                "withinSeconds": 10800,
                "policy": "p@1",
                "rule": "s",
                "amount": Decimal("1.5"),
                "content": {"detail.back": "1.5"},
            },
            {
                "percent": Decimal(100),
                "at": "2026-01-05T11:00:00Z",
                "withinSeconds": 3600,
                "policy": None,
                "rule": None,
                "amount": None,
                "content": None,
            },
        ]
    },
    "grants": {
        "grant": {"amount": Decimal(5), "at": "2026-01-05T10:00:00Z", "content": dict(SAID), "policy": "p@1"},
        "grantTwins": [{"amount": Decimal(9), "at": "2026-01-05T10:00:00Z", "content": None, "policy": None}],
    },
    "flags": {"flags": {"burst": "2026-01-05T10:00:00Z", "test": "2026-01-05T10:00:00Z"}},
    "weak_charges": {
        "weakCharge": {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z", "content": dict(SAID), "policy": "p@1"}
    },
    "revokes": {
        "revokes": [
            {
                "percent": None,
                "amount": Decimal("1.5"),
                "at": "2026-01-05T10:00:00Z",
                "series": "disputes",
                "content": {"detail.taken": "1.5"},
                "policy": "p@1",
            },
            {
                "percent": Decimal(50),
                "amount": None,
                "at": "2026-01-05T10:00:00Z",
                "series": "refunds",
                "content": None,
                "policy": None,
            },
        ]
    },
    "weak_refunds": {
        "weakRefunds": [
            {
                "percent": Decimal(100),
                "at": "2026-01-05T10:00:00Z",
                "withinSeconds": None,
                "policy": "p@1",
                "rule": "r",
                "amount": None,
                "content": None,
            }
        ]
    },
    "holds": {
        "hold": {
            "amount": Decimal("0.8"),
            "at": "2026-01-05T10:00:00Z",
            "content": dict(SAID),
            "policy": "p@1",
            "expiresAt": "2026-01-05T12:00:00Z",
            "attempt": 2,
        },
        "holdTwins": [
            {
                "amount": Decimal("0.9"),
                "at": "2026-01-05T10:00:00Z",
                "content": None,
                "policy": None,
                "expiresAt": "2026-01-05T11:00:00Z",
            }
        ],
    },
    "expiries": {"expiries": [{"at": "2026-01-05T10:00:00Z", "attempt": 2}, {"at": "2026-01-05T10:00:00Z", "attempt": 0}]},
    "refused": {"refused": ["e-1", "e-2"]},
}
"""What an entry keeps of them."""


def without_none(stored: object) -> object:
    """Return what a table keeps of a value: what is None is left out."""
    if isinstance(stored, dict):
        return {key: without_none(value) for key, value in stored.items() if value is not None}
    return [without_none(value) for value in stored] if isinstance(stored, list) else stored


def test_every_field_of_facts_has_its_place_in_the_table():
    """One that has none would never reach an entry."""
    assert sorted(field.name for field in fields(Facts)) == sorted(kept.field for kept in KEPT) == sorted(FACTS)


@pytest.mark.parametrize("field", FACTS)
def test_facts_are_written_down_and_read_back(field: str):
    """In the words of the stored form, that is."""
    facts = Facts(**{field: FACTS[field]})
    stored = {key: value for key, value in written(facts).items() if value is not None}

    assert ITEMS[field] == stored
    assert facts == read_facts(without_none(stored))


@pytest.mark.parametrize("field", [field for field in FACTS if field != "refused"])  # no event tells that it was refused
def test_no_fact_is_lost_where_facts_join_or_are_told_again(field: str):
    """Beside a flag that is known already."""
    known, new = Facts(flags=(("known", AT),)), Facts(**{field: FACTS[field]})

    assert {*FACTS[field]} <= {*getattr(known.join(new), field)}
    assert new == recognised(Telling(new, {}, Source.EVENT), known)
    assert (field == "flags") == known.same_work(known.join(new))


def test_each_action_tells_one_kind_of_fact_under_a_key_of_its_own():
    """What a rule says under another key has no meaning for it."""
    assert {
        "debit": "charge",
        "refund": "refund",
        "grant": "grant",
        "revoke": "revoke",
        "hold": "hold",
        "flag": "reason",
    } == {action.value: kind.key for action, kind in BY_ACTION.items()}
    assert len(BY_ACTION) == len({kind.key for kind in BY_ACTION.values()})


@pytest.mark.parametrize(
    ("reference", "amount", "expected"),
    [
        ("job#j-1", "-1", "debit"),
        ("job#j-1", "1", "refund"),
        ("job#grant#1", "-1", "debit"),
        ("grant#g-1", "5", "grant"),
        ("grant#g-1", "-2", "grant"),
        ("repair#u-1", "-1", "debit"),
        ("repair#u-1", "1", "refund"),
    ],
)
def test_the_log_and_the_sign_say_the_type_of_an_entry(reference: str, amount: str, expected: str):
    """A grant that was too large is corrected as a grant; a row of Credits as a job is."""
    assert expected == moving_type(reference, Decimal(amount))


def test_an_entry_of_a_grant_is_a_revoke_where_only_revokes_are_new():
    """Of either sign. A grant that comes after its revoke is a grant, and so is what nothing new explains."""
    grants, revokes = Facts(grants=FACTS["grants"][:1]), Facts(revokes=FACTS["revokes"])
    both, won = grants.join(revokes), Facts(revokes=(Revoke(None, Decimal(0), AT + timedelta(hours=1), "disputes"),))

    def entry_type(amount: int, facts: Facts, known: Facts) -> str:
        return moving_type("grant#g-1", Decimal(amount), facts, known).value

    assert "revoke" == entry_type(-2, both, grants)
    assert "revoke" == entry_type(2, both.join(won), both)
    assert "grant" == entry_type(3, both, revokes)
    assert "grant" == entry_type(-1, both.join(Facts(grants=FACTS["grants"])), both)
    assert "grant" == entry_type(-1, both, both)


def test_each_type_of_an_entry_ends_an_event_in_its_own_way():
    """And each way to end has its metric."""
    assert [
        ("debit", "debited", "Debits", True, True),
        ("refund", "refunded", "Refunds", True, False),
        ("grant", "granted", "Grants", True, False),
        ("revoke", "revoked", "Revokes", True, False),
        ("adjust", "adjusted", "ManualAdjustments", True, False),
        ("reprice", "repriced", "Repricings", True, False),
        ("hold", "held", "Holds", True, True),
        ("settle", "settled", "Settlements", True, True),
        ("release", "released", "Releases", True, True),
        ("flag", "flagged", "Flags", False, False),
        ("void", "voided", "Voids", False, False),
    ] == [
        (entry_type.value, row.outcome.value, METRICS[row.outcome], row.moves_credits, row.waits_for_balance)
        for entry_type, row in ENTRY_TYPES.items()
    ]
    assert ["Closed", "Refusals", "Duplicates", "Ignored"] == [
        METRICS[outcome] for outcome in METRICS if outcome not in POSTED
    ]


def test_every_detector_has_its_row():
    """A class without one could not be written in a policy."""
    assert {*get_args(Detector.__value__)} == {*DETECTORS.values()}


def test_a_pattern_is_parsed_once(monkeypatch: pytest.MonkeyPatch):
    """The index, the checks of what takes what, the scan and the delivery all use the parsed one."""
    parsed = []
    read = parse.parse_pattern
    monkeypatch.setattr(parse, "parse_pattern", lambda pattern: parsed.append(pattern) or read(pattern))

    parse_policy(EXAMPLE, "example.yaml")

    assert EXAMPLE.count("match:") + EXAMPLE.count("when:") == len(parsed) == 8


# --- what is forgotten fails the type check ---------------------------------------------------------------------------

MEMBERS = {
    "domain/fact_kinds.py": ("Kind", "Action"),
    "domain/entry_types.py": ("EntryType", "Outcome"),
    "domain/price.py": ("TierModel",),
}
"""The sets of words that the engine decides by. Each gets one more."""

DETECTOR = """class News:
    of = None
    within = None

    def paths(self) -> Iterator[Path]:
        yield from ()


type Detector = News | """

FORGOTTEN = {
    ("domain/entry_types.py", "_row", "EntryType.NEWS"),
    ("domain/entry_types.py", "_metric", "Outcome.NEWS"),
    ("domain/fact_kinds.py", "_row", "Kind.NEWS"),
    ("policy/charges.py", "unbounded", "TierModel.NEWS"),
    ("policy/terms.py", "terms_shape", "Action.NEWS"),
    ("rating/arithmetic.py", "_quantity_steps", "TierModel.NEWS"),
    ("rating/contributions.py", "_contribution", "Action.NEWS"),
    ("rating/contributions.py", "_recogniser", "Kind.NEWS"),
    ("rating/cost.py", "_words", "Kind.NEWS"),
    ("rating/detectors.py", "_examined", "News"),
    ("rating/trends.py", "_found", "News"),
}
"""Where a member more has to be dealt with: the file, its function and what is missing there."""

MISSING = re.compile(r'engine/(\S+):(\d+): error: Argument 1 to "assert_never" has incompatible type "(?:Literal\[)?([\w.]+)')


def function_at(source: str, line: int) -> str:
    """Return the name of the function that a line stands in."""
    return re.findall(r"^ *def (\w+)", "\n".join(source.splitlines()[:line]), re.MULTILINE)[-1]


def change(path: Path, old: str, new: str):
    """Replace a pattern in a file where it occurs, and it must occur once."""
    text, count = re.subn(old, new, path.read_text())
    assert 1 == count, (path, old)
    path.write_text(text)


def test_a_member_that_is_forgotten_somewhere_fails_the_type_check(tmp_path: Path):
    """In a copy of the engine with one more of each, and nothing else changed. Who asks for that check is looked at alone."""
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if (cache := ROOT / ".mypy_cache").is_dir():  # of a checked tree: then it takes a few seconds
        shutil.copytree(cache, tmp_path / ".mypy_cache")
    for name, sets in MEMBERS.items():
        for words in sets:
            change(tmp_path / "engine" / name, rf'(class {words}\(StrEnum\):\n    """.+?"""\n)', r'\1\n    NEWS = "news"')
    change(tmp_path / "engine" / "policy" / "detectors.py", "type Detector = ", DETECTOR)

    asking = [path for path in sorted((tmp_path / "engine").rglob("*.py")) if "assert_never(" in path.read_text()]
    done = subprocess.run([sys.executable, "-m", "mypy", *asking], cwd=tmp_path, capture_output=True, text=True, check=False)

    found = [(name, int(line), missing) for name, line, missing in MISSING.findall(done.stdout)]
    where = {(name, function_at((tmp_path / "engine" / name).read_text(), line), what) for name, line, what in found}
    assert FORGOTTEN == where, done.stdout + done.stderr
