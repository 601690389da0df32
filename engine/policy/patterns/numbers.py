"""What looks like a number and is none in JSON: other spellings, and how JSON would spell them."""

from __future__ import annotations

import re

OTHER_BASE = re.compile(r"(?P<sign>[+-]?)0(?:x(?P<hex>[0-9a-fA-F_]+)|o(?P<octal>[0-7_]+)|b(?P<binary>[01_]+))")
DECIMAL = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9_]*)(?:\.(?P<fraction>[0-9_]*))?(?P<exponent>[eE][+-]?[0-9]+)?")
NOT_FINITE = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
BASES = {"hex": 16, "octal": 8, "binary": 2}
SPELLED_CHARACTERS_MAX = 80


def json_spelling(text: str) -> str | None:
    """Return how JSON writes the number that some reader takes a text for, or None: it is JSON already, or like no number.

    YAML reads ``.5``, ``+5``, ``0x10``, ``0o7`` and ``007`` as numbers, older YAML ``1_000`` too. ``.inf`` has none: "",
    nor has a number that is longer than a message, and that nothing here could hold.
    """
    if NOT_FINITE.fullmatch(text):
        return ""
    if len(text) > SPELLED_CHARACTERS_MAX and OTHER_BASE.fullmatch(text):
        return ""
    spelled = _other_base(text) or _decimal(text)
    if spelled is None or spelled == text:
        return None
    return spelled if len(spelled) <= SPELLED_CHARACTERS_MAX else ""


def is_json_number(text: str) -> bool:
    """Say whether JSON writes a number just so."""
    return _decimal(text) == text


def _other_base(text: str) -> str | None:
    match = OTHER_BASE.fullmatch(text)
    if match is None:
        return None
    digits, base = next((match[name].strip("_"), base) for name, base in BASES.items() if match[name])
    return f"{_minus(match['sign'])}{int(digits, base)}" if digits else None


def _decimal(text: str) -> str | None:
    match = DECIMAL.fullmatch(text)
    if match is None or not any(character.isdigit() for character in match["whole"] + (match["fraction"] or "")):
        return None
    if match["whole"].startswith("_"):
        return None
    whole = match["whole"].replace("_", "").lstrip("0") or "0"
    fraction = (match["fraction"] or "").replace("_", "")
    return f"{_minus(match['sign'])}{whole}{'.' * bool(fraction)}{fraction}{match['exponent'] or ''}"


def _minus(sign: str) -> str:
    return sign.replace("+", "")
