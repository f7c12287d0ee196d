"""Latency against the number of artifacts, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.queries import Question
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from tests.benchmarks.results import Results

_PANELS = (
    ("drifted query, nearest without a bound", Question.DRIFT, None),
    ("unrelated query, cold start proved", Question.MISS, WARM_START_THRESHOLD),
)
# The colors of Okabe and Ito: told apart by everybody, and in print by the marker.
_OURS = {"color": "#d55e00", "marker": "o", "linewidth": 2.5, "zorder": 5}
_PEERS = (
    {"color": "#0072b2", "marker": "s"},
    {"color": "#56b4e9", "marker": "^"},
    {"color": "#009e73", "marker": "D"},
    {"color": "#cc79a7", "marker": "v"},
    {"color": "#e69f00", "marker": "P"},
)


def write_plot(results: Results, directory: Path) -> Path:
    """Draw the medians and return the path of the PNG.

    Raises
    ------
    ImportError
        matplotlib, of the extra `bench`, is not installed.
    """
    # Not the module pyplot: it looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415  # only who plots needs it

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(_PANELS), sharey=True)
    styles = _styles(results)
    for panel, (title, question, bound) in zip(axes, _PANELS, strict=True):
        for label, points in _lines(results, question, bound).items():
            sizes, medians = zip(*points, strict=True)
            panel.plot(sizes, medians, label=label, **styles[label])
        _draw_floor(panel, results)
        panel.set(title=title, xscale="log", yscale="log", xlabel="artifacts")
        panel.grid(visible=True, which="major", alpha=0.3)
    axes[0].set_ylabel("median latency, us")
    found = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=3, frameon=False
    )
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "benchmarks.png"
    figure.savefig(path, dpi=120)
    return path


def _lines(
    results: Results, question: Question, bound: float | None
) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for subject in dict.fromkeys(cell.subject for cell in results.cells):
        for size in results.sizes:
            p50 = results.p50_us(subject, size, question, bound)
            if p50 is not None:
                lines.setdefault(subject, []).append((size, p50))
    for one in results.recalls:
        # They know a threshold only: where there is none, that is in their favor.
        if one.question is question:
            label = f"{one.subject} (candidates within 0.25)"
            lines.setdefault(label, []).append((one.size, one.latency.p50_us))
    return lines


def _styles(results: Results) -> dict[str, dict[str, object]]:
    labels = [cell.subject for cell in results.cells]
    labels += [f"{one.subject} (candidates within 0.25)" for one in results.recalls]
    peers = [label for label in dict.fromkeys(labels) if label != results.index]
    styles: dict[str, dict[str, object]] = {results.index: _OURS}
    for number, label in enumerate(peers):
        styles[label] = _PEERS[number % len(_PEERS)]
    return styles


def _draw_floor(panel: Axes, results: Results) -> None:
    floor = [results.bandwidth.linear_pass_us(size) for size in results.sizes]
    panel.plot(
        results.sizes,
        floor,
        label="one linear pass at memory bandwidth",
        color="gray",
        linestyle="--",
    )
