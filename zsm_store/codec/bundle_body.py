"""A bundle of artifacts that were encoded one by one, in whatever order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.codec import artifact_json, bincode
from zsm_store.codec.bundle_entry import encode_entry
from zsm_store.codec.bundle_trailer import TrailerRecord, encode_trailer
from zsm_store.errors import InvalidArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.model.artifact import ModelArtifact

MAGIC = b"ZSM\x01"
HEADER_BYTES = 12


class PackedArtifact(NamedTuple):
    """All that a bundle has of one artifact, wherever in it that will lie."""

    schema_hash: str
    digest: str
    entry: bytes
    extension: bytes


def encode_packed(artifact: ModelArtifact) -> PackedArtifact:
    """Encode one artifact; raises InvalidArtifactError if it breaks a rule."""
    pieces = artifact_json.encode_extension(artifact)
    extension = b",".join(b'"%s":%s' % (k.encode(), v) for k, v in pieces.items())
    return PackedArtifact(
        schema_hash=artifact.schema_hash,
        digest=artifact_json.digest(artifact),
        entry=encode_entry(artifact),
        extension=b"{" + extension + b"}" if pieces else b"",
    )


def join_bundle(packed: Iterable[PackedArtifact], count: int) -> Iterator[bytes]:
    """Join a bundle, an artifact at a time.

    Parameters
    ----------
    packed
        Sorted by schema hash.
    count
        How many they are; it stands in the header.

    Raises
    ------
    InvalidArtifactError
        Other artifacts than announced, or an order that is not strictly ascending.
    """
    body_hash = hashlib.sha256()
    header = MAGIC + bincode.u64(count)
    body_hash.update(header)
    yield header
    offset = HEADER_BYTES
    records: list[TrailerRecord] = []
    for one in packed:
        if records and one.schema_hash <= records[-1].schema_hash:
            message = f"artifact {one.schema_hash} is out of order in the bundle"
            raise InvalidArtifactError(message)
        records.append(
            TrailerRecord(
                schema_hash=one.schema_hash,
                digest=one.digest,
                offset=offset,
                length=len(one.entry),
                extension=one.extension,
            )
        )
        offset += len(one.entry)
        body_hash.update(one.entry)
        yield one.entry
    if len(records) != count:
        message = f"announced {count} artifacts for the bundle, got {len(records)}"
        raise InvalidArtifactError(message)
    yield from encode_trailer(records, offset, body_hash.digest())
