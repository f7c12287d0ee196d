"""`zsm git resolve`: one whole side, or a person has to say."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples import BRP, SIM, numbered, trained
from tests.git.scene import (
    OTHER_M,
    OTHER_U,
    Scene,
    needs_git,
    repository,
    retrained,
)
from tests.processes import running
from zsm_store import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    GitError,
    Layout,
    ModelArtifact,
    RegistryLockedError,
    SchemaRegistry,
)
from zsm_store.codec import artifact_json
from zsm_store.git.choice import Policy, Side
from zsm_store.git.repository import Repository
from zsm_store.git.resolve import Resolution, resolve
from zsm_store.registry.site import RegistrySite
from zsm_store.storage.directory import ArtifactDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = needs_git

BASE = trained(BRP)
EARLY = retrained(BASE, m=OTHER_M, days=1, records=900)
LATE = retrained(BASE, u=OTHER_U, days=2, records=100)


def resolved(scene: Scene, *refs: str, **kw: Any) -> Resolution:
    return resolve(scene.registry, refs, lock_timeout_s=5, **kw)


def reasons(resolution: Resolution) -> list[str]:
    return [outcome.choice.reason for outcome in resolution.outcomes]


def served(scene: Scene) -> dict[str, ModelArtifact]:
    with SchemaRegistry.open(scene.registry) as registry:
        return {artifact.schema_hash: artifact for artifact in registry.list_all()}


def check_taken(scene: Scene, wanted: ModelArtifact) -> None:
    """Whole in the work tree, staged, and git knows that the two are the same."""
    data = artifact_json.encode(wanted)
    assert scene.path(wanted).read_bytes() == data
    assert scene.at("", wanted) == data
    assert scene.unmerged() == []
    assert scene.git("diff-files", "--name-only") == ""


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("policy", "wanted"), [(Policy.NEWEST, LATE), (Policy.RECORDS, EARLY)]
)
def test_a_policy_takes_the_same_training_whichever_side_it_is_on(
    scene, policy, wanted, swapped
) -> None:
    sides = ([LATE], [EARLY]) if swapped else ([EARLY], [LATE])
    scene.fork(*sides)
    scene.conflicts("merge", "theirs")
    assert not resolved(scene, policy=policy).left
    check_taken(scene, wanted)
    scene.git("merge", "--continue")
    assert served(scene) == {BASE.schema_hash: wanted}


def test_two_trainings_are_for_a_person_unless_there_is_a_policy(scene) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    before = scene.git("ls-files", "-u")
    (left,) = resolved(scene).left
    assert left.choice.reason == "both sides trained it"
    ref = BASE.schema_hash[:12]
    assert left.advice == f"'zsm git resolve --ours {ref}', or --theirs"
    assert scene.git("ls-files", "-u") == before


@pytest.mark.parametrize(("side", "wanted"), [(Side.OURS, EARLY), (Side.THEIRS, LATE)])
def test_a_side_can_be_asked_for(scene, side, wanted) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    assert not resolved(scene, BASE.schema_hash[:8], side=side).left
    check_taken(scene, wanted)


def test_no_new_object_is_made(scene) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    before = scene.git("count-objects")
    resolved(scene, policy=Policy.NEWEST)
    assert scene.git("count-objects") == before


@pytest.mark.parametrize("policy", [Policy.NEWEST, Policy.RECORDS])
def test_a_tie_is_left(scene, policy) -> None:
    scene.fork([retrained(BASE, m=OTHER_M)], [retrained(BASE, u=OTHER_U)])
    scene.conflicts("merge", "theirs")
    (left,) = resolved(scene, policy=policy).left
    assert left.choice.reason.startswith("both sides trained it, and neither ")


@pytest.mark.parametrize("policy", Policy)
def test_two_tags_are_left_whatever_the_policy(scene, policy) -> None:
    scene.fork(
        [retrained(BASE, tag="a", days=1)], [retrained(BASE, m=OTHER_M, tag="b")]
    )
    scene.conflicts("merge", "theirs")
    assert reasons(resolved(scene, policy=policy)) == ["two tags: 'a' and 'b'"]
    assert scene.unmerged()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_tag_on_one_side_and_a_training_on_the_other_are_left(scene, swapped) -> None:
    sides = [retrained(BASE, tag="live")], [retrained(LATE)]
    scene.fork(*(reversed(sides) if swapped else sides))
    scene.conflicts("merge", "theirs")
    for policy in Policy:
        (reason,) = reasons(resolved(scene, policy=policy))
        names = ("ours", "theirs") if swapped else ("theirs", "ours")
        assert reason == "{} trained it, {} changed the tag".format(*names)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_side_that_only_ran_again_gives_way_to_a_training(scene, swapped) -> None:
    """Its stamps are newer, its model is the old one."""
    sides = [retrained(BASE, days=9)], [EARLY]
    scene.fork(*(reversed(sides) if swapped else sides))
    scene.conflicts("merge", "theirs")
    assert not resolved(scene).left
    check_taken(scene, EARLY)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_same_training_run_twice_is_that_of_the_later_run(scene, swapped) -> None:
    again = retrained(EARLY, days=1)
    scene.fork(*([[again], [EARLY]] if swapped else [[EARLY], [again]]))
    scene.conflicts("merge", "theirs")
    assert not resolved(scene).left
    check_taken(scene, again)


def test_the_same_artifact_laid_out_differently_is_one_for_everybody(scene) -> None:
    taken = set()
    for name, swapped in (("one", False), ("other", True)):
        scene.branch(f"{name}-theirs", "main")
        pretty = json.dumps(json.loads(artifact_json.encode(EARLY)), indent=4).encode()
        sides = [pretty, artifact_json.encode(EARLY)]
        ours, theirs = reversed(sides) if swapped else sides
        scene.path(BASE).write_bytes(theirs)
        scene.commit("theirs")
        scene.branch(f"{name}-ours", "main")
        scene.path(BASE).write_bytes(ours)
        scene.commit("ours")
        scene.conflicts("merge", f"{name}-theirs")
        assert not resolved(scene).left
        taken.add(scene.path(BASE).read_bytes())
        scene.git("merge", "--abort")
    assert len(taken) == 1


@pytest.mark.parametrize("damaged", Side)
def test_a_side_that_cannot_be_trusted_is_named_and_left(scene, damaged) -> None:
    broken = artifact_json.encode(EARLY).replace(b"0.9", b"0.8", 1)
    scene.branch("theirs")
    ours, theirs = artifact_json.encode(LATE), broken
    if damaged is Side.OURS:
        ours, theirs = theirs, ours
    scene.path(BASE).write_bytes(theirs)
    scene.commit("theirs")
    scene.go("main")
    scene.path(BASE).write_bytes(ours)
    scene.commit("ours")
    scene.conflicts("merge", "theirs")
    for kw in ({"policy": Policy.NEWEST}, {"side": damaged}):
        (left,) = resolved(scene, **kw).left
        assert left.choice.reason.startswith(f"{damaged} cannot be trusted: ")
        ref = BASE.schema_hash[:12]
        assert left.advice == f"'zsm git resolve --{damaged.other} {ref}'"
    assert not resolved(scene, side=damaged.other).left
    check_taken(scene, LATE)


@pytest.mark.parametrize("deleter", Side)
def test_what_one_side_deleted_is_left_until_a_side_is_asked_for(
    scene, deleter
) -> None:
    scene.branch("theirs")
    for side, branch in ((Side.THEIRS, "theirs"), (Side.OURS, "main")):
        scene.go(branch)
        if side is deleter:
            scene.delete(BASE.schema_hash)
            scene.commit("delete")
        else:
            scene.commit("train", LATE)
    scene.conflicts("merge", "theirs")
    (left,) = resolved(scene, policy=Policy.NEWEST).left
    assert left.choice.reason == f"{deleter} deleted it, {deleter.other} trained it"
    ref = BASE.schema_hash[:12]
    assert left.advice == (
        f"'zsm git resolve --{deleter.other} {ref}' keeps it, --{deleter} deletes it"
    )
    scene.git("stash", "list")  # the index can be read
    assert not resolved(scene, side=deleter).left
    assert not scene.path(BASE).exists()
    assert scene.git("ls-files", "-s", scene.name(BASE)) == ""


@pytest.mark.parametrize("deleter", Side)
def test_what_one_side_deleted_can_be_kept(scene, deleter) -> None:
    scene.branch("theirs")
    for side, branch in ((Side.THEIRS, "theirs"), (Side.OURS, "main")):
        scene.go(branch)
        if side is deleter:
            scene.delete(BASE.schema_hash)
            scene.commit("delete")
        else:
            scene.commit("train", LATE)
    scene.conflicts("merge", "theirs")
    assert not resolved(scene, side=deleter.other).left
    check_taken(scene, LATE)


def test_both_made_an_artifact_that_neither_had(scene) -> None:
    old, new = trained(SIM), retrained(trained(SIM), m=OTHER_M, days=3)
    scene.fork([old], [new])
    scene.conflicts("merge", "theirs")
    assert len(resolved(scene).left) == 1
    assert not resolved(scene, policy=Policy.NEWEST).left
    check_taken(scene, new)


def test_what_git_takes_for_renamed_is_never_mixed_into_another_schema(scene) -> None:
    """Ours replaces a schema by one with a field more; theirs trains the old one."""
    first, grown = numbered(1), numbered(2)
    scene.commit("more", first)
    scene.branch("theirs")
    scene.commit("train", retrained(first, m=OTHER_M, days=1))
    scene.go("main")
    scene.delete(first.schema_hash)
    scene.commit("rename a field", grown)
    scene.conflicts("merge", "theirs")
    assert scene.unmerged() == [scene.name(grown)]
    (left,) = resolved(scene, policy=Policy.NEWEST).left
    reason = f"theirs is a training of {first.schema_hash}, which git took for this"
    assert left.choice.reason == reason
    assert resolved(scene, side=Side.THEIRS).left
    assert not resolved(scene, side=Side.OURS).left
    check_taken(scene, grown)


@pytest.mark.parametrize("side", Side)
def test_a_training_saved_during_the_conflict_is_not_lost(scene, side) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    third = retrained(BASE, em_iterations=99)
    scene.save(third)
    (left,) = resolved(scene, side=side).left
    assert left.choice.reason == "the work tree has a training that is on neither side"
    assert "'git add " in left.advice
    assert served(scene)[BASE.schema_hash] == third


def test_the_markers_of_a_text_merge_are_replaced(scene) -> None:
    (scene.registry / ".gitattributes").write_text("*.json -text\n")
    scene.commit("no protection")
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    assert b"<<<<<<<" in scene.path(BASE).read_bytes()
    assert served(scene) == {}
    assert not resolved(scene, policy=Policy.NEWEST).left
    check_taken(scene, LATE)


def test_a_link_is_no_training(scene) -> None:
    """git puts the file of the other side beside it, under a name of its own."""
    scene.branch("theirs")
    scene.path(BASE).unlink()
    scene.path(BASE).symlink_to("elsewhere.json")
    scene.commit("a link")
    scene.go("main")
    scene.commit("ours", EARLY)
    scene.git("merge", "theirs", code=1)
    before = scene.git("ls-files", "-u")
    for kw in ({"policy": Policy.NEWEST}, {"side": Side.THEIRS}):
        done = resolved(scene, **kw)
        assert reasons(done) == ["theirs cannot be trusted: it is a link"]
        assert done.others == [f"{scene.name(BASE)}~HEAD"]
    assert scene.git("ls-files", "-u") == before


def test_two_schemas_made_of_one_are_both_kept_if_asked_for(scene) -> None:
    """git takes both for the old one, renamed twice."""
    old, mine, other = (numbered(number) for number in range(3))
    scene.commit("old", old)
    scene.branch("theirs")
    scene.delete(old.schema_hash)
    scene.commit("theirs", other)
    scene.go("main")
    scene.delete(old.schema_hash)
    scene.commit("ours", mine)
    scene.conflicts("merge", "theirs")
    assert sorted(reasons(resolved(scene, policy=Policy.NEWEST))) == [
        "neither side has it any more",
        "only ours has it, which git took for another one renamed",
        "only theirs has it, which git took for another one renamed",
    ]
    (left,) = resolved(scene, side=Side.OURS).left
    assert left.conflict.schema_hash == other.schema_hash
    ref = other.schema_hash[:12]
    keep = f"'zsm git resolve --theirs {ref}' keeps it, 'git rm' deletes it"
    assert left.advice == keep
    resolved(scene, other.schema_hash, side=Side.THEIRS)
    assert scene.unmerged() == []
    found = served(scene)
    assert found[mine.schema_hash] == mine
    assert found[other.schema_hash] == other
    assert old.schema_hash not in found


def test_other_line_ends_are_no_other_training(scene) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    path = scene.path(BASE)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not resolved(scene, policy=Policy.NEWEST).left
    check_taken(scene, LATE)


def test_an_artifact_in_a_folder_of_other_digits_is_none(scene) -> None:
    for branch, artifact in (("theirs", LATE), ("main", EARLY)):
        if branch == "theirs":
            scene.branch(branch)
        else:
            scene.go(branch)
        folder = scene.registry / "00"
        folder.mkdir()
        (folder / scene.path(BASE).name).write_bytes(artifact_json.encode(artifact))
        scene.commit(branch)
    scene.conflicts("merge", "theirs")
    assert resolved(scene, policy=Policy.NEWEST).outcomes == []


def test_an_artifact_in_both_layouts_is_left(scene) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    folder = scene.registry / BASE.schema_hash[:2]
    folder.mkdir()
    (folder / scene.path(BASE).name).write_bytes(artifact_json.encode(BASE))
    (left,) = resolved(scene, policy=Policy.NEWEST).left
    assert left.choice.reason == "it lies in both layouts"


def test_a_conflict_in_a_folder_is_resolved_there(scene) -> None:
    registry = scene.top / "fan"
    with SchemaRegistry.init(registry, layout=Layout.FAN_OUT) as fan:
        fan.save(BASE)
    scene.commit("fan")
    other = Scene(scene.top, registry)
    other.fork([EARLY], [LATE])
    other.conflicts("merge", "theirs")
    path = registry / BASE.schema_hash[:2] / scene.path(BASE).name
    done = resolve(registry, policy=Policy.NEWEST, lock_timeout_s=5)
    assert [outcome.choice.side for outcome in done.outcomes] == [Side.THEIRS]
    assert path.read_bytes() == artifact_json.encode(LATE)
    assert scene.unmerged() == []


def test_only_what_is_asked_for_is_resolved(scene) -> None:
    many = [numbered(number, tag=f"tag {number}") for number in range(3)]
    scene.commit("many", *many)
    scene.fork(
        [retrained(one, m=OTHER_M, days=1) for one in many],
        [retrained(one, u=OTHER_U, days=2) for one in many],
    )
    scene.conflicts("merge", "theirs")
    resolved(scene, "tag 1", many[2].schema_hash, policy=Policy.NEWEST)
    assert scene.unmerged() == [scene.name(many[0])]
    with pytest.raises(ArtifactNotFoundError, match="it is not in conflict"):
        resolved(scene, "tag 1")


def test_a_tag_of_several_conflicts_is_ambiguous(scene) -> None:
    many = [numbered(number, tag="same") for number in range(2)]
    scene.fork(many, [retrained(one, m=OTHER_M) for one in many])
    scene.conflicts("merge", "theirs")
    with pytest.raises(AmbiguousRefError):
        resolved(scene, "same")


def test_other_files_in_conflict_are_named_and_left_alone(scene) -> None:
    scene.branch("theirs")
    (scene.registry / "notes.json").write_text("theirs")
    scene.commit("theirs")
    scene.go("main")
    (scene.registry / "notes.json").write_text("ours")
    scene.commit("ours")
    scene.conflicts("merge", "theirs")
    done = resolved(scene, policy=Policy.NEWEST)
    assert done.outcomes == []
    assert done.others == ["models/notes.json"]


@pytest.mark.usefixtures("isolated")
def test_a_registry_that_is_a_whole_repository_has_its_conflicts_found(
    tmp_path,
) -> None:
    scene = repository(tmp_path / "all", ".")
    scene.commit("first", BASE)
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    assert not resolved(scene, policy=Policy.NEWEST).left
    check_taken(scene, LATE)


def test_after_it_git_can_bring_the_conflict_back(scene) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    resolved(scene, side=Side.THEIRS)
    scene.git("checkout", "-m", "--", scene.name(BASE))
    assert scene.unmerged() == [scene.name(BASE)]


def test_two_hundred_conflicts_are_resolved_by_one_process_in_a_moment(scene) -> None:
    many = [numbered(number) for number in range(200)]
    scene.commit("many", *many)
    scene.fork(
        [retrained(one, m=OTHER_M, days=1) for one in many],
        [retrained(one, u=OTHER_U, days=2) for one in many],
    )
    scene.conflicts("merge", "theirs")
    start = time.process_time()
    assert len(resolved(scene, policy=Policy.NEWEST).outcomes) == 200
    # Of its own time: a disk that syncs slowly, and git, are not in it.
    assert time.process_time() - start < 1
    assert scene.unmerged() == []


def test_a_writer_that_saves_right_now_is_waited_for(scene) -> None:
    """It could replace the file between our look at it and the rename."""
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    code = """
import sys
from pathlib import Path
from zsm_store.registry.site import RegistrySite
with RegistrySite(Path(sys.argv[1]), 5).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""
    with running(code, scene.registry, stdin=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        with pytest.raises(RegistryLockedError):
            resolve(scene.registry, side=Side.THEIRS, lock_timeout_s=0.1)
    assert scene.unmerged() == [scene.name(BASE)]
    assert served(scene)[BASE.schema_hash] == EARLY


def test_what_was_written_before_git_refused_is_resolved_by_the_next_call(
    scene,
) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    lock = scene.top / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(GitError, match=r"index\.lock"):
        resolved(scene, side=Side.THEIRS)
    lock.unlink()
    assert served(scene)[BASE.schema_hash] in {EARLY, LATE}
    assert not resolved(scene, side=Side.OURS).left
    check_taken(scene, EARLY)


def test_what_another_process_resolved_meanwhile_is_not_resolved_again(
    scene, monkeypatch
) -> None:
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    locked = RegistrySite.locked

    def after_somebody_else(site: RegistrySite) -> Any:
        monkeypatch.setattr(RegistrySite, "locked", locked)
        resolve(scene.registry, side=Side.THEIRS, lock_timeout_s=5)
        return locked(site)

    monkeypatch.setattr(RegistrySite, "locked", after_somebody_else)
    assert resolved(scene, side=Side.OURS).outcomes == []
    check_taken(scene, LATE)


def test_what_is_resolved_survives_a_power_cut(scene, monkeypatch) -> None:
    """The files are synced when they are staged, and their names before git is told."""
    scene.fork([EARLY], [LATE])
    scene.conflicts("merge", "theirs")
    steps = []
    sync, run_git = ArtifactDirectory.sync, Repository.run

    def recorded_sync(self: ArtifactDirectory, hashes: Iterable[str]) -> None:
        steps.append(f"sync {', '.join(hashes)}")
        sync(self, hashes)

    def recorded_run(self: Repository, *args: str, **kw: Any) -> bytes:
        steps.append(args[0])
        return run_git(self, *args, **kw)

    monkeypatch.setattr(ArtifactDirectory, "sync", recorded_sync)
    monkeypatch.setattr(Repository, "run", recorded_run)
    resolved(scene, side=Side.THEIRS)
    told = steps.index("update-index")
    assert steps[told - 1] == f"sync {BASE.schema_hash}"
