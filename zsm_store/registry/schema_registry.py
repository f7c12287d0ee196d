"""The registry: look up how to start, save what was trained, share it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import InvalidArtifactError, StorageError, ZsmError
from zsm_store.model.fingerprint import is_schema_hash
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.file_writer import Durability
from zsm_store.registry.readable_registry import ReadableRegistry
from zsm_store.registry.settings import MOST_KEPT, Layout
from zsm_store.registry.site import RegistrySite
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S, LockStrategy

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.bundling import PackReport, UnpackReport
    from zsm_store.registry.repair import RepairReport
    from zsm_store.registry.saving import SaveReport
    from zsm_store.registry.store import Saved

logger = logging.getLogger(__name__)

_DIGEST = re.compile(rf"{DIGEST_PREFIX}[0-9a-f]{{64}}\Z")


class SchemaRegistry(ReadableRegistry):
    """Trained models by schema. Use `open`, `init` or `in_memory`.

    Safe for use from many threads. Every answer includes whatever was saved before the
    call began, by any process. Damaged artifacts are skipped by lookups, with a
    warning in the log, and named by `verify`.
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        lock_timeout_s: float = DEFAULT_TIMEOUT_S,
        watch: bool = True,
        cache: bool = True,
        durability: Durability = Durability.FULL,
    ) -> Self:
        """Open a registry.

        Parameters
        ----------
        path
            A directory, created at the first save, or a `.zsm` bundle, which gives a
            read-only registry.
        lock_timeout_s
            Seconds that a save waits for other writers.
        watch
            Take in what others save in the background, once the registry has been
            asked over a second or more, so that a lookup need not. Answers are the same
            without.
        cache
            Keep the index of a large registry in the user's cache directory, where the
            next process finds it. Answers are the same without.
        durability
            What a save survives once it has returned: by default a power cut, too.

        Raises
        ------
        StorageError
            There is no such bundle, or it cannot be read.
        BundleFormatError
            It is no bundle.
        """
        path = Path(path)
        try:
            is_bundle = path.is_file() or (path.suffix == ".zsm" and not path.is_dir())
        except OSError as error:
            raise StorageError.of("open", path, error) from error
        if is_bundle:
            from zsm_store.registry.bundle_store import BundleStore  # noqa: PLC0415

            return cls(BundleStore(path))
        return cls(
            DirectoryStore(path, lock_timeout_s, durability),
            watched=path if watch else None,
            cached=path if cache else None,
        )

    @classmethod
    def init(
        cls,
        path: str | os.PathLike[str],
        *,
        layout: Layout | None = None,
        lock: LockStrategy | None = None,
        keep: int | None = None,
        lock_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Self:
        """Create a registry's directory, or change the settings of one.

        Writes `registry.json`, and a `.gitattributes` that keeps git from blending two
        trainings. What is None stays as it is.

        Parameters
        ----------
        path
            The directory.
        layout
            Where files lie; flat by default. It cannot be changed.
        lock
            How writers exclude each other; by default in the way that suits the file
            system. Change it while nobody writes.
        keep
            How many replaced versions of each artifact are kept, 0 to 1,000; by default
            none.
        lock_timeout_s
            As in `open`.

        Raises
        ------
        InvalidArtifactError
            `keep` is out of range.
        StorageError
            It exists with another layout, or the file system refuses it.
        """
        if keep is not None and not 0 <= keep <= MOST_KEPT:
            message = f"keep is {keep}, not 0 to {MOST_KEPT}"
            raise InvalidArtifactError(message)
        site = RegistrySite(Path(path), lock_timeout_s)
        site.initialize(layout=layout, lock=lock, keep=keep)
        return cls.open(path, lock_timeout_s=lock_timeout_s)

    @classmethod
    def in_memory(cls) -> Self:
        """Return an empty registry that lives as long as the object."""
        from zsm_store.registry.memory_store import MemoryStore  # noqa: PLC0415

        return cls(MemoryStore())

    def save(
        self,
        artifact: ModelArtifact,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> str:
        """Save an artifact under its schema hash, in place of an older one.

        Parameters
        ----------
        artifact
            What was trained.
        if_match
            Digest that the stored artifact must have, as `digest` and `save` return it.
        if_absent
            There must be no artifact of this schema.

        Returns
        -------
        str
            Digest of the saved artifact. Once returned, it survives a power cut.

        Raises
        ------
        ConflictError
            The precondition does not hold; nothing was changed.
        InvalidArtifactError
            The artifact cannot be stored, or a malformed `if_match`.
        RegistryLockedError, StorageError
            The stored artifact, if any, is untouched.
        """
        if if_match is not None and if_absent:
            message = "if_match and if_absent exclude each other"
            raise InvalidArtifactError(message)
        _check_digest(if_match)
        saved = self._store.save(artifact, if_match=if_match, if_absent=if_absent)
        self._note_saved(artifact, saved)
        return saved.digest

    def save_many(
        self, artifacts: Iterable[ModelArtifact], *, if_absent: bool = False
    ) -> SaveReport:
        """Save artifacts, each of them wholly or not at all.

        Much faster than one by one: files are synced at the same time, directories
        once for many. Other writers get their turn in between.

        Parameters
        ----------
        artifacts
            Of different schemas.
        if_absent
            Only where there is no artifact of the schema; the others fail with a
            `ConflictError`.

        Returns
        -------
        SaveReport
            What was saved, which survives a power cut, and what was not, and why.

        Raises
        ------
        InvalidArtifactError
            Two artifacts have the same schema; nothing was saved.
        """
        from zsm_store.registry.saving import SaveReport, save_many  # noqa: PLC0415

        saved: dict[str, str] = {}
        failed: dict[str, ZsmError] = {}
        given = list(artifacts)
        for artifact, outcome in save_many(self._store, given, if_absent=if_absent):
            if isinstance(outcome, ZsmError):
                failed[artifact.schema_hash] = outcome
            else:
                self._note_saved(artifact, outcome)
                saved[artifact.schema_hash] = outcome.digest
        return SaveReport(saved=saved, failed=failed)

    def delete(self, schema_hash: str, *, if_match: str | None = None) -> bool:
        """Delete an artifact.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        ConflictError
            The stored artifact has not the digest `if_match`.
        InvalidArtifactError
            Not a full schema hash.
        RegistryLockedError, StorageError
            Nothing was deleted.
        """
        _check_hash(schema_hash)
        _check_digest(if_match)
        deleted = self._store.delete(schema_hash, if_match=if_match)
        if deleted:
            self._catalog.note_deleted(schema_hash)
            logger.info("deleted %s", schema_hash, extra={"schema_hash": schema_hash})
        return deleted

    def restore(self, ref: str, digest: str, *, if_match: str | None = None) -> str:
        """Save an earlier version again; what it replaces is kept as ever.

        Parameters
        ----------
        ref
            As in `history`.
        digest
            Of the version, or the start of it, as `history` returns it.
        if_match
            As in `save`: the digest of the version that is served.

        Returns
        -------
        str
            The whole digest.

        Raises
        ------
        ArtifactNotFoundError, AmbiguousRefError
            No version of it has this digest, or several have.
        ConflictError, RegistryLockedError, StorageError
            As in `save`.
        """
        from zsm_store.registry.versions import find_version  # noqa: PLC0415

        version = find_version(self._store, self._resolve_ever(ref), digest)
        if version.artifact is None:
            raise AssertionError
        return self.save(version.artifact, if_match=if_match)

    def pack(self, path: str | os.PathLike[str]) -> PackReport:
        """Write all artifacts of one moment into a `.zsm` bundle.

        The same artifacts give the same bytes. The Rust library reads the file.

        Raises
        ------
        StorageError
            `path` exists and is no bundle, or cannot be written.
        """
        from zsm_store.registry import bundling  # noqa: PLC0415

        return bundling.pack(self._store, Path(path))

    def unpack(
        self, path: str | os.PathLike[str], *, replace: bool = False
    ) -> UnpackReport:
        """Save the artifacts of a `.zsm` bundle.

        Parameters
        ----------
        path
            The bundle, of this package or of the Rust library.
        replace
            Also save where the registry has another training of the same schema;
            otherwise that one is kept, and reported.

        Raises
        ------
        BundleFormatError
            The bundle is damaged; nothing was saved.
        """
        from zsm_store.registry import bundling  # noqa: PLC0415

        return bundling.unpack(self._store, Path(path), replace=replace)

    def repair(self, *, dry_run: bool = False) -> RepairReport:
        """Move what `verify` calls an error out of the way; nothing is ever deleted.

        Each file goes to a folder of its own in `quarantine/`, beside a text that says
        what was wrong. Also sweeps what killed writers have left, their lock included.

        Parameters
        ----------
        dry_run
            Only say what would be done.

        Raises
        ------
        RegistryLockedError, StorageError
            Nothing may be moved here, or somebody else is writing all the time.
        """
        from zsm_store.registry.repair import repair  # noqa: PLC0415

        return repair(self._store, dry_run=dry_run)

    def _note_saved(self, artifact: ModelArtifact, saved: Saved) -> None:
        self._catalog.note_saved(artifact.fingerprint, artifact.tag, saved.version)
        logger.info(
            "saved %s as %s",
            artifact.schema_hash,
            saved.digest,
            extra={"schema_hash": artifact.schema_hash, "digest": saved.digest},
        )


def _check_hash(schema_hash: object) -> None:
    if not is_schema_hash(schema_hash):
        message = f"a schema hash has 64 lower-case hex digits, not {schema_hash!r}"
        raise InvalidArtifactError(message)


def _check_digest(digest: str | None) -> None:
    if digest is not None and not _DIGEST.match(digest):
        message = f"a digest is 'sha256:' and 64 hex digits, not {digest!r}"
        raise InvalidArtifactError(message)
