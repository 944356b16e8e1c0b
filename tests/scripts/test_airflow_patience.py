"""How long a start is waited for: what moves is waited for at any speed, what does not is given up."""

from __future__ import annotations

import os

from scripts.airflow_patience import Patience

S = os.sysconf("SC_CLK_TCK")  # ticks
WEB, DAGS = "the web server does not answer yet", "not read yet: retrain.py in dags/"


def test_a_start_on_a_machine_a_hundred_times_slower_is_waited_for() -> None:
    patience = Patience(stall_s=120, work_s=300)
    for second in range(0, 3600, 10):
        assert patience.lost(WEB, {1: second * S // 100}, 0, second) is None


def test_a_start_of_which_nothing_moves_is_given_up() -> None:
    patience = Patience(stall_s=120, work_s=300)
    assert patience.lost(WEB, {1: 7 * S}, 5, 1000) is None
    assert patience.lost(WEB, {1: 8 * S}, 5, 1010) is None
    assert patience.lost(WEB, {1: 8 * S}, 5, 1130) is None
    assert patience.lost(WEB, {1: 8 * S}, 5, 1131) == "nothing of it has moved for 120 s"


def test_a_line_in_the_log_is_a_movement() -> None:
    patience = Patience(stall_s=120, work_s=300)
    assert patience.lost(WEB, {}, 5, 0) is None
    assert patience.lost(WEB, {}, 6, 121) is None
    assert patience.lost(WEB, {}, 6, 242)


def test_work_that_brings_nothing_is_given_up() -> None:
    patience = Patience(stall_s=120, work_s=300)
    assert patience.lost(WEB, {1: 0}, 0, 0) is None
    assert patience.lost(WEB, {1: 200 * S, 2: 100 * S}, 0, 1) is None
    assert patience.lost(WEB, {2: 101 * S}, 0, 2) == "its processes have worked on that for 301 s of processor time"


def test_a_step_is_worth_new_patience_but_not_one_that_was_there_before() -> None:
    patience = Patience(stall_s=120, work_s=300)
    assert patience.lost(WEB, {1: 0}, 0, 0) is None
    assert patience.lost(WEB, {1: 299 * S}, 0, 1) is None
    assert patience.lost(DAGS, {1: 500 * S}, 0, 2) is None
    assert patience.lost(WEB, {1: 700 * S}, 0, 3) is None
    assert patience.lost(DAGS, {1: 900 * S}, 0, 4)
