"""Say whether a stack delivers what its policy, and its second one, wait for, before it is built or deployed.

    python -m tools.delivery                        # the template's own defaults
    python -m tools.delivery prod                   # samconfig.toml's section prod over them, as `sam deploy` would
    python -m tools.delivery dev PolicyFile=policies/mediaconvert.yaml EventSources=aws.mediaconvert

It prints warnings and ends with 0: a rule may wait for events on purpose. Where the policy is broken or missing it ends with 1
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.domain.errors import Mistake, PolicyError
from engine.policy import parse_policy
from engine.policy.delivery import PARAMETERS, Delivery, delivery_warnings
from tools.environments import ROOT
from tools.template import list_parameter, load

SAMCONFIG = ROOT / "samconfig.toml"
SECTIONS = {"dev": "default"}
"""The section of samconfig.toml by the name of its Environment, where they differ."""
OVERRIDE = re.compile(r"(?P<name>[A-Za-z0-9]+)=(?P<value>.*)", re.DOTALL)


def warnings(parameters: Mapping[str, str], root: Path = ROOT) -> tuple[Mistake, ...]:
    """Return what the policies of a stack with these parameters wait for in vain. Raises PolicyError for a broken one."""
    template = load(root / "template.yaml")
    files = (parameters.get(name, template["Parameters"][name]["Default"]) for name in ("PolicyFile", "ShadowPolicyFile"))
    return tuple(warning for file in files if file for warning in _of_file(file, template, parameters, root))


def _of_file(file: str, template: dict[str, Any], parameters: Mapping[str, str], root: Path) -> tuple[Mistake, ...]:
    try:
        text = (root / file).read_bytes()
    except OSError as error:
        raise PolicyError([Mistake(f"cannot be read: {error.strerror}", file=file)]) from error
    delivery = Delivery.of(*(list_parameter(name, template, parameters) for name in PARAMETERS.values()))
    return delivery_warnings(parse_policy(text, file), text, file, delivery)


def samconfig_parameters(environment: str, path: Path = SAMCONFIG) -> dict[str, str]:
    """Return the parameters that ``sam deploy`` takes from samconfig.toml for an Environment."""
    section = tomllib.loads(path.read_text()).get(SECTIONS.get(environment, environment), {})
    return overrides(shlex.split(section.get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")))


def overrides(words: Iterable[str]) -> dict[str, str]:
    """Return the ``NAME=VALUE`` among words; SAM wants quotes around a value with blanks, which are not part of it."""
    found = (OVERRIDE.fullmatch(word) for word in words)
    return {match["name"]: match["value"].strip("\"'") for match in found if match}


def chosen(arguments: list[str]) -> dict[str, str]:
    """Return the parameters that a command line chooses. As with SAM, overrides replace samconfig.toml's whole list."""
    given = overrides(arguments)
    return given or (samconfig_parameters(arguments[0]) if arguments else {})


def main() -> None:
    """Print the warnings."""
    try:
        for warning in warnings(chosen(sys.argv[1:])):
            print(f"warning: {warning}")
    except PolicyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
