"""What has reached the disk by the time a save returns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.examples import trained
from zsm_store import Layout, SchemaRegistry


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Record every sync and every rename, in their order."""
    recorded: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(fd: int) -> None:
        recorded.append(("sync", Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    def record_rename(staging: Path, target: Path) -> Path:
        recorded.append(("rename", Path(target)))
        return replace(staging, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_rename)
    return recorded


@pytest.mark.parametrize("layout", Layout)
def test_a_save_returns_after_file_and_directories_are_synced(
    tmp_path: Path, steps: list[tuple[str, Path]], layout: Layout
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.init(path, layout=layout)
    artifact = trained()
    registry.save(artifact)
    folder = path / artifact.schema_hash[:2] if layout is Layout.FAN_OUT else path
    target = folder / f"{artifact.schema_hash}.json"
    renamed = steps.index(("rename", target))
    files = [where for what, where in steps[:renamed] if what == "sync"]
    assert any(where.parent == path / ".zsm" / "tmp" for where in files)
    after = {where for what, where in steps[renamed:] if what == "sync"}
    assert after == {folder, path}, "the folder, and what the folder lies in"


def test_the_registry_is_synced_into_its_parent_before_anybody_relies_on_it(
    tmp_path: Path, steps: list[tuple[str, Path]]
) -> None:
    path = tmp_path / "registry"
    path.mkdir()  # by somebody who did not sync it
    SchemaRegistry.open(path).save(trained())
    settings = steps.index(("rename", path / "registry.json"))
    assert ("sync", tmp_path) in steps[:settings]
