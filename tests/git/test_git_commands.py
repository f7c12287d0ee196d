"""`zsm git` as a user meets it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest

from tests.examples import BRP, numbered, trained
from tests.git.scene import OTHER_M, OTHER_U, Scene, needs_git, retrained
from tests.processes import ROOT
from zsm_store.cli.git_commands import SECTIONS, git_command

if TYPE_CHECKING:
    from tests.cli.conftest import Run

pytestmark = needs_git

TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = [name for listed in SECTIONS.values() for name in listed]

BASE = trained(BRP)
KEY = BASE.schema_hash
EARLY = retrained(BASE, m=OTHER_M, days=1)
LATE = retrained(BASE, u=OTHER_U, days=2)


@pytest.fixture(name="merging")
def _merging(scene, monkeypatch, zsm) -> Scene:  # noqa: ARG001  # its directory first
    """In a registry with a conflict."""
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    monkeypatch.chdir(scene.registry)
    return scene


def commits(scene: Scene) -> tuple[str, str]:
    ours = scene.git("log", "-1", "--format=%h %s", "main").strip()
    theirs = scene.git("log", "-1", "--format=%h %s", "theirs").strip()
    return f"main ({ours})", f"the branch that is merged ({theirs})"


def test_what_is_left_says_why_and_what_to_type(merging: Scene, zsm: Run) -> None:
    outcome = zsm("git", "resolve")
    assert outcome.code == 5
    assert outcome.out == (
        f"left     {KEY}  both sides trained it\n"
        f"         'zsm git resolve --ours {KEY[:12]}', or --theirs\n"
    )
    ours, theirs = commits(merging)
    assert outcome.err == (
        f"in this merge, ours is {ours}\nand theirs is {theirs}\n1 conflict left\n"
    )


def test_what_is_resolved_says_how_and_what_is_next(merging: Scene, zsm: Run) -> None:
    outcome = zsm("git", "resolve", "--policy", "newest")
    assert outcome.code == 0
    assert outcome.out == f"resolved {KEY}  theirs: trained later\n"
    assert outcome.err.endswith("next: 'git merge --continue'\n")
    assert merging.unmerged() == []
    again = zsm("git", "resolve")
    assert (again.code, again.out) == (0, "")
    assert again.err == "no artifact is in conflict\n"


def test_json_has_it_all(merging: Scene, zsm: Run) -> None:
    outcome = zsm("git", "resolve", "--json")
    assert outcome.code == 5
    ours, theirs = commits(merging)
    assert outcome.document == {
        "operation": "merge",
        "ours": ours,
        "theirs": theirs,
        "conflicts": [
            {
                "schema_hash": KEY,
                "path": f"models/{KEY}.json",
                "side": None,
                "reason": "both sides trained it",
                "advice": f"'zsm git resolve --ours {KEY[:12]}', or --theirs",
            }
        ],
        "others": [],
    }
    resolved = zsm("git", "resolve", "--theirs", KEY, "--json")
    assert resolved.code == 0
    assert resolved.document["conflicts"][0]["side"] == "theirs"


@pytest.mark.usefixtures("merging")
def test_quiet_prints_what_is_left(zsm: Run) -> None:
    assert zsm("git", "resolve", "-q").out == f"{KEY}\n"
    assert zsm("git", "resolve", "-q", "--ours").out == ""


@pytest.mark.usefixtures("merging")
def test_two_ways_to_choose_are_one_too_many(zsm: Run) -> None:
    for two in (["--ours", "--theirs"], ["--ours", "--policy", "manual"]):
        outcome = zsm("git", "resolve", *two)
        assert outcome.code == 2
        assert "--policy, --ours and --theirs exclude each other" in outcome.err


@pytest.mark.usefixtures("merging")
def test_a_ref_that_is_not_in_conflict_is_not_found(zsm: Run) -> None:
    outcome = zsm("git", "resolve", numbered(1).schema_hash)
    assert outcome.code == 3
    assert "it is not in conflict" in outcome.err


def test_other_files_in_conflict_are_named(merging: Scene, zsm: Run) -> None:
    merging.git("merge", "--abort")
    for branch, text in (("theirs", "b"), ("main", "a")):
        merging.go(branch)
        (merging.top / "models" / "notes.txt").write_text(text)
        merging.commit(branch)
    merging.conflicts("merge", "theirs")
    outcome = zsm("git", "resolve", "--theirs")
    assert outcome.code == 0
    assert outcome.err.endswith("in conflict, but no artifact: models/notes.txt\n")


def test_an_index_that_is_locked_is_one_line(merging: Scene, zsm: Run) -> None:
    (merging.top / ".git" / "index.lock").touch()
    outcome = zsm("git", "resolve", "--theirs")
    assert outcome.code == 6
    assert outcome.last_error.startswith("zsm: error: git update-index: Unable to ")
    (merging.top / ".git" / "index.lock").unlink()
    assert zsm("git", "resolve", "--theirs").code == 0


def test_install_status_and_uninstall(scene: Scene, zsm: Run, monkeypatch) -> None:
    monkeypatch.chdir(scene.registry)
    assert zsm("git", "status").code == 5
    planned = zsm("git", "install", "--dry-run")
    assert (
        planned.out.splitlines()[0] == "would set merge.zsm.name in the local settings"
    )
    assert len(zsm("git", "install").out.splitlines()) == 6
    again = zsm("git", "install")
    assert (again.out, again.err) == ("", "nothing to do\n")
    status = zsm("git", "status")
    assert status.code == 0
    assert " no " not in status.out
    assert zsm("git", "status", "-q").out == ""
    assert zsm("git", "status", "--json").document["installed"] is True
    assert len(zsm("git", "uninstall").out.splitlines()) == 6
    assert zsm("git", "status", "-q").out.splitlines()[0] == "merge attribute"


def test_what_others_set_ends_in_exit_code_5(
    scene: Scene, zsm: Run, monkeypatch
) -> None:
    monkeypatch.chdir(scene.registry)
    scene.git("config", "diff.zsm.textconv", "cat")
    outcome = zsm("git", "install")
    assert outcome.code == 5
    assert outcome.out == ""
    assert outcome.err == (
        "zsm: error: others have set diff.zsm.textconv: --force replaces it\n"
    )
    refused = zsm("git", "install", "--json")
    assert refused.document["foreign"] == ["diff.zsm.textconv"]
    assert zsm("git", "install", "--force").code == 0
    assert zsm("git", "status").code == 0


@pytest.mark.usefixtures("scene")
def test_a_bundle_is_nothing_that_git_merges(zsm: Run, tmp_path) -> None:
    (tmp_path / "all.zsm").touch()
    outcome = zsm("git", "install", "--registry", tmp_path / "all.zsm")
    assert outcome.code == 2
    assert "is a bundle; git merges the files of a directory" in outcome.err


def test_local_and_global_exclude_each_other(zsm: Run) -> None:
    assert zsm("git", "install", "--local", "--global").code == 2


@pytest.mark.usefixtures("isolated")
def test_outside_of_git_the_error_is_one_line(zsm: Run, tmp_path) -> None:
    zsm("init", tmp_path / "lonely")
    for args in (["status"], ["install"], ["uninstall"], ["resolve"]):
        outcome = zsm("git", *args, "--registry", tmp_path / "lonely")
        assert outcome.code == 3
        assert outcome.err == (
            f"zsm: error: not in a git work tree: '{tmp_path / 'lonely'}'\n"
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name) -> None:
    assert f"\n### zsm git {name}\n" in TEXT
    found = git_command.get_command(click.Context(git_command), name)
    assert found is not None
    for param in found.params:
        if isinstance(param, click.Option):
            assert f"`{max(param.opts, key=len)}" in TEXT, param.opts


def test_the_status_on_the_page_is_what_it_prints(scene, zsm: Run, monkeypatch) -> None:
    monkeypatch.chdir(scene.registry)
    zsm("git", "install")
    program = re.compile(r"^(program +yes +).*$", re.MULTILINE)
    printed = zsm("git", "status").out
    (shown,) = re.findall(r"\$ zsm git status\n(.*?)```", TEXT, re.DOTALL)
    assert program.sub(r"\1", printed) == program.sub(r"\1", shown)


def test_alone_it_prints_its_help(zsm: Run) -> None:
    outcome = zsm("git")
    assert outcome.code == 0
    assert outcome.out == zsm("git", "--help").out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_examples(zsm: Run, name) -> None:
    outcome = zsm("git", name, "--help")
    assert outcome.code == 0
    assert f"zsm git {name}" in outcome.out.split("Examples:")[1]
    assert max(map(len, outcome.out.splitlines())) <= 80
