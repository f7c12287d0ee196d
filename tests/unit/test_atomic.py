from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.processes import command, environment, run
from zsm_store.errors import StorageError
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = b"old content\n"
NEW = b"new content, which is longer\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "artifact.json"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def staging_dir(tmp_path: Path) -> Path:
    path = tmp_path / "tmp"
    path.mkdir()
    return path


def write(path: Path, staging_dir: Path, data: bytes = NEW) -> None:
    """Publish as the registry does."""
    with staged((data,), path.name, staging_dir) as staging:
        publish(staging, path)
        sync_directory(path.parent)


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def test_new_content_replaces_the_old(target: Path, staging_dir: Path) -> None:
    write(target, staging_dir)
    assert target.read_bytes() == NEW
    assert list(staging_dir.iterdir()) == []


def test_content_arrives_piece_by_piece(target: Path, staging_dir: Path) -> None:
    with staged((b"a", b"", b"bc"), "name", staging_dir) as staging:
        assert staging.read_bytes() == b"abc"
        publish(staging, target)
    assert target.read_bytes() == b"abc"


def test_file_is_synced_before_it_gets_its_name_and_the_name_after(
    target: Path, staging_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(fd: int) -> None:
        folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        synced = Path(f"/proc/self/fd/{fd}").readlink()
        assert synced == target.parent if folder else synced.parent == staging_dir
        steps.append("sync directory" if folder else "sync file")
        fsync(fd)

    def record_replace(self: Path, other: Path) -> Path:
        steps.append("rename")
        return replace(self, other)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    write(target, staging_dir)
    assert steps == ["sync file", "rename", "sync directory"]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o000, 0o027])
def test_umask_alone_decides_who_may_read(
    target: Path, staging_dir: Path, umask: int
) -> None:
    code = f"""
import os, sys
from pathlib import Path
from zsm_store.storage.atomic import publish, staged
os.umask({umask})
with staged((b"x",), "name", Path(sys.argv[2])) as staging:
    publish(staging, Path(sys.argv[1]))
"""
    assert run(code, target, staging_dir).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a group away")
def test_group_of_a_setgid_directory_is_inherited(tmp_path: Path) -> None:
    staging_dir = tmp_path / "shared"
    staging_dir.mkdir()
    os.chown(staging_dir, 0, 4321)
    staging_dir.chmod(0o2775)
    write(tmp_path / "artifact.json", staging_dir)
    assert (tmp_path / "artifact.json").stat().st_gid == 4321


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_interrupted_writer_leaves_no_litter(
    target: Path, staging_dir: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), staged((NEW,), "name", staging_dir):
        raise error
    assert list(staging_dir.iterdir()) == []
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_content_that_cannot_be_made_leaves_no_litter(
    target: Path, staging_dir: Path, error: type[BaseException]
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise error

    with pytest.raises(error), staged(chunks(), "name", staging_dir):
        pytest.fail("half a file was offered")
    assert list(staging_dir.iterdir()) == []
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_failing_disk_leaves_the_old_content_and_no_litter(
    target: Path,
    staging_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(StorageError) as caught:
        write(target, staging_dir)
    monkeypatch.undo()
    assert caught.value.errno == number
    assert os.strerror(number) in str(caught.value)
    assert target.read_bytes() == OLD
    assert list(staging_dir.iterdir()) == []


def test_disk_that_is_full_only_at_close_is_noticed(
    target: Path, staging_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def close_and_fail(fd: int) -> None:
        close(fd)
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr(os, "close", close_and_fail)
    with pytest.raises(StorageError, match="quota"):
        write(target, staging_dir)
    monkeypatch.undo()
    assert target.read_bytes() == OLD
    assert list(staging_dir.iterdir()) == []


def test_short_writes_are_continued(
    target: Path, staging_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole_write(fd, data[:3]))
    write(target, staging_dir)
    monkeypatch.undo()
    assert target.read_bytes() == NEW


def test_staging_file_that_somebody_took_is_told_apart(
    target: Path, staging_dir: Path
) -> None:
    with staged((NEW,), "name", staging_dir) as staging:
        staging.unlink()
        with pytest.raises(FileNotFoundError):
            publish(staging, target)
    assert target.read_bytes() == OLD


def test_directory_in_the_way_is_not_replaced(
    tmp_path: Path, staging_dir: Path
) -> None:
    (tmp_path / "artifact.json").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*artifact\.json"):
        write(tmp_path / "artifact.json", staging_dir)
    assert list(staging_dir.iterdir()) == []


def test_existing_staging_file_is_never_written_into(
    staging_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", lambda count: b"\xab" * count)
    same = f"name.{'ab' * 8}"
    (staging_dir / same).symlink_to(staging_dir / "elsewhere")
    with pytest.raises(StorageError), staged((NEW,), "name", staging_dir):
        pytest.fail("wrote through a link")
    assert not (staging_dir / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_system_that_cannot_sync_a_directory_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    sync_directory(tmp_path)


def test_directory_that_fails_to_sync_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StorageError, match="cannot sync"):
        sync_directory(tmp_path)


def test_every_new_directory_is_synced_into_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def record(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_directory(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_file_where_a_directory_is_needed_is_an_error(target: Path) -> None:
    with pytest.raises(StorageError, match="cannot create directory"):
        make_directory(target)
    with pytest.raises(StorageError, match="cannot create directory"):
        make_directory(target / "below")


_ON_A_FULL_DISK = """
import errno, os, subprocess, sys
from pathlib import Path
from tests.examples import trained
from zsm_store import SchemaRegistry, StorageError

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
registry = SchemaRegistry.open(disk / "registry")
old = trained(em_iterations=1)
registry.save(old)
filler = disk / "filler"
with open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
large = trained(em_iterations=2, extra={"notes": "n" * 10_000})
try:
    registry.save(large)
except StorageError as error:
    assert error.errno == errno.ENOSPC, error
else:
    sys.exit("a full disk took a save")
assert registry.list_all() == [old]
assert os.listdir(disk / "registry" / ".zsm" / "tmp") == []
filler.unlink()
registry.save(large)
assert registry.list_all() == [large]
assert not registry.verify()
print("done")
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root can mount a small disk; a failing write is tested above",
)
def test_full_disk_costs_the_save_and_nothing_else(tmp_path: Path) -> None:
    # A mount namespace of its own: the mount is gone when the process is.
    private = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    ended = subprocess.run(
        [*private, *command(_ON_A_FULL_DISK, tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "done\n"
