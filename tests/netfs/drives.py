"""Network drives, each mounted by two clients as if they were two hosts."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.netfs.laboratory import (
    SERVER_ADDRESS,
    LaboratoryError,
    laboratory,
    program,
    require,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.netfs.laboratory import Laboratory

_SSHD = """
ListenAddress {address}
Port 2222
HostKey {directory}/key
AuthorizedKeysFile {directory}/key.pub
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""
_MFS_MASTER = """
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {directory}/master
EXPORTS_FILENAME = {directory}/exports.cfg
TOPOLOGY_FILENAME = {directory}/topology.cfg
MATOML_LISTEN_HOST = {address}
MATOCS_LISTEN_HOST = {address}
MATOCL_LISTEN_HOST = {address}
"""
_MFS_CHUNKS = """
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {directory}/chunks
HDD_CONF_FILENAME = {directory}/disks.cfg
MASTER_HOST = {address}
CSSERV_LISTEN_HOST = {address}
HDD_LEAVE_SPACE_DEFAULT = 64MiB
"""
_MFS_EMPTY = Path("/var/lib/mfs/metadata.mfs.empty")


@contextmanager
def sshfs(*options: str) -> Iterator[tuple[Path, Path]]:
    """Mount one directory twice over SSH."""
    require("sshd", "ssh-keygen", "sshfs")
    with laboratory() as lab:
        exported, config = lab.directory / "exported", lab.directory / "sshd.cfg"
        exported.mkdir()
        key = lab.directory / "key"
        subprocess.run(
            [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key],
            check=True,
        )
        _write(lab, config, _SSHD)
        lab.server.run("mkdir", "/run/sshd")
        sshd = program("sshd")  # starts itself again, for which it wants its whole path
        lab.server.start(lab.directory / "sshd.log", sshd, "-D", "-e", "-f", config)
        points = lab.mount_points()
        _wait_for_port(lab, 2222)
        trust = f"IdentityFile={key},UserKnownHostsFile=/dev/null,LogLevel=ERROR"
        ours = f"{trust},StrictHostKeyChecking=no,allow_other,default_permissions"
        for client, point in zip(lab.clients, points, strict=True):
            client.start(
                lab.directory / f"{point.name}.log",
                *("sshfs", "-f", "-p", "2222", "-o", ours, *options),
                *(f"root@{SERVER_ADDRESS}:{exported}", point),
            )
        lab.wait_for_drive(points)
        yield points


@contextmanager
def uncached_sshfs() -> Iterator[tuple[Path, Path]]:
    """Mount one directory twice over SSH, as it is advised for a registry."""
    options = "dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0"
    with sshfs("-o", options) as points:
        yield points


@contextmanager
def moosefs() -> Iterator[tuple[Path, Path]]:
    """Mount a MooseFS of one master and one chunk server twice."""
    require("mfsmaster", "mfschunkserver", "mfsmount")
    if not _MFS_EMPTY.exists():
        raise LaboratoryError(f"not installed: {_MFS_EMPTY}")
    with laboratory() as lab:
        for name in ("master", "chunks", "disk"):
            (lab.directory / name).mkdir()
        shutil.copy(_MFS_EMPTY, lab.directory / "master" / "metadata.mfs")
        _write(lab, lab.directory / "exports.cfg", "* / rw,alldirs,maproot=0:0\n")
        _write(lab, lab.directory / "topology.cfg", "")
        _write(lab, lab.directory / "disks.cfg", "{directory}/disk\n")
        _write(lab, lab.directory / "master.cfg", _MFS_MASTER)
        _write(lab, lab.directory / "chunks.cfg", _MFS_CHUNKS)
        for program, config in (("mfsmaster", "master"), ("mfschunkserver", "chunks")):
            log = lab.directory / f"{config}.log"
            path = lab.directory / f"{config}.cfg"
            lab.server.start(log, program, "-f", "-c", path, "start")
        _wait_for_port(lab, 9421)
        points = lab.mount_points()
        for client, point in zip(lab.clients, points, strict=True):
            log = lab.directory / f"{point.name}.log"
            client.start(log, "mfsmount", "-f", "-H", SERVER_ADDRESS, point)
        lab.wait_for_drive(points)
        yield points


@contextmanager
def glusterfs() -> Iterator[tuple[Path, Path]]:
    """Mount a GlusterFS volume of one brick twice."""
    require("glusterd", "gluster", "glusterfs")
    with laboratory() as lab:
        for name in ("state", "brick"):
            (lab.directory / name).mkdir()
        # The daemon and its command line meet at fixed paths.
        for path in ("/var/lib/glusterd", "/var/log/glusterfs"):
            lab.server.run("mount", "-t", "tmpfs", "tmpfs", path)
        lab.server.run("mkdir", "/run/gluster")
        log = lab.directory / "glusterd.log"
        lab.server.start(log, "glusterd", "-N", "--log-file", log)
        gluster = ("gluster", "--mode=script")
        wait_until(lambda: _succeeds(lab, *gluster, "volume", "list"), "glusterd")
        brick = f"{SERVER_ADDRESS}:{lab.directory}/brick"
        lab.server.run(*gluster, "volume", "create", "drive", brick, "force")
        lab.server.run(*gluster, "volume", "start", "drive")
        points = lab.mount_points()
        for client, point in zip(lab.clients, points, strict=True):
            log = lab.directory / f"{point.name}.log"
            volume = (f"--volfile-server={SERVER_ADDRESS}", "--volfile-id=drive")
            client.start(log, "glusterfs", "-N", *volume, f"--log-file={log}", point)
        lab.wait_for_drive(points)
        yield points


DRIVES: dict[str, Callable[[], AbstractContextManager[tuple[Path, Path]]]] = {
    "sshfs": sshfs,
    "sshfs-uncached": uncached_sshfs,
    "moosefs": moosefs,
    "glusterfs": glusterfs,
}
"""By name: yields the mount points of the two clients, or raises `LaboratoryError`."""


def _write(lab: Laboratory, path: Path, text: str) -> None:
    path.write_text(text.format(directory=lab.directory, address=SERVER_ADDRESS))


def _wait_for_port(lab: Laboratory, port: int) -> None:
    listed = ("ss", "--tcp", "--listening", "--numeric", "--no-header")
    wait_until(lambda: f":{port} " in lab.server.run(*listed), f"port {port}")


def _succeeds(lab: Laboratory, *command: str) -> bool:
    try:
        lab.server.run(*command)
    except LaboratoryError:
        return False
    return True
