"""The tests inside the list of a field, as AWS accepts them. Everything else raises ``PolicyError`` with its path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.domain.digits import in_digits
from engine.domain.errors import PolicyError
from engine.policy.patterns.addresses import address_bytes, network_range
from engine.policy.patterns.model import (
    AnythingBut,
    Cidr,
    EqualsIgnoreCase,
    Exact,
    Exists,
    Negatable,
    Numeric,
    Prefix,
    Scalar,
    Suffix,
    Test,
    Wildcard,
)
from engine.policy.patterns.numbers import is_json_number, json_spelling
from engine.policy.patterns.wildcards import read_wildcard, too_complex

type Path = tuple[str | int, ...]
type Reader = Callable[[Any, Path], Test]

NUMERIC_MAX = Decimal("5e9")
NUMERIC_PLACES_MAX = 6
COMPARISONS = ("=", "<", "<=", ">", ">=")
LOWER, UPPER = {">", ">="}, {"<", "<="}


def read_test(value: Any, path: Path) -> Test:
    """Return the test that ``value`` stands for; ``path`` leads to it. Raises ``PolicyError``."""
    if isinstance(value, Mapping):
        return _read_expression(value, path)
    if is_list(value):
        raise PolicyError.of("a list inside a list is not allowed: put its values into the outer list", *path)
    return Exact(_read_scalar(value, path))


def is_list(value: object) -> bool:
    """Return whether ``value`` is what JSON calls an array."""
    return isinstance(value, list | tuple)


def shown(value: object) -> str:
    """Return ``value`` as a short text for a message. A number of ten thousand digits must not break the message."""
    import reprlib  # noqa: PLC0415 - only a mistake needs it

    class Teller(reprlib.Repr):
        def repr_Decimal(self, number: Decimal, _level: int) -> str:  # noqa: N802  so the library finds it
            return in_digits(number)

    return Teller().repr(value)


def _read_expression(expression: Mapping[Any, Any], path: Path) -> Test:
    if not expression:
        raise PolicyError.of(f"an operator is missing: write one of {_listed(OPERATORS)}", *path)
    if len(expression) > 1:
        raise PolicyError.of(
            "one object holds one operator: write an object for each, in the same list, to accept either", *path
        )
    operator, operand = next(iter(expression.items()))
    read = OPERATORS.get(operator) if isinstance(operator, str) else None
    if read is None:
        raise PolicyError.of(_unknown_operator(operator, operand, OPERATORS), *path, key_step(operator))
    return read(operand, (*path, operator))


def key_step(key: object) -> str | int:
    """Return ``key`` as a step of a path."""
    return key if isinstance(key, str | int) else str(key)


def _unknown_operator(operator: object, operand: object, known: Mapping[str, Any]) -> str:
    nearest = _nearest(str(operator), known)
    if nearest:
        return f"unknown operator `{operator}`: did you mean `{nearest}`?"
    if is_list(operand) or isinstance(operand, Mapping):
        return (
            f"unknown operator `{operator}`: write one of {_listed(known)}; or, if it is a field of the event, "
            "write the object without the list around it"
        )
    return f"unknown operator `{operator}`: write one of {_listed(known)}"


def _nearest(operator: str, known: Mapping[str, Any]) -> str | None:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    spelled = operator.lower().replace("_", "-").replace(" ", "-")
    found = difflib.get_close_matches(spelled, known, n=1)
    return found[0] if found else None


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names if name != "exactly")


# --- values -----------------------------------------------------------------------------------------------------------


def _read_scalar(value: object, path: Path) -> Scalar:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        return _read_number(value, path)
    raise PolicyError.of(
        f"{shown(value)} is a {type(value).__name__}, which events do not hold: quote it to match its text", *path
    )


def _read_number(value: float | Decimal, path: Path) -> Decimal:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise PolicyError.of(f"{in_digits(number)} is not a number that JSON can hold: write a finite number", *path)
    return number


def _read_text(operator: str, value: object, path: Path) -> str:
    if not isinstance(value, str):
        raise PolicyError.of(f"`{operator}` needs a string, not {shown(value)}{_text_hint(operator, value)}", *path)
    return value


def _text_hint(operator: str, value: object) -> str:
    if is_list(value):
        return f": write one {{{operator}: ...}} for each, in the list of the field"
    return "" if isinstance(value, Mapping) or value is None else ": write it in quotes"


# --- operators of strings ---------------------------------------------------------------------------------------------


def _read_exactly(operand: object, path: Path) -> Test:
    return Exact(_read_text("exactly", operand, path))


def _read_prefix(operand: object, path: Path) -> Test:
    text, ignore_case = _read_affix("prefix", operand, path)
    return Prefix(text, ignore_case)


def _read_suffix(operand: object, path: Path) -> Test:
    text, ignore_case = _read_affix("suffix", operand, path)
    return Suffix(text, ignore_case)


def _read_affix(operator: str, operand: object, path: Path) -> tuple[str, bool]:
    if not isinstance(operand, Mapping):
        return _read_text(operator, operand, path), False
    if list(operand) != ["equals-ignore-case"]:
        raise PolicyError.of(f"`{operator}` takes a string or {{equals-ignore-case: <string>}} and nothing else", *path)
    inner = (*path, "equals-ignore-case")
    return _read_text("equals-ignore-case", operand["equals-ignore-case"], inner), True


def _read_equals_ignore_case(operand: object, path: Path) -> Test:
    return EqualsIgnoreCase(_read_text("equals-ignore-case", operand, path))


def _read_wildcard(operand: object, path: Path) -> Test:
    wildcard = _wildcard(operand, path)
    if too_complex(wildcard.literals):
        raise PolicyError.of(
            "the wildcard is too complex: use fewer `*`, or fewer repetitions of the same text after a `*`", *path
        )
    return wildcard


def _wildcard(operand: object, path: Path) -> Wildcard:
    try:
        return Wildcard(read_wildcard(_read_text("wildcard", operand, path)))
    except PolicyError:
        raise
    except ValueError as problem:
        raise PolicyError.of(str(problem), *path) from None


def _read_cidr(operand: object, path: Path) -> Test:
    text, slash, mask = _read_text("cidr", operand, path).partition("/")
    address = address_bytes(text)
    if not slash or address is None:
        raise PolicyError.of(f"{shown(operand)} is not a network: write it like 10.0.0.0/8 or 2001:db8::/32", *path)
    bits_max = len(address) * 8 - 1
    if not (mask.isascii() and mask.isdigit() and len(mask) <= len("127") and int(mask) <= bits_max):
        raise PolicyError.of(
            f"{shown(operand)} needs a mask from 0 to {bits_max} after the slash; write a single address as a string", *path
        )
    return Cidr(*network_range(address, int(mask)))


# --- exists, numeric, anything-but ------------------------------------------------------------------------------------


def _read_exists(operand: object, path: Path) -> Test:
    if not isinstance(operand, bool):
        raise PolicyError.of(f"`exists` needs true or false, not {shown(operand)}", *path)
    return Exists(operand)


def _read_numeric(operand: object, path: Path) -> Test:
    if not isinstance(operand, list | tuple) or len(operand) not in {2, 4}:
        raise PolicyError.of('`numeric` needs a list of one or two comparisons, like [">", 0, "<=", 5]', *path)
    comparisons = tuple(
        (_read_comparison(operand[at], (*path, at)), _read_bound(operand[at + 1], (*path, at + 1)))
        for at in range(0, len(operand), 2)
    )
    _check_range(comparisons, path)
    return Numeric(comparisons)


def _read_comparison(value: object, path: Path) -> str:
    if not isinstance(value, str) or value not in COMPARISONS:
        raise PolicyError.of(f"{shown(value)} is not a comparison: write one of {', '.join(COMPARISONS)}", *path)
    return value


def _read_bound(value: object, path: Path) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise PolicyError.of(f"{shown(value)} is not a number{_number_hint(value)}", *path)
    number = _read_number(value, path)
    if abs(number) > NUMERIC_MAX:
        raise PolicyError.of("AWS compares numbers from -5,000,000,000 to 5,000,000,000: write a bound within", *path)
    if _decimal_places(number) > NUMERIC_PLACES_MAX:
        raise PolicyError.of(f"AWS compares numbers to {NUMERIC_PLACES_MAX} decimal places: write a shorter bound", *path)
    return number


def _number_hint(value: object) -> str:
    """Return the end of a message: how a text that is meant as a number is written."""
    if not isinstance(value, str):
        return ""
    spelled = json_spelling(value)
    if spelled is None:
        return ": write it without quotes" if is_json_number(value) else ""
    return f" of JSON: write {spelled}" if spelled else " of JSON: write a finite number"


def _decimal_places(number: Decimal) -> int:
    # The exponent of a finite number is an int; trailing zeros do not count.
    digits, exponent = number.as_tuple().digits, int(number.as_tuple().exponent)
    while digits and not digits[-1]:
        digits, exponent = digits[:-1], exponent + 1
    return -exponent if digits else 0


def _check_range(comparisons: tuple[tuple[str, Decimal], ...], path: Path) -> None:
    if len(comparisons) == 1:
        return
    (lower, bottom), (upper, top) = comparisons
    if lower not in LOWER or upper not in UPPER:
        raise PolicyError.of('a range is written from bottom to top, like [">", 0, "<=", 5]', *path)
    if bottom >= top:
        raise PolicyError.of(f"the bottom of a range must be less than its top, and {bottom} is not less than {top}", *path)


def _read_anything_but(operand: object, path: Path) -> Test:
    if isinstance(operand, Mapping):
        return AnythingBut(_read_negated(operand, path))
    if isinstance(operand, list | tuple):
        return AnythingBut(_read_excluded(operand, path))
    return AnythingBut((_read_excluded_value(operand, path),))


def _read_excluded(operand: list[Any] | tuple[Any, ...], path: Path) -> tuple[Exact, ...]:
    if not operand:
        raise PolicyError.of("an empty list is not allowed: name what must not match", *path)
    values = tuple(_read_excluded_value(value, (*path, at)) for at, value in enumerate(operand))
    if len({isinstance(exact.value, str) for exact in values}) > 1:
        raise PolicyError.of("a list in `anything-but` holds only strings or only numbers, not both", *path)
    return values


def _read_excluded_value(value: object, path: Path) -> Exact:
    if isinstance(value, bool) or value is None or isinstance(value, Mapping) or is_list(value):
        raise PolicyError.of(f"`anything-but` excludes strings or numbers, not {shown(value)}", *path)
    return Exact(_read_scalar(value, path))


def _read_negated(operand: Mapping[Any, Any], path: Path) -> tuple[Negatable, ...]:
    if len(operand) != 1:
        raise PolicyError.of(f"`anything-but` needs one operator: write one of {_listed(NEGATABLE)}", *path)
    operator, excluded = next(iter(operand.items()))
    read = NEGATABLE.get(operator) if isinstance(operator, str) else None
    if read is None:
        raise PolicyError.of(_unknown_operator(operator, "", NEGATABLE), *path, key_step(operator))
    return _read_negated_list(read, excluded, (*path, operator))


def _read_negated_list(read: Callable[[object, Path], Negatable], excluded: object, path: Path) -> tuple[Negatable, ...]:
    if not isinstance(excluded, list | tuple):
        return (read(excluded, path),)
    if not excluded:
        raise PolicyError.of("an empty list is not allowed: name what must not match", *path)
    return tuple(read(value, (*path, at)) for at, value in enumerate(excluded))


def _negated_text(operator: str, value: object, path: Path) -> str:
    text = _read_text(operator, value, path)
    if not text:
        raise PolicyError.of(f"an empty `{operator}` in `anything-but` would exclude every string: name one", *path)
    return text


NEGATABLE: dict[str, Callable[[object, Path], Negatable]] = {
    "prefix": lambda value, path: Prefix(_negated_text("prefix", value, path)),
    "suffix": lambda value, path: Suffix(_negated_text("suffix", value, path)),
    "equals-ignore-case": lambda value, path: EqualsIgnoreCase(_read_text("equals-ignore-case", value, path)),
    "wildcard": _wildcard,
}

OPERATORS: dict[str, Reader] = {
    "prefix": _read_prefix,
    "suffix": _read_suffix,
    "equals-ignore-case": _read_equals_ignore_case,
    "wildcard": _read_wildcard,
    "anything-but": _read_anything_but,
    "numeric": _read_numeric,
    "exists": _read_exists,
    "cidr": _read_cidr,
    "exactly": _read_exactly,  # Event Ruler's long form of a plain string; AWS accepts it without documenting it
}
