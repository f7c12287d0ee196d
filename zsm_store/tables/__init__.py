"""Tables in: files of records become schemas and fingerprints.

CSV, TSV and JSON Lines are read as a stream, with the values the peer's loader would
have. The kind of each column comes from the caller, from a schema file or from rules
that a user can replace; every decision says what it rests on. Nothing here knows what
is stored in a registry.
"""
