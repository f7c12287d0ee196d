"""JSON Lines -> records: one object per line, values with their types."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import orjson

from zsm_store.errors import TableError
from zsm_store.tables.strict_json import decode_json
from zsm_store.tables.values import has_control_character, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.tables.text_lines import TextLines


class JsonRecords:
    """Records of a JSON Lines table, in one pass.

    Parameters
    ----------
    head
        How many records decide what the columns are; they are held in memory.
    fields
        The columns, where they are known: a key beside them is ignored, one of them
        that is absent is a missing value, and nothing is held.

    Raises
    ------
    TableError
        At construction: no object, no key, a key with a control character; any error
        of the first `head` lines. While iterating: what is no JSON object, or a key
        that is not among the columns.
    """

    columns: tuple[str, ...]
    """Keys of the first `head` objects, in the order in which they first appear."""

    def __init__(
        self,
        lines: TextLines,
        source: str,
        *,
        head: int,
        fields: Iterable[str] | None = None,
    ) -> None:
        self._source = source
        self._head = head
        self._open = fields is not None
        objects = self._objects(lines)
        if fields is not None:
            self.columns = tuple(fields)
            # One object now, so that an empty file is an error here too.
            first = list(itertools.islice(objects, 1))
        else:
            first = list(itertools.islice(objects, head))
            keys = dict.fromkeys(key for _, found in first for key in found)
            self.columns = tuple(keys)
        if not first:
            raise TableError("the file is empty", source=source)
        if not self.columns:
            raise TableError(
                "no object has a key, so there is no column", source=source
            )
        self._known = frozenset(self.columns)
        self._all = itertools.chain(first, objects)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line, found in self._all:
            if not self._open and not found.keys() <= self._known:
                new = next(key for key in found if key not in self._known)
                raise TableError(
                    f"key {new!r} is not among the columns, which the first "
                    f"{self._head} records decide: name the columns in a schema file",
                    source=self._source,
                    line=line,
                )
            yield {
                name: self._value(name, found.get(name), line) for name in self.columns
            }

    def _objects(self, lines: TextLines) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, text in enumerate(lines, 1):
            if trimmed(text) is None:
                continue
            value = decode_json(text, source=self._source, line=number)
            if not isinstance(value, dict):
                raise TableError(
                    f"expected an object, found {_NOUNS.get(type(value), 'null')}: "
                    "JSON Lines has one object per line",
                    source=self._source,
                    line=number,
                )
            if not self._open:
                self._check_keys(value, number)
            yield number, value

    def _check_keys(self, found: dict[str, Any], line: int) -> None:
        for key in found:
            if has_control_character(key):
                raise TableError(
                    f"key {key!r} holds a control character: rename it",
                    source=self._source,
                    line=line,
                )

    def _value(self, name: str, value: Any, line: int) -> Any:
        if isinstance(value, str):
            return trimmed(value)
        if isinstance(value, dict | list):
            try:
                return orjson.dumps(value).decode()
            except TypeError as error:  # an integer beyond 64 bits, deep nesting
                raise TableError(
                    f"value of {name!r} has no JSON text: {str(error).lower()}",
                    source=self._source,
                    line=line,
                ) from None
        return value


_NOUNS = {
    bool: "a truth value",
    float: "a number",
    int: "a number",
    list: "an array",
    str: "a text",
}
