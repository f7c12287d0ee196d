"""The part of the index that grows: what was put since the base was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zsm_store.index.row import Row

NO_ROW = -1


class Delta:
    """Rows in the order of arrival, numbered after those of the base.

    Only ever appended to, by one writer at a time. A reader knows how many rows it may
    see and passes over the rest, so it needs no lock.
    """

    __slots__ = ("first", "latest", "postings", "previous", "rows")

    def __init__(self, first: int) -> None:
        self.first = first
        """Number of the first row."""
        self.rows: list[Row] = []
        self.previous: list[int] = []
        """Number of the last row with the same digest, dead or not, or `NO_ROW`."""
        self.latest: dict[bytes, int] = {}
        """Number of the last row with a digest, dead or not."""
        self.postings: dict[int, list[int]] = {}
        """Rows that hold a key, rising."""

    def append(self, row: Row, previous: int) -> None:
        """Add a row in place of `previous`. Writers only, one at a time."""
        number = self.first + len(self.rows)
        # The row before what leads to it.
        self.rows.append(row)
        self.previous.append(previous)
        postings = self.postings
        for key in row.keys:
            if key in postings:
                postings[key].append(number)
            else:
                postings[key] = [number]
        self.latest[row.digest] = number

    def rows_with(self, key: int, visible: int) -> list[int]:
        """Return the rows below number `visible` that hold a key."""
        # A copy in one step: the writer may append meanwhile.
        rows = list(self.postings.get(key, ()))
        while rows and rows[-1] >= visible:
            rows.pop()
        return rows
