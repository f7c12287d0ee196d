from __future__ import annotations

import errno
import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.examples import (
    BRP,
    BRP_WITH_PHONE,
    BRP_WITHOUT_TWO,
    SIM,
    fingerprint,
    numbered,
    trained,
)
from tests.processes import read_only, run_as_nobody
from zsm_store import (
    AmbiguousRefError,
    ArtifactFormatError,
    ArtifactNotFoundError,
    BundleFormatError,
    ColdStart,
    ConflictError,
    Field,
    FieldKind,
    FieldMapping,
    InvalidArtifactError,
    Layout,
    NearestArtifact,
    ReadOnlyRegistryError,
    Schema,
    SchemaRegistry,
    StorageError,
    WarmLoad,
    WarmStart,
    fingerprint_distance,
)
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zsm_store import ModelArtifact

KEY = trained().schema_hash
DIGEST = artifact_json.digest(trained())
OTHER_DIGEST = "sha256:" + "0" * 64
WRITABLE = ["flat", "fan-out", "memory"]
KINDS = [*WRITABLE, "bundle"]


def empty(kind: str, path: Path) -> SchemaRegistry:
    if kind == "memory":
        return SchemaRegistry.in_memory()
    return SchemaRegistry.init(path / "registry", layout=Layout(kind))


@pytest.fixture(params=WRITABLE)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> SchemaRegistry:
    """Return an empty registry that can be written."""
    return empty(request.param, tmp_path)


@pytest.fixture(params=KINDS)
def holding(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., SchemaRegistry]]:
    """Return a function that gives a registry of every kind with given artifacts."""
    opened = []

    def hold(*artifacts: ModelArtifact) -> SchemaRegistry:
        kind = "memory" if request.param == "bundle" else request.param
        registry = empty(kind, tmp_path)
        for artifact in artifacts:
            registry.save(artifact)
        if request.param == "bundle":
            registry.pack(tmp_path / "registry.zsm")
            registry = SchemaRegistry.open(tmp_path / "registry.zsm")
        opened.append(registry)
        return registry

    yield hold
    for registry in opened:
        registry.close()


Holding = "Callable[..., SchemaRegistry]"


def by_hash(*artifacts: ModelArtifact) -> list[ModelArtifact]:
    return sorted(artifacts, key=lambda artifact: artifact.schema_hash)


# the peer's own scenarios


def test_what_was_saved_comes_back(holding: Holding) -> None:
    artifact = trained(tag="brp_2024_q1", extra={"seed": 7})
    registry = holding(artifact)
    assert registry.get_exact(artifact.fingerprint) == artifact
    assert registry.get(KEY) == artifact
    assert registry.digest(KEY) == artifact_json.digest(artifact)


def test_unknown_schema_has_no_artifact(holding: Holding) -> None:
    registry = holding(trained(BRP))
    assert registry.get_exact(fingerprint(SIM)) is None
    with pytest.raises(ArtifactNotFoundError) as caught:
        registry.get(fingerprint(SIM).schema_hash)
    assert caught.value.ref == fingerprint(SIM).schema_hash


def test_everything_is_listed_by_hash(holding: Holding) -> None:
    artifacts = [trained(BRP), trained(SIM), trained(BRP_WITH_PHONE)]
    registry = holding(*artifacts)
    assert registry.list_all() == by_hash(*artifacts)
    assert list(registry) == by_hash(*artifacts)
    assert len(registry) == 3
    for artifact in artifacts:
        assert artifact in registry
        assert artifact.fingerprint in registry
        assert artifact.schema_hash in registry
    assert fingerprint(BRP_WITHOUT_TWO) not in registry
    assert 7 not in registry


def test_deleting_says_whether_there_was_one(registry: SchemaRegistry) -> None:
    registry.save(trained(BRP))
    registry.save(trained(SIM))
    assert registry.delete(KEY) is True
    assert registry.delete(KEY) is False
    assert registry.list_all() == [trained(SIM)]
    assert registry.get_exact(fingerprint()) is None


def test_same_schema_is_a_warm_load(holding: Holding) -> None:
    mode = holding(trained(BRP), trained(SIM)).lookup_startup_mode(
        fingerprint(), explain=True
    )
    assert isinstance(mode, WarmLoad)
    assert mode.artifact == trained()
    assert mode.runner_up is not None
    assert mode.runner_up.schema_hash == fingerprint(SIM).schema_hash


def test_added_field_is_a_warm_start(holding: Holding) -> None:
    wanted = fingerprint(BRP_WITH_PHONE)
    mode = holding(trained(BRP)).lookup_startup_mode(wanted, explain=True)
    assert isinstance(mode, WarmStart)
    assert mode.artifact == trained(BRP)
    assert mode.distance == fingerprint_distance(wanted, fingerprint(BRP))
    assert mode.explanation.added == ("telefoon",)
    assert mode.runner_up is None


def test_sim_cards_against_persons_are_a_cold_start(holding: Holding) -> None:
    mode = holding(trained(BRP)).lookup_startup_mode(fingerprint(SIM), explain=True)
    assert isinstance(mode, ColdStart)
    assert mode.nearest is not None
    assert mode.nearest.artifact == trained(BRP)


def test_empty_registry_is_a_cold_start(holding: Holding) -> None:
    registry = holding()
    mode = registry.lookup_startup_mode(fingerprint())
    assert mode == ColdStart(wanted=fingerprint(), stored=0)
    assert registry.list_all() == []
    assert registry.get_nearest(fingerprint()) is None
    assert registry.nearest(fingerprint(), 3) == []
    assert len(registry) == 0
    assert registry
    assert registry.verify() == []


def test_nearest_is_the_closer_one(holding: Holding) -> None:
    registry = holding(trained(BRP), trained(BRP_WITHOUT_TWO), trained(SIM))
    nearest = registry.get_nearest(fingerprint(BRP_WITH_PHONE))
    assert nearest is not None
    assert nearest.artifact == trained(BRP)


def test_nearest_are_in_order_and_no_more_than_asked_for(holding: Holding) -> None:
    artifacts = [trained(schema) for schema in (SIM, BRP_WITHOUT_TWO, BRP)]
    registry = holding(*artifacts)
    wanted = fingerprint(BRP_WITH_PHONE)
    expected = [
        NearestArtifact(
            artifact=one, distance=fingerprint_distance(one.fingerprint, wanted)
        )
        for one in reversed(artifacts)
    ]
    for k in range(5):
        assert registry.nearest(wanted, k) == expected[:k]


def test_of_equally_close_the_smallest_hash_comes_first(holding: Holding) -> None:
    artifacts = [numbered(number) for number in range(9)]
    found = holding(*artifacts).nearest(fingerprint(SIM), 9)
    assert len({nearest.distance for nearest in found}) == 1
    assert [nearest.artifact for nearest in found] == by_hash(*artifacts)


def test_equal_hash_comes_before_an_equal_distance(holding: Holding) -> None:
    # Other contexts of the same fields are at distance 0, too.
    wanted = fingerprint()
    others = [trained(fingerprint(context={"blocking": number})) for number in range(8)]
    assert min(other.schema_hash for other in others) < wanted.schema_hash
    mode = holding(trained(wanted), *others).lookup_startup_mode(wanted, explain=True)
    assert isinstance(mode, WarmLoad)
    assert mode.runner_up is not None
    assert mode.runner_up.distance == 0


def test_registry_persists(tmp_path: Path) -> None:
    SchemaRegistry.open(tmp_path / "a" / "b").save(trained())
    reopened = SchemaRegistry.open(str(tmp_path / "a" / "b"))
    assert reopened.list_all() == [trained()]
    assert isinstance(reopened.lookup_startup_mode(fingerprint()), WarmLoad)


@pytest.mark.parametrize(
    "stored",
    [
        fingerprint(context={"blocking": "tight"}),
        fingerprint(context={}),
        fingerprint(mappings=[FieldMapping("bsn", "burgerservicenummer")]),
    ],
    ids=["context", "empty context", "mappings"],
)
def test_context_and_mappings_make_another_address_but_no_distance(
    holding: Holding, stored: object
) -> None:
    artifact = trained(stored)  # type: ignore[arg-type]
    assert artifact.schema_hash != KEY
    registry = holding(artifact)
    mode = registry.lookup_startup_mode(fingerprint())
    assert isinstance(mode, WarmStart)
    assert mode.distance == 0
    assert mode.artifact == artifact
    assert isinstance(registry.lookup_startup_mode(artifact.fingerprint), WarmLoad)


def test_many_lookups_answer_in_their_order(holding: Holding) -> None:
    wanted = [fingerprint(schema) for schema in (SIM, BRP, BRP_WITH_PHONE)]
    modes = holding(trained(BRP)).lookup_many(iter(wanted))
    assert [mode.name for mode in modes] == ["cold_start", "warm_load", "warm_start"]


def test_second_training_replaces_the_first(registry: SchemaRegistry) -> None:
    first = registry.save(trained(em_iterations=1))
    second = registry.save(trained(em_iterations=2))
    assert first != second == registry.digest(KEY)
    assert registry.list_all() == [trained(em_iterations=2)]
    mode = registry.lookup_startup_mode(fingerprint())
    assert isinstance(mode, WarmLoad)
    assert mode.artifact.em_iterations == 2


def test_registry_is_a_context_manager_and_names_its_place(holding: Holding) -> None:
    with holding(trained()) as registry:
        assert len(registry) == 1
        assert registry.location in repr(registry)


def test_each_bad_artifact_is_refused_and_changes_nothing(
    registry: SchemaRegistry,
) -> None:
    registry.save(trained())
    infinite = trained(
        fingerprint(Schema([Field("a", FieldKind.NAME)])),
    )
    object.__setattr__(infinite.fingerprint.field_stats[0], "null_rate", float("inf"))
    with pytest.raises(InvalidArtifactError):
        registry.save(infinite)
    assert registry.list_all() == [trained()]


# references


def test_ref_may_be_a_hash_or_its_start_in_any_case(holding: Holding) -> None:
    registry = holding(trained(), trained(SIM))
    for digits in (6, 7, 32, 63, 64):
        assert registry.get(KEY[:digits]) == trained()
        assert registry.get(KEY[:digits].upper()) == trained()
        assert registry.resolve(KEY[:digits].upper()) == KEY


@pytest.mark.parametrize("digits", [1, 5])
def test_start_of_a_hash_needs_six_digits(holding: Holding, digits: int) -> None:
    with pytest.raises(ArtifactNotFoundError, match="at least 6 digits"):
        holding(trained()).get(KEY[:digits])


def test_ambiguous_start_names_the_candidates(tmp_path: Path) -> None:
    # Two files whose names share six digits; what they hold does not matter here.
    registry = SchemaRegistry.open(tmp_path)
    keys = ["abcdef" + "0" * 58, "abcdef" + "1" * 58]
    for key in keys:
        (tmp_path / f"{key}.json").write_bytes(b"")
    with pytest.raises(AmbiguousRefError) as caught:
        registry.get("abcdef")
    assert caught.value.candidates == tuple(keys)
    assert all(key in str(caught.value) for key in keys)
    with pytest.raises(ArtifactFormatError):
        registry.get("abcdef0")


def test_ref_may_be_a_tag(holding: Holding) -> None:
    registry = holding(trained(tag="brp_2024_q1"), trained(SIM, tag="été \x1b[31m"))
    assert registry.get("brp_2024_q1") == trained(tag="brp_2024_q1")
    assert registry.get("été \x1b[31m").schema_hash == fingerprint(SIM).schema_hash
    for other in ("brp", "BRP_2024_Q1", " brp_2024_q1"):
        with pytest.raises(ArtifactNotFoundError):
            registry.get(other)


def test_tag_that_several_have_is_ambiguous(holding: Holding) -> None:
    registry = holding(trained(tag="q1"), trained(SIM, tag="q1"))
    with pytest.raises(AmbiguousRefError) as caught:
        registry.get("q1")
    assert caught.value.candidates == tuple(sorted([KEY, fingerprint(SIM).schema_hash]))


def test_tag_that_looks_like_the_start_of_another_hash_is_ambiguous(
    holding: Holding,
) -> None:
    registry = holding(trained(), trained(SIM, tag=KEY[:8]))
    with pytest.raises(AmbiguousRefError):
        registry.get(KEY[:8])
    assert registry.get(KEY[:9]) == trained()


def test_tag_that_looks_like_a_start_and_means_the_same_is_fine(
    holding: Holding,
) -> None:
    assert holding(trained(tag=KEY[:8])).get(KEY[:8]).schema_hash == KEY
    other = holding(trained(tag="abc123"), trained(SIM))
    assert other.get("abc123").schema_hash == KEY


def test_full_hash_never_means_a_tag(holding: Holding) -> None:
    registry = holding(trained(), trained(SIM, tag=KEY))
    assert registry.get(KEY) == trained()


@pytest.mark.parametrize(
    "ref",
    [
        "-x",
        "--help",
        "../../etc/passwd",
        "/etc/passwd",
        "",
        " ",
        "\0",
        f"{KEY[:8]}\0",
        f"{KEY}.json",
        f"{KEY}\n",
        f"./{KEY}",
        KEY + "0",
        "*",
        ".",
        "registry",
        "\ud800",
        "é" * 64,
    ],
    ids=ascii,
)
def test_ref_is_never_a_path_or_an_option(holding: Holding, ref: str) -> None:
    registry = holding(trained(tag="tag"))
    with pytest.raises(ArtifactNotFoundError) as caught:
        registry.get(ref)
    assert caught.value.ref == ref
    assert repr(ref) in str(caught.value)


@pytest.mark.parametrize("ref", ["", "-x", "../../etc/passwd", "\0"], ids=ascii)
def test_odd_text_is_a_ref_where_it_is_a_tag(holding: Holding, ref: str) -> None:
    assert holding(trained(tag=ref)).get(ref) == trained(tag=ref)


@pytest.mark.parametrize("key", ["", KEY[:8], KEY.upper(), "../" + KEY, KEY + "\n"])
def test_only_a_full_hash_can_be_deleted(registry: SchemaRegistry, key: str) -> None:
    registry.save(trained())
    with pytest.raises(InvalidArtifactError, match="64 lower-case hex digits"):
        registry.delete(key)
    assert len(registry) == 1


# preconditions


def test_if_match_in_a_missing_directory_creates_nothing(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path / "registry")
    for change in (
        lambda: registry.save(trained(), if_match=OTHER_DIGEST),
        lambda: registry.delete(KEY, if_match=OTHER_DIGEST),
    ):
        with pytest.raises(ConflictError):
            change()
    assert list(tmp_path.iterdir()) == []


def test_if_match_holds_for_the_stored_version(registry: SchemaRegistry) -> None:
    first = registry.save(trained(em_iterations=1), if_absent=True)
    second = registry.save(trained(em_iterations=2), if_match=first)
    assert registry.delete(KEY, if_match=second)
    assert not registry.list_all()


@pytest.mark.parametrize("present", [True, False])
def test_if_match_of_another_version_is_a_conflict(
    registry: SchemaRegistry, *, present: bool
) -> None:
    stored = registry.save(trained()) if present else None
    calls: list[Callable[[], object]] = [
        lambda: registry.save(trained(em_iterations=2), if_match=OTHER_DIGEST),
        lambda: registry.delete(KEY, if_match=OTHER_DIGEST),
    ]
    for call in calls:
        with pytest.raises(ConflictError) as caught:
            call()
        assert caught.value.schema_hash == KEY
        assert caught.value.expected == OTHER_DIGEST
        assert caught.value.found == stored
        assert OTHER_DIGEST in str(caught.value)
        assert (stored or "found none") in str(caught.value)
    assert registry.list_all() == ([trained()] if present else [])


def test_if_absent_holds_once(registry: SchemaRegistry) -> None:
    stored = registry.save(trained(), if_absent=True)
    with pytest.raises(ConflictError) as caught:
        registry.save(trained(em_iterations=2), if_absent=True)
    assert (caught.value.expected, caught.value.found) == (None, stored)
    assert registry.list_all() == [trained()]


def test_conflicting_save_leaves_no_staging_file(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    registry.save(trained())
    with pytest.raises(ConflictError):
        registry.save(trained(), if_absent=True)
    assert list((tmp_path / ".zsm" / "tmp").iterdir()) == []


def test_both_preconditions_at_once_are_refused(registry: SchemaRegistry) -> None:
    with pytest.raises(InvalidArtifactError, match="exclude each other"):
        registry.save(trained(), if_match=DIGEST, if_absent=True)
    assert not registry.list_all()


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", DIGEST[7:], DIGEST.upper(), DIGEST + "0", DIGEST + "\n", "md5:0"],
)
def test_malformed_digest_is_refused(registry: SchemaRegistry, digest: str) -> None:
    registry.save(trained())
    with pytest.raises(InvalidArtifactError, match="a digest is"):
        registry.save(trained(em_iterations=2), if_match=digest)
    with pytest.raises(InvalidArtifactError, match="a digest is"):
        registry.delete(KEY, if_match=digest)
    assert registry.list_all() == [trained()]


def test_digest_of_the_same_training_is_the_same_everywhere(holding: Holding) -> None:
    assert holding(trained()).digest(KEY) == DIGEST


# places


def test_registry_that_does_not_exist_is_created_by_the_first_save_only(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.open(path)
    assert registry.list_all() == []
    assert registry.delete(KEY) is False
    assert registry.verify() == []
    assert not path.exists()
    registry.save(trained())
    assert registry.list_all() == [trained()]


def test_file_that_is_no_bundle_is_no_registry(tmp_path: Path) -> None:
    for name in ("notes", "notes.txt", "notes.zsm"):
        (tmp_path / name).write_bytes(b'{"format": "zsm-store/1"}')
        with pytest.raises(BundleFormatError) as caught:
            SchemaRegistry.open(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_missing_bundle_is_an_error_and_not_an_empty_registry(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing\.zsm") as caught:
        SchemaRegistry.open(tmp_path / "missing.zsm")
    assert caught.value.errno == errno.ENOENT


def test_registry_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    registry = SchemaRegistry.open(tmp_path / "file" / "registry")
    calls = [
        registry.list_all,
        lambda: registry.lookup_startup_mode(fingerprint()),
        lambda: registry.get(KEY),
        lambda: registry.save(trained()),
        registry.verify,
    ]
    for call in calls:
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.errno == errno.ENOTDIR


def test_directory_may_be_called_like_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "team.zsm").mkdir()
    registry = SchemaRegistry.open(tmp_path / "team.zsm")
    registry.save(trained())
    assert registry.list_all() == [trained()]


@pytest.fixture
def open_to_all(tmp_path: Path) -> Path:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def check_as_nobody(code: str, directory: Path) -> None:
    ended = run_as_nobody(code, directory)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "done\n"


@pytest.mark.parametrize("mode", [0o000, 0o311, 0o444])
def test_unreadable_registry_is_an_error_and_not_an_empty_one(
    open_to_all: Path, mode: int
) -> None:
    SchemaRegistry.open(open_to_all / "registry").save(trained())
    (open_to_all / "registry").chmod(mode)
    code = """
registry = SchemaRegistry.open("registry")
for call in (
    registry.list_all,
    lambda: registry.lookup_startup_mode(fingerprint()),
    lambda: len(registry),
    registry.verify,
    lambda: registry.pack("all.zsm"),
):
    try:
        call()
    except StorageError as error:
        assert error.errno == 13, error
    else:
        sys.exit("no error")
assert not Path("all.zsm").exists()
print("done")
"""
    try:
        check_as_nobody(code, open_to_all)
    finally:
        (open_to_all / "registry").chmod(0o755)


def test_read_only_registry_can_be_asked_and_not_changed(open_to_all: Path) -> None:
    registry = SchemaRegistry.open(open_to_all / "registry")
    digest = registry.save(trained())
    before = sorted(os.walk(open_to_all / "registry"))
    code = f"""
registry = SchemaRegistry.open("registry")
assert registry.list_all() == [trained()]
assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
assert registry.get(trained().schema_hash) == trained()
assert registry.verify() == []
assert registry.pack("all.zsm").packed
for call in (
    lambda: registry.save(trained(em_iterations=2)),
    lambda: registry.save(trained(em_iterations=2), if_match={digest!r}),
    lambda: registry.save(trained(SIM), if_absent=True),
    lambda: registry.delete(trained().schema_hash),
    lambda: SchemaRegistry.init("registry/below"),
):
    try:
        call()
    except StorageError as error:
        assert error.errno in (13, 30), error
    else:
        sys.exit("no error")
assert registry.list_all() == [trained()]
print("done")
"""
    with read_only(open_to_all / "registry"):
        check_as_nobody(code, open_to_all)
    assert sorted(os.walk(open_to_all / "registry")) == before


def test_one_unreadable_file_is_skipped_and_named(open_to_all: Path) -> None:
    registry = SchemaRegistry.open(open_to_all / "registry")
    for artifact in (trained(BRP), trained(SIM)):
        registry.save(artifact)
    file = open_to_all / "registry" / f"{KEY}.json"
    file.chmod(0)
    code = """
registry = SchemaRegistry.open("registry")
assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)
assert isinstance(registry.lookup_startup_mode(fingerprint(BRP)), ColdStart)
assert registry.list_all() == [trained(SIM)]
assert list(registry) == [trained(SIM)]
report = registry.pack("all.zsm")
assert report.packed == (fingerprint(SIM).schema_hash,), report
[skipped] = report.skipped
assert fingerprint(BRP).schema_hash in skipped
[problem] = registry.verify()
assert problem.code == "ZSM004", problem
try:
    registry.get(fingerprint(BRP).schema_hash)
except StorageError as error:
    assert error.errno == 13
    print("done")
"""
    check_as_nobody(code, open_to_all)


# damaged neighbours


def damages() -> dict[str, Callable[[bytes], bytes]]:
    def cut(share: float) -> Callable[[bytes], bytes]:
        return lambda good: good[: int(len(good) * share)]

    def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        def change(good: bytes) -> bytes:
            assert old in good
            return good.replace(old, new, 1)

        return change

    return {
        "empty": cut(0),
        "cut after a byte": cut(0.001),
        "cut in the middle": cut(0.5),
        "cut near the end": cut(0.99),
        "zeros as after a power cut": lambda good: bytes(len(good)),
        "random bytes": lambda _: bytes(range(256)) * 4,
        "not UTF-8": swap(b"voornamen", b"voorn\xffmen"),
        "UTF-16": lambda good: good.decode().encode("utf-16"),
        "byte order mark": lambda good: b"\xef\xbb\xbf" + good,
        "twice in a row": lambda good: good + good,
        "a list": lambda good: b"[" + good + b"]",
        "conflict marker": lambda good: b"<<<<<<< ours\n" + good,
        "key twice": swap(b'"tag": null,', b'"tag": null,\n  "tag": null,'),
        "key missing": swap(b'"tag": null,', b""),
        "unknown key": swap(b'"tag": null,', b'"tag": null,\n  "color": "red",'),
        "value changed": swap(b'"em_iterations": 25', b'"em_iterations": 26'),
        "digest changed": swap(b'"digest": "sha256:', b'"digest": "sha256:0'),
        "another artifact": lambda _: artifact_json.encode(trained(SIM)),
        "newer format": swap(b"zsm-store/1", b"zsm-store/2"),
        "NaN": swap(b"0.7", b"NaN"),
        "deep nesting": lambda _: b"[" * 100_000,
        "bare text": lambda _: b"hello",
    }


def test_twenty_kinds_of_damage_among_fifty_good_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = SchemaRegistry.open(tmp_path)
    good = [numbered(number) for number in range(50)]
    for artifact in good:
        registry.save(artifact)
    bad = {}
    for number, (kind, damage) in enumerate(damages().items()):
        fields = [*BRP.fields, Field(f"bad {number}", FieldKind.ID)]
        artifact = trained(Schema(fields))
        bad[artifact.schema_hash] = (kind, artifact)
        file = tmp_path / f"{artifact.schema_hash}.json"
        file.write_bytes(damage(artifact_json.encode(artifact)))
    assert len(bad) >= 20
    with caplog.at_level(logging.WARNING):
        assert registry.list_all() == by_hash(*good)
    for artifact in good:
        mode = registry.lookup_startup_mode(artifact.fingerprint)
        assert isinstance(mode, WarmLoad)
        assert mode.artifact == artifact
    assert len(registry) == 50
    problems = registry.verify()
    assert sorted(problem.path for problem in problems) == sorted(
        str(tmp_path / f"{key}.json") for key in bad
    )
    for key, (kind, artifact) in bad.items():
        assert any(key in record.getMessage() for record in caplog.records), kind
        with pytest.raises(ArtifactFormatError, match=key):
            registry.get(key)
        with pytest.raises(ArtifactFormatError, match=key):
            registry.get_exact(artifact.fingerprint)
        assert isinstance(registry.lookup_startup_mode(artifact.fingerprint), ColdStart)
    report = registry.pack(tmp_path / "all.zsm")
    assert report.packed == tuple(artifact.schema_hash for artifact in by_hash(*good))
    assert len(report.skipped) == len(bad)
    names = {f"{key}.json" for key in bad}
    assert names <= {file.name for file in tmp_path.iterdir()}, "never deleted"


def test_damaged_exact_hit_falls_through_to_the_nearest_other_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = SchemaRegistry.open(tmp_path)
    registry.save(trained(BRP))
    registry.save(trained(BRP_WITH_PHONE))
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    (tmp_path / f"{KEY}.json").write_bytes(b"{")
    for _ in range(2):
        mode = registry.lookup_startup_mode(fingerprint())
        assert isinstance(mode, WarmStart)
        assert mode.artifact == trained(BRP_WITH_PHONE)
    assert len([record for record in caplog.records if KEY in record.message]) == 1
    registry.save(trained(BRP))
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)


def test_damaged_file_can_be_deleted_and_overwritten(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    registry.save(trained())
    (tmp_path / f"{KEY}.json").write_bytes(b"{")
    with pytest.raises(ArtifactFormatError):
        registry.save(trained(), if_match=DIGEST)
    with pytest.raises(ArtifactFormatError):
        registry.save(trained(), if_absent=True)
    assert (tmp_path / f"{KEY}.json").read_bytes() == b"{"
    registry.save(trained())
    assert registry.list_all() == [trained()]
    (tmp_path / f"{KEY}.json").write_bytes(b"{")
    assert registry.delete(KEY)
    assert not registry.list_all()


def test_iteration_goes_on_when_artifacts_are_deleted_meanwhile(
    registry: SchemaRegistry,
) -> None:
    for number in range(4):
        registry.save(numbered(number))
    first, second, *rest = registry.list_all()
    found = []
    for artifact in registry:
        found.append(artifact)
        registry.delete(second.schema_hash)
    assert found == [first, *rest]


# foreign changes


def test_file_that_appears_or_goes_is_noticed_by_the_next_call(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
    file = tmp_path / f"{KEY}.json"
    for number in range(20):
        file.write_bytes(artifact_json.encode(trained(em_iterations=number)))
        mode = registry.lookup_startup_mode(fingerprint())
        assert isinstance(mode, WarmLoad)
        assert mode.artifact.em_iterations == number
        file.unlink()
        assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
        assert len(registry) == 0


def test_file_with_windows_line_ends_is_the_same_artifact(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    data = artifact_json.encode(trained()).replace(b"\n", b"\r\n")
    (tmp_path / f"{KEY}.json").write_bytes(data)
    assert registry.get(KEY) == trained()
    assert registry.digest(KEY) == DIGEST


# logging


def test_lookup_logs_what_it_decided_and_why(
    holding: Holding, caplog: pytest.LogCaptureFixture
) -> None:
    registry = holding(trained(BRP))
    with caplog.at_level(logging.INFO, logger="zsm_store"):
        modes = registry.lookup_many(
            [fingerprint(BRP), fingerprint(BRP_WITH_PHONE), fingerprint(SIM)]
        )
    records = [record for record in caplog.records if hasattr(record, "mode")]
    assert len(records) == 3
    for mode, record in zip(modes, records, strict=True):
        assert record.__dict__["mode"] == mode.name
        assert record.__dict__["schema_hash"] == mode.wanted.schema_hash
        assert record.__dict__["distance"] == mode.distance
        assert record.__dict__["reason"] == mode.reason
        assert mode.name in record.getMessage()
        assert mode.wanted.schema_hash in record.getMessage()


def test_save_and_delete_are_logged(
    registry: SchemaRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="zsm_store"):
        registry.save(trained())
        registry.delete(KEY)
        registry.delete(KEY)
    saved, deleted = caplog.records
    assert saved.__dict__["schema_hash"] == deleted.__dict__["schema_hash"] == KEY
    assert saved.__dict__["digest"] == DIGEST


# threads


def test_threads_save_and_look_up_at_once(registry: SchemaRegistry) -> None:
    errors: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(6):
                artifact = numbered(worker * 6 + number, tag=f"{worker}-{number}")
                digest = registry.save(artifact, if_absent=True)
                mode = registry.lookup_startup_mode(artifact.fingerprint)
                assert isinstance(mode, WarmLoad), mode
                assert registry.digest(f"{worker}-{number}") == digest
                assert artifact in registry.list_all()
        except BaseException as error:  # noqa: BLE001  # told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(registry) == 48
    assert not registry.verify()


# bundles as registries


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return pack(tmp_path / "team.zsm", trained(BRP), trained(SIM))


def pack(path: Path, *artifacts: ModelArtifact) -> Path:
    source = SchemaRegistry.in_memory()
    for artifact in artifacts:
        source.save(artifact)
    source.pack(path)
    return path


def test_bundle_is_read_only(bundle: Path, tmp_path: Path) -> None:
    before = bundle.read_bytes()
    with SchemaRegistry.open(bundle) as registry:
        calls: list[Callable[[], object]] = [
            lambda: registry.save(trained(BRP_WITH_PHONE)),
            lambda: registry.save(trained(), if_match=DIGEST),
            lambda: registry.delete(KEY),
            lambda: registry.unpack(
                pack(tmp_path / "other.zsm", trained(BRP_WITH_PHONE))
            ),
        ]
        for call in calls:
            with pytest.raises(ReadOnlyRegistryError, match="zsm unpack") as caught:
                call()
            assert caught.value.errno == errno.EROFS
            assert str(bundle) in str(caught.value)
        assert len(registry) == 2
    assert bundle.read_bytes() == before


def test_bundle_that_is_packed_anew_is_followed(bundle: Path) -> None:
    with SchemaRegistry.open(bundle) as registry:
        assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)
        pack(bundle, trained(BRP, em_iterations=9), trained(BRP_WITH_PHONE))
        assert registry.get(KEY).em_iterations == 9
        assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), ColdStart)
        assert len(registry) == 2
        with pytest.raises(ArtifactNotFoundError):
            registry.get(fingerprint(SIM).schema_hash)


def test_bundle_that_is_replaced_by_something_else_is_an_error_and_recovers(
    bundle: Path,
) -> None:
    good = bundle.read_bytes()
    with SchemaRegistry.open(bundle) as registry:
        bundle.write_bytes(b"something else")
        with pytest.raises(BundleFormatError, match=r"team\.zsm"):
            registry.lookup_startup_mode(fingerprint())
        bundle.unlink()
        with pytest.raises(StorageError, match=r"team\.zsm"):
            registry.list_all()
        bundle.write_bytes(good)
        assert len(registry) == 2


def test_closed_bundle_is_an_error(bundle: Path) -> None:
    with SchemaRegistry.open(bundle) as registry:
        pass
    registry.close()
    calls: list[Callable[[], object]] = [
        lambda: registry.get(KEY),
        registry.list_all,
        lambda: registry.lookup_startup_mode(fingerprint()),
        lambda: len(registry),
        registry.verify,
    ]
    for call in calls:
        with pytest.raises(StorageError, match="was closed"):
            call()


def test_threads_read_a_bundle_while_it_is_replaced(bundle: Path) -> None:
    errors: list[BaseException] = []
    stop = threading.Event()
    counts = set()

    def read(registry: SchemaRegistry) -> None:
        try:
            while not stop.is_set():
                mode = registry.lookup_startup_mode(fingerprint())
                assert isinstance(mode, WarmLoad), mode
                counts.add(mode.artifact.em_iterations)
                assert len(registry.list_all()) in {2, 3}
        except BaseException as error:  # noqa: BLE001  # told by the main thread
            errors.append(error)

    with SchemaRegistry.open(bundle) as registry:
        threads = [threading.Thread(target=read, args=(registry,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(30):
            more = [trained(BRP_WITH_PHONE)] if number % 2 else []
            pack(bundle, trained(em_iterations=number), trained(SIM), *more)
        stop.set()
        for thread in threads:
            thread.join()
        assert registry.get(KEY).em_iterations == 29
    assert not errors
    assert len(counts) > 1
