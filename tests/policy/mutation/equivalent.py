"""Mutants that no test can tell from the policy, each with its reason. What is not listed here must be caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from engine.policy.price_books import DEFAULT_RATE
from tests.policy.mutation.operators import Mutant
from tests.policy.mutation.places import fits
from tests.policy.mutation.tree import Path, Tree

DEFAULTS: Mapping[str, str] = {
    "money.places": "4",
    "money.rounding": "half-even",
    "overdraft": "flag",
    "unknown_user": "refuse",
    "unknown_job": "allow",
    "grants": "application",
    "prices.*.*.tiers": "graduated",
    "anomalies.*.outlier.scale": "linear",
}

type Reason = Callable[[Mutant, Tree], bool]


def equivalence(mutant: Mutant, tree: Tree) -> str | None:
    """Return why a mutant posts what the policy posts, whatever the events; None where it does not. ``tree`` is the policy."""
    return next((reason for reason, holds in REASONS.items() if holds(mutant, tree)), None)


def is_default(mutant: Mutant, tree: Tree) -> bool:
    """What was removed says what holds without it."""
    removed = [spot for spot in tree.spots if spot.path[: len(mutant.path)] == mutant.path and spot.scalar is not None]
    return mutant.operator == "key removed" and all(
        any(fits(spot.path, glob) and spot.scalar == default for glob, default in DEFAULTS.items()) for spot in removed
    )


def is_about_explanations(mutant: Mutant, _tree: Tree) -> bool:
    """It is below ``explain``, but no key of it is wrong."""
    return fits(mutant.path, "explain.**")


def is_about_rows(mutant: Mutant, _tree: Tree) -> bool:
    """It says what becomes of a job without a row in Jobs, or which rows a scan does not count; a policy test has no table."""
    return fits(mutant.path, "unknown_job", "catch_up_ignore.**", "catch_up_ignore")


def is_longer_or_shorter_hold(mutant: Mutant, _tree: Tree) -> bool:
    """It says when a hold expires; `expire` in a policy test lets it expire whenever that is."""
    return fits(mutant.path, "rules.*.hold.expires") and mutant.operator.startswith("duration")


def is_empty_text_at_another_end(mutant: Mutant, tree: Tree) -> bool:
    """Every text begins with an empty text, and ends with one."""
    spot = tree.by_path.get(mutant.path)
    return (
        mutant.operator == "operator replaced"
        and spot is not None
        and spot.scalar == ""
        and mutant.path[-1] in {"prefix", "suffix"}
    )


def is_list_of_one(mutant: Mutant, tree: Tree) -> bool:
    """The expression of ``by`` or ``same``, in a list."""
    is_one_or_more = fits(mutant.path, "prices.*.*.by", "anomalies.*.frequency.same")
    return mutant.operator == "scalar -> list" and is_one_or_more and mutant.path in tree.by_path


def is_rate_like_the_default(mutant: Mutant, tree: Tree) -> bool:
    """Who finds no rate of its own pays the default, which is as much, and no anomaly looks at which of them it was."""
    if any(fits(spot.path, "anomalies.*.match.charge.price|unit|defaulted") for spot in tree.spots):
        return False
    is_lost = mutant.operator == "key removed" or mutant.operator.startswith("key misspelt")
    default = tree.by_path.get((*mutant.path[:-1], DEFAULT_RATE))
    is_rate = fits(mutant.path, "prices.*.*.rates|changes.*.**") and mutant.path[-1] != DEFAULT_RATE
    return is_lost and is_rate and default is not None and default.scalar == tree.by_path[mutant.path].scalar is not None


def is_swap_beside_a_flag(mutant: Mutant, tree: Tree) -> bool:
    """Every flag rule that matches applies, wherever it stands; its order beside other flag rules is the entry's."""
    if mutant.operator != "rules swapped":
        return False
    actions = {rule["action"] for rule in _swapped(mutant, tree)}
    return "flag" in actions and actions != {"flag"}


def is_swap_of_disjoint_rules(mutant: Mutant, tree: Tree) -> bool:
    """No event matches both rules, so it makes no difference which is asked first."""
    if mutant.operator != "rules swapped":
        return False
    one, other = (_exact_values(rule["match"]) for rule in _swapped(mutant, tree))
    return any(not one[field] & other[field] for field in one.keys() & other.keys())


def _swapped(mutant: Mutant, tree: Tree) -> list[dict[str, Any]]:
    at = mutant.path[-1]
    assert isinstance(at, int)
    rules: list[dict[str, Any]] = yaml.safe_load(tree.text)["rules"]
    return rules[at : at + 2]


def _exact_values(pattern: Mapping[str, Any], above: Path = ()) -> dict[Path, set[Any]]:
    """Return the fields of a pattern that must have one of some plain values."""
    found: dict[Path, set[Any]] = {}
    for name, value in pattern.items():
        if isinstance(value, dict):
            found.update(_exact_values(value, (*above, name)))
        elif name != "$or" and not any(isinstance(test, dict | list) for test in value):
            found[*above, name] = set(value)
    return found


REASONS: Mapping[str, Reason] = {
    "what was removed is the default": is_default,
    "how anomalies are explained posts nothing": is_about_explanations,
    "no table stands behind a policy test": is_about_rows,
    "a policy test lets a hold expire whenever that is due": is_longer_or_shorter_hold,
    "every text begins and ends with an empty one": is_empty_text_at_another_end,
    "a list of one expression is that expression": is_list_of_one,
    "who finds no rate pays the default, which is the same": is_rate_like_the_default,
    "a flag rule applies wherever it stands": is_swap_beside_a_flag,
    "no event matches both rules": is_swap_of_disjoint_rules,
}
