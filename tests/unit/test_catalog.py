from __future__ import annotations

import errno
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.examples import (
    BRP,
    BRP_WITH_PHONE,
    BRP_WITHOUT_TWO,
    SIM,
    fingerprint,
    trained,
)
from zsm_store import (
    ColdStart,
    Field,
    FieldKind,
    Schema,
    SchemaRegistry,
    StorageError,
    WarmLoad,
)
from zsm_store.errors import ArtifactFormatError, ArtifactNotFoundError, ZsmError
from zsm_store.index.scan import ScanIndex
from zsm_store.registry.catalog import Catalog
from zsm_store.registry.memory_store import MemoryStore
from zsm_store.registry.store import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from pathlib import Path

    from zsm_store import ModelArtifact, SchemaFingerprint
    from zsm_store.codec.artifact_json import IndexEntry
    from zsm_store.registry.catalog import View

KEY = trained().schema_hash


class RecordingStore(MemoryStore):
    """Counts loads, and raises `failures` by hash instead."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.failures: dict[str, Exception] = {}

    def put(self, artifact: ModelArtifact) -> None:
        self.save(artifact, if_match=None, if_absent=False)

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        for key, version, entry in super().index_entries(schema_hashes):
            self.loads.append(key)
            failure = self.failures.get(key)
            if failure is not None and not isinstance(failure, ZsmError):
                raise failure
            yield key, version, failure or entry


def is_in(catalog: Catalog, schema_hash: str) -> bool:
    return schema_hash in catalog.view().moment


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def catalog(store: RecordingStore) -> Catalog:
    return Catalog(store, ScanIndex)


def test_only_what_is_new_is_loaded(store: RecordingStore, catalog: Catalog) -> None:
    store.put(trained(BRP))
    store.put(trained(SIM))
    assert len(catalog.view().moment) == 2
    store.loads.clear()
    assert len(catalog.view().moment) == 2
    assert store.loads == []
    store.put(trained(BRP, em_iterations=9))
    catalog.refresh()
    assert store.loads == [KEY]


def test_what_is_deleted_is_forgotten(store: RecordingStore, catalog: Catalog) -> None:
    store.put(trained(tag="t"))
    assert is_in(catalog, KEY)
    assert catalog.tagged("t") == [KEY]
    store.delete(KEY, if_match=None)
    assert not is_in(catalog, KEY)
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
            assert not is_in(catalog, KEY)
    assert store.loads == [KEY]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.failures.clear()
    store.put(trained(em_iterations=2))
    assert is_in(catalog, KEY)


def test_damage_of_a_new_version_takes_the_old_one_out_of_service(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained(tag="t"))
    assert is_in(catalog, KEY)
    store.put(trained(tag="t", em_iterations=2))
    store.failures[KEY] = ArtifactFormatError("ZSM012", "not JSON")
    assert not is_in(catalog, KEY)
    assert catalog.tagged("t") == []


def test_unreadable_file_is_tried_again(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained())
    store.put(trained(SIM))
    store.failures[KEY] = StorageError.of("read", "x", OSError(5, "broken"))
    assert len(catalog.view().moment) == 1
    store.failures.clear()
    assert len(catalog.view().moment) == 2


def test_error_while_loading_leaves_nothing_half_done(
    store: RecordingStore, catalog: Catalog
) -> None:
    store.put(trained())
    store.failures[KEY] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        catalog.refresh()
    store.failures.clear()
    assert is_in(catalog, KEY)


def test_listing_that_holds_is_not_listed_again() -> None:
    class Frozen(RecordingStore):
        def holds(self, listing: Listing) -> bool:  # noqa: ARG002  # whatever it is
            return True

    store = Frozen()
    store.put(trained())
    catalog = Catalog(store, ScanIndex)
    assert len(catalog.view().moment) == 1
    store.loads.clear()
    store.put(trained(SIM))
    assert len(catalog.view().moment) == 1
    assert store.loads == []


def test_who_asks_for_tags_gets_no_index() -> None:
    store = RecordingStore()
    store.put(trained(tag="t"))

    def no_index() -> NoReturn:
        raise AssertionError

    catalog = Catalog(store, no_index)
    assert catalog.tagged("t") == [KEY]
    assert catalog.tagged("t") == [KEY]
    assert store.loads == [KEY]


def test_what_was_loaded_for_its_tag_is_found_by_lookups_too() -> None:
    store = RecordingStore()
    store.put(trained(tag="t"))
    catalog = Catalog(store, ScanIndex)
    assert catalog.tagged("t") == [KEY]
    store.put(trained(SIM, tag="t"))
    assert catalog.tagged("t") == sorted([KEY, trained(SIM).schema_hash])
    store.delete(trained(SIM).schema_hash, if_match=None)
    assert is_in(catalog, KEY)
    assert len(catalog.view().moment) == 1


def test_tags_are_asked_of_a_listing_that_holds_without_listing_again() -> None:
    store = RecordingStore()
    store.put(trained(tag="t"))
    listed = []
    real = store.entries
    store.entries = lambda known=None: listed.append(1) or real(known)  # type: ignore[method-assign, func-returns-value]
    catalog = Catalog(store, ScanIndex)
    for _ in range(3):
        assert catalog.tagged("t") == [KEY]
    assert len(listed) == 1


def test_own_changes_are_known_before_anybody_asks() -> None:
    store = RecordingStore()
    registry = SchemaRegistry(store)
    assert len(registry) == 0
    registry.save(trained(tag="t"))
    index = registry._catalog._index
    assert index is not None
    assert KEY in index
    assert registry.resolve("t") == KEY
    assert len(registry) == 1
    assert store.loads == []
    registry.delete(KEY)
    assert KEY not in index
    with pytest.raises(ArtifactNotFoundError):
        registry.resolve("t")


def test_lookup_of_one_thread_sees_what_another_thread_is_loading_anew() -> None:
    # A retrained artifact is never absent: not even while one thread reads its new
    # version, for a thread that has looked at the store before and searches now.
    store = RecordingStore()
    store.put(trained())
    registry = SchemaRegistry(store)
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    catalog = registry._catalog
    viewed, reloading, searched = (threading.Event() for _ in range(3))
    view, index_entries = catalog.view, store.index_entries
    main = threading.current_thread()
    modes = []

    def view_early(*given: object) -> View:
        found = view(*given)  # type: ignore[arg-type]
        if threading.current_thread() is not main and not viewed.is_set():
            viewed.set()
            # As long as this may take: until the other thread is in the middle.
            reloading.wait(0.5)
        return found

    def load_slowly(
        keys: Iterable[str],
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        if threading.current_thread() is main and not reloading.is_set():
            reloading.set()
            searched.wait(0.5)
        return index_entries(keys)

    def look() -> None:
        modes.append(registry.lookup_startup_mode(fingerprint()))
        searched.set()

    catalog.view = view_early  # type: ignore[method-assign]
    thread = threading.Thread(target=look)
    thread.start()
    assert viewed.wait(10)
    store.put(trained(em_iterations=2))
    store.index_entries = load_slowly  # type: ignore[method-assign]
    modes.append(registry.lookup_startup_mode(fingerprint()))
    thread.join()
    assert not [mode for mode in modes if isinstance(mode, ColdStart)]


class Disturbed(RecordingStore):
    """Changes once, between the listing and the reading of what was listed."""

    def __init__(self) -> None:
        super().__init__()
        self.change: Callable[[], object] | None = None

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        change, self.change = self.change, None
        if change is not None:
            change()
        return super().index_entries(schema_hashes)


def test_what_changes_while_it_is_loaded_is_not_mixed_with_what_did_not() -> None:
    # {A} -> save B -> replace A by something far: a listing of before and an artifact
    # of afterwards show neither the near A nor the near B.
    store = Disturbed()
    wanted = sampled(BRP_WITH_PHONE, 0.0, 10)
    catalog = Catalog(store, ScanIndex)
    store.put(trained(sampled(BRP, 0.0, 10)))

    def change() -> None:
        store.put(trained(wanted))
        store.put(trained(sampled(BRP, 1.0, 0)))

    store.change = change
    [found] = catalog.view().moment.nearest(wanted, 1)
    assert found.schema_hash == wanted.schema_hash


def test_what_is_deleted_while_it_is_loaded_makes_the_catalog_look_again() -> None:
    store = Disturbed()
    catalog = Catalog(store, ScanIndex)
    store.put(trained())

    def change() -> None:
        store.put(trained(SIM))
        store.delete(KEY, if_match=None)

    store.change = change
    assert is_in(catalog, trained(SIM).schema_hash)
    assert len(catalog.view().moment) == 1


def test_what_is_listed_and_never_there_does_not_take_the_others_down(
    store: RecordingStore, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(trained())
    store.put(trained(SIM))
    store.failures[KEY] = ArtifactNotFoundError(KEY)
    assert len(catalog.view().moment) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.failures.clear()
    assert is_in(catalog, KEY)


def test_index_is_tidied_by_who_refreshes_and_not_by_who_asks(
    store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zsm_store.index.rare_first.SMALLEST_LIMIT", 8)
    catalog = Catalog(store)

    def put(count: int) -> None:
        for number in range(count):
            schema = Schema([Field(f"column {number}", FieldKind.ID)])
            store.put(trained(schema))

    put(6)
    asked = catalog.view().moment
    assert len(asked) == 6
    assert catalog._index is not None
    assert catalog._index.live_base() is None  # type: ignore[attr-defined]
    catalog.refresh()
    tidied = catalog.view().moment
    assert len(tidied) == 6
    assert catalog._index.live_base() is not None  # type: ignore[attr-defined]
    assert tidied.live_base() is not None  # type: ignore[attr-defined]  # readers have it
    store.loads.clear()
    assert len(catalog.view().moment) == 6
    assert store.loads == []


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBUSY, None])
def test_what_a_network_drive_hides_for_a_while_is_waited_for(
    store: RecordingStore, catalog: Catalog, number: int | None
) -> None:
    store.put(trained())
    store.failures[KEY] = (
        ArtifactNotFoundError(KEY)
        if number is None
        else StorageError.of("read", "x", OSError(number, "passes"))
    )
    threading.Timer(0.3, store.failures.clear).start()
    assert is_in(catalog, KEY)
    assert len(store.loads) > 3


def test_version_that_cannot_be_told_from_a_later_one_is_loaded_again() -> None:
    class Coarse(RecordingStore):
        """Two changes may get the same version."""

        granularity_s = 0.05

        def holds(self, listing: Listing) -> bool:  # noqa: ARG002  # it never tells
            return False

        def entries(self, known: Listing | None = None) -> Listing:
            found = super().entries(known)
            return Listing(dict.fromkeys(found, "now"), found.state)

        def index_entries(
            self, schema_hashes: Iterable[str]
        ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
            for key, _, entry in super().index_entries(schema_hashes):
                yield key, "now", entry

        def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:  # noqa: ARG002  # all of them
            return schema_hashes

    store = Coarse()
    catalog = Catalog(store, ScanIndex)
    store.put(trained(sampled(BRP, 0.0, 10)))
    catalog.refresh()
    store.put(trained(sampled(BRP, 1.0, 0)))
    far = sampled(BRP, 1.0, 0)
    wanted = replace(far, schema_hash="f" * 64)
    assert catalog.view().moment.nearest(wanted, 1)[0].distance == 0.0
    time.sleep(0.06)
    catalog.refresh()
    store.loads.clear()
    catalog.refresh()
    assert store.loads == [], "by now another change has another version"


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
    load = store.load_version

    def load_after_it_moved(
        schema_hash: str, version: str, **how: bool
    ) -> ModelArtifact | None:
        store.load_version = load  # type: ignore[method-assign]
        store.put(moved)
        return load(schema_hash, version, **how)

    store.load_version = load_after_it_moved  # type: ignore[assignment]
    assert [one.artifact for one in registry.nearest(wanted, 2)] == [farther, moved]


def test_registry_that_never_rests_is_an_error_and_no_wrong_answer() -> None:
    store = RecordingStore()
    registry = SchemaRegistry(store)
    store.put(trained())
    assert len(registry) == 1

    store.load_version = lambda *_, **__: None  # type: ignore[method-assign]
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


@pytest.mark.parametrize("explain", [False, True])
def test_many_lookups_at_once_are_the_single_ones(
    monkeypatch: pytest.MonkeyPatch, *, explain: bool
) -> None:
    monkeypatch.setattr("zsm_store.index.rare_first.SMALLEST_LIMIT", 8)
    names = [f"column {number}" for number in range(12)]
    tables = [
        sampled(
            Schema([Field(name, FieldKind.NAME) for name in names[first:last]]),
            first / 8,
            last,
        )
        for first in range(6)
        for last in range(first + 1, 13)
    ]
    store = RecordingStore()
    registry = SchemaRegistry(store)
    for number in range(0, len(tables), 3):
        store.put(trained(tables[number]))
    alien = fingerprint(SIM)
    wanted = [*tables, alien]
    single = [registry.lookup_startup_mode(one, explain=explain) for one in wanted]
    assert {mode.name for mode in single} == {"warm_load", "warm_start", "cold_start"}
    assert registry.lookup_many(iter(wanted), explain=explain) == single

    # One of them is trained anew between the search and the reading of the answers.
    retrained = trained(tables[3], em_iterations=77)
    load = store.load_version

    def load_after_training(
        schema_hash: str, version: str, **how: bool
    ) -> ModelArtifact | None:
        store.load_version = load  # type: ignore[method-assign]
        store.put(retrained)
        return load(schema_hash, version, **how)

    store.load_version = load_after_training  # type: ignore[assignment]
    modes = registry.lookup_many(wanted, explain=explain)
    assert modes[3].artifact == retrained  # type: ignore[union-attr]
    assert [mode.distance for mode in modes] == [mode.distance for mode in single]
