"""Libraries for similar sets, as peers. Each is skipped if it is not installed.

Both only know the Jaccard similarity, so they only propose candidates within the bound.
Their time is that of the proposal alone: deciding among the candidates comes on top.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zsm_store.model.fingerprint import SchemaFingerprint

THRESHOLD = 0.64
"""Just below 1 - 0.25 / 0.7, the similarity at which structure alone costs 0.25."""
BOUND = WARM_START_THRESHOLD
_PERMUTATIONS = 128


class SetPeer(Protocol):
    """Proposes stored fingerprints that may be within the bound."""

    name: str
    exact: bool

    def candidates(self, fingerprint: SchemaFingerprint) -> list[str]:
        """Return their schema hashes."""


class MinHashLsh:
    """datasketch: locality-sensitive hashing. Approximate."""

    name = "datasketch MinHashLSH"
    exact = False

    def __init__(self, stored: Sequence[SchemaFingerprint]) -> None:
        datasketch = importlib.import_module("datasketch")
        self._new = datasketch.MinHash
        self._lsh = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=_PERMUTATIONS)
        with self._lsh.insertion_session() as session:
            for one in stored:
                session.insert(one.schema_hash, self._min_hash(one))

    def candidates(self, fingerprint: SchemaFingerprint) -> list[str]:
        """Hash the query and look into the bands."""
        return self._lsh.query(self._min_hash(fingerprint))

    def _min_hash(self, fingerprint: SchemaFingerprint) -> object:
        made = self._new(num_perm=_PERMUTATIONS)
        made.update_batch([token.encode() for token in _tokens(fingerprint)])
        return made


class SetSearch:
    """SetSimilaritySearch: a prefix index. Candidates are complete; cannot change."""

    name = "SetSimilaritySearch"
    exact = True

    def __init__(self, stored: Sequence[SchemaFingerprint]) -> None:
        library = importlib.import_module("SetSimilaritySearch")
        self._hashes = [one.schema_hash for one in stored]
        self._index = library.SearchIndex(
            [_tokens(one) for one in stored],
            similarity_func_name="jaccard",
            similarity_threshold=THRESHOLD,
        )

    def candidates(self, fingerprint: SchemaFingerprint) -> list[str]:
        """Look up all sets that are similar enough."""
        found = self._index.query(_tokens(fingerprint))
        return [self._hashes[position] for position, _ in found]


SET_PEERS = (MinHashLsh, SetSearch)


def _tokens(fingerprint: SchemaFingerprint) -> list[str]:
    return [f"{one.name}:{one.kind.value}" for one in fingerprint.field_stats]
