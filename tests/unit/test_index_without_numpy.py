"""A process that asks once, of arrays in a mapped file, has no use for numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.scan import ScanIndex
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, mmap, sys
from zsm_store.index.base import Base
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.row import Vocabulary
from tests.unit.test_index_without_numpy import QUERIES, SEARCHES, fingerprint

with open(sys.argv[1]) as file:
    columns, names = json.load(file)
with open(sys.argv[2], "rb") as file:
    mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
base = Base(**{
    name: found if isinstance(found, int) else mapped[found[0]:found[1]].cast(found[2])
    for name, found in columns.items()
})
index = RareFirstIndex.of_base(base, Vocabulary(names))
index.put(fingerprint(10_000, 3))
index.remove(fingerprint(7, 0).schema_hash)
queries = [fingerprint(*query) for query in QUERIES]
answers = [
    [[one.distance, one.schema_hash] for one in found]
    for k, limit in SEARCHES
    for found in index.nearest_many(queries, k, limit)
]
assert "numpy" not in sys.modules
print(json.dumps(answers))
"""
COUNT = 1_500
SEARCHES = [(k, limit) for k in (1, 2, 30) for limit in (None, 0.25, 0.72)]
QUERIES = [(number, records) for number in (-1, 5, 7, 20_000) for records in (0, 9)]


def fingerprint(number: int, records: int) -> SchemaFingerprint:
    """Return one that shares two names with all others, if `number` is not negative."""
    names = [f"f{number}", f"g{number % 40}", "all", "every"]
    if number < 0:
        names = ["all"]
    kind = FieldKind.NAME if number >= 0 else FieldKind.DATE
    return SchemaFingerprint(
        schema_hash=f"{number % 2**32 * 2**200 + records:064x}",
        field_stats=tuple(
            FieldStats(name=name, kind=kind, cardinality=number % 9) for name in names
        ),
        record_count=records,
        created_at=0,
    )


@pytest.mark.parametrize("unsampled", [1, 40, COUNT])
def test_a_search_of_a_mapped_base_imports_no_numpy(
    tmp_path: Path, unsampled: int
) -> None:
    stored = [fingerprint(n, 5 * (n >= unsampled)) for n in range(COUNT)]
    taken = RareFirstIndex.build(stored).live_base()
    assert taken is not None
    base, vocabulary, _ = taken
    data, columns = b"", {}
    for field in fields(base):
        found = getattr(base, field.name)
        if not isinstance(found, int):
            start, view = -len(data) % 8 + len(data), memoryview(found)
            data = data.ljust(start, b"\0") + view.tobytes()
            found = start, len(data), view.format
        columns[field.name] = found
    (tmp_path / "columns").write_text(json.dumps([columns, vocabulary.names()]))
    (tmp_path / "data").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "columns", tmp_path / "data"],
        check=True,
        capture_output=True,
        text=True,
    )
    scan = ScanIndex()
    scan.update([*stored, fingerprint(10_000, 3)], [])
    scan.remove(fingerprint(7, 0).schema_hash)
    assert json.loads(done.stdout) == [
        [[one.distance, one.schema_hash] for one in found]
        for k, limit in SEARCHES
        for found in scan.nearest_many([fingerprint(*one) for one in QUERIES], k, limit)
    ]
