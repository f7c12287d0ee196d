"""Candidate pairs: which pairs of records are worth comparing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zsm_store.demo.table import DemoTable

BlockingKey = tuple[tuple[str, int | None], ...]
"""Parts of a key: a field, and how many first characters of it (None: all)."""

PEOPLE_BLOCKING: tuple[BlockingKey, ...] = (
    (("surname", 4), ("given_name", 2)),
    (("birth_date", None),),
    (("postcode", None), ("given_name", 2)),
    (("surname", 3), ("birth_date", 7)),
)
SIM_BLOCKING: tuple[BlockingKey, ...] = (
    (("msisdn", 7),),
    (("imsi", 9),),
    (("activation_date", None), ("carrier", None)),
)


def candidate_pairs(table: DemoTable, keys: Sequence[BlockingKey]) -> NDArray[np.int64]:
    """Pairs of records that agree exactly on at least one key.

    A record with a missing part has no such key. A block of n records gives
    n (n - 1) / 2 pairs: keys are chosen so that blocks stay small.

    Returns
    -------
    ndarray
        (pair, 2): record numbers, the smaller first; every pair once, sorted.
    """
    size = len(table)
    found = [np.empty(0, dtype=np.int64)]
    for key in keys:
        rows, blocks = _blocks(table, key)
        order = np.argsort(blocks, kind="stable")
        rows, blocks = rows[order], blocks[order]
        # Neighbors at distance 1, 2, ... in the sorted blocks, until no block is
        # long enough: all pairs of each block, without a loop over blocks.
        for step in range(1, len(rows)):
            same = blocks[step:] == blocks[:-step]
            if not same.any():
                break
            found.append(rows[:-step][same] * size + rows[step:][same])
    numbers = np.unique(np.concatenate(found))
    return np.stack(np.divmod(numbers, max(size, 1)), axis=1)


def _blocks(
    table: DemoTable, key: BlockingKey
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row,) the records that have the key, ascending, and (row,) their blocks."""
    parts = [[value and value[:n] for value in table.columns[f]] for f, n in key]
    numbers: dict[tuple[str | None, ...], int] = {}
    rows, blocks = [], []
    for row, value in enumerate(zip(*parts, strict=True)):
        if None not in value:
            rows.append(row)
            blocks.append(numbers.setdefault(value, len(numbers)))
    return np.array(rows, dtype=np.int64), np.array(blocks, dtype=np.int64)
