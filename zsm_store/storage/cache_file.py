"""A file of named columns that can be thrown away: found whole, or not at all.

    magic         8 bytes
    checksum      u32, CRC-32 of all that follows
    head length   u32
    head          JSON: whatever the caller says, and name, format, offset and length
                  of each column
    columns       each at a multiple of 64 bytes

All numbers are in the byte order of this machine. The file is mapped into memory where
that is safe, so that processes share it.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from zsm_store.storage.atomic import publish, staged
from zsm_store.storage.file_system import is_local
from zsm_store.storage.regular_file import open_regular, read_open

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Columns = Mapping[str, memoryview[Any]]

_MAGIC = b"ZSMIDX1" + (b"<" if sys.byteorder == "little" else b">")
_PREFIX = struct.Struct("=8sII")
_ALIGNMENT = 64


def write_cache_file(path: Path, head: Mapping[str, Any], columns: Columns) -> None:
    """Write a file, in place of the one that is there. Its directory must exist.

    Not synced: what a power cut leaves of it is found out by its checksum.

    Raises
    ------
    StorageError
        The file system refuses it.
    FileNotFoundError
        Somebody removed the directory meanwhile.
    """
    chunks = list(_chunks(head, columns))
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
    head_length = len(chunks[0])
    prefix = _PREFIX.pack(_MAGIC, checksum, head_length)
    with staged((prefix, *chunks), path.name, path.parent, sync=False) as staging:
        publish(staging, path)


def read_cache_file(path: Path) -> tuple[dict[str, Any], Columns] | None:
    """Return the head and the columns of a file; None if there is none to be trusted.

    That is a whole one that this user has written on a machine like this one.
    """
    try:
        content = _content(path)
        magic, checksum, head_length = _PREFIX.unpack_from(content)
        rest = content[_PREFIX.size :]
        if magic != _MAGIC or zlib.crc32(rest) != checksum:
            return None
        head = orjson.loads(rest[:head_length])
        columns = {
            name: content[start : start + length].cast(form)
            for name, form, start, length in head.pop("columns")
        }
    except (OSError, struct.error, ValueError, TypeError, KeyError):
        return None
    return head, columns


def _chunks(
    head: Mapping[str, Any], columns: Columns
) -> Iterator[bytes | memoryview[Any]]:
    """Yield the head, then padding and column by turns."""
    listed: list[tuple[str, str, int, int]] = []
    # The offsets depend on the length of the head, and that on the digits of the
    # offsets: so the columns begin behind room for the longest ones.
    names = sum(len(name) + _ALIGNMENT for name in columns)
    start = _aligned(_PREFIX.size + len(orjson.dumps(dict(head))) + names)
    for name, column in columns.items():
        listed.append((name, column.format, start, column.nbytes))
        start = _aligned(start + column.nbytes)
    encoded = orjson.dumps({**head, "columns": listed})
    yield encoded
    end = _PREFIX.size + len(encoded)
    for (_, _, start, length), column in zip(listed, columns.values(), strict=True):
        yield bytes(start - end)
        if length:  # an empty view cannot be cast
            yield column.cast("B")
        end = start + length


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _content(path: Path) -> memoryview[Any]:
    fd, status = open_regular(path)
    try:
        if status.st_uid != os.geteuid():
            # In a directory that others can write to, too, anybody can put a file.
            message = "not written by this user"
            raise PermissionError(message)
        if status.st_size and is_local(path):
            return memoryview(mmap.mmap(fd, status.st_size, access=mmap.ACCESS_READ))
        # Elsewhere another host may take the file away, and whoever then looks at a
        # page of the map that is not in memory is killed.
        return memoryview(read_open(fd, status.st_size, status.st_size))
    finally:
        os.close(fd)
