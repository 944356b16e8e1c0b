"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# The machines that run this are shared: how long an example took says nothing about the code.
settings.register_profile("ratchet", deadline=None, max_examples=50)
settings.load_profile("ratchet")
