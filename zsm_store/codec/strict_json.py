"""JSON without its ambiguities: no duplicate keys, no BOM, no merge leftovers."""

from __future__ import annotations

import re
from typing import Any

import orjson

from zsm_store.errors import ArtifactFormatError

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are refused unread: an artifact has kilobytes."""

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_WHITE_SPACE = b" \t\r\n"
# Not compiled beforehand: only a damaged file needs them, every command would wait.
_TOKEN = rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:]'
_CONFLICT = rb"^(<{7}|={7}|>{7}|\|{7})( |\r?$)"


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Raises
    ------
    ArtifactFormatError
        Too large (ZSM015), empty (ZSM011), conflict markers (ZSM010), not JSON, not an
        object or with a BOM (ZSM012), a key that stands twice (ZSM013).
    """
    check_size(data)
    if not data.strip():
        raise ArtifactFormatError("ZSM011", "the file is empty")
    if data.startswith(_BOMS):
        raise ArtifactFormatError(
            "ZSM012", "starts with a byte order mark: save it as UTF-8 without one"
        )
    try:
        value = loads(data)
    except orjson.JSONDecodeError as error:
        raise _not_json(data, error) from None
    if not isinstance(value, dict):
        raise ArtifactFormatError("ZSM012", "not a JSON object")
    if may_repeat_keys(data, count_keys(value)):
        _refuse_duplicates(data)
    return value


def check_size(data: bytes) -> None:
    """Check that a file is small enough to be parsed.

    Raises
    ------
    ArtifactFormatError
        It is not (ZSM015).
    """
    if len(data) > MAX_BYTES:
        size, limit = len(data), MAX_BYTES
        raise ArtifactFormatError("ZSM015", f"{size} bytes, more than {limit} allowed")


def loads(data: bytes) -> Any:
    """Parse JSON that begins laid out in lines and goes on dense, as ours may.

    orjson 3.11 to 3.13 judge by the first bytes how many values there will be, and give
    up on such a text for want of memory where three bytes hold a value.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "memory" not in error.msg:
            raise
    stripped = data.lstrip()
    return orjson.loads(stripped[:1] + stripped[1:].lstrip())


def may_repeat_keys(data: bytes, key_count: int) -> bool:
    """Whether JSON of so many keys at all depths may have one twice in an object.

    But for white space every key is a quote and a colon in the text; so is, now and
    then, a part of a string. As many as there are keys: none stands twice.
    """
    return data.translate(None, _WHITE_SPACE).count(b'":') != key_count


def count_keys(value: dict[str, Any]) -> int:
    """Count the keys of parsed JSON at all depths."""
    count = 0
    waiting: list[Any] = [value]
    while waiting:  # not recursive: a hostile file may nest a thousand levels
        item = waiting.pop()
        if isinstance(item, dict):
            count += len(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return count


def line_of(data: bytes, key: str) -> int:
    """1-based line on which a top-level key stands, or 1."""
    found = re.search(rb'^\s*"%s"\s*:' % re.escape(key.encode()), data, re.MULTILINE)
    return 1 if found is None else data.count(b"\n", 0, found.end()) + 1


def _not_json(data: bytes, error: orjson.JSONDecodeError) -> ArtifactFormatError:
    marker = re.search(_CONFLICT, data, re.MULTILINE)
    if marker is not None:
        return ArtifactFormatError(
            "ZSM010",
            "conflict marker of a merge: take one side whole",
            data.count(b"\n", 0, marker.start()) + 1,
        )
    return ArtifactFormatError(
        "ZSM012", f"not JSON: {error.msg}", error.lineno, error.colno
    )


def _refuse_duplicates(data: bytes) -> None:
    """Find the key that stands twice in its object, in what is known to be JSON."""
    keys: list[set[str]] = []  # of each object and list that is open
    last = None
    for token in re.finditer(_TOKEN, data):
        match token[0]:
            case b"{" | b"[":
                keys.append(set())
            case b"}" | b"]":
                keys.pop()
            case b":" if last is not None:
                key = orjson.loads(last[0])
                if key in keys[-1]:
                    raise ArtifactFormatError(
                        "ZSM013",
                        f"key {key!r} stands twice: a merge went wrong",
                        data.count(b"\n", 0, last.start()) + 1,
                        last.start() - data.rfind(b"\n", 0, last.start()),
                    )
                keys[-1].add(key)
            case _:
                last = token
