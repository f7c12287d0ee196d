"""The command `zsm`: parse, call the registry, print."""

from __future__ import annotations

from zsm_store.cli.main import main

__all__ = ["main"]
