"""Values to bytes and back: pure functions, no paths."""
