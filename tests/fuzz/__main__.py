"""All doors, and a table: ``python -m tests.fuzz --seconds 60``. Exit status 1 where something is found."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import COLUMNS, ask, row
from tests.fuzz.doors import NAMES

SHOWN_CHARACTERS_MAX = 4_000


def main() -> int:
    """Ask the doors that are named, by default all."""
    parser = argparse.ArgumentParser(description="Look for inputs that the doors of the product do not stand.")
    parser.add_argument("doors", nargs="*", choices=[*NAMES, []], default=[], metavar="DOOR", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=60, help="of the processor, for each door")
    parser.add_argument("--keep", type=Path, help="a folder for inputs and findings; a later run goes on from there")
    options = parser.parse_args()
    print(row(*COLUMNS), flush=True)
    found: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for door in options.doors or NAMES:
            campaign = ask(door, options.seconds, (options.keep or Path(scratch)) / door)
            print(campaign.row(), flush=True)
            found += (f"{door}: {finding}" for finding in campaign.findings)
    for finding in found:
        print(f"\n{finding[:SHOWN_CHARACTERS_MAX]}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
