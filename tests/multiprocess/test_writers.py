"""Several writers on one registry: nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered, trained
from tests.processes import run_together
from zsm_store import (
    ConflictError,
    Layout,
    RegistryLockedError,
    SchemaRegistry,
    StorageError,
)
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.file_reader import FileReader
from zsm_store.registry.file_writer import FileWriter
from zsm_store.storage.directory import ArtifactDirectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITERS = 4
SAVES = 25


def outputs(ended: list[tuple[int, str, str]]) -> list[str]:
    assert [code for code, _, _ in ended] == [0] * len(ended), ended
    return [output for _, output, _ in ended]


@pytest.mark.multiprocess
@pytest.mark.parametrize("layout", [None, *Layout])
def test_distinct_saves_of_all_writers_are_there_afterwards(
    tmp_path: Path, layout: Layout | None
) -> None:
    path = tmp_path / "registry"
    if layout is not None:
        SchemaRegistry.init(path, layout=layout)
    code = f"""
registry = SchemaRegistry.open(sys.argv[1])
for number in range({SAVES}):
    registry.save(numbered(int(sys.argv[2]) * {SAVES} + number))
"""
    given: list[tuple[object, ...]] = [(path, writer) for writer in range(WRITERS)]
    outputs(run_together(code, given, tmp_path / "start"))
    registry = SchemaRegistry.open(path)
    expected = {numbered(n).schema_hash: numbered(n) for n in range(WRITERS * SAVES)}
    assert {one.schema_hash: one for one in registry.list_all()} == expected
    assert not registry.verify()
    assert list((path / ".zsm" / "tmp").iterdir()) == []


@pytest.mark.multiprocess
def test_no_increment_of_a_counter_is_lost(tmp_path: Path) -> None:
    # Read, add one, save if nobody else did: the digest decides under the lock.
    path = tmp_path / "registry"
    SchemaRegistry.open(path).save(trained(em_iterations=0))
    code = f"""
registry = SchemaRegistry.open(sys.argv[1])
key, done, conflicts = trained().schema_hash, 0, 0
while done < {SAVES}:
    before = registry.digest(key)
    counter = registry.get(key).em_iterations
    try:
        registry.save(trained(em_iterations=counter + 1), if_match=before)
    except ConflictError:
        conflicts += 1
    else:
        done += 1
print(conflicts)
"""
    given: list[tuple[object, ...]] = [(path,)] * WRITERS
    found = outputs(run_together(code, given, tmp_path / "start"))
    assert sum(map(int, found)) > 0, "the writers never met"
    counter = SchemaRegistry.open(path).get(trained().schema_hash).em_iterations
    assert counter == WRITERS * SAVES


@pytest.mark.multiprocess
def test_of_several_first_saves_one_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    code = f"""
registry = SchemaRegistry.open(sys.argv[1])
for number in range({SAVES}):
    try:
        registry.save(numbered(number, tag=sys.argv[2]), if_absent=True)
    except ConflictError:
        pass
    else:
        print(number)
"""
    given: list[tuple[object, ...]] = [(path, f"w{n}") for n in range(WRITERS)]
    found = outputs(run_together(code, given, tmp_path / "start"))
    won = {f"w{n}": set(map(int, found[n].split())) for n in range(WRITERS)}
    assert sorted(n for numbers in won.values() for n in numbers) == list(range(SAVES))
    for artifact in SchemaRegistry.open(path):
        assert artifact.tag is not None
        number = int(artifact.fingerprint.fields[0].name.removeprefix("field "))
        assert number in won[artifact.tag]


@pytest.mark.multiprocess
def test_of_a_save_and_a_deletion_of_one_version_only_one_happens(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.open(path)
    digests = [registry.save(numbered(number)) for number in range(SAVES)]
    code = f"""
registry = SchemaRegistry.open(sys.argv[1])
digests = sys.argv[3].split(",")
for number in range({SAVES}):
    artifact = numbered(number, tag="newer")
    try:
        if sys.argv[2] == "save":
            registry.save(artifact, if_match=digests[number])
        else:
            registry.delete(artifact.schema_hash, if_match=digests[number])
    except ConflictError:
        pass
    else:
        print(number)
"""
    given: list[tuple[object, ...]] = [
        (path, action, ",".join(digests)) for action in ("save", "delete")
    ]
    saved, deleted = (
        set(map(int, output.split()))
        for output in outputs(run_together(code, given, tmp_path / "start"))
    )
    assert not saved & deleted
    assert saved | deleted == set(range(SAVES))
    left = {artifact.schema_hash for artifact in registry}
    assert left == {numbered(number).schema_hash for number in saved}


# One writer stands still between its check and its change; what the lock protects is
# that the other one cannot come in between.


@pytest.fixture
def stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[threading.Event, threading.Event]:
    """Stop the first writer with a precondition after it was checked under the lock.

    Returns the events "the writer stands there" and "it may go on".
    """
    arrived, go_on = threading.Event(), threading.Event()
    check = FileWriter._check
    checks = itertools.count()

    def check_and_wait(
        self: FileWriter, key: str, *, if_match: str | None, if_absent: bool
    ) -> None:
        check(self, key, if_match=if_match, if_absent=if_absent)
        # The first check is for free, before anything is created; the second counts.
        if if_match is not None and next(checks) == 1:
            arrived.set()
            assert go_on.wait(20)

    monkeypatch.setattr(FileWriter, "_check", check_and_wait)
    return arrived, go_on


WRITES: dict[str, Callable[[SchemaRegistry, str], object]] = {
    "save": lambda registry, digest: registry.save(
        trained(em_iterations=2), if_match=digest
    ),
    "delete": lambda registry, digest: registry.delete(
        trained().schema_hash, if_match=digest
    ),
}


@pytest.mark.parametrize("second", WRITES)
@pytest.mark.parametrize("first", WRITES)
def test_nobody_comes_between_a_check_and_its_change(
    tmp_path: Path,
    stopped: tuple[threading.Event, threading.Event],
    first: str,
    second: str,
) -> None:
    arrived, go_on = stopped
    digest = SchemaRegistry.open(tmp_path).save(trained(em_iterations=1))
    thread = threading.Thread(
        target=WRITES[first], args=(SchemaRegistry.open(tmp_path), digest)
    )
    thread.start()
    try:
        assert arrived.wait(20)
        with pytest.raises(RegistryLockedError, match="lock"):
            WRITES[second](SchemaRegistry.open(tmp_path, lock_timeout_s=0.1), digest)
    finally:
        go_on.set()
        thread.join()
    with pytest.raises(ConflictError):
        WRITES[second](SchemaRegistry.open(tmp_path), digest)
    assert len(SchemaRegistry.open(tmp_path)) == (first == "save")


def test_two_founders_agree_on_one_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    write_file = ArtifactDirectory.write_file

    def wait_and_write(self: ArtifactDirectory, name: str, data: bytes) -> None:
        arrived.set()
        assert go_on.wait(20)
        write_file(self, name, data)

    monkeypatch.setattr(ArtifactDirectory, "write_file", wait_and_write)
    thread = threading.Thread(
        target=SchemaRegistry.init, args=(tmp_path,), kwargs={"layout": Layout.FLAT}
    )
    thread.start()
    try:
        assert arrived.wait(20)
        with pytest.raises(RegistryLockedError):
            SchemaRegistry.init(tmp_path, layout=Layout.FAN_OUT, lock_timeout_s=0.1)
    finally:
        go_on.set()
        thread.join()
    with pytest.raises(StorageError, match="layout 'flat'"):
        SchemaRegistry.init(tmp_path, layout=Layout.FAN_OUT)


def test_moment_that_never_comes_is_made_by_keeping_writers_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SchemaRegistry.open(tmp_path / "registry", lock_timeout_s=0.1)
    registry = SchemaRegistry.open(tmp_path / "registry")
    writer.save(trained(em_iterations=0))
    assert isinstance(registry._store, DirectoryStore)
    reader = registry._store.reader
    load, loads, refused = FileReader.load, 0, 0

    def load_while_others_write(
        self: FileReader, schema_hash: str, **how: bool
    ) -> object:
        nonlocal loads, refused
        if self is reader:
            loads += 1
            try:
                writer.save(trained(em_iterations=loads))
            except RegistryLockedError:
                refused += 1
        return load(self, schema_hash, **how)

    monkeypatch.setattr(FileReader, "load", load_while_others_write)
    [found] = registry.list_all()
    assert refused == 1
    assert found.em_iterations == loads - 1
