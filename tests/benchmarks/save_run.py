"""One save after another, each beside the plain calls that it cannot do without."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks.codec_run import sample_artifact
from tests.benchmarks.save_peers import (
    raw_publish,
    raw_save,
    rewrite_everything,
    sync_directory,
)
from tests.benchmarks.stopwatch import Latency, quiet
from zsm_store import Durability, SchemaRegistry
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zsm_store import ModelArtifact

_WARM_UP = 5
"""Saves before the first that counts: they import modules and fill caches."""
_BESIDE_A_REWRITE = 10
_FEWEST_REWRITES, _REWRITTEN = 3, 50_000
"""Rewrites of the peer's file: at least so many, at most so many artifacts in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Saves of one kind, and raw ones of the same bytes that took turns with them."""

    artifacts: int
    """Files in the directory."""
    is_new: bool
    """Whether each save adds a file; else each replaces the same one."""
    is_durable: bool
    ours: Latency
    raw: Latency
    ours_cpu_us: float
    """Time that the process was running, in the kernel or not: the median."""
    raw_cpu_us: float
    quiet_ratio: float
    """Like `ratio`, by what nine in ten take longer than: nobody was in the way."""

    @property
    def ratio(self) -> float:
        """How many times a raw one takes, by the medians."""
        return self.ours.p50_us / self.raw.p50_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """The peer's way, imitated, and durable saves in between."""

    artifacts: int
    peer: Latency
    ours: Latency
    raw: Latency
    """By plain calls, durable: no durable save can be faster on this disk."""

    @property
    def factor(self) -> float:
        """How many times faster ours is, by the medians."""
        return self.peer.p50_us / self.ours.p50_us


@dataclass(frozen=True, slots=True, kw_only=True)
class ManySaves:
    """Microseconds per artifact of saving many, the fastest round."""

    artifacts: int
    at_once_us: float
    """By `save_many`."""
    one_by_one_us: float
    raw_us: float
    """A raw loop, each file durable before the next."""
    raw_shared_us: float
    """A raw loop that syncs every file, and the directory once."""


@contextmanager
def filled_registry(parent: Path | None, size: int) -> Iterator[Path]:
    """Make a registry of `size` files, without waiting for the disk on each.

    All have the same content under different names, since a save reads none of them.
    """
    with TemporaryDirectory(prefix="zsm-saves-", dir=parent) as name:
        directory = Path(name) / "registry"
        with SchemaRegistry.init(directory) as registry:
            registry.save(sample_artifact(0))
        data = artifact_json.encode(sample_artifact(0))
        for number in range(size - 1):
            with open(f"{directory}/{_name('filler', number)}", "wb") as file:  # noqa: PTH123  # half the time of a Path
                file.write(data)
        # Else the first saves to be measured would wait for all of that.
        os.sync()
        yield directory


def measure_saves(directory: Path, size: int, rounds: int) -> Iterator[Comparison]:
    """Compare saves in a directory that holds `size` files before and after."""
    for durability in Durability:
        is_durable = durability is Durability.FULL
        # Neither watched nor looked up in: only saves are measured.
        with SchemaRegistry.open(
            directory, watch=False, cache=False, durability=durability
        ) as registry:
            for is_new in (False, True):
                ours, raw = _take_turns(
                    registry, directory, rounds, is_new=is_new, is_durable=is_durable
                )
                yield Comparison(
                    artifacts=size,
                    is_new=is_new,
                    is_durable=is_durable,
                    ours=ours.latency,
                    raw=raw.latency,
                    ours_cpu_us=ours.cpu.p50_us,
                    raw_cpu_us=raw.cpu.p50_us,
                    quiet_ratio=ours.quiet_ns / raw.quiet_ns,
                )


def measure_rewriting(directory: Path, size: int) -> Rewriting:
    """Compare durable saves with a rewrite of as many artifacts, not durable."""
    file = str(directory.parent / "peer.bin")
    rounds = max(_FEWEST_REWRITES, _REWRITTEN // size)
    made = _artifacts(rounds * _BESIDE_A_REWRITE, is_new=False)
    _, data = made[0]
    ours, raw, peer = _Series(), _Series(), _Series()
    folder, staging = str(directory), _staging(directory)
    target = f"{folder}/{_name('replaced', 0)}"
    with SchemaRegistry.open(directory, watch=False, cache=False) as registry, quiet():
        rewrite_everything(file, data, size)
        for number, (artifact, _) in enumerate(made):
            if number % _BESIDE_A_REWRITE == 0:
                if number:
                    peer.time(partial(rewrite_everything, file, data, size))
                # Else what the peer leaves to be written would be by our sync.
                _sync_file(file)
            ours.time(partial(registry.save, artifact))
            raw.time(partial(raw_save, f"{staging}/{number}", target, data))
    for series in (ours, raw):
        series.forget(_WARM_UP)
    for path in (file, target):
        os.unlink(path)  # noqa: PTH108  # like all the paths here
    return Rewriting(
        artifacts=size, peer=peer.latency, ours=ours.latency, raw=raw.latency
    )


def measure_many(parent: Path | None, count: int, rounds: int) -> ManySaves:
    """Save many artifacts, in several ways, in turns, into one registry."""
    made = [sample_artifact(seed) for seed in range(count)]
    files = {f"{one.schema_hash}.json": artifact_json.encode(one) for one in made}
    with filled_registry(parent, 1) as directory:
        staging = _staging(directory)
        raw = directory.parent / "raw"
        raw.mkdir()

        def raw_loop(save: Callable[[str, str, bytes], None]) -> None:
            for name, data in files.items():
                save(f"{staging}/{name}", f"{raw}/{name}", data)
            sync_directory(str(raw))

        with SchemaRegistry.open(directory, watch=False, cache=False) as registry:
            ways: dict[str, Callable[[], object]] = {
                "at_once": lambda: registry.save_many(made),
                "one_by_one": lambda: [registry.save(one) for one in made],
                "raw": lambda: raw_loop(raw_save),
                "raw_shared": lambda: raw_loop(partial(raw_publish, sync=True)),
            }
            took = {name: _Series() for name in ways}
            with quiet():
                for _ in range(rounds):
                    for name, way in ways.items():
                        took[name].time(way)
    best = {name: min(times.wall_ns) / 1_000 / count for name, times in took.items()}
    return ManySaves(
        artifacts=count,
        at_once_us=best["at_once"],
        one_by_one_us=best["one_by_one"],
        raw_us=best["raw"],
        raw_shared_us=best["raw_shared"],
    )


@dataclass(slots=True)
class _Series:
    """Times of calls."""

    wall_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)

    def forget(self, first: int) -> None:
        """Forget the first calls."""
        del self.wall_ns[:first], self.cpu_ns[:first]

    def time(self, call: Callable[[], object]) -> None:
        """Call, and note how long it took."""
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        call()
        wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
        self.wall_ns.append(wall)
        self.cpu_ns.append(cpu)

    @property
    def latency(self) -> Latency:
        return _latency(self.wall_ns)

    @property
    def quiet_ns(self) -> int:
        """What nine in ten take longer than."""
        return sorted(self.wall_ns)[len(self.wall_ns) // 10]

    @property
    def cpu(self) -> Latency:
        return _latency(self.cpu_ns)


def _take_turns(
    registry: SchemaRegistry,
    directory: Path,
    rounds: int,
    *,
    is_new: bool,
    is_durable: bool,
) -> tuple[_Series, _Series]:
    """Save once ours and once raw, round after round, and undo what was added."""
    ours, raw = _Series(), _Series()
    save_raw = raw_save if is_durable else partial(raw_publish, sync=False)
    folder, staging = str(directory), _staging(directory)
    with quiet():
        for number, (artifact, data) in enumerate(_artifacts(rounds, is_new=is_new)):
            name = _name("added", number) if is_new else _name("replaced", 0)
            target = f"{folder}/{name}"
            turns = [
                (ours, partial(registry.save, artifact)),
                (raw, partial(save_raw, f"{staging}/{number}", target, data)),
            ]
            # Each is first as often as second: the first may pay for what lies before.
            for series, call in turns if number % 2 else reversed(turns):
                series.time(call)
            if is_new:
                os.unlink(target)  # noqa: PTH108  # like all the paths here
                os.unlink(f"{folder}/{artifact.schema_hash}.json")  # noqa: PTH108  # see above
                sync_directory(folder)
    if not is_new:
        os.unlink(target)  # noqa: PTH108  # see above
    for series in (ours, raw):
        series.forget(_WARM_UP)
    return ours, raw


def _artifacts(rounds: int, *, is_new: bool) -> list[tuple[ModelArtifact, bytes]]:
    """Return different artifacts with their files, those of the warm-up first."""
    numbers = range(1, _WARM_UP + rounds + 1)
    if is_new:
        made = list(map(sample_artifact, numbers))
    else:
        first = sample_artifact(0)
        made = [replace(first, em_iterations=number) for number in numbers]
    return [(artifact, artifact_json.encode(artifact)) for artifact in made]


def _staging(directory: Path) -> str:
    """Make a folder for raw staging files: below the registry, as ours is."""
    staging = directory / ".zsm" / "raw"
    staging.mkdir(exist_ok=True)
    return str(staging)


def _sync_file(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _name(kind: str, number: int) -> str:
    """Return the file name of an artifact that there might be."""
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest() + ".json"


def _latency(times_ns: list[int]) -> Latency:
    found = Latency.of(times_ns)
    assert found is not None
    return found
