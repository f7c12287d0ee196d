"""Which whole side of a merge to take, or why a person has to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from zsm_store.codec import artifact_json
from zsm_store.errors import ArtifactFormatError

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelArtifact


T = TypeVar("T", int, tuple[int, int])


class Policy(StrEnum):
    """What decides between two trainings of one schema."""

    MANUAL = "manual"
    """A person."""
    NEWEST = "newest"
    """The time of training: the later one."""
    RECORDS = "records"
    """The number of records: the larger one."""


class Side(StrEnum):
    """A side of a merge, in git's words."""

    OURS = "ours"
    THEIRS = "theirs"

    @property
    def other(self) -> Side:
        """The other side."""
        return Side.THEIRS if self is Side.OURS else Side.OURS


@dataclass(frozen=True, slots=True)
class Version:
    """An artifact's file on one side, or in what both come from."""

    data: bytes
    artifact: ModelArtifact | None
    """None: the file cannot be trusted."""
    digest: str | None
    problem: str
    """Why it cannot be trusted."""
    other_schema: str | None = None
    """Whose artifact this is, if it is sound and of another schema: git took one file
    for another one, renamed."""

    @classmethod
    def of(cls, data: bytes, schema_hash: str) -> Version:
        """Check a file that is named after `schema_hash`."""
        try:
            artifact, digest = artifact_json.decode_with_digest(data)
        except ArtifactFormatError as error:
            return cls(data, None, None, error.reason)
        if artifact.schema_hash != schema_hash:
            found = artifact.schema_hash
            return cls(data, None, None, f"it is of the schema {found}", found)
        return cls(data, artifact, digest, "")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to become of a conflict."""

    side: Side | None
    """None: a person has to say."""
    reason: str


def choose(
    base: Version | None, ours: Version | None, theirs: Version | None, policy: Policy
) -> Choice:
    """Choose a whole side; the same one when the sides are swapped.

    Parameters
    ----------
    base, ours, theirs
        None where there is no such file. A base that cannot be trusted is like none.
    policy
        Decides between two trainings, but never about a tag.
    """
    if ours is None or theirs is None:
        return Choice(None, _gone(base, ours, theirs))
    if ours.artifact is None or theirs.artifact is None:
        return Choice(None, _untrusted(ours, theirs))
    if ours.digest == theirs.digest:
        # Line ends or blanks differ: any will do, but the same one for everybody.
        side = Side.OURS if ours.data <= theirs.data else Side.THEIRS
        return Choice(side, "both are the same training")
    origin = None if base is None else base.artifact
    return _between(origin, ours.artifact, theirs.artifact, policy)


def _gone(base: Version | None, ours: Version | None, theirs: Version | None) -> str:
    left = ours or theirs
    if left is None:
        return "neither side has it any more"
    side = Side.THEIRS if ours is None else Side.OURS
    if left.artifact is None:
        return f"{side} cannot be trusted: {left.problem}"
    if base is None:
        return f"only {side} has it, which git took for another one renamed"
    return f"{side.other} deleted it, {side} trained it"


def _untrusted(ours: Version, theirs: Version) -> str:
    if ours.artifact is None and theirs.artifact is None:
        return f"neither side can be trusted; ours: {ours.problem}"
    side, version = (
        (Side.OURS, ours) if ours.artifact is None else (Side.THEIRS, theirs)
    )
    if version.other_schema:
        return (
            f"{side} is a training of {version.other_schema}, which git took for this"
        )
    return f"{side} cannot be trusted: {version.problem}"


def _between(
    base: ModelArtifact | None,
    ours: ModelArtifact,
    theirs: ModelArtifact,
    policy: Policy,
) -> Choice:
    tags = _changed(base and (base.tag,), (ours.tag,), (theirs.tag,))
    if len(tags) > 1:
        return Choice(None, f"two tags: {_named(ours)} and {_named(theirs)}")
    models = _changed(base and _model(base), _model(ours), _model(theirs))
    if len(models) > 1:
        choice = _by_policy(ours, theirs, policy)
    elif models:
        choice = Choice(models[0], "only this side trained it")
    elif tags:
        choice = Choice(tags[0], "only this side changed the tag")
    else:
        choice = _later(ours, theirs)
    if choice.side is not None and choice.side.other in tags:
        return Choice(
            None, f"{choice.side} trained it, {choice.side.other} changed the tag"
        )
    return choice


def _changed(base: object, ours: object, theirs: object) -> list[Side]:
    """Return the sides that changed something; none where both did the same."""
    if ours == theirs:
        return []
    return [
        side for side, now in ((Side.OURS, ours), (Side.THEIRS, theirs)) if now != base
    ]


def _named(artifact: ModelArtifact) -> str:
    return "none" if artifact.tag is None else repr(artifact.tag)


def _model(artifact: ModelArtifact) -> ModelArtifact:
    """Return what training gives: all but the name and the clock."""
    fingerprint = replace(artifact.fingerprint, created_at=0)
    return replace(artifact, fingerprint=fingerprint, tag=None, trained_on=0)


def _by_policy(ours: ModelArtifact, theirs: ModelArtifact, policy: Policy) -> Choice:
    match policy:
        case Policy.MANUAL:
            return Choice(None, "both sides trained it")
        case Policy.NEWEST:
            reason, missed = "trained later", "is later"
            pair = ours.trained_on, theirs.trained_on
        case Policy.RECORDS:
            reason, missed = "more records", "has more records"
            pair = ours.fingerprint.record_count, theirs.fingerprint.record_count
    side = _larger(*pair)
    if side is None:
        return Choice(None, f"both sides trained it, and neither {missed}")
    return Choice(side, reason)


def _later(ours: ModelArtifact, theirs: ModelArtifact) -> Choice:
    """Choose between one training and another that gave just the same."""
    stamps = [(it.trained_on, it.fingerprint.created_at) for it in (ours, theirs)]
    return Choice(_larger(*stamps), "the same model, trained again")


def _larger(ours: T, theirs: T) -> Side | None:
    if ours == theirs:
        return None
    return Side.OURS if ours > theirs else Side.THEIRS
