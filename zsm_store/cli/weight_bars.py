"""Match weights as bars around a middle line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.cli.terminal import Styled

if TYPE_CHECKING:
    from zsm_store.model.params import Rows

_LEAST_SIDE = 6


class WeightScale(NamedTuple):
    """How long the bar of a weight is; one scale for all fields, so bars compare."""

    most: float
    """Bits that fill one side."""
    side: int
    """Columns of one side."""
    blocks: bool
    """Block characters, in steps of half a column; else ``#``."""

    @classmethod
    def of(cls, weights: Rows, width: int, *, blocks: bool) -> WeightScale:
        """Choose a scale that fits all finite weights into `width` columns."""
        finite = (abs(w) for row in weights for w in row if math.isfinite(w))
        most = math.ceil(max(finite, default=1.0)) or 1
        return cls(most=most, side=max((width - 1) // 2, _LEAST_SIDE), blocks=blocks)

    def title(self) -> str:
        """Return the labels of both ends and of the middle."""
        left, right = f"-{self.most:g}", f"+{self.most:g} bits"
        return f"{left:<{self.side}}0{right:>{self.side}}"

    def bar(self, weight: float) -> tuple[str | Styled, ...]:
        """Return the pieces of one bar; an infinite weight fills its side."""
        share = min(abs(weight) / self.most, 1.0)
        halves = round(share * self.side * 2)
        if not self.blocks:
            halves += halves % 2
        full, half = divmod(halves, 2)
        block, axis = ("█", "│") if self.blocks else ("#", "|")
        if weight < 0:
            text = "▐" * half + block * full
            return " " * (self.side - len(text)), Styled(text, "red"), axis
        text = block * full + "▌" * half
        return " " * self.side + axis, Styled(text, "green")
