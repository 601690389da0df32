"""What ``pip install`` puts into somebody's site-packages, and what runs there without the checkout."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools.environments import ROOT

VALIDATE = (
    "import sys; sys.argv = ['reconciler', *sys.argv[1:]]\n"
    "from credit_reconciler import main\n"
    "try:\n    main()\nexcept SystemExit as ended:\n    status = ended.code\n"
    "import engine; print(engine.__file__, status)"
)


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_it_is_one_package_of_the_project_s_own_name(site_packages: Path) -> None:
    """No ``engine`` and no ``handler`` for other people's programs to stumble over, and no tests."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert {"credit_reconciler", f"credit_reconciler-{version}.dist-info"} == {path.name for path in site_packages.iterdir()}
    assert {"__init__.py", "engine"} == {path.name for path in (site_packages / "credit_reconciler").iterdir()}
    assert not list(site_packages.rglob("*.pyc"))
    pages = site_packages / "credit_reconciler" / "engine" / "cli" / "pages"
    assert {"statement.html", "plan.html", "plan.js", "plan.css", "look.css"} <= {path.name for path in pages.iterdir()}
    libraries = {path.name for path in (pages / "vendor").iterdir()}
    assert {"d3.min.js", "d3.LICENSE", "plot.umd.min.js", "plot.LICENSE"} <= libraries


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["validate", "policy.yaml"], ["schema"]])
def test_the_command_runs_on_what_is_installed(arguments: list[str], site_packages: Path, tmp_path: Path) -> None:
    """In a folder without the checkout; the engine is the one inside the package."""
    (tmp_path / "policy.yaml").write_bytes((ROOT / "policies" / "video.yaml").read_bytes())
    installed = site_packages / "credit_reconciler" / "engine" / "__init__.py"

    done = subprocess.run(
        [sys.executable, "-c", VALIDATE, *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site_packages)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"{installed} 0" == done.stdout.splitlines()[-1]
    assert "" == done.stderr
