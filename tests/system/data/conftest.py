"""What the tests of the data stages share: one folder in which all of them have run, to read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.system.conftest import RunHere
from tests.system.data.faulty_rows import STAGES, Row, make_root, rows_with_faults


@pytest.fixture(scope="session")
def faulty() -> tuple[list[Row], Counter[str]]:
    return rows_with_faults()


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, faulty: tuple[list[Row], Counter[str]], run_here: RunHere) -> Path:
    """A project whose data stages have run with two cores on shards of 500 rows."""
    root = make_root(tmp_path_factory.mktemp("two_cores") / "project", faulty[0], 500)
    run_here(root, *STAGES)
    return root
