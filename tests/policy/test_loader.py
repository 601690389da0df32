"""What the author of a policy is told about a wrong one, and what becomes of a right one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.domain.fact_kinds import Action
from engine.domain.money import Money
from engine.domain.price import Tier
from engine.policy import load_policy, parse_policy
from engine.policy.model import Explain, Grants, Overdraft, UnknownUser
from tests.support.policies import EXAMPLE, example, example_text
from tests.support.processor import at_most

POLICIES = Path(__file__).parents[2] / "policies"

type Change = tuple[str, str]
type Case = tuple[str, list[Change], list[str]]

MONEY = "money: {places: 4, rounding: half-even}"
RATES = 'rates: {default: "0.10", premium: "0.25"}'
BOOK = "prices:\n  render-second:\n"
MATCH_RENDERED = "match: {source: [video.generation], detail-type: [video.rendered]}"
MATCH_FAILED = "match: {source: [video.generation], detail-type: [video.failed]}"
MATCH_TEST = 'match: {detail: {jobId: [{prefix: "test-"}]}}'
CHARGE = 'charge: {price: render-second, quantity: detail.seconds, minimum: "0.01", maximum: "500"}'
REASON = "    reason: a test render reached production\n"
NO_RESULT = "{name: no-result, match: {detail-type: [video.rendered], detail: {result_url: [{exists: false}]}}}"

RENDERED_ROW = "event: {source: video.generation, detail-type: video.rendered, time: updatedAt}"
THOUSAND = ", ".join(f"f{n}: {{$or: [{', '.join(f'{{a{m}: [x]}}' for m in range(10))}]}}" for n in range(3))
"""Alternatives that have a thousand combinations."""

TOP = (
    "allowed: version, name, event, money, prices, rules, overdraft, unknown_user, unknown_job, grants, clock, anomalies,"
    " catch_up, catch_up_ignore, explain, adjustments, low_balance"
)
IN_A_RULE = "allowed: name, match, action, repeats, charge, refund, grant, revoke, hold, reason"
ANY_AMOUNT = "write a plain decimal from 0 to 10^28"
INSTANT = "write an instant with its zone, like 2026-07-01T00:00:00Z"


def refused(text: str | bytes) -> PolicyError:
    """Return the error that refuses a policy."""
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, "example.yaml")
    return refusal.value


def told(error: PolicyError, expected: Iterable[str]) -> list[str]:
    """Return each mistake as ``line:column: message``, cut to the length of what is expected in its place."""
    messages = [f"{mistake.line}:{mistake.column}: {mistake.message}" for mistake in error.mistakes]
    return [message[: len(start)] for message, start in zip_longest(messages, expected, fillvalue="")]


def table(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Return the parameters of a test: a change of the example policy, and what its author is told."""
    return pytest.mark.parametrize(
        ("changes", "expected"), [pytest.param(changes, expected, id=label) for label, changes, expected in cases]
    )


KEYS: list[Case] = [
    (
        "nearly right",
        [("unknown_user:", "unknown_usr:")],
        [f"27:1: `unknown_usr` is not known here; did you mean `unknown_user`? {TOP}"],
    ),
    ("far from any", [("overdraft: flag", "zzz: 1")], [f"26:1: `zzz` is not known here; {TOP}"]),
    (
        "in a rule",
        [("    reason:", "    raeson:")],
        ["22:5: a flag rule needs `reason`", f"25:5: `raeson` is not known here; did you mean `reason`? {IN_A_RULE}"],
    ),
    (
        "a merge key",
        [("overdraft: flag", "<<: {overdraft: flag}")],
        ["26:1: merge keys (`<<`) do not work; write the keys out, or quote a key of that name"],
    ),
    ("nothing a terminal obeys", [("overdraft: flag", '"\\e[2J": 1')], [r"26:1: `\x1b[2J` is not known here;"]),
    ("missing", [("name: video\n", "")], ["1:1: `name` is missing"]),
    (
        "several missing",
        [("job: detail.jobId, user: detail.userId, ", "")],
        ["3:8: `job`, `user` are missing"],
    ),
    ("missing in a rule", [(f"    {MATCH_TEST}\n", "")], ["22:5: `match` is missing"]),
    ("a catch-up without time", [("video.failed, time: updatedAt", "video.failed")], ["36:12: `time` is missing"]),
    ("no version", [("version: 1\n", "")], ["1:1: `version` is missing"]),
    (
        "twice",
        [("overdraft: flag", "overdraft: flag\noverdraft: allow")],
        ["27:1: `overdraft` is here a second time; the first is in line 26"],
    ),
    ("twice on one line", [("percent: 100", "percent: 100, percent: 50")], ["21:28: `percent` is here a second time"]),
    (
        "not a word",
        [("overdraft: flag", "overdraft: flag\n[a, b]: c\n? {x: y}\n: z")],
        ["27:1: a key is a word here, not a list or a mapping", "28:3: a key is a word here"],
    ),
]

KINDS: list[Case] = [
    (
        "a list for a mapping",
        [(MONEY, "money: [4, half-even]")],
        ["4:8: is a list; write a mapping with places, rounding"],
    ),
    (
        "a mapping for a list",
        [("catch_up:\n", "catch_up: {when: 1}\nx:\n")],
        ["32:11: is a mapping; write a list", "33:1: `x` is not known here"],
    ),
    (
        "a word for a rule",
        [("  - name: flag-test-renders\n", "  - flag\n  - name: flag-test-renders\n")],
        ["22:5: is `flag`; write a mapping with name, match, action, repeats, charge, refund, grant, revoke, hold, reason"],
    ),
    (
        "a word for a pattern",
        [(MATCH_FAILED, "match: video.failed")],
        ["19:12: is `video.failed`; write an event pattern like {source: [video.generation]}"],
    ),
    (
        "a list for a text",
        [("reason: a test render reached production", "reason: [a, b]")],
        ["25:13: is a list; write a text"],
    ),
    ("a mapping for a name", [("name: video\n", "name: {en: video}\n")], ["2:7: is a mapping; write a name"]),
    (
        "a list for an expression",
        [("user: detail.userId", "user: [detail.userId]")],
        ["3:34: is a list; write a JMESPath expression, like detail.jobId"],
    ),
    ("a number for rates", [(RATES, "rates: 0.10")], ["9:14: is `0.10`; write a mapping"]),
    ("nothing", [("overdraft: flag", "overdraft:")], ["26:11: is empty; write one of allow, flag, refuse"]),
    ("null", [("overdraft: flag", "overdraft: null")], ["26:12: is empty; write one of allow, flag, refuse"]),
    ("a tilde", [(MONEY, "money: ~")], ["4:8: is empty; write a mapping with places, rounding"]),
    ("quotes with nothing in them", [("overdraft: flag", 'overdraft: ""')], ["26:12: is empty; write one of allow"]),
    ("an empty text", [("reason: a test render reached production", 'reason: " "')], ["25:13: is empty; write a text"]),
    ("no list", [("anomalies:\n", "anomalies:\nx:\n")], ["28:11: is empty; write a list", "29:1: `x` is not known here"]),
    ("no rows", [("prices:\n", "prices:\n  other: []\n")], ["6:10: has 0 items; write at least 1"]),
    ("no rates", [(RATES, "rates: {}")], ["9:14: is empty; write a mapping"]),
    ("nothing for rates", [(RATES, "rates:")], ["9:13: is empty; write a mapping"]),
]

WORDS: list[Case] = [
    (
        "nearly right",
        [("overdraft: flag", "overdraft: flog")],
        ["26:12: `flog` is not known; did you mean `flag`? allowed: allow, flag, refuse"],
    ),
    (
        "far from any",
        [("rounding: half-even", "rounding: banker")],
        ["4:30: `banker` is not known; allowed: half-even, half-up, up, down"],
    ),
    (
        "two lines",
        [("overdraft: flag", 'overdraft: "flag\\nflag"')],
        [r"26:12: `flag\nflag` is not known; did you mean `flag`?"],
    ),
    (
        "very long",
        [("overdraft: flag", "overdraft: " + 25 * "flag")],
        [f"26:12: `{15 * 'flag'}...` is not known; allowed: allow"],
    ),
    ("another version", [("version: 1", "version: 2")], ["1:10: `2` is not known; allowed: 1"]),
    ("a version with a fraction", [("version: 1", "version: 1.0")], ["1:10: `1.0` is not known; allowed: 1"]),
    (
        "a name with a capital",
        [("name: video\n", "name: Video\n")],
        ["2:7: is `Video`; a name has lower case letters, digits and dashes"],
    ),
    (
        "a name with a space",
        [("name: refund-failed", "name: refund failed")],
        ["18:11: is `refund failed`; a name has lower case"],
    ),
    (
        "a name that is taken",
        [("name: refund-failed", "name: debit-rendered")],
        ["18:11: the name `debit-rendered` is taken; it is in line 14 already"],
    ),
    (
        "a name that a rule has",
        [("name: no-result", "name: flag-test-renders")],
        ["31:12: the name `flag-test-renders` is taken; it is in line 22"],
    ),
    (
        "a name of the engine's",
        [("name: no-result", "name: overdraft")],
        ["31:12: `overdraft` is a name of the engine's own; choose another"],
    ),
    (
        "another name of the engine's",
        [("name: refund-failed", "name: unknown-user")],
        ["18:11: `unknown-user` is a name of the engine's own"],
    ),
    (
        "names that are empty are not taken",
        [("name: refund-failed", "name:"), ("name: flag-test-renders", "name:")],
        ["18:10: is empty; write a name", "22:10: is empty; write a name"],
    ),
]

NUMBERS: list[Case] = [
    ("a leading zero", [("percent: 100", "percent: 010")], ["21:23: is '010'; write a plain decimal from 0 to 100"]),
    ("an exponent", [('"0.01"', "1e3")], [f"17:71: is '1e3'; {ANY_AMOUNT}"]),
    ("nothing before the point", [('"0.01"', ".5")], [f"17:71: is '.5'; {ANY_AMOUNT}"]),
    ("nothing after the point", [('"0.01"', '"5."')], [f"17:71: is '5.'; {ANY_AMOUNT}"]),
    ("a word", [('"0.01"', "yes")], [f"17:71: is 'yes'; {ANY_AMOUNT}"]),
    ("a plus", [('"0.01"', "+1")], [f"17:71: is '+1'; {ANY_AMOUNT}"]),
    ("a minus", [('"0.10"', "-0.10")], [f"9:24: is '-0.10'; {ANY_AMOUNT}"]),
    ("digits of another script", [('"0.10"', '"٣"')], [rf"9:24: is '\u0663'; {ANY_AMOUNT}"]),
    ("an underscore", [('"500"', "5_00")], [f"17:88: is '5_00'; {ANY_AMOUNT}"]),
    ("infinity", [('"500"', ".inf")], [f"17:88: is '.inf'; {ANY_AMOUNT}"]),
    ("nothing in quotes", [('"500"', '""')], [f"17:88: is empty; {ANY_AMOUNT}"]),
    ("a list", [('"500"', "[1]")], [f"17:88: is a list; {ANY_AMOUNT}"]),
    ("above all", [('"500"', f'"1{28 * "0"}.1"')], [f"17:88: is '1{28 * '0'}.1'; {ANY_AMOUNT}"]),
    (
        "39 digits",
        [('"0.10"', f'"0.1{37 * "0"}1"')],
        [f"9:24: is '0.1{37 * '0'}1'; at most 38 digits, written out, fit into the ledger"],
    ),
    ("too near to zero", [('"0.10"', f'"0.{130 * "0"}1"')], ["9:24: is '0.000000"]),
    ("a whole number with a point", [("places: 4", "places: 4.0")], ["4:17: is '4.0'; write a whole number from 0 to 10"]),
    ("too many places", [("places: 4", "places: 11")], ["4:17: is '11'; write a whole number from 0 to 10"]),
    ("101 percent", [("percent: 100", "percent: 101")], ["21:23: is '101'; write a plain decimal from 0 to 100"]),
    (
        "a little over 100 percent",
        [("percent: 100", "percent: 100.01")],
        ["21:23: is '100.01'; write a plain decimal from 0 to 100"],
    ),
    ("-1 percent", [("percent: 100", "percent: -1")], ["21:23: is '-1'; write a plain decimal from 0 to 100"]),
    (
        "figures of explain",
        [("overdraft: flag", "overdraft: flag\nexplain: {model: '', max_per_hour: 1.5, temperature: 0}")],
        [
            "27:18: is empty; write the name of a model",
            "27:36: is '1.5'; write a whole number from 0 to 1000000",
            "27:41: `temperature` is not known here; allowed: model, max_per_hour",
        ],
    ),
]

PRICES: list[Case] = [
    ("no zone", [("2025-01-01T00:00:00Z", "2025-01-01T00:00:00")], [f"7:18: is '2025-01-01T00:00:00'; {INSTANT}"]),
    ("a date only", [("2025-01-01T00:00:00Z", "2025-01-01")], [f"7:18: is '2025-01-01'; {INSTANT}"]),
    ("no such day", [("2025-01-01T00:00:00Z", "2025-02-29T00:00:00Z")], [f"7:18: is '2025-02-29T00:00:00Z'; {INSTANT}"]),
    ("a space for T", [("2025-01-01T00:00:00Z", "2025-01-01 00:00:00Z")], [f"7:18: is '2025-01-01 00:00:00Z'; {INSTANT}"]),
    ("a list for an instant", [("2025-01-01T00:00:00Z", "[2025]")], [f"7:18: is a list; {INSTANT}"]),
    (
        "newest first",
        [("2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z")],
        ["10:7: `effective` is 2026-07-01T00:00:00Z, not after that of the row above; oldest first"],
    ),
    (
        "twice at one instant",
        [("2025-01-01T00:00:00Z", "2026-07-01T02:00:00+02:00")],
        ["10:7: `effective` is 2026-07-01T00:00:00Z, not after that of the row above; oldest first"],
    ),
    (
        "several rates without `by`",
        [(f"by: detail.model\n      {RATES}", RATES)],
        ["8:14: several rates need `by`, the JMESPath that selects one; without it only `default` counts"],
    ),
    (
        "one rate that nothing selects",
        [(f"by: detail.model\n      {RATES}", 'rates: {premium: "0.25"}')],
        ["8:14: several rates need `by`"],
    ),
    (
        "no such book",
        [("price: render-second", "price: render-seconds")],
        ["17:21: there is no price book `render-seconds`; did you mean `render-second`? allowed: render-second"],
    ),
    (
        "no books at all",
        [(BOOK, "render-second:\n")],
        ["5:1: `render-second` is not known here", "16:21: there is no price book `render-second`; `prices` has none"],
    ),
    (
        "no books in prices",
        [(BOOK, "prices: {}\nrender-second:\n")],
        ["5:9: is empty; write a mapping", "6:1: `render-second` is not known here", "17:21: there is no price book"],
    ),
]

TIERS: list[Case] = [
    (
        "overlapping",
        [(RATES, 'rates: {default: [{up_to: 60, rate: "0.1"}, {up_to: 60, rate: "0.08"}, {rate: "0.05"}]}')],
        ["9:59: up to 60 overlaps the tier before, which goes up to 60; smallest first"],
    ),
    (
        "largest first",
        [(RATES, 'rates: {default: [{up_to: 300, rate: "0.1"}, {up_to: 60, rate: "0.08"}, {rate: "0.05"}]}')],
        ["9:60: up to 60 overlaps the tier before, which goes up to 300; smallest first"],
    ),
    (
        "a gap at the end",
        [(RATES, 'rates: {default: [{up_to: 60, rate: "0.1"}, {up_to: 300, rate: "0.08"}]}')],
        ["9:51: leaves a gap: above 300 there is no rate; the last tier has no `up_to`"],
    ),
    (
        "an end in the middle",
        [(RATES, 'rates: {default: [{rate: "0.1"}, {up_to: 300, rate: "0.08"}, {rate: "0.05"}]}')],
        ["9:25: a tier without `up_to` takes all that is above; only the last one may"],
    ),
    (
        "a tier of nothing",
        [(RATES, 'rates: {default: [{up_to: 0, rate: "0.1"}, {rate: "0.05"}]}')],
        ["9:33: `up_to` is 0; a tier ends above 0"],
    ),
    ("no tiers", [(RATES, "rates: {default: []}")], ["9:24: has 0 items; write at least 1"]),
    (
        "a tier that is a rate",
        [(RATES, "rates: {default: [0.1]}")],
        ["9:25: is `0.1`; write a mapping with up_to, rate"],
    ),
    ("a tier without a rate", [(RATES, "rates: {default: [{up_to: 5}]}")], ["9:25: `rate` is missing"]),
    (
        "another model",
        [(RATES, "tiers: stairs\n      rates: {default: 1}")],
        ["9:14: `stairs` is not known; allowed: graduated, volume"],
    ),
    (
        "a model without tiers",
        [(RATES, f"tiers: volume\n      {RATES}")],
        ["9:14: `tiers` has no meaning: none of the rates is a list of tiers"],
    ),
]

SELECTORS: list[Case] = [
    (
        "rates deeper than selectors",
        [(RATES, "rates: {default: 1, veo: {default: 1, 4k: 2}}")],
        ["9:32: these rates need one more expression in `by` to select one"],
    ),
    (
        "rates by nothing",
        [(f"by: detail.model\n      {RATES}", "rates: {default: {default: 1}}")],
        ["8:24: these rates need one more expression in `by` to select one"],
    ),
    (
        "too many selectors",
        [("by: detail.model", "by: [a, b, c, d, e, f]")],
        ["8:11: has 6 expressions; at most 5 select a rate", "11:11: has 6 expressions"],
    ),
    ("no selectors", [("by: detail.model", "by: []")], ["8:11: has 0 items; write at least 1", "11:11: has 0 items"]),
    (
        "a mapping of selectors",
        [("by: detail.model", "by: {a: b}")],
        ["8:11: is a mapping; write a JMESPath expression or a list of them", "11:11: is a mapping"],
    ),
    (
        "a wrong one among them",
        [("by: detail.model", "by: [detail.model, detail..x]")],
        ["8:26: 'detail..x' is no JMESPath expression", "11:26: 'detail..x' is no JMESPath expression"],
    ),
    (
        "deeper than there can be selectors",
        [("by: detail.model", "by: [a, b, c, d, e]"), (RATES, f"rates: {5 * '{default: '}{{default: 1}}{5 * '}'}")],
        ["9:64: is a mapping; write a rate or a list of tiers", "9:64: these rates need one more"],
    ),
]

GRANT_RULE = (MATCH_TEST + "\n    action: flag\n" + REASON, MATCH_TEST + "\n    action: grant\n")
REFERENCE = ("time: time}", "time: time, reference: detail.id}")

GRANTS: list[Case] = [
    (
        "nothing to grant, under no reference",
        [GRANT_RULE],
        ["22:5: a grant rule needs `grant`", "22:5: a grant rule needs `event.reference`, the JMESPath of the purchase's id"],
    ),
    (
        "neither amount nor quantity",
        [REFERENCE, (GRANT_RULE[0], GRANT_RULE[1] + "    grant: {maximum: 5}\n")],
        ["25:12: a grant is either `amount`, or `quantity` (of credits, or of what a `price` is for)"],
    ),
    (
        "an amount with a bound",
        [REFERENCE, (GRANT_RULE[0], GRANT_RULE[1] + "    grant: {amount: 1, maximum: 5}\n")],
        ["25:33: `maximum` has no meaning beside `amount`"],
    ),
    (
        "more places than money",
        [REFERENCE, (GRANT_RULE[0], GRANT_RULE[1] + '    grant: {amount: "0.00001"}\n')],
        ["25:21: `amount` 0.00001 has more than the 4 places of `money`"],
    ),
    (
        "no such book",
        [REFERENCE, (GRANT_RULE[0], GRANT_RULE[1] + "    grant: {price: packs, quantity: detail.packs}\n")],
        ["25:20: there is no price book `packs`; allowed: render-second"],
    ),
    (
        "a charge in a grant",
        [REFERENCE, (GRANT_RULE[0], GRANT_RULE[1] + "    charge: {amount: 1}\n    grant: {amount: 1}\n")],
        ["25:13: `charge` has no meaning in a grant rule"],
    ),
]

WINDOWS: list[Case] = [
    (
        "a bare number",
        [("percent: 100", "percent: 100, within: 7")],
        ["21:36: is '7'; write a length of time, like 30m, 36h or 7d"],
    ),
    ("no time at all", [("percent: 100", "percent: 100, within: 0d")], ["21:36: is '0d'; write a length of time"]),
    ("months", [("percent: 100", "percent: 100, within: 1M")], ["21:36: is '1M'; write a length of time"]),
    ("longer than a life", [("percent: 100", "percent: 100, within: 100000d")], ["21:36: is '100000d'; write a length"]),
    ("nothing", [("percent: 100", "percent: 100, within: ")], ["21:36: is empty; write a length of time"]),
]

OUTLIERS: list[Case] = [
    (
        "neither match nor outlier",
        [(NO_RESULT, "{name: no-result, reason: x}")],
        ["31:5: an anomaly needs `match`, `outlier`, `frequency` or `drift`"],
    ),
    (
        "parts missing",
        [(NO_RESULT, "{name: unusual, outlier: {value: charge.amount, mads: 6}}")],
        ["31:30: `group`, `samples` are missing"],
    ),
    (
        "bounds that mean nothing",
        [(NO_RESULT, "{name: unusual, outlier: {value: charge.amount, group: x, mads: -1, samples: 4, scale: lin}}")],
        [
            "31:69: is '-1'; write a plain decimal from 0 to 1000",
            "31:82: is '4'; write a whole number from 5 to 10000",
            "31:92: `lin` is not known; did you mean `linear`? allowed: linear, log",
        ],
    ),
    (
        "a frequency without its parts",
        [(NO_RESULT, "{name: often, frequency: {more_than: 0}}")],
        ["31:30: `same`, `within` are missing", "31:42: is '0'; write a whole number from 1 to 10000"],
    ),
    (
        "more than can be looked back at",
        [(NO_RESULT, "{name: often, frequency: {same: [a, b, c, d, e, f], more_than: 1, within: 8d}}")],
        ["31:37: has 6 expressions; at most 5", "31:79: `within` is longer than the 7d of a look back"],
    ),
    (
        "a drift that would always be there",
        [(NO_RESULT, "{name: falling, drift: {value: a, group: b, below: 1, last: 4, within: 1w, samples: 30}}")],
        [
            "31:56: is '1'; write a plain decimal from 0.01 to 0.99",
            "31:65: is '4'; write a whole number from 5 to 1000",
            "31:76: is '1w'; write a length of time, like 30m, 36h or 7d",
        ],
    ),
    (
        "two in one",
        [(NO_RESULT, "{name: both, outlier: 1, frequency: {same: a, more_than: 1, within: 1h}}")],
        ["31:27: is `1`; write a mapping", "31:41: `frequency` beside `outlier`: write an anomaly for each"],
    ),
]

TYPOS: list[Case] = [
    (
        "a kind of event that no rule takes",
        [("detail-type: video.failed, time", "detail-type: video.faild, time")],
        ["36:52: no rule takes events of detail-type `video.faild`; did you mean `video.failed`?"],
    ),
    (
        "a source that no rule takes",
        [(RENDERED_ROW, RENDERED_ROW.replace("video.generation", "video.making"))],
        ["34:21: no rule takes events of source `video.making`; allowed: video.generation"],
    ),
    (
        "rows that an earlier part takes",
        [("when: {status: [failed]}", "when: {status: [completed]}")],
        ["35:5: never counts: an earlier part of `catch_up` takes all its rows first"],
    ),
    (
        "a status that is mapped and ignored",
        [("catch_up:\n", "catch_up_ignore: [queued, failed]\ncatch_up:\n")],
        ["32:27: `failed` is mapped by `catch_up` in line 36; it cannot be ignored too"],
    ),
    (
        "a member that a charge does not have",
        [("{charge: {amount:", "{charge: {amont:")],
        ["29:44: `charge` has no `amont`; did you mean `amount`? allowed: amount, quantity, rate"],
    ),
    (
        "a member that a grant does not have",
        [("{charge: {amount:", "{grant: {seconds:")],
        ["29:43: `grant` has no `seconds`; allowed: amount, quantity, rate"],
    ),
    (
        "too many alternatives in all",
        [
            (
                f"    {MATCH_TEST}\n    action: flag\n{REASON}",
                "    action: flag\n    reason: x\n    match: {"
                + THOUSAND
                + "}\n"
                + "".join(f"  - {{name: f{n}, action: flag, reason: x, match: {{{THOUSAND}}}}}\n" for n in range(5)),
            )
        ],
        ["29:48: with this pattern the policy has over 5000 combinations of `$or`"],
    ),
]

RULES: list[Case] = [
    (
        "amount and price",
        [("charge: {price", 'charge: {amount: "1", price')],
        ["17:13: a charge is either `amount`, or `price` with `quantity`"],
    ),
    ("neither amount nor price", [(CHARGE, "charge: {minimum: 1}")], ["17:13: a charge is either `amount`, or `price`"]),
    ("nothing in a charge", [(CHARGE, "charge: {}")], ["17:13: a charge is either `amount`, or `price` with `quantity`"]),
    (
        "an amount with more",
        [(CHARGE, 'charge: {amount: 1, quantity: detail.seconds, minimum: "0.5"}')],
        ["17:35: `quantity` has no meaning beside `amount`", "17:60: `minimum` has no meaning beside `amount`"],
    ),
    (
        "no quantity",
        [("quantity: detail.seconds, ", "")],
        ["17:13: `quantity` is missing: the JMESPath of what the price is for"],
    ),
    ("minimum above maximum", [('"0.01"', '"500.01"')], ["17:71: the minimum 500.01 is above the maximum 500"]),
    ("more places than money", [('"0.01"', '"0.00001"')], ["17:71: `minimum` 0.00001 has more than the 4 places of `money`"]),
    (
        "an amount with more places",
        [(CHARGE, 'charge: {amount: "1.00005"}')],
        ["17:22: `amount` 1.00005 has more than the 4 places"],
    ),
    ("money without places", [("places: 4", "places: 0")], ["17:71: `minimum` 0.01 has more than the 0 places of `money`"]),
    ("a debit without charge", [(f"    {CHARGE}\n", "")], ["14:5: a debit rule needs `charge`"]),
    ("a refund without refund", [("    refund: {percent: 100}\n", "")], ["18:5: a refund rule needs `refund`"]),
    ("a flag without reason", [(REASON, "")], ["22:5: a flag rule needs `reason`"]),
    (
        "a refund with a charge",
        [("refund: {percent: 100}", "refund: {percent: 100}\n    charge: {amount: 1}")],
        ["22:13: `charge` has no meaning in a refund rule"],
    ),
    (
        "a debit with a refund and a reason",
        [(CHARGE, f"{CHARGE}\n    refund: {{percent: 100}}\n    reason: x")],
        ["18:13: `refund` has no meaning in a debit rule", "19:13: `reason` has no meaning in a debit rule"],
    ),
]

PATTERNS: list[Case] = [
    ("an operator", [('{prefix: "test-"}', '{prefx: "test-"}')], ["23:31: unknown operator `prefx`: did you mean `prefix`?"]),
    ("no list", [("[video.failed]}\n    action", "video.failed}\n    action")], ["19:41: a field needs a list of values"]),
    ("a comparison", [('{numeric: [">", 50]}', "{numeric: [=>, 50]}")], ["29:64: '=>' is not a comparison: write one of"]),
    ("a bound in quotes", [('{numeric: [">", 50]}', '{numeric: [">", "50"]}')], ["29:69: "]),
    ("no field", [('{jobId: [{prefix: "test-"}]}', "{}")], ["23:13: an empty object is not allowed: name at least one field"]),
    (
        "a number beyond all",
        [('{prefix: "test-"}', "1e99999999999999999999")],
        ["23:30: Infinity is not a number that JSON can hold"],
    ),
    (
        "in a catch-up",
        [("{status: [failed]}", "{status: [failed, {exists: no}]}")],
        ["35:30: `exists` needs true or false, not 'no'"],
    ),
    (
        "in an alternative",
        [('{detail: {jobId: [{prefix: "test-"}]}}', "{$or: [{source: [a]}, {source: [{sufix: b}]}]}")],
        ["23:45: unknown operator `sufix`: did you mean `suffix`?"],
    ),
    (
        "behind an alias, told once",
        [(MATCH_RENDERED, "match: &m {source: [{prefx: video}]}"), (MATCH_FAILED, "match: *m")],
        ["15:26: unknown operator `prefx`: did you mean `prefix`?"],
    ),
]

EXPRESSIONS: list[Case] = [
    (
        "two dots",
        [("user: detail.userId", "user: detail..userId")],
        ["3:34: 'detail..userId' is no JMESPath expression: Expecting:"],
    ),
    (
        "an open bracket",
        [("quantity: detail.seconds", 'quantity: "detail.seconds["')],
        ["17:46: 'detail.seconds[' is no JMESPath expression: Invalid jmespath expression: Incomplete expression"],
    ),
    (
        "no such function",
        [("quantity: detail.seconds", "quantity: size(detail.items)")],
        ["17:46: 'size(detail.items)' calls size(), which JMESPath does not have"],
    ),
    ("too long", [("user: detail.userId", f"user: {1001 * 'a'}")], ["3:34: 'aaaaaaaa"]),
    ("too deep", [("user: detail.userId", f"user: {'|'.join(70 * 'a')}")], ["3:34: 'a|a|a|a|"]),
    ("deeper than the stack", [("user: detail.userId", f"user: '{900 * '('}'")], ["3:34: '(((((((("]),
    ("in rates", [("by: detail.model", "by: 1.5")], ["8:11: '1.5' is no JMESPath expression:", "11:11: '1.5' is no"]),
    ("in a catch-up", [("time: updatedAt", "time: updated At")], ["34:74: 'updated At' is no", "36:72: 'updated At' is no"]),
]

YAML: list[Case] = [
    (
        "a tag that runs commands",
        [("name: video\n", "name: !!python/object/apply:os.system [ls]\n")],
        [
            "2:7: the tag `!!python/object/apply:os.system` means nothing here; leave it out, or quote",
            "2:7: is a list; write a name",
        ],
    ),
    (
        "a harmless tag",
        [("name: video\n", "name: !!str video\n")],
        ["2:7: the tag `!!str` means nothing here"],
    ),
    (
        "an alias of nothing",
        [("overdraft: flag", "overdraft: *mode")],
        ["26:12: `*mode` is no anchor of the lines above"],
    ),
    ("an alias of itself", [("overdraft: flag", "overdraft: &mode [*mode]")], ["26:19: `*mode` is no anchor"]),
    ("a tab", [("overdraft: flag", "\toverdraft: flag")], ["26:1: a tab stands in front of this line; write blanks"]),
    (
        "a bracket that never closes",
        [("percent: 100}", "percent: 100")],
        ["21:13: the `{` that begins here is never closed; write `}`"],
    ),
    ("a control character", [("reason: a test", "reason: é \x07 test")], ["25:15: the character U+0007 cannot stand in YAML"]),
]


@table(KEYS)
def test_a_wrong_key_is_refused(changes, expected):
    """Unknown, missing, twice, or not known in this version: the author is told where, and what would be right."""
    assert expected == told(refused(example_text(*changes)), expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("percent: 100", "percent: 110"), "`percent` is '110'; write a plain decimal from 0 to 100"),
        (("user: detail.userId", "user: "), "`user` is empty; write a JMESPath expression, like detail.jobId"),
        (('default: "0.10"', "default: cheap"), "`default` is 'cheap'; write "),
        (("rules:", "rules: none\nrulez:"), "`rules` is `none`; write a list"),
        (("unknown_user: refuse", "catch_up_ignore: [[queued]]"), "an item of `catch_up_ignore` is a list; write "),
    ],
)
def test_a_mistake_names_the_key_whose_value_is_wrong(change: tuple[str, str], sentence: str) -> None:
    """Whoever reads it in a log has no caret to look at."""
    told = [str(mistake) for mistake in refused(example_text(change)).mistakes]

    assert 1 == len([one for one in told if f": {sentence}" in one])


@table(KINDS)
def test_a_value_of_the_wrong_kind_is_refused(changes, expected):
    """A list is no mapping, and nothing is no value; the message says what is there and what is needed."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(WORDS)
def test_a_wrong_word_is_refused(changes, expected):
    """Words are those of the grammar; names are lower case, free, and not the engine's own."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(NUMBERS)
def test_a_wrong_number_is_refused(changes, expected):
    """Only plain decimals: nothing that YAML's versions read in different ways, nothing the ledger cannot hold."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(PRICES)
def test_a_wrong_price_is_refused(changes, expected):
    """Rows have instants with a zone, oldest first; rates can be selected; a charge names a book that is there."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(TIERS)
def test_wrong_tiers_are_refused(changes, expected):
    """Together they take every quantity, and each only once."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(SELECTORS)
def test_wrong_selectors_are_refused(changes, expected):
    """As many expressions as there are levels of rates."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(GRANTS)
def test_a_wrong_grant_is_refused(changes, expected):
    """It has something to give, and a reference under which it is given once."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(WINDOWS)
def test_a_wrong_window_is_refused(changes, expected):
    """A whole number of seconds, minutes, hours or days."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(OUTLIERS)
def test_a_wrong_outlier_is_refused(changes, expected):
    """It needs all that a judgement is made of."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(TYPOS)
def test_what_could_never_count_is_refused(changes, expected):
    """A typo that nobody would notice until the money is missing."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(RULES)
def test_a_rule_says_just_what_its_action_needs(changes, expected):
    """What is missing and what has no meaning are both told."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(PATTERNS)
def test_a_wrong_pattern_is_shown_at_the_place_inside_the_pattern(changes, expected):
    """What AWS would refuse is refused here, at the very line and column."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(EXPRESSIONS)
def test_a_wrong_expression_is_refused(changes, expected):
    """JMESPath is read with the policy, not with the first event."""
    assert expected == told(refused(example_text(*changes)), expected)


@table(YAML)
def test_wrong_yaml_is_refused(changes, expected):
    """No tag is obeyed, no alias is guessed, and what the parser says is placed in the file."""
    assert expected == told(refused(example_text(*changes)), expected)


FILES: list[tuple[str, bytes, list[str]]] = [
    ("empty", b"", ["1:1: the file is empty; a policy begins with `version: 1`"]),
    ("a comment only", b"# soon\n", ["1:1: the file is empty"]),
    ("a begin only", b"---\n", ["2:1: is empty; write a mapping with version, name, event"]),
    ("a list", b"- version: 1\n", ["1:1: is a list; write a mapping with version, name, event"]),
    ("a word", b"version", ["1:1: is `version`; write a mapping with version, name, event"]),
    ("two documents", f"{EXAMPLE}---\n{EXAMPLE}".encode(), ["37:1: a second document begins here; a policy is one document"]),
    ("a second document that is wrong", f"{EXAMPLE}--- [\n".encode(), ["37:1: a second document begins here"]),
    ("not UTF-8", "version: 1\nname: größe\n".encode("latin-1"), ["2:9: the byte 0xF6 is not UTF-8; save the file as UTF-8"]),
    ("UTF-16", EXAMPLE.encode("utf-16"), ["1:1: the file is UTF-16; save it as UTF-8"]),
    ("half a surrogate", "version: 1\nname: \ud800".encode(errors="surrogatepass"), ["2:7: the byte 0xED is not UTF-8"]),
    ("a zero byte", b"# \xc3\xa9\xc3\xa9\r\nname: \0", ["2:7: the character U+0000 cannot stand in YAML"]),
    ("JSON cut short", b'{"version": 1, "name"', ["1:1: the `{` that begins here is never closed; write `}`"]),
    (
        "too large",
        EXAMPLE.encode() + b"#" * 200_000,
        [f"1:1: the file has {len(EXAMPLE) + 200_000} bytes; a policy has at most 200000"],
    ),
    ("100,000 brackets", b"[" * 100_000, ["1:65: is nested deeper than 64 levels"]),
    ("100,000 braces", b"{" * 100_000, ["1:65: is nested deeper than 64 levels"]),
    ("100,000 dashes", b"- " * 100_000, ["1:129: is nested deeper than 64 levels"]),
    (
        "65 levels behind an alias",
        b"a: &a " + b"[" * 40 + b"]" * 40 + b"\nb: " + b"[" * 40 + b"*a" + b"]" * 40,
        ["2:44: is nested deeper"],
    ),
    (
        "65 mappings behind an alias",
        b"a: &a " + b"{a: " * 40 + b"}" * 40 + b"\nb: " + b"{b: " * 40 + b"*a" + b"}" * 40,
        ["2:164: is nested"],
    ),
    (
        "200,000 values",
        b"a: &a [" + b"x," * 1000 + b"]\nb: [" + b"*a," * 200 + b"]",
        ["2:299: has more than 100000 values, aliases counted each time"],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [file[1:] for file in FILES], ids=[file[0] for file in FILES])
def test_a_file_that_is_no_policy_is_refused(data, expected):
    """Whatever the bytes are: no crash, no flood, a line and a column."""
    assert expected == told(refused(data), expected)


BEHIND = {
    "word": 1,
    "[]": 1,
    "{}": 1,
    "[word, [[]]]": 3,
    "[[[]], word]": 3,
    "{b: word, c: {b: {}}}": 3,
    "{b: {b: {}}, c: word}": 3,
}


@pytest.mark.parametrize("value", BEHIND)
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ("{b: ", "}")], ids=["lists", "mappings"])
def test_64_levels_are_read_and_65_are_not_where_an_alias_stands_for_the_last(value: str, opens: str, closes: str):
    """The file is the first of them; what is empty is one like a word, and of several values the deepest counts."""
    for levels, is_too_deep in ((63 - BEHIND[value], False), (64 - BEHIND[value], True)):
        mistakes = refused(f"a: &a {value}\nb: {levels * opens}*a {levels * closes}").mistakes
        assert is_too_deep == any("is nested deeper than 64 levels" in mistake.message for mistake in mistakes)


def test_text_that_cannot_be_utf8_is_refused():
    """A lone surrogate in a string is a mistake like one in a file."""
    assert ["1:7: the byte 0xED"] == told(refused("name: \ud800"), ["1:7: the byte 0xED"])


LAUGHS = list(zip("abcdefghi", "bcdefghij", strict=True))
BOMBS = [
    ("7:8", "".join(f"{name}: &{name} [{','.join(9 * [f'*{former}'])}]\n" for former, name in LAUGHS)),
    (
        "6:41",
        "".join(f"{name}: &{name} {{{','.join(f'{key}: *{former}' for key in 'rstuvwxyz')}}}\n" for former, name in LAUGHS),
    ),
]


@pytest.mark.parametrize(("place", "bomb"), BOMBS, ids=["lists", "mappings"])
def test_anchors_that_multiply_are_refused_before_they_do(place, bomb):
    """A billion laughs in ten lines: of lists that are 91, 820, 7,381, 66,430 ... values large, the fifth is too many."""
    expected = [f"{place}: has more than 100000 values, aliases counted each time"]

    with at_most(seconds=5):
        assert expected == told(refused(f"a: &a lol\n{bomb}"), expected)


def test_of_very_many_mistakes_the_first_are_told():
    """Nobody mends more at once, and a file of nothing but mistakes must not fill the memory with messages."""
    error = refused("{" + ",".join(f"key{number}: 1" for number in range(15_000)) + "}")

    assert 501 == len(error.mistakes)
    assert "there are 500 mistakes up to here; the rest has not been read" == error.mistakes[-1].message
    assert len(str(error)) < 300_000


def test_of_very_many_words_that_are_right_the_first_are_told():
    """A message about a book stays readable beside a thousand books."""
    books = "".join(
        f'  book-{number}: [{{effective: "2025-01-01T00:00:00Z", rates: {{default: 1}}}}]\n' for number in range(1000)
    )

    (mistake,) = refused(example_text(("prices:\n", f"prices:\n{books}"), ("price: render-second", "price: book-x"))).mistakes

    assert mistake.message.endswith("book-37, book-38, book-39")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    """One run, one list: what stands alone, what a rule needs, and what parts say of each other."""
    expected = [
        "1:10: `2` is not known",
        "14:11: is `Debit`; a name has",
        "15:12: is `x`; write an event pattern",
        "17:21: there is no price book `render-minute`",
        "17:71: `minimum` 0.00001 has more than the 4 places",
        "21:23: is '101'; write a plain decimal",
        "22:5: a flag rule needs `reason`",
        "25:12: `flog` is not known; did you mean `flag`?",
        "28:12: the name `costs-over-50` is taken; it is in line 18",
        "29:5: `name` is missing",
        "29:6: `nam` is not known here; did you mean `name`?",
    ]
    changes = [
        ("version: 1", "version: 2"),
        ('"0.01"', '"0.00001"'),
        ("name: debit-rendered", "name: Debit"),
        (MATCH_RENDERED, "match: x"),
        ("price: render-second", "price: render-minute"),
        ("percent: 100", "percent: 101"),
        (REASON, ""),
        ("overdraft: flag", "overdraft: flog"),
        ("name: longer-than-5-minutes", "nam: longer-than-5-minutes"),
        ("name: refund-failed", "name: costs-over-50"),
    ]
    assert expected == told(refused(example_text(*changes)), expected)


def test_a_mistake_shows_its_line_with_a_caret_below_the_column():
    """``file:line:column``, the message, the line as it is written, and where to look."""
    expected = (
        "example.yaml:26:12: `flog` is not known; did you mean `flag`? allowed: allow, flag, refuse\n"
        "    overdraft: flog\n"
        "               ^"
    )

    assert expected == str(refused(example_text(("overdraft: flag", "overdraft: flog"))))


def test_a_mistake_in_a_very_long_line_shows_the_part_around_it():
    """A file on one line must not be printed once for each of its mistakes."""
    before, after = 500 * " ", 500 * "#"
    excerpt = refused(f"{{version: 2,{before}nam: video}} {after}").mistakes[-1].excerpt

    assert f"    {59 * ' '}nam: video}} {49 * '#'}\n    {59 * ' '}^" == excerpt


def test_the_caret_stands_below_its_column_beside_tabs_and_control_characters():
    """What has no width of its own is shown as a space."""
    assert "    reason:  x  y\n               ^" == refused("reason:\t x\t\x07y").mistakes[0].excerpt


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_not_there_is_refused_by_name(tmp_path):
    """The mistake names the file; there is no line to show."""
    with pytest.raises(PolicyError, match="cannot be read: No such file or directory") as refusal:
        load_policy(tmp_path / "video.yaml")

    assert (str(tmp_path / "video.yaml"), None, None) == (refusal.value.file, refusal.value.line, refusal.value.column)


def test_a_folder_is_no_policy(tmp_path):
    """It is refused like a file that cannot be read."""
    with pytest.raises(PolicyError, match="cannot be read: Is a directory"):
        load_policy(tmp_path)


def test_a_mistake_names_the_file_it_is_in(tmp_path):
    """With file, line and column an editor can go there."""
    (tmp_path / "video.yaml").write_text(example_text(("overdraft: flag", "overdraft: flog")))

    with pytest.raises(PolicyError) as refusal:
        load_policy(tmp_path / "video.yaml")

    assert (str(tmp_path / "video.yaml"), 26, 12) == (refusal.value.file, refusal.value.line, refusal.value.column)


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.yaml")), ids=lambda file: file.name)
def test_a_policy_that_is_shipped_has_neither_mistakes_nor_warnings(file):
    """What users start from is right."""
    assert () == load_policy(file).warnings


# --- what a good policy becomes ---------------------------------------------------------------------------------------


def rate(text: str) -> tuple[Tier]:
    """Return a plain rate: a single tier without an end."""
    return (Tier(Decimal(text)),)


def test_a_policy_becomes_values():
    """All of the example, as the engine sees it."""
    policy = example()
    debit, refund, flag = policy.rules
    book = debit.terms.book

    assert ("video", Overdraft.FLAG, UnknownUser.REFUSE) == (policy.name, policy.overdraft, policy.unknown_user)
    assert Money(places=4, rounding="half-even") == policy.money
    assert ("detail.jobId", "detail.userId", "time") == (
        policy.fields.job.text,
        policy.fields.user.text,
        policy.fields.time.text,
    )
    assert [("debit-rendered", Action.DEBIT), ("refund-failed", Action.REFUND), ("flag-test-renders", Action.FLAG)] == [
        (rule.name, rule.action) for rule in policy.rules
    ]
    assert ("render-second", "detail.seconds") == (book.name, debit.terms.quantity.text)
    assert [
        (datetime(2025, 1, 1, tzinfo=UTC), {"default": rate("0.10"), "premium": rate("0.25")}, ["detail.model"]),
        (datetime(2026, 7, 1, tzinfo=UTC), {"default": rate("0.12"), "premium": rate("0.25")}, ["detail.model"]),
    ] == [(row.effective, row.rates, [by.text for by in row.by]) for row in book.rows]
    assert (None, Decimal("0.01"), Decimal(500)) == (debit.terms.amount, debit.terms.minimum, debit.terms.maximum)
    assert (Decimal(100), "a test render reached production") == (refund.terms.percent, flag.reason)
    assert ["costs-over-50", "longer-than-5-minutes", "no-result"] == [anomaly.name for anomaly in policy.anomalies]
    assert [("video.generation", "video.rendered", "updatedAt"), ("video.generation", "video.failed", "updatedAt")] == [
        (row.source, row.detail_type, row.time.text) for row in policy.catch_up
    ]
    assert () == policy.warnings


def test_parts_know_the_line_they_stand_in():
    """``explain`` and messages can point into the file."""
    policy = example()

    assert [14, 18, 22] == [rule.line for rule in policy.rules]
    assert [29, 30, 31] == [anomaly.line for anomaly in policy.anomalies]
    assert [33, 35] == [row.line for row in policy.catch_up]


def test_patterns_match_what_they_say():
    """The compiled rules tell the events apart; an anomaly sees the charge."""
    rendered = {
        "source": "video.generation",
        "detail-type": "video.rendered",
        "detail": {"jobId": "test-1", "result_url": "s3://"},
    }
    policy = example()

    assert [True, False, True] == [rule.matches(rendered) for rule in policy.rules]
    assert [True, False, False] == [anomaly.matches(rendered | {"charge": {"amount": 51}}) for anomaly in policy.anomalies]
    assert [False, True] == [row.matches({"status": "failed"}) for row in policy.catch_up]


SHORTEST = """\
version: "1"
name: shortest
event: {job: id, user: detail.user, time: time}
rules:
  - {name: flat, match: {source: [a]}, action: debit, charge: {amount: 1.50}}
"""


def test_what_is_not_written_has_a_default():
    """The shortest policy there is."""
    policy = parse_policy(SHORTEST, "shortest.yaml")

    assert (Money(4, "half-even"), Explain("gpt-4.1", 60, pseudonyms=True)) == (policy.money, policy.explain)
    assert (Overdraft.FLAG, UnknownUser.REFUSE) == (policy.overdraft, policy.unknown_user)
    assert Grants.APPLICATION is policy.grants
    assert ((), (), ()) == (policy.anomalies, policy.catch_up, policy.warnings)
    assert (Decimal("1.50"), None) == (policy.rules[0].terms.amount, policy.rules[0].terms.book)


def test_parts_may_be_written_in_part_or_empty():
    """Half of money, half of explain, and lists without anything in them."""
    policy = parse_policy(
        f"{SHORTEST}money: {{places: 2}}\nexplain: {{max_per_hour: 0}}\nanomalies: []\ncatch_up: []\n", "shortest.yaml"
    )

    assert (Money(2, "half-even"), Explain("gpt-4.1", 0)) == (policy.money, policy.explain)


@pytest.mark.parametrize("written", ["0.10", '"0.10"', "'0.10'"])
def test_a_rate_is_taken_digit_by_digit(written):
    """Quoted or not, it never was a binary float: 0.10 keeps its two places."""
    rate = example(('"0.10"', written)).rules[0].terms.book.rows[0].rates["default"][0].rate

    assert "0.10" == str(rate)


@pytest.mark.parametrize("rate", ["0.1234567890123456789012345678901234567", f"1{27 * '0'}.0123456789", f"0.{37 * '0'}1", "0"])
def test_a_rate_has_all_the_digits_of_the_ledger(rate):
    """38 digits are kept, wherever the point is."""
    assert rate == format(example(('"0.10"', f'"{rate}"')).rules[0].terms.book.rows[0].rates["default"][0].rate, "f")


@pytest.mark.parametrize("written", ["0", "-0", "-0.00"])
def test_there_is_one_zero(written):
    """A minus before it means nothing, and never reaches an amount."""
    assert not example(('"0.10"', written)).rules[0].terms.book.rows[0].rates["default"][0].rate.is_signed()


@pytest.mark.parametrize("written", ["no", "off", "1_000", "0x1F", "1:30", "2026-01-01", "Null", ".inf"])
def test_what_other_yaml_readers_take_for_something_else_stays_text(written):
    """A reason is the text that is written; nothing is guessed."""
    assert written == example(("a test render reached production", written)).rules[2].reason


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("5", 5),
        ("-5", -5),
        ("5.0", 5),
        ("5e0", 5),
        ("0.10", 0.1),
        ('"5"', "5"),
        ("null", None),
        ("no", "no"),
        (40 * "9", 10**40 - 1),
    ],
)
def test_values_of_patterns_are_those_of_json(written, value):
    """Numbers, true, false and null are what they are in JSON; quoted is text, and so is everything else."""
    rule = example(('{prefix: "test-"}', written)).rules[2]

    assert rule.matches({"detail": {"jobId": value}})
    assert not rule.matches({"detail": {"jobId": "another"}})


def test_the_digest_is_that_of_the_bytes_of_the_file():
    """``sha256sum`` gives the same; the identity that entries carry has its first twelve digits."""
    policy = example()
    digest = hashlib.sha256(EXAMPLE.encode()).hexdigest()

    assert (digest, f"video@{digest[:12]}") == (policy.digest, policy.identity)
    assert digest != parse_policy(f"{EXAMPLE}# a comment\n", "example.yaml").digest


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf" + EXAMPLE.encode(), EXAMPLE.replace("\n", "\r\n").encode()], ids=["a mark", "CRLF"]
)
def test_files_of_other_systems_are_read(data):
    """A byte order mark and other line ends change nothing but the digest."""
    assert [14, 18, 22] == [rule.line for rule in parse_policy(data, "example.yaml").rules]


def test_anchors_save_writing():
    """An alias stands for what its anchor marks: a list, a mapping, a word."""
    policy = example(
        (
            "source: [video.generation], detail-type: [video.rendered]",
            "source: &source [video.generation], detail-type: [video.rendered]",
        ),
        ("source: [video.generation], detail-type: [video.failed]", "source: *source, detail-type: [video.failed]"),
        ("overdraft: flag", "overdraft: &word flag"),
        ("unknown_user: refuse", "unknown_user: *word"),
    )

    assert policy.rules[1].matches({"source": "video.generation", "detail-type": "video.failed"})
    assert (Overdraft.FLAG, UnknownUser.FLAG) == (policy.overdraft, policy.unknown_user)


@pytest.mark.parametrize(
    ("change", "warnings"),
    [
        ((MATCH_TEST, "match: {detail: {free: [True]}}"), ["23:29: `True` is a text here"]),
        ((MATCH_TEST, "match: {detail: {free: [{anything-but: [NULL, no]}]}}"), ["23:45: `NULL` is", "23:51: `no` is"]),
        ((MATCH_TEST, 'match: {detail: {free: [true, null, "True"]}}'), []),
        (
            (MATCH_TEST, "match: {detail: {model: [a]}, detail.model: [b]}"),
            ["23:35: `detail.model` is tested in line 23 too; the last test alone counts"],
        ),
        ((MATCH_TEST, "match: {$or: [{detail: {model: [a]}}, {detail.model: [b]}]}"), []),
        (("prices:\n", "prices:\n  other: [{effective: 2025-01-01T00:00:00Z, rates: {default: 1}}]\n"),
         ["6:3: no rule uses the price book `other`"]),
        (('default: "0.10", ', ""), ["9:14: there is no `default`: an event that selects another rate is refused"]),
        (("time: updatedAt}\n  - when: {status: [failed]}", "time: row.updatedAt}\n  - when: {status: [failed]}"),
         ["33:5: looks for `row.updatedAt` in the row itself; leave out `row.`"]),
        (("anomalies:\n", "anomalies:\n  - {name: a, outlier: {value: charge.rate, group: row.model, mads: 6, samples: 9}}\n"),
         ["29:5: `row.model` finds nothing: anomalies see the event and `charge`, and no `row`"]),
        (("anomalies:\n", "anomalies:\n  - {name: new, frequency: {same: [detail.row, row.a], more_than: 2, within: 1h}}\n"),
         ["29:5: `row.a` finds nothing"]),
        (("user: detail.userId", 'user: "detail.userId || row.userId"'), []),
        (("job: detail.jobId", "job: detail.row.jobId"), []),
    ],
)  # fmt: skip
def test_what_is_most_likely_not_meant_is_a_warning(change, warnings):
    """The policy runs all the same."""
    found = [f"{warning.line}:{warning.column}: {warning.message}" for warning in example(change).warnings]

    assert warnings == [message[: len(start)] for message, start in zip_longest(found, warnings, fillvalue="")]


def test_a_single_rate_needs_nothing_that_selects_it():
    """Without ``by`` the default counts."""
    book = example((f"by: detail.model\n      {RATES}", "rates: {default: 1}")).rules[0].terms.book

    assert ((), {"default": rate("1")}) == (book.rows[0].by, book.rows[0].rates)


def test_rates_without_a_default_are_a_warning():
    """They may be meant; events that select another rate are refused."""
    (warning,) = example((RATES, "rates: {premium: 1}")).warnings

    assert (
        "example.yaml:9:14: there is no `default`: an event that selects another rate is refused\n"
        "          rates: {premium: 1}\n"
        "                 ^"
    ) == str(warning)


EXAMPLE_ATTRIBUTES = {"jobId", "userId", "status", "seconds", "model", "result_url", "updatedAt"}


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ([], EXAMPLE_ATTRIBUTES),
        ([("quantity: detail.seconds", "quantity: detail.length.seconds")], EXAMPLE_ATTRIBUTES | {"length"}),
        ([("quantity: detail.seconds", 'quantity: "sum(detail.scenes[*].length)"')], EXAMPLE_ATTRIBUTES | {"scenes"}),
        ([("by: detail.model", "by: detail.model || detail.engine")], EXAMPLE_ATTRIBUTES | {"engine"}),
        ([("time: updatedAt", "time: finished.at")], EXAMPLE_ATTRIBUTES - {"updatedAt"} | {"finished"}),
        ([(MATCH_TEST, "match: {detail.kind: [test]}")], EXAMPLE_ATTRIBUTES | {"kind"}),
        ([(MATCH_TEST, "match: {detail: {kind.of: [test]}}")], EXAMPLE_ATTRIBUTES | {"kind", "kind.of"}),
        (
            [(MATCH_TEST, "match: {$or: [{detail: {kind: [test]}}, {detail: {tags: [test]}}]}")],
            EXAMPLE_ATTRIBUTES | {"kind", "tags"},
        ),
        ([(MATCH_TEST, "match: {detail: {$or: [{kind: [test]}, {tags: [test]}]}}")], EXAMPLE_ATTRIBUTES | {"kind", "tags"}),
        ([("{status: [failed]}", "{status: [failed], reason: [{exists: true}]}")], EXAMPLE_ATTRIBUTES | {"reason"}),
        ([("quantity: detail.seconds", 'quantity: "length(keys(detail))"')], None),
        ([("by: detail.model", 'by: "*.model | [0]"')], None),
        ([("time: updatedAt", "time: updatedAt || createdAt")], None),
        ([(MATCH_TEST, "match: {detail: [{exists: true}]}")], None),
        ([(MATCH_TEST, "match: {$or: [{detail: [{exists: true}]}, {source: [test]}]}")], None),
    ],
)
def test_a_policy_tells_which_attributes_of_a_row_it_can_look_at(changes, attributes):
    """A scan fetches these and no more; None where that cannot be told, and the whole row must be fetched."""
    assert attributes == example(*changes).row_attributes


@pytest.mark.parametrize(
    "job", ["row.jobId", '"detail.jobId || row.jobId"', '"row"', '"@.row.a"', '"join(`-`, [detail.a, row.b])"']
)
def test_the_job_cannot_be_read_from_its_own_row(job):
    """Nobody could find the row."""
    error = refused(example_text(("job: detail.jobId", f"job: {job}")))

    assert ["example.yaml:3:14: reads `row`, the row of the job in Jobs; the event itself has to say which job it is"] == [
        str(mistake).splitlines()[0] for mistake in error.mistakes
    ]


@pytest.mark.parametrize(
    ("changes", "reads"),
    [
        ([], set()),
        ([("user: detail.userId", "user: row.userId")], {"userId"}),
        (
            [("user: detail.userId", "user: row.a"), ("time: time", "time: row.b"), ("by: detail.model", "by: row.c")],
            {"a", "b", "c"},
        ),
        ([("quantity: detail.seconds", "quantity: sum(values(row))")], None),
        ([("by: detail.model", "by: [detail.model, row.plan]")], {"plan"}),
    ],
)
def test_a_policy_tells_what_it_reads_of_the_jobs_own_row(changes, reads):
    """A read fetches this and no more, and a scan fetches it beside what it fetches anyway."""
    policy = example(*changes)

    assert reads == policy.own_row
    assert policy.row_attributes is None if reads is None else policy.row_attributes >= reads


@pytest.mark.parametrize(
    ("when", "statuses"),
    [
        ("{status: [failed]}", ("failed",)),
        ("{status: [stopped, failed, stopped]}", ("stopped", "failed")),
        ("{status: [failed], seconds: [8]}", ("failed",)),
        ("{$or: [{status: [stopped]}, {status: [failed]}]}", ("failed", "stopped")),
        ("{status: [stopped], $or: [{status: [failed]}, {seconds: [8]}]}", ("stopped", "failed")),
        ("{status: [failed, {prefix: stop}]}", None),
        ("{status: [failed, null]}", None),
        ("{$or: [{status: [failed]}, {seconds: [8]}]}", None),
        ("{seconds: [8]}", None),
    ],
)
def test_a_catch_up_tells_which_statuses_a_row_must_have(when, statuses):
    """In the order they are written, be they in alternatives; None where a row with another status can match."""
    assert statuses == example(("{status: [failed]}", when)).catch_up[1].statuses
