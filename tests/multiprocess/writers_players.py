"""Processes that write to one registry together, and processes that read it meanwhile.

Each keeps a log, of which nothing is lost when it is killed. Times are of the monotonic
clock, which all processes of a host share.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.examples import trained
from zsm_store.errors import (
    ArtifactNotFoundError,
    ConflictError,
    ZsmError,
)
from zsm_store.model.schema import Field, FieldKind, Schema
from zsm_store.model.startup import WarmLoad
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.storage import process_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zsm_store.model.artifact import ModelArtifact

COUNTERS = [f"counter {number}" for number in range(5)]
"""What writers increment, each of them any of them. Stored from the beginning."""
PAIR = ("pair A", "pair B")
"""What one writer counts up, always the first one first."""
BATCH = 10
LOCK_TIMEOUT_S = 25.0


class Version(NamedTuple):
    """One training of one artifact; nobody stores the same one twice."""

    name: str
    number: int
    """Of the training: 0 is what is stored from the beginning, or nothing."""
    writer: str


class Save(NamedTuple):
    """What a writer did; times in nanoseconds."""

    version: Version
    begin: int
    end: int | None
    """None where it was not acknowledged: it may be there or not."""


class Look(NamedTuple):
    """What a reader was told."""

    begin: int
    end: int
    question: str
    asked: tuple[str, ...] | None
    """The names that it is an answer about; None: all there are."""
    found: tuple[Version, ...]


class Refusal(NamedTuple):
    """What was raised in place of an answer."""

    call: str
    error: str
    took_s: float

    @classmethod
    def of(cls, call: str, error: ZsmError, begin: int) -> Refusal:
        """Note an error."""
        took_s = (time.monotonic_ns() - begin) / 1e9
        name = type(error).__name__
        code = getattr(error, "errno", None)
        return cls(call, f"{name} {code}: {error}", took_s)


class Conflict(NamedTuple):
    """Somebody else was first, so this one must never be seen."""

    version: Version


@dataclass(slots=True)
class Log:
    """What a process did and was told, in its order."""

    saves: list[Save] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Log:
        """Return what a process logged, up to its end or its death."""
        log = cls()
        tries: defaultdict[Version, list[Save]] = defaultdict(list)
        for entry in _entries(path):
            match entry:
                case Save(version):
                    tries[version].append(entry)
                case Conflict(version):
                    tries[version].pop()
                    log.conflicts.append(entry)
                case Look():
                    log.looks.append(entry)
                case Refusal():
                    log.refusals.append(entry)
        for version, saves in tries.items():
            ends = [save.end for save in saves if save.end is not None]
            if saves:
                begin = min(save.begin for save in saves)
                log.saves.append(Save(version, begin, ends[0] if ends else None))
        return log


def _entries(path: Path) -> Iterator[object]:
    # The last one of a process that was killed may be half a one.
    with path.open("rb") as file, suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(file)  # noqa: S301  # written by this test


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """What one process is to do."""

    role: str
    """``save``, ``count``, ``pair`` or ``read``."""
    name: str
    path: str
    """The registry, as it sees it."""
    log: str
    seconds: float
    """Longest time that it begins anything."""
    times: int
    """How many saves it makes at most."""
    done: str
    """A directory: writers leave a file there when they are done, and readers go on
    until all have."""
    writers: int
    host: str = ""
    """Passes for a process of this other host."""

    def play(self) -> None:
        """Do it."""
        if self.host:
            kernel = f"kernel of {self.host}"
            process_identity._kernel = lambda: kernel  # type: ignore[assignment]
        end = time.monotonic() + self.seconds
        with (
            open(self.log, "ab", buffering=0) as log,  # noqa: PTH123  # unbuffered
            SchemaRegistry.open(self.path, lock_timeout_s=LOCK_TIMEOUT_S) as registry,
        ):
            if self.role == "read":
                _Reader(registry, log.write).read(self, end)
            else:
                _Writer(registry, log.write, self.name).write(self, end)
                (Path(self.done) / self.name).touch()

    @classmethod
    def named(cls, arguments: str) -> Self:
        """Return the one that another process has put into words."""
        return cls(**json.loads(arguments))

    def arguments(self) -> tuple[str]:
        """Return what `named` takes."""
        return (json.dumps(asdict(self)),)


def initial() -> list[Version]:
    """Return what is stored from the beginning."""
    return [Version(name, 0, "") for name in (*COUNTERS, *PAIR)]


def artifact(version: Version) -> ModelArtifact:
    """Return what a version looks like."""
    schema = Schema([Field(version.name, FieldKind.NAME)])
    return trained(schema, tag=version.writer, em_iterations=version.number)


def version_of(found: ModelArtifact) -> Version:
    """Return which version an artifact is; one that is nobody's is named so."""
    name, number = found.fingerprint.fields[0].name, found.em_iterations
    version = Version(name, number, found.tag or "")
    if found != artifact(version):
        return Version(f"a blend: {found}", number, "nobody")
    return version


_HASHES: dict[str, str] = {}


def schema_hash(name: str) -> str:
    """Return the address of an artifact."""
    if name not in _HASHES:
        _HASHES[name] = artifact(Version(name, 0, "")).schema_hash
    return _HASHES[name]


class _Writer:
    def __init__(
        self, registry: SchemaRegistry, write: Callable[[bytes], object], name: str
    ) -> None:
        self._registry = registry
        self._write = write
        self._name = name

    def write(self, player: Player, end: float) -> None:
        steps = {"save": self._save, "count": self._count, "pair": self._pair}
        for _ in steps[player.role](player.times):
            if time.monotonic() > end:
                break

    def _log(self, entry: NamedTuple) -> None:
        self._write(pickle.dumps(entry))

    def _save(self, times: int) -> Iterator[None]:
        """Save distinct artifacts, now one and now a batch."""
        rng = random.Random(self._name)  # noqa: S311  # no secret
        names = (f"{self._name} {number}" for number in range(times))
        versions = (Version(name, 1, self._name) for name in names)
        while batch := list(islice(versions, rng.choice((1, 1, 1, BATCH)))):
            self._save_versions(batch)
            yield

    def _count(self, times: int) -> Iterator[None]:
        """Increment, if nobody else did since it was looked up; otherwise again."""
        rng = random.Random(self._name)  # noqa: S311  # no secret
        done = 0
        while done < times:
            name = rng.choice(COUNTERS)
            key = schema_hash(name)
            begin = time.monotonic_ns()
            try:
                digest = self._registry.digest(key)
                number = self._registry.get(key).em_iterations
            except ZsmError as error:
                self._refuse("read to increment", error, begin)
            else:
                version = Version(name, number + 1, self._name)
                done += self._save_versions([version], if_match=digest)
            yield

    def _pair(self, times: int) -> Iterator[None]:
        """Save a number to the one and then to the other."""
        for number in range(1, times + 1):
            for name in PAIR:
                version = Version(name, number, self._name)
                while not self._save_versions([version]):
                    yield
                yield

    def _save_versions(
        self, versions: list[Version], *, if_match: str | None = None
    ) -> int:
        """Save; return how many are acknowledged."""
        begin = time.monotonic_ns()
        for version in versions:
            self._log(Save(version, begin, None))
        saved: Iterable[str] = ()
        try:
            if len(versions) == 1:
                self._registry.save(artifact(versions[0]), if_match=if_match)
                saved = [artifact(versions[0]).schema_hash]
            else:
                report = self._registry.save_many(map(artifact, versions))
                saved = report.saved
                for error in report.failed.values():
                    self._refuse("save_many", error, begin)
        except ConflictError:
            self._log(Conflict(versions[0]))
        except ZsmError as error:
            self._refuse("save", error, begin)
        end, done = time.monotonic_ns(), 0
        for version in versions:
            if schema_hash(version.name) in saved:
                self._log(Save(version, begin, end))
                done += 1
        return done

    def _refuse(self, call: str, error: ZsmError, begin: int) -> None:
        self._log(Refusal.of(call, error, begin))


class _Reader:
    def __init__(
        self, registry: SchemaRegistry, write: Callable[[bytes], object]
    ) -> None:
        self._registry = registry
        self._write = write

    def read(self, player: Player, end: float) -> None:
        """Ask until all writers are done, and each question once afterwards."""
        rng = random.Random()  # noqa: S311  # no secret
        done = Path(player.done)
        questions: list[Callable[[], tuple[Any, Iterable[ModelArtifact]]]] = [
            self._list_all,
            self._pack,
            self._get,
            self._look_up,
            self._get,
            self._look_up,
        ]
        while time.monotonic() < end:
            is_last = len(os.listdir(done)) == player.writers  # noqa: PTH208  # a count
            self._ask(rng.choice(questions), rng)
            if is_last:
                break
        for question in questions[:4]:
            self._ask(question, rng)

    def _ask(
        self,
        question: Callable[[], tuple[Any, Iterable[ModelArtifact]]],
        rng: random.Random,
    ) -> None:
        self._name = rng.choice([*COUNTERS, *PAIR])
        called = question.__name__.lstrip("_")
        begin = time.monotonic_ns()
        try:
            asked, artifacts = question()
        except ZsmError as error:
            self._write(pickle.dumps(Refusal.of(called, error, begin)))
            return
        end = time.monotonic_ns()
        found = tuple(map(version_of, artifacts))
        self._write(pickle.dumps(Look(begin, end, called, asked, found)))

    def _list_all(self) -> tuple[None, Iterable[ModelArtifact]]:
        return None, self._registry.list_all()

    def _pack(self) -> tuple[None, Iterable[ModelArtifact]]:
        with TemporaryDirectory() as directory:
            path = Path(directory) / "packed.zsm"
            self._registry.pack(path)
            with SchemaRegistry.open(path) as packed:
                return None, packed.list_all()

    def _get(self) -> tuple[tuple[str], Iterable[ModelArtifact]]:
        asked = (self._name,)
        try:
            return asked, [self._registry.get(schema_hash(self._name))]
        except ArtifactNotFoundError:
            return asked, []

    def _look_up(self) -> tuple[tuple[str], Iterable[ModelArtifact]]:
        asked = (self._name,)
        wanted = artifact(Version(self._name, 0, "")).fingerprint
        mode = self._registry.lookup_startup_mode(wanted)
        return asked, [mode.artifact] if isinstance(mode, WarmLoad) else []
