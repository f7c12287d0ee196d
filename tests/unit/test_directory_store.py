"""A listing is of one moment, whatever others do meanwhile."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, trained
from zsm_store import StorageError
from zsm_store.codec import artifact_json
from zsm_store.registry import file_reader as module
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.file_system import NO_GRANULARITY_S, clock_granularity_s
from zsm_store.storage.freshness import directory_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zsm_store.storage.listing import FileVersion

A, B = trained(BRP), trained(SIM)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "r", lock_timeout_s=5)
    save(store, A)
    return store


def save(store: DirectoryStore, artifact: object) -> None:
    store.save(artifact, if_match=None, if_absent=False)  # type: ignore[arg-type]


class Neighbor:
    """Changes the directory in the middle of a listing, as often as told."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, path: Path, times: float
    ) -> None:
        self.left = times
        self.path = path
        self.listings = 0
        real = ArtifactDirectory.entries

        def entries(directory: ArtifactDirectory) -> dict[str, FileVersion]:
            self.listings += 1
            found = real(directory)
            if self.left > 0:
                self.left -= 1
                self.swap()
                # What a listing that had come to B's place before it was saved, and to
                # A's after it was deleted, would have found: neither.
                return {}
            return found

        monkeypatch.setattr(ArtifactDirectory, "entries", entries)

    def swap(self) -> None:
        """Save the one, then delete the other: one of them is always there."""
        files = {
            one.schema_hash: self.path / f"{one.schema_hash}.json" for one in (A, B)
        }
        here = next(key for key, file in files.items() if file.exists())
        [there] = files.keys() - {here}
        data = artifact_json.encode(A if there == A.schema_hash else B)
        staging = self.path / ".new"
        staging.write_bytes(data)
        staging.replace(files[there])
        files[here].unlink()


@pytest.mark.parametrize("granularity_s", [0.0, 0.02, 2.0])
@pytest.mark.parametrize("times", [1, 2])
def test_listing_that_was_disturbed_is_thrown_away(
    store: DirectoryStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    granularity_s: float,
    times: int,
) -> None:
    store.site.granularity_s = granularity_s
    neighbor = Neighbor(monkeypatch, tmp_path / "r", times)
    assert store.entries().keys() == {(B if times == 1 else A).schema_hash}
    assert neighbor.listings > times


def test_where_writers_never_rest_they_are_locked_out(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbor = Neighbor(monkeypatch, tmp_path / "r", 1_000_000)
    real = ArtifactDirectory.locked

    def locked(directory: ArtifactDirectory, strategy: object) -> object:
        neighbor.left = 0  # a neighbor that takes the lock, as all writers do
        return real(directory, strategy)  # type: ignore[arg-type]

    monkeypatch.setattr(ArtifactDirectory, "locked", locked)
    assert len(store.entries()) == 1
    assert neighbor.left == 0


def test_who_may_not_lock_tries_on(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> object:
        raise StorageError.of("lock", "x", OSError(errno.EROFS, "read-only"))

    monkeypatch.setattr(ArtifactDirectory, "locked", refused)
    Neighbor(monkeypatch, tmp_path / "r", 20)
    assert len(store.entries()) == 1


def test_neighbor_that_never_rests_and_never_locks_is_an_error(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Neighbor(monkeypatch, tmp_path / "r", 1_000_000)
    with pytest.raises(StorageError, match="changes faster than it can be listed"):
        store.entries()


def test_who_holds_the_lock_does_not_wait_for_it(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.locked():
        Neighbor(monkeypatch, tmp_path / "r", 20)  # git, say, takes no lock
        assert len(store.entries()) == 1


def test_lock_of_another_thread_is_another_lock(store: DirectoryStore) -> None:
    with store.locked(), ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: store.site.is_locked_here).result() is False
        assert store.site.is_locked_here
    assert not store.site.is_locked_here


@pytest.mark.parametrize("is_local", [True, False])
def test_index_entries_are_those_that_were_asked_for(
    store: DirectoryStore, tmp_path: Path, *, is_local: bool
) -> None:
    store.site.open().is_local = is_local
    save(store, B)
    for number in range(40):
        (tmp_path / "r" / f"{number:064x}.json").write_bytes(b"{")
    keys = [*store.entries(), "f" * 64]
    found = {key: (version, entry) for key, version, entry in store.index_entries(keys)}
    assert found.keys() == set(keys)
    listing = store.entries()
    for key, (version, entry) in found.items():
        assert version == listing.get(key)
        assert isinstance(entry, Exception) == (
            key not in {A.schema_hash, B.schema_hash}
        )


def test_network_drive_is_read_by_several_threads(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.site.open().is_local = False
    for number in range(40):
        (tmp_path / "r" / f"{number:064x}.json").write_bytes(b"{")
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    assert len(list(store.index_entries(store.entries()))) == 41


def test_empty_registry_is_listed_once_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r").mkdir()
    store = DirectoryStore(tmp_path / "r", lock_timeout_s=5)
    store.site.granularity_s = 0.0
    neighbor = Neighbor(monkeypatch, tmp_path / "r", 0)
    assert store.entries() == {}
    assert neighbor.listings == 1


def test_version_of_a_save_is_that_of_the_listing(store: DirectoryStore) -> None:
    saved = store.save(B, if_match=None, if_absent=False)
    assert store.entries()[B.schema_hash] == saved.version


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "x").write_bytes(b""),
        lambda path: (path / "y").mkdir(),
        os.utime,
    ],
    ids=["file", "folder", "touch"],
)
def test_where_the_clock_has_no_granularity_every_change_after_a_look_shows(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    if clock_granularity_s(tmp_path) != NO_GRANULARITY_S:
        pytest.skip("needs Linux 6.13 or newer with ext4, xfs, btrfs or tmpfs")
    for number in range(200):
        path = tmp_path / str(number)
        path.mkdir()
        before = directory_state(path)
        change(path)
        assert directory_state(path) != before
