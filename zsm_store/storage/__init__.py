"""Bytes to disk and back: names and bytes, never artifacts."""
