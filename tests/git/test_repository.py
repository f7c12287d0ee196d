"""The repository around a path."""

from __future__ import annotations

import os
import sys

import pytest

from tests.examples import BRP, trained
from tests.git.scene import Scene, needs_git, repository, retrained
from zsm_store import GitError, NotInGitError
from zsm_store.git.repository import Repository

pytestmark = needs_git

ARTIFACT = trained(BRP)


def test_it_is_found_from_any_path_in_it(scene: Scene) -> None:
    for place in (scene.top, scene.registry, scene.path(ARTIFACT)):
        found = Repository.around(place)
        assert found.top == scene.top
        assert found.git_dir == found.common_dir == scene.top / ".git"


def test_a_linked_work_tree_has_its_own_index_and_shares_the_rest(
    scene: Scene, tmp_path
) -> None:
    scene.git("worktree", "add", "-q", tmp_path / "linked")
    found = Repository.around(tmp_path / "linked" / "models")
    assert found.top == tmp_path / "linked"
    assert found.git_dir == scene.top / ".git" / "worktrees" / "linked"
    assert found.common_dir == scene.top / ".git"
    attributes = scene.top / ".git" / "info" / "attributes"
    assert found.git_path("info/attributes") == attributes


def test_outside_of_git_is_an_error_of_one_line(isolated, tmp_path) -> None:  # noqa: ARG001  # no settings
    with pytest.raises(NotInGitError, match=r"^not in a git work tree: "):
        Repository.around(tmp_path)


def test_a_bare_repository_is_no_work_tree(scene: Scene, tmp_path) -> None:
    scene.git("clone", "-q", "--bare", scene.top, tmp_path / "bare")
    with pytest.raises(NotInGitError, match=r"^not in a git work tree: "):
        Repository.around(tmp_path / "bare")


def test_a_missing_git_is_an_error_of_one_line(scene: Scene, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(scene.top))
    with pytest.raises(GitError, match=r"^cannot run git: git is not installed$"):
        Repository.around(scene.top)


def test_what_git_refuses_is_one_line_of_what_it_says(scene: Scene) -> None:
    with pytest.raises(GitError, match=r"^git rev-parse: Needed a single revision$"):
        Repository.around(scene.top).run("rev-parse", "--verify", "nowhere")


def test_blobs_are_read_as_they_are(scene: Scene) -> None:
    awkward = [b"", b"\n", b"no line end", b"\r\n\0\xff" * 70_000]
    ids = []
    for number, data in enumerate(awkward):
        (scene.top / str(number)).write_bytes(data)
        ids.append(scene.git("hash-object", "-w", "--no-filters", str(number)).strip())
    found = Repository.around(scene.top).blobs([*ids, *ids])
    assert [found[name] for name in ids] == awkward


def test_what_is_missing_or_no_blob_is_an_error(scene: Scene) -> None:
    found = Repository.around(scene.top)
    with pytest.raises(GitError, match=rf"{'ab' * 20} missing, but a file is needed"):
        found.blobs(["ab" * 20])
    with pytest.raises(GitError, match=r"commit [0-9]+, but a file is needed"):
        found.blobs([scene.git("rev-parse", "HEAD").strip()])


def test_names_are_relative_to_the_top(scene: Scene, tmp_path, monkeypatch) -> None:
    found = Repository.around(scene.top)
    (tmp_path / "link").symlink_to(scene.registry)
    (scene.top / "alias.json").symlink_to(scene.path(ARTIFACT))
    monkeypatch.chdir(scene.registry)
    assert found.relative(scene.path(ARTIFACT).name) == scene.name(ARTIFACT)
    assert found.relative(tmp_path / "link") == "models"
    assert found.relative(tmp_path / "link" / "x.json") == "models/x.json"
    assert found.relative(scene.top / "alias.json") == "alias.json"
    assert found.relative(".") == "models"
    assert found.relative("..") == found.relative(scene.top) == "."
    with pytest.raises(NotInGitError, match=r"^not in the work tree "):
        found.relative(tmp_path)


def test_a_path_is_no_pattern(scene: Scene) -> None:
    (scene.top / "[a]*").write_text("literal")
    (scene.top / "abc").write_text("other")
    scene.commit("odd names")
    listed = Repository.around(scene.top).run("ls-files", "-z", "--", "[a]*")
    assert listed == b"[a]*\0"


def test_a_shallow_clone_says_so(scene: Scene, tmp_path) -> None:
    scene.commit("second", retrained(ARTIFACT, days=1))
    shallow = scene.clone(tmp_path / "shallow", "--depth=1")
    assert Repository.around(shallow.top).is_shallow
    assert not Repository.around(scene.top).is_shallow


def test_a_hook_sees_the_index_of_its_commit(scene: Scene) -> None:
    """`git commit -a` fills an index beside the usual one."""
    hook = scene.top / ".git" / "hooks" / "pre-commit"
    hook.write_text(
        f"#!/bin/sh\n{sys.executable} -c '"
        "from zsm_store.git.repository import Repository\n"
        'found = Repository.around("models").run("diff", "--cached", "--name-only")\n'
        'open("seen", "wb").write(found)\'\n'
    )
    hook.chmod(0o755)
    scene.save(retrained(ARTIFACT, days=1))
    scene.git("commit", "-qam", "all")
    assert (scene.top / "seen").read_text() == scene.name(ARTIFACT) + "\n"


def test_the_index_of_another_repository_is_not_ours(
    scene: Scene, tmp_path, monkeypatch
) -> None:
    """A hook of a repository around a submodule, for instance."""
    other = repository(tmp_path / "other")
    other.commit("first", trained(BRP))
    monkeypatch.chdir(scene.top)
    monkeypatch.setenv("GIT_DIR", str(scene.top / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    listed = Repository.around(other.top).run("ls-files", "-z", "--", "models")
    assert listed.count(b"\0") > 1
    assert "GIT_INDEX_FILE" not in Repository.around(other.top).environment
    mine = Repository.around(scene.registry).environment["GIT_INDEX_FILE"]
    assert mine == str(scene.top / ".git" / "index")


def test_git_speaks_english(scene: Scene, monkeypatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert Repository.around(scene.top).environment["LC_ALL"] == "C"
    with pytest.raises(GitError, match="Needed a single revision"):
        Repository.around(scene.top).run("rev-parse", "--verify", "nowhere")
    assert os.environ["LC_ALL"] == "de_DE.UTF-8"
