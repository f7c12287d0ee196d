from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from zsm_store.errors import ArtifactNotFoundError, StorageError
from zsm_store.registry.moment import at_one_moment

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping


class ScriptedStore:
    """Has other versions each time it is looked at, as scripted."""

    def __init__(self, *versions: int) -> None:
        self._versions = list(versions)
        self.lock_count = 0
        self.is_locked = False

    def entries(self) -> Mapping[str, Hashable]:
        if len(self._versions) > 1:
            return {"key": self._versions.pop(0)}
        return {"key": self._versions[0]}

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.lock_count += 1
        self.is_locked = True
        yield
        self.is_locked = False


def read(entries: Mapping[str, Hashable]) -> Hashable:
    return entries["key"]


def test_store_at_rest_is_read_once_and_not_locked() -> None:
    store = ScriptedStore(1)
    calls = []
    assert at_one_moment(store, lambda entries: calls.append(read(entries))) is None  # type: ignore[arg-type]
    assert calls == [1]
    assert store.lock_count == 0


def test_change_while_reading_makes_it_read_again() -> None:
    store = ScriptedStore(1, 2, 3)
    assert at_one_moment(store, read) == 3  # type: ignore[arg-type]
    assert store.lock_count == 0


def test_store_that_never_rests_is_locked() -> None:
    store = ScriptedStore(*range(1, 8))
    seen = []

    def look(entries: Mapping[str, Hashable]) -> Hashable:
        seen.append(store.is_locked)
        return read(entries)

    assert at_one_moment(store, look) == 7  # type: ignore[arg-type]
    assert seen == [False, False, False, True]
    assert not store.is_locked


def test_artifact_deleted_meanwhile_makes_it_read_again() -> None:
    store = ScriptedStore(1)
    failures = iter([ArtifactNotFoundError("key")])

    def look(entries: Mapping[str, Hashable]) -> Hashable:
        for error in failures:
            raise error
        return read(entries)

    assert at_one_moment(store, look) == 1  # type: ignore[arg-type]
    assert store.lock_count == 0


def test_other_errors_are_not_hidden() -> None:
    def look(_: Mapping[str, Hashable]) -> Hashable:
        raise StorageError(5, "broken")

    with pytest.raises(StorageError):
        at_one_moment(ScriptedStore(1), look)  # type: ignore[arg-type]


class UnlockableStore(ScriptedStore):
    """Refuses to be locked, as a read-only registry does."""

    location = "here"

    def __init__(self, *versions: int, number: int = errno.EACCES) -> None:
        super().__init__(*versions)
        self._number = number

    def locked(self) -> NoReturn:  # type: ignore[override]
        self.lock_count += 1
        raise StorageError(self._number, "refused", "lock")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_reader_who_may_not_lock_tries_on(number: int) -> None:
    store = UnlockableStore(*range(1, 40), number=number)
    assert at_one_moment(store, read) == 39  # type: ignore[arg-type]
    assert store.lock_count == 1


def test_reader_who_may_not_lock_gives_up_in_the_end() -> None:
    store = UnlockableStore(*range(100_000))
    with pytest.raises(StorageError, match="changes faster than it can be read"):
        at_one_moment(store, read)  # type: ignore[arg-type]


def test_lock_that_fails_otherwise_is_an_error() -> None:
    store = UnlockableStore(*range(100), number=errno.EIO)
    with pytest.raises(StorageError, match="refused"):
        at_one_moment(store, read)  # type: ignore[arg-type]
