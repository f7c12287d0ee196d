"""Several writers of the same artifacts: every version is served, kept or pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.processes import run_together
from zsm_store import LockStrategy, SchemaRegistry, Version

if TYPE_CHECKING:
    from pathlib import Path

WRITERS = 8
SAVES = 12
ARTIFACTS = 3

# A digest is printed once it is acknowledged; the tag makes each one unique.
CODE = f"""
registry = SchemaRegistry.open(sys.argv[1])
for number in range({SAVES}):
    artifact = numbered(number % {ARTIFACTS}, tag=f"{{sys.argv[2]}} {{number}}")
    print(artifact.schema_hash, registry.save(artifact))
"""


@pytest.mark.multiprocess
@pytest.mark.parametrize("keep", [5, 1000])
@pytest.mark.parametrize("lock", LockStrategy)
def test_every_acknowledged_version_is_accounted_for(
    tmp_path: Path, keep: int, lock: LockStrategy
) -> None:
    path = tmp_path / "registry"
    SchemaRegistry.init(path, keep=keep, lock=lock).close()
    given: list[tuple[object, ...]] = [(path, f"w{n}") for n in range(WRITERS)]
    ended = run_together(CODE, given, tmp_path / "start")
    assert [code for code, _, _ in ended] == [0] * WRITERS, ended
    said = [[line.split() for line in output.splitlines()] for _, output, _ in ended]
    registry = SchemaRegistry.open(path)
    keys = {key for lines in said for key, _ in lines}
    assert len(keys) == ARTIFACTS
    for key in keys:
        versions = registry.history(key)
        found = chronological(versions)
        by_writer = [[it for its, it in lines if its == key] for lines in said]
        everything = {digest for digests in by_writer for digest in digests}
        assert len(found) == min(len(everything), 1 + keep)
        assert everything.issuperset(found)
        for digests in by_writer:
            left = [digest for digest in digests if digest in found]
            assert left == digests[len(digests) - len(left) :], "the oldest go first"
            assert [digest for digest in found if digest in left] == left


def chronological(versions: list[Version]) -> list[str]:
    assert versions[0].is_served
    assert not any(version.is_served or version.problem for version in versions[1:])
    return [version.digest for version in reversed(versions) if version.digest]
