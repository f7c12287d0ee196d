"""Many artifacts <-> one `.zsm`: the peer's body, then a trailer it ignores."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from zsm_store.codec import artifact_json
from zsm_store.codec.bincode import BincodeReader, TruncatedError
from zsm_store.codec.bundle_body import (
    HEADER_BYTES,
    MAGIC,
    encode_packed,
    join_bundle,
)
from zsm_store.codec.bundle_entry import MIN_ENTRY_BYTES, decode_entry, with_extension
from zsm_store.codec.bundle_trailer import (
    FOOTER_BYTES,
    Trailer,
    TrailerRecord,
    decode_trailer,
    footer_sizes,
    parse_extension,
)
from zsm_store.errors import BundleFormatError, InvalidArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.model.artifact import ModelArtifact

_WINDOW_BYTES = 1 << 20


class ByteSource(Protocol):
    """Bytes that can be read anywhere: a file, or `MemorySource`."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only at the end."""


class MemorySource:
    """A `ByteSource` over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`."""
        return self._data[offset : offset + length]


def encode_bundle(artifacts: Iterable[ModelArtifact], count: int) -> Iterator[bytes]:
    """Encode a bundle, an artifact at a time.

    Parameters
    ----------
    artifacts
        Sorted by schema hash.
    count
        How many they are; it stands in the header.

    Raises
    ------
    InvalidArtifactError
        Other artifacts than announced, an order that is not strictly ascending, or an
        artifact that breaks a rule of the model.
    """
    return join_bundle(map(encode_packed, artifacts), count)


class Bundle:
    """Reads a bundle: all of it as a stream, or one artifact through the trailer.

    Parameters
    ----------
    source
        The bytes. Only header and trailer are read at first.

    Raises
    ------
    BundleFormatError
        Not a bundle, or its trailer is damaged.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._offsets: dict[str, int] | None = None
        self.count = _read_header(source)
        """Number of artifacts."""
        self._trailer = _read_trailer(source)
        if self._trailer is not None and len(self._trailer) != self.count:
            raise BundleFormatError(
                len(MAGIC),
                f"{len(self._trailer)} entries, as in the trailer",
                str(self.count),
            )

    @property
    def has_trailer(self) -> bool:
        """Whether this package wrote the bundle; the peer writes none."""
        return self._trailer is not None

    def __iter__(self) -> Iterator[ModelArtifact]:
        """Decode every artifact in the order of the file, and check everything.

        Raises
        ------
        BundleFormatError
            At the first byte that cannot be trusted.
        """
        for _, artifact in self._entries():
            yield artifact

    def keys(self) -> tuple[str, ...]:
        """Return the schema hashes, sorted.

        Raises
        ------
        BundleFormatError
            The trailer, or without one the body, cannot be trusted.
        """
        if self._trailer is not None:
            # Out of order, a key that is listed here would not be found by `read`.
            self._trailer.check_contiguous(HEADER_BYTES)
            return tuple(record.schema_hash for record in self._trailer)
        return tuple(sorted(self._scan()))

    def digest(self, schema_hash: str) -> str | None:
        """Return the digest that the trailer states; None without a trailer.

        Raises
        ------
        KeyError
            No such artifact.
        """
        if self._trailer is None:
            return None
        record = self._trailer.find(schema_hash)
        if record is None:
            raise KeyError(schema_hash)
        return record.digest

    def read(self, schema_hash: str) -> ModelArtifact:
        """Decode one artifact.

        Through the trailer no other artifact is touched, and the digest is checked. In
        a bundle of the peer's the first call walks the whole file once.

        Raises
        ------
        KeyError
            No such artifact.
        BundleFormatError
            The entry is damaged.
        """
        if self._trailer is None:
            offset = self._scan()[schema_hash]
            return _decode_window(self._source, offset, self._source.size)[0]
        record = self._trailer.find(schema_hash)
        if record is None:
            raise KeyError(schema_hash)
        return self._read_record(record, self._trailer.body_length)

    def offset(self, schema_hash: str) -> int:
        """Return the byte at which the entry of an artifact begins.

        Raises
        ------
        KeyError
            No such artifact.
        """
        if self._trailer is None:
            return self._scan()[schema_hash]
        record = self._trailer.find(schema_hash)
        if record is None:
            raise KeyError(schema_hash)
        return record.offset

    def _read_record(self, record: TrailerRecord, body_length: int) -> ModelArtifact:
        end = record.offset + record.length
        if not HEADER_BYTES <= record.offset <= end <= body_length:
            raise BundleFormatError(
                record.offset, "an entry within the body", f"its end at {end}"
            )
        data = self._source.read(record.offset, record.length)
        reader = BincodeReader(data, record.offset)
        artifact = decode_entry(reader)
        if reader.position != record.length:
            raise BundleFormatError(
                reader.offset, f"an entry that ends at byte {end}", "an earlier end"
            )
        return _complete(artifact, record)

    def _entries(self) -> Iterator[tuple[int, ModelArtifact]]:
        trailer = self._trailer
        end = self._source.size if trailer is None else trailer.body_length
        if trailer is not None:
            trailer.check_contiguous(HEADER_BYTES)
        body_hash = hashlib.sha256(self._source.read(0, HEADER_BYTES))
        seen: set[str] = set()
        offset = HEADER_BYTES
        for number in range(self.count):
            artifact, raw = _decode_window(self._source, offset, end)
            if artifact.schema_hash in seen:
                raise BundleFormatError(
                    offset, "a key that stands once", f"{artifact.schema_hash} again"
                )
            seen.add(artifact.schema_hash)
            body_hash.update(raw)
            if trailer is not None:
                artifact = _complete(artifact, trailer[number])
            yield offset, artifact
            offset += len(raw)
        if offset != end:
            raise BundleFormatError(
                offset, "the end of the bundle or a trailer", f"{end - offset} bytes"
            )
        if trailer is not None and body_hash.digest() != trailer.body_sha256:
            raise BundleFormatError(
                HEADER_BYTES,
                f"a body with SHA-256 {trailer.body_sha256.hex()}",
                body_hash.hexdigest(),
            )

    def _scan(self) -> dict[str, int]:
        if self._offsets is None:
            self._offsets = {
                artifact.schema_hash: offset for offset, artifact in self._entries()
            }
        return self._offsets


def _read_header(source: ByteSource) -> int:
    header = source.read(0, HEADER_BYTES)
    if header[: len(MAGIC)] != MAGIC:
        found = header[: len(MAGIC)].hex() or "an empty file"
        raise BundleFormatError(0, f"magic {MAGIC.hex()}", found)
    reader = BincodeReader(header[len(MAGIC) :], len(MAGIC))
    count = reader.u64("number of entries")
    if count * MIN_ENTRY_BYTES > source.size - HEADER_BYTES:
        left = f"{source.size - HEADER_BYTES} bytes left"
        raise TruncatedError(len(MAGIC), f"{count} entries", left)
    return count


def _read_trailer(source: ByteSource) -> Trailer | None:
    if source.size < HEADER_BYTES + FOOTER_BYTES:
        return None
    footer = source.read(source.size - FOOTER_BYTES, FOOTER_BYTES)
    sizes = footer_sizes(footer, source.size)
    if sizes is None:
        return None
    return decode_trailer(source.read(sizes[0], source.size - sizes[0]), sizes)


def _decode_window(
    source: ByteSource, offset: int, end: int
) -> tuple[ModelArtifact, bytes]:
    """Decode the entry at `offset` without knowing its length.

    The window doubles until the entry fits or the file ends, so memory and time are
    bounded by twice the entry, or by the file.
    """
    size = _WINDOW_BYTES
    while True:
        window = source.read(offset, min(size, end - offset))
        reader = BincodeReader(window, offset)
        try:
            artifact = decode_entry(reader)
        except TruncatedError:
            if offset + len(window) >= end:
                raise
            size *= 2
        else:
            return artifact, window[: reader.position]


def _complete(artifact: ModelArtifact, record: TrailerRecord) -> ModelArtifact:
    """Add the extension and check the whole against the record."""
    if artifact.schema_hash != record.schema_hash:
        raise BundleFormatError(
            record.offset, f"key {record.schema_hash}", artifact.schema_hash
        )
    extension = parse_extension(record)
    try:
        whole = with_extension(artifact, extension)
        actual = artifact_json.digest(whole)
    except InvalidArtifactError as error:
        raise BundleFormatError(
            record.offset, "an artifact with its digest", str(error)
        ) from None
    if actual != record.digest:
        raise BundleFormatError(
            record.offset, f"an artifact with digest {record.digest}", actual
        )
    return whole
