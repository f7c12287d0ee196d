"""The private folder: made again when it is gone, never a way out of the registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.examples import trained
from zsm_store import LockStrategy, SchemaRegistry, StorageError
from zsm_store.storage.private import STALE_STAGING_S, PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that nothing may be written to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"precious")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["precious"]
    assert (folder / "precious").read_bytes() == b"precious"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    SchemaRegistry.init(path)
    return path


def test_private_folder_is_made_and_stays(tmp_path: Path) -> None:
    private = PrivateDirectory(tmp_path)
    assert private.make() == tmp_path / ".zsm" / "tmp"
    assert private.make().is_dir()
    assert (tmp_path / ".zsm" / ".gitignore").read_bytes() == b"*\n"


@pytest.mark.parametrize("lock", LockStrategy)
@pytest.mark.parametrize("name", [".zsm", ".zsm/tmp"])
def test_link_that_came_with_a_clone_leads_nowhere(
    path: Path, outside: Path, name: str, lock: LockStrategy
) -> None:
    registry = SchemaRegistry.init(path, lock=lock)
    link = path / name
    if link.is_dir():
        for entry in sorted(link.rglob("*"), reverse=True):
            entry.rmdir() if entry.is_dir() else entry.unlink()
        link.rmdir()
    link.symlink_to(outside)
    with pytest.raises(StorageError, match="symbolic link"):
        registry.save(trained())
    assert registry.list_all() == []


@pytest.mark.parametrize("name", [".zsm/.gitignore", ".zsm/lock"])
@pytest.mark.parametrize("target", ["precious", "nothing there"])
def test_file_behind_a_link_is_not_written(
    path: Path, outside: Path, name: str, target: str
) -> None:
    registry = SchemaRegistry.init(path, lock=LockStrategy.MARKER)
    registry.close()
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(outside / target)
    with SchemaRegistry.open(path, lock_timeout_s=0.2) as registry:
        try:
            registry.save(trained())
        except (StorageError, TimeoutError):
            assert registry.list_all() == []
        else:
            assert registry.list_all() == [trained()]


def test_files_behind_a_linked_staging_folder_are_not_swept(
    path: Path, outside: Path
) -> None:
    old = STALE_STAGING_S * 10
    os.utime(outside / "precious", (old, old))
    (path / ".zsm" / "tmp").rmdir() if (path / ".zsm" / "tmp").exists() else None
    (path / ".zsm" / "tmp").symlink_to(outside)
    assert PrivateDirectory(path).sweep(1e12) == 0


@pytest.mark.parametrize("name", ["registry.json", ".gitattributes"])
def test_settings_behind_a_link_are_neither_read_nor_written(
    path: Path, outside: Path, name: str
) -> None:
    (path / name).unlink()
    (path / name).symlink_to(outside / "precious")
    if name == "registry.json":
        with pytest.raises(StorageError, match="symbolic link"):
            SchemaRegistry.open(path).save(trained())
        with pytest.raises(StorageError, match="symbolic link"):
            SchemaRegistry.init(path, keep=3)
    else:
        SchemaRegistry.open(path).save(trained())
