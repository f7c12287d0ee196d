from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from zsm_store.errors import StorageError
from zsm_store.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zsm"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def source(path: Path) -> Iterator[FileSource]:
    opened = FileSource(path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (0, 4), (100, 300), (0, len(DATA)), (len(DATA) - 3, 3)],
)
def test_bytes_come_from_their_offset(
    source: FileSource, offset: int, length: int
) -> None:
    assert source.read(offset, length) == DATA[offset : offset + length]
    assert source.size == len(DATA)


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 1000])
def test_behind_the_end_there_is_nothing(source: FileSource, offset: int) -> None:
    assert source.read(offset, 10) == b""
    assert source.read(len(DATA) - 2, 10) == DATA[-2:]


def test_short_reads_are_continued(
    source: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 7), at))
    assert source.read(5, 100) == DATA[5:105]


def test_threads_share_it(source: FileSource) -> None:
    wrong = []

    def read(start: int) -> None:
        wrong.extend(
            offset
            for offset in range(start, start + 2000, 7)
            if source.read(offset, 50) != DATA[offset : offset + 50]
        )

    threads = [threading.Thread(target=read, args=(n * 10,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_replaced_file_is_noticed_and_the_old_bytes_stay(
    source: FileSource, path: Path
) -> None:
    assert source.is_current()
    other = path.with_suffix(".new")
    other.write_bytes(DATA[::-1])
    other.replace(path)
    assert not source.is_current()
    assert source.read(0, len(DATA)) == DATA


def test_file_that_is_gone_is_a_storage_error(source: FileSource, path: Path) -> None:
    path.unlink()
    with pytest.raises(StorageError) as caught:
        source.is_current()
    assert caught.value.errno == errno.ENOENT


def test_truncated_file_gives_fewer_bytes_instead_of_a_crash(
    source: FileSource, path: Path
) -> None:
    os.truncate(path, 10)
    assert source.read(0, 100) == DATA[:10]


def test_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*missing\.zsm"):
        FileSource(tmp_path / "missing.zsm")


@pytest.mark.timeout(10)  # a pipe would block for ever
@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_a_storage_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.zsm"
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(StorageError, match="not a regular file"):
        FileSource(path)


def test_reading_after_close_is_a_storage_error(path: Path) -> None:
    source = FileSource(path)
    source.close()
    source.close()
    with pytest.raises(StorageError, match="cannot read"):
        source.read(0, 1)
