from __future__ import annotations

import errno
import itertools
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP_WITH_PHONE, SIM, fingerprint, trained
from zsm_store import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    Durability,
    Layout,
    ModelArtifact,
    SchemaRegistry,
    StorageError,
    WarmLoad,
)
from zsm_store.codec import artifact_json
from zsm_store.registry import versions
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.versions import Version, version_with
from zsm_store.storage import history
from zsm_store.storage.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = trained().schema_hash
OUTSIDE_OF_TIME = "99991231T235959999999Z.json"


def version(number: int) -> ModelArtifact:
    return trained(em_iterations=number, tag="people")


def content(number: int) -> bytes:
    return artifact_json.encode(version(number))


def kept(path: Path, key: str = KEY) -> list[bytes]:
    """Return what was replaced, the last one first."""
    folder = path / "history" / key
    return [file.read_bytes() for file in sorted(folder.iterdir(), reverse=True)]


def numbers(found: list[Version]) -> list[int]:
    return [one.artifact.em_iterations for one in found if one.artifact is not None]


def saved(path: Path, count: int, **how: object) -> SchemaRegistry:
    """Save that many versions, from 0 on, one over the other."""
    registry = SchemaRegistry.init(path, **{"keep": 10, **how})
    for number in range(count):
        registry.save(version(number))
    return registry


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("keep", [1, 3, 10])
def test_the_last_versions_are_kept_byte_for_byte(
    tmp_path: Path, keep: int, layout: Layout
) -> None:
    registry = saved(tmp_path, 6, keep=keep, layout=layout)
    expected = [4, 3, 2, 1, 0][:keep]
    assert kept(tmp_path) == [content(number) for number in expected]
    assert numbers(registry.history(KEY)) == [5, *expected]
    times = [one.replaced_at for one in registry.history("people")]
    assert times[0] is None
    moments = [moment for moment in times if moment is not None]
    assert moments == sorted(set(moments), reverse=True)
    assert datetime.now(UTC) - moments[0] < timedelta(minutes=1)


def test_each_artifact_has_a_history_of_its_own(tmp_path: Path) -> None:
    registry = saved(tmp_path, 2)
    other = trained(SIM)
    registry.save_many([other, version(2)])
    registry.save_many([trained(SIM, em_iterations=1), version(3)])
    assert kept(tmp_path) == [content(2), content(1), content(0)]
    assert kept(tmp_path, other.schema_hash) == [artifact_json.encode(other)]


def test_to_save_the_same_again_keeps_nothing(tmp_path: Path) -> None:
    registry = saved(tmp_path, 1)
    registry.save(version(0))
    assert not (tmp_path / "history").exists()


def test_what_is_deleted_is_kept(tmp_path: Path) -> None:
    registry = saved(tmp_path, 2)
    assert registry.delete(KEY)
    assert kept(tmp_path) == [content(1), content(0)]
    for ref in (KEY, KEY.upper(), KEY[:6]):
        assert numbers(registry.history(ref)) == [1, 0]
    with pytest.raises(ArtifactNotFoundError):
        registry.get(KEY)
    assert not registry.delete(KEY)
    assert kept(tmp_path) == [content(1), content(0)]


def test_nothing_is_kept_unless_somebody_wants_it(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    for number in range(3):
        registry.save(version(number))
    registry.delete(KEY)
    assert not (tmp_path / "history").exists()
    with pytest.raises(ArtifactNotFoundError):
        registry.history(KEY)


def test_to_keep_fewer_shows_at_the_next_save(tmp_path: Path) -> None:
    registry = saved(tmp_path, 6)
    SchemaRegistry.init(tmp_path, keep=2)
    assert len(kept(tmp_path)) == 5
    registry.save(version(6))
    assert kept(tmp_path) == [content(5), content(4)]
    registry.delete(KEY)
    assert kept(tmp_path) == [content(6), content(5)]


def test_to_keep_no_more_leaves_what_there_is(tmp_path: Path) -> None:
    registry = saved(tmp_path, 3)
    SchemaRegistry.init(tmp_path, keep=0)
    registry.save(version(3))
    assert kept(tmp_path) == [content(1), content(0)]


def test_damaged_file_that_is_replaced_is_kept_as_it_is(tmp_path: Path) -> None:
    registry = saved(tmp_path, 1)
    (tmp_path / f"{KEY}.json").write_bytes(b"{ somebody's notes")
    [served] = registry.history(KEY)
    assert (served.is_served, served.digest) == (True, None)
    assert f"{KEY}.json" in served.problem
    registry.save(version(1))
    assert kept(tmp_path) == [b"{ somebody's notes"]
    found = registry.history(KEY)
    assert [one.digest for one in found] == [artifact_json.digest(version(1)), None]
    assert "history" in found[1].problem


def test_only_what_is_named_by_a_time_is_a_version(tmp_path: Path) -> None:
    registry = saved(tmp_path, 4, keep=2)
    folder = tmp_path / "history" / KEY
    foreign = ("notes.txt", "99999999T999999999999Z.json", ".nfs01", f"{KEY}.json")
    for name in foreign:
        (folder / name).write_bytes(content(9))
    (tmp_path / "history" / "notes").mkdir()
    (folder / "20000101T000000000000Z.json").mkdir()
    registry.save(version(4))
    found = registry.history(KEY)
    assert numbers(found) == [4, 3, 2]
    assert {*foreign} < {file.name for file in folder.iterdir()}, "nobody's to remove"
    registry.delete(KEY)
    assert registry.history(KEY[:10])


# Failures: the version that is served stays, and so do those that were kept.


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


# Clocks.


class Clock(datetime):
    """A clock that goes backwards, an hour at every look."""

    looks = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # as called
        assert tz is UTC
        cls.looks += 1
        return datetime(2030, 1, 1, tzinfo=UTC) - timedelta(hours=cls.looks)


def test_order_stays_when_the_clock_goes_backwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "datetime", Clock)
    registry = saved(tmp_path, 6, keep=4)
    assert Clock.looks >= 5
    assert kept(tmp_path) == [content(number) for number in (4, 3, 2, 1)]
    assert numbers(registry.history(KEY)) == [5, 4, 3, 2, 1]


def test_the_end_of_time_is_no_reason_not_to_save(tmp_path: Path) -> None:
    registry = saved(tmp_path, 2)
    (tmp_path / "history" / KEY / OUTSIDE_OF_TIME).write_bytes(content(99))
    for number in (2, 3):
        registry.save(version(number))
    assert numbers(registry.history(KEY)) == [3, 99, 2, 1, 0]


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


# What reaches the disk, and when.


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Record, in their order, syncs and what gives and takes names."""
    recorded: list[tuple[str, Path]] = []
    fsync, link, rename, unlink = os.fsync, os.link, Path.replace, Path.unlink

    def record_sync(fd: int) -> None:
        recorded.append(("sync", Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    def record_link(current: Path, target: Path, **how: bool) -> None:
        recorded.append(("link", target))
        link(current, target, **how)

    def record_rename(staging: Path, target: Path) -> Path:
        recorded.append(("publish", target))
        return rename(staging, target)

    def record_unlink(path: Path, *, missing_ok: bool = False) -> None:
        recorded.append(("unlink", path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "link", record_link)
    monkeypatch.setattr(Path, "replace", record_rename)
    monkeypatch.setattr(Path, "unlink", record_unlink)
    return recorded


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("action", ["save", "delete"])
def test_version_is_safe_from_power_cuts_before_it_is_replaced(
    tmp_path: Path,
    steps: list[tuple[str, Path]],
    durability: Durability,
    layout: Layout,
    action: str,
) -> None:
    saved(tmp_path, 1, layout=layout)
    folder = tmp_path / "history" / KEY
    folder.mkdir(parents=True)  # by somebody who died before he synced it
    registry = SchemaRegistry.open(tmp_path, durability=durability)
    target = registry._store.site.open().locate(KEY)
    steps.clear()
    if action == "save":
        registry.save(version(1))
    else:
        registry.delete(KEY)
    [file] = folder.iterdir()
    lost = steps.index(("publish" if action == "save" else "unlink", target))
    linked = steps.index(("link", file))
    assert {where for what, where in steps[:linked] if what == "sync"} >= {
        tmp_path,
        folder.parent,
    }
    synced = [where for what, where in steps[linked:lost] if what == "sync"]
    assert synced.index(file) < synced.index(folder)


def test_the_oldest_version_goes_when_there_is_one_more(
    tmp_path: Path, steps: list[tuple[str, Path]]
) -> None:
    registry = saved(tmp_path, 3, keep=2)
    oldest = min((tmp_path / "history" / KEY).iterdir())
    steps.clear()
    registry.save(version(3))
    published = steps.index(("publish", tmp_path / f"{KEY}.json"))
    assert published < steps.index(("unlink", oldest))


# What the rest of the registry sees of it.


def test_nothing_but_the_history_itself_reads_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "registry"
    registry = saved(path, 3)
    # As hostile as it gets: a folder that looks like one of the fan-out.
    strange = path / "history" / KEY[:2]
    strange.mkdir()
    (strange / f"{KEY}.json").write_bytes(content(0))
    (path / "history" / f"{KEY}.json").write_bytes(content(0))
    looked: list[str] = []

    def recording(call: Callable[..., object]) -> Callable[..., object]:
        def record(where: object = ".", *args: object, **how: object) -> object:
            looked.append(str(where))
            return call(where, *args, **how)

        return record

    for name in ("open", "listdir", "scandir"):
        monkeypatch.setattr(os, name, recording(getattr(os, name)))
    reader = SchemaRegistry.open(path)
    assert reader.list_all() == [version(2)]
    assert reader.get("people") == version(2)
    mode = reader.lookup_startup_mode(fingerprint())
    assert isinstance(mode, WarmLoad)
    assert mode.artifact == version(2)
    assert reader.pack(tmp_path / "all.zsm").packed == (KEY,)
    assert reader.verify() == []
    assert len(reader) == 1
    assert str(path) in looked
    assert [where for where in looked if "/history" in where] == []
    registry.history(KEY)
    assert [where for where in looked if "/history" in where] != []


def test_every_reader_sees_what_replaced_a_version_at_once(tmp_path: Path) -> None:
    writer, reader = saved(tmp_path, 1), SchemaRegistry.open(tmp_path)
    for number in range(1, 30):
        writer.save(version(number))
        mode = reader.lookup_startup_mode(fingerprint())
        assert isinstance(mode, WarmLoad)
        assert mode.artifact == version(number)
        assert reader.get("people") == version(number)
    writer.delete(KEY)
    assert reader.list_all() == []


def test_bundle_and_memory_have_the_served_version_only(tmp_path: Path) -> None:
    saved(tmp_path, 3).pack(tmp_path / "all.zsm")
    memory = SchemaRegistry.in_memory()
    memory.save(version(2))
    for registry in (memory, SchemaRegistry.open(tmp_path / "all.zsm")):
        assert numbers(registry.history("people")) == [2]
        with pytest.raises(ArtifactNotFoundError):
            registry.history("0" * 64)


# Versions while others save.


def test_version_that_is_replaced_meanwhile_is_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, writer = saved(tmp_path, 2), SchemaRegistry.open(tmp_path)
    replaced, left = DirectoryStore.replaced, [2, 3]

    def replaced_and_more(self: DirectoryStore, schema_hash: str) -> list[Version]:
        found = replaced(self, schema_hash)
        if left:
            writer.save(version(left.pop(0)))
        return found

    monkeypatch.setattr(DirectoryStore, "replaced", replaced_and_more)
    assert numbers(registry.history(KEY)) == [3, 2, 1, 0]


def test_history_that_never_rests_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, numbered = saved(tmp_path, 1), itertools.count()
    monkeypatch.setattr(
        versions, "_served", lambda store, key: (store, key, next(numbered))
    )
    with pytest.raises(StorageError, match="changes faster") as caught:
        registry.history(KEY)
    assert caught.value.errno == errno.EBUSY


# References to what was there.


def test_stored_artifact_comes_before_a_deleted_one(tmp_path: Path) -> None:
    registry = saved(tmp_path, 1)
    twin = KEY[:8] + ("0" if KEY[8] != "0" else "1") + KEY[9:]
    other = trained(replace(fingerprint(), schema_hash=twin))
    registry.save(other)
    registry.delete(twin)
    assert registry.history(KEY[:8])[0].schema_hash == KEY
    assert registry.history(twin)[0].schema_hash == twin
    registry.delete(KEY)
    with pytest.raises(AmbiguousRefError) as caught:
        registry.history(KEY[:8])
    assert caught.value.candidates == tuple(sorted([KEY, twin]))


@pytest.mark.parametrize("ref", ["", KEY[:5], "people", "../..", "/etc", "*", "0" * 64])
def test_reference_to_what_never_was_is_not_found(tmp_path: Path, ref: str) -> None:
    registry = saved(tmp_path, 1)
    registry.delete(KEY)
    with pytest.raises(ArtifactNotFoundError):
        registry.history(ref)


def of_digest(digits: str, *, served: bool = False) -> Version:
    return Version(
        schema_hash=KEY,
        replaced_at=None if served else datetime.now(UTC),
        digest=f"sha256:{digits:0<64}",
        artifact=version(0),
    )


def test_version_is_meant_by_the_start_of_its_digest() -> None:
    one, other, served = (
        of_digest("abcdef1"),
        of_digest("abcdef2"),
        of_digest("abcdef1", served=True),
    )
    damaged = replace(one, digest=None, artifact=None)
    found = [damaged, one, other]
    for digest in ("abcdef1", "sha256:abcdef1", "SHA256:ABCDEF1", one.digest):
        assert version_with(found, KEY, str(digest)) is one
    with pytest.raises(AmbiguousRefError) as caught:
        version_with(found, KEY, "abcdef")
    assert caught.value.candidates == (one.digest, other.digest)
    for digest in (
        "abcde",
        "",
        "sha256:",
        "fedcba",
        "people",
        "../abcdef1",
        "abcdef1\n",
    ):
        with pytest.raises(ArtifactNotFoundError, match="zsm log"):
            version_with(found, KEY, digest)
    assert version_with([served, other, one], KEY, "abcdef1") is served


def test_restored_version_is_served_and_what_it_replaces_is_kept(
    tmp_path: Path,
) -> None:
    registry = saved(tmp_path, 4, keep=3)
    oldest = artifact_json.digest(version(0))
    assert registry.restore("people", oldest[:20]) == oldest
    assert registry.get("people") == version(0)
    assert kept(tmp_path) == [content(3), content(2), content(1)]
    registry.save(trained(BRP_WITH_PHONE))
    registry.delete(KEY)
    assert registry.restore(KEY[:10], oldest) == oldest
    assert (tmp_path / f"{KEY}.json").read_bytes() == content(0)
    with pytest.raises(ArtifactNotFoundError):
        registry.restore(KEY, "0" * 64)


def test_history_knows_the_artifacts_that_it_has(tmp_path: Path) -> None:
    assert History(tmp_path).schema_hashes() == []
    assert History(tmp_path).versions(KEY) == []
    registry = saved(tmp_path, 2)
    registry.save(trained(SIM))
    registry.delete(trained(SIM).schema_hash)
    assert History(tmp_path).schema_hashes() == sorted([KEY, trained(SIM).schema_hash])
