"""A cache of an index is used where it is right, and never believed where not."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import fingerprint, trained
from zsm_store import (
    ArtifactNotFoundError,
    Field,
    FieldKind,
    Schema,
    SchemaRegistry,
    WarmLoad,
)
from zsm_store.codec import artifact_json
from zsm_store.index.rare_first import SMALLEST_LIMIT
from zsm_store.registry import index_cache
from zsm_store.registry.cache_list import drop_caches, list_caches
from zsm_store.registry.file_reader import FileReader
from zsm_store.registry.index_cache import IndexCache, cache_directory
from zsm_store.storage.cache_file import read_cache_file, write_cache_file

if TYPE_CHECKING:
    from zsm_store import ModelArtifact, SchemaFingerprint

COUNT = SMALLEST_LIMIT + 88
KINDS = list(FieldKind)


def table(number: int) -> SchemaFingerprint:
    """Return the fingerprint of one of many tables that are alike in fives."""
    names = [f"family {number // 5}", *(f"common {number % 7 + i}" for i in range(6))]
    fields = [Field(name, KINDS[number % 3]) for name in names]
    plain = fingerprint(Schema([*fields, Field(f"own {number}", FieldKind.ID)]))
    if number % 2:
        return plain
    stats = tuple(
        replace(one, null_rate=number % 5 / 8, cardinality=number)
        for one in plain.field_stats
    )
    return replace(plain, field_stats=stats, record_count=100)


def write(registry: Path, artifact: ModelArtifact) -> Path:
    """Write an artifact without waiting for the disk."""
    path = registry / f"{artifact.schema_hash}.json"
    path.with_suffix(".new").write_bytes(artifact_json.encode(artifact))
    path.with_suffix(".new").replace(path)
    return path


class Opened:
    """What a registry says of itself, and how much it had to read for that."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads: list[str] = []
        real = FileReader._index_entry

        def counted(store: FileReader, key: str) -> object:
            self.loads.append(key)
            return real(store, key)

        monkeypatch.setattr(FileReader, "_index_entry", counted)
        with SchemaRegistry.open(path) as registry:
            self.size = len(registry)
            asked = range(0, COUNT + 20, 9)
            self.answers = [
                [(it.artifact.schema_hash, it.distance) for it in found]
                for found in (registry.nearest(table(one), 3) for one in asked)
            ]
            self.starts = registry.lookup_many([table(one) for one in asked])
        monkeypatch.undo()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return the cache directory of one test, which does not exist yet."""
    before = os.environ["ZSM_CACHE_DIR"]
    os.environ["ZSM_CACHE_DIR"] = str(tmp_path / "cache")
    yield tmp_path / "cache"
    os.environ["ZSM_CACHE_DIR"] = before


@pytest.fixture
def path(tmp_path: Path, cache: Path) -> Path:  # noqa: ARG001  # set before it is used
    """Return a registry too large to be read at every start."""
    path = tmp_path / "registry"
    SchemaRegistry.init(path).close()
    for number in range(COUNT):
        write(path, trained(table(number), tag=f"t{number}" if number % 4 else None))
    return path


def uncached(path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    drop_caches(None)
    return Opened(path, monkeypatch)


def test_second_process_reads_no_artifact_that_has_not_changed(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Opened(path, monkeypatch)
    assert len(first.loads) == COUNT
    assert len(list(cache.iterdir())) == 1
    again = Opened(path, monkeypatch)
    assert again.loads == []
    assert again.size == COUNT
    assert again.answers == first.answers
    assert again.starts == first.starts


def test_cache_knows_the_tags(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Opened(path, monkeypatch)
    loads: list[str] = []
    monkeypatch.setattr(FileReader, "_index_entry", lambda _, key: loads.append(key))
    with SchemaRegistry.open(path) as registry:
        assert registry.resolve("t5") == table(5).schema_hash
    assert loads == []


def test_what_is_deleted_after_tags_were_asked_of_a_cache_is_not_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    with SchemaRegistry.open(path) as registry:
        assert registry.resolve("t5") == table(5).schema_hash
        (path / f"{table(5).schema_hash}.json").unlink()
        (path / f"{table(6).schema_hash}.json").write_bytes(b"{")
        with pytest.raises(ArtifactNotFoundError):
            registry.resolve("t5")
        assert len(registry) == COUNT - 2
        for number in (5, 6):
            mode = registry.lookup_startup_mode(table(number))
            assert not isinstance(mode, WarmLoad)


def test_what_has_changed_since_is_read_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    replaced, deleted, new = table(8), table(9), table(COUNT + 1)
    stats = tuple(replace(one, null_rate=1.0) for one in replaced.field_stats)
    write(path, trained(replace(replaced, field_stats=stats)))
    (path / f"{deleted.schema_hash}.json").unlink()
    write(path, trained(new))
    found = Opened(path, monkeypatch)
    assert sorted(found.loads) == sorted([replaced.schema_hash, new.schema_hash])
    right = uncached(path, monkeypatch)
    assert len(right.loads) == right.size == found.size == COUNT
    assert found.answers == right.answers
    assert found.starts == right.starts


def test_in_place_edit_of_the_same_length_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    file = path / f"{table(8).schema_hash}.json"
    data = artifact_json.encode(trained(table(8), em_iterations=77))
    status = file.stat()
    assert len(data) == status.st_size
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Opened(path, monkeypatch).loads == [table(8).schema_hash]


def test_registry_itself_holds_no_cache(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.rglob("*"))
    Opened(path, monkeypatch)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "version", "columns"])
def test_wrong_cache_is_ignored_and_made_anew(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    right = Opened(path, monkeypatch)
    [file] = cache.iterdir()
    data = file.read_bytes()
    if damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        file.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        found = read_cache_file(file)
        assert found is not None
        head, columns = found[0], dict(found[1])
        if damage == "version":
            head["format"] = "zsm-index-cache/2"
        else:
            columns["digests"] = columns["digests"][32:]
        write_cache_file(file, head, columns)
    again = Opened(path, monkeypatch)
    assert len(again.loads) == COUNT
    assert again.answers == right.answers
    assert Opened(path, monkeypatch).loads == []


def test_cache_of_another_registry_is_not_used(
    path: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    [file] = cache.iterdir()
    path.rename(tmp_path / "moved")
    moved = Opened(tmp_path / "moved", monkeypatch)
    assert len(moved.loads) == COUNT
    [other] = set(cache.iterdir()) - {file}
    # Under the wrong name it is not believed either.
    other.replace(file)
    (tmp_path / "moved").rename(path)
    assert len(Opened(path, monkeypatch).loads) == COUNT


def test_cache_that_is_mostly_outdated_is_not_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    for number in range(0, COUNT, 3):
        write(path, trained(table(number), em_iterations=9))
    found = Opened(path, monkeypatch)
    assert len(found.loads) == COUNT
    assert found.answers == uncached(path, monkeypatch).answers


def test_damaged_artifact_is_not_hidden_by_a_cache(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (path / f"{table(3).schema_hash}.json").write_bytes(b"{")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = Opened(path, monkeypatch)
        assert found.size == COUNT - 1
        assert table(3).schema_hash in caplog.text


def test_version_that_may_not_show_a_later_change_is_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(_: object) -> float:
        return 30.0

    monkeypatch.setattr("zsm_store.registry.site.clock_granularity_s", coarse)
    with SchemaRegistry.open(path) as registry:
        old = 1_700_000_000
        for number in range(COUNT):
            if number != 8:
                os.utime(path / f"{table(number).schema_hash}.json", (old, old))
        recent = path / f"{table(8).schema_hash}.json"
        newest = max(recent.stat().st_mtime_ns, recent.stat().st_ctime_ns)
        monkeypatch.setattr(
            "zsm_store.registry.directory_listing._stamp_ns",
            lambda version: newest if version[3] == recent.stat().st_ino else old,
        )
        assert len(registry) == COUNT
    monkeypatch.undo()
    assert Opened(path, monkeypatch).loads == [table(8).schema_hash]


def test_small_registry_has_no_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small"
    SchemaRegistry.init(path).close()
    for number in range(100):
        write(path, trained(table(number)))
    assert Opened(path, monkeypatch).size == 100
    assert not cache.exists()


def test_without_a_cache_nothing_is_read_or_written(path: Path, cache: Path) -> None:
    with SchemaRegistry.open(path, cache=False) as registry:
        assert len(registry) == COUNT
    assert not cache.exists()


def test_cache_that_cannot_be_written_is_no_error(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_bytes(b"a file where the directory should be")
    assert Opened(path, monkeypatch).size == COUNT


def test_cache_is_private(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    assert cache.stat().st_mode & 0o077 == 0


def test_additions_by_many_processes_get_into_the_cache_in_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    monkeypatch.setattr(index_cache, "_FEWEST_LOADED", 8)
    loads = []
    for number in range(COUNT, COUNT + 120):
        write(path, trained(table(number)))
        with monkeypatch.context() as patched:
            loads.append(len(Opened(path, patched).loads))
    assert max(loads) <= (COUNT + 120) // index_cache._SHARE_LOADED + 1
    assert loads.count(1) > 1, "what was added got into it, and more than once"


def test_what_killed_writers_have_left_is_removed_by_the_next_one(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Opened(path, monkeypatch)
    [file] = cache.iterdir()
    old, recent = (file.with_name(f"{file.name}.{name}") for name in ("ab", "cd"))
    for leftover in (old, recent):
        leftover.write_bytes(b"half a cache")
    os.utime(old, (0, 0))
    file.unlink()
    Opened(path, monkeypatch)
    assert sorted(cache.iterdir()) == sorted([file, recent])


def test_memory_map_ends_with_the_registry(path: Path, cache: Path) -> None:
    with SchemaRegistry.open(path) as registry:
        assert len(registry) == COUNT

    def maps() -> str:
        return Path("/proc/self/maps").read_text(encoding="utf-8")

    registry = SchemaRegistry.open(path)
    assert isinstance(registry.lookup_startup_mode(table(3)), WarmLoad)
    assert str(cache) in maps()
    registry.close()
    assert str(cache) not in maps()


def test_environment_says_where_caches_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("ZSM_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_directory() == tmp_path / "chosen"
    monkeypatch.setenv("ZSM_CACHE_DIR", "")
    assert cache_directory() == tmp_path / "xdg" / "zsm-store"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == tmp_path / ".cache" / "zsm-store"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == tmp_path / ".cache" / "zsm-store"


def test_caches_are_listed_and_dropped(
    path: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list_caches() == []
    assert drop_caches(None) == []
    Opened(path, monkeypatch)
    [info] = list_caches()
    assert info.registry == str(path)
    assert info.artifacts == COUNT
    assert info.size == info.path.stat().st_size
    assert (info.fits, info.note) == (True, "")
    write(path, trained(table(COUNT)))
    [info] = list_caches()
    assert info.fits
    assert info.note == "1 new or changed since"
    (cache / f"{'0' * 32}.zsmindex").write_bytes(b"damaged")
    [damaged, info] = list_caches()
    assert not damaged.fits
    path.rename(tmp_path / "gone")
    [_, info] = list_caches()
    assert not info.fits
    assert drop_caches(tmp_path / "gone") == []
    assert drop_caches(path) == [info.path]
    assert drop_caches(None) == [damaged.path]
    assert list_caches() == []


def test_failed_write_is_not_tried_again_at_every_lookup(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    monkeypatch.setattr(IndexCache, "_write", lambda *_: tries.append(1))
    with SchemaRegistry.open(path) as registry:
        for number in range(20):
            registry.lookup_startup_mode(table(number))
    assert len(tries) == 1
