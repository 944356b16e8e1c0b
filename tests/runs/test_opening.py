"""What is asked of a run is checked before anything is made; what is open stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.runs import history, opening
from tests.runs.given import opened


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"id": "x", "who": 1}', "unknown key 'who'"),
        (b'{"overrides": {}}', "'id' is missing"),
        (b'{"id": "x", "as_of": "yesterday"}', "as_of"),
        (b'{"id": "x", "reason": "' + b"x" * 2001 + b'"}', "reason"),
        (b" " * (2**20 + 1), "larger than"),
    ],
)
def test_a_request_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        opening.read_request(path)
    assert "\n" not in str(caught.value)


def test_opening_an_open_run_keeps_it(root: Path) -> None:
    workspace = opened(root, state="failed", end=history.now())
    (workspace / "made").write_text("by an earlier stage")
    record = opening.open_run(root, opening.RunRequest(id="r1"), dict(os.environ))
    assert (record.state, record.end) == ("running", None)
    assert (workspace / "made").is_file()
