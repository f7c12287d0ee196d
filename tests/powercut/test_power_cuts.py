"""What a save has acknowledged survives a power cut.

A short form is part of every run where root may mount loop devices. The long form, with
that many cuts for each kind of writer on each file system:

    ZSM_TEST_POWERCUT=100 python -m pytest tests/powercut -rP

The controls are the same writers without some of their syncs, and must lose something.
What no cut shows is the lack of a sync that a later one makes up for: the journals of
these file systems keep their order. The order of all steps is for unit tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.powercut.disk import FILE_SYSTEMS
from tests.powercut.experiment import NOT_HERE
from tests.powercut.writers import KINDS
from tests.processes import command, environment

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "ZSM_TEST_POWERCUT"
_CHOSEN = os.environ.get(VARIABLE, "")
_SHORT = 10
_QUICK = {("ext4", "two"), ("ext4", "no syncs")}
_TIMEOUT_S = 600
_HOW = f"needs root, loop devices, xfsprogs and e2fsprogs; longer: {VARIABLE}=100"

_CODE = "from tests.powercut.experiment import main; main()"
_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")

KEEPING = [name for name, kind in KINDS.items() if kind.syncs is None]
CONTROLS = [name for name in KINDS if name not in KEEPING]


def outcome(directory: Path, file_system: str, kind: str, cuts: int) -> dict[str, Any]:
    """Run the experiment; skip where the machine does not allow it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip(_HOW)
    ended = subprocess.run(
        [
            *("unshare", *_NAMESPACES),
            *command(_CODE, directory, file_system, kind, cuts),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if ended.returncode == NOT_HERE or ended.stderr.startswith("unshare:"):
        pytest.skip(f"{(ended.stdout or ended.stderr).strip()}; {_HOW}")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    print(f"{file_system}, {kind}: {found}")  # noqa: T201  # for those who ask with -rP
    return found


def chosen(file_system: str, kind: str) -> int:
    """Return the number of cuts; without the variable, only a quick set is made."""
    if _CHOSEN:
        return max(_SHORT, int(_CHOSEN) // KINDS[kind].share)
    if (file_system, kind) not in _QUICK:
        pytest.skip(f"{VARIABLE} is not set: a number of cuts, such as 100")
    return _SHORT


@pytest.mark.crash
@pytest.mark.timeout(_TIMEOUT_S)
@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_every_acknowledged_change_survives_a_power_cut(
    tmp_path: Path, file_system: str, kind: str
) -> None:
    cuts = chosen(file_system, kind)
    found = outcome(tmp_path, file_system, kind, cuts)
    assert found["cuts"] == cuts
    assert found["checked"] > cuts, "the writers hardly wrote"
    assert found["bad_cuts"] == 0, found["faults"]


@pytest.mark.crash
@pytest.mark.timeout(_TIMEOUT_S)
@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_without_a_sync_a_power_cut_would_show(
    tmp_path: Path, file_system: str, kind: str
) -> None:
    cuts = chosen(file_system, kind)
    assert outcome(tmp_path, file_system, kind, cuts)["bad_cuts"] > 0
