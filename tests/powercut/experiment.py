"""Cut the power of writers again and again, then look at what each cut has left.

Meant to be run in mount and process namespaces of its own, with which everything ends
that it starts and mounts.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.powercut.disk import FILE_SYSTEMS, DiskError, disk, mounted
from tests.powercut.judge import Progress, judge
from tests.powercut.writers import KINDS, writing

CUT_EVERY_S = 0.06
"""On average; the instants are random."""
_NEIGHBOR_EVERY = 4
NOT_HERE = 77
"""Exit code where the machine does not allow it."""


@dataclass(kw_only=True)
class Outcome:
    """What became of all cuts together."""

    cuts: int = 0
    bad_cuts: int = 0
    acknowledged: int = 0
    """Steps, until the last cut."""
    checked: int = 0
    """Acknowledged steps that were looked for, summed over the cuts."""
    left_behind: int = 0
    """Staging files that were found, and swept."""
    faults: list[str] = field(default_factory=list)
    """Of some of the bad cuts."""


def experiment(directory: Path, file_system: str, kind: str, cuts: int) -> Outcome:
    """Cut the power of writers of one kind on one file system."""
    system = FILE_SYSTEMS[file_system]
    with disk(directory, system) as under_test:
        taken = []
        with writing(kind, under_test.path, directory) as writers:
            for number in range(cuts):
                time.sleep(random.uniform(0, 2 * CUT_EVERY_S))  # noqa: S311  # no secret
                if number % _NEIGHBOR_EVERY == 0:
                    # Others sync, too, and with it the file system may write down
                    # names whose content it still owes.
                    _sync_something_else(under_test.path)
                before = writers.acknowledged()
                image = under_test.cut(number)
                # A step may be done and not be acknowledged yet; the one after it
                # begins only then.
                after = [count + 1 for count in writers.acknowledged()]
                taken.append((image, list(map(Progress, before, after))))
        outcome = Outcome(acknowledged=sum(before))
        for image, progress in taken:
            outcome.cuts += 1
            outcome.checked += sum(writer.acknowledged for writer in progress)
            try:
                with mounted(system, image, directory / "cut") as root:
                    faults, left = judge(root, progress, KINDS[kind].plan)
            except DiskError as error:
                faults, left = [str(error)], 0
            image.unlink()
            outcome.left_behind += left
            if faults:
                outcome.bad_cuts += 1
                outcome.faults += [f"cut {outcome.cuts}: {one}" for one in faults[:3]]
        del outcome.faults[20:]
        return outcome


def _sync_something_else(path: Path) -> None:
    with (path / "neighbor").open("ab", buffering=0) as file:
        file.write(os.urandom(512))
        os.fsync(file.fileno())


def main() -> None:
    """Run as the arguments say: directory, file system, kind and number of cuts."""
    directory, file_system, kind, cuts = sys.argv[1:]
    try:
        outcome = experiment(Path(directory), file_system, kind, int(cuts))
    except DiskError as error:
        sys.stdout.write(str(error))
        sys.exit(NOT_HERE)
    sys.stdout.write(json.dumps(asdict(outcome)))
