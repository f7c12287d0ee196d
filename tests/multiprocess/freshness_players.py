"""The processes of the test of fresh answers: writers and readers, with a log each.

Times are of the monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import os
import pickle
import random
import threading
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.multiprocess.freshness_judge import (
    Answer,
    Count,
    Found,
    Membership,
    Neighbors,
    Operation,
)
from tests.multiprocess.freshness_scene import (
    WRITERS,
    Key,
    artifact,
    bursts,
    fillers,
    fingerprint,
    owned,
    queries,
    schema_hash,
)
from zsm_store.errors import StorageError
from zsm_store.model.distance import WARM_START_THRESHOLD
from zsm_store.model.startup import ColdStart
from zsm_store.registry import warmth
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.storage.watch import DirectoryWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store.model.startup import NearestArtifact, WarmLoad, WarmStart

_REST_S = 0.02
"""Longest rest of a writer: readers must also meet a registry at rest."""
_SPELL_S = 0.5
"""After which readers without a watch open the registry anew, with what is in their
cache: by then it is out of date."""
_COUNTING = 0.2
"""Share of the questions how many there are, and whether one is among them."""
_AFTER_S = 0.1
"""How long readers go on when all writers are done."""


class Watching(StrEnum):
    """What the watch of a reader is doing."""

    NONE = "none"
    """There is none, nor does a registry stay open for long."""
    HEARING = "hearing"
    """It notices every change, and takes it in while lookups do the same."""
    DEAF = "deaf"
    """It notices nothing: the kernel dropped all events."""


class Log(NamedTuple):
    """What a process did and was told."""

    operations: list[Operation]
    answers: list[Answer]
    refused: list[str]
    """What was raised instead of an answer."""
    refreshes: list[float]
    """When its watch took in what had changed."""


def play(*arguments: str) -> None:
    """Be a writer, or a reader with that number of threads, until time is over."""
    role, path, log, number, watching, seconds = arguments
    end = time.monotonic() + float(seconds)
    if role == "write":
        done = _write(path, int(number), end)
    else:
        done = _read(path, int(number), Watching(watching), end)
    Path(log).write_bytes(pickle.dumps(done))


def load(log: Path) -> Log:
    """Return what a process logged."""
    found = pickle.loads(log.read_bytes())  # noqa: S301  # written by this test
    assert isinstance(found, Log)
    return found


def _write(path: str, writer: int, end: float) -> Log:
    """Save, replace and delete; ask in between, which must not miss one's own saves."""
    # Durability is another test's business, and syncing takes so long that hardly any
    # moment would be left at which nobody writes.
    os.fsync = lambda _: None
    rng = random.Random(writer)  # noqa: S311  # no secret
    plays = bursts(writer, rng)
    log = Log([], [], [], [])
    with SchemaRegistry.open(path, watch=False) as registry:
        reader = _Reader(registry)
        while time.monotonic() < end:
            for key, version in next(plays):
                saved = None if version is None else artifact(key, version)
                begin = time.monotonic_ns()
                if saved is None:
                    assert registry.delete(schema_hash(key)), key
                else:
                    registry.save(saved)
                ended = time.monotonic_ns()
                log.operations.append(Operation(begin, ended, key, version))
            reader.ask(rng, log)
            time.sleep(rng.random() * _REST_S)
    return log


def _read(path: str, threads: int, watching: Watching, end: float) -> Log:
    log = Log([], [], [], _watch_as(watching))
    end += _AFTER_S
    while time.monotonic() < end:
        spell = end
        if watching is Watching.NONE:
            spell = min(end, time.monotonic() + _SPELL_S)
        watch = watching is not Watching.NONE
        with SchemaRegistry.open(path, watch=watch) as registry:
            _ask_together(registry, threads, spell, log)
    return log


def _ask_together(registry: SchemaRegistry, threads: int, end: float, log: Log) -> None:
    reader = _Reader(registry)

    def ask(counting: float) -> None:
        rng = random.Random()  # noqa: S311  # no secret
        while time.monotonic() < end:
            reader.ask(rng, log, counting)

    # One asks for everything; another, if any, only what takes the shortest time and
    # tells the most of a listing.
    crew = [
        threading.Thread(target=ask, args=(counting,))
        for counting in (_COUNTING, 1.0)[:threads]
    ]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()


def _watch_as(watching: Watching) -> list[float]:
    """Make watches hear at once or nothing; return when they refresh."""
    refreshes: list[float] = []
    refresh = DirectoryWatch._try_refresh

    def note_and_refresh(self: DirectoryWatch) -> None:
        refreshes.append(time.monotonic())
        refresh(self)

    DirectoryWatch._try_refresh = note_and_refresh
    warmth.LONG_LIVED_S = 0.0  # or a good part of the time would pass without one
    if watching is Watching.DEAF:
        DirectoryWatch._hear = lambda _: None
        DirectoryWatch._look = lambda _: None
    else:
        # Otherwise it would wait until the writers rest, and lookups had it all done.
        hasty = {"settle_s": 0.001, "burst_s": 0.01, "look_s": 0.05}
        DirectoryWatch.__init__.__kwdefaults__.update(hasty)
    return refreshes


class _Reader:
    """Knows what to ask. A question returns answers that lack their times."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        moving = [key for writer in range(WRITERS) for key in owned(writer)]
        self._keys = {schema_hash(key): key for key in (*moving, *fillers())}
        self._queries = queries()
        self._moving = moving
        for key in self._queries:  # made once, outside of what is timed
            fingerprint(key, 0)

    def ask(self, rng: random.Random, log: Log, counting: float = _COUNTING) -> None:
        """Ask for something, and log what comes back."""
        question = self._question(rng, counting)
        begin = time.monotonic_ns()
        try:
            told = question()
        except StorageError as error:
            log.refused.append(str(error))
        else:
            end = time.monotonic_ns()
            log.answers.extend(answer(begin=begin, end=end) for answer in told)

    def _question(
        self, rng: random.Random, counting: float
    ) -> Callable[[], list[Callable[..., Answer]]]:
        asks, keys = [self._mode, self._explained, self._one, self._some], self._queries
        if rng.random() < counting:
            asks, keys = [self._count, self._count, self._membership], self._moving
        return partial(rng.choice(asks), rng.choice(keys))

    def _mode(self, query: Key) -> list[Callable[..., Answer]]:
        mode = self._registry.lookup_startup_mode(fingerprint(query, 0))
        bounded = partial(
            Neighbors, query=query, most=1, bound=WARM_START_THRESHOLD, mode=mode.name
        )
        if isinstance(mode, ColdStart):
            return [partial(bounded, found=()), partial(Count, count=mode.stored)]
        return [partial(bounded, found=(self._found(mode),))]

    def _explained(self, query: Key) -> list[Callable[..., Answer]]:
        mode = self._registry.lookup_startup_mode(fingerprint(query, 0), explain=True)
        nearest = mode.nearest if isinstance(mode, ColdStart) else mode
        found = [] if nearest is None else [self._found(nearest)]
        if mode.runner_up is not None:
            key = self._keys[mode.runner_up.schema_hash]
            found.append(Found(key, None, mode.runner_up.distance))
        told = partial(Neighbors, query=query, most=2, bound=None, mode=mode.name)
        return [partial(told, found=tuple(found))]

    def _one(self, query: Key) -> list[Callable[..., Answer]]:
        nearest = self._registry.get_nearest(fingerprint(query, 0))
        found = () if nearest is None else (self._found(nearest),)
        return [partial(Neighbors, query=query, most=1, bound=None, found=found)]

    def _some(self, query: Key) -> list[Callable[..., Answer]]:
        nearest = self._registry.nearest(fingerprint(query, 0), 3)
        found = tuple(map(self._found, nearest))
        return [partial(Neighbors, query=query, most=3, bound=None, found=found)]

    def _count(self, _: Key) -> list[Callable[..., Answer]]:
        return [partial(Count, count=len(self._registry))]

    def _membership(self, key: Key) -> list[Callable[..., Answer]]:
        stored = schema_hash(key) in self._registry
        return [partial(Membership, key=key, stored=stored)]

    def _found(self, nearest: NearestArtifact | WarmLoad | WarmStart) -> Found:
        trained = nearest.artifact
        key = self._keys[trained.schema_hash]
        return Found(key, trained.em_iterations, nearest.distance)
