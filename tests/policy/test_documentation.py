"""docs/policy.md is true: every example does what it says, and no key of the grammar and no operator is left out.

How an example is marked stands at the top of the page itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from typer.testing import CliRunner

from engine.audit.recount import recount
from engine.cli.app import COMMANDS, app
from engine.domain.built_in_anomalies import BUILT_IN_ANOMALIES
from engine.domain.entry import Entry
from engine.domain.errors import PolicyError
from engine.domain.money import ROUNDINGS, Money, canonical
from engine.domain.shadowed import METRICS as SHADOW_METRICS
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of
from engine.policy.event_patterns import EventPattern, plain
from engine.policy.expressions.paths import compile_path
from engine.policy.grammar import ByKind, Duration, Expression, Instant, Key, Keys, ListOf, MapOf, Name, Number, Text, Word
from engine.policy.loader import POLICY, parse_policy
from engine.policy.patterns import compile_pattern
from engine.policy.patterns.operands import COMPARISONS, NEGATABLE, OPERATORS
from engine.policy.price_rows import Change, Rate, Selectors
from engine.policy.sharing import NumberOrExpression
from engine.policy.source import read_yaml
from engine.preview.given import PEOPLE, Given
from engine.preview.planning.condition import Condition
from engine.preview.policy_tests import TESTS, load_tests, run_test
from engine.rating.baselines import baseline_of
from tests.support.documentation import Block, Page, Table, code, read_page
from tests.support.events import rendered
from tests.support.kept_plans import Books, plan_of
from tests.support.policies import example
from tests.support.shadows import lines_of_every_outcome

PAGE: Page = read_page(Path(__file__).resolve().parents[2] / "docs" / "policy.md")

SHIPPED = Path(__file__).resolve().parents[2] / "policies" / "video.yaml"
POLICY_FILE, EVENT_FILE, TESTS_FILE = "policy.yaml", "event.json", "tests.yaml"
DIGEST = re.compile(r"@[0-9a-f]{12}\b")
SECTION = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)
FINE = 0


# --- blocks -----------------------------------------------------------------------------------------------------------


@frozen
class Example:
    """A block, the files that it stands among, and the kind of the block after it."""

    block: Block
    files: Mapping[str, str]
    following: str


def examples() -> Iterator[Example]:
    """Yield each block with the files as they are by then."""
    base, files = "", dict[str, str]()
    for block, following in zip(PAGE.blocks, [*(block.kind for block in PAGE.blocks[1:]), ""], strict=True):
        if block.kind == "yaml policy":
            base = base or block.text
        if block.kind in FILES:
            name, contents = FILES[block.kind]
            files = {**files, name: contents(block.text, base)}
        yield Example(block, files, following)


def as_it_is(text: str, _base: str) -> str:
    """Return a whole file."""
    return text


def in_place(part: str, base: str) -> str:
    """Return a policy: the part, and below it what the part does not replace, so that its lines stay its own."""
    given = set(names(part))
    return part + "".join(section for section in SECTION.split(base) if not given & set(names(section)))


def names(text: str) -> list[str]:
    """Return the top-level keys."""
    return re.findall(r"^([a-z_]+):", text, re.MULTILINE)


def whole_tests(text: str, _base: str) -> str:
    """Return a file of policy tests: a list of tests gets the keys above it."""
    return text if "policy" in names(text) else f"policy: {POLICY_FILE}\ntests:\n{text}"


FILES: Mapping[str, tuple[str, Callable[[str, str], str]]] = {
    "yaml policy": (POLICY_FILE, as_it_is),
    "yaml part": (POLICY_FILE, in_place),
    "yaml warned": (POLICY_FILE, in_place),
    "yaml refused": (POLICY_FILE, in_place),
    "yaml tests": (TESTS_FILE, whole_tests),
    "yaml failing": (TESTS_FILE, whole_tests),
    "json event": (EVENT_FILE, as_it_is),
}
"""The file that a block of each kind makes."""


def printed(*arguments: str) -> tuple[int, str]:
    """Return how a command ends, and what it prints."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, DIGEST.sub("@<digest>", result.stdout)


def validated() -> str:
    """Return what ``validate`` prints, on whatever day."""
    return printed("validate", POLICY_FILE, "--all-rows")[1]


def first_entries() -> list[Entry]:
    """Return the entries that the first test of the file posts, as they come back from the table."""
    file = load_tests(Path(TESTS_FILE))
    return [entry_of(decode_item(stored(entry))) for entry in run_test(file.tests[0], file.policy).entries]


def stored(entry: Entry) -> dict[str, Any]:
    """Return an entry's item, posted one second after its event."""
    return item_of(entry, datetime(2026, 1, 5, 10, 0, 1, tzinfo=UTC))


def recounted() -> str:
    """Return what ``explain --entry`` prints."""
    lines = [line for count in recount(first_entries()) for line in count.lines()]
    return DIGEST.sub("@<digest>", "".join(f"{line}\n" for line in lines))


OUTPUTS: Mapping[str, Callable[[], str]] = {
    "text validate": validated,
    "text github": lambda: printed("validate", POLICY_FILE, "--format", "github")[1],
    "text delivers": lambda: printed("validate", POLICY_FILE, "--delivers", "video.generation/video.rendered")[1],
    "text explain": lambda: printed("explain", EVENT_FILE, "--policy", POLICY_FILE)[1],
    "text test": lambda: printed("test", TESTS_FILE)[1],
    "text recount": recounted,
}
"""What a block of text shows."""


def is_fine(_example: Example) -> None:
    """No mistake and no warning."""
    assert f"{POLICY_FILE}: fine (video@<digest>)" == validated().splitlines()[0]  # what changes in its prices stands below


def is_fine_with_warnings(example: Example) -> None:
    """Allowed, and the block after it shows the warnings."""
    status, output = printed("validate", POLICY_FILE)

    assert (FINE, True, "text validate") == (status, output.startswith("warning: "), example.following)


def is_refused(example: Example) -> None:
    """Not allowed, and the block after it shows why."""
    assert (1, "text validate") == (printed("validate", POLICY_FILE)[0], example.following)


def passes(_example: Example) -> None:
    """Every test of the block passes."""
    status, output = printed("test", TESTS_FILE)

    assert FINE == status, output


def fails(example: Example) -> None:
    """Some test of the block fails, and the block after it shows how."""
    assert (1, "text test") == (printed("test", TESTS_FILE)[0], example.following)


def is_explained(example: Example) -> None:
    """The block after it shows what the policy makes of it."""
    assert "text explain" == example.following


def is_output(example: Example) -> None:
    """Exactly what the command prints."""
    assert example.block.text == OUTPUTS[example.block.kind]()


def is_entry(example: Example) -> None:
    """Exactly what the table keeps."""
    item = DIGEST.sub("@<digest>", json.dumps(decode_item(stored(first_entries()[0])), default=str))

    assert json.loads(example.block.text, parse_float=str, parse_int=str) == json.loads(item, parse_int=str)


def is_command(example: Example) -> None:
    """Each line is a command that exists, with options that it has."""
    for line in example.block.text.splitlines():
        program, command, *arguments = line.split()
        options = {argument for argument in arguments if argument.startswith("--")}
        assert ("reconciler", True) == (program, command in COMMANDS)
        assert set() == options - set(re.findall(r"--[a-z-]+", printed(command, "--help")[1]))


CHECKS: Mapping[str, Callable[[Example], None]] = {
    "yaml policy": is_fine,
    "yaml part": is_fine,
    "yaml warned": is_fine_with_warnings,
    "yaml refused": is_refused,
    "yaml tests": passes,
    "yaml failing": fails,
    "json event": is_explained,
    "json entry": is_entry,
    "sh commands": is_command,
    **dict.fromkeys(OUTPUTS, is_output),
}
"""What must be true of a block of each kind."""


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: f"line {example.block.line}: {example.block.kind}")
def test_an_example_does_what_the_page_says(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the files that the blocks above it make. A block of no known kind is a mistake of the page."""
    for name, text in example.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert example.block.kind in CHECKS
    CHECKS[example.block.kind](example)


# --- tables -----------------------------------------------------------------------------------------------------------


def value(text: str) -> Any:
    """Return what a policy would read: quoted is text, numbers are exact."""
    return plain(read_yaml(text.encode(), "cell")[0])


def check_pattern(_table: Table, row: tuple[str, ...]) -> None:
    """The pattern matches each event of the second cell and none of the third; there is at least one of both."""
    matches = compile_pattern(value(code(row[0])[0]))
    found = [[event for event in code(cell) if matches(value(event))] for cell in row[1:]]

    assert [code(row[1]), []] == found
    assert all(code(cell) for cell in row[1:])


def check_refused_pattern(_table: Table, row: tuple[str, ...]) -> None:
    """The pattern is refused with just this message."""
    with pytest.raises(PolicyError) as refusal:
        compile_pattern(value(code(row[0])[0]))

    assert [row[1]] == [mistake.message for mistake in refusal.value.mistakes]


def check_expression(_table: Table, row: tuple[str, ...]) -> None:
    """The expression finds this in the document."""
    expression, document, found = (code(cell)[0] for cell in row)

    assert value(found) == compile_path(expression).search(value(document))


def check_amount(table: Table, row: tuple[str, ...]) -> None:
    """The amount is rounded to this in the way that heads the column."""
    ways = [code(name)[0] for name in table.header[1:]]

    assert set(ROUNDINGS) == set(ways)
    assert list(row[1:]) == [str(Money(2, way).round(Decimal(row[0]))) for way in ways]


def check_samples(_table: Table, row: tuple[str, ...]) -> None:
    """The samples have this median and this spread."""
    baseline = baseline_of([Decimal(sample) for sample in row[0].split(", ")])

    assert list(row[1:]) == [canonical(baseline.median), canonical(baseline.spread)]


def check_key(table: Table, row: tuple[str, ...]) -> None:
    """The key has this default, and its bounds and words stand in the row."""
    key = GRAMMAR[key_path(table)][code(row[0])[0]]

    assert default_of(key) == row[1]
    assert [] == [word for word in taken(key.shape) if not re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", row[2])]


def check_built_in(_table: Table, row: tuple[str, ...]) -> None:
    """The engine gives these names, and no rule or anomaly may have them."""
    assert set() == set(code(row[0])) - {*BUILT_IN_ANOMALIES}


def check_rates_below(table: Table, row: tuple[str, ...]) -> None:
    """As rates of the second row of a price book they are warned of with this message, whatever else is said."""
    rates = (code(table.header[0])[0], code(row[0])[0])
    dated = [
        f"{{effective: {2025 + at}-01-01T00:00:00Z, by: detail.model, rates: {written}}}" for at, written in enumerate(rates)
    ]
    policy = parse_policy(PRICED.format(rows=",\n    ".join(dated)), "cell")

    assert row[1] in [warning.message for warning in policy.warnings]


def check_edit(_table: Table, row: tuple[str, ...]) -> None:
    """In the shipped policy, a row of prices at the end of its book and a rule above its refunds are fine."""
    (written,) = code(row[1])
    before, indent = ("\nrules:", "\n    ") if written.startswith("{effective") else ("\n  - name: refund-failed", "\n  ")
    above, found, below = SHIPPED.read_text(encoding="utf-8").partition(before)

    assert () == parse_policy(f"{above.rstrip()}{indent}- {written}\n{found}{below}", SHIPPED.name).warnings


@cache
def answer_of_a_plan() -> Mapping[str, Any]:
    """Return what a plan of a ledger with one job says, under an edit that changes its price."""
    books = Books(example(), {"u-1": "100"}).tell(rendered("j-1", model="veo-3"))
    return plan_of(books.material(), example(), example(('"0.10"', '"0.05"')))


def check_in_json(table: Table, row: tuple[str, ...]) -> None:
    """What the JSON of a plan is said to have it has; nothing that it has is left out of the table."""
    assert set(code(row[0])) <= answer_of_a_plan().keys()
    assert answer_of_a_plan().keys() <= {name for each in table.rows for name in code(each[0])}


def check_condition(_table: Table, row: tuple[str, ...]) -> None:
    """Each condition asks for what the answer has: another name is refused."""
    (written,) = code(row[0])
    Condition.read(written).met(answer_of_a_plan())


def check_shadow(_table: Table, row: tuple[str, ...]) -> None:
    """A shadow that has ended so has an amount, 0, or none, and counts what the row says."""
    for outcome in code(row[0]):
        line = lines_of_every_outcome()[outcome]
        assert {"0": "0", "none": None}.get(row[2], line["shadow"].get("amount")) == line["shadow"].get("amount")
        assert "amount" in line["shadow"] or row[2] == "none"
        assert set(code(row[3])) <= {name for name in SHADOW_METRICS if line.get(name)} or outcome == "voided"


def check_options(_table: Table, row: tuple[str, ...]) -> None:
    """Each option that is named is one of the command's."""
    options = {option for cell in row for name in code(cell) for option in re.findall(r"--[a-z-]+", name)}

    assert options <= set(re.findall(r"--[a-z-]+", printed("plan", "--help")[1]))


PRICED = """\
version: 1
name: video
prices: {{seconds: [
    {rows}]}}
event: {{job: detail.jobId, user: detail.userId, time: time}}
rules:
  - {{name: debit, match: {{source: [a]}}, action: debit, charge: {{price: seconds, quantity: detail.seconds}}}}
"""


TABLES: Mapping[str, Callable[[Table, tuple[str, ...]], None]] = {
    "pattern": check_pattern,
    "refused pattern": check_refused_pattern,
    "expression": check_expression,
    "amount": check_amount,
    "samples": check_samples,
    "built-in anomaly": check_built_in,
    "key of": check_key,
    "rates below": check_rates_below,
    "you want to": check_edit,
    "in the JSON": check_in_json,
    "condition": check_condition,
    "the shadow's": check_shadow,
    "what is named": check_options,
}
"""What must be true of a row, by the first words of its table."""


def kind_of(table: Table) -> str:
    """Return the first cell of the header, without what stands in backticks."""
    return re.sub(r" *`[^`]*`", "", table.header[0])


def rows() -> Iterator[Any]:
    """Yield each row of each table."""
    for table in PAGE.tables:
        for row in table.rows:
            yield pytest.param(table, row, id=f"line {table.line}: {row[0]}")


@pytest.mark.parametrize(("table", "row"), list(rows()))
def test_a_row_of_a_table_is_true(table: Table, row: tuple[str, ...]) -> None:
    """A table of no known kind is a mistake of the page."""
    assert kind_of(table) in TABLES
    assert len(table.header) == len(row)
    TABLES[kind_of(table)](table, row)


# --- nothing is left out ----------------------------------------------------------------------------------------------


def mappings(shape: Any, path: str) -> Iterator[tuple[str, Keys]]:
    """Yield each mapping with known keys below a shape, and the keys that lead to it."""
    if isinstance(shape, Keys):
        yield path, shape
        for name, key in shape.keys.items():
            yield from mappings(key.shape, f"{path}.{name}".lstrip("."))
    for part in parts(shape):
        yield from mappings(part, path)


def parts(shape: Any) -> tuple[Any, ...]:
    """Return what a shape is made of, where it has no keys of its own."""
    match shape:
        case ListOf():
            return (shape.item,)
        case MapOf():
            return (shape.value,)
        case ByKind():
            return shape.shapes()
        case Rate() | Change() | Selectors():
            return (shape.shape,)
        case Given():
            return (PEOPLE,)
    return ()


def described(top: Keys, file: str) -> Mapping[str, Mapping[str, Key]]:
    """Return all keys of a file, by the path that leads to them first: the same tiers stand in rates and in changes."""
    first: dict[int, str] = {}
    for path, shape in mappings(top, ""):
        first.setdefault(id(shape), path)
    return {path or file: shape.keys for path, shape in mappings(top, "") if first[id(shape)] == path}


GRAMMAR: Mapping[str, Mapping[str, Key]] = {**described(POLICY, POLICY_FILE), **described(TESTS, TESTS_FILE)}
"""All keys, by the path that leads to them. Prices nest: the same tiers stand at the same path, however deep."""

WANTED: Mapping[type, str] = {
    Name: "name",
    Text: "text",
    Instant: "instant",
    Duration: "duration",
    Expression: "JMESPath",
    EventPattern: "event pattern",
    ListOf: "list",
    MapOf: "mapping",
    Keys: "mapping",
    Given: "event",
}
"""What a table says that a key takes."""


def taken(shape: Any) -> list[str]:
    """Return the words that say what a shape takes."""
    if isinstance(shape, Word):
        return [f"`{word}`" for word in shape.words]
    if isinstance(shape, Number):
        return ["whole number" if shape.whole else "number", f"{figure(shape.low)} to {figure(shape.high)}"]
    if isinstance(shape, NumberOrExpression):
        return [*taken(shape.number), WANTED[Expression]]
    inside = [] if isinstance(shape, ListOf) else [word for part in parts(shape) for word in taken(part)]
    return [*([WANTED[type(shape)]] if type(shape) in WANTED else []), *inside]


def figure(number: Decimal) -> str:
    """Return a bound; a power of ten beyond a million by its exponent."""
    sign, digits = ("-" if number < 0 else ""), format(abs(number), "f")
    return f"{sign}10^{len(digits) - 1}" if re.fullmatch("10{7,}", digits) else f"{sign}{digits}"


UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}


def default_of(key: Key) -> str:
    """Return what a table calls a key's default."""
    if key.is_required:
        return "required"
    if key.default in (None, (), {}):
        return "none"
    if isinstance(key.default, timedelta):
        unit, length = next((unit, length) for unit, length in UNITS.items() if not key.default % length)
        return f"`{key.default // length}{unit}`"
    return f"`{key.default}`" if isinstance(key.default, str | int) else "its keys'"


def key_path(table: Table) -> str:
    """Return the path that a table of keys names."""
    return code(table.header[0])[0]


def test_every_key_of_the_grammar_has_its_row() -> None:
    """Of a policy and of a file of policy tests; and no row has a key that is not there."""
    documented = [
        f"{key_path(table)}: {code(row[0])[0]}" for table in PAGE.tables if kind_of(table) == "key of" for row in table.rows
    ]

    assert sorted(f"{path}: {name}" for path, keys in GRAMMAR.items() for name in keys) == sorted(documented)


def test_every_built_in_anomaly_has_its_row() -> None:
    """Whoever meets one in an entry finds here what it means."""
    documented = {
        name for table in PAGE.tables if kind_of(table) == "built-in anomaly" for row in table.rows for name in code(row[0])
    }

    assert set() == {*BUILT_IN_ANOMALIES} - documented


def test_every_operator_of_the_patterns_is_shown_at_work() -> None:
    """In a pattern of a table, where it has events that match and events that do not."""
    shown = {word for table in PAGE.tables if kind_of(table) == "pattern" for row in table.rows for word in words_of(row)}
    negated = {f"anything-but {name}" for name in NEGATABLE}

    assert set() == {*OPERATORS, *COMPARISONS, *negated, "$or"} - shown


def words_of(row: tuple[str, ...]) -> Iterator[str]:
    """Yield the operators in a row's pattern, with the one around them where there is one."""
    yield from operators(value(code(row[0])[0]), "")


def operators(node: Any, around: str) -> Iterator[str]:
    """Yield each key and each comparison of a pattern."""
    match node:
        case dict():
            for key, below in node.items():
                yield from (key, f"{around} {key}")
                yield from operators(below, key)
        case list():
            for item in node:
                yield from operators(item, around)
        case str():
            yield node


def test_every_link_within_the_page_leads_somewhere() -> None:
    """To a heading, as GitHub names it."""
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", PAGE.text, re.MULTILINE)}

    assert set() == set(re.findall(r"\]\(#([^)]+)\)", PAGE.text)) - headings


def test_the_page_says_how_its_examples_are_marked() -> None:
    """At the top, each kind of block and each kind of table."""
    legend = PAGE.text[: PAGE.text.index("-->")]
    kinds = [*CHECKS, *TABLES]

    assert [] == [kind for kind in kinds if kind.removeprefix("text ") not in legend]


def test_files_of_the_examples_are_kept_apart() -> None:
    """A part replaces its keys of the base, and stands above the rest."""
    base = "version: 1\nrules:\n  - a\noverdraft: flag\n"

    assert "rules:\n  - b\nversion: 1\noverdraft: flag\n" == in_place("rules:\n  - b\n", base)
