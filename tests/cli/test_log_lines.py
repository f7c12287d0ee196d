from __future__ import annotations

import logging

import pytest

from zsm_store.cli.log_lines import log_lines
from zsm_store.cli.session import Session

LOGGER = logging.getLogger("zsm_store.registry.catalog")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_warning_is_printed_once_and_the_rest_with_verbose(capsys, verbose) -> None:
    session = Session()
    session.verbose = verbose
    with log_lines(session):
        for _ in range(3):
            LOGGER.warning("skipped: %s", "a\x1b")
        LOGGER.info("looked")
        LOGGER.debug("listed")
    LOGGER.info("after")
    out, err = capsys.readouterr()
    said = ["zsm: info: looked", "zsm: debug: listed"] if verbose else []
    assert out == ""
    assert err.splitlines() == [r"zsm: warning: skipped: a\x1b", *said]
