"""Versions that cannot be kept: the one that is served stays."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.histories import KEY, content, kept, numbers, saved, version
from zsm_store import (
    Durability,
    SchemaRegistry,
    StorageError,
)
from zsm_store.storage import history

if TYPE_CHECKING:
    from collections.abc import Callable


def fail(number: int, times: float = float("inf")) -> Callable[..., None]:
    """Return a system call that fails; after some times it works as ever."""
    left, link = times, os.link

    def call(*args: Path, **options: bool) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            link(*args, **options)
            return
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("call", ["link", "mkdir", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_what_cannot_be_kept_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    registry = saved(tmp_path, 1)
    # Durability.RENAME: but for the kept version, it syncs nothing.
    careless = SchemaRegistry.open(tmp_path, durability=Durability.RENAME)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail(number))
        for change in (
            lambda: careless.save(version(1)),
            lambda: careless.delete(KEY),
        ):
            with pytest.raises(StorageError) as caught:
                change()
            assert caught.value.errno == number
    assert numbers(registry.history(KEY)) == [0]
    registry.save(version(1))
    assert numbers(registry.history(KEY)) == [1, 0]


def test_saves_that_fail_push_no_version_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 3, keep=2)
    rename = Path.replace

    def refuse(staging: Path, target: Path) -> Path:
        if target == tmp_path / f"{KEY}.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(staging, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        for _ in range(5):
            with pytest.raises(StorageError):
                registry.save(version(3))
    assert set(kept(tmp_path)) >= {content(1), content(0)}
    assert numbers(registry.history(KEY)) == [2, 1, 0]
    registry.save(version(3))
    assert kept(tmp_path) == [content(2), content(1)]


def test_what_is_deleted_and_saved_again_takes_one_place(tmp_path: Path) -> None:
    registry = saved(tmp_path, 2, keep=2)
    registry.delete(KEY)
    registry.save(version(1))
    assert numbers(registry.history(KEY)) == [1, 0]
    registry.save(version(2))
    assert kept(tmp_path) == [content(1), content(0)]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_there_are_no_links_versions_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", fail(number))
    registry = saved(tmp_path, 3)
    large = b"x" * (3 << 20)
    (tmp_path / f"{KEY}.json").write_bytes(large)
    registry.save(version(3))
    assert kept(tmp_path) == [large, content(1), content(0)]
    registry.delete(KEY)
    assert kept(tmp_path)[0] == content(3)
    assert list((tmp_path / ".zsm" / "tmp").iterdir()) == []


def test_copying_needs_nothing_that_a_clone_does_not_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 1)
    shutil.rmtree(tmp_path / ".zsm")
    monkeypatch.setattr(os, "link", fail(errno.EPERM))
    registry.delete(KEY)
    assert kept(tmp_path) == [content(0)]


def test_file_that_a_drive_hides_for_a_moment_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 1)
    monkeypatch.setattr(os, "link", fail(errno.ENOENT, times=3))
    registry.save(version(1))
    assert kept(tmp_path) == [content(0)]


def test_file_that_a_drive_hides_for_good_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 1)
    monkeypatch.setattr(history, "SHARED_S", 0.01)
    monkeypatch.setattr(os, "link", fail(errno.ENOENT))
    with pytest.raises(StorageError, match="cannot keep"):
        registry.save(version(1))
    assert registry.get(KEY) == version(0)


def test_file_that_somebody_removes_need_not_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 1)
    monkeypatch.setattr(history, "SHARED_S", 0.01)
    link = os.link

    def remove_and_link(current: Path, target: Path, **how: bool) -> None:
        current.unlink(missing_ok=True)
        link(current, target, **how)

    monkeypatch.setattr(os, "link", remove_and_link)
    registry.save(version(1))
    assert registry.get(KEY) == version(1)
    assert kept(tmp_path) == []


def test_history_that_somebody_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 2)
    link, tries = os.link, itertools.count()

    def remove_and_link(current: Path, target: Path, **how: bool) -> None:
        if next(tries) == 0:
            shutil.rmtree(tmp_path / "history")
        link(current, target, **how)

    monkeypatch.setattr(os, "link", remove_and_link)
    registry.save(version(2))
    assert kept(tmp_path) == [content(1)]


def test_answer_that_a_drive_lost_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 1)
    link = os.link

    def link_twice(current: Path, target: Path, **how: bool) -> None:
        link(current, target, **how)
        link(current, target, **how)

    monkeypatch.setattr(os, "link", link_twice)
    registry.save(version(1))
    assert kept(tmp_path) == [content(0)]


# Links that lead out of the registry.


@pytest.mark.parametrize("where", ["history", f"history/{KEY}"])
@pytest.mark.parametrize("dangling", [False, True], ids=["", "dangling"])
def test_history_that_leads_out_of_the_registry_is_refused(
    tmp_path: Path, where: str, *, dangling: bool
) -> None:
    registry_dir, outside = tmp_path / "registry", tmp_path / "outside"
    registry = saved(registry_dir, 1)
    link = registry_dir / where
    link.parent.mkdir(exist_ok=True)
    if not dangling:
        (outside / KEY).mkdir(parents=True)
    link.symlink_to(outside)
    before = sorted(tmp_path.rglob("*"))
    for change in (
        lambda: registry.save(version(1)),
        lambda: registry.delete(KEY),
        lambda: registry.history(KEY),
    ):
        with pytest.raises(StorageError, match="symbolic link") as caught:
            change()
        assert caught.value.errno == errno.ELOOP
    assert registry.get(KEY) == version(0)
    assert sorted(tmp_path.rglob("*")) == before
    if where == "history":
        with pytest.raises(StorageError, match="symbolic link"):
            registry.history(KEY[:10] + "0")


def test_version_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    registry = saved(tmp_path / "registry", 2)
    secret = tmp_path / "secret.json"
    secret.write_bytes(content(7))
    [file] = (tmp_path / "registry" / "history" / KEY).iterdir()
    file.unlink()
    file.symlink_to(secret)
    assert numbers(registry.history(KEY)) == [1]
    assert "symbolic link" in registry.history(KEY)[1].problem


def test_history_that_cannot_be_looked_at_is_an_error_of_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = saved(tmp_path, 2)

    def refuse(_: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "is_symlink", refuse)
    for act in (
        lambda: registry.save(version(2)),
        lambda: registry.history(KEY),
        lambda: registry.history(KEY[:6] + "00"),
    ):
        with pytest.raises(StorageError) as caught:
            act()
        assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("times", [2, 1_000_000])
def test_stale_handle_of_a_version_is_not_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    registry, left, read = saved(tmp_path, 2), times, history.read_regular

    def read_in_the_end(path: Path, limit: int) -> bytes:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(path, limit)

    monkeypatch.setattr(history, "SHARED_S", 0.05)
    monkeypatch.setattr(history, "read_regular", read_in_the_end)
    served, before = registry.history(KEY)
    assert numbers([served]) == [1]
    if times == 2:
        assert numbers([before]) == [0]
    else:
        assert os.strerror(errno.ESTALE) in before.problem
