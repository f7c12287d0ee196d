from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.examples import (
    BRP,
    BRP_WITH_PHONE,
    BRP_WITHOUT_TWO,
    SIM,
    fingerprint,
    trained,
)
from zsm_store import ColdStart, SchemaRegistry, StorageError, WarmLoad
from zsm_store.errors import ArtifactFormatError, ArtifactNotFoundError
from zsm_store.index.scan import ScanIndex
from zsm_store.registry.catalog import Catalog
from zsm_store.registry.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from zsm_store import ModelArtifact, Schema, SchemaFingerprint

KEY = trained().schema_hash


class RecordingStore(MemoryStore):
    """Counts loads, and raises `failures` by hash instead."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.failures: dict[str, Exception] = {}

    def put(self, artifact: ModelArtifact) -> None:
        self.save(artifact, if_match=None, if_absent=False)

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        self.loads.append(schema_hash)
        if schema_hash in self.failures:
            raise self.failures[schema_hash]
        return super().load(schema_hash, listed=listed)


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def catalog(store: RecordingStore) -> Catalog:
    return Catalog(store, ScanIndex())


def test_only_what_is_new_is_loaded(store: RecordingStore, catalog: Catalog) -> None:
    store.put(trained(BRP))
    store.put(trained(SIM))
    assert len(catalog) == 2
    store.loads.clear()
    assert len(catalog) == 2
    assert store.loads == []
    store.put(trained(BRP, em_iterations=9))
    catalog.refresh()
    assert store.loads == [KEY]


def test_what_is_deleted_is_forgotten(store: RecordingStore, catalog: Catalog) -> None:
    store.put(trained(tag="t"))
    assert KEY in catalog
    assert catalog.tagged("t") == [KEY]
    store.delete(KEY, if_match=None)
    assert KEY not in catalog
    assert catalog.tagged("t") == []


def test_tag_follows_the_artifact(store: RecordingStore, catalog: Catalog) -> None:
    for tag in ("one", "two", None):
        store.put(trained(tag=tag))
        catalog.refresh()
        assert catalog.tagged("one") == ([KEY] if tag == "one" else [])
        assert catalog.tagged("two") == ([KEY] if tag == "two" else [])


def test_damage_is_looked_at_once_and_again_when_the_file_changes(
    store: RecordingStore, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(trained())
    store.failures[KEY] = ArtifactFormatError("ZSM012", "not JSON")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert KEY not in catalog
    assert store.loads == [KEY]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.failures.clear()
    store.put(trained(em_iterations=2))
    assert KEY in catalog


def test_damage_of_a_new_version_takes_the_old_one_out_of_service(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained(tag="t"))
    assert KEY in catalog
    store.put(trained(tag="t", em_iterations=2))
    store.failures[KEY] = ArtifactFormatError("ZSM012", "not JSON")
    assert KEY not in catalog
    assert catalog.tagged("t") == []


def test_unreadable_file_is_tried_again(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained())
    store.put(trained(SIM))
    store.failures[KEY] = StorageError.of("read", "x", OSError(5, "broken"))
    assert len(catalog) == 1
    store.failures.clear()
    assert len(catalog) == 2


def test_deletion_between_list_and_load_is_no_error(
    store: RecordingStore, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(trained())
    store.failures[KEY] = ArtifactNotFoundError(KEY)
    assert KEY not in catalog
    assert not caplog.records


def test_error_while_loading_leaves_nothing_half_done(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained())
    store.failures[KEY] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        catalog.refresh()
    store.failures.clear()
    assert KEY in catalog


def test_same_object_of_entries_means_no_change(catalog: Catalog) -> None:
    class Frozen(RecordingStore):
        frozen: Mapping[str, str] | None = None

        def entries(
            self, known: Mapping[str, Hashable] | None = None
        ) -> Mapping[str, str]:
            if self.frozen is None:
                self.frozen = super().entries(known)
            return self.frozen

    store = Frozen()
    store.put(trained())
    catalog = Catalog(store, ScanIndex())
    assert len(catalog) == 1
    store.loads.clear()
    store.put(trained(SIM))
    assert len(catalog) == 1
    assert store.loads == []


def test_lookup_of_one_thread_sees_what_another_thread_is_loading_anew() -> None:
    # A retrained artifact is never absent: not even while one thread reads its new
    # version, for a thread that has refreshed before and searches now.
    store = RecordingStore()
    store.put(trained())
    registry = SchemaRegistry(store)
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    index = registry._catalog._index
    refreshed, reloading, searched = (threading.Event() for _ in range(3))
    nearest, load = index.nearest, store.load
    main = threading.current_thread()
    modes = []

    def search_late(*given: object, **named: object) -> object:
        if threading.current_thread() is not main and not refreshed.is_set():
            refreshed.set()
            # As long as this may take: until the other thread is in the middle.
            reloading.wait(0.5)
        return nearest(*given, **named)  # type: ignore[arg-type]

    def load_slowly(schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        if threading.current_thread() is main and not reloading.is_set():
            reloading.set()
            searched.wait(0.5)
        return load(schema_hash, listed=listed)

    def look() -> None:
        modes.append(registry.lookup_startup_mode(fingerprint()))
        searched.set()

    index.nearest = search_late  # type: ignore[method-assign]
    thread = threading.Thread(target=look)
    thread.start()
    assert refreshed.wait(10)
    store.put(trained(em_iterations=2))
    store.load = load_slowly  # type: ignore[method-assign]
    modes.append(registry.lookup_startup_mode(fingerprint()))
    thread.join()
    assert not [mode for mode in modes if isinstance(mode, ColdStart)]


def sampled(of: Schema, null_rate: float, cardinality: int) -> SchemaFingerprint:
    plain = fingerprint(of)
    stats = tuple(
        replace(field, null_rate=null_rate, cardinality=cardinality)
        for field in plain.field_stats
    )
    return replace(plain, field_stats=stats, record_count=10)


def test_neighbor_that_moved_away_since_it_was_ranked_is_ranked_again() -> None:
    store = RecordingStore()
    registry = SchemaRegistry(store)
    wanted = sampled(BRP_WITH_PHONE, 0.0, 10)
    near = trained(sampled(BRP, 0.0, 10))
    farther = trained(sampled(BRP_WITHOUT_TWO, 0.0, 10))
    for artifact in (near, farther):
        store.put(artifact)
    assert [one.artifact for one in registry.nearest(wanted, 2)] == [near, farther]
    moved = trained(sampled(BRP, 1.0, 0))
    load = store.load

    def load_after_it_moved(schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        store.load = load  # type: ignore[method-assign]
        store.put(moved)
        return load(schema_hash, listed=listed)

    store.load = load_after_it_moved  # type: ignore[method-assign]
    assert [one.artifact for one in registry.nearest(wanted, 2)] == [farther, moved]


def test_registry_that_never_rests_is_an_error_and_no_wrong_answer() -> None:
    store = RecordingStore()
    registry = SchemaRegistry(store)
    store.put(trained())
    assert len(registry) == 1

    def gone(schema_hash: str, *, listed: bool = False) -> ModelArtifact:  # noqa: ARG001  # as the store calls it
        raise ArtifactNotFoundError(schema_hash)

    store.load = gone  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="changes faster than it can be read"):
        registry.lookup_startup_mode(fingerprint())


def test_lookups_beside_a_trainer_never_start_cold(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    registry.save(trained())
    stop = threading.Event()
    modes = set()

    def look() -> None:
        while not stop.is_set():
            modes.add(registry.lookup_startup_mode(fingerprint()).name)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50):
        registry.save(trained(em_iterations=number))
    stop.set()
    for thread in threads:
        thread.join()
    assert modes == {"warm_load"}
