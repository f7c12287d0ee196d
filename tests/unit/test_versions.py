from __future__ import annotations

import errno
import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP_WITH_PHONE, fingerprint, trained
from tests.histories import KEY, content, kept, numbers, saved, version
from zsm_store import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    SchemaRegistry,
    StorageError,
)
from zsm_store.codec import artifact_json
from zsm_store.registry import versions
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.version import Version
from zsm_store.registry.versions import version_with

if TYPE_CHECKING:
    from pathlib import Path

# Versions while others save.


def test_version_that_is_replaced_meanwhile_is_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, writer = saved(tmp_path, 2), SchemaRegistry.open(tmp_path)
    replaced, left = DirectoryStore.replaced, [2, 3]

    def replaced_and_more(self: DirectoryStore, schema_hash: str) -> list[Version]:
        found = replaced(self, schema_hash)
        if left:
            writer.save(version(left.pop(0)))
        return found

    monkeypatch.setattr(DirectoryStore, "replaced", replaced_and_more)
    assert numbers(registry.history(KEY)) == [3, 2, 1, 0]


def test_history_that_never_rests_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, numbered = saved(tmp_path, 1), itertools.count()
    monkeypatch.setattr(
        versions, "_served", lambda store, key: (store, key, next(numbered))
    )
    with pytest.raises(StorageError, match="changes faster") as caught:
        registry.history(KEY)
    assert caught.value.errno == errno.EBUSY


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO])
def test_version_is_not_blamed_for_what_the_process_has_run_out_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    registry = saved(tmp_path, 2)

    def refuse(*_: object) -> None:
        raise StorageError.of("read", KEY, OSError(number, os.strerror(number)))

    monkeypatch.setattr(DirectoryStore, "load_with_digest", refuse)
    if number == errno.EIO:
        served, before = registry.history(KEY)
        assert os.strerror(number) in served.problem
        assert numbers([before]) == [0]
    else:
        with pytest.raises(StorageError):
            registry.history(KEY)


# References to what was there.


def test_stored_artifact_comes_before_a_deleted_one(tmp_path: Path) -> None:
    registry = saved(tmp_path, 1)
    twin = KEY[:8] + ("0" if KEY[8] != "0" else "1") + KEY[9:]
    other = trained(replace(fingerprint(), schema_hash=twin))
    registry.save(other)
    registry.delete(twin)
    assert registry.history(KEY[:8])[0].schema_hash == KEY
    assert registry.history(twin)[0].schema_hash == twin
    registry.delete(KEY)
    with pytest.raises(AmbiguousRefError) as caught:
        registry.history(KEY[:8])
    assert caught.value.candidates == tuple(sorted([KEY, twin]))


@pytest.mark.parametrize("ref", ["", KEY[:5], "people", "../..", "/etc", "*", "0" * 64])
def test_reference_to_what_never_was_is_not_found(tmp_path: Path, ref: str) -> None:
    registry = saved(tmp_path, 1)
    registry.delete(KEY)
    with pytest.raises(ArtifactNotFoundError):
        registry.history(ref)


def of_digest(digits: str, *, served: bool = False) -> Version:
    return Version(
        schema_hash=KEY,
        replaced_at=None if served else datetime.now(UTC),
        digest=f"sha256:{digits:0<64}",
        artifact=version(0),
    )


def test_version_is_meant_by_the_start_of_its_digest() -> None:
    one, other, served = (
        of_digest("abcdef1"),
        of_digest("abcdef2"),
        of_digest("abcdef1", served=True),
    )
    damaged = replace(one, digest=None, artifact=None)
    found = [damaged, one, other]
    for digest in ("abcdef1", "sha256:abcdef1", "SHA256:ABCDEF1", one.digest):
        assert version_with(found, KEY, str(digest)) is one
    with pytest.raises(AmbiguousRefError) as caught:
        version_with(found, KEY, "abcdef")
    assert caught.value.candidates == (one.digest, other.digest)
    for digest in (
        "abcde",
        "",
        "sha256:",
        "fedcba",
        "people",
        "../abcdef1",
        "abcdef1\n",
    ):
        with pytest.raises(ArtifactNotFoundError, match="zsm log"):
            version_with(found, KEY, digest)
    assert version_with([served, other, one], KEY, "abcdef1") is served


def test_restored_version_is_served_and_what_it_replaces_is_kept(
    tmp_path: Path,
) -> None:
    registry = saved(tmp_path, 4, keep=3)
    oldest = artifact_json.digest(version(0))
    assert registry.restore("people", oldest[:20]) == oldest
    assert registry.get("people") == version(0)
    assert kept(tmp_path) == [content(3), content(2), content(1)]
    registry.save(trained(BRP_WITH_PHONE))
    registry.delete(KEY)
    assert registry.restore(KEY[:10], oldest) == oldest
    assert (tmp_path / f"{KEY}.json").read_bytes() == content(0)
    with pytest.raises(ArtifactNotFoundError):
        registry.restore(KEY, "0" * 64)
