from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

import pytest

from zsm_store.errors import StorageError
from zsm_store.storage import atomic, cache_file
from zsm_store.storage.cache_file import read_cache_file, write_cache_file

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"registry": "/srv/größe", "numbers": {"count": 3}}
COLUMNS = {
    "rows": memoryview(array("i", [1, -2, 3])),
    "nothing": memoryview(array("q")),
    "rates": memoryview(array("f", [0.25, 1.0])),
    "inodes": memoryview(array("Q", [2**64 - 1])),
    "text": memoryview(b"x" * 100),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "one.cache"
    write_cache_file(path, HEAD, COLUMNS)
    return path


@pytest.mark.parametrize("mapped", [True, False])
def test_what_is_written_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, mapped: bool
) -> None:
    monkeypatch.setattr(cache_file, "is_local", lambda _: mapped)
    found = read_cache_file(path)
    assert found is not None
    head, columns = found
    assert head == HEAD
    assert list(columns) == list(COLUMNS)
    for name, column in COLUMNS.items():
        assert columns[name].format == column.format
        assert columns[name].tolist() == column.tolist()


def test_columns_begin_where_arrays_may(path: Path) -> None:
    data = path.read_bytes()
    for column in COLUMNS.values():
        start = data.find(bytes(column)) if len(column) else 0
        assert start % 64 == 0


def test_any_wrong_byte_is_found(path: Path) -> None:
    good = path.read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert read_cache_file(path) is None, position


def test_file_that_is_cut_or_goes_on_is_not_trusted(path: Path) -> None:
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert read_cache_file(path) is None, length
    path.write_bytes(good + b"x")
    assert read_cache_file(path) is None


def test_what_another_user_has_written_is_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert read_cache_file(path) is None


def test_missing_file_directory_and_link_are_no_caches(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(path)
    for name in ("missing", ".", "link"):
        assert read_cache_file(tmp_path / name) is None


def test_writing_replaces_and_leaves_nothing_behind(path: Path) -> None:
    write_cache_file(path, {"other": 1}, {})
    assert read_cache_file(path) == ({"other": 1}, {})
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208  # names are all it takes


def test_full_disk_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        write_cache_file(path, {}, {})
    monkeypatch.undo()
    found = read_cache_file(path)
    assert found is not None
    assert found[0] == HEAD
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208  # names are all it takes
