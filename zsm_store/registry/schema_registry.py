"""The registry: look up how to start, save what was trained, share it."""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import (
    ArtifactNotFoundError,
    FormatError,
    InvalidArtifactError,
    StorageError,
    ZsmError,
)
from zsm_store.model.fingerprint import SchemaFingerprint, is_schema_hash
from zsm_store.registry.catalog import Catalog
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.file_writer import Durability
from zsm_store.registry.forks import follow_forks
from zsm_store.registry.refs import resolve_ref
from zsm_store.registry.settings import MOST_KEPT, Layout
from zsm_store.registry.site import RegistrySite
from zsm_store.registry.store import EXHAUSTED
from zsm_store.registry.warmth import Warmth
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S, LockStrategy

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.startup import NearestArtifact, StartupMode
    from zsm_store.registry.bundling import PackReport, UnpackReport
    from zsm_store.registry.problem import Problem
    from zsm_store.registry.repair import RepairReport
    from zsm_store.registry.saving import SaveReport
    from zsm_store.registry.store import ArtifactStore, Saved
    from zsm_store.registry.versions import Version

logger = logging.getLogger(__name__)

_DIGEST = re.compile(rf"{DIGEST_PREFIX}[0-9a-f]{{64}}\Z")


class SchemaRegistry:
    """Trained models by schema. Use `open`, `init` or `in_memory`.

    Safe for use from many threads. Every answer includes whatever was saved before the
    call began, by any process. Damaged artifacts are skipped by lookups, with a
    warning in the log, and named by `verify`.
    """

    def __init__(
        self,
        store: ArtifactStore,
        *,
        watched: Path | None = None,
        cached: Path | None = None,
    ) -> None:
        self._store = store
        self._catalog = Catalog(store, cached=cached)
        self._warmth = None if watched is None else Warmth(watched, self._catalog)
        follow_forks(self)

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

    @property
    def location(self) -> str:
        """Path of the directory or bundle, or ``memory``."""
        return self._store.location

    def close(self) -> None:
        """Stop watching and let go of what is in memory."""
        if self._warmth is not None:
            self._warmth.close()
        self._catalog.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SchemaRegistry({self.location!r})"

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

    def get(self, ref: str) -> ModelArtifact:
        """Return the artifact that a reference means.

        Parameters
        ----------
        ref
            A schema hash, a unique prefix of one (6 digits at least), or a unique tag.

        Raises
        ------
        ArtifactNotFoundError, AmbiguousRefError
            No artifact answers, or several do.
        FormatError
            It is damaged.
        """
        return self._store.load(self.resolve(ref))

    def resolve(self, ref: str) -> str:
        """Return the schema hash that a reference means.

        A full hash is returned as it is, whether or not there is such an artifact, so
        that a damaged one can be named and deleted.

        Raises
        ------
        ArtifactNotFoundError, AmbiguousRefError
            No artifact answers to a prefix or tag, or several do.
        """
        return resolve_ref(self._store, self._catalog, ref)

    def get_exact(self, fingerprint: SchemaFingerprint) -> ModelArtifact | None:
        """Return the artifact of the very same schema, or None.

        Raises
        ------
        FormatError
            It is damaged.
        """
        try:
            return self._store.load(fingerprint.schema_hash)
        except ArtifactNotFoundError:
            return None

    def digest(self, ref: str) -> str:
        """Return the digest of an artifact, for `if_match`. Raises like `get`."""
        return self._store.digest(self.resolve(ref))

    def history(self, ref: str) -> list[Version]:
        """Return the versions of one artifact, the served one first, then the last.

        A registry keeps as many replaced and deleted versions as `init` was told to.

        Parameters
        ----------
        ref
            As in `get`; of a deleted artifact its hash or the start of it.

        Raises
        ------
        ArtifactNotFoundError, AmbiguousRefError
            No artifact answers and none did, or several do.
        """
        from zsm_store.registry.versions import versions  # noqa: PLC0415

        return versions(self._store, self._resolve_ever(ref))

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

    def get_nearest(self, fingerprint: SchemaFingerprint) -> NearestArtifact | None:
        """Return the nearest artifact, or None in an empty registry."""
        return next(iter(self.nearest(fingerprint)), None)

    def nearest(
        self, fingerprint: SchemaFingerprint, k: int = 1
    ) -> list[NearestArtifact]:
        """Return the `k` nearest artifacts, nearest first.

        An equal hash comes first, then the smaller distance, then the smaller hash.
        """
        from zsm_store.registry.lookup import nearest_artifacts  # noqa: PLC0415

        return nearest_artifacts(self._store, self._asked(), fingerprint, k)

    def lookup_startup_mode(
        self, fingerprint: SchemaFingerprint, *, explain: bool = False
    ) -> StartupMode:
        """Decide how training of this schema begins.

        Parameters
        ----------
        fingerprint
            Of the table that is to be trained.
        explain
            Also find the runner-up and, for a cold start, the nearest artifact. That
            takes a search that a decision does not need.

        Returns
        -------
        WarmLoad, WarmStart or ColdStart
            To `match` on; each explains itself.
        """
        from zsm_store.registry.lookup import startup_mode  # noqa: PLC0415

        mode = startup_mode(self._store, self._asked(), fingerprint, explain=explain)
        _log_mode(mode)
        return mode

    def lookup_many(
        self, fingerprints: Iterable[SchemaFingerprint], *, explain: bool = False
    ) -> list[StartupMode]:
        """Decide for many schemas, in their order. See `lookup_startup_mode`.

        Faster than to ask one by one: the registry is looked at once for all of them,
        and they are searched together.
        """
        from zsm_store.registry.lookup import startup_modes  # noqa: PLC0415

        modes = startup_modes(
            self._store, self._asked(), list(fingerprints), explain=explain
        )
        for mode in modes:
            _log_mode(mode)
        return modes

    def list_all(self) -> list[ModelArtifact]:
        """Return all artifacts of one moment, sorted by schema hash."""
        from zsm_store.registry import moment  # noqa: PLC0415

        read = partial(moment.read_artifact, self._store)
        artifacts = []
        for found in moment.snapshot(self._store, read).values():
            if isinstance(found, str):
                logger.warning("skipped: %s", found)
            else:
                artifacts.append(found)
        return artifacts

    def __iter__(self) -> Iterator[ModelArtifact]:
        """Iterate over the artifacts by schema hash, one in memory at a time."""
        for schema_hash in sorted(self._store.entries()):
            try:
                yield self._store.load(schema_hash, listed=True)
            except ArtifactNotFoundError:  # deleted since it was listed
                continue
            except FormatError as error:
                logger.warning("skipped: %s", error)
            except StorageError as error:
                if error.errno in EXHAUSTED:
                    raise
                self._store.entries()  # raises where more than this one is unreadable
                logger.warning("skipped: %s", error)

    def __len__(self) -> int:
        return len(self._asked().view().moment)

    def __bool__(self) -> bool:
        return True  # an empty registry is a registry

    def __contains__(self, item: object) -> bool:
        """Whether a schema hash, a fingerprint or an artifact is stored."""
        key = getattr(item, "schema_hash", item)
        return key in self._asked().view().moment

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

    def verify(self) -> list[Problem]:
        """Check every artifact of one moment: names, digests, schema, probabilities."""
        return list(self._store.verify())

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

    def _resolve_ever(self, ref: str) -> str:
        from zsm_store.registry.versions import resolve_replaced  # noqa: PLC0415

        try:
            return self.resolve(ref)
        except ArtifactNotFoundError:
            return resolve_replaced(self._store, ref)

    def _note_saved(self, artifact: ModelArtifact, saved: Saved) -> None:
        self._catalog.note_saved(artifact.fingerprint, artifact.tag, saved.version)
        logger.info(
            "saved %s as %s",
            artifact.schema_hash,
            saved.digest,
            extra={"schema_hash": artifact.schema_hash, "digest": saved.digest},
        )

    def _asked(self) -> Catalog:
        """Return the catalog to ask, and note that somebody does."""
        if self._warmth is not None:
            self._warmth.note_question()
        return self._catalog

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._store.after_fork()
        self._catalog.after_fork()
        if self._warmth is not None:
            self._warmth.after_fork()


def _log_mode(mode: StartupMode) -> None:
    if not logger.isEnabledFor(logging.INFO):  # the reason takes longer than a lookup
        return
    logger.info(
        "%s for %s: %s",
        mode.name,
        mode.wanted.schema_hash,
        mode.reason,
        extra={
            "mode": mode.name,
            "schema_hash": mode.wanted.schema_hash,
            "distance": mode.distance,
            "reason": mode.reason,
        },
    )


def _check_hash(schema_hash: object) -> None:
    if not is_schema_hash(schema_hash):
        message = f"a schema hash has 64 lower-case hex digits, not {schema_hash!r}"
        raise InvalidArtifactError(message)


def _check_digest(digest: str | None) -> None:
    if digest is not None and not _DIGEST.match(digest):
        message = f"a digest is 'sha256:' and 64 hex digits, not {digest!r}"
        raise InvalidArtifactError(message)
