"""One digest of a whole folder, so that what is deployed can be held to what was tested. Standard library alone.

python3.12 -m tools.tree FOLDER [OUTPUT]      print the digest, or append ``digest=...`` to a file
python3.12 -m tools.tree FOLDER --is DIGEST   exit with 1 unless this is the digest
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def tree_digest(folder: Path) -> str:
    """Return the SHA-256 of the files of a folder: of their paths and their bytes, in order of the paths.

    Time stamps and permissions do not count: they do not survive being handed from one machine to another. Raises
    FileNotFoundError where there is no file.
    """
    whole = hashlib.sha256()
    if not (files := sorted(path for path in folder.rglob("*") if path.is_file())):
        raise FileNotFoundError(f"{folder}: nothing is in it")
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


def main(arguments: list[str]) -> int:
    """Do what the command line asks for, and return the exit status."""
    match arguments:
        case [folder]:
            print(tree_digest(Path(folder)))
        case [folder, "--is", *wanted]:
            found = tree_digest(Path(folder))
            if [found] != wanted:
                print(
                    f"{folder} has the digest {found}, not {' '.join(wanted) or 'DIGEST='}: not what was tested",
                    file=sys.stderr,
                )
                return 1
        case [folder, output]:
            with Path(output).open("a") as file:
                file.write(f"digest={tree_digest(Path(folder))}\n")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
