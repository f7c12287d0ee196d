"""Everything one run has measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.benchmarks.bandwidth import Bandwidth
    from tests.benchmarks.batch_run import Batch
    from tests.benchmarks.process_run import Opening
    from tests.benchmarks.queries import Question
    from tests.benchmarks.registry_run import RegistryTimes
    from tests.benchmarks.search_run import Cell, Recall
    from tests.benchmarks.update_run import Updates


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """What was stored, and how well it was checked."""

    size: int
    fields: float
    """Per artifact."""
    names: int
    warm: float
    """Share of the drifted queries that have a neighbor within 0.25."""
    by_definition: int
    """Queries for which the brute force was compared with the definition."""
    wrong_brute_force: int


@dataclass(slots=True, kw_only=True)
class Results:
    """Filled as the run goes on."""

    index: str
    """Name of our index."""
    bandwidth: Bandwidth
    corpora: dict[int, CorpusFacts] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    build_us: dict[int, float] = field(default_factory=dict)
    """Microseconds per artifact, by number of artifacts."""
    memory: dict[int, float] = field(default_factory=dict)
    """Bytes per artifact, by number of artifacts."""
    updates: dict[int, Updates] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    recalls: list[Recall] = field(default_factory=list)
    registries: dict[int, RegistryTimes] = field(default_factory=dict)
    openings: dict[int, Opening] = field(default_factory=dict)
    processes: dict[int, dict[str, float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        """Numbers of artifacts, ascending."""
        return sorted(self.corpora)

    @property
    def checked(self) -> int:
        """Answers that were compared with the right ones."""
        return (
            # Those of queries with and without statistics stand in a cell of their own.
            sum(cell.checked for cell in self.cells if cell.with_stats is not None)
            + sum(batch.checked for batch in self.batches.values())
            + sum(updates.checked for updates in self.updates.values())
            + sum(times.checked for times in self.registries.values())
        )

    @property
    def wrong(self) -> int:
        """Wrong answers of anything that should be exact."""
        return (
            sum(cell.wrong for cell in self.cells if cell.with_stats is not None)
            + sum(updates.wrong for updates in self.updates.values())
            + sum(batch.wrong for batch in self.batches.values())
            + sum(times.wrong for times in self.registries.values())
            + sum(corpus.wrong_brute_force for corpus in self.corpora.values())
        )

    def cell(
        self,
        subject: str,
        size: int,
        question: Question,
        bound: float | None,
        *,
        with_stats: bool | None = None,
    ) -> Cell | None:
        """Return one cell, if it was measured."""
        wanted = subject, size, question, bound, with_stats
        for cell in self.cells:
            found = cell.subject, cell.size, cell.question, cell.bound, cell.with_stats
            if found == wanted:
                return cell
        return None

    def p50_us(
        self, subject: str, size: int, question: Question, bound: float | None
    ) -> float | None:
        """Return the median latency of queries with and without statistics."""
        cell = self.cell(subject, size, question, bound)
        return None if cell is None else cell.latency.p50_us

    def exponent(
        self, subject: str, question: Question, bound: float | None
    ) -> float | None:
        """Return the growth exponent of the median: the slope of log p50 over log N."""
        points = [
            (math.log(size), math.log(p50))
            for size in self.sizes
            if (p50 := self.p50_us(subject, size, question, bound)) is not None
        ]
        return _slope(points) if len(points) > 1 else None


def _slope(points: Iterable[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line."""
    xs, ys = zip(*points, strict=True)
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    products = ((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return sum(products) / sum((x - mean_x) ** 2 for x in xs)
