from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import BRP, BRP_WITH_PHONE, fingerprint, trained
from tests.strategies import artifacts
from zsm_store.codec.artifact_json import digest
from zsm_store.model.comparison import Fact, Presence, compare
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, FieldMapping, NullPolicy, Schema

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.params import Rows

M: Rows = ((0.1, 0.2, 0.7),) * 5
U: Rows = ((0.8, 0.1, 0.1),) * 5
INFINITE = math.inf


def with_rows(artifact: ModelArtifact, m: Rows = M, u: Rows = U) -> ModelArtifact:
    return replace(artifact, params=replace(artifact.params, m=m, u=u))


def with_stats(artifact: ModelArtifact, *stats: FieldStats) -> ModelArtifact:
    changed = replace(artifact.fingerprint, field_stats=stats)
    return replace(artifact, fingerprint=changed)


@given(artifacts(), artifacts())
def test_nothing_differs_if_and_only_if_the_digests_are_equal(one, other) -> None:
    assert compare(one, other).differs == (digest(one) != digest(other))
    assert not compare(one, one).differs


@given(st.data())
def test_any_part_that_is_another_one_is_seen(data) -> None:
    one = data.draw(artifacts())
    other = data.draw(artifacts(of=st.just(one.fingerprint)))
    parts = ["params", "tag", "trained_on", "em_iterations", "extra"]
    name = data.draw(st.sampled_from(parts))
    mixed = replace(one, **{name: getattr(other, name)})
    assert compare(one, mixed).differs == (digest(one) != digest(mixed))


@given(artifacts(), artifacts())
def test_a_comparison_the_other_way_round_has_the_same_fields(one, other) -> None:
    there, back = compare(one, other), compare(other, one)
    assert {it.name for it in there.fields} == {it.name for it in back.fields}
    assert {it.name: it.largest_shift for it in there.fields} == {
        it.name: it.largest_shift for it in back.fields
    }
    assert [(it.name, it.after, it.before) for it in there.facts] == [*back.facts]


def test_facts_are_those_that_differ() -> None:
    before = trained(tag="a", em_iterations=25, extra={"seed": 1})
    params = replace(before.params, log_prior_odds=-1.5, upper_threshold=0.95)
    after = replace(
        before, tag=None, em_iterations=31, extra={"seed": 2}, params=params
    )
    assert compare(before, after).facts == (
        ("tag", "a", None),
        ("em_iterations", 25, 31),
        ("log_prior_odds", -2.0, -1.5),
        ("upper_threshold", before.params.upper_threshold, params.upper_threshold),
        ("extra", {"seed": 1}, {"seed": 2}),
    )
    assert compare(before, after).fields == ()


def test_null_policy_of_a_mapping_is_a_difference() -> None:
    made = [
        trained(fingerprint(mappings=[FieldMapping("a", "b", policy)]))
        for policy in NullPolicy
    ]
    [fact] = compare(*made).facts
    assert fact.name == "mappings"


def test_fields_are_aligned_by_name_wherever_they_stand() -> None:
    rows: Rows = tuple((0.1 + n / 100, 0.2, 0.7) for n in range(5))
    before = with_rows(trained(), m=rows)
    turned = with_rows(trained(Schema(BRP.fields[::-1])), m=rows[::-1])
    comparison = compare(before, turned)
    assert comparison.fields == ()
    names = tuple(field.name for field in BRP.fields)
    assert comparison.facts == (Fact("field_order", names, names[::-1]),)


def test_added_and_removed_fields_come_with_their_levels() -> None:
    comparison = compare(trained(BRP), trained(BRP_WITH_PHONE))
    [added] = comparison.fields
    assert (added.name, added.presence) == ("telefoon", Presence.ADDED)
    assert added.before is None
    assert added.after is not None
    assert [(it.before is None, it.after is None) for it in added.levels] == [
        (True, False)
    ] * 3
    [removed] = compare(trained(BRP_WITH_PHONE), trained(BRP)).fields
    assert (removed.name, removed.presence) == ("telefoon", Presence.REMOVED)


def test_levels_tell_m_u_and_the_change_of_the_weight() -> None:
    after = ((0.1, 0.1, 0.8), *M[1:])
    [change] = compare(with_rows(trained()), with_rows(trained(), m=after)).fields
    assert change.name == "voornamen"
    assert [level.differs for level in change.levels] == [False, True, True]
    assert [level.number for level in change.levels] == [0, 1, 2]
    assert change.levels[0].shift == 0
    assert change.levels[1].shift == pytest.approx(-1)
    assert change.levels[2].shift == pytest.approx(math.log2(8 / 7))
    assert change.largest_shift == pytest.approx(1)


def test_largest_change_of_a_weight_comes_first() -> None:
    nudged: Rows = tuple((0.1, 0.2 + n / 100, 0.7 - n / 100) for n in (1, 3, 0, 4, 2))
    fields = compare(with_rows(trained()), with_rows(trained(), m=nudged)).fields
    assert [BRP.fields.index(Field(it.name, it.after.kind)) for it in fields] == [
        3, 1, 4, 0
    ]  # fmt: skip
    shifts = [it.largest_shift for it in fields]
    assert shifts == sorted(shifts, reverse=True)


def test_what_is_compared_comes_before_what_weighs_otherwise() -> None:
    before = with_rows(trained())
    stats = list(before.fingerprint.field_stats)
    stats[4] = replace(stats[4], kind=FieldKind.PHONE)
    after = with_rows(with_stats(before, *stats), m=((0.0, 0.3, 0.7), *M[1:]))
    first, second = compare(before, after).fields
    assert (first.name, first.is_reshaped) == ("bsn", True)
    assert (second.name, second.largest_shift) == ("voornamen", INFINITE)


def test_weights_that_are_infinite() -> None:
    certain: Rows = ((0.0, 0.3, 0.7), (0.1, 0.2, 0.7), *M[2:])
    unseen: Rows = (U[0], (0.9, 0.0, 0.1), *U[2:])
    before = with_rows(trained(), certain, unseen)
    assert not compare(before, before).differs
    fields = compare(with_rows(trained()), before).fields
    assert [it.levels[place].shift for place, it in enumerate(fields)] == [
        -INFINITE,
        INFINITE,
    ]
    # m is 0 on both sides; u changed, the weight did not.
    rarer = with_rows(trained(), certain, ((0.7, 0.2, 0.1), *unseen[1:]))
    [change] = compare(before, rarer).fields
    assert change.levels[0].differs
    assert change.levels[0].shift == 0
    # From never among matches to never among non-matches.
    turned = with_rows(trained(), ((1.0, 0.0, 0.0), *M[1:]), ((0.0, 0.5, 0.5), *U[1:]))
    assert compare(before, turned).fields[0].levels[0].shift == INFINITE


def test_another_number_of_levels() -> None:
    longer = with_rows(
        trained(), ((0.1, 0.2, 0.6, 0.1), *M[1:]), ((0.8, 0.1, 0.05, 0.05), *U[1:])
    )
    [change] = compare(with_rows(trained()), longer).fields
    assert change.is_reshaped
    assert change.levels[3].before is None
    assert change.levels[3].after is not None
    assert change.levels[3].shift == 0
    assert compare(longer, with_rows(trained())).fields[0].levels[3].after is None


@pytest.mark.parametrize(
    "changed",
    [{"null_rate": 0.25}, {"cardinality": 7}, {"top_k": ("x",)}, {"kind": "Alias"}],
)
def test_statistics_of_a_field_are_compared(changed) -> None:
    before = trained()
    stats = before.fingerprint.field_stats
    after = with_stats(before, replace(stats[0], **changed), *stats[1:])
    [change] = compare(before, after).fields
    assert change.name == "voornamen"
    assert change.largest_shift == 0
    assert not any(level.differs for level in change.levels)


def test_null_rate_that_is_no_number_is_the_same_as_itself() -> None:
    before, again = (
        with_stats(
            trained(),
            *(
                replace(it, null_rate=float("nan"))
                for it in trained().fingerprint.field_stats
            ),
        )
        for _ in range(2)
    )
    assert not compare(before, again).differs
    assert len(compare(before, trained()).fields) == 5


def test_rows_that_belong_to_no_field_are_compared_by_position() -> None:
    before = with_rows(trained(), M[:2], U[:2])
    after = with_rows(trained(), (M[0], (0.1, 0.1, 0.8)), U[:2])
    [change] = compare(before, after).fields
    assert (change.name, change.before, change.after) == ("row 1", None, None)
    assert change.presence is Presence.KEPT
    assert change.largest_shift == pytest.approx(1)


def test_field_that_stands_twice_is_compared_one_by_one() -> None:
    def twice(*kinds: FieldKind) -> ModelArtifact:
        made = SchemaFingerprint(
            schema_hash="ab" * 32,
            field_stats=tuple(FieldStats(name="a", kind=kind) for kind in kinds),
            record_count=0,
            created_at=0,
        )
        return trained(made)

    before = twice(FieldKind.ID, FieldKind.ID)
    assert not compare(before, twice(FieldKind.ID, FieldKind.ID)).differs
    for kinds in ((FieldKind.DATE, FieldKind.ID), (FieldKind.ID, FieldKind.DATE)):
        [change] = compare(before, twice(*kinds)).fields
        assert (change.name, change.is_reshaped) == ("a", True)
