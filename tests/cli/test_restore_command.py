from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_log_command import _digests, key_of
from zsm_store.cli import restore_command
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.lock import LockStrategy

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from zsm_store.registry.version import Version

__all__ = ["_digests"]
"""The fixture `digests`."""


def logged(zsm: Run, ref: str = "people") -> list[str]:
    return zsm("log", ref, "-q").out.splitlines()


def test_restore_says_what_was_replaced_by_what(digests, zsm) -> None:
    served, _, oldest = digests
    outcome = zsm("restore", "people", oldest[7:19])
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        f"restored {key_of(zsm)}",
        f"digest   {oldest}",
        f"replaced {served}",
    ]
    assert logged(zsm) == [oldest, *digests]
    assert zsm("restore", "people", digests[1], "-q").out == f"{digests[1]}\n"


def test_restore_as_json(files, digests, zsm) -> None:
    document = zsm("restore", "people", digests[1], "--json").document
    assert document == {
        "registry": str(files),
        "schema_hash": key_of(zsm),
        "digest": digests[1],
        "replaced": digests[0],
    }
    assert list(document) == ["registry", "schema_hash", "digest", "replaced"]


def test_the_served_version_needs_no_restoring(files, digests, zsm) -> None:
    before = sorted(files.rglob("*"))
    outcome = zsm("restore", "people", digests[0])
    assert outcome.code == 0
    assert outcome.out == "nothing to do: this version is served\n"
    document = zsm("restore", "people", digests[0], "--json").document
    assert document["digest"] == document["replaced"] == digests[0]
    assert sorted(files.rglob("*")) == before
    assert logged(zsm) == digests


def test_deleted_artifact_comes_back(digests, zsm) -> None:
    key = key_of(zsm)
    zsm("rm", "people")
    outcome = zsm("restore", key[:8], digests[1])
    assert outcome.code == 0
    assert "it was deleted" in outcome.out
    assert logged(zsm) == [digests[1], *digests]
    zsm("rm", "people")
    document = zsm("restore", key, digests[2], "--json").document
    assert document["replaced"] is None


def test_damaged_artifact_is_replaced(files, digests, zsm) -> None:
    key = key_of(zsm)
    (files / f"{key}.json").write_text("{}")
    outcome = zsm("restore", key, digests[1])
    assert outcome.code == 0
    assert outcome.out.endswith("replaced a damaged version\n")
    assert zsm("verify").code == 0
    kept = [file.read_bytes() for file in sorted((files / "history" / key).iterdir())]
    assert kept[-1] == b"{}"


def test_restore_only_if_nobody_was_faster(digests, zsm) -> None:
    conflict = zsm("restore", "people", digests[2], "--if-match", digests[1])
    assert conflict.code == 5
    assert digests[0] in conflict.err
    assert digests[1] in conflict.err
    assert logged(zsm) == digests
    # Also where there is nothing to do.
    again = zsm("restore", "people", digests[0], "--if-match", digests[1])
    assert again.code == 5
    done = zsm("restore", "people", digests[2], "--if-match", digests[0])
    assert done.code == 0
    key = key_of(zsm)
    zsm("rm", "people")
    gone = zsm("restore", key, digests[2], "--if-match", digests[2])
    assert gone.code == 5
    assert "found none" in gone.err
    assert zsm("restore", key, digests[2], "--if-match", "abc").code == 2


@pytest.mark.parametrize("deleted", [False, True])
def test_what_somebody_saves_meanwhile_is_not_replaced(
    files, digests, zsm, monkeypatch, *, deleted
) -> None:
    key = key_of(zsm)
    if deleted:
        zsm("rm", "people")
    find = restore_command.version_with

    def find_and_save(found: list[Version], *args: str) -> Version:
        with SchemaRegistry.open(files) as other:
            other.restore(key, digests[1])
        return find(found, *args)

    monkeypatch.setattr(restore_command, "version_with", find_and_save)
    outcome = zsm("restore", key, digests[2])
    assert outcome.code == 5
    assert digests[1] in outcome.err
    assert logged(zsm, key)[0] == digests[1]


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize("digest", ["123456", "12345", "people", "", "../x", "0" * 64])
def test_version_that_is_not_there_is_not_found(zsm, digest) -> None:
    outcome = zsm("restore", "people", digest)
    assert outcome.code == 3
    assert "zsm log" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_artifact_that_never_was_cannot_be_restored(digests, zsm) -> None:
    assert zsm("restore", "nobody", digests[0]).code == 3
    assert zsm("restore", "f" * 64, digests[0]).code == 3


def test_bundle_cannot_be_restored_into(digests, zsm) -> None:
    zsm("pack", "all.zsm")
    assert zsm("restore", "people", digests[1], "--registry", "all.zsm").code == 3
    assert zsm("restore", "people", digests[0], "--registry", "all.zsm").code == 0


def test_restore_waits_for_others_as_long_as_it_is_told(files, digests, zsm) -> None:
    with ArtifactDirectory(files).locked(LockStrategy.for_directory(files)):
        outcome = zsm("restore", "people", digests[1], "--lock-timeout", "0.05")
    assert outcome.code == 6
    assert "0.05 s" in outcome.err
    assert logged(zsm) == digests


def test_version_that_cannot_be_kept_is_not_replaced(digests, zsm, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        outcome = zsm("restore", "people", digests[1])
    assert outcome.code == 6
    assert "No space left" in outcome.err
    assert logged(zsm) == digests


def test_restore_can_do_without_syncing_what_it_saves(
    files, digests, zsm, monkeypatch
) -> None:
    synced = []
    fsync = os.fsync

    def record(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115  # no file
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    zsm("restore", "people", digests[1], "--durability", "rename")
    assert synced
    assert all("/history" in path for path in synced), "but what it keeps is safe"
    zsm("restore", "people", digests[2])
    assert str(files) in synced


def test_completion_offers_artifacts_and_then_versions(
    digests, zsm, monkeypatch
) -> None:
    monkeypatch.setenv("_ZSM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "zsm restore peo")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert zsm().out == "plain,people\n"
    monkeypatch.setenv("COMP_WORDS", "zsm restore people sha256:")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert zsm().out == "".join(f"plain,{digest}\n" for digest in digests[1:])
    monkeypatch.setenv("COMP_WORDS", "zsm restore people ")
    assert zsm().out == "".join(f"plain,{digest[7:]}\n" for digest in digests[1:])
    monkeypatch.setenv("COMP_WORDS", f"zsm restore people {digests[1][7:15]}")
    assert zsm().out == f"plain,{digests[1][7:]}\n"
    monkeypatch.setenv("COMP_WORDS", "zsm restore nobody sha")
    outcome = zsm()
    assert outcome.out.strip() == ""
    assert outcome.err == ""
