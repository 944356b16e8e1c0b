"""How content is identified: `sha256:<hex>` of bytes, or of a value's canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_bytes(content: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    """Return `sha256:<hex>` of the canonical JSON of a value (sorted keys, no spaces)."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
