"""Pack a registry into a bundle, and unpack one into a registry."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import MAGIC, Bundle, encode_bundle
from zsm_store.errors import (
    ArtifactNotFoundError,
    BundleFormatError,
    FormatError,
    InvalidArtifactError,
    StorageError,
)
from zsm_store.registry.moment import at_one_moment
from zsm_store.storage.atomic import publish, staged, sync_directory
from zsm_store.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from zsm_store.registry.store import ArtifactStore


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
    with ExitStack() as cleanup:

        def stage(entries: Mapping[str, Hashable]) -> tuple[Path, PackReport]:
            cleanup.close()  # what was staged at the try before
            good, skipped = _usable(store, entries)
            artifacts = (store.load(key, listed=True) for key in good)
            chunks = encode_bundle(artifacts, len(good))
            # Beside its final place: a rename is atomic only within a file system.
            staging = cleanup.enter_context(
                staged(chunks, f".{path.name}", path.parent)
            )
            return staging, PackReport(packed=good, skipped=skipped)

        staging, report = at_one_moment(store, stage)
        try:
            publish(staging, path)
        except FileNotFoundError as error:  # somebody removed the staging file
            raise StorageError.of("write", path, error) from error
        sync_directory(path.parent)
    return report


def unpack(store: ArtifactStore, path: Path, *, replace: bool) -> UnpackReport:
    """Save every artifact of a bundle that the store does not have."""
    saved, unchanged, kept, refused = [], [], [], []
    source = FileSource(path)
    try:
        bundle = Bundle(source)
        # Before the first save: a damaged bundle must not be unpacked by half.
        for _ in bundle:
            pass
        for artifact in bundle:
            key = artifact.schema_hash
            try:
                digest = artifact_json.digest(artifact)
            except InvalidArtifactError as error:
                refused.append(f"{key}: {error}")
                continue
            try:
                stored = _stored_digest(store, key)
            except FormatError as error:  # the stored one is damaged
                if replace:
                    store.save(artifact, if_match=None, if_absent=False)
                    saved.append(key)
                else:
                    refused.append(f"{key}: {error}")
                continue
            if stored == digest:
                unchanged.append(key)
            elif stored is not None and not replace:
                kept.append(key)
            else:
                store.save(artifact, if_match=stored, if_absent=stored is None)
                saved.append(key)
    except BundleFormatError as error:
        error.source = path
        raise
    finally:
        source.close()
    return UnpackReport(
        saved=tuple(saved),
        unchanged=tuple(unchanged),
        kept=tuple(kept),
        refused=tuple(refused),
    )


def _stored_digest(store: ArtifactStore, schema_hash: str) -> str | None:
    try:
        return store.digest(schema_hash)
    except ArtifactNotFoundError:
        return None


def _usable(
    store: ArtifactStore, entries: Mapping[str, Hashable]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    good, skipped = [], []
    for key in entries:
        try:
            artifact_json.digest(store.load(key, listed=True))
        except FormatError as error:
            skipped.append(str(error))
        except InvalidArtifactError as error:  # only the peer writes such a thing
            skipped.append(f"{key}: {error}")
        except StorageError as error:
            store.entries()  # raises where more than this one is unreadable
            skipped.append(str(error))
        else:
            good.append(key)
    return tuple(good), tuple(skipped)


def _check_target(path: Path) -> None:
    """Refuse to overwrite what is no bundle: a typing error must not cost a file."""
    try:
        source = FileSource(path)
    except StorageError as error:
        if error.errno == errno.ENOENT:
            return
        error.action = "pack into"
        raise
    try:
        if source.size and source.read(0, len(MAGIC)) != MAGIC:
            message = "it exists and is no bundle; remove it or choose another name"
            refused = OSError(errno.EEXIST, message)
            raise StorageError.of("pack into", path, refused)
    finally:
        source.close()
