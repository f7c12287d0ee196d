"""The command: `python -m tests.benchmarks`, from the root of a checkout."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.benchmarks.candidates import choose_index, index_classes
from tests.benchmarks.plot import write_plot
from tests.benchmarks.report import render, write_report
from tests.benchmarks.suite import Plan, run
from tests.benchmarks.vocabulary import Style


def main() -> int:
    """Run, print, write; 1 where an answer was wrong."""
    parser = _parser()
    options = parser.parse_args()
    try:
        index = choose_index(options.index)
    except LookupError as error:
        parser.error(str(error))
    plan = Plan(
        index=index,
        sizes=tuple(options.sizes),
        registry_sizes=tuple(options.registry_sizes),
        style=options.style,
        seed=options.seed,
        queries=options.queries,
        rounds=options.rounds,
        budget_s=options.budget,
        directory=options.directory,
    )
    begin = time.monotonic()

    def tell(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begin:6.0f} s  {line}\n")

    results = run(plan, tell)
    setting = (
        f"style {plan.style}, seed {plan.seed}, {plan.queries} queries of each kind, "
        f"the fastest of {plan.rounds} rounds counts"
    )
    command = " ".join(["python -m tests.benchmarks", *sys.argv[1:]])
    try:
        write_plot(results, options.output)
    except ImportError:
        results.skipped.append("the plot: matplotlib is not installed")
    text = render(results, command, setting)
    write_report(text, options.output)
    sys.stdout.write(text)
    tell(f"written to {options.output}")
    if results.wrong:
        tell(f"{results.wrong} answers are WRONG")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure the nearest search and the lookup.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000, 10_000, 100_000],
        help="numbers of artifacts in the index; 1000000 takes several GB and a while",
    )
    add(
        "--registry-sizes",
        type=int,
        nargs="*",
        default=[10_000],
        help="numbers of artifacts in a directory; none to leave it out",
    )
    add(
        "--index",
        help=f"one of {', '.join(index_classes())}; the one that is not the scan",
    )
    add("--style", type=Style, choices=list(Style), default=Style.REAL, help="names")
    add("--seed", type=int, default=1, help="of the corpus and the queries")
    add("--queries", type=int, default=200, help="of each of the eight kinds")
    add("--rounds", type=int, default=3, help="the fastest counts for each query")
    add(
        "--budget",
        type=float,
        default=20.0,
        help="seconds for one index, size and bound; slow ones get fewer queries",
    )
    add(
        "--directory",
        type=Path,
        help="where registries are written for a while; else the temporary directory",
    )
    add(
        "--output",
        type=Path,
        default=Path("build/benchmarks"),
        help="folder for benchmarks.md and benchmarks.png",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
