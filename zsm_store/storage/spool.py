"""Bytes set aside for a while: a few in memory, more in a file without a name."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_IN_MEMORY_BYTES = 1 << 20


class Place(NamedTuple):
    """Where something lies in a spool."""

    offset: int
    length: int


class Spool:
    """Append bytes, and read them again in any order; gone when it is left.

    Parameters
    ----------
    directory
        Where there has to be room for it.

    Raises
    ------
    StorageError
        There is none, at any call.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: tempfile.SpooledTemporaryFile[bytes] = (
            tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(directory))  # noqa: SIM115  # this is one
        )
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._refused("write"):  # what was still to be written
            self._file.close()

    def append(self, data: bytes) -> Place:
        """Set bytes aside."""
        place = Place(self._end, len(data))
        with self._refused("write"):
            self._file.seek(place.offset)
            self._file.write(data)
        self._end += len(data)
        return place

    def read(self, place: Place) -> bytes:
        """Return what was set aside."""
        with self._refused("read"):
            self._file.seek(place.offset)
            return self._file.read(place.length)

    @contextmanager
    def _refused(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"a temporary file in {self._directory}"
            raise StorageError.of(action, what, error) from error
