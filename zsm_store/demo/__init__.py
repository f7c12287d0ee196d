"""The registry at work: generated tables, a demonstration trainer, a scenario.

Needs numpy. `scenario.run_demo` is what `zsm demo` runs; nothing else in the package
depends on this folder.
"""
