"""One artifact <-> `<hash>.json`: one field per line, for people and `git diff`."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import orjson

from zsm_store.codec.strict_json import line_of, loads, parse_object
from zsm_store.errors import ArtifactFormatError, InvalidArtifactError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.canonical import canonical_json
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import shortest_float64
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind, FieldMapping, NullPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.params import Rows

FORMAT = "zsm-store/1"
DIGEST_PREFIX = "sha256:"

_SCALARS = (
    "schema_hash",
    "tag",
    "trained_on",
    "em_iterations",
    "record_count",
    "created_at",
    "log_prior_odds",
    "upper_threshold",
    "lower_threshold",
)
_OPTIONAL = frozenset({"mappings", "context", "extra"})
_REQUIRED = frozenset({"format", "digest", *_SCALARS, "fields", "m", "u"})
_FIELD_KEYS = frozenset({"name", "kind", "null_rate", "cardinality", "top_k"})
_PAIR = 2
_LARGE = 1e16


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
    stated = _digest_of(loads(_document(lines).encode()))
    lines.insert(1, f'"digest": "{stated}"')
    return _document(lines).encode(), stated


def digest(artifact: ModelArtifact) -> str:
    """Digest of an artifact's content, ``sha256:`` and 64 hex digits.

    It covers every value but itself, not the bytes: white space and line ends may
    change, a value may not.
    """
    return _digest_of(loads(_document(_body(artifact)).encode()))


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
    document = parse_object(data)
    _check_format(document)
    _check_keys(document)
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
        return _artifact(document)
    except InvalidArtifactError as error:
        raise ArtifactFormatError("ZSM016", str(error)) from None


def stated_digest(data: bytes) -> str:
    """Return the digest that a decoded and checked file states."""
    found: str = loads(data)["digest"]
    return found


def decode_extension(value: dict[str, Any]) -> dict[str, Any]:
    """Decode what is optional: keyword arguments `mappings`, `context` and `extra`.

    Raises
    ------
    InvalidArtifactError
        A value of the wrong form.
    """
    for key in ("context", "extra"):
        # Not even null: it would be gone when written again, and the digest another.
        if key in value and not isinstance(value[key], dict):
            message = f"{key} must be an object, found {value[key]!r:.60}"
            raise InvalidArtifactError(message)
    return {
        "mappings": tuple(map(_mapping, _list("mappings", value.get("mappings", [])))),
        "context": value.get("context"),
        "extra": value.get("extra"),
    }


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
    lines = [
        f'"format": {_text(FORMAT)}',
        f'"schema_hash": {_text(fingerprint.schema_hash)}',
        f'"tag": {"null" if artifact.tag is None else _text(artifact.tag)}',
        f'"trained_on": {artifact.trained_on}',
        f'"em_iterations": {artifact.em_iterations}',
        f'"record_count": {fingerprint.record_count}',
        f'"created_at": {fingerprint.created_at}',
        f'"log_prior_odds": {_number(params.log_prior_odds)}',
        f'"upper_threshold": {_number(params.upper_threshold)}',
        f'"lower_threshold": {_number(params.lower_threshold)}',
    ]
    lines += [
        f'"{key}": {value.decode()}'
        for key, value in encode_extension(artifact).items()
    ]
    lines.append(_block("fields", map(_field_line, fingerprint.field_stats)))
    lines.append(_block("m", map(_numbers, params.m)))
    lines.append(_block("u", map(_numbers, params.u)))
    return lines


def _document(lines: Iterable[str]) -> str:
    return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def _block(key: str, rows: Iterable[str]) -> str:
    listed = ",\n    ".join(rows)
    return f'"{key}": [\n    {listed}\n  ]' if listed else f'"{key}": []'


def _field_line(stats: FieldStats) -> str:
    if not math.isfinite(stats.null_rate):
        message = (
            f"null rate of {stats.name!r} is {stats.null_rate}: it has no JSON form"
        )
        raise InvalidArtifactError(message)
    top_k = "[" + ",".join(map(_text, stats.top_k)) + "]"
    return (
        f'{{"name":{_text(stats.name)},"kind":{_text(stats.kind.value)},'
        f'"null_rate":{_number(stats.null_rate)},"cardinality":{stats.cardinality},'
        f'"top_k":{top_k}}}'
    )


def _text(text: str) -> str:
    return canonical_json(str(text)).decode()


def _number(value: float) -> str:
    """Shortest decimal that reads back to the same float32."""
    short = shortest_float64(value)
    # Versions of orjson differ in how they write large exponents; bytes must not.
    if abs(short) >= _LARGE:
        return repr(short)
    return orjson.dumps(short).decode()


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ",".join(map(_number, values)) + "]"


def _digest_of(document: dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "digest"}
    return DIGEST_PREFIX + hashlib.sha256(canonical_json(content)).hexdigest()


def _check_format(document: dict[str, Any]) -> None:
    found = document.get("format")
    if found == FORMAT:
        return
    if isinstance(found, str) and found.startswith("zsm-store/"):
        message = f"format {found!r} is newer than this package: upgrade zsm-store"
    else:
        message = f"not an artifact: its format is {found!r}, not {FORMAT!r}"
    raise ArtifactFormatError("ZSM014", message)


def _check_keys(document: dict[str, Any]) -> None:
    missing = _REQUIRED - document.keys()
    if missing:
        message = f"key {min(missing)!r} is missing"
        raise ArtifactFormatError("ZSM016", message)
    unknown = document.keys() - _REQUIRED - _OPTIONAL
    if unknown:
        message = f"unknown key {min(unknown)!r}"
        raise ArtifactFormatError("ZSM016", message)


def _artifact(document: dict[str, Any]) -> ModelArtifact:
    extension = decode_extension(document)
    return ModelArtifact(
        fingerprint=SchemaFingerprint(
            schema_hash=document["schema_hash"],
            field_stats=tuple(map(_stats, _list("fields", document["fields"]))),
            record_count=document["record_count"],
            created_at=document["created_at"],
            mappings=extension["mappings"],
            context=extension["context"],
        ),
        params=ModelParams(
            m=_rows("m", document["m"]),
            u=_rows("u", document["u"]),
            log_prior_odds=_number_in(document, "log_prior_odds"),
            upper_threshold=_number_in(document, "upper_threshold"),
            lower_threshold=_number_in(document, "lower_threshold"),
        ),
        tag=document["tag"],
        trained_on=document["trained_on"],
        em_iterations=document["em_iterations"],
        extra=extension["extra"],
    )


def _stats(value: Any) -> FieldStats:
    if not isinstance(value, dict) or value.keys() != _FIELD_KEYS:
        message = f"a field must have exactly the keys {', '.join(sorted(_FIELD_KEYS))}"
        raise InvalidArtifactError(message)
    top_k = _list("top_k", value["top_k"])
    if not all(isinstance(text, str) for text in top_k):
        message = f"top_k of field {value['name']!r} must be text"
        raise InvalidArtifactError(message)
    if not _is_number(value["null_rate"]):
        message = f"null_rate of field {value['name']!r} must be a number"
        raise InvalidArtifactError(message)
    return FieldStats(
        name=value["name"],
        kind=FieldKind(value["kind"]),
        null_rate=value["null_rate"],
        cardinality=value["cardinality"],
        top_k=tuple(top_k),
    )


def _mapping(value: Any) -> FieldMapping:
    if not isinstance(value, list) or len(value) not in {_PAIR, _PAIR + 1}:
        message = f"a mapping must be two field names, found {value!r}"
        raise InvalidArtifactError(message)
    return FieldMapping(*value)


def _rows(name: str, value: Any) -> Rows:
    rows = _list(name, value)
    for row in rows:
        if not isinstance(row, list) or not all(map(_is_number, row)):
            message = f"{name} must be rows of numbers"
            raise InvalidArtifactError(message)
    return tuple(map(tuple, rows))


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        message = f"{name} must be a list, found {value!r:.60}"
        raise InvalidArtifactError(message)
    return value


def _number_in(document: dict[str, Any], key: str) -> float:
    value = document[key]
    if not _is_number(value):
        message = f"{key} must be a number, found {value!r:.60}"
        raise InvalidArtifactError(message)
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
