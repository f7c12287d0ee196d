from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import SIM, fingerprint, trained
from tests.histories import KEY, content, kept, numbers, saved, version
from zsm_store import (
    ArtifactNotFoundError,
    Durability,
    Layout,
    SchemaRegistry,
    WarmLoad,
)
from zsm_store.codec import artifact_json
from zsm_store.storage import history
from zsm_store.storage.history import History

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_damaged_versions_are_not_taken_for_one_another(tmp_path: Path) -> None:
    registry = saved(tmp_path, 1)
    (tmp_path / f"{KEY}.json").write_bytes(b"{ somebody's notes")
    registry.save(version(1))
    (tmp_path / f"{KEY}.json").write_bytes(b"{ other notes")
    assert [one.digest for one in registry.history(KEY)] == [None, None]


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


OUTSIDE_OF_TIME = "99991231T235959999999Z.json"


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


def test_history_knows_the_artifacts_that_it_has(tmp_path: Path) -> None:
    assert History(tmp_path).schema_hashes() == []
    assert History(tmp_path).versions(KEY) == []
    registry = saved(tmp_path, 2)
    registry.save(trained(SIM))
    registry.delete(trained(SIM).schema_hash)
    assert History(tmp_path).schema_hashes() == sorted([KEY, trained(SIM).schema_hash])
