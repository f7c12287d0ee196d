"""Exact nearest search by brute force in numpy, the peer that every claim is against.

Forward rows one after the other (CSR): one gather and one segmented sum give all
overlaps. Statistics are lazy: they are only computed for rows whose structure alone
leaves them a chance. Same float32 arithmetic as the definition, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zsm_store.model.distance import Neighbor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint

_ONE = np.float32(1)
_STRUCTURE = np.float32(0.7)
_STATISTICS = np.float32(0.3)
_FIRST_CHUNK = 32


class BruteForce:
    """All fingerprints as numpy columns; none may be empty or have a name twice."""

    name = "numpy brute force"

    def __init__(self, fingerprints: Iterable[SchemaFingerprint]) -> None:
        # By hash: then the first of equal rows is the one of the smallest hash.
        rows = sorted(fingerprints, key=lambda one: one.schema_hash)
        stats = [one for row in rows for one in row.field_stats]
        self._hashes = [row.schema_hash for row in rows]
        self._row_of = {key: row for row, key in enumerate(self._hashes)}
        self._name_ids: dict[str, int] = {}
        self._token_ids: dict[tuple[str, str], int] = {}
        self._tokens, self._names = self._number(stats)
        self._null_rate = np.array([one.null_rate for one in stats], np.float32)
        self._cardinality = np.array([one.cardinality for one in stats], np.float32)
        self._sizes = np.array([len(row.field_stats) for row in rows], np.int32)
        self._starts = np.cumsum(self._sizes, dtype=np.intp) - self._sizes
        self._sampled = np.array([row.record_count > 0 for row in rows], np.bool_)
        self._asked_tokens = np.zeros(len(self._token_ids), np.uint8)
        self._asked_names = np.zeros(len(self._name_ids), np.uint8)
        self._position = np.full(len(self._name_ids), -1, np.int32)

    def nearest(
        self,
        fingerprint: SchemaFingerprint,
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[Neighbor]:
        """Return the nearest, if it is within `max_distance`; only for k = 1."""
        assert k == 1
        same = fingerprint.schema_hash
        if same in self._row_of:
            return [Neighbor(distance=0.0, schema_hash=same)]
        limit = np.float32(np.inf if max_distance is None else max_distance)
        structure = self._structure(fingerprint)
        if fingerprint.record_count:
            row, distance = self._best_with_statistics(fingerprint, structure, limit)
        else:
            row = int(structure.argmin())
            distance = structure[row]
        if distance > limit:
            return []
        return [Neighbor(distance=float(distance), schema_hash=self._hashes[row])]

    def _number(
        self, stats: list[FieldStats]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Number names and tokens, which are pairs of name and kind."""
        tokens = np.empty(len(stats), np.intp)
        names = np.empty(len(stats), np.intp)
        token_ids, name_ids = self._token_ids, self._name_ids
        for position, one in enumerate(stats):
            key = one.name, one.kind
            tokens[position] = token_ids.setdefault(key, len(token_ids))
            names[position] = name_ids.setdefault(one.name, len(name_ids))
        return tokens, names

    def _count(
        self, asked: NDArray[np.uint8], known: list[int], per_field: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        """Count the fields of each row that are among the known ones."""
        asked[known] = 1
        flags = asked.take(per_field)
        asked[known] = 0
        return np.add.reduceat(flags, self._starts, dtype=np.int32)

    def _structure(self, query: SchemaFingerprint) -> NDArray[np.float32]:
        """Return what the names and kinds of each row cost, 0 to 0.7."""
        keys = {(one.name, one.kind) for one in query.field_stats}
        known = [self._token_ids[key] for key in keys if key in self._token_ids]
        overlap = self._count(self._asked_tokens, known, self._tokens)
        union = (self._sizes + (len(keys) - overlap)).astype(np.float32)
        return (_ONE - overlap.astype(np.float32) / union) * _STRUCTURE

    def _best_with_statistics(
        self,
        query: SchemaFingerprint,
        structure: NDArray[np.float32],
        limit: np.float32,
    ) -> tuple[int, np.float32]:
        # Rows without a sample are final at once and bound the rest.
        final = np.where(self._sampled, np.float32(np.inf), structure)
        row = int(final.argmin())
        best = final[row]
        open_rows = np.flatnonzero(self._sampled & (structure <= min(best, limit)))
        if best >= _STRUCTURE:
            far, open_rows = self._without_common_name(query, structure, open_rows)
            if far is not None:
                row, best = min(
                    (row, best),
                    (far, structure[far] + _STATISTICS),
                    key=lambda one: (one[1], one[0]),
                )
        ordered = open_rows[structure[open_rows].argsort(kind="stable")]
        begin, size = 0, _FIRST_CHUNK
        while begin < len(ordered) and structure[ordered[begin]] <= min(best, limit):
            # Ascending, so that argmin finds the smallest hash.
            chunk = np.sort(ordered[begin : begin + size])
            distances = structure[chunk] + self._statistics(query, chunk)
            first = int(distances.argmin())
            if (distances[first], chunk[first]) < (best, row):
                row, best = int(chunk[first]), distances[first]
            begin += size
            size *= 4
        return row, best

    def _without_common_name(
        self,
        query: SchemaFingerprint,
        structure: NDArray[np.float32],
        rows: NDArray[np.intp],
    ) -> tuple[int | None, NDArray[np.intp]]:
        """Set aside the rows that share no name: they all are at the same distance.

        Returns
        -------
        the first of them, if any, and the other rows
        """
        ids = self._name_ids
        known = [ids[one.name] for one in query.field_stats if one.name in ids]
        common = self._count(self._asked_names, known, self._names)[rows] > 0
        apart = rows[~common & (structure[rows] >= _STRUCTURE)]
        return (int(apart[0]) if len(apart) else None), rows[common]

    def _statistics(
        self, query: SchemaFingerprint, rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return what the statistics of rows with a sample cost, 0 to 0.3."""
        asked = sorted(query.field_stats, key=lambda one: one.name)
        null_rate = np.array([one.null_rate for one in asked], np.float32)
        cardinality = np.array([one.cardinality for one in asked], np.float32)
        known = [
            (self._name_ids[one.name], number)
            for number, one in enumerate(asked)
            if one.name in self._name_ids
        ]
        ids = [name for name, _ in known]
        self._position[ids] = [number for _, number in known]
        sizes = self._sizes[rows]
        owner = np.repeat(np.arange(len(rows)), sizes)
        shift = self._starts[rows] - (np.cumsum(sizes) - sizes)
        cell = np.arange(len(owner)) + shift[owner]
        column = self._position[self._names[cell]]
        self._position[ids] = -1
        common = column >= 0
        owner, cell, column = owner[common], cell[common], column[common]

        drift = np.abs(self._null_rate[cell] - null_rate[column])
        alike = np.where(drift < 1, _ONE - drift, np.float32(0))
        ours, theirs = self._cardinality[cell], cardinality[column]
        larger = np.maximum(ours, theirs)
        ratio = np.abs(ours - theirs) / np.maximum(larger, _ONE)
        alike += _ONE - ratio
        alike /= np.float32(2)

        by_name = np.zeros((len(asked), len(rows)), np.float32)
        by_name[column, owner] = alike
        total = np.zeros(len(rows), np.float32)
        for one_name in by_name:  # in the order of the names, as the definition adds
            total += one_name
        counts = np.bincount(owner, minlength=len(rows)).astype(np.float32)
        return (_ONE - total / np.maximum(counts, _ONE)) * _STATISTICS
