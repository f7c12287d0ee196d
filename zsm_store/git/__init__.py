"""A registry in git: conflicts, versions, and what git is told about artifacts."""
