"""A process that holds a lock until it is killed, or nobody listens any more.

``python -P -m zsm_store.registry.diagnosis.lock_holder DIRECTORY STRATEGY``
"""

from __future__ import annotations

import sys
from pathlib import Path

from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory

HELD = b"held\n"


def main() -> None:
    """Take the lock, say so and wait."""
    directory, strategy = sys.argv[1:]
    with write_lock(PrivateDirectory(Path(directory)), LockStrategy(strategy), 5):
        sys.stdout.buffer.write(HELD)
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
