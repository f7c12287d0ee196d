from __future__ import annotations

import json

import pytest

from tests.cli.sample_files import PARAMS

BUNDLE = "all.zsm"


def _retrained(files, zsm) -> None:
    (files / "other.json").write_text(json.dumps({**PARAMS, "log_prior_odds": -3}))
    assert zsm("save", "other.json", "people.csv", "--tag", "other").code == 0


def test_pack_and_unpack_carry_everything(files, stored, zsm) -> None:
    before = (files / f"{stored}.json").read_bytes()
    packed = zsm("pack", BUNDLE)
    assert (packed.code, packed.out) == (0, "packed 1 artifact into 'all.zsm'\n")
    zsm("init", "copy")
    outcome = zsm("unpack", BUNDLE, "--registry", "copy")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"saved {stored}",
        "1 artifact saved, 0 unchanged, 0 kept, 0 refused",
    ]
    assert (files / "copy" / f"{stored}.json").read_bytes() == before
    again = zsm("unpack", BUNDLE, "--registry", "copy", "--json")
    assert again.document["unchanged"] == [stored]
    first = (files / BUNDLE).read_bytes()
    assert zsm("pack", BUNDLE, "-q").out == f"{stored}\n"
    assert (files / BUNDLE).read_bytes() == first


def test_unpack_keeps_another_training_unless_told(files, stored, zsm) -> None:
    zsm("pack", BUNDLE)
    _retrained(files, zsm)
    outcome = zsm("unpack", BUNDLE)
    assert outcome.code == 5
    assert f"kept what the registry has: {stored}" in outcome.err
    assert zsm("ls", "--json").document["artifacts"][0]["tag"] == "other"
    assert zsm("unpack", BUNDLE, "--json").document["kept"] == [stored]
    replaced = zsm("unpack", BUNDLE, "--replace", "-q")
    assert (replaced.code, replaced.out) == (0, f"{stored}\n")
    assert zsm("ls", "--json").document["artifacts"][0]["tag"] == "people"


def test_pack_names_what_it_leaves_out(files, stored, zsm) -> None:
    bad = files / f"{'0' * 64}.json"
    bad.write_text("{")
    outcome = zsm("pack", BUNDLE, "--json")
    assert outcome.code == 4
    assert outcome.document["packed"] == [stored]
    assert len(outcome.document["skipped"]) == 1
    assert "left out" in outcome.err
    assert bad.name in outcome.err
    assert zsm("inspect", BUNDLE, "-q").out == f"{stored}\n"


def test_pack_overwrites_nothing_but_bundles(files, stored, zsm) -> None:
    before = (files / "people.csv").read_bytes()
    outcome = zsm("pack", "people.csv")
    assert outcome.code == 5
    assert "it exists and is no bundle" in outcome.err
    assert (files / "people.csv").read_bytes() == before
    assert zsm("pack", ".").code == 2
    assert zsm("pack", "no/such/folder/x.zsm").code != 0
    assert zsm("pack", f"{stored}.json").code == 5


def test_inspect_shows_entries_and_digests(files, stored, zsm) -> None:
    digest = zsm("show", stored, "--json").document["digest"]
    zsm("pack", BUNDLE)
    outcome = zsm("inspect", BUNDLE)
    assert outcome.code == 0
    assert "1 artifact, " in outcome.out
    assert "with a trailer" in outcome.out
    document = zsm("inspect", BUNDLE, "--json").document
    assert document["size"] == (files / BUNDLE).stat().st_size
    assert document["has_trailer"] is True
    (entry,) = document["artifacts"]
    assert entry["schema_hash"] == stored
    assert entry["digest"] == digest
    assert entry["offset"] == 12
    assert entry["problem"] is None
    assert 0 < entry["size"] < document["size"]


def test_the_peers_bundles_are_shown_with_what_cannot_be_served(
    zsm, golden_dir
) -> None:
    one = zsm("inspect", golden_dir / "bundles" / "one.zsm")
    assert one.code == 0
    assert "no trailer" in one.out
    outcome = zsm("inspect", golden_dir / "bundles" / "three.zsm", "--json")
    assert outcome.code == 4
    artifacts = outcome.document["artifacts"]
    assert len(artifacts) == 3
    assert sum(it["size"] for it in artifacts) + 12 == outcome.document["size"]
    problems = [it["problem"] for it in artifacts if it["problem"]]
    assert problems
    assert outcome.err.count("cannot be served") == len(problems)
    empty = zsm("inspect", golden_dir / "bundles" / "empty.zsm")
    assert empty.code == 0
    assert "0 artifacts, 12 bytes" in empty.out


def test_unpack_refuses_what_cannot_be_stored(zsm, golden_dir) -> None:
    zsm("init")
    outcome = zsm("unpack", golden_dir / "bundles" / "three.zsm", "--json")
    assert outcome.code == 4
    assert outcome.document["refused"]
    assert outcome.err.count("refused: ") == len(outcome.document["refused"])


@pytest.fixture(name="bundle")
def _bundle(files, stored, zsm) -> bytes:  # noqa: ARG001  # a registry
    zsm("pack", "good.zsm")
    return (files / "good.zsm").read_bytes()


@pytest.mark.parametrize(
    "damage",
    ["empty", "json", "cut", "cut trailer", "flipped body", "flipped trailer", "long"],
)
@pytest.mark.parametrize("verb", ["inspect", "unpack", "verify", "ls"])
def test_a_damaged_bundle_is_one_line_and_exit_code_4(
    files, bundle, zsm, damage, verb
) -> None:
    content = {
        "empty": b"",
        "json": b'{"format": "zsm-store/1"}\n',
        "cut": bundle[: len(bundle) // 3],
        "cut trailer": bundle[:-1],
        "flipped body": _flipped(bundle, 100),
        "flipped trailer": _flipped(bundle, len(bundle) - 60),
        "long": bundle + b"\n",
    }[damage]
    (files / "bad.zsm").write_bytes(content)
    listed = ["ls", "--registry", "bad.zsm"] if verb == "ls" else [verb, "bad.zsm"]
    outcome = zsm(*listed)
    if verb == "ls" and damage == "flipped body":
        assert outcome.code == 0  # one bad entry does not take the others down
        assert "skipped" in outcome.err
        return
    assert outcome.code == 4
    assert "bad.zsm" in outcome.out + outcome.err
    assert " at byte " in outcome.out + outcome.err
    assert zsm("ls", "-q").out != ""


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("verb", ["inspect", "unpack"])
def test_a_bundle_that_is_missing_or_a_directory(files, zsm, verb) -> None:
    missing = zsm(verb, "missing.zsm")
    assert missing.code == 3
    assert "missing.zsm" in missing.err
    (files / "folder.zsm").mkdir()
    directory = zsm(verb, "folder.zsm")
    assert directory.code == 2
    assert len(directory.err.splitlines()) == 1
    assert zsm("ls", "--registry", "missing.zsm").code == 3
