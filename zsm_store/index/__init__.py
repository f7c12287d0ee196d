"""Nearest search over fingerprints. No input or output."""
