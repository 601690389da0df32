"""Fill this folder's virtual environments, each only when its locked requirements have changed.

    python3.12 tools/environments.py [dev] [sam] [ministack] [ric]

It is the first thing that runs on a fresh machine, so it imports nothing but the standard library. Packages come from the
machine's own index, are checked against the hashes in the lock files, and are installed by uv where it works, else by pip.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALLERS = Path("requirements/build.txt")
LAMBDA_PYTHON = (3, 12)
COMPILED = b"compiled"
"""Part of what an environment is filled from: one without bytecode is filled again."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its folder and the lock file it is filled from, both below ``ROOT``."""

    name: str
    folder: Path
    requirements: Path

    @property
    def python(self) -> Path:
        return ROOT / self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        return ROOT / self.folder / "lib" / f"python{LAMBDA_PYTHON[0]}.{LAMBDA_PYTHON[1]}" / "site-packages"

    def run(self, *arguments: str | Path) -> None:
        """Run this environment's Python in ``ROOT``; raises ``CalledProcessError`` if it fails."""
        subprocess.run([self.python, *arguments], cwd=ROOT, check=True)


DEV = Environment("dev", Path(".venv"), Path("requirements.txt"))
SAM = Environment("sam", Path(".venv-sam"), Path("requirements/sam.txt"))
MINISTACK = Environment("ministack", Path(".venv-ministack"), Path("requirements/ministack.txt"))
RIC = Environment("ric", Path(".venv-ric"), Path("requirements/ric.txt"))
NODE = Environment("node", Path(".venv-node"), Path("requirements/node.txt"))
"""Filled only where it is needed: 61 MB that a machine with a node of its own can do without."""
PEERS = Environment("peers", Path(".venv-peers"), Path("requirements/peers.txt"))
"""What the benchmarks compare us with; filled by ``make bench``."""
CHECKOV = Environment("checkov", Path(".venv-checkov"), Path("requirements/checkov.txt"))
"""Checks the template; filled by the test that does."""
MOTO = Environment("moto", Path(".venv-moto"), Path("requirements/moto.txt"))
"""A second local AWS; filled by the tests that compare it with the first."""
SBOM = Environment("sbom", Path(".venv-sbom"), Path("requirements/sbom.txt"))
"""Writes the software bill of materials of what was built; filled by ``make sbom``."""
FUZZ = Environment("fuzz", Path(".venv-fuzz"), Path("requirements/fuzz.txt"))
"""Grows inputs for the doors of the product; filled by ``make fuzz`` and by the test that does. For Linux on x86_64."""
BROWSER = Environment("browser", Path(".venv-browser"), Path("requirements/browser.txt"))
"""Drives a Chromium that the machine has, to look at pages; filled by the tests that do."""
SPARK = Environment("spark", Path(".venv-spark"), Path("requirements/spark.txt"))
"""Runs the plan as a job of Spark, in tests; filled by the proof that does. The engine on it is that of .venv."""
ZIZMOR = Environment("zizmor", Path(".venv-zizmor"), Path("requirements/zizmor.txt"))
"""Checks the workflows; filled by the test that does."""

ENVIRONMENTS = {environment.name: environment for environment in (DEV, SAM, MINISTACK, RIC)}
OTHERS = {environment.name: environment for environment in (NODE, PEERS, CHECKOV, MOTO, SBOM, FUZZ, BROWSER, SPARK, ZIZMOR)}


def fill(environment: Environment) -> None:
    """Make ``environment`` hold exactly what its lock file names; costs nothing if it does already.

    Raises ``CalledProcessError`` if a package cannot be had. Safe to call from several processes at once.
    """
    if environment is not DEV and not is_filled(environment):
        fill(DEV)  # its uv and pip fill the others, which then need none of their own
    with only_one_process(environment.folder):
        if not is_filled(environment):
            say(f"filling {environment.folder} from {environment.requirements}")
            create(environment)
            install(environment, environment.requirements)
            stamp(environment).write_text(digest(environment))


def is_filled(environment: Environment) -> bool:
    """Say whether ``environment`` was filled from its lock file as that is now."""
    return environment.python.exists() and read(stamp(environment)) == digest(environment)


def stamp(environment: Environment) -> Path:
    """Return the file that says what ``environment`` was filled from."""
    return ROOT / environment.folder / "requirements.sha256"


def digest(environment: Environment) -> str:
    """Return what an environment's content depends on, as one line."""
    files = [environment.requirements] + ([INSTALLERS] if environment is DEV else [])
    return hashlib.sha256(b"\0".join([*((ROOT / file).read_bytes() for file in files), COMPILED])).hexdigest()


def create(environment: Environment) -> None:
    """Make an empty environment; only ``DEV`` gets installers."""
    if environment is DEV:
        subprocess.run([sys.executable, "-m", "venv", ROOT / environment.folder], check=True)
        DEV.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", INSTALLERS)
    else:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", ROOT / environment.folder], check=True)


def install(environment: Environment, requirements: Path) -> None:
    """Install the lock file ``requirements``: by uv, or by pip where uv cannot (a private index that only pip knows of).

    Compiled, which pip does by itself: where PYTHONDONTWRITEBYTECODE is set each process would compile what it imports.
    """
    locked = ("--require-hashes", "-r", requirements)
    uv = (DEV.python, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", environment.python, *locked)
    if not any(works(*uv, *certificates) for certificates in CERTIFICATES):
        say(f"uv could not fill {environment.folder}: trying pip, which takes longer")
        pip = ("-m", "pip", "--python", environment.python, "--quiet", "--disable-pip-version-check")
        DEV.run(*pip, "install", "--no-deps", *locked)  # a lock names them all; to pip ``boto3[crt]`` is not ``boto3``


CERTIFICATES = ((), ("--system-certs",))
"""Whom uv trusts: its own list; then the machine's, which has the certificate of a company's proxy."""


def works(*command: str | Path) -> bool:
    """Run a command in ``ROOT`` and say whether it succeeded. Its complaint is dropped, since another way comes next."""
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode == 0


def install_project() -> None:
    """Install the project itself, editable, for its ``reconciler`` command. Needs no network: hatchling is there already.

    Compiled too, for the same reason.
    """
    compileall.compile_dir(ROOT / "engine", quiet=2)
    current = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    installed = ROOT / DEV.folder / "pyproject.sha256"
    if read(installed) == current:
        return
    editable = ("--no-deps", "--no-build-isolation", "--editable", ".")
    uv = (DEV.python, "-m", "uv", "pip", "install", "--quiet", "--python", DEV.python, *editable)
    done = subprocess.run(uv, cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        installed.write_text(current)
    else:
        reason = next((line.strip() for line in done.stderr.splitlines() if "Error: " in line), done.stderr.strip())
        say(f"there is no command {DEV.folder}/bin/reconciler for now, everything else goes on: {reason}")


@contextlib.contextmanager
def only_one_process(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder below ``ROOT``, so that two processes never fill it at once."""
    folder = ROOT / folder
    folder.mkdir(exist_ok=True)
    with (folder / ".filling").open("w") as lock:  # not .lock: that name is uv's own
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> str | None:
    """Return a file's text, None if there is no such file."""
    return path.read_text() if path.exists() else None


def say(message: str) -> None:
    """Tell the person at the terminal."""
    print(f"[environments] {message}", file=sys.stderr, flush=True)


def main() -> int:
    """Fill the environments named on the command line, by default all."""
    parser = argparse.ArgumentParser(description="Fill the virtual environments, each only when its lock file has changed.")
    parser.add_argument(
        "names", nargs="*", choices=[*ENVIRONMENTS, *OTHERS, []], default=[], metavar=f"{{{','.join(ENVIRONMENTS)}}}"
    )
    names = parser.parse_args().names or list(ENVIRONMENTS)
    if sys.version_info[:2] != LAMBDA_PYTHON:
        say(f"this is Python {sys.version.split()[0]}, but Lambda runs Python 3.12: say which with PYTHON=/path/to/python3.12")
        return 2
    try:
        for name in names:
            fill((ENVIRONMENTS | OTHERS)[name])
        if DEV.name in names:
            with only_one_process(DEV.folder):
                install_project()
    except subprocess.CalledProcessError as error:
        say(f"failed: {' '.join(map(str, error.cmd))}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
