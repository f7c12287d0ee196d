"""Real processes for tests: started, waited for with a deadline, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
DEADLINE_S = 40.0
NOBODY = 65534

# Everything is imported before the change of user, who may not be able to read the
# checkout. Paths are relative to a directory that the process is already in, because
# the temporary directories of tests are closed to other users.
_AS_NOBODY = f"""
import os, sys
import filelock, numpy
from tests.examples import *
from zsm_store import *
import pkgutil, zsm_store
for module in pkgutil.walk_packages(zsm_store.__path__, "zsm_store."):
    __import__(module.name)
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.atomic import make_directory
from pathlib import Path
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""


def environment() -> dict[str, str]:
    """Return the environment in which a child finds the package and these tests."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}


def command(code: str, *arguments: object) -> list[str]:
    """Return the command line that runs Python code with arguments."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        command(code, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def run_as_nobody(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in `directory` as a user whom file permissions bind.

    Root may read and write everything, so root steps down first.
    """
    return run(_AS_NOBODY + code, directory)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Take the permission to write from everybody, the owner included."""
    found = [directory, *directory.rglob("*")]
    before = {path: path.stat().st_mode for path in found}
    for path, mode in before.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in before.items():
            path.chmod(mode)


@contextmanager
def running(
    code: str, *arguments: object, stdin: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run Python code beside the test; it is dead and reaped afterwards."""
    with subprocess.Popen(
        command(code, *arguments),
        env=environment(),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_together(
    code: str, arguments: list[tuple[object, ...]], start_file: Path
) -> list[tuple[int, str, str]]:
    """Run Python code in several processes that begin at the same moment.

    Each gets the start file as its last argument, says ``ready`` and waits for it.

    Returns
    -------
    list of (exit code, output, errors)
        In the order of `arguments`.
    """
    processes = [
        subprocess.Popen(
            command(_WAIT + code, *given, start_file),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for given in arguments
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        start_file.touch()
        ended = [process.communicate(timeout=DEADLINE_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [
        (process.returncode, output, errors)
        for process, (output, errors) in zip(processes, ended, strict=True)
    ]


_WAIT = """
import os, sys, time
import filelock, numpy
from pathlib import Path
from tests.examples import *
from zsm_store import *
print("ready", flush=True)
while not os.path.exists(sys.argv[-1]):
    time.sleep(0.001)
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; an error after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)
