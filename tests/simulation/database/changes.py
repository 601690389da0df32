"""Update and projection expressions: their grammar.

Source: "Update expressions" and "Projection expressions", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from attrs import Factory, define, frozen

from tests.simulation.database.syntax import Path, Reader, Value

CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
FUNCTIONS_OF_SET = ("if_not_exists", "list_append")


@frozen
class Function:
    """``if_not_exists(path, operand)`` or ``list_append(operand, operand)``."""

    name: str
    first: Path | Value | Function
    second: Path | Value | Function


@frozen
class Arithmetic:
    """A sum or a difference."""

    operator: str
    left: Path | Value | Function
    right: Path | Value | Function


type Operand = Path | Value | Function
type Assigned = Operand | Arithmetic


@define
class Update:
    """What an update expression does, clause by clause."""

    assigned: list[tuple[Path, Assigned]] = Factory(list)
    removed: list[Path] = Factory(list)
    added: list[tuple[Path, Value]] = Factory(list)
    deleted: list[tuple[Path, Value]] = Factory(list)

    def paths(self) -> list[Path]:
        """Return the paths that the update changes."""
        return [path for path, _ in (*self.assigned, *self.added, *self.deleted)] + self.removed


def read_update(reader: Reader) -> Update:
    """Return the update that the whole expression is. Raises Invalid."""
    update, seen = Update(), set[str]()
    while reader.peek().kind != "end":
        if not (clause := reader.takes(*CLAUSES)):
            raise reader.unexpected()
        if clause in seen:
            raise reader.problem(f'The "{clause}" section can only be used once in an update expression;')
        seen.add(clause)
        _read_clause(reader, clause, update)
    return update


def _read_clause(reader: Reader, clause: str, update: Update) -> None:
    match clause:
        case "SET":
            update.assigned = reader.commas(lambda: _assignment(reader))
        case "REMOVE":
            update.removed = reader.commas(lambda: _counted(reader))
        case "ADD":
            update.added = reader.commas(lambda: (_counted(reader), reader.value()))
        case _:
            update.deleted = reader.commas(lambda: (_counted(reader), reader.value()))


def _counted(reader: Reader) -> Path:
    reader.operator()
    return reader.path()


def _assignment(reader: Reader) -> tuple[Path, Assigned]:
    path = reader.path()
    reader.operator()
    reader.expect("=")
    left = _operand(reader)
    if operator := reader.takes("+", "-"):
        reader.operator()
        return path, Arithmetic(operator, left, _operand(reader))
    return path, left


def _operand(reader: Reader) -> Operand:
    if reader.peek().kind == "word" and reader.peek(1).text == "(":
        return _function(reader)
    return reader.operand()


def _function(reader: Reader) -> Function:
    name = reader.take().text
    if name not in FUNCTIONS_OF_SET:
        raise reader.problem(f"Invalid function name; function: {name}")
    reader.operator()
    reader.expect("(")
    operands = reader.commas(lambda: _operand(reader))
    reader.expect(")")
    if len(operands) != 2:
        problem = "Incorrect number of operands for operator or function; operator or function"
        raise reader.problem(f"{problem}: {name}, number of operands: {len(operands)}")
    if name == "if_not_exists" and not isinstance(operands[0], Path):
        raise reader.problem(f"Operator or function requires a document path; operator or function: {name}")
    return Function(name, operands[0], operands[1])


def read_projection(reader: Reader) -> tuple[Path, ...]:
    """Return the paths that the whole expression names. Raises Invalid."""
    paths = tuple(reader.commas(reader.path))
    reader.finish()
    return paths
