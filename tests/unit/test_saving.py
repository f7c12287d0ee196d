"""Saving: one or many, durable or fast, for a group, on drives that refuse at first."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered, trained
from zsm_store import (
    ConflictError,
    Durability,
    InvalidArtifactError,
    Layout,
    LockStrategy,
    SchemaRegistry,
    StorageError,
    WarmLoad,
)
from zsm_store.registry import file_writer
from zsm_store.registry.site import RegistrySite
from zsm_store.storage import artifact_files, patience
from zsm_store.storage import directory as directory_module
from zsm_store.storage.directory import ArtifactDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store import ModelArtifact

COUNT = 20


def make(kind: str, path: Path) -> SchemaRegistry:
    return SchemaRegistry.in_memory() if kind == "memory" else SchemaRegistry.open(path)


@pytest.fixture(params=["directory", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> SchemaRegistry:
    return make(str(request.param), tmp_path / "registry")


def many(count: int = COUNT) -> list[ModelArtifact]:
    return [numbered(number) for number in range(count)]


def test_all_of_many_are_saved(registry: SchemaRegistry) -> None:
    report = registry.save_many(many())
    assert list(report.saved) == [artifact.schema_hash for artifact in many()]
    assert report.failed == {}
    for artifact in many():
        assert report.saved[artifact.schema_hash] == registry.digest(
            artifact.schema_hash
        )
        assert isinstance(registry.lookup_startup_mode(artifact.fingerprint), WarmLoad)
    assert len(registry.list_all()) == COUNT


def test_of_many_those_that_are_there_may_be_left_alone(
    registry: SchemaRegistry,
) -> None:
    older = numbered(3, tag="older")
    found = registry.save(older)
    report = registry.save_many(many(), if_absent=True)
    assert len(report.saved) == COUNT - 1
    [(key, error)] = report.failed.items()
    assert key == older.schema_hash
    assert isinstance(error, ConflictError)
    assert (error.expected, error.found) == (None, found)
    assert registry.get(key) == older


def test_one_that_cannot_be_saved_does_not_stop_the_others(tmp_path: Path) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")
    blocked = many()[7].schema_hash
    (tmp_path / "r" / f"{blocked}.json").mkdir()
    report = registry.save_many(many())
    assert report.failed.keys() == {blocked}
    assert isinstance(report.failed[blocked], StorageError)
    assert len(report.saved) == len(registry.list_all()) == COUNT - 1
    assert not list((tmp_path / "r" / ".zsm" / "tmp").iterdir())


def test_two_of_one_schema_are_refused_before_anything_is_saved(
    registry: SchemaRegistry,
) -> None:
    twice = numbered(1, tag="a"), numbered(1, tag="b")
    with pytest.raises(InvalidArtifactError, match=r"2 artifacts of schema"):
        registry.save_many([numbered(0), *twice])
    assert registry.list_all() == []


def test_nothing_is_saved_of_nothing(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path / "r")
    assert registry.save_many([]).saved == {}
    assert not (tmp_path / "r").exists()


def test_more_than_one_group_is_saved(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_writer, "_AT_ONCE", 7)
    assert len(registry.save_many(many()).saved) == COUNT


def test_bundle_refuses_many(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path / "r")
    registry.save(trained())
    registry.pack(tmp_path / "b.zsm")
    with pytest.raises(StorageError, match="read-only"):
        SchemaRegistry.open(tmp_path / "b.zsm").save_many(many())


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record what is synced."""
    recorded: list[Path] = []
    real = os.fsync

    def record(fd: int) -> None:
        recorded.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", record)
    return recorded


@pytest.mark.parametrize("layout", Layout)
def test_many_share_the_sync_of_a_directory(
    tmp_path: Path, synced: list[Path], layout: Layout
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.init(path, layout=layout)
    artifacts = many()
    folders = {artifact.schema_hash[:2] for artifact in artifacts}
    if layout is Layout.FAN_OUT:
        for folder in folders:
            (path / folder).mkdir()
    synced.clear()
    registry.save_many(artifacts)
    files = [where for where in synced if where.parent == path / ".zsm" / "tmp"]
    assert len(files) == COUNT, "each file is synced, before it is renamed"
    others = sorted(set(synced) - set(files))
    if layout is Layout.FAN_OUT:
        assert others == sorted([path, *(path / folder for folder in folders)])
    else:
        assert others == [path]
    assert len(synced) == len(files) + len(others), "each directory once"


def test_save_that_need_not_survive_a_power_cut_syncs_nothing(
    tmp_path: Path, synced: list[Path]
) -> None:
    SchemaRegistry.init(tmp_path / "r")
    synced.clear()
    registry = SchemaRegistry.open(tmp_path / "r", durability=Durability.RENAME)
    registry.save(trained())
    registry.save_many(many())
    assert synced == []
    assert len(registry.list_all()) == COUNT + 1


def test_nothing_is_acknowledged_whose_directory_could_not_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")

    def fail(path: Path) -> None:
        raise StorageError.of("sync", path, OSError(errno.EIO, "bad disk"))

    monkeypatch.setattr(directory_module, "sync_directory", fail)
    report = registry.save_many(many())
    assert report.saved == {}
    assert len(report.failed) == COUNT


def test_default_acl_of_a_shared_registry_is_inherited(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    path.mkdir()
    # user::rwx, group::r-x, group:4321:rwx, mask::rwx, other::---
    entries = [(1, 7, -1), (4, 5, -1), (8, 7, 4321), (16, 7, -1), (32, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHi", *entry) for entry in entries
    )
    try:
        os.setxattr(path, "system.posix_acl_default", acl)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")
    SchemaRegistry.init(path, layout=Layout.FAN_OUT, keep=1).save(trained())
    SchemaRegistry.open(path).save(trained(em_iterations=7))
    files = [file for file in path.rglob("*.json") if file.is_file()]
    assert len(files) == 3  # settings, artifact, kept version
    for file in files:
        found = os.getxattr(file, "system.posix_acl_access")
        [granted] = [
            permissions
            for kind, permissions, who in struct.iter_unpack("<HHi", found[4:])
            if (kind, who) == (8, 4321)
        ]
        assert granted & 6 == 6
        assert stat.S_IMODE(file.stat().st_mode) & 0o060 == 0o060  # the mask


# Drives that refuse for a moment what they will allow.


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file system for a network drive's."""
    monkeypatch.setattr(ArtifactDirectory, "is_local", False)
    monkeypatch.setattr(artifact_files, "is_local", lambda _: False)


def refuse_renames(
    monkeypatch: pytest.MonkeyPatch, number: int, times: int
) -> Callable[[], int]:
    left, real = times, Path.replace

    def replace(staging: Path, target: Path) -> Path:
        nonlocal left
        if left and len(Path(target).stem) == 64:
            left -= 1
            raise OSError(number, os.strerror(number))
        return real(staging, target)

    monkeypatch.setattr(Path, "replace", replace)
    return lambda: left


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EBUSY, errno.ESTALE, errno.ETXTBSY]
)
def test_rename_over_a_file_that_somebody_reads_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")
    left = refuse_renames(monkeypatch, number, 4)
    registry.save(trained())
    assert left() == 0
    assert registry.list_all() == [trained()]


@pytest.mark.usefixtures("shared")
def test_rename_is_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")
    registry.save(trained())
    waited: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", waited.append)
    refuse_renames(monkeypatch, errno.EACCES, -1)
    with pytest.raises(StorageError) as caught:
        registry.save(trained(em_iterations=7))
    assert caught.value.errno == errno.EACCES
    assert sum(waited) == pytest.approx(patience.SHARED_S)
    assert registry.list_all() == [trained()]


def test_permission_that_is_missing_on_a_local_disk_is_missing_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")
    left = refuse_renames(monkeypatch, errno.EACCES, 2)
    with pytest.raises(StorageError):
        registry.save(trained())
    assert left() == 1


@pytest.mark.usefixtures("shared")
def test_file_that_a_drive_hides_while_it_is_replaced_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r")
    registry.save(trained())
    left, real = 3, artifact_files.open_regular

    def open_regular(path: str) -> tuple[int, os.stat_result]:
        nonlocal left
        if left and str(path).endswith(f"{trained().schema_hash}.json"):
            left -= 1
            raise FileNotFoundError(errno.ENOENT, "hidden")
        return real(path)

    monkeypatch.setattr(artifact_files, "open_regular", open_regular)
    assert registry.get(trained().schema_hash) == trained()
    assert left == 0
    assert registry.get_exact(numbered(1).fingerprint) is None


# Settings: what may be changed, and that everybody follows.


def test_lock_of_a_registry_can_be_changed_and_writers_follow(tmp_path: Path) -> None:
    writer = SchemaRegistry.init(tmp_path / "r")
    writer.save(numbered(0))
    SchemaRegistry.init(tmp_path / "r", lock=LockStrategy.MARKER).close()
    site = RegistrySite(tmp_path / "r", 0.1)
    with site.locked() as (_, settings):
        assert settings is not None
        assert settings.lock is LockStrategy.MARKER
        assert (tmp_path / "r" / ".zsm" / "lock").exists()
        patient = SchemaRegistry.open(tmp_path / "r", lock_timeout_s=0.1)
        patient._store.site._lock = LockStrategy.FLOCK  # type: ignore[attr-defined]
        with pytest.raises(TimeoutError):
            patient.save(numbered(1))  # knew the old lock, and found the new one
    writer.save(numbered(1))
    assert not (tmp_path / "r" / ".zsm" / "lock").exists()


def test_what_is_not_said_at_init_stays(tmp_path: Path) -> None:
    path = tmp_path / "r"
    SchemaRegistry.init(path, layout=Layout.FAN_OUT, lock=LockStrategy.MARKER, keep=3)
    before = (path / "registry.json").read_bytes()
    SchemaRegistry.init(path)
    assert (path / "registry.json").read_bytes() == before
    SchemaRegistry.init(path, keep=0)
    assert b"keep" not in (path / "registry.json").read_bytes()
    assert b"marker" in (path / "registry.json").read_bytes()


@pytest.mark.parametrize("keep", [-1, 1001])
def test_number_of_kept_versions_has_limits(tmp_path: Path, keep: int) -> None:
    with pytest.raises(InvalidArtifactError, match="0 to 1000"):
        SchemaRegistry.init(tmp_path / "r", keep=keep)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("keep", ["true", "-1", "1001", "1.0", '"3"', "null"])
def test_damaged_number_of_kept_versions_is_named(tmp_path: Path, keep: str) -> None:
    SchemaRegistry.init(tmp_path / "r")
    text = f'{{"format": "zsm-registry/1", "keep": {keep}}}'
    (tmp_path / "r" / "registry.json").write_text(text)
    with pytest.raises(Exception, match="'keep' is"):
        SchemaRegistry.open(tmp_path / "r").save(trained())
