"""What `verify` calls an error is moved out of the way, and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.examples import BRP, SIM, trained
from tests.processes import run, run_as_nobody, running
from zsm_store import Layout, LockStrategy, SchemaRegistry, Severity
from zsm_store.codec import artifact_json
from zsm_store.errors import ReadOnlyRegistryError, RegistryLockedError
from zsm_store.storage import atomic, quarantine
from zsm_store.storage.process_identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.registry.repair import RepairReport

GOOD = trained(SIM)
BAD = trained(BRP)
NAME = f"{BAD.schema_hash}.json"
DATA = artifact_json.encode(BAD)
EDITED = DATA.replace(b'"em_iterations": 25', b'"em_iterations": 26')
OLDER = artifact_json.encode(trained(BRP, em_iterations=7))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a registry with a good artifact."""
    registry = tmp_path / "registry"
    SchemaRegistry.init(registry).save(GOOD)
    return registry


@pytest.fixture
def fan_out(tmp_path: Path) -> Path:
    """Return one with folders, which has the folder of the bad one, too."""
    registry = tmp_path / "fan-out"
    SchemaRegistry.init(registry, layout=Layout.FAN_OUT).save(GOOD)
    (registry / NAME[:2]).mkdir()
    return registry


def repaired(path: Path) -> RepairReport:
    """Repair, and check what holds for every repair."""
    before = everything(path)
    with SchemaRegistry.open(path, watch=False) as registry:
        report = registry.repair()
        assert registry.get(GOOD.schema_hash) == GOOD
        assert registry.verify() == [
            problem for problem in unexplained(report) if problem.path
        ]
        again = registry.repair()
    assert again.moved == ()
    assert again.problems == report.problems
    kept = everything(path)
    for moved in report.moved:
        assert moved.to is not None
        assert not os.path.lexists(moved.problem.path)
        assert kept[moved.to] == before[moved.problem.path]
        reason = Path(moved.to).with_name("reason.txt").read_text()
        assert moved.problem.code in reason
        assert moved.problem.path in reason
        assert os.uname().nodename in reason
    return report


def unexplained(report: RepairReport) -> Iterable[object]:
    for problem in report.problems:
        yield replace(problem, message=problem.message.partition("; left there: ")[0])


def everything(path: Path) -> dict[str, object]:
    """Return the content of all that lies in a directory, by path."""
    return {
        str(file): file.readlink() if file.is_symlink() else file.read_bytes()
        for file in path.rglob("*")
        if file.is_symlink() or file.is_file()
    }


def codes(report: RepairReport) -> list[str]:
    return [moved.problem.code for moved in report.moved]


def test_a_sound_registry_is_not_touched(path: Path) -> None:
    before = sorted(path.rglob("*"))
    report = repaired(path)
    assert (report.moved, report.problems, report.swept) == ((), (), 0)
    assert report.stale_lock is None
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ZSM011"),
        (DATA[:100], "ZSM012"),
        (EDITED, "ZSM020"),
        (artifact_json.encode(GOOD), "ZSM021"),
        (b"<<<<<<< ours\n" + DATA, "ZSM010"),
        (b"{}", "ZSM014"),
    ],
    ids=["empty", "cut", "edited", "another", "conflict", "no artifact"],
)
@pytest.mark.parametrize("place", ["path", "fan_out"])
def test_a_damaged_file_is_moved_with_the_reason(
    data: bytes, code: str, place: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(place)
    folder = path if place == "path" else path / NAME[:2]
    (folder / NAME).write_bytes(data)
    report = repaired(path)
    assert codes(report) == [code]
    assert report.problems == ()
    assert not (folder / NAME).exists()


def test_earlier_ones_are_never_overwritten(path: Path) -> None:
    for number in range(3):
        (path / NAME).write_bytes(b"%d" % number)
        repaired(path)
    kept = sorted(file.read_bytes() for file in path.glob(f"quarantine/*/{NAME}"))
    assert kept == [b"0", b"1", b"2"]


def test_a_good_one_in_the_other_layout_is_served_then(fan_out: Path) -> None:
    (fan_out / NAME[:2] / NAME).write_bytes(EDITED)
    (fan_out / NAME).write_bytes(DATA)
    with SchemaRegistry.open(fan_out, watch=False) as asked:
        assert BAD.schema_hash not in asked
        assert codes(repaired(fan_out)) == ["ZSM020"]
        assert asked.get(BAD.schema_hash) == BAD
        assert len(asked) == 2


def test_of_two_damaged_copies_both_are_moved(path: Path) -> None:
    (path / NAME[:2]).mkdir()
    (path / NAME[:2] / NAME).write_bytes(b"")
    (path / NAME).write_bytes(EDITED)
    assert sorted(codes(repaired(path))) == ["ZSM011", "ZSM020"]


@pytest.mark.parametrize("place", ["path", "fan_out"])
def test_of_two_good_copies_the_served_one_stays(
    place: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(place)
    flat, folder = path, path / NAME[:2]
    folder.mkdir(exist_ok=True)
    served, other = (flat, folder) if place == "path" else (folder, flat)
    (served / NAME).write_bytes(DATA)
    (other / NAME).write_bytes(OLDER)
    report = repaired(path)
    assert codes(report) == ["ZSM003"]
    assert report.moved[0].problem.path == str(other / NAME)
    assert SchemaRegistry.open(path).get(BAD.schema_hash) == BAD


def test_names_that_no_artifact_has_are_moved(path: Path) -> None:
    (path / NAME.upper().replace("JSON", "json")).write_bytes(DATA)
    (path / "00").mkdir()
    (path / "00" / NAME).write_bytes(DATA)
    assert codes(repaired(path)) == ["ZSM001", "ZSM001"]


def test_a_link_is_moved_as_a_link(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(DATA)
    (path / NAME).symlink_to(outside)
    report = repaired(path)
    assert codes(report) == ["ZSM002"]
    assert str(outside) in report.moved[0].problem.message
    assert outside.read_bytes() == DATA


def test_a_link_may_hide_a_good_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_bytes(DATA)
    (path / NAME).symlink_to(tmp_path / "outside.json")
    (path / NAME[:2]).mkdir()
    (path / NAME[:2] / NAME).write_bytes(DATA)
    assert codes(repaired(path)) == ["ZSM002"]
    assert SchemaRegistry.open(path).get(BAD.schema_hash) == BAD


def test_a_pipe_and_a_socket_are_moved(path: Path, monkeypatch) -> None:
    os.mkfifo(path / NAME)
    monkeypatch.chdir(path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{'f' * 64}.json")
    report = SchemaRegistry.open(path).repair()
    assert codes(report) == ["ZSM002", "ZSM002"]
    assert report.problems == ()


def test_a_directory_is_left(path: Path) -> None:
    (path / NAME).mkdir()
    report = repaired(path)
    assert report.moved == ()
    [problem] = report.problems
    assert "left there: a directory" in problem.message


def test_what_is_newer_is_left_for_those_who_have_upgraded(path: Path) -> None:
    (path / NAME).write_bytes(DATA.replace(b"zsm-store/1", b"zsm-store/2"))
    report = repaired(path)
    assert report.moved == ()
    assert "left there: it is good for those" in report.problems[0].message


def test_of_two_copies_none_goes_while_the_served_one_is_newer(path: Path) -> None:
    (path / NAME).write_bytes(DATA.replace(b"zsm-store/1", b"zsm-store/2"))
    (path / NAME[:2]).mkdir()
    (path / NAME[:2] / NAME).write_bytes(DATA)
    report = repaired(path)
    assert report.moved == ()
    assert {problem.code for problem in report.problems} == {"ZSM003", "ZSM014"}


def test_warnings_are_told_and_left(path: Path) -> None:
    (path / NAME).write_bytes(DATA.replace(b"\n", b"\r\n"))
    (path / f"{'0' * 64}.json").write_bytes(b"")
    report = repaired(path)
    assert codes(report) == ["ZSM011"]
    [problem] = report.problems
    assert problem.severity is Severity.WARNING
    assert "left there" not in problem.message


def test_a_dry_run_changes_nothing(path: Path) -> None:
    (path / NAME).write_bytes(EDITED)
    (path / "00").mkdir()
    (path / "00" / NAME).mkdir()
    before = {file: file.lstat() for file in path.rglob("*")}
    report = SchemaRegistry.open(path).repair(dry_run=True)
    assert [(moved.problem.code, moved.to) for moved in report.moved] == [
        ("ZSM020", None)
    ]
    assert {problem.code for problem in report.problems} == {"ZSM020", "ZSM001"}
    after = {file: file.lstat() for file in path.rglob("*")}
    assert {file: (at.st_mtime_ns, at.st_ino) for file, at in before.items()} == {
        file: (at.st_mtime_ns, at.st_ino) for file, at in after.items()
    }


def test_a_good_one_that_was_saved_meanwhile_stays(path: Path, monkeypatch) -> None:
    (path / NAME).write_bytes(EDITED)
    registry = SchemaRegistry.open(path, watch=False)
    site = registry._store.site
    locked = site.locked

    def locked_late() -> object:
        (path / NAME).write_bytes(DATA)
        return locked()

    monkeypatch.setattr(site, "locked", locked_late)
    report = registry.repair()
    assert (report.moved, report.problems) == ((), ())
    assert (path / NAME).read_bytes() == DATA
    assert not (path / "quarantine").exists()


def test_what_was_put_right_before_it_was_looked_at_is_no_problem(
    path: Path, monkeypatch
) -> None:
    (path / NAME).write_bytes(EDITED)
    registry = SchemaRegistry.open(path, watch=False)
    verify = registry._store.verify

    def verify_and_restore() -> object:
        problems = list(verify())
        (path / NAME).write_bytes(DATA)
        return iter(problems)

    monkeypatch.setattr(registry._store, "verify", verify_and_restore)
    report = registry.repair()
    assert (report.moved, report.problems) == ((), ())


def test_a_move_out_of_a_folder_shows_in_the_registrys_directory(fan_out: Path) -> None:
    (fan_out / "quarantine").mkdir()
    (fan_out / NAME[:2] / NAME).write_bytes(EDITED)
    os.utime(fan_out, (0, 0))
    assert codes(repaired(fan_out)) == ["ZSM020"]
    assert fan_out.stat().st_mtime > 0


def test_who_writes_is_waited_for(path: Path) -> None:
    (path / NAME).write_bytes(EDITED)
    registry = SchemaRegistry.open(path, lock_timeout_s=0.1)
    with registry._store.site.locked(), pytest.raises(RegistryLockedError):
        SchemaRegistry.open(path, lock_timeout_s=0.1).repair()
    assert (path / NAME).read_bytes() == EDITED


def test_a_linked_quarantine_is_refused(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (path / "quarantine").symlink_to(elsewhere)
    (path / NAME).write_bytes(EDITED)
    report = repaired(path)
    assert report.moved == ()
    assert "a symbolic link, which a registry does not follow" in (
        report.problems[0].message
    )
    assert list(elsewhere.iterdir()) == []


def test_the_names_are_synced_where_they_are_before_where_they_were(
    path: Path, monkeypatch
) -> None:
    steps: list[object] = []
    (path / NAME).write_bytes(EDITED)
    rename = Path.rename
    monkeypatch.setattr(
        Path, "rename", lambda a, b: (steps.append("rename"), rename(a, b))[1]
    )

    def sync(directory: Path) -> None:
        steps.append(directory)
        atomic.sync_directory(directory)

    monkeypatch.setattr(quarantine, "sync_directory", sync)
    to = Path(str(SchemaRegistry.open(path).repair().moved[0].to))
    assert steps == ["rename", to.parent, path / "quarantine", path]


def test_a_failing_move_leaves_the_file_and_no_litter(path: Path, monkeypatch) -> None:
    (path / NAME).write_bytes(EDITED)

    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "rename", refuse)
    report = SchemaRegistry.open(path).repair()
    assert report.moved == ()
    assert "No space left" in report.problems[0].message
    assert (path / NAME).read_bytes() == EDITED
    assert list((path / "quarantine").iterdir()) == []


_READ_ONLY = """
from zsm_store import SchemaRegistry, StorageError
try:
    SchemaRegistry.open("registry").repair()
except StorageError as error:
    print(error)
"""


def test_who_may_only_read_gets_one_error(path: Path, tmp_path: Path) -> None:
    (path / NAME).write_bytes(EDITED)
    for folder in (path, tmp_path):
        folder.chmod(0o755)
    (path / ".zsm").chmod(0o755)
    if os.geteuid():
        path.chmod(0o555)
    ended = run_as_nobody(_READ_ONLY, tmp_path)
    path.chmod(0o755)
    assert ended.stdout.startswith("cannot create directory"), ended.stderr
    assert "Permission denied" in ended.stdout
    assert (path / NAME).read_bytes() == EDITED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_this_user_cannot_read_is_left(path: Path) -> None:
    (path / NAME).write_bytes(DATA)
    (path / NAME).chmod(0)
    report = repaired(path)
    assert report.moved == ()


def test_damaged_settings_are_told_and_nothing_is_moved(path: Path) -> None:
    (path / NAME).write_bytes(EDITED)
    (path / "registry.json").write_text("{")
    report = SchemaRegistry.open(path).repair()
    assert report.moved == ()
    assert [problem.code for problem in report.problems] == ["ZSM050", "ZSM020"]
    assert all("left there" in problem.message for problem in report.problems)


def test_bundles_and_memory_are_refused(path: Path, tmp_path: Path) -> None:
    SchemaRegistry.open(path).pack(tmp_path / "all.zsm")
    for registry in (
        SchemaRegistry.open(tmp_path / "all.zsm"),
        SchemaRegistry.in_memory(),
    ):
        with pytest.raises(ReadOnlyRegistryError, match="only a registry in a dir"):
            registry.repair()


def test_what_killed_writers_have_left_is_swept(path: Path) -> None:
    old, new = path / ".zsm/tmp/old", path / ".zsm/tmp/new"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    assert SchemaRegistry.open(path).repair(dry_run=True).swept == 1
    assert old.exists()
    assert repaired(path).swept == 1
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.multiprocess
def test_the_lock_of_a_dead_writer_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    SchemaRegistry.init(path, lock=LockStrategy.MARKER).save(GOOD)
    code = """
import sys, os
from zsm_store import SchemaRegistry
with SchemaRegistry.open(sys.argv[1])._store.site.locked():
    os._exit(0)
"""
    assert run(code, path).returncode == 0
    assert (path / ".zsm/lock").exists()
    dry = SchemaRegistry.open(path).repair(dry_run=True)
    assert (path / ".zsm/lock").exists()
    report = repaired(path)
    assert report.stale_lock is not None
    assert report.stale_lock.endswith("which ended without releasing it")
    assert dry.stale_lock == report.stale_lock
    assert not (path / ".zsm/lock").exists()


def test_the_lock_of_a_living_writer_is_left(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    SchemaRegistry.init(path, lock=LockStrategy.MARKER).save(GOOD)
    with SchemaRegistry.open(path)._store.site.locked():
        report = SchemaRegistry.open(path, lock_timeout_s=0).repair()
        assert report.stale_lock is None
        assert (path / ".zsm/lock").exists()


def test_who_is_silent_on_another_host_is_called_that(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    SchemaRegistry.init(path, lock=LockStrategy.MARKER).save(GOOD)
    there = ProcessIdentity("node-42", "another kernel", 4711, 1)
    marker = path / ".zsm/lock"
    marker.write_bytes(orjson.dumps({**there._asdict(), "token": "t", "beat": 3}))
    assert SchemaRegistry.open(path).repair(dry_run=True).stale_lock is None
    os.utime(marker, (time.time() - 100,) * 2)
    stale = SchemaRegistry.open(path).repair(dry_run=True).stale_lock
    assert stale == "process 4711 on node-42, not heard of for 100 s"


_SAVES = """
import sys
from tests.examples import *
from zsm_store import *
registry = SchemaRegistry.open(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    registry.save(trained(BRP, em_iterations=number))
    number += 1
"""


@pytest.mark.multiprocess
def test_repairs_beside_a_writer_take_nothing_good_away(path: Path) -> None:
    with running(_SAVES, path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        end = time.monotonic() + 1
        number = 0
        while time.monotonic() < end:
            number += 1
            (path / f"{number:064x}.json").write_bytes(b"")
            report = SchemaRegistry.open(path, watch=False).repair()
            assert codes(report) == ["ZSM011"]
        assert writer.poll() is None
    assert SchemaRegistry.open(path).get(BAD.schema_hash).fingerprint.schema_hash
    kept = {file.read_bytes() for file in path.glob("quarantine/*/*.json")}
    assert kept == {b""}


@pytest.mark.crash
def test_killed_at_any_step_the_file_is_in_one_of_the_two_places(
    path: Path, tmp_path: Path
) -> None:
    code = """
import os, signal, sys
from zsm_store import SchemaRegistry
import zsm_store.registry.repair
left = int(sys.argv[2])
def trace(frame, event, argument):
    if "quarantine.py" not in frame.f_code.co_filename: return None
    def count(frame, event, argument):
        global left
        if event == "line":
            left -= 1
            if left < 0: os.kill(os.getpid(), signal.SIGKILL)
        return count
    return count
registry = SchemaRegistry.open(sys.argv[1], watch=False)
sys.settrace(trace)
registry.repair()
"""
    (path / NAME).write_bytes(EDITED)
    for lines in range(0, 200, 2):
        copy = tmp_path / f"copy {lines}"
        shutil.copytree(path, copy)
        ended = run(code, copy, lines)
        found = [*copy.glob(NAME), *copy.glob(f"quarantine/*/{NAME}")]
        assert [file.read_bytes() for file in found] == [EDITED]
        if found[0].parent != copy:
            assert "ZSM020" in found[0].with_name("reason.txt").read_text()
        assert repaired(copy).problems == ()
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr
    assert lines > 10
