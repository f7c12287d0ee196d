"""A cheap look at a directory never hides what somebody has saved."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, BRP_WITH_PHONE, SIM, fingerprint, trained
from zsm_store import ColdStart, Layout, SchemaRegistry, StorageError, WarmLoad
from zsm_store.storage import freshness
from zsm_store.storage.file_system import (
    COARSE_GRANULARITY_S,
    clock_granularity_s,
    file_system_type,
)
from zsm_store.storage.freshness import Reading, directory_state

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(freshness.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_state_is_believed_once_it_was_read_again_a_tick_later(clock: Clock) -> None:
    first = Reading.of("state", None)
    clock.now += 5
    assert not first.holds("state", 1.0), "a change in the tick of the first reading"
    second = Reading.of("state", first)
    assert second.holds("state", 1.0)
    assert not second.holds("another state", 1.0)


def test_state_is_not_believed_within_the_tick_it_was_seen_in(clock: Clock) -> None:
    first = Reading.of("state", None)
    clock.now += 0.5
    assert not Reading.of("state", first).holds("state", 1.0)


def test_another_state_begins_anew(clock: Clock) -> None:
    first = Reading.of("state", None)
    clock.now += 5
    other = Reading.of("other", first)
    assert not other.holds("other", 1.0)


def test_no_state_is_believed_for_ever(clock: Clock) -> None:
    first = Reading.of("state", None)
    clock.now += 5
    second = Reading.of("state", first)
    clock.now += freshness.RESCAN_S - 1
    assert second.holds("state", 1.0)
    clock.now += 2
    assert not second.holds("state", 1.0)


def test_state_tells_creation_replacement_and_deletion(tmp_path: Path) -> None:
    states = [directory_state(tmp_path / "registry")]
    (tmp_path / "registry").mkdir()
    path = tmp_path / "registry" / "file"
    for content in (b"one", b"two"):
        states.append(directory_state(tmp_path / "registry"))
        (tmp_path / "staging").write_bytes(content)
        time.sleep(0.02)  # longer than a tick: this is about the states, not the race
        (tmp_path / "staging").replace(path)
    states.append(directory_state(tmp_path / "registry"))
    time.sleep(0.02)
    path.unlink()
    states.append(directory_state(tmp_path / "registry"))
    assert states[0] is None
    assert len(set(states)) == len(states)


def test_state_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot list"):
        directory_state(tmp_path / "file")


def settled(registry: SchemaRegistry) -> None:
    """Look until the registry believes what it has seen."""
    for _ in range(3):
        registry.lookup_startup_mode(fingerprint())
        time.sleep(0.03)


@pytest.mark.parametrize("layout", Layout)
def test_settled_registry_lists_nothing_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout
) -> None:
    registry = SchemaRegistry.init(tmp_path / "r", layout=layout)
    registry._store._granularity_s = 0.02  # whatever file system this is
    registry.save(trained())
    settled(registry)
    scans = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or scandir(path))
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    assert scans == []
    other = SchemaRegistry.open(tmp_path / "r")
    other.save(trained(BRP_WITH_PHONE))
    found = registry.lookup_startup_mode(fingerprint(BRP_WITH_PHONE))
    assert isinstance(found, WarmLoad)
    assert scans
    other.delete(trained(BRP_WITH_PHONE).schema_hash)
    assert len(registry) == 1


@pytest.mark.parametrize("layout", Layout)
def test_every_change_of_another_registry_is_seen_at_once(
    tmp_path: Path, layout: Layout
) -> None:
    reader = SchemaRegistry.init(tmp_path / "r", layout=layout)
    writer = SchemaRegistry.open(tmp_path / "r")
    for number in range(1, 150):
        writer.save(trained(em_iterations=number))
        mode = reader.lookup_startup_mode(fingerprint())
        assert isinstance(mode, WarmLoad)
        assert mode.artifact.em_iterations == number
        if number % 3 == 0:
            writer.delete(trained().schema_hash)
            assert isinstance(reader.lookup_startup_mode(fingerprint()), ColdStart)


def test_directory_that_is_deleted_and_made_again_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "r"
    registry = SchemaRegistry.open(path)
    registry.save(trained())
    settled(registry)
    path.rename(tmp_path / "moved")
    assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
    SchemaRegistry.open(path).save(trained(SIM))
    assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)


def test_answer_that_was_edited_in_place_is_never_served_as_it_was(
    tmp_path: Path,
) -> None:
    registry = SchemaRegistry.open(tmp_path / "r")
    registry.save(trained(em_iterations=1))
    SchemaRegistry.open(tmp_path / "other").save(trained(em_iterations=2))
    settled(registry)
    path = tmp_path / "r" / f"{trained().schema_hash}.json"
    path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    mode = registry.lookup_startup_mode(fingerprint())
    assert isinstance(mode, WarmLoad)
    assert mode.artifact.em_iterations == 2
    settled(registry)
    path.write_bytes(b"{")
    assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)


def test_file_that_is_finished_in_place_is_served_when_it_is_whole(
    tmp_path: Path,
) -> None:
    registry = SchemaRegistry.open(tmp_path / "r")
    registry.save(trained(SIM))
    SchemaRegistry.open(tmp_path / "other").save(trained(BRP))
    path = tmp_path / "r" / f"{trained(BRP).schema_hash}.json"
    data = (tmp_path / "other" / path.name).read_bytes()
    path.write_bytes(data[:100])
    settled(registry)
    assert isinstance(registry.lookup_startup_mode(fingerprint(BRP)), ColdStart)
    with path.open("ab") as file:
        file.write(data[100:])
    assert isinstance(registry.lookup_startup_mode(fingerprint(BRP)), WarmLoad)


def test_unknown_file_system_has_a_coarse_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file_system_type(tmp_path / "not" / "there") == file_system_type(tmp_path)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:2 / {tmp_path}/with\\040blank rw,x shared:1 - nfs4 host:/b rw\n"
    )
    monkeypatch.setattr("zsm_store.storage.file_system._MOUNTS", str(mounts))
    assert file_system_type(tmp_path / "with blank" / "r") == "nfs4"
    assert file_system_type(tmp_path / "with blankets") == "ext4"
    assert clock_granularity_s(tmp_path / "with blank") == COARSE_GRANULARITY_S
    assert clock_granularity_s(tmp_path) < 1
    mounts.unlink()
    assert clock_granularity_s(tmp_path) == COARSE_GRANULARITY_S
