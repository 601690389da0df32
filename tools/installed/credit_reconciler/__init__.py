"""What ``pip install`` puts into site-packages: this package alone, with the engine inside.

The engine's modules import each other as ``engine...``, which is their name in Lambda and in a checkout. Beside other people's
packages that name would be too common. So the wheel keeps the engine in this folder, and only a process of the ``reconciler``
command, or of the job that plans on Spark, looks for modules here.
"""

from __future__ import annotations

import os
import sys


def command() -> None:
    """Run the ``reconciler`` command, and end this process."""
    _find_engine()
    from engine.cli import command as run  # noqa: PLC0415  now it is found

    run()


def main() -> None:
    """Run the ``reconciler`` command. Raises SystemExit."""
    _find_engine()
    from engine.cli import main as run  # noqa: PLC0415  as above

    run()


def plan_job() -> None:
    """Run the plan as a job of Spark. Raises SystemExit."""
    _find_engine()
    from engine.cli.plan_job import main as run  # noqa: PLC0415  as above

    run()


def _find_engine() -> None:
    folder = os.path.dirname(__file__)  # noqa: PTH120  pathlib takes longer to import than help to print
    if os.path.isdir(f"{folder}/engine"):  # noqa: PTH112  in a checkout the engine is not in here, and is found anyway
        sys.path.insert(0, folder)
