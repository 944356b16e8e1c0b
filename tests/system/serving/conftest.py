"""What the tests of the real service have in common: one exported version, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.serving.zoo import write_zoo


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 as a served folder, which nobody changes."""
    scratch = tmp_path_factory.mktemp("exported")
    write_zoo(scratch / "v1", scratch, version=1)
    return scratch / "v1"
