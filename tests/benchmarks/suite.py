"""One run: every measurement for every size, in one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.answers import PAIRS, Truth, filled_scan
from tests.benchmarks.bandwidth import measure_bandwidth
from tests.benchmarks.batch_run import measure_batch
from tests.benchmarks.brute_force import BruteForce
from tests.benchmarks.corpus import make_corpus
from tests.benchmarks.process_run import measure_open, measure_processes
from tests.benchmarks.queries import Question, make_queries
from tests.benchmarks.registry_run import measure_registry, written_registry
from tests.benchmarks.results import CorpusFacts, Results
from tests.benchmarks.search_run import measure_candidates, measure_search
from tests.benchmarks.set_peers import SET_PEERS
from tests.benchmarks.update_run import bytes_per_artifact, measure_updates, time_build
from tests.benchmarks.vocabulary import Style
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zsm_store.index.interface import FingerprintIndex

_WARM_UP = 25
_EXTRA = 999
"""Artifacts that updates put."""
_LONGEST_BATCH_US = 10e6
_LARGEST_SET_PEER = 100_000
"""datasketch takes 100 us to hash one artifact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    index: type
    sizes: tuple[int, ...]
    registry_sizes: tuple[int, ...] = ()
    style: Style = Style.REAL
    seed: int = 1
    queries: int = 200
    """Of each of the eight kinds."""
    rounds: int = 3
    budget_s: float = 20.0
    """Seconds for one index, size and bound; slow ones get fewer queries."""
    pairs: int = PAIRS
    """Pairs to compare by the definition, per size."""
    batch: int = 1_000
    """Queries that are asked at once."""
    bandwidth_mb: int = 256
    set_peers: bool = True
    """Whether to ask the libraries for similar sets, too."""
    processes: bool = True
    """Whether to start whole processes, too."""
    directory: Path | None = None
    """Where registries are written; the system's temporary directory by default."""


def run(plan: Plan, tell: Callable[[str], None]) -> Results:
    """Measure; `tell` is told what is going on."""
    tell("memory bandwidth")
    results = Results(
        index=plan.index.__name__, bandwidth=measure_bandwidth(plan.bandwidth_mb)
    )
    for size in sorted({*plan.sizes, *plan.registry_sizes}):
        tell(f"{size:,}: corpus and right answers")
        stage = _Stage(plan, results, size, tell)
        if size in plan.sizes:
            stage.note_corpus()
            stage.measure_indexes()
            stage.measure_set_peers()
        if size in plan.registry_sizes:
            stage.measure_registry()
    return results


class _Stage:
    """All measurements over one corpus."""

    def __init__(
        self, plan: Plan, results: Results, size: int, tell: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._results = results
        self._size = size
        self._tell = lambda what: tell(f"{size:,}: {what}")
        self._corpus = make_corpus(plan.style, size, plan.seed, min(_EXTRA, size))
        self._stored = self._corpus.stored
        self._queries = make_queries(self._corpus, plan.queries, "measured")
        self._brute_force = BruteForce(self._stored)
        self._truth = Truth(self._brute_force, self._stored, self._queries, plan.pairs)

    def note_corpus(self) -> None:
        """Write down what is stored and how it was checked."""
        bound = WARM_START_THRESHOLD
        drift = [one for one in self._queries if one.question is Question.DRIFT]
        warm = [one for one in drift if self._truth.expected(one, bound)]
        self._results.corpora[self._size] = CorpusFacts(
            size=self._size,
            fields=self._corpus.fields / self._size,
            names=self._corpus.names,
            warm=len(warm) / len(drift),
            by_definition=self._truth.by_definition,
            wrong_brute_force=self._truth.wrong_brute_force,
        )

    def measure_indexes(self) -> None:
        """Measure ours in every way, and the search of the exact peers."""
        results, name = self._results, self._results.index
        self._tell(f"{name}: build")
        ours, results.build_us[self._size] = time_build(self._plan.index, self._stored)
        self._search(name, ours)
        self._tell(f"{name}: batch")
        self._batch(ours)
        self._tell(f"{name}: updates")
        asked = [one for one in self._queries if one.question is not Question.EXACT]
        results.updates[self._size] = measure_updates(
            ours, self._stored, self._corpus.extra, asked
        )
        self._tell(f"{name}: memory")
        results.memory[self._size] = bytes_per_artifact(self._plan.index, self._stored)
        if self._plan.index is not ScanIndex:
            self._search("linear scan", filled_scan(self._stored))
        self._search(BruteForce.name, self._brute_force)

    def measure_set_peers(self) -> None:
        """Measure the libraries for similar sets, where they are installed."""
        for peer in SET_PEERS if self._plan.set_peers else ():
            what = f"{peer.name} at {self._size:,}"
            if self._size > _LARGEST_SET_PEER:
                self._results.skipped.append(f"{what}: too slow to build")
                continue
            self._tell(peer.name)
            try:
                self._results.recalls += measure_candidates(
                    peer,
                    self._stored,
                    self._queries,
                    self._truth,
                    rounds=self._plan.rounds,
                    budget_s=self._plan.budget_s,
                )
            except ImportError:
                self._results.skipped.append(f"{what}: not installed")

    def measure_registry(self) -> None:
        """Measure whole lookups on files, and whole processes."""
        self._tell("registry: write the files")
        with written_registry(self._stored, self._plan.directory) as directory:
            self._tell("registry: open and look up")
            self._results.registries[self._size] = measure_registry(
                directory,
                self._stored,
                self._queries,
                self._truth,
                rounds=self._plan.rounds,
                budget_s=self._plan.budget_s,
            )
            if self._plan.processes:
                self._tell("registry: processes")
                opening = measure_open(directory, self._size)
                self._results.openings[self._size] = opening
                key = self._stored[0].schema_hash
                found = measure_processes(directory, key)
                self._results.processes[self._size] = found

    def _search(self, name: str, subject: FingerprintIndex | BruteForce) -> None:
        self._tell(f"{name}: search")
        self._warm_up(subject)
        self._results.cells += measure_search(
            name,
            subject.nearest,
            self._size,
            self._queries,
            self._truth,
            rounds=self._plan.rounds,
            budget_s=self._plan.budget_s,
        )

    def _warm_up(self, subject: FingerprintIndex | BruteForce) -> None:
        """Ask other queries of the same kinds: these must not be known already."""
        number = min(_WARM_UP, self._plan.queries)
        # A scan has nothing to warm up and takes a second for each query.
        few = 1 if isinstance(subject, ScanIndex) else None
        for query in make_queries(self._corpus, number, "warm up")[:few]:
            subject.nearest(query.fingerprint, 1, None)
            subject.nearest(query.fingerprint, 1, WARM_START_THRESHOLD)

    def _batch(self, ours: FingerprintIndex) -> None:
        bounded = Question.MISS, WARM_START_THRESHOLD
        p50 = self._results.p50_us(self._results.index, self._size, *bounded) or 0.0
        if p50 * self._plan.batch > _LONGEST_BATCH_US:
            self._results.skipped.append(f"the batch at {self._size:,}: too slow")
            return
        self._results.batches[self._size] = measure_batch(
            ours, self._queries, self._truth, self._plan.batch, self._plan.rounds
        )
