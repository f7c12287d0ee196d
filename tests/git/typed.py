"""What a person types and edits around commits that hooks look at."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.examples import BRP, trained
from tests.git.scene import OTHER_M, OTHER_U, retrained
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.git.scene import Scene

OLD = trained(BRP)
STAGES = ("pre-commit", "pre-merge-commit", "pre-push")


def zsm(
    directory: Path, *args: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command that a hook finds."""
    return subprocess.run(
        ["zsm", *map(str, args)],  # noqa: S607  # the one that a hook finds
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as an editor does."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def blend(scene: Scene) -> None:
    """Let two branches each re-estimate one part of the model."""
    scene.fork([retrained(OLD, m=OTHER_M)], [retrained(OLD, u=OTHER_U)])
