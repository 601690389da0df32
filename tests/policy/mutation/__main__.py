"""``python -m tests.policy.mutation``: the table of each shipped policy and of each recipe, and of all together."""

from __future__ import annotations

import sys

from tests.policy.mutation.run import RECIPES, SHIPPED, Judged, judge_all, report


def main() -> None:
    """Print the tables."""
    together: list[Judged] = []
    for path in (*SHIPPED, *RECIPES):
        judged = judge_all(path)
        together += judged
        sys.stdout.write(f"{path.parent.name}/{path.name}\n{report(judged)}\n\n")
    sys.stdout.write(f"all policies\n{report(together)}\n")


if __name__ == "__main__":
    main()
