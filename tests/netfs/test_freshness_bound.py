"""How soon a lookup sees what another host saved: the bounds that are documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.freshness_run import Change, measure_freshness

if TYPE_CHECKING:
    from tests.netfs.conftest import Drive


@pytest.mark.netfs
@pytest.mark.timeout(300)
@pytest.mark.parametrize("watch", [False, True])
def test_change_by_another_host_is_seen_within_the_bound(
    drive: Drive, watch: bool
) -> None:
    registries = 5
    times = measure_freshness(
        drive.there, drive.here, watch=watch, registries=registries, rounds=1
    )
    assert len(times.delays) == registries * len(Change)
    assert times.longest_s <= drive.bound_s, times
