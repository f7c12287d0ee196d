"""Git as a new user meets it, and a repository to begin with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import _zsm  # noqa: F401  # a fixture
from tests.examples import BRP, trained
from tests.git.scene import Scene, repository, settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="isolated")
def _isolated(tmp_path_factory, monkeypatch) -> Path:
    """Make this process and those it starts see git as a new user does; the home."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in settings(home).items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(name="scene")
def _scene(isolated, tmp_path) -> Scene:  # noqa: ARG001  # settings first
    """A repository whose first commit has one artifact, that of `BRP`."""
    scene = repository(tmp_path / "work")
    scene.commit("first training", trained(BRP))
    return scene
