"""Whether the statistics of `search.analysis.inference` hold what they say: made-up runs whose
truth is known, and recorded curves. Prints one table; docs/inference.md has it.
"""

import argparse

from benchmarks.figures import machine
from benchmarks.inference import folds, intervals, many, searches


def main() -> None:
    """Prints the table cell by cell, and to standard error how long each took."""
    parser = argparse.ArgumentParser(prog="benchmarks.inference", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the draws: seconds")
    parser.add_argument("--only", default="", help="cells whose name holds this")
    given = parser.parse_args()
    print(machine("numpy", "scipy"))
    print("\n| cell | figure | to reach | reached | standard error | in | draws |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for cell in [*intervals.cells(), *folds.cells(), *many.cells(), *searches.cells()]:
        if given.only in cell.name:
            print(*cell.rows(given.quick), sep="\n", flush=True)


if __name__ == "__main__":
    main()
