"""`zsm log` in real git: every training that was ever committed, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import _zsm  # noqa: F401  # the fixture zsm
from tests.examples import BRP, SIM, trained
from tests.git.scene import Scene, needs_git, repository, retrained
from tests.processes import ROOT
from zsm_store.codec.artifact_json import digest
from zsm_store.git.history import committed_versions
from zsm_store.git.repository import Repository
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.registry.settings import Layout

if TYPE_CHECKING:
    from zsm_store.git.history import CommittedVersion
    from zsm_store.model.artifact import ModelArtifact

pytestmark = needs_git

FIRST = trained(BRP, tag="brp")
KEY = FIRST.schema_hash

SIGNER = """\
#!/bin/sh
case "$*" in
*--verify*)
    echo "a signature" >&2
    ;;
*)
    cat > /dev/null
    echo "[GNUPG:] SIG_CREATED " >&2
    printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'
    ;;
esac
"""
"""Signs everything and finds every signature good, aloud."""


def training(number: int) -> ModelArtifact:
    """Return one of many trainings of the same schema."""
    return retrained(FIRST, days=number, em_iterations=number)


def commits(scene: Scene, key: str = KEY) -> list[CommittedVersion]:
    return committed_versions(Repository.around(scene.top), scene.registry, key)


def iterations(scene: Scene) -> list[int | None]:
    return [
        None if it.artifact is None else it.artifact.em_iterations
        for it in commits(scene)
    ]


def test_commits_are_listed_the_last_one_first(scene, monkeypatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Zoë \N{RIGHT-TO-LEFT OVERRIDE}")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-02-03T04:05:06+02:00")
    commit = scene.commit("again: \N{SNOWMAN}\n\nbody", training(2))
    scene.commit("nothing to do with it", trained(SIM))
    last, first = commits(scene)
    assert last.commit == commit
    assert last.author == "Zoë \N{RIGHT-TO-LEFT OVERRIDE}"
    assert last.authored_at == 1_770_084_306
    assert last.subject == "again: \N{SNOWMAN}"
    assert last.artifact == training(2)
    assert last.digest == digest(training(2))
    assert first.subject == "first training"
    assert first.artifact == trained(BRP)
    assert not any(it.problem or it.is_deletion for it in (last, first))


def test_trainings_that_lost_a_merge_are_listed(scene) -> None:
    scene.fork([training(1)], [training(2)])
    scene.conflicts("merge", "theirs")
    scene.git("checkout", "--ours", "--", scene.name(FIRST))
    scene.commit("merged: ours")
    assert sorted(iterations(scene)) == [1, 2, 25]


def test_training_that_a_merge_made_anew_is_listed(scene) -> None:
    scene.fork([training(1)], [training(2)])
    scene.conflicts("merge", "theirs")
    scene.commit("merged: trained on both", training(3))
    assert iterations(scene)[0] == 3
    assert sorted(iterations(scene)) == [1, 2, 3, 25]


def test_move_to_the_other_layout_is_no_training(scene) -> None:
    scene.commit("second", training(2))
    folder = scene.registry / KEY[:2]
    folder.mkdir()
    scene.git("mv", scene.name(FIRST), folder)
    scene.git("commit", "-qm", "fan out")
    scene.path(FIRST).parent.joinpath("registry.json").unlink()
    SchemaRegistry.init(scene.registry, layout=Layout.FAN_OUT).close()
    scene.commit("third", training(3))
    assert (folder / f"{KEY}.json").is_file()
    assert not scene.path(FIRST).exists()
    assert iterations(scene) == [3, 2, 25]
    scene.path(FIRST).write_bytes((folder / f"{KEY}.json").read_bytes())
    scene.commit("copied")
    assert iterations(scene)[1:] == [3, 2, 25]


def test_change_of_the_mode_is_no_training(scene) -> None:
    scene.path(FIRST).chmod(0o755)
    scene.commit("executable")
    assert len(commits(scene)) == 1


def test_deletions_and_damaged_versions_are_listed(scene) -> None:
    scene.path(FIRST).write_text("<<<<<<< ours\n")
    bad = scene.commit("blended")
    scene.delete(KEY)
    scene.commit("gone")
    gone, damaged, first = commits(scene)
    assert gone.is_deletion
    assert gone.digest is gone.artifact is None
    assert damaged.digest is damaged.artifact is None
    assert not damaged.is_deletion
    assert scene.name(FIRST) in damaged.problem
    assert bad in damaged.problem
    assert first.artifact == trained(BRP)


@pytest.mark.usefixtures("isolated")
def test_nothing_is_listed_before_the_first_commit(tmp_path) -> None:
    scene = repository(tmp_path / "new")
    scene.save(FIRST)
    assert commits(scene) == []


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("registry", [".", "deep/er", "with blank", "wörter", "*"])
def test_registry_may_be_anywhere(tmp_path, registry) -> None:
    scene = repository(tmp_path / "new", registry)
    scene.commit("one", FIRST)
    scene.commit("two", training(2))
    assert iterations(scene) == [2, 25]


def test_what_the_user_has_set_for_git_log_does_not_matter(scene) -> None:
    signer = scene.top.parent / "signer"
    signer.write_text(SIGNER)
    signer.chmod(0o755)
    for name, value in {
        "gpg.program": signer,
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "log.follow": "true",
        "log.date": "relative",
        "log.diffMerges": "off",
        "diff.renames": "copies",
        "color.ui": "always",
        "i18n.logOutputEncoding": "latin-1",
        "format.pretty": "oneline",
        "core.abbrev": "4",
    }.items():
        scene.git("config", name, value)
    scene.commit("wörk", training(2))
    assert "a signature" in scene.git("log", "-1", "--encoding=UTF-8")
    (scene.registry / KEY[:2]).mkdir()
    scene.git("mv", scene.name(FIRST), scene.registry / KEY[:2])
    scene.git("commit", "-qm", "moved")
    assert iterations(scene) == [2, 25]
    assert commits(scene)[0].subject == "wörk"


def test_log_shows_the_registrys_own_versions_and_then_commits(
    scene, zsm, monkeypatch
) -> None:
    commit = scene.commit("retrained on May\x1b[31m", training(31))
    monkeypatch.chdir(scene.registry)
    outcome = zsm("log", KEY[:6])
    assert outcome.code == 0
    assert outcome.err == ""
    heading, _, titles, served, _, more, last, first = outcome.out.splitlines()
    assert heading == f"schema hash {KEY}"
    assert titles.startswith("digest")
    assert "served" in served
    assert more.split() == [
        *("digest", "commit", "date", "(UTC)", "author"),
        *("records", "EM", "tag", "subject"),
    ]
    short = digest(training(31))[7:19]
    assert last.split() == [
        *(short, commit[:12], "2026-01-02", "Ada", "0", "31", "brp"),
        *("retrained", "on", r"May\x1b[31m"),
    ]
    assert first.endswith("-    first training")


def test_log_as_json_has_the_commits(scene, zsm, monkeypatch) -> None:
    commit = scene.commit("retrained", training(31))
    monkeypatch.chdir(scene.registry)
    document = zsm("log", KEY, "--json").document
    assert [*document] == ["registry", "schema_hash", "versions", "commits"]
    assert document["commits"][0] == {
        "commit": commit,
        "authored_at": 1_767_323_045,
        "author": "Ada",
        "subject": "retrained",
        "digest": digest(training(31)),
        "tag": "brp",
        "record_count": 0,
        "trained_on": training(31).trained_on,
        "em_iterations": 31,
        "problem": None,
    }
    assert "commits" not in zsm("log", KEY, "--json", "--no-git").document
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    [row] = re.findall(r"^\| — `commits` \| (.*) \|$", text, re.MULTILINE)
    described = set(re.findall(r"`(\w+)`", row)) - {"null"}
    assert described == {*document["commits"][0]}


def test_limit_and_quiet(scene, zsm, monkeypatch) -> None:
    for number in (1, 2, 3):
        scene.commit(f"number {number}", training(number))
    monkeypatch.chdir(scene.registry)
    digests = [digest(training(number)) for number in (3, 2, 1)]
    assert zsm("log", KEY, "-q").out.splitlines() == [*digests, digest(trained(BRP))]
    assert zsm("log", KEY, "-q", "-n", "2").out.splitlines() == digests[:2]
    assert len(zsm("log", KEY, "-n", "2").out.splitlines()) == 8
    assert zsm("log", KEY, "-n", "0").code == 2
    assert zsm("log", KEY, "--no-git", "-q").out.splitlines() == digests[:1]
    assert "zsm init --keep 10" in zsm("log", KEY, "--no-git").err


def test_deleted_artifact_is_found_in_git(scene, zsm, monkeypatch) -> None:
    scene.commit("tagged", FIRST)
    monkeypatch.chdir(scene.registry)
    zsm("rm", KEY)
    for ref in (KEY, KEY.upper(), KEY[:8], "brp"):
        outcome = zsm("log", ref)
        assert outcome.code == 0, ref
        assert "served" not in outcome.out
        assert "--from" in outcome.err
    scene.commit("gone")
    outcome = zsm("log", KEY)
    assert outcome.out.splitlines()[3].split()[0] == "deleted"
    for ref in ("brp", "f" * 64, "ffffff", "-x:y"):
        outcome = zsm("log", "--", ref)
        assert outcome.code == 3, ref
        assert len(outcome.err.splitlines()) == 1
        assert "revision" not in outcome.err


@pytest.mark.usefixtures("isolated")
def test_what_never_was_has_no_log_before_the_first_commit(
    tmp_path, zsm, monkeypatch
) -> None:
    monkeypatch.chdir(repository(tmp_path / "new").registry)
    for ref in (KEY, KEY[:6], "nobody"):
        assert zsm("log", ref).code == 3


def test_shallow_clone_is_said(scene, zsm, tmp_path, monkeypatch) -> None:
    scene.commit("two", training(2))
    clone = scene.clone(tmp_path / "clone", "--depth", "1")
    monkeypatch.chdir(clone.registry)
    outcome = zsm("log", KEY, "--json")
    assert len(outcome.document["commits"]) == 1
    assert len(outcome.err.splitlines()) == 1
    assert "git fetch --unshallow" in outcome.err
    monkeypatch.chdir(scene.registry)
    assert zsm("log", KEY).err == ""


@pytest.mark.usefixtures("isolated")
def test_registry_that_is_not_in_git_has_a_log_without(tmp_path, zsm) -> None:
    with SchemaRegistry.init(tmp_path) as registry:
        registry.save(FIRST)
    outcome = zsm("log", KEY)
    assert outcome.code == 0
    assert "none is in git" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "not in a git work tree" in zsm("log", KEY, "-v").err


def test_without_git_there_is_a_log_all_the_same(scene, zsm, monkeypatch) -> None:
    monkeypatch.chdir(scene.registry)
    monkeypatch.setenv("PATH", str(scene.top))
    outcome = zsm("log", KEY)
    assert outcome.code == 0
    assert "served" in outcome.out
    assert "commit" not in outcome.out
    assert "warning" not in outcome.err


def test_repository_that_git_refuses_is_a_warning(scene, zsm, monkeypatch) -> None:
    (scene.top / ".git" / "config").write_text("[")
    monkeypatch.chdir(scene.registry)
    outcome = zsm("log", KEY)
    assert outcome.code == 0
    assert "served" in outcome.out
    assert outcome.err.startswith("zsm: warning: git rev-parse: ")


def test_log_starts_few_processes(scene, zsm, monkeypatch) -> None:
    for number in range(4):
        scene.commit(f"number {number}", training(number))
    started = []
    run = subprocess.run

    def record(args: list[str], **kw: Any) -> Any:
        started.append(args)
        return run(args, **kw)

    monkeypatch.setattr(subprocess, "run", record)
    monkeypatch.chdir(scene.registry)
    assert len(json.loads(zsm("log", KEY, "--json").out)["commits"]) == 5
    assert len(started) <= 5
    assert {args[0] for args in started} == {"git"}
