"""A registry of trained Fellegi-Sunter record-linkage models.

Ask it how to start, save what was trained, share it as one bundle.
"""

from __future__ import annotations

from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactFormatError,
    ArtifactNotFoundError,
    BundleFormatError,
    ConflictError,
    FormatError,
    InvalidArtifactError,
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
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.registry.settings import Layout
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
    "Explanation",
    "Field",
    "FieldKind",
    "FieldMapping",
    "FieldStats",
    "FormatError",
    "InvalidArtifactError",
    "Layout",
    "ModelArtifact",
    "ModelParams",
    "NearestArtifact",
    "Neighbor",
    "NullPolicy",
    "PackReport",
    "Problem",
    "ReadOnlyRegistryError",
    "RegistryLockedError",
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
    "WarmLoad",
    "WarmStart",
    "ZsmError",
    "fingerprint_distance",
    "fingerprint_table",
    "level_priors",
    "schema_hash",
]
