"""Random calls against a dict: whatever happens, the registry answers like one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from tests.strategies import artifacts, fingerprints
from zsm_store import (
    WARM_START_THRESHOLD,
    AmbiguousRefError,
    ArtifactFormatError,
    ArtifactNotFoundError,
    ColdStart,
    ConflictError,
    Layout,
    NearestArtifact,
    SchemaRegistry,
    Severity,
    StartupMode,
    WarmLoad,
    WarmStart,
    fingerprint_distance,
)
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from zsm_store import ModelArtifact, Problem, SchemaFingerprint

NO_DIGEST = "sha256:" + "0" * 64
PRECONDITIONS = st.sampled_from(["none", "none", "right", "wrong", "absent"])


def errors_of(registry: SchemaRegistry) -> list[Problem]:
    """Return what is not served; the strategies make a lot that is only suspicious."""
    return [
        problem for problem in registry.verify() if problem.severity is Severity.ERROR
    ]


class RegistryMachine(RuleBasedStateMachine):
    """A registry beside a dict of what it has to hold."""

    trained = Bundle("trained")
    layout: Layout | None = None

    def __init__(self) -> None:
        super().__init__()
        self.expected: dict[str, ModelArtifact] = {}
        self.damaged: set[str] = set()
        folder = tempfile.TemporaryDirectory()
        self.cleanup = [folder.cleanup]
        self.folder = Path(folder.name)
        # No power cut happens here, and waiting for the disk takes most of the time.
        sync = mock.patch("os.fsync")
        sync.start()
        self.cleanup.append(sync.stop)
        self.registry = self.opened()

    def teardown(self) -> None:
        for undo in self.cleanup:
            undo()

    def opened(self) -> SchemaRegistry:
        if self.layout is None:
            return SchemaRegistry.in_memory()
        return SchemaRegistry.init(self.folder / "registry", layout=self.layout)

    # what the dict says

    def listed(self) -> list[ModelArtifact]:
        return [self.expected[key] for key in sorted(self.expected)]

    def ranked(self, wanted: SchemaFingerprint) -> list[NearestArtifact]:
        return sorted(
            (
                NearestArtifact(
                    artifact=one,
                    distance=fingerprint_distance(one.fingerprint, wanted),
                )
                for one in self.listed()
            ),
            key=lambda near: (
                near.artifact.schema_hash != wanted.schema_hash,
                near.distance,
                near.artifact.schema_hash,
            ),
        )

    def decided(self, wanted: SchemaFingerprint) -> type[StartupMode]:
        if wanted.schema_hash in self.expected:
            return WarmLoad
        ranked = self.ranked(wanted)
        if ranked and ranked[0].distance <= WARM_START_THRESHOLD:
            return WarmStart
        return ColdStart

    # calls

    @rule(target=trained, artifact=artifacts())
    def train(self, artifact: ModelArtifact) -> ModelArtifact:
        return artifact

    @rule(artifact=trained, number=st.integers(0, 3), condition=PRECONDITIONS)
    def save(self, artifact: ModelArtifact, number: int, condition: str) -> None:
        artifact = replace(artifact, em_iterations=number)
        key = artifact.schema_hash
        stored = self.expected.get(key)
        digest = None if stored is None else artifact_json.digest(stored)
        if_match = {"right": digest, "wrong": NO_DIGEST}.get(condition)
        if_absent = condition == "absent"
        conditional = if_absent or if_match is not None
        if key in self.damaged and conditional:
            with pytest.raises(ArtifactFormatError):
                self.registry.save(artifact, if_match=if_match, if_absent=if_absent)
        elif condition == "wrong" or (if_absent and stored is not None):
            with pytest.raises(ConflictError) as caught:
                self.registry.save(artifact, if_match=if_match, if_absent=if_absent)
            assert caught.value.found == digest
        else:
            found = self.registry.save(artifact, if_match=if_match, if_absent=if_absent)
            assert found == artifact_json.digest(artifact)
            self.expected[key] = artifact
            self.damaged.discard(key)

    @rule(artifact=trained, condition=PRECONDITIONS)
    def delete(self, artifact: ModelArtifact, condition: str) -> None:
        key = artifact.schema_hash
        stored = self.expected.get(key)
        right = None if stored is None else artifact_json.digest(stored)
        if_match = {"right": right, "wrong": NO_DIGEST}.get(condition)
        if key in self.damaged and if_match is not None:
            with pytest.raises(ArtifactFormatError):
                self.registry.delete(key, if_match=if_match)
        elif condition == "wrong":
            with pytest.raises(ConflictError):
                self.registry.delete(key, if_match=if_match)
        else:
            there = stored is not None or key in self.damaged
            assert self.registry.delete(key, if_match=if_match) is there
            self.expected.pop(key, None)
            self.damaged.discard(key)

    @rule(artifact=trained)
    def get(self, artifact: ModelArtifact) -> None:
        key = artifact.schema_hash
        if key in self.damaged:
            with pytest.raises(ArtifactFormatError):
                self.registry.get(key)
        elif key in self.expected:
            assert self.registry.get(key) == self.expected[key]
            assert self.registry.get_exact(artifact.fingerprint) == self.expected[key]
            assert self.registry.get(key[:20].upper()) == self.expected[key]
            digest = artifact_json.digest(self.expected[key])
            assert self.registry.digest(key) == digest
        else:
            assert self.registry.get_exact(artifact.fingerprint) is None
            with pytest.raises(ArtifactNotFoundError):
                self.registry.get(key)

    @rule(artifact=trained)
    def get_by_tag(self, artifact: ModelArtifact) -> None:
        tag = artifact.tag
        if tag is None:
            return
        keys = [one.schema_hash for one in self.listed() if one.tag == tag]
        if len(keys) > 1:
            with pytest.raises(AmbiguousRefError) as caught:
                self.registry.get(tag)
            assert list(caught.value.candidates) == keys
        elif keys:
            assert self.registry.get(tag) == self.expected[keys[0]]
        else:
            with pytest.raises(ArtifactNotFoundError):
                self.registry.get(tag)

    @rule(artifact=trained, unknown=fingerprints(), exact=st.booleans())
    def look_up(
        self, artifact: ModelArtifact, unknown: SchemaFingerprint, *, exact: bool
    ) -> None:
        wanted = artifact.fingerprint if exact else unknown
        mode = self.registry.lookup_startup_mode(wanted, explain=True)
        assert type(mode) is self.decided(wanted)
        bounded = self.registry.lookup_startup_mode(wanted)
        if isinstance(mode, ColdStart):
            assert bounded == replace(mode, nearest=None, runner_up=None)
        else:
            assert bounded == replace(mode, runner_up=None)
        ranked = self.ranked(wanted)
        assert self.registry.nearest(wanted, 3) == ranked[:3]
        match mode:
            case WarmLoad(artifact=found) | WarmStart(artifact=found):
                assert found == ranked[0].artifact
            case ColdStart(nearest=nearest):
                assert nearest == (ranked[0] if ranked else None)
        runner_up = None if mode.runner_up is None else mode.runner_up.schema_hash
        assert runner_up == (ranked[1].artifact.schema_hash if ranked[1:] else None)

    @rule()
    def pack_and_unpack(self) -> None:
        report = self.registry.pack(self.folder / "all.zsm")
        assert report.packed == tuple(sorted(self.expected))
        assert len(report.skipped) == len(self.damaged)
        with SchemaRegistry.open(self.folder / "all.zsm") as packed:
            assert packed.list_all() == self.listed()
            assert errors_of(packed) == []
        copied = SchemaRegistry.in_memory()
        assert copied.unpack(self.folder / "all.zsm").saved == report.packed
        assert copied.list_all() == self.listed()

    @rule(artifact=trained, replace_others=st.booleans())
    def unpack_from_elsewhere(
        self, artifact: ModelArtifact, *, replace_others: bool
    ) -> None:
        elsewhere = SchemaRegistry.in_memory()
        digest = elsewhere.save(artifact)
        elsewhere.pack(self.folder / "elsewhere.zsm")
        report = self.registry.unpack(
            self.folder / "elsewhere.zsm", replace=replace_others
        )
        key = artifact.schema_hash
        stored = self.expected.get(key)
        if stored is not None and artifact_json.digest(stored) == digest:
            assert report.unchanged == (key,)
        elif stored is not None and not replace_others:
            assert report.kept == (key,)
        elif key in self.damaged and not replace_others:
            assert len(report.refused) == 1
        else:
            assert report.saved == (key,)
            self.expected[key] = artifact
            self.damaged.discard(key)

    @invariant()
    def holds_what_it_has_to(self) -> None:
        assert self.registry.list_all() == self.listed()
        assert len(self.registry) == len(self.expected)

    @invariant()
    def damage_is_reported_and_nothing_else(self) -> None:
        errors = errors_of(self.registry)
        assert {Path(problem.path).stem for problem in errors} == self.damaged
        assert len(errors) == len(self.damaged)


class DirectoryMachine(RegistryMachine):
    """The same with files, which others write, damage and delete."""

    layout = Layout.FLAT
    trained = RegistryMachine.trained

    def files(self, key: str) -> list[Path]:
        """Return both places of an artifact, the one that counts first."""
        flat = self.folder / "registry" / f"{key}.json"
        fan = self.folder / "registry" / key[:2] / flat.name
        return [fan, flat] if self.layout is Layout.FAN_OUT else [flat, fan]

    def write(self, key: str, data: bytes, *, other: bool) -> None:
        chosen, alternative = self.files(key)
        if other and not chosen.exists():
            chosen = alternative
        elif alternative.exists():
            alternative.unlink()
        chosen.parent.mkdir(exist_ok=True)
        chosen.write_bytes(data)
        self.wait_for_the_next_listing()

    def wait_for_the_next_listing(self) -> None:
        """Let the time pass after which no time stamp is believed any more.

        What others overwrite, or change in a fan-out folder, shows only then.
        """
        view = self.registry._catalog._view
        if view is not None:
            view.listing.state = None

    @rule()
    def reopen(self) -> None:
        self.registry = SchemaRegistry.open(self.folder / "registry")

    @rule(artifact=trained, other=st.booleans(), number=st.integers(4, 6))
    def somebody_writes(
        self, artifact: ModelArtifact, number: int, *, other: bool
    ) -> None:
        artifact = replace(artifact, em_iterations=number)
        key = artifact.schema_hash
        self.write(key, artifact_json.encode(artifact), other=other)
        self.expected[key] = artifact
        self.damaged.discard(key)

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), other=st.booleans())
    def somebody_damages(self, data: st.DataObject, *, other: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.expected)))
        good = artifact_json.encode(self.expected.pop(key))
        end = data.draw(st.integers(0, len(good) - 2))
        self.write(key, good[:end], other=other)
        self.damaged.add(key)

    @rule(artifact=trained)
    def somebody_deletes(self, artifact: ModelArtifact) -> None:
        key = artifact.schema_hash
        for file in self.files(key):
            file.unlink(missing_ok=True)
        self.wait_for_the_next_listing()
        self.expected.pop(key, None)
        self.damaged.discard(key)

    @rule(name=st.sampled_from(["README.md", "notes.json", ".hidden", "zz"]))
    def somebody_adds_another_file(self, name: str) -> None:
        (self.folder / "registry" / name).write_bytes(b"not an artifact")


class FanOutMachine(DirectoryMachine):
    """The same in the other layout."""

    layout = Layout.FAN_OUT
    trained = RegistryMachine.trained


# A run makes many calls, and after each the registry tells everything: fewer runs than
# of a property that is one call.
FEWER = settings(
    max_examples=max(settings().max_examples // 4, 1), stateful_step_count=25
)

TestMemory = RegistryMachine.TestCase
TestFlat = DirectoryMachine.TestCase
TestFanOut = FanOutMachine.TestCase
TestMemory.settings = TestFlat.settings = TestFanOut.settings = FEWER
