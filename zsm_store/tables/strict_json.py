"""JSON without the readings that differ between parsers."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from zsm_store.errors import TableError

_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode_json(text: str, *, source: str, line: int | None = None) -> Any:
    """Decode one JSON value.

    Parameters
    ----------
    line
        1-based line of `text` where it is one line of `source`; None where it is all.

    Raises
    ------
    TableError
        Not JSON, or JSON that parsers read differently: a key twice in an object (the
        first or the last counts), NaN and numbers beyond float64, lone surrogates.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        if _MAYBE_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        message = f"not JSON at column {error.colno}: {error.msg.lower()}"
        line = error.lineno if line is None else line
    except UnicodeEncodeError:
        message = "not JSON: half of a surrogate pair, which is no character"
    except RecursionError:
        message = "nested too deeply"
    except ValueError as error:
        message = str(error)
    else:
        return value
    raise TableError(message, source=source, line=line)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                message = f"key {key!r} stands twice in one object: remove one"
                raise ValueError(message)
            seen.add(key)
    return value


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON: write null where a value is missing"
    raise ValueError(message)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        message = f"number {text} is too large for a float64"
        raise ValueError(message)
    return value
