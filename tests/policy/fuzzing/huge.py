"""About as much of each thing as a policy file can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

HEAD = "version: 1\nname: x\nevent: {job: a, user: b, time: c}\n"


def _rules(*rules: str) -> str:
    return HEAD + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)


def _debit(index: int, pattern: str) -> str:
    return f"{{name: r{index}, match: {pattern}, action: debit, charge: {{amount: 1}}}}"


def _anomalies(*tests: str) -> str:
    rows = "".join(f"  - {{name: n{index}, match: {{a: [{test}]}}}}\n" for index, test in enumerate(tests))
    return _rules(_debit(0, "{a: [b]}")) + "anomalies:\n" + rows


ALTERNATIVES = ", ".join(
    f"f{field}: {{$or: [{', '.join(f'{{a{index}: [x]}}' for index in range(10))}]}}" for field in range(3)
)
"""A pattern of a thousand combinations, as many as AWS takes."""

HUGE: Mapping[str, Callable[[], str]] = {
    "a list of 100,000 values": lambda: "version: 1\nx: [" + "1, " * 99_990 + "]",
    "a mapping of 30,000 keys": lambda: "version: 1\n" + "".join(f"k{index}: 1\n" for index in range(30_000)),
    "a number of 900,000 digits": lambda: _rules(_debit(0, "{a: [{numeric: ['>', " + "9" * 900_000 + "]}]}")),
    "a rate of 900,000 digits": lambda: _rules(
        f"{{name: r, match: {{a: [b]}}, action: debit, charge: {{amount: {'9' * 900_000}}}}}"
    ),
    "a text of 900,000 letters": lambda: _rules(f"{{name: r, match: {{a: [b]}}, action: flag, reason: {'a ' * 450_000}}}"),
    "a key of 900,000 letters": lambda: "a" * 900_000 + ": b",
    "900,000 empty lines": lambda: "\n" * 900_000 + "a: b",
    "30,000 tags": lambda: "a: [" + "!!python/object:x y, " * 30_000 + "]",
    "100,000 open brackets": lambda: "[" * 100_000,
    "a bomb of anchors": lambda: "a: &a [" + "x, " * 10 + "]\n" + "b: [" + "*a, " * 20_000 + "]\n",
    "49,000 aliases": lambda: "a: &a x\nb: [" + "*a, " * 49_000 + "]\n",
    "300 rules that decide": lambda: _rules(*(_debit(index, f"{{a: [v{index}]}}") for index in range(300))),
    "a pattern of 1,000 combinations": lambda: _rules(_debit(0, f"{{{ALTERNATIVES}}}")),
    "wildcards that are too complex": lambda: _anomalies(*(f"{{wildcard: '{'*a' * 1000}'}}" for _ in range(300))),
    "a rate of 5,000 tiers": lambda: (
        "prices: {p: [{effective: 2020-01-01T00:00:00Z, rates: {default: ["
        + "".join(f"{{up_to: {index + 1}, rate: 1}}, " for index in range(5000))
        + "{rate: 1}]}}]}\n"
        + _rules("{name: r, match: {a: [b]}, action: debit, charge: {price: p, quantity: q}}")
    ),
    "ten rules of the same 1,000 combinations": lambda: _rules(*(_debit(index, f"{{{ALTERNATIVES}}}") for index in range(10))),
    "300 rules of 280 values each": lambda: _rules(
        *(_debit(index, f"{{a: [{', '.join(f'v{index}x{value}' for value in range(280))}]}}") for index in range(300))
    ),
    "long texts in any case": lambda: _anomalies(*(f"{{equals-ignore-case: {'ab' * 2000}{index}}}" for index in range(200))),
    "600 anomalies of 1,000 combinations": lambda: (
        _rules(_debit(0, "{a: [b]}"))
        + "anomalies:\n"
        + "".join(f"  - {{name: n{index}, match: {{{ALTERNATIVES}}}}}\n" for index in range(600))
    ),
    "7,000 rules": lambda: _rules(*(_debit(index, f"{{a: [v{index}]}}") for index in range(7000))),
}
"""About as much of each thing as a file of a million bytes can hold."""
