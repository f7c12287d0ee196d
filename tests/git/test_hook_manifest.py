"""`.pre-commit-hooks.yaml`, without and with the framework that reads it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest

from tests.git.scene import needs_git
from tests.git.typed import OLD, STAGES, blend, edit, zsm
from tests.processes import DEADLINE_S, ROOT

pytestmark = needs_git

KEY = OLD.schema_hash
MANIFEST = ROOT / ".pre-commit-hooks.yaml"


def _manifest() -> list[dict[str, str]]:
    """Read the simple YAML that the manifest is: a list of flat mappings."""
    hooks: list[dict[str, str]] = []
    for line in MANIFEST.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("- "):
            hooks.append({})
        key, sign, value = line[2:].partition(": ")
        assert sign, line
        assert line[:2] in {"- ", "  "}, line
        assert key not in hooks[-1]
        hooks[-1][key] = value.strip("'\"")
    return hooks


def _listed(text: str) -> list[str]:
    return text.strip("[]").split(", ")


def test_the_manifest_runs_commands_that_exist_at_stages_that_see_a_merge() -> None:
    changed, whole = _manifest()
    assert (changed["id"], whole["id"]) == ("zsm-verify", "zsm-verify-registry")
    assert _listed(changed["stages"]) == [*STAGES, "manual"]
    assert _listed(whole["stages"]) == ["pre-push", "manual"]
    assert "pass_filenames" not in changed
    assert whole.items() >= {"pass_filenames": "false", "always_run": "true"}.items()
    for hook in (changed, whole):
        assert hook["language"] == "python"
        assert hook["entry"] == "zsm verify"


def test_the_hook_is_run_for_artifacts_wherever_they_lie(scene) -> None:
    hook = _manifest()[0]

    def is_run_for(path: str) -> bool:
        wanted = re.search(hook["files"], path) is not None
        return wanted and re.search(hook["exclude"], path) is None

    assert is_run_for(f"{KEY}.json")
    assert is_run_for(f"models/{KEY[:2]}/{KEY}.json")
    assert is_run_for(f"models/{KEY.upper()}.json")
    assert not is_run_for("models/registry.json")
    assert not is_run_for(f"models/quarantine/2026-1/{KEY}.json")
    entry = shlex.split(hook["entry"])[1:]
    assert zsm(scene.top, *entry, scene.name(KEY)).returncode == 0
    edit(scene.path(KEY), ": 25,", ": 26,")
    assert zsm(scene.top, *entry, scene.name(KEY)).returncode == 4
    assert zsm(scene.top, *entry, "models").returncode == 4


@pytest.mark.skipif(
    shutil.which("pre-commit") is None,
    reason="needs pre-commit on PATH: pip install pre-commit",
)
def test_the_framework_takes_the_manifest_and_stops_a_blend(scene) -> None:
    def pre_commit(*args: Any, code: int = 0) -> str:
        done = subprocess.run(
            ["pre-commit", *map(str, args)],  # noqa: S607  # found above
            cwd=scene.top,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    pre_commit("validate-manifest", MANIFEST)
    # As the manifest has it, but with the command that is installed here.
    text = "repos:\n- repo: local\n  hooks:\n" + "".join(
        f"  {line}\n"
        for line in MANIFEST.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#") and "minimum_pre_commit" not in line
    ).replace("language: python", "language: system")
    (scene.top / ".pre-commit-config.yaml").write_text(text)
    scene.commit("configure hooks")
    types = [part for stage in STAGES for part in ("--hook-type", stage)]
    pre_commit("install", *types)
    blend(scene)
    (scene.registry / ".gitattributes").unlink()
    said = scene.git("merge", "-X", "theirs", "theirs", code=1)
    assert "ZSM020" in said
    assert "Not committing merge" in said
