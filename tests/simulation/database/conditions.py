"""Condition and filter expressions, and key conditions: their grammar.

Source: "Condition and filter expressions, operators, and functions", Amazon DynamoDB Developer Guide. The precedence is the
documented one: comparisons and functions, NOT, AND, OR.
"""

from __future__ import annotations

from attrs import frozen

from tests.simulation.database.syntax import Path, Reader, Value

OPERANDS_OF_IN_MAX = 100

COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
"""What may stand alone, with its number of operands. The names are case-sensitive."""

SIZE = "size"


@frozen
class Size:
    """The size of what stands at a path, or of a value."""

    of: Path | Value


type Operand = Path | Value | Size


@frozen
class Comparison:
    """Two operands with a comparator between them."""

    operator: str
    left: Operand
    right: Operand


@frozen
class Between:
    """An operand within two bounds."""

    operand: Operand
    low: Operand
    high: Operand


@frozen
class In:
    """An operand that equals one of some."""

    operand: Operand
    options: tuple[Operand, ...]


@frozen
class Call:
    """A function that is true or false."""

    name: str
    operands: tuple[Operand, ...]


@frozen
class Not:
    """The contrary of a condition."""

    condition: Condition


@frozen
class Junction:
    """Conditions of which all hold (``AND``), or one at least (``OR``)."""

    word: str
    conditions: tuple[Condition, ...]


type Condition = Comparison | Between | In | Call | Not | Junction


def read_condition(reader: Reader) -> Condition:
    """Return the condition that the whole expression is. Raises Invalid."""
    condition = _any(reader)
    reader.finish()
    return condition


def _any(reader: Reader) -> Condition:
    return _joined(reader, "OR")


def _joined(reader: Reader, word: str) -> Condition:
    """Read conditions with OR between them, or with AND, which binds them first."""
    read = _negated if word == "AND" else lambda reader: _joined(reader, "AND")
    parts = [read(reader)]
    while reader.takes(word):
        reader.operator()
        parts.append(read(reader))
    return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))


def _negated(reader: Reader) -> Condition:
    if reader.takes("NOT"):
        reader.operator()
        return Not(_negated(reader))
    return _simple(reader)


def _simple(reader: Reader) -> Condition:
    if reader.peek().text == "(":
        return _in_parentheses(reader)
    token = reader.peek()
    if token.kind == "word" and reader.peek(1).text == "(" and token.text != SIZE:
        return _call(reader)
    return _compared(reader, _operand(reader))


def _in_parentheses(reader: Reader) -> Condition:
    """Read a condition in parentheses; a second pair around the same condition is refused as redundant."""
    reader.expect("(")
    begins_twice = reader.peek().text == "("
    begin = reader.at
    condition = _any(reader)
    ends_twice = begins_twice and reader.tokens[reader.at - 1].text == ")" and _closing(reader, begin) == reader.at - 1
    reader.expect(")")
    if ends_twice:
        raise reader.problem("The expression has redundant parentheses;")
    return condition


def _closing(reader: Reader, begin: int) -> int:
    """Return where the parenthesis that opens at ``begin`` closes."""
    depth = 0
    for at in range(begin, len(reader.tokens)):
        depth += {"(": 1, ")": -1}.get(reader.tokens[at].text, 0)
        if not depth:
            return at
    return len(reader.tokens)


def _call(reader: Reader) -> Condition:
    name = reader.take().text
    if name not in FUNCTIONS:
        raise reader.problem(f"Invalid function name; function: {name}")
    reader.operator()
    operands = _operands(reader)
    if len(operands) != FUNCTIONS[name]:
        problem = "Incorrect number of operands for operator or function; operator or function"
        raise reader.problem(f"{problem}: {name}, number of operands: {len(operands)}")
    if name.startswith("attribute_") and not isinstance(operands[0], Path):
        raise reader.problem(f"Operator or function requires a document path; operator or function: {name}")
    _distinct(reader, name, operands)
    return Call(name, operands)


def _operands(reader: Reader) -> tuple[Operand, ...]:
    reader.expect("(")
    operands = tuple(reader.commas(lambda: _operand(reader)))
    reader.expect(")")
    return operands


def _operand(reader: Reader) -> Operand:
    if reader.peek().text == SIZE and reader.peek(1).text == "(":
        reader.take()
        reader.operator()
        operands = _operands(reader)
        if len(operands) != 1 or isinstance(operands[0], Size):
            raise reader.problem("The function is not allowed to be used this way in an expression; function: size")
        return Size(operands[0])
    return reader.operand()


def _compared(reader: Reader, left: Operand) -> Condition:
    """Read what an operand is compared with."""
    if isinstance(left, Size) and reader.peek().text.upper() not in {*COMPARATORS, "BETWEEN", "IN"}:
        raise reader.problem("The function is not allowed to be used this way in an expression; function: size")
    if reader.takes("BETWEEN"):
        return _between(reader, left)
    if reader.takes("IN"):
        return _in(reader, left)
    if not (operator := reader.takes(*COMPARATORS)):
        raise reader.unexpected()
    reader.operator()
    right = _operand(reader)
    _distinct(reader, operator, (left, right))
    return Comparison(operator, left, right)


def _between(reader: Reader, operand: Operand) -> Condition:
    reader.operator()
    low = _operand(reader)
    reader.expect("AND")
    return Between(operand, low, _operand(reader))


def _in(reader: Reader, operand: Operand) -> Condition:
    reader.operator()
    options = _operands(reader)
    if len(options) > OPERANDS_OF_IN_MAX:
        problem = "Invalid number of operands for operator or function; operator or function"
        raise reader.problem(f"{problem}: IN, number of operands: {len(options)}")
    return In(operand, options)


def _distinct(reader: Reader, name: str, operands: tuple[Operand, ...]) -> None:
    """Refuse what is compared with itself."""
    if isinstance(operands[0], Path) and operands[0] in operands[1:]:
        said = "The first operand must be distinct from the remaining operands for this operator or function"
        parts = ", ".join(map(str, operands[0].parts))
        raise reader.problem(f"{said}; operator: {name}, first operand: [{parts}]")
