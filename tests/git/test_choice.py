"""The choice between the sides of a merge, as a law."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import BRP, SIM, trained
from tests.git.scene import OTHER_M, retrained
from zsm_store.codec import artifact_json
from zsm_store.git.advice import advice
from zsm_store.git.choice import Policy, Version, choose

BASE = trained(BRP)
KEY = BASE.schema_hash


def laid_out(indent: int, **changes: Any) -> bytes:
    """Write a file as this package does, or as another tool would."""
    data = artifact_json.encode(retrained(BASE, **changes))
    return json.dumps(json.loads(data), indent=indent).encode() if indent else data


artifacts = st.builds(
    laid_out,
    indent=st.sampled_from([0, 4]),
    m=st.sampled_from([None, OTHER_M]),
    em_iterations=st.integers(1, 2),
    days=st.integers(0, 2),
    records=st.integers(0, 2),
    tag=st.sampled_from([None, "a", "b"]),
)
damaged = st.sampled_from([b"", b"{}", b"<<<<<<< ours\n"])
foreign = st.just(artifact_json.encode(trained(SIM)))
versions = st.one_of(
    st.none(),
    st.one_of(artifacts, artifacts, artifacts, damaged, foreign).map(
        lambda data: Version.of(data, KEY)
    ),
)


@given(versions, versions, versions, st.sampled_from(Policy))
def test_everybody_who_merges_takes_the_same_side(base, ours, theirs, policy) -> None:
    here = choose(base, ours, theirs, policy)
    there = choose(base, theirs, ours, policy)
    assert (here.side is None) == (there.side is None)
    if here.side is not None:
        assert there.side is not None
        sides = {"ours": ours, "theirs": theirs}
        swapped = {"ours": theirs, "theirs": ours}
        assert sides[here.side].data == swapped[there.side].data


@given(versions, versions, versions, st.sampled_from(Policy))
def test_what_is_taken_is_whole_and_of_that_schema(base, ours, theirs, policy) -> None:
    choice = choose(base, ours, theirs, policy)
    assert choice.reason
    if choice.side is not None:
        taken = ours if choice.side == "ours" else theirs
        assert taken.artifact.schema_hash == KEY
    else:
        assert advice(KEY, base, ours, theirs)


@given(artifacts, artifacts, st.sampled_from(Policy))
def test_what_one_side_left_alone_is_taken_from_the_other(base, theirs, policy) -> None:
    base, theirs = Version.of(base, KEY), Version.of(theirs, KEY)
    choice = choose(base, base, theirs, policy)
    chosen = base if choice.side == "ours" else theirs
    assert choice.side is not None
    if chosen is base:  # nothing was trained, and it had run later already
        assert choice.reason in {
            "both are the same training",
            "the same model, trained again",
        }


@given(artifacts, artifacts, artifacts, st.sampled_from(Policy))
def test_no_tag_that_only_one_side_changed_is_ever_lost(
    base, ours, theirs, policy
) -> None:
    base, ours, theirs = (Version.of(data, KEY) for data in (base, ours, theirs))
    choice = choose(base, ours, theirs, policy)
    if choice.side is not None:
        taken, other = (ours, theirs) if choice.side == "ours" else (theirs, ours)
        assert other.artifact.tag in {base.artifact.tag, taken.artifact.tag}
