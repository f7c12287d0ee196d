"""`rev:REF`: artifacts as a revision has them, to show, to compare, to restore."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.cli.conftest import _zsm  # noqa: F401  # the fixture zsm
from tests.examples import BRP, SIM, numbered, trained
from tests.git.scene import OTHER_M, Scene, needs_git, repository, retrained
from zsm_store.codec.artifact_json import digest, encode
from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    FormatError,
    NotInGitError,
)
from zsm_store.git.revisions import RevisionRef, artifact_at, resolve_at
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.registry.settings import Layout

pytestmark = needs_git

FIRST = trained(BRP)
KEY = FIRST.schema_hash
TAGGED = replace(FIRST, tag="brp", em_iterations=2)


@pytest.fixture(name="tagged")
def _tagged(scene) -> Scene:
    """Three commits: without a tag, tagged ``brp``, and tagged ``other``."""
    scene.commit("tagged", TAGGED, trained(SIM, tag="sim"))
    scene.git("tag", "v1")
    scene.commit("renamed", replace(TAGGED, tag="other", em_iterations=3))
    return scene


def found(scene: Scene, text: str) -> int:
    """Return the EM iterations, which tell the trainings apart."""
    wanted = RevisionRef.parse(text)
    assert wanted is not None
    return artifact_at(scene.registry, wanted).artifact.em_iterations


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("HEAD:brp", ("HEAD", "brp", 0)),
        (":brp", ("", "brp", 0)),
        (":2:brp", ("", "brp", 2)),
        (":4:brp", ("", "4:brp", 0)),
        ("HEAD:2:brp", ("HEAD", "2:brp", 0)),
        ("HEAD^{/fix: it}:a:b", ("HEAD^{/fix: it}", "a:b", 0)),
        ("HEAD@{2026-01-01 10:00:00}:brp", ("HEAD@{2026-01-01 10:00:00}", "brp", 0)),
        ("HEAD:", ("HEAD", "", 0)),
        ("brp", None),
        ("{:}", None),
    ],
)
def test_first_colon_outside_of_braces_ends_the_revision(text, wanted) -> None:
    assert RevisionRef.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "iterations"),
    [
        (f"HEAD:{KEY}", 3),
        (f"HEAD:{KEY.upper()}", 3),
        (f"HEAD~1:{KEY[:6]}", 2),
        (f"HEAD~2:{KEY}", 25),
        ("HEAD:other", 3),
        ("HEAD~1:brp", 2),
        ("v1:brp", 2),
        ("main:other", 3),
        ("HEAD^{/renamed}:other", 3),
        ("v1^{tree}:brp", 2),
        (":other", 3),
        (":0:other", 3),
    ],
)
def test_any_revision_that_git_understands(tagged, text, iterations) -> None:
    assert found(tagged, text) == iterations


def test_artifact_comes_with_its_digest(tagged) -> None:
    at = artifact_at(tagged.registry, RevisionRef("v1", "brp"))
    assert (at.artifact, at.digest) == (TAGGED, digest(TAGGED))
    assert resolve_at(tagged.registry, RevisionRef("v1", "brp")) == KEY


@pytest.mark.parametrize(
    "text", ["HEAD:brp", "v1:other", "v1:", "HEAD:abcde", "HEAD:" + "f" * 64, ":brp"]
)
def test_what_a_revision_does_not_have_is_not_found(tagged, text) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"not in (revision|the index)"):
        found(tagged, text)


@pytest.mark.parametrize(
    "revision",
    ["nowhere", "-x", "--all", "HEAD~9", "HEAD^{", "^HEAD", "HEAD~1..HEAD", "a b",
     "HEAD^{blob}", "\0", "HEAD\n"],
)  # fmt: skip
def test_what_is_no_revision_is_said(tagged, revision) -> None:
    with pytest.raises(ArtifactNotFoundError, match="no revision"):
        artifact_at(tagged.registry, RevisionRef(revision, KEY))


def test_revision_that_a_shallow_clone_lacks(tagged, tmp_path) -> None:
    clone = tagged.clone(tmp_path / "clone", "--depth", "1")
    with pytest.raises(ArtifactNotFoundError, match="shallow"):
        found(clone, f"HEAD~1:{KEY}")


@pytest.mark.usefixtures("isolated")
def test_revision_before_the_registry_had_nothing(tmp_path) -> None:
    scene = repository(tmp_path / "new")
    scene.git("commit", "--allow-empty", "-qm", "empty")
    (scene.top / "models.txt").write_text("")
    scene.commit("first", FIRST)
    with pytest.raises(ArtifactNotFoundError, match="HEAD~1"):
        found(scene, f"HEAD~1:{KEY}")
    assert found(scene, f"HEAD:{KEY}") == 25


def test_tag_or_prefix_of_several_is_ambiguous(scene) -> None:
    many = [numbered(n, tag="same") for n in range(2)]
    scene.commit("two", *many)
    with pytest.raises(AmbiguousRefError) as caught:
        found(scene, "HEAD:same")
    assert caught.value.candidates == tuple(sorted(it.schema_hash for it in many))


def test_tag_that_looks_like_the_start_of_a_hash_is_ambiguous(scene) -> None:
    scene.commit("confusing", trained(SIM, tag=KEY[:8]))
    with pytest.raises(AmbiguousRefError):
        found(scene, f"HEAD:{KEY[:8]}")
    assert found(scene, f"HEAD:{KEY[:9]}") == 25


def test_damaged_artifact_is_named_with_its_revision(tagged, caplog) -> None:
    text = tagged.path(KEY).read_text().replace('"other"', '"theirs"')
    tagged.path(KEY).write_text(text)
    tagged.commit("blended")
    with pytest.raises(FormatError, match="digest") as caught:
        found(tagged, f"HEAD:{KEY}")
    assert f"{KEY}.json in revision 'HEAD'" in str(caught.value)
    # It has no tag that could be trusted; others are found beside it.
    assert found(tagged, "HEAD:sim") == 25
    assert f"{KEY}.json in revision 'HEAD'" in caplog.text
    with pytest.raises(ArtifactNotFoundError):
        found(tagged, "HEAD:theirs")


def test_artifact_under_another_name_is_damaged(scene) -> None:
    (scene.registry / f"{'0' * 64}.json").write_bytes(encode(FIRST))
    scene.commit("misnamed")
    with pytest.raises(FormatError, match="not what it is named"):
        found(scene, f"HEAD:{'0' * 64}")


def test_symbolic_link_is_no_artifact(scene) -> None:
    other = trained(SIM)
    scene.path(other).symlink_to(scene.path(FIRST).name)
    scene.commit("link")
    with pytest.raises(ArtifactNotFoundError):
        found(scene, f"HEAD:{other.schema_hash}")
    with pytest.raises(ArtifactNotFoundError):
        found(scene, f":{other.schema_hash}")


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("layout", Layout)
def test_of_two_copies_the_one_is_meant_that_was_served(tmp_path, layout) -> None:
    scene = repository(tmp_path / "new")
    (scene.registry / "registry.json").unlink()
    SchemaRegistry.init(scene.registry, layout=layout).close()
    for folder, iterations in ((scene.registry, 1), (scene.registry / KEY[:2], 2)):
        folder.mkdir(exist_ok=True)
        made = replace(FIRST, em_iterations=iterations)
        (folder / f"{KEY}.json").write_bytes(encode(made))
    scene.commit("both")
    served = SchemaRegistry.open(scene.registry).get(KEY).em_iterations
    assert found(scene, f"HEAD:{KEY}") == served
    assert found(scene, f":{KEY}") == served
    assert served == (2 if layout is Layout.FAN_OUT else 1)


def test_file_in_the_folder_of_others_is_no_artifact(scene) -> None:
    other = trained(SIM)
    folder = scene.registry / "00"
    folder.mkdir()
    (folder / f"{other.schema_hash}.json").write_bytes(encode(other))
    scene.commit("lost")
    with pytest.raises(ArtifactNotFoundError):
        found(scene, f"HEAD:{other.schema_hash}")


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("registry", [".", "deep/er", "with blank", "wörter", "*"])
def test_registry_may_be_anywhere(tmp_path, registry) -> None:
    scene = repository(tmp_path / "new", registry)
    scene.commit("one", FIRST)
    scene.commit("two", TAGGED)
    assert found(scene, f"HEAD~1:{KEY}") == 25
    assert found(scene, ":brp") == 2


@pytest.mark.usefixtures("isolated")
def test_objects_may_be_named_by_sha256(tmp_path, zsm, monkeypatch) -> None:
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    scene = repository(tmp_path / "new")
    commit = scene.commit("one", FIRST)
    assert len(commit) == 64
    scene.commit("two", TAGGED)
    assert found(scene, f"{commit}:{KEY}") == 25
    monkeypatch.chdir(scene.registry)
    first = zsm("log", KEY, "--json").document["commits"][1]
    assert (first["commit"], first["em_iterations"]) == (commit, 25)


def test_linked_work_tree_has_revisions_of_its_own(tagged, zsm, monkeypatch) -> None:
    linked = tagged.top.parent / "linked"
    tagged.git("worktree", "add", "-q", "--detach", linked, "v1")
    monkeypatch.chdir(linked / "models")
    assert zsm("diff", "HEAD:brp", "main:other", "--exit-code", "-q").code == 1
    assert zsm("diff", "HEAD:brp", ":brp", "--exit-code", "-q").code == 0
    assert len(zsm("log", "brp", "--json").document["commits"]) == 2


def test_sides_of_a_conflict_are_in_the_index(scene, zsm, monkeypatch) -> None:
    ours, theirs = (
        retrained(FIRST, m=OTHER_M, em_iterations=1),
        retrained(FIRST, em_iterations=2),
    )
    scene.fork([ours], [theirs])
    scene.conflicts("merge", "theirs")
    stages = [found(scene, f":{stage}:{KEY}") for stage in (1, 2, 3)]
    assert stages == [25, 1, 2]
    with pytest.raises(ArtifactNotFoundError, match=f":3:{KEY}"):
        found(scene, f":{KEY}")
    monkeypatch.chdir(scene.registry)
    outcome = zsm("diff", f":2:{KEY}", f":3:{KEY}", "--json")
    assert outcome.document["facts"][0] == {
        "name": "em_iterations",
        "before": 1,
        "after": 2,
    }


def test_staged_is_not_what_lies_in_the_work_tree(scene) -> None:
    scene.save(TAGGED)
    scene.git("add", "-A")
    scene.save(retrained(TAGGED, em_iterations=9))
    assert found(scene, ":brp") == 2
    assert found(scene, f"HEAD:{KEY}") == 25


def test_show_of_a_revision(tagged, zsm, monkeypatch) -> None:
    monkeypatch.chdir(tagged.registry)
    outcome = zsm("show", "v1:brp", "--json")
    assert outcome.code == 0
    assert outcome.out == encode(TAGGED).decode()
    assert "2 EM iterations" in zsm("show", "HEAD~1:brp").out
    assert zsm("show", f"HEAD~2:{KEY}", "-q").out == f"{KEY}\n"
    assert zsm("show", "v1:nobody").code == 3
    missing = zsm("show", "v2:brp")
    assert missing.code == 3
    why = f"no revision 'v2' in '{tagged.top}'"
    assert missing.err == f"zsm: error: no artifact 'v2:brp': {why}\n"
    assert zsm("show", "--", "-x:brp").code == 3


def test_stored_tag_with_a_colon_comes_first(tagged, zsm, monkeypatch) -> None:
    tagged.save(trained(SIM, tag="v1:brp"))
    monkeypatch.chdir(tagged.registry)
    assert zsm("show", "v1:brp", "-q").out == f"{trained(SIM).schema_hash}\n"


@pytest.mark.usefixtures("isolated")
def test_outside_of_git_there_are_no_revisions(tmp_path, zsm) -> None:
    with SchemaRegistry.init(tmp_path) as registry:
        registry.save(FIRST)
    with pytest.raises(NotInGitError):
        artifact_at(tmp_path, RevisionRef("HEAD", KEY))
    for verb in ("show", "diff"):
        outcome = zsm(*(verb, "HEAD:brp", "brp")[: 3 if verb == "diff" else 2])
        assert outcome.code == 3
        assert "no artifact 'HEAD:brp'" in outcome.err
        assert "not in a git work tree" in outcome.err
    zsm("pack", "all.zsm")
    assert zsm("show", "HEAD:brp", "--registry", "all.zsm").code == 3


def test_restore_saves_what_a_revision_has(tagged, zsm, monkeypatch) -> None:
    monkeypatch.chdir(tagged.registry)
    zsm("init", "--keep", "3")
    served = zsm("log", KEY, "--no-git", "-q").out.strip()
    outcome = zsm("restore", "brp", "--from", "v1", "--json")
    assert outcome.code == 0
    assert outcome.document == {
        "registry": str(tagged.registry),
        "schema_hash": KEY,
        "digest": digest(TAGGED),
        "replaced": served,
    }
    assert tagged.path(KEY).read_bytes() == encode(TAGGED)
    assert zsm("log", KEY, "--no-git", "-q").out.split() == [digest(TAGGED), served]
    again = zsm("restore", "brp", "--from", "v1")
    assert (again.code, again.out) == (0, "nothing to do: this version is served\n")


def test_restore_of_a_deleted_artifact(tagged, zsm, monkeypatch) -> None:
    monkeypatch.chdir(tagged.registry)
    zsm("rm", KEY)
    outcome = zsm("restore", KEY[:8], "--from", "HEAD")
    assert outcome.code == 0
    assert "it was deleted" in outcome.out
    assert zsm("show", "other", "-q").out.strip() == KEY


def test_restore_keeps_preconditions(tagged, zsm, monkeypatch) -> None:
    monkeypatch.chdir(tagged.registry)
    before = tagged.path(KEY).read_bytes()
    wrong = zsm("restore", KEY, "--from", "v1", "--if-match", digest(TAGGED))
    assert wrong.code == 5
    assert tagged.path(KEY).read_bytes() == before
    served = digest(replace(TAGGED, tag="other", em_iterations=3))
    assert zsm("restore", KEY, "--from", "v1", "--if-match", served).code == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["brp", "--from", "nowhere"], 3),
        (["brp", "--from", "HEAD"], 3),
        (["brp", "--from", "-x"], 3),
        (["brp", "--from", " "], 2),
        (["brp", "--from", ""], 2),
        (["brp", "--from", "v1", "123456"], 2),
        (["brp"], 2),
    ],
)
def test_restore_that_cannot_be_changes_nothing(
    tagged, zsm, monkeypatch, args, code
) -> None:
    monkeypatch.chdir(tagged.registry)
    outcome = zsm("restore", *args)
    assert outcome.code == code
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert tagged.git("status", "--porcelain") == ""


def test_damaged_version_is_not_restored(tagged, zsm, monkeypatch) -> None:
    good = tagged.path(KEY).read_bytes()
    tagged.path(KEY).write_bytes(good.replace(b'"other"', b'"theirs"'))
    tagged.commit("blended")
    tagged.path(KEY).write_bytes(good)
    monkeypatch.chdir(tagged.registry)
    outcome = zsm("restore", KEY, "--from", "HEAD")
    assert outcome.code == 4
    assert "revision 'HEAD'" in outcome.err
    assert tagged.path(KEY).read_bytes() == good
    # And back again, in place of a damaged one.
    tagged.path(KEY).write_bytes(b"<<<<<<< ours")
    assert zsm("restore", KEY, "--from", "HEAD~1").code == 0
    assert json.loads(tagged.path(KEY).read_bytes())["tag"] == "other"
