"""The command: `python -m tests.benchmarks.freshness`, from the root of a checkout."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from tests.benchmarks.freshness_run import (
    Change,
    FreshnessTimes,
    measure_freshness,
)
from tests.netfs.drives import DRIVES
from tests.netfs.laboratory import LaboratoryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MEMORY = Path("/dev/shm")  # noqa: S108  # a tmpfs, not a file name that could be guessed


def main() -> int:
    """Measure and print; 1 where a change was never seen."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.freshness",
        description="Measure how long until a lookup sees another process's save.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "paths",
        type=Path,
        nargs="*",
        help="pairs of paths to one directory, as the writing and the reading host "
        "mounted it; else the temporary directory and memory, for two processes of one "
        "host",
    )
    add(
        "--setup",
        choices=list(DRIVES),
        nargs="*",
        default=[],
        help="network drives that are set up for the purpose; needs root",
    )
    add("--registries", type=int, default=10, help="that are changed in turn")
    add("--rounds", type=int, default=3, help="of changes of each registry, each way")
    options = parser.parse_args()
    if len(options.paths) % 2:
        parser.error("paths come in pairs")
    sys.stdout.write("".join(map(_line, _HEAD)))
    is_never_seen = False
    for name, there, here in _places(options.paths, options.setup):
        for watch in (False, True):
            times = measure_freshness(
                there,
                here,
                watch=watch,
                registries=options.registries,
                rounds=options.rounds,
            )
            is_never_seen |= times.longest_s == math.inf
            sys.stdout.write(_line(_row(name or times.file_system, watch, times)))
            sys.stdout.flush()
    return int(is_never_seen)


def _places(
    paths: Sequence[Path], setup: Sequence[str]
) -> Iterator[tuple[str | None, Path, Path]]:
    """Yield a name and two paths to one directory."""
    if not paths and not setup:
        paths = [path for path in (Path(gettempdir()), _MEMORY) if path.is_dir()]
        paths = [path for path in paths for _ in range(2)]
    for there, here in zip(paths[::2], paths[1::2], strict=True):
        yield None, there, here
    for name in setup:
        with ExitStack() as drive:
            try:
                there, here = drive.enter_context(DRIVES[name]())
            except LaboratoryError as error:
                sys.stderr.write(f"{name}: {error}\n")
                continue
            yield name, there, here


_COLUMNS = [
    *("file system", "watch", "changes", "missed"),
    *(f"{change}, s" for change in Change),
    *("errors", "lookup, us"),
]
_HEAD = [_COLUMNS, ["---"] * len(_COLUMNS)]


def _row(name: str, watch: bool, times: FreshnessTimes) -> list[str]:
    lookup = times.lookup
    return [
        name,
        "on" if watch else "off",
        str(len(times.delays)),
        str(times.missed),
        *(_span(times.of(change)) for change in Change),
        str(times.errors),
        "-" if lookup is None else f"{lookup.p50_us:.0f} / {lookup.p99_us:.0f}",
    ]


def _span(delays: list[float]) -> str:
    """Return the median and the longest."""
    return f"{statistics.median(delays):.3g} / {delays[-1]:.3g}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())
