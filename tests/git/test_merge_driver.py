"""What each operation of git does with two trainings, with and without the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.examples import BRP, SIM, trained
from tests.git.scene import OTHER_M, OTHER_U, Scene, needs_git, retrained
from tests.processes import run
from zsm_store import SchemaRegistry
from zsm_store.codec import artifact_json
from zsm_store.git import merge_driver
from zsm_store.git.choice import Policy
from zsm_store.git.installation import Scope, install
from zsm_store.git.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store import ModelArtifact

pytestmark = needs_git

BASE = trained(BRP)
EARLY = retrained(BASE, m=OTHER_M, days=1, records=900)
LATE = retrained(BASE, u=OTHER_U, days=2, records=100)


def merge(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("merge", "theirs", code=None)


def squash(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("merge", "--squash", "theirs", code=None)


def favor(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("merge", "-Xours", "theirs", code=None)


def rebase(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("rebase", "theirs", code=None)


def rebase_by_patches(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("rebase", "--apply", "theirs", code=None)


def cherry_pick(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("cherry-pick", "theirs", code=None)


def revert(scene: Scene) -> str:
    older = scene.commit("older", EARLY)
    scene.commit("newer", LATE)
    return scene.git("revert", "--no-edit", older, code=None)


def stash_pop(scene: Scene) -> str:
    scene.save(LATE)
    scene.git("stash")
    scene.commit("ours", EARLY)
    return scene.git("stash", "pop", code=None)


def checkout_m(scene: Scene) -> str:
    scene.branch("theirs")
    scene.commit("theirs", LATE)
    scene.go("main")
    scene.save(EARLY)
    return scene.git("checkout", "-m", "theirs", code=None)


def am(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    patch = scene.git("format-patch", "-1", "theirs", "-o", scene.top / ".git")
    return scene.git("am", "-3", patch.strip(), code=None)


def add_add(scene: Scene) -> str:
    scene.delete(BASE.schema_hash)
    scene.commit("none")
    return merge(scene)


def modify_delete(scene: Scene) -> str:
    scene.branch("theirs")
    scene.commit("theirs", LATE)
    scene.go("main")
    scene.delete(BASE.schema_hash)
    scene.commit("ours")
    return scene.git("merge", "theirs", code=None)


def strategy_resolve(scene: Scene) -> str:
    scene.fork([EARLY], [LATE])
    return scene.git("merge", "-s", "resolve", "theirs", code=None)


def octopus(scene: Scene) -> str:
    scene.branch("aside")
    scene.commit("aside", trained(SIM))
    scene.go("main")
    scene.fork([EARLY], [LATE])
    return scene.git("merge", "aside", "theirs", code=None)


DAMAGED = None
"""git calls no driver and wrote its markers into the file."""


class Row(NamedTuple):
    """What is in the work tree after an operation that meets two trainings."""

    operation: Callable[[Scene], str]
    file: ModelArtifact | None
    """In a clone without the driver, where there always is a conflict..."""
    resolved: ModelArtifact | None
    """...and after `zsm git resolve --policy newest`; None: for a person."""
    driven: ModelArtifact | None
    """With the driver and the policy `newest`; None: there is a conflict."""
    name: str
    """Of what git is in the middle of."""


TABLE = [
    Row(merge, EARLY, LATE, LATE, "merge"),
    Row(squash, EARLY, LATE, LATE, "merge"),
    Row(rebase, LATE, LATE, LATE, "rebase"),
    Row(rebase_by_patches, LATE, LATE, LATE, "rebase"),
    Row(cherry_pick, EARLY, LATE, LATE, "cherry-pick"),
    Row(revert, LATE, LATE, LATE, "revert"),
    Row(stash_pop, EARLY, LATE, LATE, "merge"),
    Row(checkout_m, LATE, LATE, LATE, "merge"),
    Row(am, EARLY, LATE, LATE, "am"),
    Row(add_add, EARLY, LATE, LATE, "merge"),
    Row(modify_delete, LATE, None, None, "merge"),
    Row(strategy_resolve, DAMAGED, LATE, None, "merge"),
    Row(octopus, DAMAGED, LATE, None, "merge"),
]
by_operation = pytest.mark.parametrize(
    "row", TABLE, ids=lambda it: it.operation.__name__
)


def content(scene: Scene) -> ModelArtifact | None:
    with SchemaRegistry.open(scene.registry, watch=False) as registry:
        found = {it.schema_hash: it for it in registry.list_all()}
        return found.get(BASE.schema_hash)


@by_operation
def test_without_the_driver_there_is_a_conflict_that_resolve_ends(scene, row) -> None:
    row.operation(scene)
    assert scene.unmerged() == [scene.name(BASE)]
    assert content(scene) == row.file
    done = resolve(scene.registry, policy=Policy.NEWEST, lock_timeout_s=5)
    assert done.operation.name == row.name
    if row.resolved is None:
        assert scene.unmerged() == [scene.name(BASE)]
    else:
        assert scene.unmerged() == []
        assert content(scene) == row.resolved
        assert scene.at("", BASE) == artifact_json.encode(row.resolved)
    if row.name != "merge" and scene.git("diff", "--cached", "--name-only"):
        scene.git(*done.operation.goes_on.split()[1:])
        assert content(scene) == row.resolved


@by_operation
def test_with_the_driver_the_policy_decides(scene, row) -> None:
    install(scene.registry, Scope.LOCAL)
    scene.git("config", "zsm.policy", "newest")
    row.operation(scene)
    if row.driven is None:
        assert scene.unmerged() == [scene.name(BASE)]
        assert content(scene) == row.file
    else:
        assert scene.unmerged() == []
        assert content(scene) == row.driven


@by_operation
def test_with_the_driver_and_no_policy_there_is_the_same_conflict(scene, row) -> None:
    install(scene.registry, Scope.LOCAL)
    output = row.operation(scene)
    assert scene.unmerged() == [scene.name(BASE)]
    assert content(scene) == row.file
    if row.driven is not None:
        name, ref = scene.name(BASE), BASE.schema_hash[:12]
        assert f"zsm: conflict in {name!r}: both sides trained it\n" in output
        assert f"zsm: then 'zsm git resolve --ours {ref}', or --theirs\n" in output


def test_a_favored_side_is_not_told_to_the_driver(scene) -> None:
    favor(scene)
    assert content(scene) == EARLY
    scene.git("reset", "-q", "--hard", "HEAD^")
    install(scene.registry, Scope.LOCAL)
    scene.git("-c", "zsm.policy=newest", "merge", "-Xours", "theirs")
    assert content(scene) == LATE


@pytest.mark.parametrize("onto", ["main", "theirs"])
def test_a_rebase_either_way_ends_in_the_same_training(scene, onto) -> None:
    """It swaps the sides; a policy does not care."""
    install(scene.registry, Scope.LOCAL)
    scene.git("config", "zsm.policy", "records")
    scene.fork([EARLY], [LATE])
    scene.go("theirs" if onto == "main" else "main")
    scene.git("rebase", onto)
    assert content(scene) == EARLY


def test_the_driver_can_be_bypassed(scene, monkeypatch) -> None:
    install(scene.registry, Scope.LOCAL)
    scene.git("config", "zsm.policy", "newest")
    monkeypatch.setenv("ZSM_GIT_DRIVER", "off")
    merge(scene)
    assert scene.unmerged() == [scene.name(BASE)]
    assert content(scene) == EARLY


def test_a_missing_program_is_a_conflict_of_whole_files(scene, monkeypatch) -> None:
    install(scene.registry, Scope.LOCAL)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    assert content(scene) == EARLY
    assert "-" in scene.git("diff"), "and without it a diff is still shown"


def test_an_unknown_policy_is_a_conflict_that_names_it(scene) -> None:
    install(scene.registry, Scope.LOCAL)
    scene.git("config", "zsm.policy", "best")
    output = merge(scene)
    assert "zsm: zsm.policy is 'best', not one of manual, newest, records\n" in output
    assert scene.unmerged()


def test_other_files_beside_artifacts_conflict_as_without_the_driver(scene) -> None:
    install(scene.registry, Scope.LOCAL)
    for branch, text in (("theirs", "b"), ("main", "a")):
        if branch == "theirs":
            scene.branch(branch)
        else:
            scene.go(branch)
        (scene.registry / "notes.json").write_text(text)
        scene.commit(branch)
    scene.conflicts("merge", "theirs")
    assert (scene.registry / "notes.json").read_text() == "a"


@pytest.fixture(name="files")
def _files(tmp_path) -> Callable[..., list[str]]:
    """Write the three versions as git does; returns what it calls the driver with."""

    def write(base: bytes, ours: bytes, theirs: bytes) -> list[str]:
        for name, data in (("o", base), ("a", ours), ("b", theirs)):
            (tmp_path / name).write_bytes(data)
        paths = [str(tmp_path / name) for name in "oab"]
        return [*paths, f"models/{BASE.schema_hash}.json"]

    return write


def test_what_stays_is_ours_to_the_last_byte(files, tmp_path, capsys) -> None:
    ours, theirs = artifact_json.encode(EARLY), b"{}"
    assert merge_driver.main(files(b"", ours, theirs)) == 1
    assert (tmp_path / "a").read_bytes() == ours
    assert "theirs cannot be trusted" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "o"]


def test_what_is_taken_is_theirs_to_the_last_byte(files, tmp_path) -> None:
    ours, theirs = artifact_json.encode(EARLY), b"\r\n" + artifact_json.encode(LATE)
    arguments = ["--policy", "newest", *files(b"", ours, theirs)]
    assert merge_driver.main(arguments) == 0
    assert (tmp_path / "a").read_bytes() == theirs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "o"]


@pytest.mark.parametrize("arguments", [[], ["--policy"], ["a", "b", "c"], ["x"] * 5])
def test_wrong_arguments_are_a_conflict(arguments, capsys) -> None:
    assert merge_driver.main(arguments) == 2
    assert capsys.readouterr().err.startswith("zsm: usage: ")


def test_files_that_are_not_there_are_a_conflict_of_one_line(tmp_path, capsys) -> None:
    missing = [str(tmp_path / name) for name in "oab"]
    assert merge_driver.main([*missing, f"{BASE.schema_hash}.json"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("zsm: cannot merge ")


def test_it_starts_without_what_it_does_not_need() -> None:
    code = """
import sys
sys.argv = ["zsm", "git", "merge-driver"]
import zsm_store.cli
try:
    zsm_store.cli.main()
except SystemExit:
    print(*sys.modules)
"""
    found = set(run(code).stdout.split())
    heavy = {"click", "numpy", "watchdog", "filelock", "pathlib", "subprocess"}
    assert "zsm_store.git.choice" in found
    assert not found & heavy
    assert not [name for name in found if name.startswith("zsm_store.registry")]


def test_the_command_line_explains_it(zsm, files, tmp_path) -> None:
    arguments = files(b"", artifact_json.encode(EARLY), artifact_json.encode(LATE))
    assert zsm("git", "merge-driver", "--policy", "newest", *arguments).code == 0
    assert (tmp_path / "a").read_bytes() == artifact_json.encode(LATE)
    assert zsm("git", "merge-driver", *arguments).code == 0, "both are the same now"
    assert "ZSM_GIT_DRIVER=off" in zsm("git", "merge-driver", "--help").out
