"""What is known of git without running it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered
from zsm_store import ArtifactNotFoundError, SchemaRegistry, WarmLoad
from zsm_store.registry import directory_listing, file_reader
from zsm_store.storage.patience import Patience
from zsm_store.storage.work_tree import WorkTree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(b"DIRC")
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a git that will not end."""
    monkeypatch.setattr(directory_listing, "GIT_S", 0.05)
    monkeypatch.setattr(file_reader, "GIT_S", 0.05)


def test_work_tree_is_found_above(top: Path) -> None:
    tree = WorkTree.around(top / "models")
    assert tree is not None
    assert tree.state is not None
    assert not tree.is_busy
    (top / ".git" / "index.lock").touch()
    assert tree.is_busy
    assert WorkTree.around(top / "nothing" / "here") is not None


def test_linked_work_tree_has_an_index_of_its_own(top: Path) -> None:
    linked = top.parent / f"{top.name}-linked"
    linked.mkdir()
    own = top / ".git" / "worktrees" / "linked"
    own.mkdir(parents=True)
    (linked / ".git").write_text(f"gitdir: {own}\n")
    tree = WorkTree.around(linked)
    assert tree is not None
    assert tree.state is None
    (own / "index").touch()
    assert tree.state is not None
    (own / "index.lock").touch()
    assert tree.is_busy


def test_index_of_a_submodule_is_named_from_where_it_is(top: Path) -> None:
    module = top / "models"
    (module / ".git").write_text("gitdir: ../.git/modules/models\n")
    own = top / ".git" / "modules" / "models"
    own.mkdir(parents=True)
    (own / "index.lock").touch()
    tree = WorkTree.around(module)
    assert tree is not None
    assert tree.is_busy


@pytest.mark.parametrize("content", [b"", b"nothing of git", b"gitdir: " * 1000])
def test_what_only_looks_like_one_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    assert WorkTree.around(tmp_path) is None


def test_lock_of_a_killed_git_is_not_waited_for(top: Path) -> None:
    lock = top / ".git" / "index.lock"
    lock.touch()
    old = time.time() - 300
    os.utime(lock, (old, old))
    tree = WorkTree.around(top)
    assert tree is not None
    assert not tree.is_busy
    assert tree.wait(Patience(0))


def test_waiting_has_an_end(top: Path) -> None:
    (top / ".git" / "index.lock").touch()
    tree = WorkTree.around(top)
    assert tree is not None
    assert not tree.wait(Patience(0.02))


@pytest.mark.usefixtures("brief")
def test_what_git_has_removed_for_too_long_is_there_as_before(
    top: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = SchemaRegistry.init(top / "models")
    for number in range(3):
        registry.save(numbered(number))
    assert len(registry) == 3
    hidden = top / "models" / f"{numbered(0).schema_hash}.json"
    (top / ".git" / "index.lock").touch()
    hidden.rename(top / "aside")
    assert len(registry) == 3, "the last good state"
    assert "git has been at" in caplog.text
    mode = registry.lookup_startup_mode(numbered(1).fingerprint)
    assert isinstance(mode, WarmLoad)
    with pytest.raises(ArtifactNotFoundError):
        registry.get(numbered(0).schema_hash)  # there is nothing to serve
    (top / ".git" / "index.lock").unlink()
    assert len(registry) == 2


def test_git_that_ends_as_the_patience_does_is_no_error(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SchemaRegistry.init(top / "models")
    registry.save(numbered(0))
    waits = []

    def wait(tree: WorkTree, patience: Patience) -> bool:
        waits.append(patience)
        return len(waits) > 3 and not tree.is_busy

    monkeypatch.setattr(WorkTree, "wait", wait)
    assert len(registry) == 1
    assert len(waits) == 4


def test_file_that_comes_back_while_git_is_at_it_is_read(top: Path) -> None:
    registry = SchemaRegistry.init(top / "models")
    registry.save(numbered(0))
    file = top / "models" / f"{numbered(0).schema_hash}.json"
    data = file.read_bytes()
    child = os.fork()
    if child == 0:
        time.sleep(0.3)
        file.write_bytes(data[:100])
        time.sleep(0.2)
        file.write_bytes(data)
        (top / ".git" / "index.lock").unlink()
        os._exit(0)
    (top / ".git" / "index.lock").touch()
    file.unlink()
    try:
        assert registry.get(numbered(0).schema_hash) == numbered(0)
    finally:
        os.waitpid(child, 0)


def test_change_in_a_fan_out_folder_shows_with_the_index_of_git(top: Path) -> None:
    from zsm_store import Layout  # noqa: PLC0415

    registry = SchemaRegistry.init(top / "models", layout=Layout.FAN_OUT)
    registry.save(numbered(0))
    assert len(registry) == 1
    key = numbered(1).schema_hash
    with SchemaRegistry.init(top / "other", layout=Layout.FAN_OUT) as other:
        other.save(numbered(1))
    folder = top / "models" / key[:2]
    before = (top / "models").stat()
    folder.mkdir(exist_ok=True)
    (top / "other" / key[:2] / f"{key}.json").rename(folder / f"{key}.json")
    os.utime(top / "models", ns=(before.st_atime_ns, before.st_mtime_ns))
    (top / ".git" / "new").write_bytes(b"DIRC")
    (top / ".git" / "new").rename(top / ".git" / "index")
    assert len(registry) == 2
