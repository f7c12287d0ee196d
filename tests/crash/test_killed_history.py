"""Kill a writer that keeps versions at every line between there and the replacement."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.crash.test_killed_writers import (
    LATER,
    NEW,
    OLD,
    OTHER,
    WRITER,
    check_recovery,
    killed_at_every_line,
)
from tests.examples import trained
from tests.processes import running
from zsm_store import ArtifactNotFoundError, Layout, ModelArtifact, SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OLDEST = trained(em_iterations=0)
KEY = OLD.schema_hash
LINES = "FILES = {atomic.__file__, directory.__file__}\n"
MORE_LINES = """
from zsm_store.registry import file_writer
from zsm_store.storage import history
FILES = {directory.__file__, history.__file__, file_writer.__file__}
"""
NO_LINKS = """
import errno

def refuse(*args, **options):
    raise OSError(errno.EPERM, "no links here")

os.link = refuse
FILES.add(atomic.__file__)
"""


@pytest.fixture
def kill(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[str, int], int]]:
    """Return a function that does an action up to a line, and gives the exit code."""
    assert LINES in WRITER
    code = WRITER.replace(LINES, MORE_LINES + request.param)
    with running(code, stdin=True) as process:

        def act(action: str, lines: int) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{action}\t{tmp_path / 'registry'}\t{lines}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield act


def found_in(path: Path) -> list[int | None]:
    """Return the versions by their numbers, the served one or None first."""
    registry = SchemaRegistry.open(path)
    try:
        versions = registry.history(KEY)
    except ArtifactNotFoundError:
        return [None]
    assert not any(version.problem for version in versions)
    found = [one.artifact.em_iterations for one in versions if one.artifact is not None]
    return found if versions[0].is_served else [None, *found]


IDS = ["links", "copies"]
CASES = [
    ("", "save", Layout.FLAT),
    ("", "delete", Layout.FAN_OUT),
    (NO_LINKS, "save", Layout.FAN_OUT),
]


@pytest.mark.crash
@pytest.mark.parametrize(("kill", "action", "layout"), CASES, indirect=["kill"])
def test_no_version_is_lost_whoever_dies(
    tmp_path: Path, kill: Callable[[str, int], int], action: str, layout: Layout
) -> None:
    path, prepared = tmp_path / "registry", tmp_path / "prepared"
    registry = SchemaRegistry.init(prepared, layout=layout, keep=1)
    for version in (OLDEST, OLD, OTHER):
        registry.save(version)

    def prepare() -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(prepared, path)

    before: list[int | None] = [1, 0]
    after = [2 if action == "save" else None, 1, 0]
    seen = []
    for done in killed_at_every_line(kill, action, prepare):
        found = found_in(path)
        if found != before:
            # The oldest may go once there is one more, and not sooner.
            assert found in (after, after[:2])
        seen.append(found)
        if done:
            assert found == after[:2]
        check_recovery(path, served(found))
        kept = [number for number in found if number is not None]
        assert found_in(path) == [LATER.em_iterations, *kept][:2]
    assert before in seen
    first = next(at for at, found in enumerate(seen) if found != before)
    assert all(found != before for found in seen[first:]), "once replaced, it stays so"


def served(found: list[int | None]) -> list[ModelArtifact]:
    artifacts = [one for one in (OLD, NEW) if one.em_iterations == found[0]]
    return sorted([*artifacts, OTHER], key=lambda one: one.schema_hash)


@pytest.mark.crash
@pytest.mark.parametrize("kill", ["", NO_LINKS], indirect=True, ids=IDS)
def test_writer_that_dies_again_and_again_pushes_no_version_out(
    tmp_path: Path, kill: Callable[[str, int], int]
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.init(path, keep=2)
    for number in (-2, -1, 1):
        registry.save(trained(em_iterations=number + 10, tag="before"))
    expected = found_in(path)
    assert len(expected) == 3
    for lines in itertools.count():
        kill("save", lines)
        found = found_in(path)
        if found[0] == NEW.em_iterations:
            break
        assert found == expected
    assert lines > 20, "the trace never fired"
    # What the last one had no time to remove, the next one does.
    registry.save(LATER)
    assert found_in(path) == [LATER.em_iterations, NEW.em_iterations, expected[0]]
