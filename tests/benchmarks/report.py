"""The results as text: a Markdown page whose tables also read well as they are."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.goals import verdicts
from tests.benchmarks.queries import Question
from zsm_store import __version__
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.goals import Verdict
    from tests.benchmarks.results import Results
    from tests.benchmarks.search_run import Cell
    from tests.benchmarks.stopwatch import Latency

_NOTHING = "-"
_ENOUGH = 200
_CPU_INFO = "/proc/cpuinfo"


def render(results: Results, command: str, setting: str) -> str:
    """Return the page.

    Parameters
    ----------
    results
        What was measured.
    command
        The command line that repeats it.
    setting
        Style, seed and rounds, in words.
    """
    return "\n".join(
        [
            f"`{command}`",
            "",
            f"zsm_store {__version__}, {results.index}; {setting}. {machine()}.",
            "",
            _summary(results),
            *section("Goals", goal_rows(verdicts(results))),
            *section("Latency by size: p50 / p99, us", _latencies(results)),
            *section("Queries without / with statistics: p50, us", _sides(results)),
            *section("Growth exponent of p50", _exponents(results)),
            *section("Index: build, memory, updates", _index(results)),
            *section("Libraries for similar sets: candidates only", _recalls(results)),
            *section("Registry in a local directory", _registries(results)),
            *section("Corpora and the price of one linear pass", _corpora(results)),
            *(f"\nSkipped: {line}." for line in results.skipped),
            "",
        ]
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1])]
        padded += [cell.rjust(width) for cell, width in others]
        return f"| {' | '.join(padded)} |"

    head, *body = rows
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [line(head), line(rule), *map(line, body)]


def section(title: str, rows: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a table below its title; nothing for a head alone."""
    if len(rows) > 1:
        yield from ["", f"### {title}", "", *table(rows)]


def _summary(results: Results) -> str:
    met = [verdict.met for verdict in verdicts(results)]
    judged = f"{met.count(True)} goals met, {met.count(False)} not met"
    answers = f"{results.checked:,} answers checked, {results.wrong} wrong"
    return f"{judged}, {met.count(None)} not measured. {answers}."


def goal_rows(judged: Iterable[Verdict]) -> list[list[str]]:
    """Return the rows of the table of goals."""
    rows = [["goal", "must", "measured", "met"]]
    return rows + [_goal(verdict) for verdict in judged]


def _goal(verdict: Verdict) -> list[str]:
    words = {True: "yes", False: "NO", None: _NOTHING}
    sign = ">=" if verdict.at_least else "<="
    return [
        verdict.goal,
        f"{sign} {number(verdict.must)} {verdict.unit}".rstrip(),
        f"{number(verdict.measured)} {verdict.unit}".rstrip()
        if verdict.measured is not None
        else _NOTHING,
        words[verdict.met],
    ]


def _latencies(results: Results) -> list[list[str]]:
    rows = [["index", "query", "bound", *_heads(results)]]
    for subject in _subjects(results):
        for question in Question:
            for bound in (None, WARM_START_THRESHOLD):
                cells = [
                    results.cell(subject, size, question, bound)
                    for size in results.sizes
                ]
                if any(cells):
                    label = _NOTHING if bound is None else str(bound)
                    rows.append([subject, question, label, *map(_cell, cells)])
    return rows


def _sides(results: Results) -> list[list[str]]:
    rows = [["index", "query", "bound", *_heads(results)]]
    subject = results.index
    for question in Question:
        for bound in (None, WARM_START_THRESHOLD):
            found = []
            for size in results.sizes:
                pair = [
                    results.cell(subject, size, question, bound, with_stats=side)
                    for side in (False, True)
                ]
                found.append(
                    " / ".join(
                        _NOTHING if one is None else number(one.latency.p50_us)
                        for one in pair
                    )
                )
            label = _NOTHING if bound is None else str(bound)
            rows.append([subject, question, label, *found])
    return rows


def _exponents(results: Results) -> list[list[str]]:
    rows = [["index", *(question.value for question in Question), "miss, bounded"]]
    if len(results.sizes) == 1:
        return rows
    for subject in _subjects(results):
        found = [results.exponent(subject, question, None) for question in Question]
        bounded = results.exponent(subject, Question.MISS, WARM_START_THRESHOLD)
        rows.append([subject, *map(number, [*found, bounded])])
    return rows


def _index(results: Results) -> list[list[str]]:
    rows = [["what", *_heads(results)]]

    def add(label: str, cells: Iterable[str]) -> None:
        found = list(cells)
        if set(found) != {_NOTHING}:
            rows.append([label, *found])

    sizes = results.sizes
    add("build, us per artifact", (number(results.build_us.get(n)) for n in sizes))
    add("memory, B per artifact", (number(results.memory.get(n)) for n in sizes))
    for name in (
        "put",
        "replace",
        "remove",
        "put_while_reading",
        "remove_while_reading",
        "reader_alone",
        "reader_beside_writer",
    ):
        latencies = [getattr(results.updates.get(n), name, None) for n in sizes]
        add(f"{name.replace('_', ' ')}, p50 / p99, us", map(p50_p99, latencies))
    at_once = any(batch.at_once for batch in results.batches.values())
    label = "1,000 mixed bounded queries, " + ("one batch" if at_once else "a loop")
    batches = [results.batches.get(n) for n in sizes]
    add(
        f"{label}, ms",
        (number(None if one is None else one.total_ms) for one in batches),
    )
    return rows


def _recalls(results: Results) -> list[list[str]]:
    rows = [["library", "artifacts", "build, us each", "query", "p50 / p99", "recall"]]
    for one in results.recalls:
        recall = _NOTHING
        if one.findable:
            recall = f"{one.found / one.findable:.3f} of {one.findable}"
        build = number(one.build_us)
        pair = p50_p99(one.latency)
        rows.append([one.subject, f"{one.size:,}", build, one.question, pair, recall])
    return rows


def _registries(results: Results) -> list[list[str]]:
    sizes = sorted(results.registries)
    rows = [["what", *(f"{size:,}" for size in sizes)]]
    times = [results.registries[size] for size in sizes]
    for label, name in (
        ("open and first answer, no cache, us per file", "cold_us"),
        ("open and first answer once more, s", "cached_s"),
    ):
        found = [getattr(results.openings.get(size), name, None) for size in sizes]
        if any(found):
            rows.append([label, *map(number, found)])
    for label, name in (
        ("warm load, artifact cached, p50 / p99, us", "warm_load_cached"),
        ("warm load, read and verified, p50 / p99, us", "warm_load_read"),
        ("warm start, p50 / p99, us", "warm_start"),
        ("cold start, p50 / p99, us", "cold_start"),
    ):
        rows.append([label, *(p50_p99(getattr(one, name)) for one in times)])
    for name in ("interpreter", "zsm show", "zsm lookup"):
        found = [results.processes.get(size, {}).get(name) for size in sizes]
        if any(found):
            rows.append([f"process: {name}, ms", *map(number, found)])
    return rows if times else []


def _corpora(results: Results) -> list[list[str]]:
    rows = [["what", *_heads(results)]]
    corpora = [results.corpora[size] for size in results.sizes]
    rows.append(["fields per artifact", *(f"{one.fields:.1f}" for one in corpora)])
    rows.append(["distinct names", *(f"{one.names:,}" for one in corpora)])
    rows.append(["drifted queries within 0.25", *(f"{c.warm:.0%}" for c in corpora)])
    checked = [str(one.by_definition) for one in corpora]
    rows.append(["queries checked by the definition", *checked])
    speed = results.bandwidth
    floor = [number(speed.linear_pass_us(size)) for size in results.sizes]
    rates = f"read {speed.read:.1f}, copy {speed.copy:.1f} GB/s"
    rows.append([f"linear pass, us ({rates})", *floor])
    ours = []
    for size in results.sizes:
        p50 = results.p50_us(results.index, size, Question.DRIFT, None)
        pass_us = speed.linear_pass_us(size)
        ours.append(_NOTHING if p50 is None else f"{number(pass_us / p50)} x")
    rows.append(["linear pass over ours, drift", *ours])
    return rows


def _subjects(results: Results) -> list[str]:
    return list(dict.fromkeys(cell.subject for cell in results.cells))


def _heads(results: Results) -> list[str]:
    return [f"{size:,}" for size in results.sizes]


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return _NOTHING
    few = "" if cell.latency.calls >= _ENOUGH else f" ({cell.latency.calls} q)"
    wrong = f" {cell.wrong} WRONG" if cell.wrong else ""
    return p50_p99(cell.latency) + few + wrong


def p50_p99(latency: Latency | None) -> str:
    """Return median and 99th percentile, in microseconds."""
    if latency is None:
        return _NOTHING
    return f"{number(latency.p50_us)} / {number(latency.p99_us)}"


def number(value: float | None) -> str:
    """Return three significant digits, never in scientific notation."""
    if value is None:
        return _NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> str:
    """Return what the measurement ran on, and how busy it was."""
    cpu = platform.processor() or platform.machine()
    try:
        with open(_CPU_INFO, encoding="utf-8") as lines:  # noqa: PTH123  # no file of ours
            names = [
                line.split(":")[1].strip() for line in lines if "model name" in line
            ]
    except OSError:  # not Linux
        names = []
    python = f"Python {platform.python_version()}, numpy {np.__version__}"
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    return f"{os.cpu_count()} x {names[0] if names else cpu}; {python}; {load}"


def write_report(text: str, directory: Path) -> Path:
    """Write the page into a folder and return where."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "benchmarks.md"
    path.write_text(text, encoding="utf-8")
    return path
