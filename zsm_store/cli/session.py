"""What the options that all commands share come down to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.cli import terminal
from zsm_store.cli.location import registry_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.registry.schema_registry import SchemaRegistry


class Session:
    """One invocation of the command. Options fill it in, before or after the verb."""

    def __init__(self) -> None:
        self.registry: Path | None = None
        """As named by the user."""
        self.as_json = False
        self.quiet = False
        self.verbose = False
        self.use_cache = True
        """Whether the index of a large registry may be kept in the user's cache."""
        self.lock_timeout_s: float | None = None
        """Seconds to wait for other writers; None for the usual ones."""
        self.durability = "full"
        """What is saved survives a power cut, or only the end of processes."""

    @contextmanager
    def open_registry(self) -> Iterator[SchemaRegistry]:
        """Open the registry that is meant.

        Raises
        ------
        click.UsageError
            None is.
        ZsmError
            It cannot be opened.
        """
        with self.open(registry_path(self.registry)) as registry:
            yield registry

    def open(self, path: Path) -> SchemaRegistry:
        """Open one registry, with the options that were given.

        Raises
        ------
        ZsmError
            It cannot be opened.
        """
        from zsm_store.registry.file_writer import Durability  # noqa: PLC0415
        from zsm_store.registry.schema_registry import SchemaRegistry  # noqa: PLC0415

        # Nothing to watch for: the process ends with its first answer.
        return SchemaRegistry.open(
            path,
            watch=False,
            cache=self.use_cache,
            durability=Durability(self.durability),
            **self.lock_options(),
        )

    def lock_options(self) -> dict[str, float]:
        """Return how long to wait for other writers, if that was said."""
        if self.lock_timeout_s is None:
            return {}
        return {"lock_timeout_s": self.lock_timeout_s}

    def hint(self, message: str) -> None:
        """Say on standard error what may help, unless somebody wants data only."""
        if not (self.quiet or self.as_json):
            terminal.tell(message)

    def hint_if_missing(self, registry: SchemaRegistry) -> None:
        """Tell a registry that does not exist from one that is empty."""
        from pathlib import Path  # noqa: PLC0415

        if not Path(registry.location).exists():
            terminal.warn(f"'{registry.location}' does not exist: nothing is saved yet")
