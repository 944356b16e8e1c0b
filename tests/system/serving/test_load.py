"""No request fails and no answer is wrong, whatever becomes of champions and workers; see `load`."""

from __future__ import annotations

from pathlib import Path

from tests.system.serving.load import campaign


def test_no_answer_is_lost_or_wrong_while_champions_change_and_workers_are_killed(
    exported: Path, tmp_path: Path
) -> None:
    seen = campaign(tmp_path, exported, clients=6, pause_s=0.01)  # which leaves the cores to those who load models
    assert seen.failed == []
    assert seen.wrong == []
    assert set(seen.answers) == {"1", "2"}
    assert seen.again > 0  # those whose worker was killed
