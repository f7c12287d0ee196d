"""Checks of a diagnosis whose outcome depends on what they find."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from zsm_store import SchemaRegistry
from zsm_store.registry.diagnosis import watching, writing
from zsm_store.registry.diagnosis.finding import Status
from zsm_store.registry.diagnosis.place import check_access
from zsm_store.registry.diagnosis.scratch import scratch_directory
from zsm_store.registry.diagnosis.subject import NotTried, Subject
from zsm_store.registry.diagnosis.surroundings import check_cache
from zsm_store.registry.settings import RegistrySettings
from zsm_store.storage import file_system
from zsm_store.storage.known_limits import freshness_bound, known_limits
from zsm_store.storage.private import PrivateDirectory


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    path = tmp_path / "registry"
    SchemaRegistry.init(path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Subject(path, RegistrySettings(), scratch)


def test_a_clock_that_is_off_is_told_with_its_side(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writing.check_clock(subject).status is Status.OK
    now = time.time
    for shift, told in ((-60, "60 s behind"), (60, "60 s ahead of")):
        monkeypatch.setattr(time, "time", lambda shift=shift: now() + shift)
        found = writing.check_clock(subject)
        assert found.status is Status.WARN
        assert found.message.startswith(told)
        assert found.advice


def test_torn_files_fail_where_only_this_host_writes(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_in_place(staging: Path, path: Path) -> None:
        with path.open("r+b") as file:
            data = staging.read_bytes()
            file.write(data[:100])
            file.flush()
            time.sleep(0.01)
            file.write(data[100:])

    monkeypatch.setattr(writing, "publish", write_in_place)
    found = writing.try_rename(subject)
    assert found.status is Status.FAIL
    assert "torn" in found.message
    assert threading.active_count() == 1


def test_refused_renames_are_a_warning(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path, path: Path) -> None:
        raise writing.StorageError.of("write", path, PermissionError(13, "denied"))

    monkeypatch.setattr(writing, "publish", refuse)
    found = writing.try_rename(subject)
    assert found.status is Status.WARN
    assert "renames refused" in found.message


def test_without_hard_links_copies_are_told(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    found = writing.try_names(subject)
    assert found.status is Status.OK
    assert "kept as copies" in found.message


def test_a_name_that_is_given_twice_fails(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    monkeypatch.setattr(
        os, "open", lambda path, flags, mode: opened(path, flags & ~os.O_EXCL, mode)
    )
    assert writing.try_names(subject).status is Status.FAIL


def test_a_kernel_that_has_no_watch_left_is_a_warning(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr("zsm_store.storage.observer.DirectoryObserver.start", refuse)
    found = watching.try_watcher(subject)
    assert found.status is Status.WARN
    assert "instance limit" in found.message
    assert "sysctl" in found.advice[0]


def test_a_kernel_that_tells_nothing_is_a_warning(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_EVENT_S", 0.05)
    monkeypatch.setattr(Path, "touch", lambda _: None)
    found = watching.try_watcher(subject)
    assert found.status is Status.WARN
    assert "tells of no change" in found.message


def test_who_shares_with_a_group_hears_what_the_group_may_not(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = subject.path
    assert "shared" not in check_access(subject).message
    path.chmod(0o2775)
    for folder in (path / ".zsm", path / ".zsm/tmp", path / "ab"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o775)
    for file in (path / "registry.json", path / ".gitattributes"):
        file.chmod(0o664)
    monkeypatch.setattr("zsm_store.registry.diagnosis.place._umask", lambda: 0o002)
    assert check_access(subject).status is Status.OK
    monkeypatch.setattr("zsm_store.registry.diagnosis.place._umask", lambda: 0o022)
    (path / "ab").chmod(0o755)
    (path / "registry.json").chmod(0o600)
    path.chmod(0o775)
    found = check_access(subject)
    assert found.status is Status.WARN
    told = "\n".join(found.advice)
    assert "chmod g+s" in told
    assert "umask 0022" in told
    assert "may not write into 'ab'" in told
    assert "may not read 'registry.json'" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_folders_of_another_group_are_named(subject: Subject) -> None:
    subject.path.chmod(0o2775)
    (subject.path / ".zsm").chmod(0o775)
    os.chown(subject.path / ".zsm", -1, 12)
    assert "of another group: '.zsm'" in "\n".join(check_access(subject).advice)


def test_a_cache_directory_that_cannot_be_used_is_a_warning(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZSM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = check_cache(subject)
    assert found.status is Status.WARN
    assert "is no directory" in found.message
    monkeypatch.setenv("ZSM_CACHE_DIR", str(tmp_path / "new" / "cache"))
    assert check_cache(subject).status is Status.OK


def test_a_private_folder_that_somebody_begins_to_use_stays(tmp_path: Path) -> None:
    private = PrivateDirectory(tmp_path)
    with scratch_directory(private) as scratch:
        assert scratch.is_dir()
        (private.staging_dir / "in use").touch()
    assert [path.name for path in private.staging_dir.iterdir()] == ["in use"]
    assert (private.path / ".gitignore").is_file()


def test_without_a_scratch_directory_a_check_is_not_tried(tmp_path: Path) -> None:
    subject = Subject(tmp_path, RegistrySettings(), "why not")
    with pytest.raises(NotTried, match="why not"):
        writing.try_names(subject)
    assert abs(subject.now - time.time()) < 5


@pytest.mark.parametrize(
    ("kind", "options", "count", "fresh"),
    [
        ("ext4", "rw", 0, None),
        ("ext4", "rw,nobarrier", 1, None),
        ("tmpfs", "rw", 1, None),
        ("nfs4", "rw", 2, "0.1 s"),
        ("cifs", "rw", 3, "1 s"),
        ("fuse.glusterfs", "rw", 2, "1.6 s"),
        ("fuse.mfs", "rw", 1, "1 s"),
        ("fuse.sshfs", "rw", 3, "21 s"),
        ("vfat", "rw", 3, None),
        ("fuse.unheard-of", "rw", 0, None),
    ],
)
def test_limits_are_known_by_the_kind_of_file_system(  # noqa: PLR0917  # a table
    kind: str,
    options: str,
    count: int,
    fresh: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 22 0:49 / / rw - {kind} source {options}\n")
    monkeypatch.setattr(file_system, "_MOUNTS", str(mounts))
    limits = known_limits(tmp_path)
    assert len(limits) == count
    assert all(limit.text[0].islower() and limit.text[-1] != "." for limit in limits)
    bound = freshness_bound(tmp_path)
    assert (bound is None) == (fresh is None)
    assert (fresh or "") in (bound or "")
    monkeypatch.setattr(file_system, "_MOUNTS", str(tmp_path / "not there"))
    assert (known_limits(tmp_path), freshness_bound(tmp_path)) == ([], None)
