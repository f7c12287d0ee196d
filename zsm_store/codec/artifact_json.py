"""One artifact <-> `<hash>.json`: one field per line, for people and `git diff`."""

from __future__ import annotations

import hashlib
import math
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from zsm_store.codec.document import (
    FORMAT,
    check_format,
    check_keys,
    decode_document,
)
from zsm_store.codec.strict_json import (
    check_size,
    line_of,
    loads,
    may_repeat_keys,
    parse_object,
)
from zsm_store.codec.usual_content import UnusualError, UsualContent
from zsm_store.errors import ArtifactFormatError, InvalidArtifactError
from zsm_store.model.canonical import canonical_json
from zsm_store.model.float32 import shortest_float64s
from zsm_store.model.schema import NullPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint

DIGEST_PREFIX = "sha256:"
_DIGEST_START = DIGEST_PREFIX.encode()
_LARGE = 1e16


class IndexEntry(NamedTuple):
    """What a registry knows of an artifact that it has not been asked for."""

    fingerprint: SchemaFingerprint
    tag: str | None


def encode(artifact: ModelArtifact) -> bytes:
    """Encode an artifact; equal artifacts give equal bytes.

    Raises
    ------
    InvalidArtifactError
        Something that the file cannot hold, such as NaN.
    """
    return encode_with_digest(artifact)[0]


def encode_with_digest(artifact: ModelArtifact) -> tuple[bytes, str]:
    """Encode an artifact and return its digest, too."""
    lines = _body(artifact)
    stated = _digest_of_lines(lines)
    lines.insert(1, f'"digest": "{stated}"')
    return _document(lines).encode(), stated


def digest(artifact: ModelArtifact) -> str:
    """Digest of an artifact's content, ``sha256:`` and 64 hex digits.

    It covers every value but itself, not the bytes: white space and line ends may
    change, a value may not.
    """
    return _digest_of_lines(_body(artifact))


def decode(data: bytes, schema_hash: str | None = None) -> ModelArtifact:
    """Decode and check an artifact.

    Parameters
    ----------
    data
        Content of the file.
    schema_hash
        The hash in the file's name; checked when given.

    Raises
    ------
    ArtifactFormatError
        Anything that is not one whole, unmixed artifact of that name.
    """
    return decode_with_digest(data, schema_hash)[0]


def decode_with_digest(
    data: bytes, schema_hash: str | None = None
) -> tuple[ModelArtifact, str]:
    """Decode and check an artifact like `decode`, and return its digest, too."""
    try:
        content, stated = _usual(data, schema_hash)
    except UnusualError:
        return _decode_unusual(data, schema_hash)
    return content.artifact(), stated


def decode_index_entry(data: bytes, schema_hash: str | None = None) -> IndexEntry:
    """Decode the fingerprint and the tag only.

    It checks all that `decode` checks and raises for the same files, in two thirds of
    the time.
    """
    try:
        content, _ = _usual(data, schema_hash)
    except UnusualError:
        artifact, _ = _decode_unusual(data, schema_hash)
        return IndexEntry(artifact.fingerprint, artifact.tag)
    return IndexEntry(content.fingerprint(), content.tag)


def encode_extension(artifact: ModelArtifact) -> dict[str, bytes]:
    """Encode what is optional and set, canonical JSON by key."""
    extension: dict[str, bytes] = {}
    fingerprint = artifact.fingerprint
    if fingerprint.mappings:
        pairs = [
            [mapping.a_field, mapping.b_field]
            if mapping.null_policy is NullPolicy.SKIP
            else [mapping.a_field, mapping.b_field, mapping.null_policy.value]
            for mapping in fingerprint.mappings
        ]
        extension["mappings"] = canonical_json(pairs)
    if fingerprint.context is not None:
        extension["context"] = canonical_json(fingerprint.context)
    if artifact.extra is not None:
        extension["extra"] = canonical_json(artifact.extra)
    return extension


def _body(artifact: ModelArtifact) -> list[str]:
    """Lines of the document without its digest, without separators."""
    artifact.params.validate()
    fingerprint, params = artifact.fingerprint, artifact.params
    # All numbers at once: one by one they take most of the time of a save.
    numbers = iter(
        _numbers(
            [
                params.log_prior_odds,
                params.upper_threshold,
                params.lower_threshold,
                *map(_finite_null_rate, fingerprint.field_stats),
                *chain.from_iterable(params.m),
                *chain.from_iterable(params.u),
            ]
        )
    )
    lines = [
        f'"format": {_text(FORMAT)}',
        f'"schema_hash": {_text(fingerprint.schema_hash)}',
        f'"tag": {"null" if artifact.tag is None else _text(artifact.tag)}',
        f'"trained_on": {artifact.trained_on}',
        f'"em_iterations": {artifact.em_iterations}',
        f'"record_count": {fingerprint.record_count}',
        f'"created_at": {fingerprint.created_at}',
        f'"log_prior_odds": {next(numbers)}',
        f'"upper_threshold": {next(numbers)}',
        f'"lower_threshold": {next(numbers)}',
    ]
    lines += [
        f'"{key}": {value.decode()}'
        for key, value in encode_extension(artifact).items()
    ]
    lines.append(_block("fields", map(_field_line, fingerprint.field_stats, numbers)))
    for key, rows in (("m", params.m), ("u", params.u)):
        texts = (",".join(islice(numbers, len(row))) for row in rows)
        lines.append(_block(key, (f"[{text}]" for text in texts)))
    return lines


def _document(lines: Iterable[str]) -> str:
    return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def _block(key: str, rows: Iterable[str]) -> str:
    listed = ",\n    ".join(rows)
    return f'"{key}": [\n    {listed}\n  ]' if listed else f'"{key}": []'


def _finite_null_rate(stats: FieldStats) -> float:
    if not math.isfinite(stats.null_rate):
        message = (
            f"null rate of {stats.name!r} is {stats.null_rate}: it has no JSON form"
        )
        raise InvalidArtifactError(message)
    return stats.null_rate


def _field_line(stats: FieldStats, null_rate: str) -> str:
    top_k = _text(list(map(str, stats.top_k)))
    return (
        f'{{"name":{_text(stats.name)},"kind":{_text(stats.kind.value)},'
        f'"null_rate":{null_rate},"cardinality":{stats.cardinality},'
        f'"top_k":{top_k}}}'
    )


def _text(text: str | list[str]) -> str:
    # What `canonical_json` gives for texts, without its look at every value.
    try:
        return orjson.dumps(text).decode()
    except TypeError as error:
        message = f"not a JSON value: {error}"
        raise InvalidArtifactError(message) from None


def _numbers(values: Sequence[float]) -> list[str]:
    """Return the shortest decimals that read back to the same float32."""
    short = shortest_float64s(values)
    if -_LARGE < min(short) <= max(short) < _LARGE:
        return orjson.dumps(short)[1:-1].decode().split(",")
    # Versions of orjson differ in how they write large exponents; bytes must not.
    return [
        repr(value) if abs(value) >= _LARGE else orjson.dumps(value).decode()
        for value in short
    ]


def _usual(data: bytes, schema_hash: str | None) -> tuple[UsualContent, str]:
    """Check everything that `_decode_unusual` checks; return the digest, too.

    Raises
    ------
    UnusualError
        Anything is wrong or unusual.
    ArtifactFormatError
        The file is too large to be parsed.
    """
    check_size(data)
    if not data.startswith(b"{"):
        raise UnusualError
    try:
        document = loads(data)
    except orjson.JSONDecodeError:
        raise UnusualError from None
    stated = document.pop("digest", None)
    content = UsualContent(document)
    if (
        _may_repeat_keys(data, content.key_count + 1)
        or (schema_hash is not None and content.schema_hash != schema_hash)
        or _digest_of_text(content.canonical()) != stated
    ):
        raise UnusualError
    return content, stated


def _may_repeat_keys(data: bytes, key_count: int) -> bool:
    # Most texts hold no colon but the digest's: all others are behind keys.
    colons = data.count(b":") - (_DIGEST_START in data)
    return colons != key_count and may_repeat_keys(data, key_count)


def _decode_unusual(data: bytes, schema_hash: str | None) -> tuple[ModelArtifact, str]:
    document = parse_object(data)
    check_format(document)
    check_keys(document)
    found = document["schema_hash"]
    if schema_hash is not None and found != schema_hash:
        message = f"holds the artifact {found!r}, which is not what it is named"
        raise ArtifactFormatError("ZSM021", message, line_of(data, "schema_hash"))
    try:
        stated, actual = document["digest"], _digest_of(document)
    except InvalidArtifactError as error:
        raise ArtifactFormatError("ZSM012", str(error)) from None
    if stated != actual:
        message = (
            f"digest is {actual}, the file says {stated!r}: edited by hand or blended "
            "from two trainings; restore a whole version"
        )
        raise ArtifactFormatError("ZSM020", message, line_of(data, "digest"))
    try:
        return decode_document(document), actual
    except InvalidArtifactError as error:
        raise ArtifactFormatError("ZSM016", str(error)) from None


def _digest_of_lines(lines: Iterable[str]) -> str:
    content = loads(_document(lines).encode())
    try:
        return _digest_of_text(UsualContent(content).canonical())
    except UnusualError:
        return _digest_of(content)


def _digest_of(document: dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "digest"}
    return _digest_of_text(canonical_json(content))


def _digest_of_text(canonical: bytes) -> str:
    return DIGEST_PREFIX + hashlib.sha256(canonical).hexdigest()
