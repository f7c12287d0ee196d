from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, fingerprint, trained
from zsm_store import Problem, SchemaRegistry, Severity
from zsm_store.codec import artifact_json
from zsm_store.codec.bundle_entry import encode_entry

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store import ModelArtifact

KEY = trained().schema_hash
GOOD = artifact_json.encode(trained())


@pytest.fixture
def registry(tmp_path: Path) -> SchemaRegistry:
    opened = SchemaRegistry.open(tmp_path)
    opened.save(trained(SIM))
    return opened


def line_of(data: bytes, text: bytes) -> int:
    """Return the 1-based line on which `text` stands."""
    return data[: data.index(text)].count(b"\n") + 1


def verified(registry: SchemaRegistry, path: Path, data: bytes) -> Problem:
    """Return the one problem that a file has, which is what it is about."""
    file = path / f"{KEY}.json"
    file.write_bytes(data)
    [problem] = registry.verify()
    assert problem.path == str(file)
    return problem


def test_good_registry_has_no_problems(registry: SchemaRegistry) -> None:
    registry.save(trained())
    assert registry.verify() == []


def changed(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


TAG = b'"tag": null,'

ERRORS = {
    "ZSM010": (changed(b"  " + TAG, b"=======\n  " + TAG), b"======="),
    "ZSM011": (b"", b""),
    "ZSM012": (GOOD[: GOOD.index(b'"fields"') + 12], None),
    "ZSM013": (changed(TAG, TAG + b"\n  " + TAG), TAG + b'\n  "trained'),
    "ZSM014": (changed(b"zsm-store/1", b"zsm-store/9"), None),
    "ZSM015": (GOOD + b" " * (64 << 20), None),
    "ZSM016": (changed(TAG, b""), None),
    "ZSM020": (changed(b": 25,", b": 26,"), b'"digest"'),
    "ZSM021": (artifact_json.encode(trained(SIM)), b'"schema_hash"'),
}


@pytest.mark.parametrize("code", ERRORS)
def test_each_damage_has_its_code_and_line(
    registry: SchemaRegistry, tmp_path: Path, code: str
) -> None:
    data, marked = ERRORS[code]
    problem = verified(registry, tmp_path, data)
    assert problem.code == code
    assert problem.severity is Severity.ERROR
    if marked is not None:
        assert problem.line == line_of(data, marked)
    assert str(problem).startswith(
        f"{tmp_path / KEY}.json:{problem.line}:{problem.column}: {code} "
    )
    assert "\n" not in str(problem)


def test_syntax_error_has_line_and_column(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    data = changed(TAG, b'"tag": nul,')
    problem = verified(registry, tmp_path, data)
    assert problem.code == "ZSM012"
    assert problem.line == line_of(data, b'"tag"')
    assert problem.column > 1


def test_names_and_kinds_of_files_are_checked(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    registry.save(trained())
    (tmp_path / f"{KEY[:63]}.json").write_bytes(GOOD)
    (tmp_path / f"{'0' * 64}.json").symlink_to(f"{KEY}.json")
    (tmp_path / f"{'1' * 64}.json").mkdir()
    (tmp_path / KEY[:2]).mkdir()
    (tmp_path / KEY[:2] / f"{KEY}.json").write_bytes(GOOD)
    found = {
        problem.path.removeprefix(f"{tmp_path}/"): problem.code
        for problem in registry.verify()
    }
    assert found == {
        f"{KEY[:63]}.json": "ZSM001",
        f"{'0' * 64}.json": "ZSM002",
        f"{'1' * 64}.json": "ZSM002",
        f"{KEY[:2]}/{KEY}.json": "ZSM003",
    }


def test_windows_line_ends_are_a_warning(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    problem = verified(registry, tmp_path, GOOD.replace(b"\n", b"\r\n"))
    assert (problem.code, problem.severity) == ("ZSM040", Severity.WARNING)
    assert problem.line == 1
    assert ": ZSM040 warning: " in str(problem)


def with_params(**changes: object) -> ModelArtifact:
    artifact = trained()
    return replace(artifact, params=replace(artifact.params, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("row", "key"), [(0, "m"), (3, "m"), (2, "u")])
def test_row_that_does_not_sum_to_one_is_a_warning_at_its_line(
    registry: SchemaRegistry, tmp_path: Path, row: int, key: str
) -> None:
    rows = [(0.1, 0.2, 0.7)] * len(BRP.fields)
    rows[row] = (0.125, 0.2, 0.7)
    data = artifact_json.encode(with_params(**{key: tuple(rows)}))
    problem = verified(registry, tmp_path, data)
    assert (problem.code, problem.severity) == ("ZSM030", Severity.WARNING)
    assert problem.line == line_of(data, b"[0.125,")
    assert f"row {row} of {key} sums to 1.025" in problem.message
    assert len(registry) == 2, "a warning is served"


@pytest.mark.parametrize("total", [1.0009, 0.9991])
def test_row_that_sums_to_about_one_is_fine(
    registry: SchemaRegistry, total: float
) -> None:
    registry.save(with_params(m=((total - 0.5, 0.5),) * 5, u=((0.5, 0.5),) * 5))
    assert registry.verify() == []


def test_rows_that_belong_to_no_field_are_a_warning(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    rows = ((0.5, 0.5),) * 3
    data = artifact_json.encode(with_params(m=rows, u=rows))
    problem = verified(registry, tmp_path, data)
    assert (problem.code, problem.severity) == ("ZSM031", Severity.WARNING)
    assert problem.line == line_of(data, b'"m"')


def test_impossible_null_rate_is_a_warning_at_its_field(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    artifact = trained()
    stats = list(artifact.fingerprint.field_stats)
    stats[2] = replace(stats[2], null_rate=1.5)
    data = artifact_json.encode(
        replace(
            artifact,
            fingerprint=replace(artifact.fingerprint, field_stats=tuple(stats)),
        )
    )
    problem = verified(registry, tmp_path, data)
    assert (problem.code, problem.severity) == ("ZSM032", Severity.WARNING)
    assert problem.line == line_of(data, b'"geboortedatum"')


def of_the_peer() -> ModelArtifact:
    """Return an artifact under the hash of mappings that it does not carry."""
    return replace(trained(), fingerprint=replace(fingerprint(), schema_hash="ab" * 32))


def test_hash_of_other_fields_is_a_note(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    registry.save(of_the_peer())
    [problem] = registry.verify()
    assert (problem.code, problem.severity) == ("ZSM022", Severity.NOTE)
    assert problem.path == str(tmp_path / f"{'ab' * 32}.json")
    assert KEY in problem.message
    assert registry.get("ab" * 32) == of_the_peer()


def test_name_that_stands_twice_is_a_note(registry: SchemaRegistry) -> None:
    artifact = of_the_peer()
    stats = artifact.fingerprint.field_stats
    doubled = replace(artifact.fingerprint, field_stats=(*stats[:-1], stats[0]))
    registry.save(replace(artifact, fingerprint=doubled))
    problems = registry.verify()
    assert {problem.code for problem in problems} == {"ZSM022", "ZSM023"}
    assert "'voornamen' stands 2 times" in problems[1].message


def test_memory_is_verified_by_the_same_rules() -> None:
    registry = SchemaRegistry.in_memory()
    registry.save(of_the_peer())
    registry.save(with_params(m=((0.5, 0.4),) * 5, u=((0.5, 0.5),) * 5))
    assert {problem.code for problem in registry.verify()} == {"ZSM022", "ZSM030"}


def test_bundle_is_verified_by_the_same_rules(tmp_path: Path) -> None:
    registry = SchemaRegistry.in_memory()
    registry.save(of_the_peer())
    registry.save(with_params(m=((0.5, 0.4),) * 5, u=((0.5, 0.5),) * 5))
    registry.pack(tmp_path / "all.zsm")
    with SchemaRegistry.open(tmp_path / "all.zsm") as packed:
        problems = packed.verify()
    assert {problem.code for problem in problems} == {"ZSM022", "ZSM030"}
    assert {problem.path for problem in problems} == {str(tmp_path / "all.zsm")}


def test_flipped_bit_of_a_bundle_is_found(tmp_path: Path) -> None:
    path = tmp_path / "all.zsm"
    registry = SchemaRegistry.in_memory()
    registry.save(trained())
    registry.pack(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"voornamen") + 2] ^= 4
    path.write_bytes(data)
    with SchemaRegistry.open(path) as packed:
        [problem] = packed.verify()
        assert packed.list_all() == []
    assert problem.code == "ZSM060"
    assert "at byte" in problem.message


def test_bundle_of_the_peer_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "peer.zsm"
    count = (2).to_bytes(8, "little")
    path.write_bytes(
        b"ZSM\x01" + count + encode_entry(trained()) + encode_entry(of_the_peer())
    )
    with SchemaRegistry.open(path) as peer:
        [problem] = peer.verify()
    assert problem.code == "ZSM022"


def test_problems_come_in_the_same_order_every_time(tmp_path: Path) -> None:
    registry = SchemaRegistry.open(tmp_path)
    names = [f"{digit * 64}.json" for digit in "9a3f0"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    for digit in "5d1":
        (tmp_path / f"{digit * 63}.json").write_bytes(b"")
    paths = [problem.path for problem in registry.verify()]
    assert [path for path in paths if len(path) == len(paths[-1])] == sorted(
        str(tmp_path / name) for name in names
    )
    assert paths[:3] == sorted(paths[:3])


def test_what_is_odd_for_a_moment_only_is_not_reported(
    registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the other layout's copy is, which a save removes after its rename.
    path = tmp_path / f"{fingerprint(SIM).schema_hash}.json"
    lasting = tmp_path / f"{'a' * 63}.json"
    lasting.write_bytes(b"")
    copy = tmp_path / path.name[:2] / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    decode = artifact_json.decode

    def clear(data: bytes, schema_hash: str) -> ModelArtifact:
        copy.unlink(missing_ok=True)
        return decode(data, schema_hash)

    assert {one.code for one in registry.verify()} == {"ZSM001", "ZSM003"}
    monkeypatch.setattr(artifact_json, "decode", clear)
    [problem] = registry.verify()
    assert (problem.code, problem.path) == ("ZSM001", str(lasting))


def test_file_that_is_written_in_place_meanwhile_is_not_called_damaged(
    registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{KEY}.json"
    path.write_bytes(GOOD[:-20])
    decode = artifact_json.decode

    def finish(data: bytes, schema_hash: str) -> ModelArtifact:
        try:
            return decode(data, schema_hash)
        finally:
            if schema_hash == KEY:
                path.write_bytes(GOOD)

    monkeypatch.setattr(artifact_json, "decode", finish)
    assert registry.verify() == []
