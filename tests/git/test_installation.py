"""`zsm git install`, `status`, `uninstall`: exact, anywhere, never over others."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import BRP, trained
from tests.git.scene import OTHER_M, OTHER_U, Scene, needs_git, repository, retrained
from zsm_store import GitError
from zsm_store.git.attributes import attribute_lines, lines_of_block, with_block
from zsm_store.git.installation import (
    Scope,
    absolute_program,
    install,
    status,
    uninstall,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_git

BASE = trained(BRP)
NEWEST = retrained(BASE, u=OTHER_U, days=2)


def missed(registry: Path) -> list[str]:
    return [check.name for check in status(registry) if not check.is_met]


def files_of_git(scene: Scene) -> dict[str, bytes]:
    """What an installation may write."""
    common = scene.git("rev-parse", "--path-format=absolute", "--git-common-dir")
    found = {}
    for name in ("config", "info/attributes"):
        path = f"{common.strip()}/{name}"
        if os.path.exists(path):  # noqa: PTH110
            with open(path, "rb") as file:  # noqa: PTH123
                found[name] = file.read()
    return found


def check_effective(scene: Scene) -> None:
    """A merge of two trainings calls the driver."""
    assert missed(scene.registry) == []
    scene.git("config", "zsm.policy", "newest")
    start = scene.git("rev-parse", "HEAD").strip()
    scene.git("checkout", "-q", "--detach")
    scene.commit("theirs", NEWEST)
    theirs = scene.git("rev-parse", "HEAD").strip()
    scene.go(start)
    scene.commit("ours", retrained(BASE, m=OTHER_M, days=1))
    scene.git("merge", theirs)
    assert scene.path(BASE).read_bytes() == scene.at(theirs, BASE)
    scene.git("config", "--unset", "zsm.policy")


def test_installed_it_is_effective_and_uninstalled_nothing_is_left(scene) -> None:
    before = files_of_git(scene)
    assert "merge attribute" in missed(scene.registry)
    assert len(install(scene.registry, Scope.LOCAL).done) == 6
    check_effective(scene)
    assert uninstall(scene.registry, Scope.LOCAL).foreign == []
    assert files_of_git(scene) == before


def test_twice_is_as_good_as_once(scene) -> None:
    install(scene.registry, Scope.LOCAL)
    once = files_of_git(scene)
    assert install(scene.registry, Scope.LOCAL).done == []
    assert files_of_git(scene) == once
    uninstall(scene.registry, Scope.LOCAL)
    assert uninstall(scene.registry, Scope.LOCAL).done == []


def test_a_dry_run_says_all_and_does_nothing(scene) -> None:
    before = files_of_git(scene)
    planned = install(scene.registry, Scope.LOCAL, dry_run=True)
    assert files_of_git(scene) == before
    assert install(scene.registry, Scope.LOCAL) == planned
    installed = files_of_git(scene)
    planned = uninstall(scene.registry, Scope.LOCAL, dry_run=True)
    assert files_of_git(scene) == installed
    assert uninstall(scene.registry, Scope.LOCAL) == planned


@pytest.mark.parametrize(
    "name", ["with blank", "ünïcödé", 'quote"d', "back\\slash", "[a]*?", "!no", "#c"]
)
def test_any_name_of_a_directory_will_do(isolated, tmp_path, name) -> None:  # noqa: ARG001  # settings first
    scene = repository(tmp_path / f"top {name}", f"sub {name}/{name}")
    scene.commit("first", BASE)
    install(scene.registry, Scope.LOCAL)
    check_effective(scene)


@pytest.mark.usefixtures("isolated")
def test_a_registry_may_be_the_whole_repository(tmp_path) -> None:
    scene = repository(tmp_path / "all", ".")
    scene.commit("first", BASE)
    install(scene.registry, Scope.LOCAL)
    check_effective(scene)


def test_a_linked_work_tree_shares_the_installation(scene, tmp_path) -> None:
    before = files_of_git(scene)
    scene.git("worktree", "add", "-q", tmp_path / "linked")
    linked = Scene(tmp_path / "linked", tmp_path / "linked" / "models")
    install(linked.registry, Scope.LOCAL)
    check_effective(linked)
    assert missed(scene.registry) == []
    uninstall(scene.registry, Scope.LOCAL)
    assert files_of_git(scene) == before


def test_a_submodule_has_an_installation_of_its_own(scene, tmp_path) -> None:
    outer = repository(tmp_path / "outer", "unused")
    outer.commit("first")
    outer.git(
        *("-c", "protocol.file.allow=always", "submodule", "add", "-q"),
        *(scene.top, "inner"),
    )
    inner = Scene(outer.top / "inner", outer.top / "inner" / "models")
    before = files_of_git(outer)
    install(inner.registry, Scope.LOCAL)
    check_effective(inner)
    assert files_of_git(outer) == before


def test_what_others_set_is_refused_unless_it_is_forced(scene) -> None:
    scene.git("config", "merge.zsm.driver", "other %A")
    before = files_of_git(scene)
    changes = install(scene.registry, Scope.LOCAL)
    assert changes.foreign == ["merge.zsm.driver"]
    assert changes.done == []
    assert files_of_git(scene) == before
    assert "merge.zsm.driver" in missed(scene.registry)
    left = uninstall(scene.registry, Scope.LOCAL)
    assert left.foreign == ["merge.zsm.driver"]
    assert files_of_git(scene) == before
    install(scene.registry, Scope.LOCAL, force=True)
    check_effective(scene)


def test_another_path_of_the_program_is_no_other_setting(scene) -> None:
    install(scene.registry, Scope.LOCAL, program=absolute_program())
    check_effective(scene)
    assert len(install(scene.registry, Scope.LOCAL).done) == 2
    uninstall(scene.registry, Scope.LOCAL)
    assert "zsm" not in scene.git("config", "--local", "--list")


def test_an_absolute_program_needs_no_path(scene, monkeypatch) -> None:
    install(scene.registry, Scope.LOCAL)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert missed(scene.registry) == ["program"]
    install(scene.registry, Scope.LOCAL, program=absolute_program())
    check_effective(scene)


def test_a_program_with_blanks_and_percent_signs_is_found(scene, tmp_path) -> None:
    directory = tmp_path / "100%A of 'it'"
    directory.mkdir()
    program = directory / "zsm"
    program.write_text('#!/bin/sh\nexec zsm "$@"\n')
    program.chmod(0o755)
    install(scene.registry, Scope.LOCAL, program=shlex.quote(str(program)))
    check_effective(scene)


def test_the_global_scope_defines_the_commands_only(
    scene, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    before = files_of_git(scene)
    install(tmp_path, Scope.GLOBAL)
    assert files_of_git(scene) == before
    assert missed(scene.registry) == ["merge attribute"]
    install(scene.registry, Scope.LOCAL)
    uninstall(scene.registry, Scope.LOCAL)
    assert missed(scene.registry) == ["merge attribute"]
    uninstall(tmp_path, Scope.GLOBAL)
    assert (tmp_path / "gitconfig").read_text() == ""
    assert files_of_git(scene) == before


def test_another_registry_of_the_clone_keeps_what_it_needs(scene) -> None:
    other = repository(scene.top, "others")
    other.commit("second", BASE)
    install(scene.registry, Scope.LOCAL)
    install(other.registry, Scope.LOCAL)
    uninstall(scene.registry, Scope.LOCAL)
    assert missed(scene.registry) == ["merge attribute"]
    check_effective(other)


def test_attributes_that_outrank_the_block_show_in_the_status(scene) -> None:
    install(scene.registry, Scope.LOCAL)
    with (scene.top / ".git" / "info" / "attributes").open("a") as file:
        file.write("*.json merge=union filter=lfs\n")
    assert missed(scene.registry) == ["merge attribute", "filter attribute"]


def test_an_unknown_policy_shows_in_the_status(scene) -> None:
    install(scene.registry, Scope.LOCAL)
    scene.git("config", "zsm.policy", "best")
    assert missed(scene.registry) == ["policy"]


LINES = attribute_lines("models")


@given(st.binary().filter(lambda data: b"zsm-store" not in data))
def test_the_block_comes_and_goes_without_a_trace(content) -> None:
    installed = with_block(content, LINES)
    assert lines_of_block(installed) == LINES
    assert with_block(installed, LINES) == installed
    assert with_block(installed, []) == content


@given(st.text("ab\n#", max_size=9), st.text("ab\n#", max_size=9))
def test_what_others_add_around_the_block_stays(above, below) -> None:
    installed = with_block(above.encode(), LINES) + below.encode()
    assert lines_of_block(installed) == LINES
    left = with_block(installed, [])
    assert left == above.encode() + below.encode()


def test_a_block_without_an_end_is_left_alone() -> None:
    torn = with_block(b"", LINES).splitlines(keepends=True)[:-1]
    with pytest.raises(GitError, match="was edited by hand"):
        lines_of_block(b"".join(torn))
    with pytest.raises(GitError, match="was edited by hand"):
        lines_of_block(with_block(b"", LINES) * 2)
