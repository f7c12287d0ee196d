from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.alignment import DEFAULT_LEVELS, AlignedParams, level_priors
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.float32 import float32_row
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import Field, FieldKind, Schema

A = Field("a", FieldKind.NAME)
B = Field("b", FieldKind.DATE)
C = Field("c", FieldKind.ID)
NEW = Field("new", FieldKind.PHONE)

M = {"a": (0.125, 0.875), "b": (0.0, 0.25, 0.75), "c": (0.5, 0.25, 0.25)}
U = {"a": (0.75, 0.25), "b": (0.5, 0.25, 0.25), "c": (1.0, 0.0, 0.0)}


def trained(*fields: Field, m: Any = None, u: Any = None) -> ModelArtifact:
    return ModelArtifact(
        fingerprint=SchemaFingerprint.from_schema(Schema(fields), created_at=0),
        params=ModelParams(
            m=[M[field.name] for field in fields] if m is None else m,
            u=[U[field.name] for field in fields] if u is None else u,
            log_prior_odds=-3.0,
            upper_threshold=0.75,
            lower_threshold=0.25,
        ),
        em_iterations=9,
    )


ABC = trained(A, B, C)


def names(aligned: AlignedParams) -> tuple[tuple[str, ...], ...]:
    return aligned.kept, aligned.filled, aligned.dropped


def rounded(levels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    m, u = level_priors(levels)
    return float32_row(m), float32_row(u)


def test_rows_follow_their_names_when_columns_move() -> None:
    aligned = ABC.params_for(Schema([C, A, B]))
    assert aligned.params.m == (M["c"], M["a"], M["b"])
    assert aligned.params.u == (U["c"], U["a"], U["b"])
    assert names(aligned) == (("c", "a", "b"), (), ())
    assert aligned.is_complete


def test_the_same_schema_gets_the_very_same_params() -> None:
    aligned = ABC.params_for(Schema([A, B, C]))
    assert aligned.params == ABC.params
    assert aligned.is_complete


def test_thresholds_and_prior_come_along() -> None:
    found = ABC.params_for(Schema([NEW])).params
    assert found.log_prior_odds == -3.0
    assert (found.upper_threshold, found.lower_threshold) == (0.75, 0.25)


def test_a_new_field_is_filled_from_priors_of_the_most_frequent_length() -> None:
    aligned = ABC.params_for(Schema([A, NEW, B, C]))
    m, u = rounded(3)
    assert aligned.params.m == (M["a"], m, M["b"], M["c"])
    assert aligned.params.u == (U["a"], u, U["b"], U["c"])
    assert names(aligned) == (("a", "b", "c"), ("new",), ())
    assert not aligned.is_complete


def test_of_equally_frequent_lengths_the_longer_one_is_taken() -> None:
    aligned = trained(A, B).params_for(Schema([NEW]))
    assert aligned.params.m == (rounded(3)[0],)


def test_empty_rows_are_no_example_of_a_length() -> None:
    stored = trained(A, B, C, m=[(), (), (0.5, 0.5)], u=[(), (), (0.5, 0.5)])
    assert stored.params_for(Schema([NEW])).params.m == (rounded(2)[0],)
    nothing = trained(A, B, m=[(), ()], u=[(), ()])
    assert nothing.params_for(Schema([NEW])).params.m == (rounded(DEFAULT_LEVELS)[0],)


def test_a_removed_field_is_named() -> None:
    aligned = ABC.params_for(Schema([B]))
    assert aligned.params.m == (M["b"],)
    assert names(aligned) == (("b",), (), ("a", "c"))
    assert aligned.is_complete


def test_a_field_of_another_kind_is_another_field() -> None:
    aligned = ABC.params_for(Schema([A, Field("b", FieldKind.TIMESTAMP), C]))
    assert aligned.params.m == (M["a"], rounded(3)[0], M["c"])
    assert names(aligned) == (("a", "c"), ("b",), ("b",))
    assert not aligned.is_complete


def test_levels_are_given_for_all_new_fields_or_by_name() -> None:
    wanted = Schema([A, NEW, Field("newer", FieldKind.ID)])
    for_all = ABC.params_for(wanted, levels=5).params
    assert [len(row) for row in for_all.m] == [2, 5, 5]
    by_name = ABC.params_for(wanted, levels={"newer": 4, "a": 7}).params
    assert [len(row) for row in by_name.m] == [2, 3, 4]
    assert [len(row) for row in by_name.u] == [2, 3, 4]


@pytest.mark.parametrize("levels", [0, -1])
def test_a_field_needs_a_level(levels: int) -> None:
    for given_levels in (levels, {"new": levels}):
        with pytest.raises(InvalidArtifactError, match="'new' needs at least one"):
            ABC.params_for(Schema([NEW]), levels=given_levels)
    # Nothing to fill, nothing to refuse.
    assert ABC.params_for(Schema([A]), levels=levels).is_complete


def test_rows_that_are_not_one_per_field_cannot_be_aligned() -> None:
    for rows in ((), ((0.5, 0.5),), ((0.5, 0.5),) * 3):
        stored = trained(A, B, m=rows, u=rows)
        with pytest.raises(InvalidArtifactError, match=r"2 fields but \d rows of m"):
            stored.params_for(Schema([A, B]))


def test_a_name_that_stands_twice_cannot_be_aligned() -> None:
    plain = trained(A, B)
    stats = plain.fingerprint.field_stats
    twice = SchemaFingerprint(
        schema_hash=plain.schema_hash,
        field_stats=(stats[0], stats[0]),
        record_count=0,
        created_at=0,
    )
    stored = ModelArtifact(fingerprint=twice, params=plain.params, em_iterations=1)
    with pytest.raises(InvalidArtifactError, match="stands twice"):
        stored.params_for(Schema([A]))


def test_a_fingerprint_will_do_for_a_schema() -> None:
    wanted = Schema([C, NEW])
    fingerprint = SchemaFingerprint.from_schema(wanted)
    assert ABC.params_for(fingerprint) == ABC.params_for(wanted)


def test_stated_priors_speak_six_bits_for_and_against() -> None:
    m, u = rounded(4)
    params = ModelParams(
        m=[m], u=[u], log_prior_odds=0, upper_threshold=1, lower_threshold=0
    )
    assert params.match_weights()[0] == pytest.approx((-6, -2, 2, 6), abs=1e-6)


@pytest.mark.parametrize("levels", [1, 2, 5, 64, 512, 513, 5_000])
def test_priors_of_any_number_of_levels_are_probabilities(levels: int) -> None:
    m, u = level_priors(levels)
    assert len(m) == levels
    assert sum(m) == pytest.approx(1)
    assert list(m) == sorted(m)
    assert u == m[::-1]


@given(zst.artifacts(), zst.schemas(), st.none() | st.integers(1, 6))
def test_every_row_is_kept_or_filled_and_every_field_is_accounted_for(
    artifact, wanted, levels
) -> None:
    aligned = artifact.params_for(wanted, levels=levels)
    stored = artifact.fingerprint.fields
    in_order = dict(zip(stored, range(len(stored)), strict=True))
    assert len(aligned.params.m) == len(wanted.fields)
    for field, m, u in zip(
        wanted.fields, aligned.params.m, aligned.params.u, strict=True
    ):
        assert (field.name in aligned.kept) == (field in in_order)
        assert (field.name in aligned.filled) == (field not in in_order)
        if field in in_order:
            assert m == artifact.params.m[in_order[field]]
            assert u == artifact.params.u[in_order[field]]
        else:
            assert (m, u) == rounded(len(m))
            assert levels in {None, len(m)}
    assert set(aligned.kept) | set(aligned.dropped) == {one.name for one in stored}
    assert not set(aligned.kept) & set(aligned.dropped)
