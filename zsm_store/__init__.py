"""A registry of trained Fellegi-Sunter record-linkage models.

Ask it how to start, save what was trained, share it as one bundle.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zsm_store.errors import (
        AmbiguousRefError,
        ArtifactFormatError,
        ArtifactNotFoundError,
        BundleFormatError,
        ConflictError,
        FormatError,
        GitError,
        InvalidArtifactError,
        NotInGitError,
        ReadOnlyRegistryError,
        RegistryLockedError,
        SettingsFormatError,
        StorageError,
        TableError,
        ZsmError,
    )
    from zsm_store.model.alignment import AlignedParams, level_priors
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.distance import (
        EXACT_MATCH_THRESHOLD,
        WARM_START_THRESHOLD,
        Neighbor,
        fingerprint_distance,
    )
    from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
    from zsm_store.model.params import ModelParams
    from zsm_store.model.schema import (
        Field,
        FieldKind,
        FieldMapping,
        NullPolicy,
        Schema,
        schema_hash,
    )
    from zsm_store.model.startup import (
        ColdStart,
        Explanation,
        NearestArtifact,
        StartupMode,
        WarmLoad,
        WarmStart,
    )
    from zsm_store.registry.bundling import PackReport, UnpackReport
    from zsm_store.registry.file_writer import Durability
    from zsm_store.registry.problem import Problem, Severity
    from zsm_store.registry.repair import Moved, RepairReport
    from zsm_store.registry.saving import SaveReport
    from zsm_store.registry.schema_registry import SchemaRegistry
    from zsm_store.registry.settings import Layout
    from zsm_store.registry.version import Version
    from zsm_store.storage.lock import LockStrategy
    from zsm_store.tables.fingerprint import TableFingerprint, fingerprint_table

__version__ = "0.1.0"

__all__ = [
    "EXACT_MATCH_THRESHOLD",
    "WARM_START_THRESHOLD",
    "AlignedParams",
    "AmbiguousRefError",
    "ArtifactFormatError",
    "ArtifactNotFoundError",
    "BundleFormatError",
    "ColdStart",
    "ConflictError",
    "Durability",
    "Explanation",
    "Field",
    "FieldKind",
    "FieldMapping",
    "FieldStats",
    "FormatError",
    "GitError",
    "InvalidArtifactError",
    "Layout",
    "LockStrategy",
    "ModelArtifact",
    "ModelParams",
    "Moved",
    "NearestArtifact",
    "Neighbor",
    "NotInGitError",
    "NullPolicy",
    "PackReport",
    "Problem",
    "ReadOnlyRegistryError",
    "RegistryLockedError",
    "RepairReport",
    "SaveReport",
    "Schema",
    "SchemaFingerprint",
    "SchemaRegistry",
    "SettingsFormatError",
    "Severity",
    "StartupMode",
    "StorageError",
    "TableError",
    "TableFingerprint",
    "UnpackReport",
    "Version",
    "WarmLoad",
    "WarmStart",
    "ZsmError",
    "fingerprint_distance",
    "fingerprint_table",
    "level_priors",
    "schema_hash",
]

# A name is imported when it is first used: a command that shows one artifact would
# otherwise wait for the code that reads tables and searches. Type checkers read the
# imports above instead; a test compares the two.
_DEFINED_IN = {
    "EXACT_MATCH_THRESHOLD": "model.distance",
    "WARM_START_THRESHOLD": "model.distance",
    "AlignedParams": "model.alignment",
    "AmbiguousRefError": "errors",
    "ArtifactFormatError": "errors",
    "ArtifactNotFoundError": "errors",
    "BundleFormatError": "errors",
    "ColdStart": "model.startup",
    "ConflictError": "errors",
    "Durability": "registry.file_writer",
    "Explanation": "model.startup",
    "Field": "model.schema",
    "FieldKind": "model.schema",
    "FieldMapping": "model.schema",
    "FieldStats": "model.fingerprint",
    "FormatError": "errors",
    "GitError": "errors",
    "InvalidArtifactError": "errors",
    "Layout": "registry.settings",
    "LockStrategy": "storage.lock",
    "ModelArtifact": "model.artifact",
    "ModelParams": "model.params",
    "Moved": "registry.repair",
    "NearestArtifact": "model.startup",
    "Neighbor": "model.distance",
    "NotInGitError": "errors",
    "NullPolicy": "model.schema",
    "PackReport": "registry.bundling",
    "Problem": "registry.problem",
    "ReadOnlyRegistryError": "errors",
    "RegistryLockedError": "errors",
    "RepairReport": "registry.repair",
    "SaveReport": "registry.saving",
    "Schema": "model.schema",
    "SchemaFingerprint": "model.fingerprint",
    "SchemaRegistry": "registry.schema_registry",
    "SettingsFormatError": "errors",
    "Severity": "registry.problem",
    "StartupMode": "model.startup",
    "StorageError": "errors",
    "TableError": "errors",
    "TableFingerprint": "tables.fingerprint",
    "UnpackReport": "registry.bundling",
    "Version": "registry.version",
    "WarmLoad": "model.startup",
    "WarmStart": "model.startup",
    "ZsmError": "errors",
    "fingerprint_distance": "model.distance",
    "fingerprint_table": "tables.fingerprint",
    "level_priors": "model.alignment",
    "schema_hash": "model.schema",
}

# Out of sight of type checkers, for whom it would give the package every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name, once."""
        if name not in _DEFINED_IN:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        module = import_module(f"{__name__}.{_DEFINED_IN[name]}")
        value = globals()[name] = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        """List the names that are not imported yet, too."""
        return sorted({*globals(), *__all__})
