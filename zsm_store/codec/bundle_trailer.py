"""What a bundle says behind the peer's body: offsets, digests, and what an entry lacks.

    trailer   := directory extensions footer
    directory := one record per entry, in the order of the entries (sorted by key)
    record    := key[32] digest[32] u64 offset, u64 length, u64 extension, u64 length
    footer    := u64 body length, u64 entries, u64 bytes of extensions,
                 SHA-256 of the body, SHA-256 of the trailer up to here, magic[8]

The peer ignores bytes behind its map, so it reads such a bundle like its own.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.codec.document import decode_extension
from zsm_store.codec.strict_json import parse_object
from zsm_store.errors import (
    ArtifactFormatError,
    BundleFormatError,
    InvalidArtifactError,
)
from zsm_store.model.fingerprint import is_schema_hash

MAGIC = b"ZSMTRLR\x01"

_RECORD = struct.Struct("<32s32sQQQQ")
_LENGTHS = struct.Struct("<QQQ")
_HASH_BYTES = 32
FOOTER_BYTES = _LENGTHS.size + 2 * _HASH_BYTES + len(MAGIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailerRecord:
    """Where one entry lies, and what it lacks."""

    schema_hash: str
    digest: str
    """As in the artifact's JSON file, ``sha256:`` and 64 hex digits."""
    offset: int
    """Of the entry (its key) in the bundle."""
    length: int
    """Bytes of the entry."""
    extension: bytes = b""
    """JSON object of `mappings`, `context` and `extra`, or nothing."""


class Trailer(Sequence[TrailerRecord]):
    """The records of a bundle, decoded one at a time, found by binary search."""

    def __init__(
        self, directory: bytes, extensions: bytes, body_length: int, body_sha256: bytes
    ) -> None:
        self._directory = directory
        self._extensions = extensions
        self.body_length = body_length
        self.body_sha256 = body_sha256

    def __len__(self) -> int:
        return len(self._directory) // _RECORD.size

    @overload
    def __getitem__(self, index: int) -> TrailerRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrailerRecord]: ...
    def __getitem__(self, index: int | slice) -> TrailerRecord | list[TrailerRecord]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        key, digest, offset, length, start, size = _RECORD.unpack_from(
            self._directory, index * _RECORD.size
        )
        return TrailerRecord(
            schema_hash=key.hex(),
            digest=DIGEST_PREFIX + digest.hex(),
            offset=offset,
            length=length,
            extension=self._extensions[start : start + size],
        )

    def _extension_place(self, index: int) -> tuple[int, int]:
        *_, start, size = _RECORD.unpack_from(self._directory, index * _RECORD.size)
        return start, size

    def find(self, schema_hash: str) -> TrailerRecord | None:
        """Return the record of a hash."""
        if not is_schema_hash(schema_hash):
            return None
        keys = _Keys(self._directory)
        at = bisect_left(keys, bytes.fromhex(schema_hash))
        if at == len(self) or keys[at].hex() != schema_hash:
            return None
        return self[at]

    def check_contiguous(self, first: int) -> None:
        """Check that the records name the entries in order and without gaps.

        Raises
        ------
        BundleFormatError
            They do not.
        """
        expected, last_key, extension = first, "", 0
        for number, record in enumerate(self):
            at = self.body_length + number * _RECORD.size
            if record.offset != expected:
                raise BundleFormatError(
                    at, f"a trailer record for offset {expected}", str(record.offset)
                )
            if record.schema_hash <= last_key:
                raise BundleFormatError(at, "trailer records sorted by key", "others")
            # Shared ones would be parsed once for each record: a small file, much work.
            start, size = self._extension_place(number)
            if start != extension:
                raise BundleFormatError(at, f"an extension at {extension}", str(start))
            extension += size
            expected, last_key = record.offset + record.length, record.schema_hash
        if extension != len(self._extensions):
            raise BundleFormatError(
                self.body_length,
                f"{extension} bytes of extensions, as the trailer records say",
                str(len(self._extensions)),
            )
        if expected != self.body_length:
            raise BundleFormatError(
                self.body_length,
                f"a body of {expected} bytes, as the trailer records say",
                f"{self.body_length} bytes",
            )


class _Keys(Sequence[bytes]):
    """Keys of a directory, for bisect."""

    def __init__(self, directory: bytes) -> None:
        self._directory = directory

    def __len__(self) -> int:
        return len(self._directory) // _RECORD.size

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = index * _RECORD.size
        return self._directory[start : start + _HASH_BYTES]


def encode_trailer(
    records: Sequence[TrailerRecord], body_length: int, body_sha256: bytes
) -> Iterator[bytes]:
    """Encode the trailer, piece by piece."""
    state = hashlib.sha256()
    start = 0
    for record in records:
        piece = _RECORD.pack(
            bytes.fromhex(record.schema_hash),
            bytes.fromhex(record.digest.removeprefix(DIGEST_PREFIX)),
            record.offset,
            record.length,
            start,
            len(record.extension),
        )
        start += len(record.extension)
        state.update(piece)
        yield piece
    for record in records:
        if record.extension:
            state.update(record.extension)
            yield record.extension
    lengths = _LENGTHS.pack(body_length, len(records), start) + body_sha256
    state.update(lengths)
    yield lengths + state.digest() + MAGIC


def footer_sizes(footer: bytes, bundle_size: int) -> tuple[int, int, int] | None:
    """Read the footer's lengths.

    Returns
    -------
    tuple or None
        Bytes of the body, of the directory and of the extensions; None where the bytes
        are no footer, because the bundle has no trailer.

    Raises
    ------
    BundleFormatError
        The lengths do not add up to the size of the bundle.
    """
    if len(footer) != FOOTER_BYTES or not footer.endswith(MAGIC):
        return None
    body, entries, extensions = _LENGTHS.unpack_from(footer)
    directory = entries * _RECORD.size
    if body + directory + extensions + FOOTER_BYTES != bundle_size:
        raise BundleFormatError(
            bundle_size - FOOTER_BYTES,
            f"trailer lengths that add up to {bundle_size} bytes",
            f"{body} + {directory} + {extensions} + {FOOTER_BYTES}",
        )
    return body, directory, extensions


def decode_trailer(data: bytes, sizes: tuple[int, int, int]) -> Trailer:
    """Check and decode the trailer.

    Parameters
    ----------
    data
        Everything behind the body.
    sizes
        From `footer_sizes`.

    Raises
    ------
    BundleFormatError
        The trailer is damaged.
    """
    body_length, directory, extensions = sizes
    hash_at = len(data) - len(MAGIC) - _HASH_BYTES
    stated = data[hash_at : hash_at + _HASH_BYTES]
    actual = hashlib.sha256(data[:hash_at]).digest()
    if stated != actual:
        raise BundleFormatError(
            body_length, f"a trailer with SHA-256 {stated.hex()}", actual.hex()
        )
    lengths_at = directory + extensions
    sha_at = lengths_at + _LENGTHS.size
    return Trailer(
        directory=data[:directory],
        extensions=data[directory:lengths_at],
        body_length=body_length,
        body_sha256=data[sha_at : sha_at + _HASH_BYTES],
    )


def parse_extension(record: TrailerRecord) -> dict[str, Any]:
    """Decode the extension of a record into keyword arguments.

    Raises
    ------
    BundleFormatError
        It is no such JSON object.
    """
    if not record.extension:
        return decode_extension({})
    try:
        extension = parse_object(record.extension)
        arguments = decode_extension(extension)
    except (ArtifactFormatError, InvalidArtifactError) as error:
        message = f"{error} in the extension of {record.schema_hash}"
        raise BundleFormatError(record.offset, "a valid extension", message) from None
    unknown = extension.keys() - arguments.keys()
    if unknown:
        found = f"unknown key {min(unknown)!r} in the extension of {record.schema_hash}"
        raise BundleFormatError(record.offset, "a valid extension", found)
    return arguments
