"""A service goes on reading while git rewrites the files under it.

A short form is part of every run. The long form, with 2,000 artifacts on two branches:

    ZSM_TEST_GIT_S=60 python -m pytest tests/git/test_live_readers.py -rP
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples import numbered, trained
from tests.git.live_reader import TAGS
from tests.git.scene import Scene, needs_git, repository
from tests.processes import command, environment, running
from zsm_store import Durability, Layout, SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [needs_git, pytest.mark.multiprocess]

_LONG_S = float(os.environ.get("ZSM_TEST_GIT_S", "0"))
SECONDS = _LONG_S or 4.0
ARTIFACTS = 2_000 if _LONG_S else 200
READERS = 2

_READ = "from tests.git.live_reader import main; main()"
_READ_NAIVELY = (
    "from zsm_store.storage.work_tree import WorkTree\n"
    "WorkTree.around = classmethod(lambda cls, path: None)\n" + _READ
)


def two_branches(top: Path, layout: Layout) -> Scene:
    """Make a repository with a training of every schema on each of two branches."""
    scene = repository(top)
    (scene.registry / "registry.json").unlink()
    SchemaRegistry.init(scene.registry, layout=layout).close()
    for tag in TAGS:
        if tag != "main":
            scene.branch(tag)
        artifacts = [numbered(number, tag=tag) for number in range(ARTIFACTS)]
        with SchemaRegistry.open(
            scene.registry, durability=Durability.RENAME
        ) as registry:
            assert not registry.save_many(artifacts).failed
        scene.commit(tag)
    return scene


def read_beside(scene: Scene, code: str, seconds: float) -> list[dict[str, Any]]:
    """Check out one branch after the other; returns what the readers tell."""
    readers = [
        subprocess.Popen(
            command(code, scene.registry, ARTIFACTS, seconds),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(READERS)
    ]
    try:
        end, checkouts = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            scene.go(TAGS[checkouts % 2])
            checkouts += 1
            time.sleep(0.2)
        outputs = [reader.communicate(timeout=seconds + 60) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert checkouts > 2
    assert [reader.returncode for reader in readers] == [0] * READERS, outputs
    return [json.loads(output) for output, _ in outputs]


@pytest.mark.timeout(60 + 4 * SECONDS)
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("workers", [1, 4])
def test_checkouts_are_never_seen_by_half(
    isolated: Path, tmp_path: Path, layout: Layout, workers: int
) -> None:
    del isolated
    scene = two_branches(tmp_path / "work", layout)
    scene.git("config", "checkout.workers", str(workers))
    scene.git("config", "checkout.thresholdForParallelism", "1")
    for told in read_beside(scene, _READ, SECONDS):
        assert told["told"].keys() <= {"get", "lookup", "scan"}, told
        assert told["told"]["get"] > 50
        assert told["told"]["scan"] > 0 or not _LONG_S
        assert told["longest_s"] < 10


@pytest.mark.timeout(60 + 4 * SECONDS)
def test_reader_that_knows_nothing_of_git_would_fail(
    isolated: Path, tmp_path: Path
) -> None:
    # Or the test above would prove nothing.
    del isolated
    scene = two_branches(tmp_path / "work", Layout.FLAT)
    scene.git("config", "checkout.workers", "8")
    scene.git("config", "checkout.thresholdForParallelism", "1")
    wrong: set[str] = set()
    for _ in range(4):
        for told in read_beside(scene, _READ_NAIVELY, SECONDS):
            wrong |= told["told"].keys() - {"get", "lookup", "scan"}
        if wrong:
            return
    pytest.fail("git was never met at work")


def test_add_never_stages_what_is_not_finished(isolated: Path, scene: Scene) -> None:
    del isolated
    code = """
import sys
from tests.examples import numbered
from zsm_store import *
registry = SchemaRegistry.open(sys.argv[1], durability=Durability.RENAME)
print("begun", flush=True)
number = 0
while True:
    registry.save(numbered(number % 40, tag=str(number)))
    number += 1
"""
    with running(code, scene.registry) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        for _ in range(40):
            scene.git("add", "-A")
    staged = scene.git("ls-files", "-z").split("\0")[:-1]
    names = {numbered(number).schema_hash for number in range(40)}
    for name in staged:
        path = scene.top / name
        if path.name in {"registry.json", ".gitattributes"}:
            continue
        assert path.stem in names | {trained().schema_hash}, name
    # Every staged content is whole: a registry of them has no problems.
    scene.git("checkout-index", "-a", "--prefix", f"{scene.top.parent}/staged/")
    with SchemaRegistry.open(scene.top.parent / "staged" / "models") as registry:
        assert not registry.verify()
        assert len(registry) > 1


def test_lock_survives_a_clean_beside_a_writer(isolated: Path, scene: Scene) -> None:
    del isolated
    code = """
import sys
from tests.examples import trained
from zsm_store import *
registry = SchemaRegistry.open(sys.argv[1], durability=Durability.RENAME)
print("begun", flush=True)
key = trained().schema_hash
for number in range(150):
    while True:
        digest, count = registry.digest(key), registry.get(key).em_iterations
        try:
            registry.save(trained(em_iterations=count + 1), if_match=digest)
        except ConflictError:
            continue
        break
"""
    begin = SchemaRegistry.open(scene.registry).get(trained().schema_hash)
    with running(code, scene.registry) as one, running(code, scene.registry) as two:
        while one.poll() is None or two.poll() is None:
            scene.git("clean", "-fdxq", code=None)  # loses some races itself
        for writer in (one, two):
            output, errors = writer.communicate()
            assert (writer.returncode, output) == (0, "begun\n"), errors
    found = SchemaRegistry.open(scene.registry).get(trained().schema_hash)
    assert found.em_iterations == begin.em_iterations + 300
