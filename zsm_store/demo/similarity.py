"""One string similarity for every field: edit distance, scaled to 0 .. 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def edit_distance(left: Sequence[str], right: Sequence[str]) -> NDArray[np.int64]:
    """Optimal string alignment distance of each pair of texts.

    Parameters
    ----------
    left, right
        Of equal length; `left[k]` is compared with `right[k]`.

    Returns
    -------
    ndarray
        (pair,): insertions, deletions, substitutions and transpositions of
        neighbors, counted in characters (code points), that turn one text into the
        other, where no part of the text is edited twice ("CA" to "ABC" is 3, while
        the unrestricted Damerau-Levenshtein distance is 2).

    Notes
    -----
    Damerau (1964), "A technique for computer detection and correction of spelling
    errors"; recurrence as in Boytsov (2011), "Indexing methods for approximate
    dictionary searching", section 2. All pairs advance together, one character of
    `left` at a time, so the loop runs once per character of the longest text.
    """
    a, a_lengths = _characters(left)
    b, b_lengths = _characters(right)
    pairs, columns = b.shape
    steps = np.arange(columns + 1)
    row = np.tile(steps, (pairs, 1))
    before = row
    result = b_lengths.copy()  # of the empty left texts; the others are set below
    for i in range(a.shape[1]):
        differs = b != a[:, i : i + 1]
        new = np.empty_like(row)
        new[:, 0] = i + 1
        new[:, 1:] = np.minimum(row[:, 1:] + 1, row[:, :-1] + differs)
        if i > 0:
            crossed = (b[:, 1:] == a[:, i - 1 : i]) & (b[:, :-1] == a[:, i : i + 1])
            transposed = np.where(crossed, before[:, :-2] + 1, columns + i)
            new[:, 2:] = np.minimum(new[:, 2:], transposed)
        # Insertions run along the row: new[j] = min over k <= j of new[k] + (j - k).
        new = np.minimum.accumulate(new - steps, axis=1) + steps
        before, row = row, new
        ended = np.flatnonzero(a_lengths == i + 1)
        result[ended] = row[ended, b_lengths[ended]]
    return result


def similarity(left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
    """1 minus the edit distance per character of the longer text.

    Returns
    -------
    ndarray
        (pair,): 0 (nothing in common) to 1 (equal texts, and only those), symmetric.
    """
    longest = np.array(
        [max(len(a), len(b), 1) for a, b in zip(left, right, strict=True)],
        dtype=np.int64,
    )
    return (longest - edit_distance(left, right)) / longest


def _characters(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """(text, character) code points padded with 0, and (text,) lengths."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    width = max(1, int(lengths.max(initial=0)))
    padded = np.array(texts, dtype=f"<U{width}")
    return padded.view(np.uint32).reshape(len(texts), width), lengths
