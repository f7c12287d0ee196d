"""What every test gets: no leaks, hypothesis as chosen, the peer's vectors."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadline per example anywhere: a machine that does something else for a moment
# would fail a test that is right. The timeout of pytest-timeout is the upper bound.
settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    # The same examples on every run of the same code: a red run can be repeated.
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep",
    deadline=None,
    max_examples=5_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
_PROFILE = os.environ.get(
    "HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default"
)
settings.load_profile(_PROFILE)

_GRACE_S = 5.0
_DEEP_TIMEOUT_S = 3_600.0
_DESCRIPTORS = Path("/proc/self/fd")


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads its option
def pytest_configure(config: pytest.Config) -> None:
    """Give the deep profile the time that fifty times the examples take."""
    if _PROFILE == "deep" and config.option.timeout is None:
        config.option.timeout = _DEEP_TIMEOUT_S


def _open_descriptors() -> dict[int, str]:
    """Return what each descriptor of this process is open on; empty beside Linux."""
    found = {}
    if _DESCRIPTORS.is_dir():
        for entry in os.listdir(_DESCRIPTORS):  # noqa: PTH208  # a name is all it takes
            try:
                target = os.readlink(_DESCRIPTORS / entry)  # noqa: PTH115  # no file
            except FileNotFoundError:  # the descriptor of the listing itself
                continue
            found[int(entry)] = target
    return found


def _is_ours(target: str) -> bool:
    """Whether what a descriptor is open on can be the work of a test."""
    # Kept open for good by whoever first asks: Python's random numbers and hypothesis'
    # database of examples.
    return target != "/dev/urandom" and ".hypothesis" not in target


def _new_threads(before: set[threading.Thread]) -> list[str]:
    return sorted(
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.is_alive()
    )


def _new_descriptors(before: dict[int, str]) -> list[str]:
    return sorted(
        f"{number} -> {target}"
        for number, target in _open_descriptors().items()
        if before.get(number) != target and _is_ours(target)
    )


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    """Fail a test after which a thread runs or a descriptor is open that it opened.

    A watcher that outlives its registry, or a lock file that stays open, is a fault
    that no single assertion sees.
    """
    threads = set(threading.enumerate())
    descriptors = _open_descriptors()
    yield
    deadline = time.monotonic() + _GRACE_S
    while leaked := _new_threads(threads) or _new_descriptors(descriptors):
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {', '.join(leaked)}", pytrace=False)
        # What is in a reference cycle is garbage, not a leak.
        gc.collect()
        time.sleep(0.01)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep index caches of tests, and of processes they start, out of the user's."""
    before = os.environ.get("ZSM_CACHE_DIR")
    os.environ["ZSM_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["ZSM_CACHE_DIR"]
    else:
        os.environ["ZSM_CACHE_DIR"] = before


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Return the folder of the Rust library's vectors; read only."""
    return Path(__file__).parent / "data" / "golden"
