"""A process that asks a registry without a pause, and counts what is wrong."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter

from tests.examples import numbered
from zsm_store import SchemaRegistry, WarmLoad, ZsmError

TAGS = ("main", "other")
"""Of all artifacts on a branch: what a scan must not mix."""
_SCANS = 0.003
_GETS = 0.5


def main() -> None:
    """Ask the registry argv[1] of argv[2] artifacts for argv[3] seconds."""
    count, seconds, chance = int(sys.argv[2]), float(sys.argv[3]), random.Random(1)  # noqa: S311  # no secret
    artifacts = [numbered(number) for number in range(count)]
    told: Counter[str] = Counter()
    longest_s = 0.0
    end = time.monotonic() + seconds
    with SchemaRegistry.open(sys.argv[1]) as registry:
        while (begin := time.monotonic()) < end:
            asked = chance.choice(artifacts)
            question = chance.random()
            try:
                if question < _SCANS:
                    told[_scan(registry, count)] += 1
                elif question < _GETS:
                    found = registry.get(asked.schema_hash)
                    is_right = found.schema_hash == asked.schema_hash
                    told["get" if is_right and found.tag in TAGS else "wrong get"] += 1
                else:
                    mode = registry.lookup_startup_mode(asked.fingerprint)
                    is_right = isinstance(mode, WarmLoad)
                    told["lookup" if is_right else f"wrong lookup: {mode.name}"] += 1
            except ZsmError as error:
                told[f"error: {error}"] += 1
            longest_s = max(longest_s, time.monotonic() - begin)
    sys.stdout.write(json.dumps({"told": told, "longest_s": longest_s}))


def _scan(registry: SchemaRegistry, count: int) -> str:
    found = registry.list_all()
    tags = {artifact.tag for artifact in found}
    if len(found) == count and len(tags) == 1:
        return "scan"
    return f"wrong scan: {len(found)} of {sorted(map(str, tags))}"


if __name__ == "__main__":
    main()
