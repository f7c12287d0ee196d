"""No mixture of two trainings is ever served, whatever git is made to do."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples import numbered, trained
from tests.git.scene import GIT, Scene, needs_git, repository
from tests.processes import DEADLINE_S
from zsm_store import (
    ArtifactFormatError,
    ArtifactNotFoundError,
    Field,
    FieldKind,
    ModelArtifact,
    Schema,
    SchemaRegistry,
    Severity,
    WarmLoad,
)
from zsm_store.codec import artifact_json
from zsm_store.git.choice import Policy
from zsm_store.git.installation import Scope, install
from zsm_store.git.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Change = Callable[[ModelArtifact], ModelArtifact]

pytestmark = needs_git

FIELDS = 12
Rows = tuple[tuple[float, ...], ...]


def rows(seed: int) -> Rows:
    """Numbers of one run of a trainer."""
    first = [0.01 * (seed + number) for number in range(FIELDS)]
    return tuple((one, 0.2, 0.8 - one) for one in first)


def part(old: Rows, new: Rows, moved: Sequence[int]) -> Rows:
    """Rows of which some are re-estimated."""
    return tuple(
        after if number in moved else before
        for number, (before, after) in enumerate(zip(old, new, strict=True))
    )


def base(number: int) -> ModelArtifact:
    fields = [Field(f"{number} {it}", FieldKind.NAME) for it in range(FIELDS)]
    plain = trained(Schema(fields))
    return replace(plain, params=replace(plain.params, m=rows(1), u=rows(20)))


def changed(
    it: ModelArtifact, *, days: int = 0, tag: str | None = None, **to: Any
) -> ModelArtifact:
    params = replace(it.params, **to)
    return replace(it, params=params, tag=tag, trained_on=it.trained_on + days)


def full(it: ModelArtifact, seed: int, days: int) -> ModelArtifact:
    return changed(
        it,
        days=days,
        m=rows(seed),
        u=rows(seed + 9),
        log_prior_odds=-3.0 + seed,
        upper_threshold=0.7 + seed / 100,
    )


SCENARIOS: dict[str, tuple[Change, Change]] = {
    "trained anew / trained anew": (
        lambda it: full(it, 2, 1),
        lambda it: full(it, 3, 2),
    ),
    "m / u": (
        lambda it: changed(it, m=rows(2), days=1),
        lambda it: changed(it, u=rows(30), days=2),
    ),
    "m / u, one time stamp": (
        lambda it: changed(it, m=rows(2)),
        lambda it: changed(it, u=rows(30)),
    ),
    "first field / last field": (
        lambda it: changed(it, m=part(it.params.m, rows(2), [0]), days=1),
        lambda it: changed(it, m=part(it.params.m, rows(3), [11]), days=2),
    ),
    "first field / last field, one time stamp": (
        lambda it: changed(it, m=part(it.params.m, rows(2), [0])),
        lambda it: changed(it, m=part(it.params.m, rows(3), [11])),
    ),
    "threshold tuned / trained anew": (
        lambda it: changed(it, upper_threshold=0.95),
        lambda it: full(it, 3, 2),
    ),
    "threshold tuned / m and u with the thresholds kept": (
        lambda it: changed(it, upper_threshold=0.95),
        lambda it: changed(it, m=rows(2), u=rows(30)),
    ),
    "tag / trained anew": (
        lambda it: changed(it, tag="live"),
        lambda it: full(it, 3, 2),
    ),
    "some rows / other rows, one time stamp": (
        lambda it: changed(it, m=part(it.params.m, rows(2), [1, 4, 9])),
        lambda it: changed(it, m=part(it.params.m, rows(3), [3, 7, 11])),
    ),
}
BASES = [base(number) for number in range(len(SCENARIOS))]
OURS = [ours(it) for it, (ours, _) in zip(BASES, SCENARIOS.values(), strict=True)]
THEIRS = [theirs(it) for it, (_, theirs) in zip(BASES, SCENARIOS.values(), strict=True)]
LEFT_BY_NEWEST = 5
"""Those with one time stamp, and the one with a tag on one side only."""
DRIVER = "driver"
ATTRIBUTES = "attributes"
NOTHING = "nothing"


def protect(scene: Scene, how: str) -> None:
    """Prepare a repository without commits."""
    if how == NOTHING:
        (scene.registry / ".gitattributes").unlink()
    if how == DRIVER:
        install(scene.registry, Scope.LOCAL)
        scene.git("config", "zsm.policy", "newest")


@pytest.fixture(name="templates", scope="module")
def _templates(tmp_path_factory) -> dict[str, Path]:
    """Repositories to copy, made when first needed: that takes half of the time."""
    return {"": tmp_path_factory.mktemp("templates")}


@pytest.fixture(name="forked", params=[NOTHING, ATTRIBUTES, DRIVER])
def _forked(request, isolated, templates, tmp_path) -> tuple[Scene, str]:  # noqa: ARG001  # settings first
    """The nine scenarios at once, a file each; ``main`` is checked out."""
    how = request.param
    if how not in templates:
        scene = repository(templates[""] / how)
        protect(scene, how)
        scene.commit("base", *BASES)
        scene.fork(OURS, THEIRS)
        templates[how] = scene.top
    top = tmp_path / "work"
    shutil.copytree(templates[how], top)
    return Scene(top, top / "models"), how


def digests(*trainings: ModelArtifact) -> set[str]:
    return {artifact_json.digest(it) for it in trainings}


KNOWN = digests(*BASES, *OURS, *THEIRS)


def check_served(registry: Path, wanted: Sequence[ModelArtifact], known=KNOWN) -> int:
    """Only whole trainings are served; of all others a check names the file.

    Returns
    -------
    int
        How many files cannot be trusted.
    """
    with SchemaRegistry.open(registry, watch=False) as opened:
        served = {it.schema_hash: it for it in opened.list_all()}
        named = {
            problem.path
            for problem in opened.verify()
            if problem.severity is Severity.ERROR
        }
        damaged = 0
        for it in wanted:
            key = it.schema_hash
            found = opened.lookup_startup_mode(it.fingerprint)
            if key in served:
                assert artifact_json.digest(served[key]) in known
                assert opened.digest(key) in known
                assert artifact_json.digest(opened.get(key)) in known
                assert isinstance(found, WarmLoad)
                assert artifact_json.digest(found.artifact) in known
                continue
            assert not isinstance(found, WarmLoad)
            path = registry / f"{key}.json"
            if path.exists():
                with pytest.raises(ArtifactFormatError):
                    opened.get(key)
                assert str(path) in named
                damaged += 1
            else:
                with pytest.raises(ArtifactNotFoundError):
                    opened.get(key)
    return damaged


def test_a_merge_conflicts_in_every_file(forked) -> None:
    scene, how = forked
    output = scene.git("merge", "theirs", code=1)
    left = scene.unmerged()
    if how == DRIVER:
        assert len(left) == LEFT_BY_NEWEST
        assert output.count("zsm: conflict in ") == LEFT_BY_NEWEST
    else:
        assert len(left) == len(BASES)
    damaged = check_served(scene.registry, BASES)
    assert damaged == (len(BASES) if how == NOTHING else 0)


@pytest.mark.parametrize("strategy", ["-Xours", "-Xtheirs"])
def test_a_favored_side_is_whole_or_named(forked, strategy) -> None:
    scene, how = forked
    code = 1 if how == DRIVER else 0
    scene.git("merge", strategy, "theirs", code=code)
    damaged = check_served(scene.registry, BASES)
    assert bool(damaged) is (how == NOTHING)


@pytest.mark.parametrize(
    "merge",
    [
        ["-s", "resolve", "theirs"],
        ["theirs", "aside"],
        ["-s", "recursive", "theirs"],
        ["--squash", "theirs"],
        ["-Xignore-all-space", "theirs"],
        ["-Xpatience", "theirs"],
    ],
    ids=" ".join,
)
def test_no_strategy_blends(forked, merge) -> None:
    scene, _ = forked
    scene.branch("aside", "main~1")
    scene.commit("aside", numbered(1))
    scene.go("main")
    output = scene.git("merge", *merge, code=None)
    assert "onflict" in output
    check_served(scene.registry, BASES)


def test_a_union_is_named(forked) -> None:
    scene, how = forked
    attributes = scene.registry / ".gitattributes"
    attributes.write_text("*.json merge=union\n")
    scene.git("merge", "theirs", code=None)
    damaged = check_served(scene.registry, BASES)
    if how != DRIVER:  # which the clone's own attributes name
        assert damaged == len(BASES)


@pytest.mark.parametrize("strategy", ["-Xours", "-Xtheirs"])
def test_a_merge_on_a_server_is_whole_or_named(forked, tmp_path, strategy) -> None:
    """As forges merge: in a bare repository, where nobody looks at attributes."""
    scene, _ = forked
    bare = tmp_path / "bare"
    scene.git("clone", "-q", "--bare", scene.top, bare)
    merged = subprocess.run(
        [GIT, "merge-tree", "--write-tree", "main", "theirs"],
        cwd=bare,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert merged.returncode == 1, "every file is in conflict"
    assert merged.stdout.count("CONFLICT") == len(BASES)
    # Somebody who makes it go through all the same: the blends that verify finds.
    scene.git("config", "core.attributesFile", "/dev/null")
    (scene.registry / ".gitattributes").unlink(missing_ok=True)
    (scene.top / ".git" / "info" / "attributes").unlink(missing_ok=True)
    scene.git("merge", strategy, "theirs")
    assert check_served(scene.registry, BASES) > 0


def test_a_server_that_merges_both_blobs_conflicts_without_our_attributes(
    forked,
) -> None:
    scene, _ = forked
    for it in BASES:
        for name, revision in (("o", "main~1"), ("a", "main"), ("b", "theirs")):
            (scene.top / name).write_bytes(scene.at(revision, it))
        scene.git("merge-file", "a", "o", "b", code=None)
        merged = (scene.top / "a").read_bytes()
        assert b"<<<<<<<" in merged
        with pytest.raises(ArtifactFormatError):
            artifact_json.decode(merged)


def test_hunks_that_are_picked_by_hand_are_named(forked) -> None:
    """As `git checkout -p`, `add -p` and editors of forges leave a file."""
    scene, _ = forked
    picked = 0
    for it in BASES:
        mine = scene.at("main", it).splitlines(keepends=True)
        other = scene.at("theirs", it).splitlines(keepends=True)
        for taken in range(len(mine)):
            if mine[taken] == other[taken]:
                continue
            blend = [*mine[:taken], other[taken], *mine[taken + 1 :]]
            if b"".join(blend) in {b"".join(mine), b"".join(other)}:
                continue
            with pytest.raises(ArtifactFormatError):
                artifact_json.decode(b"".join(blend))
            picked += 1
        scene.path(it).write_bytes(b"".join(blend))
    assert picked > 50
    assert check_served(scene.registry, BASES) == len(BASES)


def test_git_checkout_p_is_named(forked) -> None:
    scene, _ = forked
    scene.git("config", "interactive.singleKey", "false")
    subprocess.run(
        [GIT, "checkout", "-p", "theirs"],
        cwd=scene.top,
        input="y\nn\n" * 200,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert check_served(scene.registry, BASES) > 0


def test_a_revert_of_an_older_training_is_no_blend(forked) -> None:
    scene, how = forked
    scene.commit("m", *[changed(it, m=rows(4)) for it in BASES])
    older = scene.git("rev-parse", "HEAD").strip()
    newer = [changed(it, m=rows(4), u=rows(30)) for it in BASES]
    scene.commit("u", *newer)
    scene.conflicts("revert", "--no-edit", older)
    assert how == DRIVER or len(scene.unmerged()) == len(BASES)
    damaged = check_served(scene.registry, BASES, KNOWN | digests(*newer))
    assert damaged == (len(BASES) if how == NOTHING else 0)


def test_a_criss_cross_is_no_blend(isolated, tmp_path) -> None:  # noqa: ARG001  # settings first
    """Each branch merged the other's first training, then trains another part."""
    for how in (NOTHING, ATTRIBUTES, DRIVER):
        scene = repository(tmp_path / how)
        protect(scene, how)
        first = BASES[0]
        scene.commit("base", first)
        m, u = changed(first, m=rows(2), days=1), changed(first, u=rows(30), days=2)
        scene.fork([m], [u])
        scene.git("tag", "a", "main")
        scene.git("tag", "b", "theirs")
        # A merge takes a whole side, and each branch another one.
        for branch, other in (("main", "b"), ("theirs", "a")):
            scene.go(branch)
            scene.git("merge", "-s", "ours", "-m", "cross", other)
        ours = changed(m, m=part(rows(2), rows(3), [0]), days=3)
        theirs = changed(u, u=part(rows(30), rows(31), [11]), days=4)
        scene.go("theirs")
        scene.commit("theirs", theirs)
        scene.go("main")
        scene.commit("ours", ours)
        scene.git("merge", "theirs", code=0 if how == DRIVER else 1)
        known = digests(first, m, u, ours, theirs)
        check_served(scene.registry, [first], known)
        if how == DRIVER:
            assert scene.path(first).read_bytes() == artifact_json.encode(theirs)


def test_a_criss_cross_without_a_policy_is_left(isolated, tmp_path) -> None:  # noqa: ARG001  # settings first
    scene = repository(tmp_path / "work")
    protect(scene, DRIVER)
    scene.git("config", "--unset", "zsm.policy")
    first = BASES[0]
    scene.commit("base", first)
    scene.fork([changed(first, m=rows(2))], [changed(first, u=rows(30))])
    scene.git("tag", "a", "main")
    scene.git("tag", "b", "theirs")
    for branch, other in (("main", "b"), ("theirs", "a")):
        scene.go(branch)
        scene.git("merge", "-s", "ours", "-m", "cross", other)
    scene.conflicts("merge", "main")
    assert scene.unmerged() == [scene.name(first)]


@pytest.mark.parametrize("how", [NOTHING, ATTRIBUTES, DRIVER])
def test_a_schema_that_git_takes_for_renamed_gets_no_foreign_numbers(
    isolated,  # noqa: ARG001  # settings first
    tmp_path,
    how,
) -> None:
    scene = repository(tmp_path / "work")
    protect(scene, how)
    old, new = base(1), base(2)
    scene.commit("base", old)
    scene.branch("theirs")
    theirs = changed(old, u=rows(30), days=2)
    scene.commit("theirs", theirs)
    scene.go("main")
    scene.delete(old.schema_hash)
    scene.commit("a field renamed", new)
    scene.conflicts("merge", "theirs")
    check_served(scene.registry, [old, new], digests(old, new, theirs))
    if how == NOTHING:
        assert scene.path(new).exists()
    resolve(scene.registry, policy=Policy.NEWEST, lock_timeout_s=5)
    assert scene.unmerged()
    check_served(scene.registry, [old, new], digests(old, new, theirs))


@pytest.mark.parametrize("policy", Policy)
def test_what_resolve_leaves_and_takes_is_whole(forked, policy) -> None:
    scene, _ = forked
    scene.git("merge", "theirs", code=1)
    done = resolve(scene.registry, policy=policy, lock_timeout_s=5)
    for outcome in done.outcomes:
        if outcome.choice.side:
            data = outcome.conflict.path.read_bytes()
            known = artifact_json.decode_with_digest(data)[1]
            assert known in KNOWN
    check_served(scene.registry, BASES)
    for name in scene.unmerged():
        assert name in {outcome.conflict.name for outcome in done.left}


def test_an_attributes_file_on_one_side_only_changes_nothing(forked) -> None:
    """git reads the attributes of the branch that is merged into, only."""
    scene, how = forked
    with contextlib.suppress(FileNotFoundError):
        (scene.registry / ".gitattributes").unlink()
    scene.commit("no attributes here")
    scene.git("merge", "theirs", code=1)
    assert len(scene.unmerged()) == (LEFT_BY_NEWEST if how == DRIVER else len(BASES))
    check_served(scene.registry, BASES)


def test_a_registry_that_is_open_during_a_merge_serves_no_blend(forked) -> None:
    scene, how = forked
    with SchemaRegistry.open(scene.registry) as live:
        assert digests(*live.list_all()) == digests(*OURS)
        scene.git("merge", "-Xtheirs", "theirs", code=1 if how == DRIVER else 0)
        assert digests(*live.list_all()) <= KNOWN
        for it in BASES:
            found = live.lookup_startup_mode(it.fingerprint)
            if isinstance(found, WarmLoad):
                assert digests(found.artifact) <= KNOWN
