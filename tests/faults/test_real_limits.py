"""Nothing is injected: disks that are full, and limits that are met."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.processes import command, environment, run

if TYPE_CHECKING:
    from pathlib import Path

# In each child: a registry with two artifacts, a trouble that begins and ends, and what
# must hold meanwhile and afterwards.
_SCENE = """
import errno, os, resource, subprocess, sys
from contextlib import contextmanager
from pathlib import Path
from tests.examples import BRP_WITH_PHONE, SIM, trained
from zsm_store import Layout, SchemaRegistry, StorageError, WarmLoad

place = Path(sys.argv[1])
OLD, OTHER = trained(em_iterations=1), trained(SIM)
LARGE = trained(em_iterations=2, extra={"notes": "n" * 200_000})
THIRD = trained(BRP_WITH_PHONE)

def start(layout=Layout.FLAT):
    registry = SchemaRegistry.init(place / "registry", layout=layout)
    registry.save(OLD)
    registry.save(OTHER)
    registry.pack(place / "all.zsm")
    check(registry, OLD, OTHER)
    return registry

def check(registry, *expected):
    by_hash = sorted(expected, key=lambda one: one.schema_hash)
    for one in (registry, SchemaRegistry.open(registry.location)):
        assert one.list_all() == by_hash
        mode = one.lookup_startup_mode(OTHER.fingerprint)
        assert isinstance(mode, WarmLoad) and mode.artifact == OTHER
        assert one.verify() == []

def refused(number, act, *arguments):
    try:
        act(*arguments)
    except StorageError as error:
        assert error.errno == number, error
        assert str(place) in str(error) and "\\n" not in str(error), error
    else:
        sys.exit(f"{act} did what cannot be done")

def left(registry):
    return os.listdir(Path(registry.location) / ".zsm" / "tmp")

def mount(*options):
    subprocess.run(["mount", *options, str(place)], check=True)

def end(registry):
    registry.save(LARGE)
    registry.save(THIRD)
    check(registry, LARGE, OTHER, THIRD)
    assert registry.delete(THIRD.schema_hash)
    registry.pack(place / "all.zsm")
    assert SchemaRegistry.open(place / "all.zsm").list_all() == registry.list_all()
    assert left(registry) == []
    print("done")
"""

_FULL = """
registry = start()
filler = place / "filler"
with open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(1024))
    except OSError as error:
        assert error.errno == errno.ENOSPC
before = (place / "all.zsm").read_bytes()
refused(errno.ENOSPC, registry.save, LARGE)
check(registry, OLD, OTHER)
assert (place / "all.zsm").read_bytes() == before
assert left(registry) == []
filler.unlink()
end(registry)
"""

_NO_INODES = """
mount("-t", "tmpfs", "-o", "size=4m,nr_inodes=64", "none")
registry = start()
fillers = []
try:
    while True:
        filler = place / f"filler{len(fillers)}"
        filler.touch()
        fillers.append(filler)
except OSError as error:
    assert error.errno == errno.ENOSPC
for act, argument in (
    (registry.save, LARGE), (registry.save, THIRD), (registry.pack, place / "all.zsm"),
    (SchemaRegistry.init, place / "another"),
):
    refused(errno.ENOSPC, act, argument)
check(registry, OLD, OTHER)
for filler in fillers:
    filler.unlink()
end(registry)
"""

_READ_ONLY = """
mount("-t", "tmpfs", "none")
registry = start()
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
for act, argument in (
    (registry.save, LARGE), (registry.save, THIRD), (registry.delete, OLD.schema_hash),
    (registry.pack, place / "all.zsm"), (registry.pack, place / "new.zsm"),
    (SchemaRegistry.init, place / "another"),
):
    refused(errno.EROFS, act, argument)
check(registry, OLD, OTHER)
assert registry.unpack(place / "all.zsm").saved == ()
subprocess.run(["mount", "-o", "remount,rw", place], check=True)
end(registry)
"""

_FULL_EXT4 = """
image = place.with_name("image")
with open(image, "wb") as file:
    file.truncate(4 << 20)
subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
subprocess.run(["mount", "-o", "loop", image, place], check=True)
"""

_TOO_MANY_FILES = """
registry = start()
registry.nearest(OTHER.fingerprint)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
opened = []
try:
    while True:
        opened.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
fresh = SchemaRegistry.open(registry.location)
for act, *arguments in (
    (registry.save, LARGE), (registry.save, THIRD), (registry.delete, OLD.schema_hash),
    (registry.pack, place / "all.zsm"), (SchemaRegistry.init, place / "another"),
    (registry.get, OLD.schema_hash), (registry.list_all,), (registry.verify,),
    (list, registry), (registry.lookup_startup_mode, OLD.fingerprint),
    (fresh.lookup_many, [OLD.fingerprint]), (fresh.nearest, THIRD.fingerprint),
    (len, fresh),
):
    refused(errno.EMFILE, act, *arguments)
# One that is free at times is enough for some calls, and must mislead none.
for free in range(1, 5):
    os.close(opened.pop())
    one = SchemaRegistry.open(registry.location)
    for ask in (one.list_all, lambda: list(one), one.verify, lambda: len(one)):
        try:
            answer = ask()
        except StorageError as error:
            assert error.errno == errno.EMFILE, error
        else:
            assert answer in ([OTHER, OLD], [OLD, OTHER], [], 2), (free, answer)
for fd in opened:
    os.close(fd)
check(registry, OLD, OTHER)
end(registry)
"""

_TOO_LARGE = """
registry = start()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
refused(errno.EFBIG, registry.save, LARGE)
check(registry, OLD, OTHER)
assert left(registry) == []
registry.save(THIRD)
registry.delete(THIRD.schema_hash)
resource.setrlimit(
    resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
)
end(registry)
"""


def _run_mounted(code: str, place: Path) -> None:
    """Run code that mounts something, out of everybody else's sight."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount; injected faults are tested anyway")
    private = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    place.mkdir()
    ended = subprocess.run(
        [*private, *command(_SCENE + code, place)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_no_room_in_memory(tmp_path: Path) -> None:
    size = 'mount("-t", "tmpfs", "-o", "size=512k", "none")\n'
    _run_mounted(size + _FULL, tmp_path / "place")


def test_no_room_on_ext4(tmp_path: Path) -> None:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed")
    if not os.path.exists("/dev/loop-control"):  # noqa: PTH110  # a device
        pytest.skip("there are no loop devices here")
    _run_mounted(_FULL_EXT4 + _FULL, tmp_path / "place")


def test_no_inodes(tmp_path: Path) -> None:
    _run_mounted(_NO_INODES, tmp_path / "place")


def test_file_system_that_became_read_only(tmp_path: Path) -> None:
    _run_mounted(_READ_ONLY, tmp_path / "place")


def test_no_descriptors(tmp_path: Path) -> None:
    ended = run(_SCENE + _TOO_MANY_FILES, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_file_that_may_not_be_that_large(tmp_path: Path) -> None:
    ended = run(_SCENE + _TOO_LARGE, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
