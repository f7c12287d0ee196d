from __future__ import annotations

import errno
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests.examples import trained
from zsm_store.errors import StorageError
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.moment import Seen, read_artifact, snapshot
from zsm_store.registry.store import Listing

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

    from zsm_store.registry.store import ArtifactStore


class ChangingStore:
    """Keys with versions, which `on_read` may change; content is key and version."""

    location = "here"
    granularity_s = 0.0

    def __init__(self, keys: str = "abc") -> None:
        self.versions: dict[str, Hashable] = dict.fromkeys(keys, 1)
        self.reads: list[str] = []
        """Keys that were read, for each listing."""
        self.recent: set[str] = set()
        self.lock_count = 0
        self.is_locked = False
        self.refused: int | None = None

    def on_read(self, key: str) -> None:
        """Change something; before a key is read."""

    def entries(self, known: Listing | None = None) -> Listing:
        assert (known is None) == (not self.reads)
        self.reads.append("")
        return Listing(self.versions, None)

    def unsettled(self, listing: Listing, keys: set[str]) -> set[str]:
        assert listing.keys() >= keys
        return self.recent & keys

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.lock_count += 1
        if self.refused is not None:
            raise StorageError(self.refused, "refused", "lock")
        self.is_locked = True
        yield
        self.is_locked = False

    def content(self, key: str) -> str:
        return f"{key}{self.versions[key]}"

    def read(self, key: str, version: Hashable) -> Seen[str] | None:
        self.on_read(key)
        self.reads[-1] += key
        if key not in self.versions:
            return Seen("not found", is_exact=False)
        if self.versions[key] != version:
            return None
        return Seen(self.content(key))

    def replace(self, *keys: str) -> None:
        for key in keys:
            self.versions[key] = cast("int", self.versions.get(key, 0)) + 1

    def snapshot(self) -> list[str]:
        found = snapshot(cast("ArtifactStore", self), self.read)
        assert list(found) == sorted(found)
        return list(found.values())


def test_store_at_rest_is_listed_once_read_once_and_not_locked() -> None:
    store = ChangingStore("cab")
    assert store.snapshot() == ["a1", "b1", "c1"]
    assert store.reads == ["abc"]
    assert store.lock_count == 0


def changing(store: ChangingStore, *changes: tuple[int, str, str]) -> ChangingStore:
    """Replace keys in a pass, just before another one is read."""

    def on_read(key: str) -> None:
        for number, before, replaced in changes:
            if (len(store.reads), key) == (number, before):
                store.replace(*replaced)

    store.on_read = on_read  # type: ignore[method-assign]
    return store


def test_what_is_replaced_before_it_is_read_is_read_again_alone() -> None:
    store = changing(ChangingStore(), (1, "b", "b"))
    assert store.snapshot() == ["a1", "b2", "c1"]
    assert store.reads == ["abc", "b"]


def test_what_is_replaced_after_it_was_read_does_not_matter() -> None:
    store = changing(ChangingStore(), (1, "c", "ab"))
    assert store.snapshot() == ["a1", "b1", "c1"]
    assert store.reads == ["abc"]


def test_old_and_new_are_not_mixed() -> None:
    store = changing(ChangingStore(), (1, "b", "a"), (1, "c", "c"))
    assert store.snapshot() == ["a2", "b1", "c2"]
    assert store.reads == ["abc", "ac"]


def test_what_is_saved_or_deleted_meanwhile_belongs_to_the_next_listing() -> None:
    store = ChangingStore("abe")

    def on_read(key: str) -> None:
        if key == "b":
            store.versions = {"a": 1, "c": 1, "e": 1}

    store.on_read = on_read  # type: ignore[method-assign]
    assert store.snapshot() == ["a1", "c1", "e1"]
    assert store.reads == ["abe", "c"]
    assert store.lock_count == 0


def test_store_that_never_rests_is_locked_for_the_last_few() -> None:
    store = ChangingStore("abcdef")

    def on_read(key: str) -> None:
        if not store.is_locked and key in "ab":
            store.replace("a", "b")

    store.on_read = on_read  # type: ignore[method-assign]
    found = store.snapshot()
    assert found == [store.content(key) for key in "abcdef"]
    assert store.reads == ["abcdef", "ab", "ab", "ab"]
    assert store.lock_count == 1
    assert not store.is_locked


def test_nobody_waits_while_less_is_read_from_pass_to_pass() -> None:
    store = ChangingStore("abcdefghijklmnop")
    lengths = {1: 16, 2: 8, 3: 4, 4: 2, 5: 1}
    changes = [
        (number, "a", "abcdefghijklmnop"[: lengths[number] // 2])
        for number in (1, 2, 3, 4)
    ]
    found = changing(store, *changes).snapshot()
    assert [len(keys) for keys in store.reads] == list(lengths.values())
    assert found == [store.content(key) for key in "abcdefghijklmnop"]
    assert store.lock_count == 0


class Restless(ChangingStore):
    """Somebody who asks for no lock replaces a key before each read, up to a time."""

    def __init__(self, passes: int, *, refused: int | None = None) -> None:
        super().__init__()
        self._passes = passes
        self.refused = refused

    def on_read(self, key: str) -> None:
        if len(self.reads) <= self._passes:
            self.replace(key)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_reader_who_may_not_lock_tries_on(number: int) -> None:
    store = Restless(50, refused=number)
    assert store.snapshot() == ["a51", "b51", "c51"]
    assert store.lock_count == 1


@pytest.mark.parametrize("number", [errno.EACCES, None])
def test_it_gives_up_in_the_end(number: int | None) -> None:
    store = Restless(10**9, refused=number)
    with pytest.raises(StorageError, match="'here': it changes faster") as caught:
        store.snapshot()
    assert caught.value.errno == errno.EBUSY
    # Who holds the lock gives up soon: writers wait.
    assert len(store.reads) == (100 if number else 13)
    assert not store.is_locked


def test_lock_that_fails_otherwise_is_an_error() -> None:
    with pytest.raises(StorageError, match="refused"):
        Restless(100, refused=errno.EIO).snapshot()


def test_errors_of_the_reader_are_not_hidden() -> None:
    store = ChangingStore()

    def fail(_: str) -> None:
        raise StorageError(errno.EIO, "broken")

    store.on_read = fail  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="broken"):
        store.snapshot()


@pytest.mark.parametrize("failures", [0, 1, 2, 5])
def test_what_is_unreadable_counts_once_it_is_so_twice(failures: int) -> None:
    store = ChangingStore()
    left = [f"failure {min(n, 1)}" for n in range(failures)]

    def read(key: str, version: Hashable) -> Seen[str] | None:
        seen = store.read(key, version)
        if key == "b" and left:
            return Seen(left.pop(0), is_exact=False)
        return seen

    found = list(snapshot(cast("ArtifactStore", store), read).values())
    assert found[1] == ("b1" if failures <= 2 else "failure 1")
    assert store.reads == ["abc", *["b"] * min(failures, 2)]
    assert store.lock_count == 0


def test_what_changes_within_a_tick_of_the_clock_is_read_until_it_is_the_same() -> None:
    store = ChangingStore()
    store.granularity_s = 1000.0
    store.recent = {"a", "c"}
    contents = {"a": ["old", "new", "new"], "c": ["same", "same", "same"]}

    def read(key: str, version: Hashable) -> Seen[str] | None:
        seen = store.read(key, version)
        return Seen(contents[key].pop(0)) if key in contents else seen

    found = snapshot(cast("ArtifactStore", store), read)
    assert found == {"a": "new", "b": "b1", "c": "same"}
    assert store.reads == ["abc", "ac", "ac"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock that stands still at `now`."""
    clock = SimpleNamespace(now=10.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("zsm_store.registry.moment.time", clock)
    return clock


def test_after_a_tick_of_the_clock_one_look_is_enough(clock: SimpleNamespace) -> None:
    store = ChangingStore("ab")
    store.granularity_s = 2.0
    store.recent = {"a"}
    contents = ["first", "second", "third", "fourth"]

    def read(key: str, version: Hashable) -> Seen[str] | None:
        clock.now = 9.0 + len(store.reads)
        seen = store.read(key, version)
        clock.now += 1.0
        return Seen(contents.pop(0)) if key == "a" else seen

    found = snapshot(cast("ArtifactStore", store), read)
    assert found == {"a": "third", "b": "b1"}
    assert store.reads == ["ab", "a", "a"]


def test_what_is_read_after_a_tick_of_the_clock_needs_only_another_listing(
    clock: SimpleNamespace,
) -> None:
    store = ChangingStore("abc")
    store.granularity_s = 2.0
    store.recent = {"a", "b", "c"}

    def on_read(_: str) -> None:
        clock.now += 1.0

    store.on_read = on_read  # type: ignore[method-assign]
    assert store.snapshot() == ["a1", "b1", "c1"]
    # Listed at 10, read at 10, 11 and 12.
    assert store.reads == ["abc", "ab"]


def test_another_listing_is_needed_for_what_is_read_after_a_tick_of_the_clock(
    clock: SimpleNamespace,
) -> None:
    store = ChangingStore("ab")
    store.granularity_s = 2.0
    store.recent = {"b"}

    def read(key: str, version: Hashable) -> Seen[str] | None:
        clock.now += 5.0
        seen = store.read(key, version)
        if len(store.reads) == 1 and key == "b":
            store.replace("b")
        return seen

    found = snapshot(cast("ArtifactStore", store), read)
    assert found == {"a": "a1", "b": "b2"}
    assert store.reads[:2] == ["ab", "b"]


def test_tick_of_the_clock_begins_when_the_listing_ends(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody may have written until then.
    store = ChangingStore("a")
    store.granularity_s = 2.0
    store.recent = {"a"}
    list_now = store.entries

    def entries(known: Listing | None = None) -> Listing:
        clock.now += 5.0
        return list_now(known)

    monkeypatch.setattr(store, "entries", entries)
    assert store.snapshot() == ["a1"]
    assert store.reads == ["a", "a"]


def test_under_the_lock_one_look_is_enough() -> None:
    store = ChangingStore("ab")
    store.granularity_s = 1000.0
    store.recent = {"a"}
    contents = iter(range(100))

    def read(key: str, version: Hashable) -> Seen[str] | None:
        seen = store.read(key, version)
        return Seen(f"content {next(contents)}") if key == "a" else seen

    found = snapshot(cast("ArtifactStore", store), read)
    assert found == {"a": "content 3", "b": "b1"}
    assert store.reads == ["ab", "a", "a", "a"]
    assert store.lock_count == 1


# read_artifact


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path, 1.0)
    store.save(trained(), if_match=None, if_absent=False)
    return store


def listed(store: DirectoryStore) -> tuple[str, Hashable]:
    [(key, version)] = store.entries().items()
    return key, version


def test_artifact_is_read_in_the_version_that_was_listed(
    directory: DirectoryStore,
) -> None:
    key, version = listed(directory)
    assert read_artifact(directory, key, version) == Seen(trained())
    directory.save(trained(tag="other"), if_match=None, if_absent=False)
    assert read_artifact(directory, key, version) is None
    key, version = listed(directory)
    assert read_artifact(directory, key, version) == Seen(trained(tag="other"))


def test_damaged_artifact_has_a_version_too(
    directory: DirectoryStore, tmp_path: Path
) -> None:
    (tmp_path / f"{trained().schema_hash}.json").write_bytes(b"{")
    key, version = listed(directory)
    seen = read_artifact(directory, key, version)
    assert seen is not None
    assert seen.is_exact
    assert isinstance(seen.value, str)
    assert key in seen.value
    (tmp_path / f"{trained().schema_hash}.json").write_bytes(b"")
    assert read_artifact(directory, key, version) is None


def test_what_is_gone_or_unreadable_has_no_version(
    directory: DirectoryStore, tmp_path: Path
) -> None:
    key, version = listed(directory)
    path = tmp_path / f"{key}.json"
    path.unlink()
    gone = read_artifact(directory, key, version)
    path.mkdir()
    unreadable = read_artifact(directory, key, version)
    assert gone is not None
    assert unreadable is not None
    assert not gone.is_exact
    assert not unreadable.is_exact
    assert "not a regular file" in str(unreadable.value)
