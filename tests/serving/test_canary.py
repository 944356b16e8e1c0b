"""A canary: who answers whom, what is said of it, and that no request fails on account of a challenger."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.serving.limits import Limits
from pipeline.serving.model import LoadedModel
from pipeline.serving.pointers import CHALLENGER_POINTER, point_to
from pipeline.serving.prediction_log import LogSettings, PredictionLog
from pipeline.serving.roles import CHALLENGER, CHAMPION, Shares
from tests.serving import made
from tests.serving.beside import ROW, challenged, engine, reading
from tests.serving.running import Answer, Kept, Running, running, serving
from tests.serving.test_challenger import followed, said
from tests.serving.test_guard import wait_for
from tests.serving.test_prediction_log import rows_in

FALLBACKS = "ratchet_canary_fallbacks_total"
INFER = {
    "inputs": [
        {"name": "distance", "datatype": "FP64", "shape": [1], "data": [1.0]},
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["A"]},
    ]
}


def version(answer: Answer) -> str:
    """Which version answered; its answers must be that version's own."""
    assert answer.status == 200, answer.body
    found = answer.headers["x-model-version"]
    if "predictions" in answer.json and "model" in answer.json:
        expected = made.foretold(made.record(made.TABLE, version=int(found)), ROW)
        assert list(answer.json["predictions"][0]["probabilities"].values()) == expected
        assert answer.json["model"]["version"] == int(found)
    return found


def test_a_share_of_the_requests_is_answered_by_the_challenger(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=0.5) as service:
        found = [version(service.post("/predict", ROW, x_request_id=f"id-{each}")) for each in range(40)]
        assert 5 < found.count("4") < 35
        again = [version(service.post("/predict", ROW, x_request_id=f"id-{each}")) for each in range(40)]
        assert found == again
        v3, v4 = (reading(service, f'ratchet_role_requests_total{{role="{role}",version="{which}"}}')
                  for role, which in ((CHAMPION, 3), (CHALLENGER, 4)))  # fmt: skip
        assert (v3, v4) == (2 * found.count("3"), 2 * found.count("4"))
        assert reading(service, f'ratchet_role_seconds_count{{role="{CHALLENGER}"}}') == v4
        assert reading(service, f'ratchet_role_call_rows_total{{role="{CHALLENGER}"}}') == v4
        assert reading(service, FALLBACKS) == 0


def test_a_client_that_sends_a_key_sticks_to_one_version_in_every_protocol(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=0.5) as service:
        seen = set()
        for client in range(12):
            headers = {"x_canary_key": f"user {client}"}
            found = {
                version(service.post(path, content, **headers))
                for path, content in (
                    ("/predict", ROW),
                    ("/v1/models/zoo:predict", {"instances": [ROW]}),
                    ("/v2/models/zoo/infer", INFER),
                )
            }
            assert len(found) == 1
            seen |= found
        assert seen == {"3", "4"}


def test_who_addresses_a_version_or_a_label_gets_that_one(tmp_path: Path) -> None:
    for canary in (0.0, 1.0):
        with challenged(tmp_path / str(canary), canary=canary) as service:
            for which, expected in (
                ("/versions/3", "3"), ("/labels/champion", "3"), ("/versions/4", "4"), ("/labels/challenger", "4"),
            ):  # fmt: skip
                answer = service.post(f"/v1/models/zoo{which}:predict", {"instances": [ROW]})
                assert version(answer) == expected
                status = service.ask("GET", f"/v1/models/zoo{which}").json["model_version_status"]
                assert [each["version"] for each in status] == [expected]
                assert service.ask("GET", f"/v1/models/zoo{which}/metadata").json["model_spec"]["version"] == expected
            for expected in ("3", "4"):
                answer = service.post(f"/v2/models/zoo/versions/{expected}/infer", INFER)
                assert version(answer) == expected
                assert answer.json["model_version"] == expected
            for which in ("/versions/5", "/labels/canary"):
                answer = service.post(f"/v1/models/zoo{which}:predict", {"instances": [ROW]})
                assert answer.status == 404
                assert "3 and 4 are" in answer.error or "champion and challenger are" in answer.error
            versions = service.ask("GET", "/v1/models/zoo").json["model_version_status"]
            assert [each["version"] for each in versions] == ["3", "4"]
            assert service.ask("GET", "/v2/models/zoo").json["versions"] == ["3", "4"]


def test_health_and_the_model_say_who_is_beside_the_champion(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=0.05, shadow=0.1) as service:
        expected = {
            "model": {"name": "zoo", "version": 4, "digest": made.record(made.TABLE, version=4).digest},
            "why": "",
            "canary_share": 0.05,
            "shadow_share": 0.1,
        }
        ready = service.ask("GET", "/health/ready").json
        assert ready["model"]["version"] == 3
        assert ready["challenger"] == expected
        assert service.ask("GET", "/model").json["challenger"] == expected


class InvalidArgumentError(Exception):
    """What TensorFlow raises for values that a model does not take."""


@pytest.mark.parametrize(
    ("error", "why"), [(RuntimeError("x"), "failed"), (InvalidArgumentError("x"), "refused"), (OSError("x"), "failed")]
)
def test_if_the_challenger_fails_the_champion_answers(tmp_path: Path, error: Exception, why: str) -> None:
    with challenged(tmp_path, canary=1.0) as service:
        engine(service, CHALLENGER).error = lambda columns: error
        assert [version(service.post("/predict", ROW)) for _ in range(3)] == ["3"] * 3
        assert reading(service, FALLBACKS) == 3
        assert reading(service, f'ratchet_role_errors_total{{role="{CHALLENGER}",version="4",why="{why}"}}') == 3
        assert reading(service, "ratchet_errors_total") == 0
        addressed = service.post("/v1/models/zoo/labels/challenger:predict", {"instances": [ROW]})
        assert addressed.status == (422 if why == "refused" else 500)  # who asks for it gets what it says
        engine(service, CHALLENGER).error = lambda columns: None
        assert version(service.post("/predict", ROW)) == "4"


def test_if_the_challenger_hangs_the_champion_answers_within_the_clients_time(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=1.0, limits=Limits(canary_s=0.05, request_s=1e6)) as service:
        engine(service, CHALLENGER).is_open.clear()
        try:
            assert version(service.post("/predict", ROW)) == "3"
            assert version(service.post("/predict", ROW, x_timeout_ms="999999999")) == "3"
            late = f'ratchet_role_errors_total{{role="{CHALLENGER}",version="4",why="late"}}'
            assert reading(service, late) == 2
            assert reading(service, 'ratchet_dropped_rows_total{why="deadline"}') == 0  # of users
        finally:
            engine(service, CHALLENGER).is_open.set()


@pytest.mark.long
def test_a_challenger_has_at_most_half_of_a_clients_time(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=1.0, limits=Limits(canary_s=1000)) as service:
        engine(service, CHALLENGER).is_open.clear()
        try:
            assert version(service.post("/predict", ROW, x_timeout_ms="3000")) == "3"
        finally:
            engine(service, CHALLENGER).is_open.set()


def at_once(service: Running, count: int, found: list[Any]) -> list[threading.Thread]:
    """Ask so many times at once."""
    asking = [threading.Thread(target=lambda: found.append(service.post("/predict", ROW))) for _ in range(count)]
    for each in asking:
        each.start()
    return asking


def test_a_challenger_with_too_much_to_do_holds_up_nobody(tmp_path: Path) -> None:
    """What waits for it is bounded, counts for nothing in the admission, and its queue is not the champion's."""
    limits = Limits(batch_rows=2, canary_s=1000, queue_s=0.0)
    with challenged(tmp_path, canary=1.0, limits=limits) as service:
        engine(service, CHALLENGER).is_open.clear()
        found: list[Any] = []
        asking = at_once(service, 6, found)
        try:
            # One call under way with a row, at most two rows behind it: the champion answers the others.
            wait_for(lambda: len(found) == 3)
            assert service.service.admission.in_flight == 0
            assert {version(each) for each in found} == {"3"}
            busy = f'ratchet_role_errors_total{{role="{CHALLENGER}",version="4",why="busy"}}'
            assert reading(service, busy) == 3
            assert reading(service, "ratchet_shed_rows_total") == 0
        finally:
            engine(service, CHALLENGER).is_open.set()
            for each in asking:
                each.join()
        assert sorted(map(version, found)) == ["3"] * 3 + ["4"] * 3


def test_bodies_that_wait_for_a_challenger_keep_no_others_out(tmp_path: Path) -> None:
    row = json.dumps(ROW).encode()
    with challenged(tmp_path, canary=1.0, limits=Limits(bodies_bytes=len(row) + 10)) as service:
        assert version(service.ask("POST", "/predict", row, {"content-type": "application/json"})) == "3"
        assert reading(service, FALLBACKS) == 1
        assert reading(service, f'ratchet_role_errors_total{{role="{CHALLENGER}",version="4",why="busy"}}') == 1


def test_what_the_gate_has_refused_gets_copies_and_answers_who_addresses_it_alone(tmp_path: Path) -> None:
    models = followed(tmp_path)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    said(tmp_path, 2, may_answer=False)
    with running(serving(None, models=models, metrics=models._metrics, shares=Shares(1.0, 1.0))) as service:
        wait_for(lambda: models.challenger.taken and models.following)
        assert version(service.post("/predict", ROW)) == "1"
        wait_for(lambda: reading(service, 'ratchet_shadow_copies_total{fate="compared"}') == 1)
        answer = service.post("/v1/models/zoo/labels/challenger:predict", {"instances": [ROW]})
        assert version(answer) == "2"
        assert "the gate has not let it pass" in service.ask("GET", "/health/ready").json["challenger"]["why"]
        said(tmp_path, 2, may_answer=True)  # a person has overruled it
        wait_for(lambda: version(service.post("/predict", ROW)) == "2")
        assert service.ask("GET", "/health/ready").json["challenger"]["why"] == ""


def test_what_is_wrong_with_a_request_is_said_whoever_answers(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=1.0) as service:
        answer = service.post("/predict", {"distance": "x", "carrier": "A"})
        assert answer.status == 400
        assert reading(service, FALLBACKS) == 0


def test_a_challenger_that_ends_leaves_its_requests_to_the_champion(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=1.0) as service:
        assert version(service.post("/predict", ROW)) == "4"
        service.service.models.challenger.make_room()
        service.service.models._wanted_challenger = tmp_path / "gone"
        wait_for(lambda: version(service.post("/predict", ROW)) == "3")
        answer = service.post("/v1/models/zoo/labels/challenger:predict", {"instances": [ROW]})
        assert answer.status == 404
        assert "no challenger is served" in answer.error


def test_without_a_challenger_its_label_is_not_served(tmp_path: Path) -> None:
    with running(serving(made.model(made.TABLE))) as service:
        answer = service.post("/v1/models/zoo/labels/challenger:predict", {"instances": [ROW]})
        assert answer.status == 404
        assert "--challenger" in answer.error
        assert service.ask("GET", "/health/ready").json["challenger"] is None


def test_rows_and_the_log_keep_who_answered_in_which_role(tmp_path: Path) -> None:
    logged = PredictionLog(tmp_path / "log", LogSettings(1.0), lambda rows, fate: None, Kept())
    with challenged(tmp_path, canary=0.5, prediction_log=logged) as service:
        found = {f"id-{each}": version(service.post("/predict", ROW, x_request_id=f"id-{each}")) for each in range(12)}
        service.post("/v1/models/zoo/labels/challenger:predict", {"instances": [ROW]}, x_request_id="addressed")
        wait_for(lambda: [line for line in service.log.lines if line.get("request_id") == "addressed"])
        roles = {line["request_id"]: line["role"] for line in service.log.lines if line["event"] == "request"}
    kept = {row["request_id"]: row for row in rows_in(tmp_path / "log")}
    expected = {name: CHALLENGER if which == "4" else CHAMPION for name, which in found.items()}
    expected["addressed"] = CHALLENGER
    assert {name: row["role"] for name, row in kept.items()} == expected
    assert {name: str(row["version"]) for name, row in kept.items() if name in found} == found
    assert roles == expected


def test_parts_of_one_request_are_all_the_challengers_or_all_the_champions(tmp_path: Path) -> None:
    """A request of several calls, the last of which fails, is the champion's as a whole."""
    with challenged(tmp_path, canary=1.0, limits=Limits(batch_rows=2)) as service:
        engine(service, CHALLENGER).error = lambda columns: ValueError("x") if 5.0 in columns["distance"] else None
        rows = [{"distance": float(number), "carrier": "A"} for number in range(6)]
        answer = service.post("/predict", rows)
        assert answer.headers["x-model-version"] == "3"
        champion: LoadedModel | None = service.service.models.current
        assert champion is not None
        expected = [made.foretold(champion.served, row) for row in rows]
        assert [list(each["probabilities"].values()) for each in answer.json["predictions"]] == expected
