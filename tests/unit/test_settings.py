from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, fingerprint, trained
from zsm_store import (
    Layout,
    SchemaRegistry,
    SettingsFormatError,
    StorageError,
    WarmLoad,
)
from zsm_store.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("layout", Layout)
def test_settings_survive_the_file(layout: Layout) -> None:
    settings = RegistrySettings(layout=layout)
    assert RegistrySettings.decode(settings.encode()) == settings


def test_bytes_of_the_file_are_for_people_and_git() -> None:
    assert RegistrySettings(layout=Layout.FAN_OUT).encode() == (
        b'{\n  "format": "zsm-registry/1",\n  "layout": "fan-out",\n'
        b'  "lock": "flock"\n}\n'
    )


def test_what_is_not_said_is_the_default() -> None:
    found = RegistrySettings.decode(b'{"format":"zsm-registry/1"}')
    assert found == RegistrySettings()


DAMAGED = {
    b"": "empty",
    b"\x00\xff": "not JSON",
    b"[]": "not a JSON object",
    b'{"format":"zsm-registry/1"': "not JSON",
    b"{}": "format is None",
    b'{"format":7}': "format is 7",
    b'{"format":"zsm-store/1"}': "'zsm-store/1'",
    b'{"format":"zsm-registry/1","layout":"deep"}': "deep",
    b'{"format":"zsm-registry/1","layout":7}': "7",
    b'{"format":"zsm-registry/1","layout":[]}': "layout",
    b'{"format":"zsm-registry/1","lock":"mkdir"}': "mkdir",
    b'{"format":"zsm-registry/1","colour":"red"}': "unknown key 'colour'",
    b'{"format":"zsm-registry/1","format":"zsm-registry/1"}': "twice",
    b"<<<<<<< ours\n{}\n": "conflict marker",
}


@pytest.mark.parametrize("data", DAMAGED, ids=repr)
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(SettingsFormatError) as caught:
        RegistrySettings.decode(data)
    assert DAMAGED[data].lower() in str(caught.value).lower()
    assert not caught.value.is_newer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    SchemaRegistry.open(tmp_path / "registry").save(trained())
    return tmp_path / "registry"


def test_first_save_writes_the_settings(path: Path) -> None:
    found = json.loads((path / "registry.json").read_bytes())
    assert found == {"format": "zsm-registry/1", "layout": "flat", "lock": "flock"}


def test_registry_of_a_newer_version_is_neither_read_nor_written(path: Path) -> None:
    (path / "registry.json").write_text('{"format": "zsm-registry/2"}')
    registry = SchemaRegistry.open(path)
    calls = [
        lambda: registry.get(trained().schema_hash),
        lambda: registry.lookup_startup_mode(fingerprint()),
        registry.list_all,
        registry.verify,
        lambda: len(registry),
        lambda: registry.save(trained(SIM)),
        lambda: registry.delete(trained().schema_hash),
        lambda: SchemaRegistry.init(path),
    ]
    for call in calls:
        with pytest.raises(SettingsFormatError, match="upgrade") as caught:
            call()
        assert caught.value.is_newer
        assert str(path / "registry.json") in str(caught.value)


def test_open_registry_stops_writing_when_a_newer_version_takes_over(
    path: Path,
) -> None:
    registry = SchemaRegistry.open(path)
    assert len(registry) == 1
    (path / "registry.json").write_text('{"format": "zsm-registry/2"}')
    with pytest.raises(SettingsFormatError):
        registry.save(trained(SIM))
    with pytest.raises(SettingsFormatError):
        registry.delete(trained().schema_hash)


@pytest.mark.parametrize("data", DAMAGED, ids=repr)
def test_damaged_settings_stop_writers_and_not_readers(
    path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (path / "registry.json").write_bytes(data)
    registry = SchemaRegistry.open(path)
    with caplog.at_level(logging.WARNING):
        assert registry.list_all() == [trained()]
    assert str(path / "registry.json") in caplog.text
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    with pytest.raises(SettingsFormatError, match=r"registry\.json"):
        registry.save(trained(SIM))
    with pytest.raises(SettingsFormatError, match=r"registry\.json"):
        registry.delete(trained().schema_hash)
    assert (path / "registry.json").read_bytes() == data
    assert registry.list_all() == [trained()]
    problems = registry.verify()
    assert [problem.code for problem in problems] == ["ZSM050"]
    assert problems[0].path == str(path / "registry.json")


def test_repaired_settings_are_taken_up(path: Path) -> None:
    (path / "registry.json").write_bytes(b"")
    registry = SchemaRegistry.open(path)
    assert registry.list_all() == [trained()]
    (path / "registry.json").write_bytes(RegistrySettings().encode())
    registry.save(trained(SIM))
    assert len(registry) == 2


def test_settings_that_are_no_file_are_named(path: Path) -> None:
    (path / "registry.json").unlink()
    (path / "registry.json").mkdir()
    registry = SchemaRegistry.open(path)
    for call in (registry.list_all, lambda: registry.save(trained(SIM))):
        with pytest.raises(StorageError, match=r"registry\.json': not a regular file"):
            call()


# init


@pytest.mark.parametrize("layout", Layout)
def test_init_twice_is_init_once(tmp_path: Path, layout: Layout) -> None:
    path = tmp_path / "deep" / "registry"
    SchemaRegistry.init(path, layout=layout).save(trained())
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    again = SchemaRegistry.init(path, layout=layout)
    assert again.list_all() == [trained()]
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert after == before


def test_init_keeps_git_from_blending(tmp_path: Path) -> None:
    SchemaRegistry.init(tmp_path)
    assert "*.json -text" in (tmp_path / ".gitattributes").read_text()


def test_init_leaves_attributes_that_are_there(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("mine")
    SchemaRegistry.init(tmp_path)
    assert (tmp_path / ".gitattributes").read_text() == "mine"


def test_init_of_another_layout_is_refused_and_changes_nothing(path: Path) -> None:
    with pytest.raises(StorageError, match="exists with layout 'flat'"):
        SchemaRegistry.init(path, layout=Layout.FAN_OUT)
    assert SchemaRegistry.init(path).list_all() == [trained()]


def test_fan_out_registry_from_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    SchemaRegistry.init(path, layout=Layout.FAN_OUT)
    registry = SchemaRegistry.open(path)
    digest = registry.save(trained(BRP, tag="persons"))
    registry.save(trained(SIM))
    key = trained().schema_hash
    assert (path / key[:2] / f"{key}.json").is_file()
    assert not (path / f"{key}.json").exists()
    assert registry.get("persons") == trained(BRP, tag="persons")
    assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    registry.save(trained(BRP, em_iterations=3), if_match=digest)
    assert len(registry) == 2
    report = registry.pack(tmp_path / "all.zsm")
    assert len(report.packed) == 2
    assert registry.delete(key)
    assert SchemaRegistry.open(path).list_all() == [trained(SIM)]
    assert registry.unpack(tmp_path / "all.zsm").saved == (key,)
    assert registry.get(key) == trained(BRP, em_iterations=3)
    assert not registry.verify()


def test_error_names_the_file_of_the_layout_it_lies_in(tmp_path: Path) -> None:
    registry = SchemaRegistry.init(tmp_path, layout=Layout.FAN_OUT)
    registry.save(trained())
    key = trained().schema_hash
    file = tmp_path / key[:2] / f"{key}.json"
    file.write_bytes(b"{}")
    with pytest.raises(Exception, match="cannot read artifact") as caught:
        registry.get(key)
    assert str(file) in str(caught.value)
