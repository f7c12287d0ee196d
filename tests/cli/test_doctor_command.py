"""What `zsm doctor` says, for whom, and that it leaves no trace."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.examples import trained
from tests.processes import read_only, run, run_as_nobody, running
from zsm_store import LockStrategy, SchemaRegistry
from zsm_store.storage import file_system
from zsm_store.storage.process_identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHECKS = [
    "settings",
    "artifacts",
    "file system",
    "permissions",
    "clock",
    "lock",
    "lock test",
    "rename",
    "sync",
    "names",
    "watcher",
    "freshness",
    "cache",
    "staging",
    "quarantine",
    "history",
    "versions",
]

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 22 0:49 / {point} rw,nosuid - {kind} server:/export {options}
"""


@pytest.fixture
def registry(tmp_path: Path, zsm) -> Path:  # noqa: ARG001  # an empty cache, chdir
    path = tmp_path / "registry"
    SchemaRegistry.init(path).save(trained())
    return path


@pytest.fixture
def lies_on(tmp_path: Path, monkeypatch) -> Callable[..., None]:
    """Return what pretends that the registry lies on some kind of file system."""

    def pretend(kind: str, options: str = "rw") -> None:
        mounts = tmp_path / "mountinfo"
        mounts.write_text(MOUNTS.format(point=tmp_path, kind=kind, options=options))
        monkeypatch.setattr(file_system, "_MOUNTS", str(mounts))

    return pretend


def examined(zsm, path: Path) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and the checks by name."""
    outcome = zsm("doctor", path, "--json")
    assert outcome.document["registry"] == str(path)
    checks = outcome.document["checks"]
    assert [check["check"] for check in checks] == CHECKS
    return outcome.code, {check["check"]: check for check in checks}


def everything(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what lies in a directory; that of staging files may be used."""
    return {
        found: (status.st_ino, status.st_size, status.st_mode)
        for found in [path, *path.rglob("*")]
        if (status := found.lstat())
    }


def test_a_sound_registry_passes_every_check_and_is_not_changed(registry, zsm) -> None:
    before, state = everything(registry), registry.stat().st_mtime_ns
    started = time.monotonic()
    code, checks = examined(zsm, registry)
    assert time.monotonic() - started < 10
    assert code == 0
    assert not [one for one in checks.values() if one["status"] in {"fail", "skip"}]
    assert "1, listed in" in checks["artifacts"]["message"]
    assert "refused while another process held it" in checks["lock test"]["message"]
    assert "none missing, none torn" in checks["rename"]["message"]
    assert everything(registry) == before
    assert registry.stat().st_mtime_ns == state


def test_each_check_is_a_line_with_a_summary_behind(registry, zsm) -> None:
    (registry / "quarantine" / "some").mkdir(parents=True)
    outcome = zsm("doctor", registry)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    listed = [line for line in lines if not line.startswith(" ")]
    assert [line[6:17].rstrip() for line in listed] == CHECKS
    place = listed.index("warn  quarantine   1 damaged that were put away")
    assert lines[place + 1].startswith(" " * 19 + "'quarantine/*/reason.txt'")
    assert outcome.err.startswith(f"'{registry}': ")
    assert "with a warning" in outcome.err
    quiet = zsm("doctor", registry, "-q")
    assert quiet.err == ""
    assert all(line[:4] in {"warn", "    "} for line in quiet.out.splitlines())
    assert "quarantine" in quiet.out


def test_a_folder_that_is_no_registry_yet_is_left_as_it_was(tmp_path, zsm) -> None:
    path = tmp_path / "new"
    path.mkdir()
    code, checks = examined(zsm, path)
    assert code == 0
    assert "no registry.json yet" in checks["settings"]["message"]
    assert checks["rename"]["status"] == "ok"
    assert list(path.iterdir()) == []


def test_what_is_not_there_is_not_found(tmp_path, zsm) -> None:
    outcome = zsm("doctor", "nowhere")
    assert outcome.code == 3
    assert "cannot open 'nowhere'" in outcome.err
    (tmp_path / "file.zsm").touch()
    assert zsm("doctor", "file.zsm").code == 2
    assert zsm("doctor").code == 2


def test_the_registry_around_here_or_named_is_examined(
    registry, zsm, monkeypatch
) -> None:
    assert zsm("doctor", "--registry", registry, "--json").document["registry"] == str(
        registry
    )
    monkeypatch.chdir(registry)
    assert zsm("doctor", "--json").document["registry"] == str(registry)


def test_damaged_settings_are_exit_code_4(registry, zsm) -> None:
    (registry / "registry.json").write_text("{")
    code, checks = examined(zsm, registry)
    assert code == 4
    assert checks["settings"]["status"] == "fail"
    assert checks["lock test"]["status"] == "ok"


@pytest.mark.parametrize("strategy", LockStrategy)
@pytest.mark.multiprocess
def test_a_lock_that_does_not_exclude_fails(
    strategy, registry, zsm, monkeypatch
) -> None:
    SchemaRegistry.init(registry, lock=strategy)
    outcome = zsm("doctor", registry)
    assert "ok    lock test" in outcome.out
    assert "took over" not in outcome.err
    for kind in ("directory_lock.DirectoryLock", "marker_lock.MarkerLock"):
        monkeypatch.setattr(f"zsm_store.storage.{kind}.try_acquire", lambda *_: True)
    code, checks = examined(zsm, registry)
    assert code == 6
    assert checks["lock test"]["status"] == "fail"
    assert "while process" in checks["lock test"]["message"]


def test_nothing_in_the_current_directory_is_imported(
    registry, zsm, monkeypatch
) -> None:
    for name in ("orjson", "filelock", "zsm_store", "enum"):
        (registry / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(registry)
    assert examined(zsm, registry)[1]["lock test"]["status"] == "ok"


@pytest.mark.multiprocess
@pytest.mark.parametrize("strategy", LockStrategy)
def test_a_living_writer_is_named_and_not_waited_for(strategy, registry, zsm) -> None:
    SchemaRegistry.init(registry, lock=strategy)
    code = """
import sys
from zsm_store import SchemaRegistry
with SchemaRegistry.open(sys.argv[1])._store.site.locked():
    print("held", flush=True)
    sys.stdin.readline()
"""
    with running(code, registry, stdin=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        started = time.monotonic()
        _, checks = examined(zsm, registry)
        assert time.monotonic() - started < 10
        assert f"process {writer.pid}" in checks["lock"]["message"]
        assert checks["lock test"]["status"] == "ok"


def test_the_lock_of_a_dead_writer_is_a_warning(registry, zsm) -> None:
    SchemaRegistry.init(registry, lock=LockStrategy.MARKER)
    there = ProcessIdentity("node-42", "another kernel", 4711, 1)
    marker = registry / ".zsm/lock"
    marker.write_bytes(orjson.dumps({**there._asdict(), "token": "t", "beat": 3}))
    os.utime(marker, (time.time() - 100,) * 2)
    lock = examined(zsm, registry)[1]["lock"]
    assert lock["status"] == "warn"
    assert "process 4711 on node-42, not heard of for 100 s" in lock["message"]
    assert marker.exists()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "fuse.glusterfs"])
def test_a_lock_that_does_not_reach_other_hosts_fails(
    kind, registry, zsm, lies_on
) -> None:
    lies_on(kind)
    code, checks = examined(zsm, registry)
    assert code == 6
    assert checks["lock"]["status"] == "fail"
    assert "does not reach other hosts" in checks["lock"]["message"]
    assert checks["file system"]["status"] == "warn"
    assert f"{kind} on server:/export (rw,nosuid)" in checks["file system"]["message"]
    assert "polling every 1 s" in checks["watcher"]["message"]
    assert "from others within" in checks["freshness"]["message"]


def test_what_a_file_system_does_not_keep_is_told_by_doctor_and_init(
    tmp_path, zsm, lies_on
) -> None:
    lies_on("fuse.sshfs")
    told = zsm("init", "shared")
    assert told.code == 0
    assert "layout flat, lock marker" in told.out
    warnings = [line for line in told.err.splitlines() if "warning" in line]
    assert len(warnings) == 3
    assert all("lies on fuse.sshfs" in line for line in warnings)
    assert "rename is not atomic" in warnings[1]
    assert "-o dir_cache=no,attr_timeout=0" in warnings[2]
    code, checks = examined(zsm, tmp_path / "shared")
    assert code == 0
    advice = "\n".join(checks["file system"]["advice"])
    assert "rename is not atomic" in advice
    assert "dir_cache=no" in advice


def test_init_on_a_good_file_system_warns_of_nothing(zsm, lies_on) -> None:
    lies_on("ext4")
    assert "warning" not in zsm("init", "local").err


def test_an_unknown_file_system_is_called_that(registry, zsm, lies_on) -> None:
    lies_on("fuse.unheard-of")
    code, checks = examined(zsm, registry)
    assert code == 0
    assert "unknown to this package" in checks["file system"]["advice"][0]
    assert checks["lock"]["status"] == "warn"
    assert "--lock marker" in checks["lock"]["advice"][0]
    assert checks["freshness"]["status"] == "warn"


def test_what_is_left_by_the_dead_is_a_warning(registry, zsm) -> None:
    leftover = registry / ".zsm/tmp/left"
    leftover.touch()
    os.utime(leftover, (0, 0))
    staging = examined(zsm, registry)[1]["staging"]
    assert staging["status"] == "warn"
    assert staging["message"] == "1 in use or left, 1 of them for over an hour"
    assert leftover.exists()


_DOCTOR = """
import sys
from zsm_store.cli import main
sys.argv = ["zsm", "doctor", "registry", "--json"]
main()
"""


def test_who_may_only_read_gets_what_can_be_told(registry, tmp_path) -> None:
    tmp_path.chmod(0o755)
    with read_only(registry):
        before = everything(registry)
        ended = run_as_nobody(_DOCTOR, tmp_path)
        assert everything(registry) == before
    assert ended.returncode == 0, ended.stderr
    checks = {one["check"]: one for one in orjson.loads(ended.stdout)["checks"]}
    assert list(checks) == CHECKS
    skipped = [name for name, one in checks.items() if one["status"] == "skip"]
    assert skipped == [
        *("clock", "lock test", "rename", "sync", "names", "watcher"),
    ]
    assert "Permission denied" in checks["clock"]["message"]
    assert "readable, not writable" in checks["permissions"]["message"]


def test_a_check_that_breaks_is_a_line_and_the_others_go_on(
    registry, zsm, monkeypatch
) -> None:
    def broken(*_: object) -> None:
        message = "a bug"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("zsm_store.storage.history.History.schema_hashes", broken)
    code, checks = examined(zsm, registry)
    assert code == 6
    assert checks["history"]["message"] == "ZeroDivisionError: a bug"
    assert checks["versions"]["status"] == "ok"


def test_a_linked_private_folder_is_not_followed(registry, tmp_path, zsm) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tmp").mkdir(parents=True)
    (registry / ".zsm/tmp").rmdir()
    (registry / ".zsm/.gitignore").unlink()
    (registry / ".zsm").rmdir()
    (registry / ".zsm").symlink_to(elsewhere)
    _, checks = examined(zsm, registry)
    assert checks["rename"]["status"] == "skip"
    assert "symbolic link" in checks["rename"]["message"]
    assert [path.name for path in elsewhere.rglob("*")] == ["tmp"]


def test_numpy_is_not_imported(registry) -> None:
    code = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(str("numpy" in sys.modules)))
sys.argv = ["zsm", "doctor", sys.argv[1]]
from zsm_store.cli import main
main()
"""
    ended = run(code, registry)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.endswith("False")
