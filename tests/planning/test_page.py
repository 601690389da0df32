"""The page of a plan: its figures worked out by hand, nothing of it from elsewhere, and whatever events say is text."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.pages import FOLDER, VENDOR
from engine.cli.plan_edits import Edits, Written, edits
from engine.cli.plan_page import PLOT_STYLE, Question, plan_page
from engine.cli.plan_spread import spread
from engine.policy import Policy
from tests.support.events import failed, rendered
from tests.support.pages import ReadPage, addresses, handlers, hash_source, read_page
from tests.support.policies import example_text
from tools.artifact import ONLY_FOR_A_LAPTOP

EVENTS = [
    rendered("j-1", user="ann", seconds=8),
    rendered("j-2", user="bo", seconds=10, model="premium"),
    failed("j-2", user="bo", at="2026-01-06T09:00:00Z"),
    rendered("j-3", user="ann", seconds=100, model="sora-2"),
    rendered("j-4", user="cy", seconds=4, model="premium", at="2026-01-06T10:00:00Z"),
]
DEARER = ('{default: "0.10"', '{default: "0.11"')
HALF = ("percent: 100", "percent: 50")
VENDORED = json.loads((FOLDER / VENDOR / "vendored.json").read_text())
MINUS = "\N{MINUS SIGN}"


def run(*arguments: Any) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, ["plan", *map(str, arguments)], env={"COLUMNS": "200"})


def page_of(
    folder: Path, *edits: tuple[str, str], events: list[dict[str, Any]] = EVENTS, more: tuple[str, ...] = (), status: int = 0
) -> ReadPage:
    """Return the page of an edit."""
    (folder / "policy.yaml").write_text(example_text())
    (folder / "edited.yaml").write_text(example_text(*edits))
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    written = folder / "page.html"
    files = (folder / "edited.yaml", "--policy", folder / "policy.yaml", "--events", folder / "events.jsonl")
    result = run(*files, "--html", written, *more)
    assert (status, "") == (result.exit_code, result.stdout), result.stderr
    return read_page(written.read_text())


def alone(page: ReadPage) -> list[str]:
    """Return what the page says beside the edited lines, one after the other: an amount, or why there is none."""
    said = [(kind, text) for kind, text in page.told if kind in {"amount", "said"}]
    return [text for kind, text in said if kind == "amount" or text != "users pay, by this edit alone"]


def lines(page: ReadPage, tag: str) -> list[str]:
    """Return the lines that stand there now (``ins``), or that stood there (``del``)."""
    return [text for kind, text in page.told if kind == tag]


def test_the_page_says_in_one_sentence_who_pays_how_much_more(tmp_path: Path):
    """Of ann's 8 and 100 seconds 0.80 + 10.00 become 0.88 + 11.00; bo and cy pay what they paid."""
    texts = page_of(tmp_path, DEARER).texts

    assert "The company would take 1.0800 credits more (+9.15 %, 12.8800 in place of 11.8000);" in texts
    assert "of 3 users 1 would pay 1.0800 more, 0 would pay 0.0000 less, and 2 what they pay now." in texts


def test_each_chart_has_the_table_that_it_is_drawn_from(tmp_path: Path):
    """By day, by model, over users, by rule and by a person's own group: before, after, and the difference."""
    page = page_of(tmp_path, DEARER, HALF, more=("--group", "who=detail.userId"))

    drawn = [given["data-table"] for tag, given in page.tags if tag == "figure"]
    assert ["by-day", "by-0", "by-difference", "by-1", "by-4"] == drawn
    head = ["jobs", "users", "pay now", "would pay", "difference", "%"]
    assert [
        ["day", *head],
        ["2026-01-05", "3", "2", "13.3000", "14.3800", "+1.0800", "+8.12"],
        ["2026-01-06", "2", "2", f"{MINUS}1.5000", f"{MINUS}0.2500", "+1.2500", "+83.33"],
    ] == page.tables["by-day"]
    assert [
        ["model", *head],
        ["premium", "2", "2", "1.0000", "2.2500", "+1.2500", "+125.00"],
        ["sora-2", "1", "1", "10.0000", "11.0000", "+1.0000", "+10.00"],
        ["veo-3", "1", "1", "0.8000", "0.8800", "+0.0800", "+10.00"],
    ] == page.tables["by-0"]
    assert [["difference", "users", "credits"], ["1 to 2 more", "2", "+2.3300"]] == page.tables["by-difference"]
    assert ["bo", "ann"] == [row[0] for row in page.tables["users"][1:]]
    assert ["bo", "+1.2500", "", "0.0000", "1.2500", "1"] == page.tables["users"][1]


def test_edited_lines_stand_beside_what_each_moves_alone(tmp_path: Path):
    """The rate alone 1.08; alone the refund keeps half of the 2.50 of j-2: 1.25."""
    page = page_of(tmp_path, ("version: 1\n", "version: 1  # summer\n"), DEARER, HALF)

    assert ["moves nothing: the policy says the same", "+1.0800", "+1.2500"] == alone(page)
    assert ["version: 1  # summer", '      rates: {default: "0.11", premium: "0.25"}', "    refund: {percent: 50}"] == lines(
        page, "ins"
    )
    assert ["version: 1", '      rates: {default: "0.10", premium: "0.25"}', "    refund: {percent: 100}"] == lines(
        page, "del"
    )
    assert not any("Alone they come to" in text for text in page.texts)


def test_what_edits_do_to_each_other_is_told(tmp_path: Path):
    """Premium from 0.25 to 0.35: alone 0.40 of j-4. Half the refund: alone 1.25. Together j-2 keeps 1.75: 0.50 is of both."""
    page = page_of(
        tmp_path, ('premium: "0.25"}\n    - effective: 2026-07', 'premium: "0.35"}\n    - effective: 2026-07'), HALF
    )

    assert ["+0.4000", "+1.2500"] == alone(page)
    assert "Alone they come to +1.6500, together to +2.1500: +0.5000 is of several at once." in page.texts


def test_edits_are_planned_alone_as_of_the_day_that_is_asked_for(tmp_path: Path):
    """As of July ann pays 12.96 now; at 0.24 in place of 0.12 twice that. Half of the 2.50 of j-2 stays as ever."""
    page = page_of(tmp_path, ('"0.12"', '"0.24"'), HALF, more=("--as-of", "2026-07-01"))

    assert ["+12.9600", "+1.2500"] == alone(page)
    assert any("all priced as of 2026-07-01T00:00:00Z" in text for text in page.texts)


def test_an_edit_that_is_no_policy_alone_says_so(tmp_path: Path):
    """A price book of another name: the rule's line and the book's need each other."""
    page = page_of(tmp_path, ("render-second", "second"))

    assert 2 == sum(text.startswith("cannot be told alone") for text in page.texts)


def test_an_edit_of_lines_that_stand_together_is_told_line_by_line(tmp_path: Path):
    """Each of two rules is a line of its own: one flags less, the other more, and neither moves a credit."""
    longer = ('numeric: [">", 300]', 'numeric: [">", 60]')
    page = page_of(tmp_path, ('numeric: [">", 50]', 'numeric: [">", 5]'), longer)

    assert ["0.0000", "0.0000"] == alone(page)
    assert [["anomaly", "now", "then"], ["costs-over-50", "0", "1"], ["longer-than-5-minutes", "0", "1"]] == page.tables[
        "flags"
    ]


def many_rates(count: int, rate: str) -> Written:
    """Return a policy with so many rates, each on a line of its own, and each apart from the next by another line."""
    rates = "".join(f'        m-{n}: "{rate}"\n        # of model {n}\n' for n in range(count))
    text = example_text(('      rates: {default: "0.10", premium: "0.25"}\n', f"      rates:\n{rates}"))
    return Written.parse(text.encode(), "many.yaml")


def test_a_single_edit_needs_no_plan_of_its_own():
    """It moves what all moves."""
    found = edits(many_rates(1, "0.10"), many_rates(1, "0.20"))

    assert [Decimal("1.5")] == [
        edit.moves for edit in found.tried(lambda _: pytest.fail("planned")).of_all(Decimal("1.5")).shown
    ]


def test_of_many_edits_twelve_are_planned_alone_and_forty_shown():
    """The others are told; a price list that is new from end to end would take for ever."""
    tried: list[Policy] = []
    found = edits(many_rates(45, "0.10"), many_rates(45, "0.20")).tried(lambda alone: Decimal(bool(tried.append(alone)) + 1))

    page = read_page(made_page(edits=found))

    assert (12, 40, 5) == (len(tried), len(found.shown), found.more)
    assert ["+1"] * 12 + ["not planned alone: there are too many edits"] * 28 == alone(page)
    assert "5 more places were edited." in page.texts
    assert (
        "Alone they come to +12, together to +1: \N{MINUS SIGN}11 is of several at once, or of edits without an amount."
        in page.texts
    )


def test_who_would_be_refused_is_warned_of_before_any_figure(tmp_path: Path):
    """Without a default rate ann's two jobs have no price: their 10.80 is missing, and that is no gift."""
    page = page_of(tmp_path, ('{default: "0.10", ', "{"), status=1)

    assert (
        "2 events would be refused that are charged or refunded now: what they came to is missing in all below" in page.texts
    )
    assert "2 of 2 events that would be refused, and why" in page.texts
    reasons = [text for kind, text in page.told if kind == "li" and "detail.model" in text]
    assert 2 == len(reasons)


def test_each_rate_that_changed_came_or_went_has_its_row(tmp_path: Path):
    """With the row of its price book that it stands in."""
    page = page_of(tmp_path, ('{default: "0.10", premium: "0.25"}', '{default: "0.11", sora-2: "0.50"}'))

    begins = "2025-01-01T00:00:00Z"
    assert [
        ["price book", "from", "rate", "what", "now", "then", "%"],
        ["render-second", begins, "default", "changed", "0.10", "0.11", "+10.0"],
        ["render-second", begins, "sora-2", "came", "0.10", "0.50", "+400.0"],
        ["render-second", begins, "premium", "went", "0.25", "0.11", f"{MINUS}56.0"],
    ] == page.tables["rates"]


def test_a_long_table_says_how_many_rows_are_not_there(tmp_path: Path):
    """One of each, of two users and three jobs; of days all, since a gap in a chart would say something else."""
    page = page_of(tmp_path, DEARER, HALF, more=("--top", "1"))

    assert (2, 2, 3) == tuple(len(page.tables[name]) for name in ("users", "jobs", "by-day"))
    assert "Users whose sum would differ: 1 of 2 users" in page.texts
    assert "Jobs and grants that would differ: 1 of 3 jobs and grants" in page.texts


def test_the_page_runs_and_looks_as_it_is_written_and_fetches_nothing(tmp_path: Path):
    """Each script and style is named by its hash; no address, no attribute that runs, no frame."""
    page = page_of(tmp_path, DEARER)

    security = page.security()
    assert [["'none'"], ["'none'"], ["'none'"], ["data:"]] == [
        security[name] for name in ("default-src", "base-uri", "form-action", "img-src")
    ]
    assert [*map(hash_source, page.raw["script"])] == security["script-src"]
    assert [*map(hash_source, (*page.raw["style"], PLOT_STYLE))] == security["style-src"]
    assert (["data:,"], []) == (addresses(page), handlers(page))
    assert [] == re.findall(r"url\(|@import", "".join(page.raw["style"]))
    assert {"iframe", "object", "embed", "form", "link"} & {tag for tag, _ in page.tags} == {"link"}


NASTY = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\N{RIGHT-TO-LEFT OVERRIDE}"


def test_whatever_events_and_files_say_is_text(tmp_path: Path):
    """User, job, model, an own group, a rate and a comment: no tag, no template, nothing that turns a line around."""
    events = [rendered(NASTY, user=NASTY, model=NASTY, team=NASTY)]
    rate = json.dumps(NASTY.replace("\N{RIGHT-TO-LEFT OVERRIDE}", ""))
    edit = ('{default: "0.10", premium: "0.25"}', f'{{default: "0.11", {rate}: "0.5", premium: "0.25"}} # {NASTY[:-1]}')

    page = page_of(tmp_path, edit, events=events, more=("--group", f"{NASTY[:9]}=detail.team"))

    assert [] == [tag for tag, _ in page.tags if tag == "img"]
    assert 3 == len(page.raw["script"])
    shown = f"{NASTY[:-1]}\\u202e"
    assert [shown] * 3 == [page.tables[name][1][0] for name in ("users", "by-0", "by-4")]
    assert f"job#{shown}" == page.tables["jobs"][1][0]
    assert NASTY[:9] == page.tables["by-4"][0][0]
    assert NASTY[:-1] in [row[2] for row in page.tables["rates"][1:]]


def test_a_rule_or_an_anomaly_of_any_name_is_text():
    """The policy's grammar refuses such names today; the page does not rely on it."""
    group = [{"key": NASTY, "jobs": 1, "users": 1, "now": "1", "then": "2", "by": "1", "percent": "100.00"}]

    page = read_page(
        made_page(groups={"rule": group, "model": [], "day": [], "user": []}, anomalies={NASTY: {"now": 0, "then": 1}})
    )

    assert [] == [tag for tag, _ in page.tags if tag == "img"]
    assert [f"{NASTY[:-1]}\\u202e"] * 2 == [page.tables[name][1][0] for name in ("by-1", "flags")]


def made_page(rows_max: int = 500, edits: Edits | None = None, **answer: Any) -> str:
    """Return the page of an answer that says nothing but what is given."""
    policy = Written.parse(example_text().encode(), "example.yaml")
    nothing = {
        "changes": [], "warnings": [], "asOf": None, "prices": [], "events": 1, "outcomes": [], "newly": {},
        "net": {"now": "1", "then": "2", "by": "1", "percent": "100.00"}, "causes": {"prices": "1", "rest": "0"},
        "anomalies": {}, "jobs": {"all": 1, "concerned": 1},
        "users": {"all": 1, "concerned": 1, "winners": 0, "losers": 1, "won": "0", "lost": "-1"},
        "groups": {"rule": [], "model": [], "day": [], "user": []}, "differences": [], "refused": [],
        "new_overdrafts": None, "ledger": None, "overdrafts": [], "held": {"now": "0", "then": "0"},
    }  # fmt: skip
    question = Question(policy, policy, datetime(2026, 1, 9, tzinfo=UTC))
    return plan_page({**nothing, **answer}, question, edits or Edits(()), rows_max)


def test_new_overdrafts_are_told_where_balances_are_known():
    """Events alone do not say what users had: then the page says nothing of it."""
    told = [read_page(made_page(new_overdrafts=known)).texts for known in (None, 3)]

    assert [0, 1] == [texts.count("New overdrafts") for texts in told]
    assert "3" == told[1][told[1].index("New overdrafts") + 1]


@pytest.mark.parametrize(("overdraft", "what"), [("refuse", "would have a charge refused"), ("flag", "would fall below zero")])
def test_whoever_would_be_overdrawn_has_a_row(overdraft: str, what: str):
    """As many as other tables have, the furthest below zero first. Where nobody would, there is no table."""
    at = "2026-01-05T10:00:00Z"
    rows = [{"user": f"u-{number}", "now": "0.25", "then": str(number - 1000), "at": at} for number in range(3)]
    balances = {"overdraft": overdraft, "unknown": 0, "why": None}
    page = read_page(made_page(new_overdrafts=3, overdrafts=rows, balances=balances, rows_max=2))

    assert [
        ["user", "lowest now", "then", "at"],
        ["u-0", "0.25", "\u22121,000", at],
        ["u-1", "0.25", "\u2212999", at],
    ] == page.tables["overdrawn"]
    assert f"Users who {what}, and do not now: 2 of 3 overdrawn users" in page.texts
    assert "overdrawn" not in read_page(made_page()).tables


def test_a_page_of_any_number_of_users_has_the_same_size():
    """All of 20,000 are in the chart, the first 500 in the table; a few digits more than for 2,000."""
    sizes = []
    for count in (2_000, 20_000):
        rows = (
            {"key": f"u-{n:06}", "jobs": 1, "users": 1, "now": "1", "then": "2", "by": "1.5", "percent": None}
            for n in range(count)
        )
        users = {"all": count, "concerned": count, "winners": 0, "losers": count, "won": "0", "lost": "-1"}
        text = made_page(groups={"rule": [], "model": [], "day": [], "user": rows}, users=users)
        page = read_page(text)
        assert [501, ["1 to 2 more", f"{count:,}", f"+{Decimal('1.5') * count:,}"]] == [
            len(page.tables["users"]), page.tables["by-difference"][1]
        ]  # fmt: skip
        sizes.append(len(text))

    assert sizes[1] - sizes[0] < 200


def test_the_page_can_be_read_by_those_who_do_not_see_it(tmp_path: Path):
    """A language, a title, one heading; each table with a caption and heads, in a region that keys can scroll."""
    page = page_of(tmp_path, DEARER)

    assert ("html", {"lang": "en"}) in page.tags
    names = [tag for tag, _ in page.tags]
    assert (1, 1, 1) == tuple(names.count(tag) for tag in ("title", "h1", "main"))
    assert names.count("table") == names.count("caption") == names.count("thead")
    heads = [given.get("scope") for tag, given in page.tags if tag == "th"]
    assert {"col", "row"} == {*heads}
    regions = [given for tag, given in page.tags if tag == "div" and given.get("class") in {"rows", "code"}]
    assert {("region", "0")} == {(given["role"], given["tabindex"]) for given in regions}
    labels = [given["aria-label"] for given in regions]
    assert len(labels) == len({*labels})
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len({*ids})


def test_json_is_printed_beside_the_page_and_a_condition_still_fails(tmp_path: Path):
    """A pipeline keeps the page and stops the pull request."""
    page_of(tmp_path, DEARER)
    files = (tmp_path / "edited.yaml", "--policy", tmp_path / "policy.yaml", "--events", tmp_path / "events.jsonl")

    result = run(*files, "--html", tmp_path / "second.html", "--json", "--fail-if", "net.percent > 9")

    assert (1, "1.0800") == (result.exit_code, json.loads(result.stdout)["net"]["by"])
    assert "the check fails: net.percent > 9" in result.stderr
    assert f"{tmp_path / 'second.html'}: what {tmp_path / 'edited.yaml'} would do, as a page" in result.stderr
    assert (tmp_path / "second.html").exists()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path):
    """In one line, and with the status of a failure."""
    page_of(tmp_path, DEARER)
    files = (tmp_path / "edited.yaml", "--policy", tmp_path / "policy.yaml", "--events", tmp_path / "events.jsonl")

    result = run(*files, "--html", tmp_path / "nowhere" / "page.html")

    assert 0 != result.exit_code
    assert "cannot be written: No such file or directory" in f"{result.stderr}{result.exception}"


# --- how it is spread -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "bins"),
    [
        ([], []),
        (["0", "0"], []),
        (["2"], [("1 to 2 more", 1)]),
        (["2.01"], [("2 to 5 more", 1)]),
        (["-1", "1"], [("0.5 to 1 more", 1), ("0.5 to 1 less", 1)]),
        (["10", "-10", "3", "2", "-0.4", "0"], [
            ("5 to 10 more", 1), ("2 to 5 more", 1), ("1 to 2 more", 1),
            ("0.2 to 0.5 less", 1), ("0.5 to 1 less", 0), ("1 to 2 less", 0), ("2 to 5 less", 0), ("5 to 10 less", 1),
        ]),
        (["700", "0.001", "0.0001"], [
            ("500 to 1000 more", 1), *((f"{low} to {high} more", 0) for low, high in (
                (200, 500), (100, 200), (50, 100), (20, 50), (10, 20), (5, 10), (2, 5), (1, 2), ("0.5", 1), ("0.2", "0.5"))),
            ("up to 0.2 more", 2),
        ]),
    ],
)  # fmt: skip
def test_differences_fall_into_steps_of_one_two_and_five(differences: list[str], bins: list[tuple[str, int]]):
    """A bound belongs to the step below it; what is far smaller than the largest stands in the last step."""
    assert bins == [(each.label, each.users) for each in spread(map(Decimal, differences))]


# --- what the page carries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", VENDORED, ids=lambda of: of["file"])
def test_a_library_is_what_its_package_has(of: dict[str, str]):
    """To the byte, as it was published; with its licence, and a first line that says which version it is."""
    text = (FOLDER / VENDOR / of["file"]).read_bytes()

    assert of["sha256"] == hashlib.sha256(text).hexdigest()
    assert f"v{of['version']}".encode() in text.split(b"\n", 1)[0]
    assert b"</script" not in text.lower()
    assert (
        "Permission to use, copy, modify"
        in (FOLDER / VENDOR / of["file"].replace(".min.js", ".LICENSE").replace(".umd", "")).read_text()
    )


@pytest.mark.proof
@pytest.mark.parametrize("of", VENDORED, ids=lambda of: of["file"])
def test_a_library_is_what_npm_has_published(of: dict[str, str], tmp_path: Path):
    """The package has the digest that is written down, and in it the file is the one that is here."""
    npm = shutil.which("npm") or pytest.skip("there is no npm on this machine")
    command = [npm, "pack", "--silent", "--fetch-retries=1", f"{of['package']}@{of['version']}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("npm reaches no registry")
    packed = (tmp_path / done.stdout.split()[-1]).read_bytes()

    assert of["integrity"] == f"sha512-{base64.b64encode(hashlib.sha512(packed).digest()).decode()}"
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        member = package.extractfile(of["path"])
        assert member is not None
        assert (FOLDER / VENDOR / of["file"]).read_bytes() == member.read()


def test_the_security_policy_names_the_style_that_the_library_adds():
    """The text stands in the library, with the chart's class left open."""
    library = (FOLDER / VENDOR / "plot.umd.min.js").read_text()

    (style,) = [text for text in re.findall(r"append\(\"style\"\)\.text\(`([^`]*)`", library) if "--plot-background" in text]
    assert PLOT_STYLE == re.sub(r"\$\{\w+\}", "plot", style).replace("\\n", "\n")


def test_no_function_carries_the_page():
    """It is of the command, which no artifact has."""
    assert "engine/cli" in ONLY_FOR_A_LAPTOP
    assert "cli" in FOLDER.parts
