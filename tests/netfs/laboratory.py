"""A server and two clients on one machine, each with a network of its own.

Nothing of it can be reached from outside, and everything is gone afterwards: the
namespaces end with the processes that hold them, and those with this one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER_ADDRESS = "10.77.0.1"
_CLIENT_ADDRESSES = ("10.77.0.11", "10.77.0.12")
_LIFE_S = 3_600
"""Longest life of a laboratory, whatever becomes of the process that made it."""
_DEADLINE_S = 30.0
_PROGRAMS = ("ip", "nsenter", "setpriv", "unshare", "mount", "umount")


class LaboratoryError(Exception):
    """The laboratory, or a part of it, cannot be set up here."""


class Host:
    """Processes that see a network of their own.

    Parameters
    ----------
    pid
        Of the process that holds the namespaces.
    namespaces
        Options of `nsenter` that say which ones it holds.
    cleanup
        Ends what is started here.
    """

    def __init__(
        self, pid: int, namespaces: tuple[str, ...], cleanup: ExitStack
    ) -> None:
        self.pid = pid
        self._enter = ("nsenter", "-t", str(pid), *namespaces)
        self._cleanup = cleanup

    def run(self, *command: str | Path) -> str:
        """Run a command to its end and return its output."""
        ended = subprocess.run(
            [*self._enter, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        if ended.returncode:
            raise LaboratoryError(f"{command}: {ended.stdout.strip()}")
        return ended.stdout

    def start(self, log: Path, *command: str | Path) -> None:
        """Start a command that stays in the foreground, until the laboratory closes."""
        self._cleanup.enter_context(_running([*self._enter, *map(str, command)], log))


class Laboratory(NamedTuple):
    """Where a network drive can be set up."""

    server: Host
    """Also has processes and mounts of its own, so that daemons end with it."""
    clients: tuple[Host, Host]
    directory: Path
    """For whatever a drive needs; removed afterwards."""
    cleanup: ExitStack

    def mount_points(self) -> tuple[Path, Path]:
        """Return an empty directory per client, to be mounted on."""
        points = self.directory / "client-a", self.directory / "client-b"
        for point in points:
            point.mkdir()
            self.cleanup.callback(_unmount, point)
        return points

    def wait_for_drive(self, points: tuple[Path, Path]) -> None:
        """Wait until both clients see what one of them writes."""
        for point in points:  # while there is still somebody who answers
            self.cleanup.callback(_unmount, point)
        wait_until(lambda: all(map(os.path.ismount, points)), "both mounts")
        probe = "probe"
        wait_until(lambda: _is_written(points[0] / probe), "the first write")
        wait_until((points[1] / probe).exists, "the second client")
        (points[0] / probe).unlink()


def program(name: str) -> str:
    """Return where a program is; an error where it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise LaboratoryError(f"not installed: {name}")
    return path


def require(*names: str) -> None:
    """Raise where a program is missing, or the rights to use it."""
    if os.geteuid() != 0:
        raise LaboratoryError("only root may make networks and mounts")
    for name in (*_PROGRAMS, *names):
        program(name)


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Set up a server and two clients that are connected to it.

    Raises
    ------
    LaboratoryError
        This machine does not allow it.
    """
    require()
    with TemporaryDirectory(prefix="zsm-netfs-") as name, ExitStack() as cleanup:
        directory = Path(name)
        private = ("--net", "--mount", "--pid")
        holder = _holder(
            directory / "server.log",
            ("--fork", "--kill-child=KILL", "--mount-proc", *private),
            cleanup,
        )
        server = Host(_only_child(holder), private, cleanup)
        # Daemons keep their sockets and state here; others on this machine may run
        # the same ones.
        server.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        bridge = Host(server.pid, ("--net",), cleanup)
        for command in (
            "ip link set lo up",
            "ip link add hub type bridge",
            f"ip address add {SERVER_ADDRESS}/24 dev hub",
            "ip link set hub up",
        ):
            bridge.run(*command.split())
        clients = [
            _client(directory, address, bridge, cleanup)
            for address in _CLIENT_ADDRESSES
        ]
        yield Laboratory(server, (clients[0], clients[1]), directory, cleanup)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; an error after the deadline."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise LaboratoryError(f"waited in vain for {what}")
        time.sleep(0.05)


def _client(directory: Path, address: str, bridge: Host, cleanup: ExitStack) -> Host:
    number = address.rpartition(".")[2]
    pid = _holder(directory / f"client-{number}.log", ("--net",), cleanup)
    client = Host(pid, ("--net",), cleanup)
    port = f"port{number}"
    bridge.run(*f"ip link add {port} type veth peer name eth0 netns {pid}".split())
    bridge.run(*f"ip link set {port} master hub up".split())
    for command in (
        "ip link set lo up",
        f"ip address add {address}/24 dev eth0",
        "ip link set eth0 up",
    ):
        client.run(*command.split())
    return client


def _holder(log: Path, namespaces: tuple[str, ...], cleanup: ExitStack) -> int:
    """Start a process that does nothing but hold namespaces, and return its number."""
    own = Path("/proc/self/ns/net").readlink()
    command = ["unshare", *namespaces, "sleep", str(_LIFE_S)]
    pid = cleanup.enter_context(_running(command, log))

    def holds() -> bool:
        with suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/ns/net").readlink() != own
        raise LaboratoryError(f"no namespaces: {log.read_text().strip()}")

    wait_until(holds, "namespaces")
    return pid


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: bool(children.read_text().split()), "a child")
    (child,) = children.read_text().split()
    return int(child)


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[int]:
    """Run a command, which does not outlive this process; yield its number."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program("setpriv"), "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process.pid
    finally:
        # Not asked first: nothing is to be saved, and the first process of a process
        # namespace does not listen.
        process.kill()
        process.wait()


def _unmount(point: Path) -> None:
    for options in ([], ["-l"]):
        ended = subprocess.run(
            [program("umount"), *options, point], capture_output=True, check=False
        )
        if ended.returncode == 0 or not os.path.ismount(point):
            return


def _is_written(path: Path) -> bool:
    try:
        path.write_bytes(b"probe")
    except OSError:  # the servers have not found each other yet
        return False
    return True
