from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from zsm_store import StorageError
from zsm_store.storage import spool as spool_module
from zsm_store.storage.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 3 << 20


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_what_was_set_aside_is_read_in_any_order(tmp_path: Path, size: int) -> None:
    pieces = [bytes([number]) * (size + number) for number in range(4)]
    with Spool(tmp_path) as spool:
        places = [spool.append(piece) for piece in pieces[:2]]
        assert spool.read(places[1]) == pieces[1]
        places += [spool.append(piece) for piece in pieces[2:]]
        for number in (3, 0, 2, 1, 3):
            assert spool.read(places[number]) == pieces[number]


def test_nothing_shows_in_the_directory_meanwhile_and_afterwards(
    tmp_path: Path,
) -> None:
    with Spool(tmp_path) as spool:
        spool.append(bytes(LARGE))
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_IN_MEMORY_BYTES", 10)
    with Spool(tmp_path) as spool, monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> int:
            raise OSError(errno.ENOSPC, "full")

        patch.setattr(os, "open", full)
        with pytest.raises(StorageError, match=f"write .*{tmp_path.name}.*full") as no:
            spool.append(bytes(100))
    assert no.value.errno == errno.ENOSPC


def test_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    with (
        Spool(tmp_path / "missing") as spool,
        pytest.raises(StorageError, match="missing"),
    ):
        spool.append(bytes(LARGE))
