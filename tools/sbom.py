"""What is in each built function, as a software bill of materials (CycloneDX 1.6, JSON): the same for the same build.

    .venv-sbom/bin/python -m tools.sbom BUILD FOLDER

It looks at what is in the artifact and not at what a lock says: each package is told by the metadata that came with it.
Nothing is asked of a network; number and content depend on the build alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
import uuid
from collections.abc import Iterable
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType  # type: ignore[import-not-found]
from cyclonedx.model.bom import Bom  # type: ignore[import-not-found]
from cyclonedx.model.component import Component, ComponentType  # type: ignore[import-not-found]
from cyclonedx.model.license import DisjunctiveLicense  # type: ignore[import-not-found]
from cyclonedx.output.json import JsonV1Dot6  # type: ignore[import-not-found]
from packageurl import PackageURL  # type: ignore[import-not-found]

from tools.environments import ROOT
from tools.tree import tree_digest

NAMESPACE = uuid.UUID("9c1ce3a5-6a1b-5f0e-9a53-5c6a1d2f7b10")
REQUIRED_NAME = re.compile(r"[A-Za-z0-9._-]+")


def bill_of(folder: Path, function: str) -> Bom:
    """Return the bill of a function's folder. Its own component carries the digest of all files (``tools.tree``)."""
    project, digest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"], tree_digest(folder)
    own = Component(
        name=function,
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=function,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[DisjunctiveLicense(id=project["license"])],
    )
    bill = Bom(serial_number=uuid.uuid5(NAMESPACE, digest))
    bill.metadata.component = own
    bill.metadata.timestamp = None  # a moment would make each bill another one
    components = {normal(name_of(found)): component_of(found) for found in packages(folder)}
    bill.components = components.values()
    bill.register_dependency(own, components.values())
    for found in packages(folder):
        needed = (components[name] for name in required(found) if name in components)
        bill.register_dependency(components[normal(name_of(found))], needed)
    return bill


def packages(folder: Path) -> list[Distribution]:
    """Return the packages that are in a folder, by their metadata."""
    return [PathDistribution(path) for path in sorted(folder.glob("*.dist-info"))]


def component_of(package: Distribution) -> Component:
    """Return a package as the bill names it."""
    url = PackageURL("pypi", name=normal(name_of(package)), version=package.version)
    licence = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
    named = [DisjunctiveLicense(name=licence.strip())] if licence.strip() and "\n" not in licence.strip() else []
    return Component(
        name=name_of(package),
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=url.to_string(),
        licenses=named,
    )


def required(package: Distribution) -> Iterable[str]:
    """Yield what a package needs without any extra."""
    for line in package.requires or []:
        if "extra ==" not in line and (name := REQUIRED_NAME.match(line)):
            yield normal(name[0])


def name_of(package: Distribution) -> str:
    """Return a package's name as its author writes it."""
    name: str = package.metadata["Name"]
    return name


def normal(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write a bill for each function of a build."""
    build, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path for path in build.iterdir() if path.is_dir()):
        text = JsonV1Dot6(bill_of(folder, folder.name)).output_as_string(indent=2)
        (target / f"{folder.name}.cdx.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
