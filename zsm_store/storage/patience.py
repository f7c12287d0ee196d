"""Try again where a drive refuses for a moment what it will allow the next."""

from __future__ import annotations

import errno
import time

PASSING = frozenset({errno.ESTALE, errno.EBUSY})
"""What network drives say of a file that was replaced a moment ago."""
PASSING_RENAME = PASSING | {errno.EACCES, errno.EPERM, errno.ETXTBSY}
"""What they say of a rename over a file that somebody has open."""

LOCAL_S = 0.03
"""How long a local file may be hidden: by `git checkout`, which removes and writes."""
SHARED_S = 2.0
"""Network drives clear up within milliseconds to a second or two."""

_FIRST_S = 0.001
_LONGEST_S = 0.1


class Patience:
    """What is left of it.

    Parameters
    ----------
    patience_s
        Seconds to wait in all.
    """

    def __init__(self, patience_s: float) -> None:
        self._left_s = patience_s
        self._next_s = _FIRST_S

    def wait(self) -> bool:
        """Wait, longer every time; False, at once, when there was enough of that."""
        import random  # noqa: PLC0415  # only for those who wait

        if self._left_s <= 0:
            return False
        # At random, so that those who were refused together do not come back so.
        wait_s = min(self._next_s * random.uniform(0.5, 1.0), self._left_s)  # noqa: S311  # no secret
        self._left_s -= wait_s
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        time.sleep(wait_s)
        return True
