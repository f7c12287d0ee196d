"""A generated table: the columns a linker sees, and apart from them the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zsm_store.model.schema import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from zsm_store.model.schema import FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTable:
    """Records of one table; a record is a row number, from 0."""

    name: str
    columns: Mapping[str, tuple[str | None, ...]]
    """By field name, in column order; one value per record, None where missing."""
    kinds: Mapping[str, FieldKind]
    """By field name."""
    entities: NDArray[np.int64]
    """(record,): who the record is about. The truth; no column tells it."""

    @property
    def schema(self) -> Schema:
        """The columns in their order."""
        return Schema(tuple(Field(name, self.kinds[name]) for name in self.columns))

    @property
    def true_pairs(self) -> int:
        """Pairs of records about the same entity, found by blocking or not."""
        _, copies = np.unique(self.entities, return_counts=True)
        return int((copies * (copies - 1) // 2).sum())

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.entities)

    def records(self) -> Iterator[dict[str, str | None]]:
        """Rows as mappings, what `SchemaFingerprint.from_sample` takes."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def reordered(self) -> DemoTable:
        """Return the same table with its columns in alphabetical order."""
        columns = {name: self.columns[name] for name in sorted(self.columns)}
        return DemoTable(
            name=self.name, columns=columns, kinds=self.kinds, entities=self.entities
        )
