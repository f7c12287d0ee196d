from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import read_only, run_as_nobody
from zsm_store.errors import StorageError
from zsm_store.storage import artifact_files, patience
from zsm_store.storage import directory as module
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.listing import file_version, oddities
from zsm_store.storage.private import STALE_STAGING_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A = "a" * 64
B = "b" * 64
C = "c0" * 32
LIMIT = 1000


@pytest.fixture(params=["flat", "fan-out"])
def fan_out(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "fan-out"


@pytest.fixture
def directory(tmp_path: Path, *, fan_out: bool) -> ArtifactDirectory:
    return ArtifactDirectory(tmp_path / "registry", fan_out=fan_out)


def put(directory: ArtifactDirectory, schema_hash: str, data: bytes) -> None:
    """Save as the registry does."""
    with directory.staged(schema_hash, data) as staging:
        with directory.locked():
            directory.publish(staging, schema_hash, data)
        directory.sync([schema_hash])


def place(directory: ArtifactDirectory, schema_hash: str, *, fan_out: bool) -> Path:
    folder = directory.path / schema_hash[:2] if fan_out else directory.path
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{schema_hash}.json"


def litter(directory: ArtifactDirectory) -> list[str]:
    return sorted(path.name for path in (directory.path / ".zsm" / "tmp").iterdir())


def test_what_is_written_is_listed_and_read(directory: ArtifactDirectory) -> None:
    put(directory, B, b"b")
    put(directory, A, b"a")
    assert sorted(directory.entries()) == [A, B]
    assert directory.read(A, limit=LIMIT) == b"a"
    assert directory.read(C, limit=LIMIT) is None
    assert litter(directory) == []


def test_layout_decides_where_a_file_lies(directory: ArtifactDirectory) -> None:
    put(directory, A, b"a")
    expected = place(directory, A, fan_out=directory.fan_out)
    assert expected.read_bytes() == b"a"
    assert directory.entries().keys() == {A}
    assert directory.locate(A) == expected


def test_both_layouts_are_read_at_once(directory: ArtifactDirectory) -> None:
    directory.path.mkdir()
    place(directory, A, fan_out=False).write_bytes(b"flat")
    place(directory, B, fan_out=True).write_bytes(b"fan")
    assert sorted(directory.entries()) == [A, B]
    assert directory.read(A, limit=LIMIT) == b"flat"
    assert directory.read(B, limit=LIMIT) == b"fan"


def test_of_two_copies_the_one_in_the_registrys_layout_counts(
    directory: ArtifactDirectory,
) -> None:
    copies = {fan: place(directory, A, fan_out=fan) for fan in (False, True)}
    for fan, path in copies.items():
        path.write_bytes(b"counts" if fan is directory.fan_out else b"old copy")
    status = copies[directory.fan_out].stat()
    version = file_version(status, in_folder=directory.fan_out)
    assert directory.entries() == {A: version}
    assert directory.read_changed(A, None, limit=LIMIT) == (version, b"counts")
    assert directory.read_changed(A, version, limit=LIMIT) == (version, None)


def test_writing_removes_the_copy_in_the_other_layout(
    directory: ArtifactDirectory,
) -> None:
    other = place(directory, A, fan_out=not directory.fan_out)
    other.write_bytes(b"old")
    put(directory, A, b"new")
    assert not other.exists()
    assert directory.read(A, limit=LIMIT) == b"new"


def test_deleting_removes_both_copies(directory: ArtifactDirectory) -> None:
    for fan in (False, True):
        place(directory, A, fan_out=fan).write_bytes(b"x")
    with directory.locked():
        assert directory.delete(A)
        assert not directory.delete(A)
    assert not directory.entries()


def test_while_deleting_the_old_copy_never_comes_back(
    directory: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fan in (False, True):
        text = b"counts" if fan is directory.fan_out else b"old copy"
        place(directory, A, fan_out=fan).write_bytes(text)
    seen = []
    monkeypatch.setattr(
        module,
        "sync_directory",
        lambda _: seen.append(directory.read(A, limit=LIMIT)),
    )
    assert directory.delete(A)
    assert seen == [b"counts", None]


def test_every_deletion_is_synced(
    directory: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(directory, A, b"x")
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync_directory", synced.append)
    directory.delete(A)
    assert synced == [place(directory, A, fan_out=directory.fan_out).parent]


def test_every_publish_changes_the_version(directory: ArtifactDirectory) -> None:
    versions = set()
    for _ in range(50):
        put(directory, A, b"same size")
        versions.add(directory.entries()[A])
    assert len(versions) == 50


def test_missing_directory_is_empty_and_stays_missing(
    directory: ArtifactDirectory,
) -> None:
    assert directory.entries() == {}
    assert directory.read(A, limit=LIMIT) is None
    assert directory.read(A, limit=LIMIT, listed=True) is None
    assert directory.read_file("registry.json") is None
    assert list(oddities(directory.path)) == []
    assert directory.private.sweep(0) == 0
    assert not directory.path.exists()


def test_path_that_is_a_file_is_an_error(directory: ArtifactDirectory) -> None:
    directory.path.write_bytes(b"x")
    with pytest.raises(StorageError, match="cannot list"):
        directory.entries()
    with pytest.raises(StorageError, match="cannot read"):
        directory.read(A, limit=LIMIT)
    with pytest.raises(StorageError, match="cannot create directory"):
        put(directory, A, b"x")
    assert directory.path.read_bytes() == b"x"


def test_directory_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    put(ArtifactDirectory(tmp_path / "link"), A, b"a")
    real = ArtifactDirectory(tmp_path / "real")
    assert real.read(A, limit=LIMIT) == b"a"
    assert list(ArtifactDirectory(tmp_path / "link").entries()) == [A]


def test_foreign_files_are_neither_listed_nor_touched(
    directory: ArtifactDirectory,
) -> None:
    put(directory, A, b"a")
    names = [
        "README.md",
        "registry.json",
        f"{B}.json~",
        f".{B}.json.swp",
        f"{B}.JSON",
        f"{B}.json.tmp",
        f"{B[:-1]}.json",
        f"{B}0.json",
        f"{B.upper()}.json",
        f"{B[:-1]}g.json",
        f"{B}\n.json",
        "..json",
    ]
    for name in names:
        (directory.path / name).write_bytes(b"foreign")
    (directory.path / "history").mkdir()
    (directory.path / "history" / f"{B}.json").write_bytes(b"foreign")
    (directory.path / "AB").mkdir()
    (directory.path / "bb").mkdir(exist_ok=True)
    (directory.path / "bb" / f"{C}.json").write_bytes(b"in the wrong folder")
    assert list(directory.entries()) == [A]
    put(directory, A, b"new")
    assert all((directory.path / name).read_bytes() == b"foreign" for name in names)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.write_bytes(b"secret")
    path.symlink_to(elsewhere)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # A relative name: that of a socket may have no more than 107 bytes.
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


IMPOSTORS = [make_directory, make_link, make_dangling_link, make_pipe, make_socket]


@pytest.mark.timeout(10)  # a pipe would block for ever
@pytest.mark.parametrize("make", IMPOSTORS)
def test_what_is_no_regular_file_is_never_read_or_followed(
    directory: ArtifactDirectory, make: Callable[[Path], None]
) -> None:
    put(directory, B, b"good")
    make(place(directory, A, fan_out=directory.fan_out))
    assert list(directory.entries()) == [B]
    with pytest.raises(StorageError, match="cannot read"):
        directory.read(A, limit=LIMIT)
    assert directory.read(B, limit=LIMIT) == b"good"
    [(path, code, message)] = oddities(directory.path)
    assert path == str(place(directory, A, fan_out=directory.fan_out))
    assert code == "ZSM002"
    assert "not served" in message


@pytest.mark.parametrize("make", [make_link, make_dangling_link, make_pipe])
def test_saving_replaces_an_impostor_without_writing_through_it(
    directory: ArtifactDirectory, make: Callable[[Path], None]
) -> None:
    path = place(directory, A, fan_out=directory.fan_out)
    make(path)
    put(directory, A, b"good")
    assert directory.read(A, limit=LIMIT) == b"good"
    assert not path.is_symlink()
    elsewhere = path.parent / "elsewhere"
    assert not elsewhere.exists() or elsewhere.read_bytes() == b"secret"


def test_directory_in_the_place_of_a_file_is_not_replaced(
    directory: ArtifactDirectory,
) -> None:
    place(directory, A, fan_out=directory.fan_out).mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        put(directory, A, b"good")
    assert litter(directory) == []


def test_folder_of_the_fan_out_is_not_followed_either(tmp_path: Path) -> None:
    directory = ArtifactDirectory(tmp_path / "registry", fan_out=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / f"{A}.json").write_bytes(b"secret")
    directory.path.mkdir()
    (directory.path / "aa").symlink_to(tmp_path / "outside")
    assert directory.entries() == {}
    with pytest.raises(StorageError):
        put(directory, A, b"x")
    assert (tmp_path / "outside" / f"{A}.json").read_bytes() == b"secret"
    with pytest.raises(StorageError):
        directory.read(A, limit=LIMIT)
    with directory.locked():
        assert not directory.delete(A)
    assert (tmp_path / "outside" / f"{A}.json").read_bytes() == b"secret"


def test_copy_in_a_linked_folder_is_left_alone(tmp_path: Path) -> None:
    directory = ArtifactDirectory(tmp_path / "registry")
    (tmp_path / "outside").mkdir()
    outside = tmp_path / "outside" / f"{A}.json"
    outside.write_bytes(b"secret")
    directory.path.mkdir()
    (directory.path / "aa").symlink_to(tmp_path / "outside")
    put(directory, A, b"flat")
    assert outside.exists()
    with directory.locked():
        assert directory.delete(A)
    assert outside.read_bytes() == b"secret"


def test_oddities_say_what_is_wrong_with_each(directory: ArtifactDirectory) -> None:
    for fan in (False, True):
        place(directory, A, fan_out=fan).write_bytes(b"x")
    (directory.path / f"{'B' * 64}.json").write_bytes(b"upper case")
    (directory.path / f"{B[:-1]}.json").write_bytes(b"a digit is missing")
    (directory.path / "aa" / f"{B}.json").write_bytes(b"wrong folder")
    (directory.path / "notes.json").write_bytes(b"not like an artifact at all")
    found = {
        path.removeprefix(f"{directory.path}{os.sep}"): (code, message)
        for path, code, message in oddities(directory.path)
    }
    assert {path: code for path, (code, _) in found.items()} == {
        f"{'B' * 64}.json": "ZSM001",
        f"{B[:-1]}.json": "ZSM001",
        f"aa/{B}.json": "ZSM001",
        f"aa/{A}.json": "ZSM003",
    }
    assert str(directory.path / f"{A}.json") in found[f"aa/{A}.json"][1]


@pytest.mark.parametrize("size", [0, LIMIT, LIMIT + 1, LIMIT + 5000])
def test_no_more_is_read_than_one_byte_above_the_limit(
    directory: ArtifactDirectory, size: int
) -> None:
    put(directory, A, b"x" * size)
    found = directory.read(A, limit=LIMIT)
    assert found == b"x" * min(size, LIMIT + 1)


def test_listed_file_that_is_hidden_for_a_moment_is_looked_for_again(
    directory: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.path.mkdir()
    path = place(directory, A, fan_out=directory.fan_out)
    waits = []

    def appear(wait_s: float) -> None:
        waits.append(wait_s)
        path.write_bytes(b"back")

    monkeypatch.setattr(patience.time, "sleep", appear)
    assert directory.read(A, limit=LIMIT) is None
    assert directory.read(A, limit=LIMIT, listed=True) == b"back"
    assert len(waits) == 1


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBUSY])
@pytest.mark.parametrize("failures", [1, 3, 1000])
def test_passing_error_of_a_network_drive_is_retried_but_not_for_ever(
    directory: ArtifactDirectory,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    failures: int,
) -> None:
    put(directory, A, b"x")
    left = failures
    real = artifact_files.open_regular

    def open_regular(path: str) -> tuple[int, os.stat_result]:
        nonlocal left
        if left:
            left -= 1
            raise OSError(number, os.strerror(number))
        return real(path)

    monkeypatch.setattr(artifact_files, "open_regular", open_regular)
    monkeypatch.setattr(patience.time, "sleep", lambda _: None)
    if failures < 1000:
        assert directory.read(A, limit=LIMIT) == b"x"
    else:
        with pytest.raises(StorageError) as caught:
            directory.read(A, limit=LIMIT)
        assert caught.value.errno == number


def test_private_folder_hides_from_git(directory: ArtifactDirectory) -> None:
    put(directory, A, b"x")
    assert (directory.path / ".zsm" / ".gitignore").read_bytes() == b"*\n"


def test_private_folder_of_a_killed_writer_hides_from_git_again(
    directory: ArtifactDirectory,
) -> None:
    # What a full disk or a kill leaves of a write in place.
    (directory.path / ".zsm").mkdir(parents=True)
    (directory.path / ".zsm" / ".gitignore").touch()
    put(directory, A, b"x")
    assert (directory.path / ".zsm" / ".gitignore").read_bytes() == b"*\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a group away")
def test_group_of_a_shared_registry_is_inherited(directory: ArtifactDirectory) -> None:
    directory.path.mkdir()
    os.chown(directory.path, 0, 4321)
    directory.path.chmod(0o2775)
    put(directory, A, b"x")
    path = place(directory, A, fan_out=directory.fan_out)
    assert path.stat().st_gid == 4321
    assert (directory.path / ".zsm" / "tmp").stat().st_gid == 4321


def test_other_files_of_the_registry_are_written_whole(
    directory: ArtifactDirectory,
) -> None:
    directory.write_file("registry.json", b"{}")
    assert directory.read_file("registry.json") == b"{}"
    assert litter(directory) == []
    assert stat.S_ISREG((directory.path / "registry.json").stat().st_mode)


# `git clean -fdx` and people


def test_staging_file_cleaned_away_is_written_again(
    directory: ArtifactDirectory,
) -> None:
    with directory.staged(A, b"new") as staging:
        shutil.rmtree(directory.path / ".zsm")
        with directory.locked():
            directory.publish(staging, A, b"new")
    assert directory.read(A, limit=LIMIT) == b"new"
    assert litter(directory) == []


def test_everything_cleaned_away_while_publishing_is_created_again(
    directory: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.publish
    cleanings = 2

    def clean_first(staging: Path, path: Path) -> None:
        nonlocal cleanings
        if cleanings:
            cleanings -= 1
            shutil.rmtree(directory.path)
        real(staging, path)

    monkeypatch.setattr(module, "publish", clean_first)
    with directory.staged(A, b"new") as staging:
        directory.publish(staging, A, b"new")
    assert directory.read(A, limit=LIMIT) == b"new"


def test_staging_folder_that_keeps_disappearing_is_a_storage_error(
    directory: ArtifactDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "gone again")

    monkeypatch.setattr(module, "publish", never)
    with directory.staged(A, b"new") as staging, pytest.raises(StorageError):
        directory.publish(staging, A, b"new")
    with pytest.raises(StorageError):
        directory.write_file("registry.json", b"{}")


def test_saves_go_on_while_the_private_folder_is_cleaned(
    directory: ArtifactDirectory,
) -> None:
    put(directory, A, b"0")
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            shutil.rmtree(directory.path / ".zsm" / "tmp", ignore_errors=True)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(40):
            with directory.locked():
                try:
                    with directory.staged(A, b"%d" % number) as staging:
                        directory.publish(staging, A, b"%d" % number)
                except StorageError as error:
                    # Nothing was changed, and the caller knows.
                    assert error.errno == errno.ENOENT  # noqa: PT017  # allowed, not expected
                else:
                    assert directory.read(A, limit=LIMIT) == b"%d" % number
    finally:
        stop.set()
        cleaner.join()


# sweeping


def stale(directory: ArtifactDirectory, name: str, age_s: float, now: float) -> Path:
    path = directory.path / ".zsm" / "tmp" / name
    path.write_bytes(b"left behind")
    os.utime(path, (now - age_s, now - age_s))
    return path


def test_stale_staging_files_are_swept_and_young_ones_are_not(
    directory: ArtifactDirectory,
) -> None:
    put(directory, A, b"x")
    now = 1_000_000.0
    old = stale(directory, "old", STALE_STAGING_S + 1, now)
    young = stale(directory, "young", STALE_STAGING_S - 1, now)
    future = stale(directory, "future", -STALE_STAGING_S, now)
    assert directory.private.sweep(now) == 1
    assert (old.exists(), young.exists(), future.exists()) == (False, True, True)


def test_first_save_sweeps_what_killed_writers_left(tmp_path: Path) -> None:
    first = ArtifactDirectory(tmp_path)
    put(first, A, b"x")
    left = stale(
        first, "left", STALE_STAGING_S + 60, (tmp_path / A).parent.stat().st_mtime
    )
    put(first, A, b"y")
    assert left.exists(), "each process sweeps once, not at every save"
    put(ArtifactDirectory(tmp_path), A, b"z")
    assert not left.exists()


def test_age_is_measured_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ArtifactDirectory(tmp_path)
    put(directory, A, b"x")
    now = (tmp_path / f"{A}.json").stat().st_mtime
    old = stale(directory, "old", STALE_STAGING_S + 60, now)
    young = stale(directory, "young", 60, now)
    # This host believes to live ten years from now.
    monkeypatch.setattr(time, "time", lambda: now + 3e8)
    put(ArtifactDirectory(tmp_path), B, b"x")
    assert not old.exists()
    assert young.exists()


def test_sweep_survives_what_it_cannot_remove(directory: ArtifactDirectory) -> None:
    put(directory, A, b"x")
    (directory.path / ".zsm" / "tmp" / "folder").mkdir()
    old = stale(directory, "old", 2 * STALE_STAGING_S, 1_000_000.0)
    os.utime(directory.path / ".zsm" / "tmp" / "folder", (0, 0))
    assert directory.private.sweep(1_000_000.0) == 1
    assert not old.exists()


# permissions


def check_as_nobody(code: str, directory: Path) -> None:
    ended = run_as_nobody(code, directory)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "done\n"


@pytest.fixture
def open_to_all(tmp_path: Path) -> Path:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("mode", [0o000, 0o311, 0o444])
def test_unreadable_directory_is_an_error_and_not_an_empty_one(
    open_to_all: Path, mode: int
) -> None:
    registry = open_to_all / "registry"
    put(ArtifactDirectory(registry), A, b"x")
    registry.chmod(mode)
    code = """
try:
    ArtifactDirectory(Path("registry")).entries()
except StorageError as error:
    assert error.errno == 13, error
    print("done")
"""
    try:
        check_as_nobody(code, open_to_all)
    finally:
        registry.chmod(0o755)


def test_unreadable_folder_of_the_fan_out_is_an_error(open_to_all: Path) -> None:
    registry = open_to_all / "registry"
    put(ArtifactDirectory(registry, fan_out=True), A, b"x")
    (registry / "aa").chmod(0)
    code = """
try:
    ArtifactDirectory(Path("registry")).entries()
except StorageError as error:
    assert "registry/aa" in str(error), error
    print("done")
"""
    try:
        check_as_nobody(code, open_to_all)
    finally:
        (registry / "aa").chmod(0o755)


def test_directory_behind_a_closed_one_is_a_storage_error(open_to_all: Path) -> None:
    (open_to_all / "closed").mkdir()
    (open_to_all / "closed").chmod(0)
    code = """
inner = ArtifactDirectory(Path("closed/registry"))
actions = [
    inner.entries,
    lambda: inner.read("a" * 64, limit=10),
    lambda: inner.read_file("registry.json"),
    lambda: inner.write_file("registry.json", b"{}"),
]
for action in actions:
    try:
        action()
    except StorageError as error:
        assert error.errno == 13, error
    else:
        sys.exit("no error")
print("done")
"""
    try:
        check_as_nobody(code, open_to_all)
    finally:
        (open_to_all / "closed").chmod(0o755)


def test_read_only_directory_is_read_and_refuses_to_be_written(
    open_to_all: Path,
) -> None:
    registry = open_to_all / "registry"
    put(ArtifactDirectory(registry), A, b"x")
    code = """
directory = ArtifactDirectory(Path("registry"))
key = "a" * 64
assert list(directory.entries()) == [key]
assert directory.read(key, limit=10) == b"x"
try:
    with directory.staged(key, b"y"):
        sys.exit("staged")
except StorageError as error:
    assert error.errno == 13, error
with directory.locked():
    pass  # to see one moment is nothing that only writers want
try:
    directory.delete(key)
except StorageError as error:
    assert "cannot delete" in str(error), error
assert directory.read(key, limit=10) == b"x"
print("done")
"""
    with read_only(registry):
        check_as_nobody(code, open_to_all)
