from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, BRP_WITH_PHONE, SIM, fingerprint, numbered, trained
from zsm_store import (
    BundleFormatError,
    FieldMapping,
    Layout,
    SchemaRegistry,
    StorageError,
)
from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import Bundle, MemorySource
from zsm_store.codec.bundle_entry import encode_entry

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from zsm_store import ModelArtifact

KEY = trained().schema_hash
EXTENDED = trained(
    fingerprint(context={"blocking": [1, "a"]}, mappings=[FieldMapping("bsn", "id")]),
    tag="extended",
    extra={"settings": {"seed": 7}},
)


def filled(*artifacts: ModelArtifact) -> SchemaRegistry:
    registry = SchemaRegistry.in_memory()
    for artifact in artifacts:
        registry.save(artifact)
    return registry


def peer_bundle(*artifacts: ModelArtifact) -> bytes:
    """Return what the Rust library writes: no order, no trailer, no rules."""
    count = len(artifacts).to_bytes(8, "little")
    return b"ZSM\x01" + count + b"".join(map(encode_entry, artifacts))


# pack


def test_same_artifacts_give_the_same_bytes(tmp_path: Path) -> None:
    artifacts = [trained(BRP), trained(SIM), EXTENDED]
    packed = set()
    for number, layout in enumerate([None, *Layout, *Layout]):
        registry = SchemaRegistry.in_memory()
        if layout is not None:
            registry = SchemaRegistry.init(tmp_path / f"r{number}", layout=layout)
        artifacts.reverse()
        for artifact in artifacts:
            registry.save(artifact)
        registry.pack(tmp_path / "all.zsm")
        packed.add((tmp_path / "all.zsm").read_bytes())
    with SchemaRegistry.open(tmp_path / "all.zsm") as again:
        again.pack(tmp_path / "again.zsm")
    packed.add((tmp_path / "again.zsm").read_bytes())
    assert len(packed) == 1


def test_bundle_has_every_artifact_whole(tmp_path: Path) -> None:
    registry = filled(trained(BRP), trained(SIM), EXTENDED)
    report = registry.pack(tmp_path / "all.zsm")
    assert report.packed == tuple(one.schema_hash for one in registry)
    assert report.skipped == ()
    bundle = Bundle(MemorySource((tmp_path / "all.zsm").read_bytes()))
    assert list(bundle) == registry.list_all()


def test_bundle_may_be_packed_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "all.zsm"
    filled(trained()).pack(path)
    before = path.read_bytes()
    with SchemaRegistry.open(path) as registry:
        registry.pack(path)
        assert path.read_bytes() == before
        assert registry.list_all() == [trained()]


@pytest.mark.parametrize(
    "content", [b"precious", b"ZS", b"ZSM\x02\0\0\0\0", b'{"format":"zsm-store/1"}']
)
def test_file_that_is_no_bundle_is_not_overwritten(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "thesis.doc"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is no bundle") as caught:
        filled(trained()).pack(path)
    assert caught.value.errno == errno.EEXIST
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.timeout(10)  # a pipe would block for ever
@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.zsm"
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(StorageError, match="cannot pack into"):
        filled(trained()).pack(path)
    assert not stat.S_ISREG(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, b"", "bundle"])
def test_bundle_is_replaced_in_one_step(
    tmp_path: Path, before: str | bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "all.zsm"
    if before == "bundle":
        filled(trained(em_iterations=1)).pack(path)
    elif before is not None:
        path.write_bytes(b"")
    old = path.read_bytes() if path.exists() else None
    registry = filled(trained(BRP), trained(SIM))
    fsync = os.fsync

    def fail(fd: int) -> None:
        assert (path.read_bytes() if path.exists() else None) == old
        fsync(fd)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="full"):
        registry.pack(path)
    monkeypatch.undo()
    assert (path.read_bytes() if path.exists() else None) == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.zsm"] * path.exists()
    registry.pack(path)
    with SchemaRegistry.open(path) as packed:
        assert packed.list_all() == registry.list_all()


def test_missing_target_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing") as caught:
        filled(trained()).pack(tmp_path / "missing" / "all.zsm")
    assert caught.value.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


def test_staging_file_that_somebody_removes_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def remove(fd: int) -> None:
        fsync(fd)
        for entry in tmp_path.iterdir():
            entry.unlink()

    monkeypatch.setattr(os, "fsync", remove)
    with pytest.raises(StorageError, match=r"cannot write .*all\.zsm'"):
        filled(trained()).pack(tmp_path / "all.zsm")


def test_damaged_artifact_is_left_out_and_named(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path / "registry")
    for artifact in (trained(BRP), trained(SIM)):
        registry.save(artifact)
    (tmp_path / "registry" / f"{KEY}.json").write_bytes(b"{")
    report = registry.pack(tmp_path / "all.zsm")
    assert report.packed == (fingerprint(SIM).schema_hash,)
    [line] = report.skipped
    assert KEY in line
    with SchemaRegistry.open(tmp_path / "all.zsm") as packed:
        assert packed.list_all() == [trained(SIM)]


def test_artifact_of_the_peer_that_has_no_json_form_is_left_out_and_named(
    tmp_path: Path,
) -> None:
    odd = trained(BRP)
    object.__setattr__(odd.fingerprint.field_stats[0], "null_rate", float("inf"))
    (tmp_path / "peer.zsm").write_bytes(peer_bundle(odd, trained(SIM)))
    with SchemaRegistry.open(tmp_path / "peer.zsm") as registry:
        report = registry.pack(tmp_path / "all.zsm")
    assert report.packed == (fingerprint(SIM).schema_hash,)
    [line] = report.skipped
    assert KEY in line
    assert "null rate" in line


def test_empty_registry_packs_and_unpacks(tmp_path: Path) -> None:
    assert filled().pack(tmp_path / "none.zsm").packed == ()
    with SchemaRegistry.open(tmp_path / "none.zsm") as packed:
        assert packed.list_all() == []
    report = filled(trained()).unpack(tmp_path / "none.zsm")
    assert (report.saved, report.unchanged) == ((), ())


def test_every_artifact_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "registry"
    with SchemaRegistry.open(path) as registry:
        registry.save_many(numbered(number) for number in range(20))
    decode, decoded = artifact_json.decode_with_digest, []

    def counted(data: bytes, schema_hash: str) -> tuple[ModelArtifact, str]:
        decoded.append(schema_hash)
        return decode(data, schema_hash)

    monkeypatch.setattr(artifact_json, "decode_with_digest", counted)
    with SchemaRegistry.open(path, watch=False) as registry:
        monkeypatch.setattr(registry._store.site, "granularity_s", 0.0)
        assert len(registry.pack(tmp_path / "all.zsm").packed) == 20
    assert len(decoded) == len(set(decoded)) == 20


def test_more_than_memory_should_hold_is_packed_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = filled(EXTENDED, *(numbered(number) for number in range(9)))
    registry.pack(tmp_path / "expected.zsm")
    monkeypatch.setattr("zsm_store.storage.spool._IN_MEMORY_BYTES", 100)
    target = tmp_path / "target"
    target.mkdir()
    registry.pack(target / "all.zsm")
    assert [entry.name for entry in target.iterdir()] == ["all.zsm"]
    expected = (tmp_path / "expected.zsm").read_bytes()
    assert (target / "all.zsm").read_bytes() == expected


def test_artifact_saved_while_it_is_packed_is_in_the_bundle_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "registry"
    stored = sorted((numbered(n) for n in range(5)), key=lambda one: one.schema_hash)
    first, *_, last = stored
    with SchemaRegistry.open(path) as registry, SchemaRegistry.open(path) as other:
        registry.save_many(stored)
        load, loaded = registry._store.load_version, []

        def load_version(schema_hash: str, version: Hashable) -> ModelArtifact | None:
            if schema_hash == last.schema_hash and loaded.count(schema_hash) == 0:
                other.save(replace(first, tag="new"))
                other.save(replace(last, tag="new"))
            loaded.append(schema_hash)
            return load(schema_hash, version)

        monkeypatch.setattr(registry._store, "load_version", load_version)
        report = registry.pack(tmp_path / "all.zsm")
        expected = registry.list_all()
    assert [one.tag for one in expected] == ["new", None, None, None, "new"]
    assert report.packed == tuple(one.schema_hash for one in stored)
    bundle = Bundle(MemorySource((tmp_path / "all.zsm").read_bytes()))
    assert list(bundle) == expected


# unpack


@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_unpack_saves_what_is_missing(tmp_path: Path, kind: str) -> None:
    source = filled(trained(BRP), trained(SIM), EXTENDED)
    source.pack(tmp_path / "all.zsm")
    target = SchemaRegistry.in_memory()
    if kind == "directory":
        target = SchemaRegistry.open(tmp_path / "registry")
    target.save(trained(BRP))
    report = target.unpack(tmp_path / "all.zsm")
    assert target.list_all() == source.list_all()
    assert report.unchanged == (KEY,)
    assert set(report.saved) == {EXTENDED.schema_hash, fingerprint(SIM).schema_hash}
    assert report.kept == report.refused == ()
    again = target.unpack(tmp_path / "all.zsm", replace=True)
    assert again.saved == ()
    assert len(again.unchanged) == 3


def test_other_training_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    filled(trained(em_iterations=1), trained(SIM)).pack(tmp_path / "all.zsm")
    target = filled(trained(em_iterations=2))
    report = target.unpack(tmp_path / "all.zsm")
    assert report.kept == (KEY,)
    assert report.saved == (fingerprint(SIM).schema_hash,)
    assert target.get(KEY).em_iterations == 2
    report = target.unpack(tmp_path / "all.zsm", replace=True)
    assert report.saved == (KEY,)
    assert target.get(KEY).em_iterations == 1


def test_invalid_artifacts_of_the_peer_are_refused_and_named(
    tmp_path: Path, golden_dir: Path
) -> None:
    target = SchemaRegistry.open(tmp_path / "registry")
    report = target.unpack(golden_dir / "bundles" / "three.zsm")
    keys = Bundle(
        MemorySource((golden_dir / "bundles" / "three.zsm").read_bytes())
    ).keys()
    assert len(keys) == 3
    assert sorted(line[:64] for line in report.refused) == list(keys)
    assert all(line[64:66] == ": " for line in report.refused)
    assert report.saved == report.kept == report.unchanged == ()
    assert target.list_all() == []


def test_valid_artifacts_of_the_peer_are_saved(
    tmp_path: Path, golden_dir: Path
) -> None:
    target = SchemaRegistry.open(tmp_path / "registry")
    report = target.unpack(golden_dir / "bundles" / "one.zsm")
    assert len(report.saved) == 1
    with SchemaRegistry.open(golden_dir / "bundles" / "one.zsm") as peer:
        assert target.list_all() == peer.list_all()


def test_invalid_neighbor_does_not_keep_the_valid_one_out(tmp_path: Path) -> None:
    odd = trained(BRP)
    object.__setattr__(odd.params, "m", ((2.0, 0.0, 0.0),) * len(BRP.fields))
    (tmp_path / "peer.zsm").write_bytes(peer_bundle(odd, trained(SIM)))
    target = SchemaRegistry.in_memory()
    report = target.unpack(tmp_path / "peer.zsm")
    assert report.saved == (fingerprint(SIM).schema_hash,)
    [line] = report.refused
    assert line.startswith(KEY)
    with SchemaRegistry.open(tmp_path / "peer.zsm") as peer:
        assert peer.list_all() == [trained(SIM)]
        [problem] = [found for found in peer.verify() if found.code == "ZSM016"]
        assert KEY in problem.message


@pytest.mark.parametrize("damage", ["cut", "flipped", "no bundle", "empty", "text"])
def test_damaged_bundle_saves_nothing(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "all.zsm"
    filled(*(numbered(number) for number in range(9))).pack(path)
    good = path.read_bytes()
    flipped = bytearray(good)
    # In the last entry: everything before it could be saved.
    flipped[
        Bundle(MemorySource(good)).offset(max(Bundle(MemorySource(good)).keys()))
    ] ^= 1
    changed = {
        "cut": good[:-300],
        "flipped": bytes(flipped),
        "no bundle": b"ZSM\x02" + good[4:],
        "empty": b"",
        "text": b'{"format": "zsm-store/1"}',
    }
    path.write_bytes(changed[damage])
    target = filled(trained())
    with pytest.raises(BundleFormatError) as caught:
        target.unpack(path)
    assert str(path) in str(caught.value)
    assert f"at byte {caught.value.offset}" in str(caught.value)
    assert target.list_all() == [trained()]


def test_training_that_somebody_saves_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "all.zsm"
    filled(trained(BRP), trained(SIM)).pack(bundle)
    registry = SchemaRegistry.open(tmp_path / "registry")
    first = min(trained(BRP), trained(SIM), key=lambda each: each.schema_hash)
    theirs = replace(first, tag="theirs")
    find = registry._store.digest

    def digest(schema_hash: str) -> str:
        # Only the first question: later ones are asked under the lock.
        monkeypatch.setattr(registry._store, "digest", find)
        assert schema_hash == theirs.schema_hash
        try:
            return find(schema_hash)
        finally:
            SchemaRegistry.open(tmp_path / "registry").save(theirs)

    monkeypatch.setattr(registry._store, "digest", digest)
    report = registry.unpack(bundle)
    assert report.kept == (theirs.schema_hash,)
    assert len(report.saved) == 1
    assert registry.get_exact(theirs.fingerprint) == theirs


def test_missing_bundle_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing\.zsm"):
        filled().unpack(tmp_path / "missing.zsm")


@pytest.mark.parametrize("layout", Layout)
def test_bundle_repairs_a_damaged_registry(tmp_path: Path, layout: Layout) -> None:
    registry = SchemaRegistry.init(tmp_path / "registry", layout=layout)
    for artifact in (trained(BRP), trained(SIM), trained(BRP_WITH_PHONE)):
        registry.save(artifact)
    registry.pack(tmp_path / "backup.zsm")
    [file] = (tmp_path / "registry").rglob(f"{KEY}.json")
    file.write_bytes(b"{")
    # Damaged files are evidence: they are only replaced when somebody says so.
    report = registry.unpack(tmp_path / "backup.zsm")
    [line] = report.refused
    assert KEY in line
    assert len(report.unchanged) == 2
    assert file.read_bytes() == b"{"
    report = registry.unpack(tmp_path / "backup.zsm", replace=True)
    assert report.saved == (KEY,)
    assert len(registry) == 3
    assert not registry.verify()
