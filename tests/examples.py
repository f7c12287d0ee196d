"""Artifacts that tests name: the tables of the peer's own registry tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.schema import FieldMapping

CREATED_AT = 1_735_689_600

BRP = Schema(
    [
        Field("voornamen", FieldKind.NAME),
        Field("achternaam", FieldKind.NAME),
        Field("geboortedatum", FieldKind.DATE),
        Field("woonplaats", FieldKind.ADDRESS),
        Field("bsn", FieldKind.ID),
    ]
)
"""Persons."""

BRP_WITH_PHONE = Schema([*BRP.fields, Field("telefoon", FieldKind.PHONE)])
"""The same table a quarter later: one column more."""

BRP_WITHOUT_TWO = Schema(BRP.fields[:3])
"""Farther from `BRP_WITH_PHONE` than `BRP` is."""

SIM = Schema(
    [
        Field("imsi", FieldKind.ID),
        Field("msisdn", FieldKind.PHONE),
        Field("activatiedatum", FieldKind.DATE),
    ]
)
"""SIM cards, which share nothing with persons."""


def fingerprint(
    schema: Schema = BRP,
    *,
    mappings: Iterable[FieldMapping] = (),
    context: dict[str, Any] | None = None,
) -> SchemaFingerprint:
    """Return the fingerprint of a schema, without a sample."""
    return SchemaFingerprint.from_schema(
        schema, mappings=mappings, context=context, created_at=CREATED_AT
    )


def trained(
    of: Schema | SchemaFingerprint = BRP,
    *,
    tag: str | None = None,
    em_iterations: int = 25,
    extra: dict[str, Any] | None = None,
) -> ModelArtifact:
    """Return an artifact of a schema; `em_iterations` tells trainings apart."""
    chosen = fingerprint(of) if isinstance(of, Schema) else of
    rows = len(chosen.field_stats)
    return ModelArtifact(
        fingerprint=chosen,
        params=ModelParams(
            m=((0.1, 0.2, 0.7),) * rows,
            u=((0.8, 0.1, 0.1),) * rows,
            log_prior_odds=-2.0,
            upper_threshold=0.9,
            lower_threshold=0.1,
        ),
        tag=tag,
        trained_on=CREATED_AT,
        em_iterations=em_iterations,
        extra=extra,
    )


def numbered(number: int, *, tag: str | None = None) -> ModelArtifact:
    """Return one of many artifacts, each of a schema of its own."""
    return trained(Schema([Field(f"field {number}", FieldKind.NAME)]), tag=tag)
