"""Registries in real git repositories, far from the user's own settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import DEADLINE_S, ROOT
from zsm_store import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store import ModelArtifact

GIT = shutil.which("git") or "git"

needs_git = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed"
)

DATE = "2026-01-02T03:04:05+00:00"

Row = tuple[float, ...]
OTHER_M: Row = (0.05, 0.15, 0.8)
OTHER_U: Row = (0.7, 0.2, 0.1)


def settings(home: Path) -> dict[str, str]:
    """Return the environment of git in tests: nobody's settings, one moment."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_AUTHOR_DATE": DATE,
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_COMMITTER_DATE": DATE,
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_MERGE_AUTOEDIT": "no",
        "LC_ALL": "C",
        # `zsm` as the driver and hooks find it.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
    }


@dataclass(frozen=True)
class Scene:
    """A work tree with a registry in it."""

    top: Path
    registry: Path

    def git(self, *args: str | Path, code: int | None = 0, **kw: Any) -> str:
        """Run git at the top; returns its output and errors, asserts the exit code."""
        done = subprocess.run(
            [GIT, *map(str, args)],
            cwd=self.top,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL if "input" not in kw else None,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            **kw,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def conflicts(self, *args: str | Path) -> str:
        """Run git, which must end in a conflict."""
        return self.git(*args, code=1)

    def save(self, *artifacts: ModelArtifact) -> None:
        """Save artifacts into the registry, without committing them."""
        with SchemaRegistry.open(self.registry) as registry:
            for artifact in artifacts:
                registry.save(artifact)

    def commit(self, message: str, *artifacts: ModelArtifact) -> str:
        """Save artifacts and commit all there is; returns the commit."""
        self.save(*artifacts)
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD").strip()

    def delete(self, *schema_hashes: str) -> None:
        """Delete artifacts, without committing it."""
        with SchemaRegistry.open(self.registry) as registry:
            for schema_hash in schema_hashes:
                registry.delete(schema_hash)

    def branch(self, name: str, start: str = "main") -> None:
        """Begin a branch and go there."""
        self.git("checkout", "-qb", name, start)

    def go(self, name: str) -> None:
        """Check out a branch or commit."""
        self.git("checkout", "-q", name)

    def fork(
        self, ours: Iterable[ModelArtifact], theirs: Iterable[ModelArtifact]
    ) -> None:
        """Commit both sides of a merge to ``main`` and ``theirs``; stay on ``main``."""
        self.branch("theirs")
        self.commit("theirs", *theirs)
        self.go("main")
        self.commit("ours", *ours)

    def path(self, artifact: ModelArtifact | str) -> Path:
        """Return where an artifact is in the flat layout."""
        key = artifact if isinstance(artifact, str) else artifact.schema_hash
        return self.registry / f"{key}.json"

    def name(self, artifact: ModelArtifact | str) -> str:
        """Return the same path as git names it."""
        return self.path(artifact).relative_to(self.top).as_posix()

    def at(self, revision: str, artifact: ModelArtifact | str) -> bytes:
        """Return an artifact's bytes as committed (``:`` and a name: the index)."""
        return subprocess.run(
            [GIT, "cat-file", "blob", f"{revision}:{self.name(artifact)}"],
            cwd=self.top,
            stdout=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=True,
        ).stdout

    def unmerged(self) -> list[str]:
        """Return the paths that are in conflict."""
        listed = self.git("diff", "--name-only", "--diff-filter=U", "-z")
        return listed.split("\0")[:-1]

    def clone(self, target: Path, *args: str) -> Scene:
        """Clone into another directory."""
        self.git("clone", "-q", *args, self.top.as_uri(), target)
        return Scene(target, target / self.registry.relative_to(self.top))


def repository(top: Path, registry: str = "models") -> Scene:
    """Make a repository on branch ``main``, with an empty registry and no commit."""
    top.mkdir(parents=True, exist_ok=True)
    scene = Scene(top, top / registry)
    scene.git("init", "-q", "-b", "main")
    with SchemaRegistry.init(scene.registry):
        pass
    return scene


def retrained(
    artifact: ModelArtifact,
    *,
    m: Row | None = None,
    u: Row | None = None,
    days: int = 0,
    records: int | None = None,
    **changes: Any,
) -> ModelArtifact:
    """Return what a later training of the same schema gives.

    Parameters
    ----------
    m, u
        Every row of the table, or None for what it was: one of two parts re-estimated.
    days
        By how many `trained_on` is later; 0 is a frozen clock.
    records
        What `record_count` is; None for what it was.
    changes
        Any other attribute, of the artifact or of its parameters.
    """
    old = artifact.params
    tables = {
        name: (row,) * len(getattr(old, name))
        for name, row in (("m", m), ("u", u))
        if row is not None
    }
    of_params = {
        name: changes.pop(name)
        for name in ("log_prior_odds", "upper_threshold", "lower_threshold")
        if name in changes
    }
    fingerprint = artifact.fingerprint
    if records is not None:
        fingerprint = replace(fingerprint, record_count=records)
    return replace(
        artifact,
        params=replace(old, **tables, **of_params),
        fingerprint=fingerprint,
        trained_on=artifact.trained_on + days * 86_400,
        **changes,
    )
