"""The command: `python -m tests.benchmarks.saves`, from the root of a checkout."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import orjson

from tests.benchmarks.lock_run import measure_lock
from tests.benchmarks.report import (
    goal_rows,
    machine,
    number,
    p50_p99,
    section,
)
from tests.benchmarks.results import _slope
from tests.benchmarks.save_goals import SaveResults, save_verdicts
from tests.benchmarks.save_rates import measure_rates
from tests.benchmarks.save_run import (
    filled_registry,
    measure_many,
    measure_rewriting,
    measure_saves,
)
from zsm_store import LockStrategy, SchemaRegistry, __version__
from zsm_store.storage.file_system import file_system_type

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from tests.benchmarks.save_run import Comparison
    from tests.benchmarks.stopwatch import Latency

_SIZES = [1, 1_000, 10_000, 100_000]
_FEWEST_OF_A_PEER = 1_000
"""Of fewer artifacts, no rewrite is worth a measurement."""
_ROUNDS_OF_MANY = 3
_PARTS = ("one", "many", "rates", "lock")


def main() -> int:
    """Measure, and print a page."""
    options = _parser().parse_args()
    results = _measure(options)
    sys.stdout.write(_render(results, options.directory))
    if options.json is not None:
        options.json.write_bytes(_encode(results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.saves",
        description="Measure saves, which wait for the disk, beside plain calls of the "
        "operating system that do the same to the same disk.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--directory",
        type=Path,
        default=Path(gettempdir()),
        help="where registries are made, and deleted afterwards",
    )
    add("--parts", choices=_PARTS, nargs="*", default=list(_PARTS), help="to measure")
    add("--sizes", type=int, nargs="*", default=_SIZES, help="artifacts in a registry")
    add("--rounds", type=int, default=300, help="of one save ours and one raw")
    add("--many", type=int, default=1_000, help="artifacts that are saved in a row")
    add("--writers", type=int, nargs="*", default=[1, 2, 4, 8], help="at once")
    add("--seconds", type=float, default=1.0, help="that a rate is measured")
    add("--repeats", type=int, default=5, help="of each rate")
    add("--kills", type=int, default=10, help="of a process that holds the lock")
    add("--json", type=Path, help="also write the results there")
    return parser


def _measure(options: Namespace) -> SaveResults:
    results = SaveResults()
    parent = options.directory
    if "one" in options.parts:
        for size in options.sizes:
            _tell(f"{size:,} artifacts")
            with filled_registry(parent, size) as directory:
                found = measure_saves(directory, size, options.rounds)
                results.comparisons.extend(found)
                if size >= _FEWEST_OF_A_PEER:
                    results.rewritings.append(measure_rewriting(directory, size))
    if "many" in options.parts:
        _tell(f"{options.many:,} artifacts in a row")
        results.many = measure_many(parent, options.many, _ROUNDS_OF_MANY)
    if "rates" in options.parts:
        _tell("saves per second")
        results.rates = measure_rates(
            parent, options.writers, seconds=options.seconds, rounds=options.repeats
        )
    if "lock" in options.parts:
        for strategy in LockStrategy:
            _tell(f"the lock {strategy}")
            with filled_registry(parent, 1) as directory:
                SchemaRegistry.init(directory, lock=strategy).close()
                results.locks[strategy.value] = measure_lock(
                    directory, rounds=options.rounds, kills=options.kills
                )
    return results


def _tell(what: str) -> None:
    sys.stderr.write(f"{what} ...\n")
    sys.stderr.flush()


def _render(results: SaveResults, directory: Path) -> str:
    judged = save_verdicts(results)
    met = [verdict.met for verdict in judged]
    counts = f"{met.count(True)} goals met, {met.count(False)} not met"
    on = file_system_type(directory) or "an unknown file system"
    return "\n".join(
        [
            f"`python -m tests.benchmarks.saves {shlex.join(sys.argv[1:])}`".rstrip(),
            "",
            f"zsm_store {__version__}, on {on}. {machine()}.",
            "",
            f"{counts}, {met.count(None)} not measured.",
            *section("Goals", goal_rows(judged)),
            *section("One save: p50 / p99, us", _comparisons(results)),
            *section("The peer's way, imitated: p50 / p99, us", _rewritings(results)),
            *section("Many saves in a row", _many(results)),
            *section("Durable saves per second", _rates(results)),
            *section("The lock, by its kind: p50 / p99, us", _locks(results)),
            "",
        ]
    )


def _comparisons(results: SaveResults) -> list[list[str]]:
    head = ["save", "artifacts", "ours", "raw", "ours / raw", "when quiet"]
    rows = [[*head, "CPU ours", "CPU raw"]]
    kinds: dict[str, list[Comparison]] = {}
    for one in results.comparisons:
        durable = "durable" if one.is_durable else "not durable"
        kind = f"{durable}, {'adds' if one.is_new else 'replaces'}"
        kinds.setdefault(kind, []).append(one)
        rows.append(
            [
                kind,
                f"{one.artifacts:,}",
                p50_p99(one.ours),
                p50_p99(one.raw),
                f"{number(one.ratio)} x",
                f"{number(one.quiet_ratio)} x",
                number(one.ours_cpu_us),
                number(one.raw_cpu_us),
            ]
        )
    for kind, found in kinds.items():
        if len(found) > 1:
            ours = _exponent(found, [one.ours for one in found])
            raw = _exponent(found, [one.raw for one in found])
            rows.append([f"{kind}: growth exponent", "", ours, raw, "", "", "", ""])
    return rows


def _exponent(found: Sequence[Comparison], latencies: Sequence[Latency]) -> str:
    points = [
        (math.log(one.artifacts), math.log(latency.p50_us))
        for one, latency in zip(found, latencies, strict=True)
    ]
    return f"{_slope(points):.3f}"


def _rewritings(results: SaveResults) -> list[list[str]]:
    head = ["artifacts", "whole file, not durable", "ours, durable", "raw, durable"]
    rows = [[*head, "peer / ours", "peer / raw"]]
    for one in results.rewritings:
        over_raw = one.peer.p50_us / one.raw.p50_us
        times = [f"{number(factor)} x" for factor in (one.factor, over_raw)]
        latencies = map(p50_p99, (one.peer, one.ours, one.raw))
        rows.append([f"{one.artifacts:,}", *latencies, *times])
    return rows


def _many(results: SaveResults) -> list[list[str]]:
    rows = [["way", "us per artifact"]]
    if (many := results.many) is not None:
        rows += [
            ["save_many", number(many.at_once_us)],
            [f"{many.artifacts:,} times save", number(many.one_by_one_us)],
            ["raw calls", number(many.raw_us)],
            ["raw calls, one sync of the directory", number(many.raw_shared_us)],
        ]
    return rows


def _rates(results: SaveResults) -> list[list[str]]:
    rows = [["at once", "ours", "over one", "raw"]]
    for rate in results.rates:
        over_one = results.rate_over_one(rate.crowd, rate.writers)
        times = number(over_one) if over_one is None else f"{number(over_one)} x"
        cells = [number(rate.ours), times, number(rate.raw)]
        rows.append([f"{rate.writers} {rate.crowd}", *cells])
    return rows


def _locks(results: SaveResults) -> list[list[str]]:
    rows = [["lock", "free: lock and unlock", "handed over", "holder was killed"]]
    for strategy, times in results.locks.items():
        latencies = (times.free, times.handed_over, times.after_kill)
        rows.append([strategy, *map(p50_p99, latencies)])
    return rows


def _encode(results: SaveResults) -> bytes:
    document = {
        "command": ["python", "-m", "tests.benchmarks.saves", *sys.argv[1:]],
        "version": __version__,
        "machine": machine(),
        "goals": [
            {
                "goal": verdict.goal,
                "must": verdict.must,
                "at_least": verdict.at_least,
                "measured": verdict.measured,
                "unit": verdict.unit,
                "met": verdict.met,
            }
            for verdict in save_verdicts(results)
        ],
        "results": results,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


if __name__ == "__main__":
    sys.exit(main())
