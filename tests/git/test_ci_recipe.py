"""The recipe of docs/git.md that checks in CI what a merge would give."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.examples import SIM, trained
from tests.git.scene import OTHER_M, OTHER_U, Scene, needs_git, retrained
from tests.git.typed import OLD, edit
from tests.processes import DEADLINE_S, ROOT

pytestmark = needs_git

PAGE = (ROOT / "docs" / "git.md").read_text(encoding="utf-8")


@pytest.fixture(name="mine")
def _mine(scene) -> Scene:
    """A repository on a branch that begins at ``main``."""
    scene.branch("mine")
    return scene


def _verify_merge(clone: Scene) -> subprocess.CompletedProcess[str]:
    """Run the recipe for CI in a clone that has a branch checked out."""
    found = re.search(
        r"```\{code-block\} sh\n:caption: verify-merge.sh\n\n(.*?)```", PAGE, re.DOTALL
    )
    assert found is not None
    return subprocess.run(
        ["sh", "-c", found[1]],  # noqa: S607  # as CI finds it
        cwd=clone.top,
        env={k: v for k, v in os.environ.items() if k != "ZSM_REGISTRY"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_recipe_passes_a_good_merge(mine, tmp_path) -> None:
    mine.commit("mine", trained(SIM))
    mine.go("main")
    mine.commit("theirs", retrained(OLD, m=OTHER_M))
    done = _verify_merge(mine.clone(tmp_path / "ci", "-b", "mine"))
    assert done.returncode == 0, done.stdout


def test_the_recipe_stops_at_a_conflict(mine, tmp_path) -> None:
    mine.commit("mine", retrained(OLD, u=OTHER_U))
    mine.go("main")
    mine.commit("theirs", retrained(OLD, m=OTHER_M))
    done = _verify_merge(mine.clone(tmp_path / "ci", "-b", "mine"))
    assert done.returncode != 0
    assert "CONFLICT" in done.stdout


@pytest.mark.parametrize("branch", ["mine", "main"])
def test_the_recipe_finds_a_blend_on_either_side(mine, tmp_path, branch) -> None:
    mine.go("main")
    mine.commit("more", trained(SIM))
    mine.go(branch)
    edit(mine.path(OLD), ": 25,", ": 26,")
    mine.commit("blended")
    done = _verify_merge(mine.clone(tmp_path / "ci", "-b", "mine"))
    assert done.returncode == 4
    assert "ZSM020" in done.stdout
