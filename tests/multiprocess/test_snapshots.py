"""`list_all`, `pack` and `verify` beside writers: one moment, and nobody waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, numbered, trained
from tests.processes import run_as_nobody, run_together, running
from zsm_store import Durability, Layout, SchemaRegistry
from zsm_store.storage.directory import ArtifactDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILLERS = 200
GENERATIONS = 160

# One generation after the other: the number goes into the artifact that is read first,
# then into the one that is read last. Between them one of a pair comes and the other
# goes, so that at least one of them is there at any moment.
_PLAY = f"""
from dataclasses import replace
from zsm_store.registry import site
FILLERS, GENERATIONS = {FILLERS}, {GENERATIONS}
many = sorted((numbered(n) for n in range(FILLERS)), key=lambda one: one.schema_hash)
FIRST, LAST = many[0].fingerprint, many[-1].fingerprint
HERE, THERE = trained(BRP), trained(SIM)

def of(fingerprint, number):
    # Readable in a report of `verify`, too: a row of m sums to that much above 1.
    artifact = trained(fingerprint, em_iterations=number)
    m = ((0.75, 0.25 + (10 + number) / 1000),) * len(artifact.params.m)
    u = ((0.5, 0.5),) * len(m)
    return replace(artifact, params=replace(artifact.params, m=m, u=u))

def write(registry, pause_s=0.0):
    for number in range(1, GENERATIONS + 1):
        registry.save(of(FIRST, number))
        come, go = (HERE, THERE) if number % 2 else (THERE, HERE)
        registry.save(come)
        registry.delete(go.schema_hash)
        registry.save(of(LAST, number))
        time.sleep(pause_s)

def generations(registry, bundle, ask):
    if ask == "verify":
        totals = {{FIRST.schema_hash: 0, LAST.schema_hash: 0}}
        for problem in registry.verify():
            assert problem.code == "ZSM030", problem
            total = float(problem.message.split(" sums to ")[1].split(",")[0])
            totals[Path(problem.path).stem] = round(1000 * total) - 1010
        return tuple(totals.values())
    if ask == "list":
        found = registry.list_all()
    else:
        registry.pack(bundle)
        with SchemaRegistry.open(bundle) as packed:
            found = packed.list_all()
    by_hash = {{one.schema_hash: one for one in found}}
    assert len(found) in (FILLERS + 1, FILLERS + 2), len(found)
    assert HERE.schema_hash in by_hash or THERE.schema_hash in by_hash
    return tuple(by_hash[key.schema_hash].em_iterations for key in (FIRST, LAST))

def read_one_moment(registry, bundle):
    looks, last, early, late = dict.fromkeys(("list", "pack", "verify"), 0), 0, 0, 0
    while late < GENERATIONS:
        for ask in looks:
            early, late = generations(registry, bundle, ask)
            assert early - late in (0, 1), (ask, early, late)
            assert late >= last, "an older moment came back"
            last = late
            looks[ask] += 1
    print(min(looks.values()))
"""


def fill(path: Path, layout: Layout) -> None:
    SchemaRegistry.init(path, layout=layout)
    registry = SchemaRegistry.open(path, durability=Durability.RENAME)
    fillers = [numbered(number) for number in range(FILLERS)]
    registry.save_many([*fillers, trained(BRP), trained(SIM)])
    for end in (min, max):
        chosen = end(fillers, key=lambda one: one.schema_hash)
        registry.save(trained(chosen.fingerprint, em_iterations=0))


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("layout", "granularity_s"),
    [(Layout.FLAT, 0.0), (Layout.FLAT, 2.1), (Layout.FAN_OUT, 0.02)],
    ids=str,
)
def test_every_look_is_at_one_moment(
    tmp_path: Path, layout: Layout, granularity_s: float
) -> None:
    path = tmp_path / "registry"
    fill(path, layout)
    code = f"""
{_PLAY}
path, granularity_s = sys.argv[1], float(sys.argv[3])
if granularity_s:  # as on other file systems; a finer clock is not to be had here
    site.clock_granularity_s = lambda _: granularity_s
registry = SchemaRegistry.open(path, watch=False, durability=Durability.RENAME)
if sys.argv[2] == "write":
    write(registry)
else:
    read_one_moment(registry, path + ".zsm")
"""
    given: list[tuple[object, ...]] = [
        (path, "write", granularity_s),
        (path, "read", granularity_s),
    ]
    ended = run_together(code, given, tmp_path / "start")
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert int(ended[1][1]) >= 1


@pytest.mark.multiprocess
def test_reader_who_may_not_write_sees_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    fill(path, Layout.FLAT)
    writer = f"""
import sys, time
from pathlib import Path
from tests.examples import *
from zsm_store import *
{_PLAY}
print("ready", flush=True)
write(SchemaRegistry.open(sys.argv[1], watch=False), pause_s=0.005)
"""
    reader = f"""
import time
{_PLAY}
registry, late, looks = SchemaRegistry.open(".", watch=False), 0, 0
while late < GENERATIONS:
    for ask in ("list", "verify"):
        early, late = generations(registry, None, ask)
        assert early - late in (0, 1), (ask, early, late)
        looks += 1
print(looks)
"""
    with running(writer, path) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == "ready\n", writing.communicate()
        ended = run_as_nobody(reader, path)
        assert ended.returncode == 0, ended.stderr
        assert int(ended.stdout) > 2
        assert writing.wait(timeout=30) == 0, writing.communicate()


@pytest.mark.multiprocess
@pytest.mark.parametrize("ask", ["list_all", "pack", "verify"])
def test_writers_wait_for_the_last_few_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    # Counted, not timed: how long a save takes tells more about the machine.
    path = tmp_path / "registry"
    fill(path, Layout.FLAT)
    code = f"""
import sys, time
from pathlib import Path
from tests.examples import *
from zsm_store import *
{_PLAY}
registry = SchemaRegistry.open(sys.argv[1], watch=False, durability=Durability.RENAME)
print("ready", flush=True)
number = 0
while True:
    number += 1
    registry.save(trained(many[number * 7 % 20].fingerprint, em_iterations=number))
"""
    with (
        SchemaRegistry.open(path, watch=False) as registry,
        running(code, path) as writing,
    ):
        under_lock, all_reads = counted_reads(registry, monkeypatch)
        assert writing.stdout is not None
        assert writing.stdout.readline() == "ready\n", writing.communicate()
        for _ in range(3):
            given = [tmp_path / "all.zsm"] if ask == "pack" else []
            getattr(registry, ask)(*given)
            # Of 202 the writer replaces 20, over and over.
            assert max(under_lock, default=0) <= 40, under_lock
        assert sum(all_reads) >= 3 * FILLERS


def counted_reads(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[int]]:
    """Count the files that a registry reads: each time that it is locked, and all."""
    under_lock: list[int] = []
    all_reads: list[int] = []
    locked, read = registry._store.locked, ArtifactDirectory.read_changed

    @contextmanager
    def counted_lock() -> Iterator[None]:
        before = len(all_reads)
        with locked():
            yield
            under_lock.append(len(all_reads) - before)

    def counted_read(*args: object, **named: object) -> object:
        all_reads.append(1)
        return read(*args, **named)

    monkeypatch.setattr(registry._store, "locked", counted_lock)
    monkeypatch.setattr(ArtifactDirectory, "read_changed", counted_read)
    return under_lock, all_reads
