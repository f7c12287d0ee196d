"""Writers that never stop, as the processes that they are."""

from __future__ import annotations

import functools
import os
import random
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.powercut.steps import PLANS, STEPS
from tests.processes import command, environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.powercut.steps import Plan
    from zsm_store import SchemaRegistry

_PAUSE_S = 0.03


class Kind(NamedTuple):
    """What writers do, how many there are of them, and what they leave out."""

    plan: Plan = PLANS["single changes"]
    processes: int = 1
    threads: int = 1
    """In each process, all of them writers, with one registry object for all."""
    syncs: Callable[[int], bool] | None = None
    """Whether what has this mode is synced when the package asks for it; None for all.

    With one, it is a control: the same code must lose something.
    """
    share: int = 1
    """A cut for so many of the others: what it shows it shows soon, or it is slow."""


KINDS = {
    "one": Kind(),
    "two": Kind(processes=2),
    "threads": Kind(threads=4),
    "batches": Kind(plan=PLANS["batches"], processes=2),
    "marker": Kind(plan=PLANS["marker"], processes=2, share=10),
    "no syncs": Kind(syncs=lambda _: False, share=4),
    "no directory syncs": Kind(syncs=stat.S_ISREG, share=4),
    "no file syncs": Kind(syncs=stat.S_ISDIR, share=4),
}


class Writers(NamedTuple):
    """Running writers."""

    processes: list[subprocess.Popen[bytes]]
    records: list[Path]
    """A byte for every acknowledged step, of each; not on the disk under test."""

    def acknowledged(self) -> list[int]:
        """Return the number of acknowledged steps of each; an error if one died."""
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"a writer has ended: {process.args!r}")
        return [record.stat().st_size for record in self.records]


@contextmanager
def writing(kind: str, root: Path, directory: Path) -> Iterator[Writers]:
    """Run writers beside the context; it begins when all of them do."""
    code = "from tests.powercut.writers import write_forever; write_forever()"
    threads = KINDS[kind].threads
    count = KINDS[kind].processes * threads
    records = [directory / f"record {writer}" for writer in range(count)]
    processes = [
        subprocess.Popen(
            command(code, kind, root, first, *records[first : first + threads]),
            env=environment(),
            stdout=subprocess.DEVNULL,
        )
        for first in range(0, count, threads)
    ]
    try:
        wait_until(lambda: all(map(Path.exists, records)), "the writers")
        yield Writers(processes, records)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def write_forever() -> None:
    """Write as the arguments of the process say.

    Kind, place, number of the first writer, and a record for each of the writers.
    """
    kind, root, first, *records = sys.argv[1:]
    chosen = KINDS[kind]
    if chosen.syncs is not None:
        _leave_out_syncs(chosen.syncs)
    find = _shared(Path(root), chosen.plan)
    threads = [
        threading.Thread(target=_write, args=(find, writer, chosen.plan, Path(record)))
        for writer, record in enumerate(records, int(first))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _write(
    find: Callable[[int], SchemaRegistry], writer: int, plan: Plan, record: Path
) -> None:
    chance = random.Random(writer)  # noqa: S311  # no secret
    try:
        with record.open("xb", buffering=0) as acknowledgements:
            for _ in plan.work(find, writer, 0):
                acknowledgements.write(b".")
                # The next save would also make the last one durable: not at once,
                # always.
                if chance.random() < 1 / 3:
                    time.sleep(chance.uniform(0, _PAUSE_S))
    finally:  # with an error, which must not go unnoticed
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _shared(root: Path, plan: Plan) -> Callable[[int], SchemaRegistry]:
    """Return a way to enter registries, each of them once for all threads."""
    lock = threading.Lock()
    entered = functools.cache(lambda place: plan.enter(root, place * STEPS))

    def find(number: int) -> SchemaRegistry:
        with lock:
            return entered(number // STEPS)

    return find


def _leave_out_syncs(syncs: Callable[[int], bool]) -> None:
    fsync = os.fsync

    def maybe(fd: int) -> None:
        if syncs(os.fstat(fd).st_mode):
            fsync(fd)

    os.fsync = os.fdatasync = maybe  # type: ignore[assignment]  # only numbers come
