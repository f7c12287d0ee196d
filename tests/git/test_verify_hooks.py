"""`zsm verify --staged`, and the hooks of git that run it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, BRP_WITH_PHONE, SIM, numbered, trained
from tests.git.scene import OTHER_M, OTHER_U, Scene, needs_git, repository, retrained
from tests.git.typed import OLD, STAGES, blend, edit, zsm
from zsm_store import NotInGitError, SchemaRegistry
from zsm_store.git.repository import Repository
from zsm_store.git.staged import staged_problems

if TYPE_CHECKING:
    from zsm_store import Problem

pytestmark = needs_git

KEY = OLD.schema_hash


def _staged(scene: Scene, *below: str) -> list[Problem]:
    return staged_problems(Repository.around(scene.top), below)[1]


def _codes(scene: Scene) -> list[str]:
    return [problem.code for problem in _staged(scene)]


def _hook(scene: Scene, *names: str, script: str = "exec zsm verify --staged") -> None:
    for name in names:
        hook = scene.top / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)


def test_nothing_is_staged_after_a_commit(scene) -> None:
    assert staged_problems(Repository.around(scene.top)) == ([], [])
    outcome = zsm(scene.top, "verify", "--staged")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_the_index_is_checked_and_not_the_work_tree(scene) -> None:
    path = scene.path(KEY)
    good = path.read_bytes()
    edit(path, ": 25,", ": 26,")
    assert _codes(scene) == []
    scene.git("add", "-A")
    path.write_bytes(good)
    (problem,) = _staged(scene)
    assert problem.code == "ZSM020"
    assert Path(problem.path).resolve() == path
    assert problem.line == 3
    outcome = zsm(scene.top, "verify", "--staged")
    assert outcome.returncode == 4
    assert outcome.stdout.startswith(f"models/{KEY}.json:3:1: ZSM020 ")
    assert outcome.stderr == "1 staged file: 1 error\n"


def test_before_the_first_commit_all_that_is_staged_is_checked(
    isolated,  # noqa: ARG001  # settings first
    tmp_path,
) -> None:
    scene = repository(tmp_path / "new")
    scene.save(OLD, trained(SIM))
    scene.git("add", "-A")
    names, problems = staged_problems(Repository.around(scene.top))
    assert sorted(map(Path, names)) == sorted(
        Path(os.path.relpath(path))
        for path in [
            scene.path(KEY),
            scene.path(trained(SIM)),
            scene.registry / "registry.json",
        ]
    )
    assert problems == []
    scene.path(KEY).write_bytes(b"")
    scene.git("add", "-A")
    assert _codes(scene) == ["ZSM011"]


def test_what_was_bad_before_is_not_the_business_of_this_commit(scene) -> None:
    edit(scene.path(KEY), ": 25,", ": 26,")
    scene.commit("bad")
    scene.save(trained(SIM))
    scene.git("add", "-A")
    assert _codes(scene) == []
    scene.git("rm", "-q", scene.name(KEY))
    assert _codes(scene) == []


def test_only_what_is_below_the_paths_is_checked(scene) -> None:
    with SchemaRegistry.init(scene.top / "other") as registry:
        registry.save(trained(SIM))
    bad = scene.top / "other" / f"{trained(SIM).schema_hash}.json"
    edit(bad, ": 25,", ": 26,")
    scene.git("add", "-A")
    assert zsm(scene.top, "verify", "--staged").returncode == 4
    assert zsm(scene.top, "verify", "--staged", "models").returncode == 0
    inside = zsm(scene.registry, "verify", "--staged", "../other")
    assert inside.returncode == 4
    assert inside.stdout.startswith(f"../other/{bad.name}:3:1: ZSM020 ")
    assert zsm(scene.registry, "verify", "--staged").returncode == 4
    assert zsm(scene.top, "verify", "--staged", ".").returncode == 4
    assert zsm(scene.top.parent, "verify", "--staged", scene.top).returncode == 4
    # A slip of the keyboard must not pass for nothing to find.
    assert zsm(scene.top, "verify", "--staged", "oters").returncode == 3
    named = zsm(scene.top, "verify", "--staged", ZSM_REGISTRY="models")
    assert named.returncode == 4


@pytest.mark.parametrize("layout", ["flat", "fan-out"])
def test_both_layouts_of_one_artifact_are_found_in_the_index(scene, layout) -> None:
    folder = scene.registry / KEY[:2]
    folder.mkdir()
    twin = folder / f"{KEY}.json"
    if layout == "flat":
        shutil.copy(scene.path(KEY), twin)
    else:  # the other one was there first
        scene.path(KEY).rename(twin)
        scene.commit("moved")
        assert _codes(scene) == []
        shutil.copy(twin, scene.path(KEY))
    scene.git("add", "-A")
    # What lies in the work tree does not matter.
    shutil.rmtree(scene.registry)
    (problem,) = _staged(scene)
    assert problem.code == "ZSM003"


def test_a_move_into_a_folder_is_fine(scene) -> None:
    (scene.registry / KEY[:2]).mkdir()
    name = f"models/{KEY[:2]}/{KEY}.json"
    scene.git("mv", scene.name(KEY), name)
    assert _codes(scene) == []
    (scene.registry / "00").mkdir()
    scene.git("mv", name, f"models/00/{KEY}.json")
    assert _codes(scene) == ["ZSM001"]


def test_a_registry_may_be_called_like_a_folder_of_the_fan_out(scene) -> None:
    with SchemaRegistry.init(scene.top / "cd") as registry:
        registry.save(trained(BRP))
    scene.git("add", "-A")
    assert _codes(scene) == []


def test_names_that_differ_in_case_only_are_found_in_the_index(scene) -> None:
    blob = scene.git("rev-parse", f"HEAD:{scene.name(KEY)}").strip()
    for name in (f"models/{KEY.upper()}.json", f"Models/{KEY}.json"):
        scene.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    messages = [problem.message for problem in _staged(scene)]
    assert _codes(scene) == ["ZSM001"] * 3
    assert "lower-case hex digits" in " ".join(messages)
    assert sum("where upper case does not count" in it for it in messages) == 2


def test_links_and_submodules_in_the_place_of_artifacts_are_found(scene) -> None:
    scene.path(KEY).unlink()
    scene.path(KEY).symlink_to("elsewhere")
    scene.git("add", "-A")
    head = scene.git("rev-parse", "HEAD").strip()
    name = f"models/{'0' * 64}.json"
    scene.git("update-index", "--add", "--cacheinfo", f"160000,{head},{name}")
    assert {problem.message for problem in _staged(scene)} == {
        "not a regular file, so it is not served",
        "a symbolic link, so it is not served",
    }


def test_settings_are_checked_where_they_are_ours(scene) -> None:
    (scene.top / "registry.json").write_text('{"name": "of another tool"')
    edit(scene.registry / "registry.json", '"layout"', '"layuot"')
    scene.git("add", "-A")
    (problem,) = _staged(scene)
    assert problem.code == "ZSM050"
    assert problem.path.endswith("models/registry.json")


def test_what_was_put_into_the_quarantine_may_be_committed(scene) -> None:
    scene.path(trained(SIM)).write_bytes(b"")
    assert zsm(scene.registry, "verify", "--fix").returncode == 0
    scene.git("add", "-A")
    assert "quarantine/" in scene.git("diff", "--cached", "--name-only")
    assert _codes(scene) == []


def test_an_unresolved_conflict_is_an_error(scene) -> None:
    scene.fork([retrained(OLD, m=OTHER_M)], [retrained(OLD, m=OTHER_M, u=OTHER_U)])
    scene.conflicts("merge", "-q", "theirs")
    (problem,) = _staged(scene)
    assert problem.code == "ZSM010"
    assert "unresolved conflict" in problem.message


def test_names_that_git_would_quote_and_a_thousand_files(scene) -> None:
    with SchemaRegistry.init(scene.top / "a b\n'\u00e9") as registry:
        registry.save(trained(SIM))
        for number in range(1_100):
            registry.save(numbered(number))
    stored = sorted((scene.top / "a b\n'\u00e9").glob("?" * 64 + ".json"))
    for place in (0, 511, 512, 1_100):  # where one batch ends and another begins
        edit(stored[place], ": 25,", ": 26,")
    scene.git("add", "-A")
    names, problems = staged_problems(Repository.around(scene.top))
    assert len(names) == 1_102
    assert [problem.code for problem in problems] == ["ZSM020"] * 4
    outcome = zsm(scene.top, "verify", "--staged", "--format", "github")
    assert outcome.returncode == 4
    lines = outcome.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("::error file=a b%0A'\u00e9/")


def test_outside_of_git_it_says_so(isolated, tmp_path) -> None:  # noqa: ARG001  # settings first
    outcome = zsm(tmp_path, "verify", "--staged", GIT_CEILING_DIRECTORIES="/")
    assert outcome.returncode == 3
    assert outcome.stderr.startswith("zsm: error: ")
    assert "not in a git work tree" in outcome.stderr
    with pytest.raises(NotInGitError):
        Repository.around(tmp_path)


@pytest.mark.parametrize("how", ["-a", "path", "add"])
def test_a_commit_of_a_blend_is_stopped(scene, how) -> None:
    _hook(scene, "pre-commit")
    scene.save(trained(SIM))
    scene.git("add", "-A")
    scene.git("commit", "-qm", "good")
    head = scene.git("rev-parse", "HEAD")
    edit(scene.path(KEY), ": 25,", ": 26,")
    if how == "add":
        scene.git("add", "-A")
    more = {"-a": ["-a"], "path": ["--", scene.name(KEY)], "add": []}[how]
    said = scene.git("commit", "-qm", "bad", *more, code=1)
    assert f"models/{KEY}.json:3:1: ZSM020 " in said
    assert scene.git("rev-parse", "HEAD") == head
    # A commit of something else must not be held up by what is not in it.
    if how == "-a":
        (scene.top / "notes").write_text("new")
        scene.git("add", "notes")
        scene.git("commit", "-qm", "notes", "--", "notes")


def test_a_merge_that_blends_is_stopped_before_its_commit(scene) -> None:
    _hook(scene, *STAGES)
    blend(scene)
    (scene.registry / ".gitattributes").unlink()
    head = scene.git("rev-parse", "HEAD")
    said = scene.git("merge", "-X", "theirs", "theirs", code=1)
    assert f"models/{KEY}.json:3:1: ZSM020 " in said
    assert "Not committing merge" in said
    assert scene.git("rev-parse", "HEAD") == head
    scene.git("merge", "--abort")
    with SchemaRegistry.open(scene.registry) as registry:
        assert registry.get(KEY) == retrained(OLD, m=OTHER_M)


def test_the_hook_of_commits_alone_does_not_see_the_merge(scene) -> None:
    _hook(scene, "pre-commit")
    blend(scene)
    (scene.registry / ".gitattributes").unlink()
    scene.git("merge", "-q", "-X", "theirs", "theirs")
    # So CI has to look at the result, too.
    whole = zsm(scene.top, "verify", "models", "--format", "github")
    assert whole.returncode == 4
    assert whole.stdout.startswith(f"::error file=models/{KEY}.json,line=3,col=1::")
    names = scene.git("diff", "--name-only", "-z", "HEAD^1", "HEAD", "--", "models")
    changed = zsm(scene.top, "verify", *names.split("\0")[:-1])
    assert changed.returncode == 4
    assert changed.stdout.startswith(f"models/{KEY}.json:3:1: ZSM020 ")


def test_a_linked_work_tree_has_an_index_of_its_own(scene) -> None:
    _hook(scene, *STAGES)
    scene.git("worktree", "add", "-q", "-b", "side", "../side")
    side = Scene(scene.top.parent / "side", scene.top.parent / "side" / "models")
    edit(side.path(KEY), ": 25,", ": 26,")
    said = side.git("commit", "-qam", "bad", code=1)
    assert f"models/{KEY}.json:3:1: ZSM020 " in said
    scene.save(trained(BRP_WITH_PHONE))
    scene.git("add", "-A")
    scene.git("commit", "-qm", "good")


@pytest.mark.parametrize(
    ("stops", "operation"),
    [
        ("commit", ["commit", "--allow-empty", "-qm", "x"]),
        ("commit", ["commit", "--amend", "-qm", "x"]),
        ("merge", ["merge", "-q", "--no-ff", "clean"]),
        ("", ["merge", "-q", "--ff-only", "ahead"]),
        ("", ["cherry-pick", "clean"]),
        ("", ["revert", "--no-edit", "HEAD"]),
        ("", ["rebase", "-q", "clean"]),
        ("", ["reset", "-q", "--hard", "clean"]),
    ],
)
def test_which_operations_run_which_hook(scene, stops, operation) -> None:
    scene.branch("clean")
    scene.commit("clean", trained(SIM))
    scene.go("main")
    scene.commit("ours", trained(BRP_WITH_PHONE))
    scene.branch("ahead")
    scene.commit("ahead", numbered(1))
    scene.go("main")
    _hook(scene, "pre-commit", script="echo the commit hook; exit 1")
    _hook(scene, "pre-merge-commit", script="echo the merge hook; exit 1")
    said = scene.git(*operation, code=None)
    assert re.findall(r"the (\w+) hook", said) == ([stops] if stops else [])
