"""The files in docker/, read.

`compose-spec.json` is the schema of the Compose Specification (its authors', Apache-2.0), byte for byte as Docker
Compose 2.40.3 carries it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """The team's set-up, anchors merged and variables as they are written."""
    parsed: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return parsed
