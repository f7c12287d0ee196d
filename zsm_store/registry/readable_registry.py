"""What can be asked of a registry, whoever else changes it meanwhile."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Self

from zsm_store.errors import ArtifactNotFoundError, FormatError, StorageError
from zsm_store.registry.catalog import Catalog
from zsm_store.registry.forks import follow_forks
from zsm_store.registry.refs import resolve_ref
from zsm_store.registry.store import EXHAUSTED
from zsm_store.registry.warmth import Warmth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.startup import NearestArtifact, StartupMode
    from zsm_store.registry.problem import Problem
    from zsm_store.registry.store import ArtifactStore
    from zsm_store.registry.version import Version

logger = logging.getLogger(__name__)


class ReadableRegistry:
    """A store, its index, and whatever keeps the two in step.

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
        return f"{type(self).__name__}({self.location!r})"

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

    def verify(self) -> list[Problem]:
        """Check every artifact of one moment: names, digests, schema, probabilities."""
        return list(self._store.verify())

    def _resolve_ever(self, ref: str) -> str:
        from zsm_store.registry.versions import resolve_replaced  # noqa: PLC0415

        try:
            return self.resolve(ref)
        except ArtifactNotFoundError:
            return resolve_replaced(self._store, ref)

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
