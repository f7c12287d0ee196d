"""docs/format.md is enough: a writer made from it alone takes part in the lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import trained
from zsm_store import LockStrategy, RegistryLockedError, SchemaRegistry
from zsm_store.codec import artifact_json
from zsm_store.storage.directory import ArtifactDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = Path(__file__).parents[2] / "docs" / "format.md"


def kernel() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    links = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in ("pid", "time")]
    return " ".join([boot, *links])


def started(pid: int) -> int:
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[19])


def marker(pid: int, since: int) -> dict[str, object]:
    return {
        "host": "atlas",
        "kernel": kernel(),
        "pid": pid,
        "started": since,
        "token": secrets.token_hex(16),
        "beat": 0,
    }


def create(path: Path, content: dict[str, object]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(fd, json.dumps(content).encode() + b"\n")
    os.close(fd)


@contextmanager
def marker_lock(path: Path) -> Iterator[None]:
    create(path / ".zsm" / "lock", marker(os.getpid(), started(os.getpid())))
    try:
        yield
    finally:
        (path / ".zsm" / "lock").unlink()


@contextmanager
def flock(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, there = os.fstat(fd), path.stat()
        assert (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
        yield
    finally:
        os.close(fd)


SECOND = {LockStrategy.FLOCK: flock, LockStrategy.MARKER: marker_lock}


@pytest.fixture(params=LockStrategy)
def lock(request: pytest.FixtureRequest, tmp_path: Path) -> LockStrategy:
    chosen: LockStrategy = request.param
    SchemaRegistry.init(tmp_path, lock=chosen).close()
    return chosen


def test_second_writer_keeps_the_first_one_out(
    tmp_path: Path, lock: LockStrategy
) -> None:
    registry = SchemaRegistry.open(tmp_path, lock_timeout_s=0.1)
    with SECOND[lock](tmp_path), pytest.raises(RegistryLockedError) as caught:
        registry.save(trained())
    if lock is LockStrategy.MARKER:
        assert f"process {os.getpid()} on atlas" in str(caught.value)
    registry.save(trained())


def test_first_writer_keeps_the_second_one_out(
    tmp_path: Path, lock: LockStrategy
) -> None:
    with (
        ArtifactDirectory(tmp_path).locked(lock),
        pytest.raises(OSError, match=r"exists|unavailable"),
        SECOND[lock](tmp_path),
    ):
        pass
    with SECOND[lock](tmp_path):
        pass


@pytest.fixture
def dead() -> tuple[int, int]:
    """Return number and start of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        return process.pid, started(process.pid)


def test_dead_second_writer_is_found_out(tmp_path: Path, dead: tuple[int, int]) -> None:
    registry = SchemaRegistry.init(tmp_path, lock=LockStrategy.MARKER)
    left = marker(*dead)
    create(tmp_path / ".zsm" / "lock", left)
    begun = time.monotonic()
    registry.save(trained())
    assert 0.5 <= time.monotonic() - begun < 10
    digits = hashlib.sha256(str(left["token"]).encode()).hexdigest()[:32]
    claim = tmp_path / ".zsm" / "tmp" / f"lock.{digits}.0"
    assert json.loads(claim.read_bytes())["pid"] == os.getpid()


def test_marker_says_what_the_page_describes(tmp_path: Path) -> None:
    section = FORMAT.read_text(encoding="utf-8").split("### 2.2 The lock")[1]
    section = section.split("\n### ")[0]
    described = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    SchemaRegistry.init(tmp_path, lock=LockStrategy.MARKER).close()
    with ArtifactDirectory(tmp_path).locked(LockStrategy.MARKER):
        content = (tmp_path / ".zsm" / "lock").read_bytes()
    found = json.loads(content)
    assert list(found) == described
    assert content.count(b"\n") == 1
    ours = marker(os.getpid(), started(os.getpid()))
    same = ("kernel", "pid", "started", "beat")
    assert [found[name] for name in same] == [ours[name] for name in same]
    assert re.fullmatch(r"[0-9a-f]{32}", found["token"])


def test_history_of_another_writer_is_gone_on_with(tmp_path: Path) -> None:
    registry = SchemaRegistry.init(tmp_path, keep=2)
    key = trained().schema_hash
    registry.save(trained(em_iterations=0))
    folder = tmp_path / "history" / key
    folder.mkdir(parents=True)
    # Its clock is fast, and it writes other line ends.
    before = artifact_json.encode(trained(em_iterations=99)).replace(b"\n", b"\r\n")
    (folder / "29991231T235959000001Z.json").write_bytes(before)
    for number in (1, 2):
        registry.save(trained(em_iterations=number))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["29991231T235959000002Z.json", "29991231T235959000003Z.json"]
    SchemaRegistry.init(tmp_path, keep=3)
    (folder / "29991231T235958000000Z.json").write_bytes(before)
    assert [version.artifact for version in registry.history(key)] == [
        trained(em_iterations=number) for number in (2, 1, 0, 99)
    ]
