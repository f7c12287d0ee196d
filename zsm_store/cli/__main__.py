"""``python -m zsm_store.cli``: the command without its entry point."""

from __future__ import annotations

from zsm_store.cli import main

if __name__ == "__main__":
    main()
