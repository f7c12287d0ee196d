"""Network drives as the tests in this folder need them: a directory, seen twice."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.netfs.drives import DRIVES
from tests.netfs.laboratory import LaboratoryError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "ZSM_TEST_NETFS"
SETUP = "setup"
"""Value of the variable: set up every drive that is installed; needs root."""

_HOW = (
    f"{VARIABLE} is not set: either {SETUP!r}, or two mount points of one network "
    f"drive, separated by {os.pathsep!r}, as two hosts see it"
)


BOUNDS_S = {"moosefs": 3.0, "glusterfs": 3.0, "sshfs": 25.0, "sshfs-uncached": 0.1}
"""For as long as a client goes on to believe what it was told, with room for a machine
that is busy with other things."""
LONGEST_S = 60.0
"""For a drive that nothing is known of."""


class Drive(NamedTuple):
    """One directory of a network drive, as two clients see it."""

    name: str
    there: Path
    here: Path

    @property
    def bound_s(self) -> float:
        """Time after which a lookup sees what the other client has done."""
        return BOUNDS_S.get(self.name, LONGEST_S)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test on every drive there may be."""
    if "drive" in metafunc.fixturenames:
        chosen = os.environ.get(VARIABLE, "")
        names = list(DRIVES) if chosen in ("", SETUP) else ["mounted"]
        metafunc.parametrize("drive", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def drive(request: pytest.FixtureRequest) -> Iterator[Drive]:
    """Set up a network drive, or take the one that is named."""
    chosen = os.environ.get(VARIABLE)
    if not chosen:
        pytest.skip(_HOW)
    if chosen != SETUP:
        there, _, here = chosen.partition(os.pathsep)
        yield Drive("mounted", Path(there), Path(here or there))
        return
    with ExitStack() as cleanup:
        try:
            there, here = cleanup.enter_context(DRIVES[request.param]())
        except LaboratoryError as error:
            pytest.skip(f"{request.param}: {error}")
        yield Drive(request.param, there, here)
