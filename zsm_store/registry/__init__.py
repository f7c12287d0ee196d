"""Where codec, storage and index meet."""

from __future__ import annotations

from zsm_store.registry.schema_registry import SchemaRegistry

__all__ = ["SchemaRegistry"]
