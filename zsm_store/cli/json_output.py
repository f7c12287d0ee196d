"""Values as the one JSON document that a command prints."""

from __future__ import annotations

import json
from typing import Any

from zsm_store.cli.printable import json_escaped
from zsm_store.cli.terminal import write_bytes
from zsm_store.model.float32 import shortest_float64


def write_json(value: Any) -> None:
    """Print a value on standard output, keys in their order, with a final newline."""
    write_json_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))


def write_json_text(document: str) -> None:
    """Print a JSON document. It is UTF-8 whatever the terminal's encoding is."""
    write_bytes((json_escaped(document.rstrip("\n")) + "\n").encode())


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: None where it is not finite."""
    return shortest_float64(value) if float("-inf") < value < float("inf") else None
