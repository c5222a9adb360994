"""Hypothesis for tests on shared machines: no time limit, nothing written to the tree."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("protocol", deadline=None, database=None, print_blob=True)
settings.load_profile("protocol")
