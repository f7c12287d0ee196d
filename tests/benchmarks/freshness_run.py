"""How long until a lookup sees what another process, maybe on another host, saved."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.stopwatch import Latency, time_calls
from tests.multiprocess.freshness_scene import ASKED, Key, fingerprint
from tests.processes import running
from zsm_store.errors import StorageError
from zsm_store.model.startup import WarmStart
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.storage.file_system import clock_granularity_s, file_system_type

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Iterator

_WRITER = """
import sys, time
from tests.multiprocess.freshness_scene import Key, artifact, schema_hash
from zsm_store import SchemaRegistry
for line in sys.stdin:
    path, family, version = line.rstrip("\\n").split("\\t")
    key = Key(family, "only")
    with SchemaRegistry.open(path, watch=False, cache=False) as registry:
        if version == "delete":
            assert registry.delete(schema_hash(key))
        else:
            registry.save(artifact(key, int(version)))
    print(time.monotonic(), flush=True)
"""
_FAR, _NEAR = 1, 2
"""Versions."""
_LOOKUPS = 200
_WAIT_MOST_S = 120.0
_BETWEEN_S = 0.1
"""Between the changes of two registries."""
_PAUSE_S = 0.001


class Change(StrEnum):
    """What the other process does."""

    ADD = "add"
    """Save what is nearer than all there is."""
    REPLACE = "replace"
    """Save what is stored, with statistics that make it the nearest."""
    DELETE = "delete"
    """Delete the nearest."""


class Delay(NamedTuple):
    """How late one change was seen."""

    change: Change
    missed: int
    """Lookups that began after the other call had returned and did not see it."""
    delay_s: float
    """From the return of the other call to the beginning of the first lookup that saw
    it; 0 where none missed it, infinite where none saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessTimes:
    """Of one pair of paths to a directory."""

    file_system: str
    delays: list[Delay]
    errors: int
    """Lookups that raised an error."""
    lookup: Latency | None
    """At rest, validation included."""

    def of(self, change: Change) -> list[float]:
        """Return the delays after one kind of change, the shortest first."""
        return sorted(one.delay_s for one in self.delays if one.change is change)

    @property
    def missed(self) -> int:
        """Number of changes that any lookup missed."""
        return sum(one.missed > 0 for one in self.delays)

    @property
    def longest_s(self) -> float:
        """The longest of all delays."""
        return max(one.delay_s for one in self.delays)


def measure_freshness(
    there: Path, here: Path, *, watch: bool, registries: int = 10, rounds: int = 3
) -> FreshnessTimes:
    """Let another process change registries at rest, and ask until that is seen.

    Parameters
    ----------
    there, here
        Two paths to one directory: the other process uses the first, this one the
        second. The registries are made below, and removed afterwards.
    watch
        Whether the registries here watch their directories.
    registries
        How many are changed one after the other, each while it is at rest.
    rounds
        How often each registry is changed, in each way.
    """
    with ExitStack() as cleanup:
        directory = cleanup.enter_context(_new_directory(there))
        writer = _Writer(cleanup.enter_context(running(_WRITER, stdin=True)))
        names = [str(number) for number in range(registries)]
        for name in names:
            for number in range(rounds):
                writer.make(directory / name, _family(Change.REPLACE, number), _FAR)
                writer.make(directory / name, _family(Change.DELETE, number), _NEAR)
        path = here / directory.name
        followers = {
            name: _Follower(
                cleanup.enter_context(
                    SchemaRegistry.open(path / name, watch=watch, cache=False)
                )
            )
            for name in names
        }
        for follower in followers.values():
            follower.wait_for(2 * rounds)
        for number in range(rounds):
            for change in Change:
                _settle(followers.values(), clock_granularity_s(path))
                for name, follower in followers.items():
                    family = _family(change, number)
                    version = "delete" if change is Change.DELETE else _NEAR
                    # What this host has just asked for it may go on to believe.
                    follower.rest()
                    made_at = writer.make(directory / name, family, version)
                    follower.expect(change, family, made_at)
                    _ask(followers.values(), _BETWEEN_S)
                _ask_until_seen(followers.values())
        _settle(followers.values(), clock_granularity_s(path))
        return FreshnessTimes(
            file_system=file_system_type(path) or "unknown",
            delays=[one for each in followers.values() for one in each.delays],
            errors=sum(each.errors for each in followers.values()),
            lookup=time_calls(
                followers["0"].look, [_family(Change.ADD, 0)] * _LOOKUPS
            ).latency,
        )


class _Writer:
    """The other process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def make(self, path: Path, family: str, version: int | str) -> float:
        """Make a change, and return when the call that made it returned."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.write(f"{path}\t{family}\t{version}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(self._process.stderr.read())
        return float(answer)


class _Follower:
    """Asks one registry for a change until it is seen."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._expected: tuple[Change, str, float] | None = None
        self._missed = 0
        self.delays: list[Delay] = []
        self.errors = 0

    @property
    def is_waiting(self) -> bool:
        return self._expected is not None

    def wait_for(self, count: int) -> None:
        """Wait until what was there before all changes is seen."""
        end = time.monotonic() + _WAIT_MOST_S
        found = -1
        while found != count:
            if time.monotonic() > end:
                raise RuntimeError(f"sees {found} of {count} artifacts")
            with suppress(StorageError):
                found = len(self._registry)
            time.sleep(_BETWEEN_S)

    def look(self, family: str) -> bool:
        """Whether there is something near."""
        asked = fingerprint(Key(family, ASKED), 0)
        return isinstance(self._registry.lookup_startup_mode(asked), WarmStart)

    def rest(self) -> None:
        """Let it see that nothing has changed."""
        with suppress(StorageError):
            self.look("nothing")

    def expect(self, change: Change, family: str, made_at: float) -> None:
        """Begin to ask."""
        self._expected, self._missed = (change, family, made_at), 0

    def ask(self) -> None:
        """Ask once."""
        if self._expected is None:
            return
        change, family, made_at = self._expected
        begin = time.monotonic()
        try:
            is_seen = self.look(family) is not (change is Change.DELETE)
        except StorageError:
            self.errors += 1
            is_seen = False
        if is_seen:
            self._end(begin - made_at if self._missed else 0.0)
        else:
            self._missed += 1

    def give_up(self) -> None:
        """Note that what is still expected was not seen."""
        if self._expected is not None:
            self._end(math.inf)

    def _end(self, delay_s: float) -> None:
        assert self._expected is not None
        self.delays.append(Delay(self._expected[0], self._missed, delay_s))
        self._expected = None


def _family(change: Change, number: int) -> str:
    return f"{change} {number}"


def _ask(followers: Collection[_Follower], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for follower in followers:
            follower.ask()
        time.sleep(_PAUSE_S)


def _ask_until_seen(followers: Collection[_Follower]) -> None:
    end = time.monotonic() + _WAIT_MOST_S
    while any(follower.is_waiting for follower in followers):
        _ask(followers, _BETWEEN_S)
        if time.monotonic() > end:
            for follower in followers:
                follower.give_up()


def _settle(followers: Collection[_Follower], tick_s: float) -> None:
    """Let nothing happen for so long that time stamps tell that nothing happened."""
    for _ in range(3):
        for follower in followers:
            follower.rest()
        time.sleep(1.1 * tick_s + _BETWEEN_S)


@contextmanager
def _new_directory(parent: Path) -> Iterator[Path]:
    directory = Path(mkdtemp(prefix="zsm-freshness-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
