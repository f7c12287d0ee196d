"""`zsm git textconv` without click: git starts it for every file of a diff."""

from __future__ import annotations

import os
import sys

from zsm_store.cli.fact_text import artifact_facts
from zsm_store.codec.artifact_json import decode_with_digest


def textconv(name: str) -> None:
    """Print an artifact, or each of a bundle, as lines of one fact each.

    What is no artifact is printed as it is, behind a line that says why. Nothing is
    ever an error: git would end the whole diff at one file.

    Parameters
    ----------
    name
        The file.
    """
    output = sys.stdout.buffer
    output.write(_shown(name))
    output.flush()


def run(name: str) -> int:
    """Run as a process of its own; returns the exit code.

    It is 0 also where nobody reads the output to its end.
    """
    try:
        textconv(name)
    except BrokenPipeError:
        # The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _shown(name: str) -> bytes:
    try:
        # Not a Path, which takes longer to import than a file takes to read.
        with open(name, "rb") as file:  # noqa: PTH123  # see above
            data = file.read()
    except (OSError, ValueError) as error:
        return _note(f"cannot be read: {getattr(error, 'strerror', None) or error}")
    try:
        return _bundle_facts(data) if data.startswith(b"ZSM") else _facts(data)
    except Exception as error:  # noqa: BLE001  # whatever it is, git has to go on
        return _note(str(error) or type(error).__name__) + data


def _facts(data: bytes) -> bytes:
    lines = artifact_facts(*decode_with_digest(data))
    return "".join(f"{line}\n" for line in lines).encode()


def _bundle_facts(data: bytes) -> bytes:
    from zsm_store.codec.bundle import Bundle, MemorySource  # noqa: PLC0415  # seldom

    found = []
    for artifact in Bundle(MemorySource(data)):
        found += ["", *artifact_facts(artifact)]
    return "".join(f"{line}\n" for line in found[1:]).encode()


def _note(why: str) -> bytes:
    return f"# not an artifact: {why}\n".encode(errors="backslashreplace")
