"""`registry.json`: what all users of one registry must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import orjson

from zsm_store.codec.strict_json import parse_object
from zsm_store.errors import ArtifactFormatError, SettingsFormatError
from zsm_store.storage.lock import LockStrategy

FORMAT = "zsm-registry/1"


class Layout(StrEnum):
    """Where artifact files lie; readers accept both at once."""

    FLAT = "flat"
    """``<hash>.json``"""
    FAN_OUT = "fan-out"
    """``ab/<hash>.json``, for more than about 5,000 artifacts in git."""


MOST_KEPT = 1000
"""Replaced versions of one artifact that a registry keeps at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Content of `registry.json`."""

    layout: Layout = Layout.FLAT
    lock: LockStrategy = LockStrategy.FLOCK
    keep: int = 0
    """How many replaced versions of each artifact are kept."""

    def encode(self) -> bytes:
        """Encode as the file's bytes."""
        document: dict[str, object] = {
            "format": FORMAT,
            "layout": self.layout,
            "lock": self.lock,
        }
        if self.keep:
            document["keep"] = self.keep
        return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> RegistrySettings:
        """Decode and check the file's bytes.

        Raises
        ------
        SettingsFormatError
            Damaged, or written by a newer version of this package.
        """
        try:
            document = parse_object(data)
        except ArtifactFormatError as error:
            _refuse(error.reason)
        found = document.pop("format", None)
        if found != FORMAT:
            if isinstance(found, str) and found.startswith("zsm-registry/"):
                _refuse(
                    f"format {found!r} is newer than this package: upgrade it",
                    newer=True,
                )
            _refuse(f"its format is {found!r}, not {FORMAT!r}")
        try:
            settings = cls(
                layout=Layout(document.pop("layout", Layout.FLAT)),
                lock=LockStrategy(document.pop("lock", LockStrategy.FLOCK)),
                keep=_checked_keep(document.pop("keep", 0)),
            )
        except ValueError as error:
            _refuse(f"{error}; a newer version of this package may know it")
        if document:
            _refuse(f"unknown key {min(document)!r}")
        return settings


def _checked_keep(keep: object) -> int:
    # A bool is an int, too.
    if type(keep) is not int or not 0 <= keep <= MOST_KEPT:
        message = f"'keep' is {keep!r}, not 0 to {MOST_KEPT}"
        raise ValueError(message)
    return keep


def _refuse(reason: str, *, newer: bool = False) -> NoReturn:
    raise SettingsFormatError(reason, is_newer=newer)
