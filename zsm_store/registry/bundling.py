"""Pack a registry into a bundle, and unpack one into a registry."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import Bundle
from zsm_store.codec.bundle_body import (
    MAGIC,
    PackedArtifact,
    encode_packed,
    join_bundle,
)
from zsm_store.errors import (
    ArtifactNotFoundError,
    BundleFormatError,
    ConflictError,
    FormatError,
    InvalidArtifactError,
    StorageError,
    ZsmError,
)
from zsm_store.registry.moment import Seen, read_artifact, snapshot
from zsm_store.storage.atomic import publish, staged, sync_directory
from zsm_store.storage.file_source import FileSource
from zsm_store.storage.spool import Place, Spool

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.store import ArtifactStore

_AT_ONCE = 256
"""Artifacts of a bundle that are in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """What `pack` did."""

    packed: tuple[str, ...]
    """Schema hashes in the bundle, sorted."""
    skipped: tuple[str, ...]
    """One line per damaged artifact that is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackReport:
    """What `unpack` did, as schema hashes in the order of the bundle."""

    saved: tuple[str, ...]
    unchanged: tuple[str, ...]
    """The registry has the very same artifact."""
    kept: tuple[str, ...]
    """The registry has another training of that schema, which was kept."""
    refused: tuple[str, ...]
    """One line per artifact that breaks a rule of the model, or whose stored version is
    damaged and was not to be replaced."""


def pack(store: ArtifactStore, path: Path) -> PackReport:
    """Write every artifact of one moment into a bundle, atomically."""
    _check_target(path)
    with Spool(path.parent) as spool:
        found = snapshot(store, partial(_set_aside, store, spool))
        good = {key: one for key, one in found.items() if isinstance(one, _Spooled)}
        packed = (one.packed(key, spool) for key, one in good.items())
        chunks = join_bundle(packed, len(good))
        # Beside its final place: a rename is atomic only within a file system.
        with staged(chunks, f".{path.name}", path.parent) as staging:
            try:
                publish(staging, path)
            except FileNotFoundError as error:  # somebody removed the staging file
                raise StorageError.of("write", path, error) from error
    sync_directory(path.parent)
    skipped = tuple(one for one in found.values() if isinstance(one, str))
    return PackReport(packed=tuple(good), skipped=skipped)


def unpack(store: ArtifactStore, path: Path, *, replace: bool) -> UnpackReport:
    """Save every artifact of a bundle that the store does not have."""
    lines: dict[_Outcome, list[str]] = {outcome: [] for outcome in _Outcome}
    source = FileSource(path)
    try:
        bundle = Bundle(source)
        # Before the first save: a damaged bundle must not be unpacked by half.
        for _ in bundle:
            pass
        artifacts = iter(bundle)
        while some := list(islice(artifacts, _AT_ONCE)):
            for outcome, line in _unpack_some(store, some, replace=replace):
                lines[outcome].append(line)
    except BundleFormatError as error:
        error.source = path
        raise
    finally:
        source.close()
    return UnpackReport(
        saved=tuple(lines[_Outcome.SAVED]),
        unchanged=tuple(lines[_Outcome.UNCHANGED]),
        kept=tuple(lines[_Outcome.KEPT]),
        refused=tuple(lines[_Outcome.REFUSED]),
    )


class _Outcome(Enum):
    SAVED = auto()
    UNCHANGED = auto()
    KEPT = auto()
    REFUSED = auto()


def _unpack_some(
    store: ArtifactStore, artifacts: Sequence[ModelArtifact], *, replace: bool
) -> Iterator[tuple[_Outcome, str]]:
    """Save some; yields what became of each, in order."""
    stored = [_stored(store, artifact, replace=replace) for artifact in artifacts]
    left = [
        artifact
        for artifact, known in zip(artifacts, stored, strict=True)
        if known is None
    ]
    saved = store.save_many(left, if_absent=not replace)
    for artifact, known in zip(artifacts, stored, strict=True):
        if known is not None:
            yield known
            continue
        key = artifact.schema_hash
        match next(saved):
            case ConflictError():  # somebody saved that schema a moment ago
                yield _Outcome.KEPT, key
            case ZsmError() as error:
                raise error
            case _:
                yield _Outcome.SAVED, key


def _stored(
    store: ArtifactStore, artifact: ModelArtifact, *, replace: bool
) -> tuple[_Outcome, str] | None:
    """Return what becomes of an artifact that is not to be saved."""
    key = artifact.schema_hash
    try:
        if artifact_json.digest(artifact) == store.digest(key):
            return _Outcome.UNCHANGED, key
        if not replace:
            return _Outcome.KEPT, key
    except InvalidArtifactError as error:
        return _Outcome.REFUSED, f"{key}: {error}"
    except ArtifactNotFoundError:
        pass
    except FormatError as error:  # the stored one is damaged
        if not replace:
            return _Outcome.REFUSED, f"{key}: {error}"
    return None


@dataclass(frozen=True, slots=True)
class _Spooled:
    """An artifact that was encoded and set aside: memory would not hold all of them."""

    digest: str
    entry: Place = field(compare=False)
    extension: Place = field(compare=False)

    def packed(self, schema_hash: str, spool: Spool) -> PackedArtifact:
        return PackedArtifact(
            schema_hash=schema_hash,
            digest=self.digest,
            entry=spool.read(self.entry),
            extension=spool.read(self.extension),
        )


def _set_aside(
    store: ArtifactStore, spool: Spool, schema_hash: str, version: Hashable
) -> Seen[_Spooled | str] | None:
    """Read and encode an artifact; of one that cannot be packed, say why not."""
    seen = read_artifact(store, schema_hash, version)
    if seen is None:
        return None
    artifact, is_exact = seen
    if isinstance(artifact, str):
        return Seen(artifact, is_exact)
    try:
        packed = encode_packed(artifact)
    except InvalidArtifactError as error:  # only the peer writes such a thing
        return Seen(f"{schema_hash}: {error}", is_exact)
    entry, extension = spool.append(packed.entry), spool.append(packed.extension)
    return Seen(_Spooled(packed.digest, entry, extension), is_exact)


def _check_target(path: Path) -> None:
    """Refuse to overwrite what is no bundle: a typing error must not cost a file."""
    try:
        source = FileSource(path)
    except StorageError as error:
        try:
            if error.errno == errno.ENOENT and path.parent.is_dir():
                return
        except OSError as unknown:
            raise StorageError.of("pack into", path, unknown) from unknown
        error.action = "pack into"
        raise
    try:
        if source.size and source.read(0, len(MAGIC)) != MAGIC:
            message = "it exists and is no bundle; remove it or choose another name"
            refused = OSError(errno.EEXIST, message)
            raise StorageError.of("pack into", path, refused)
    finally:
        source.close()
