"""What the tests of starting and stopping Airflow share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.airflow_service.stand_in import Checkout, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = make_checkout(tmp_path / "checkout")
    yield made
    made.stop("--grace-s", "0")
    assert made.processes() == []
