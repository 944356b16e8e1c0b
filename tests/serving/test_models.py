"""Which model is served: loading, proving, swapping, and what is refused."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, UsageError
from pipeline.serving import model as model_module
from pipeline.serving.engine import chosen
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel, free_memory_bytes, load
from pipeline.serving.models import Models
from pipeline.serving.pointers import LAST_GOOD, point_away, point_to, pointed_to
from tests.serving import made
from tests.serving.running import Kept, running, serving
from tests.serving.test_guard import wait_for


def loaded(folder: Path) -> LoadedModel:
    return load(folder, opening=made.opened)


def models(folder: Path) -> Models:
    return Models(folder, Metrics(), Kept(), loaded)


def test_a_served_folder_is_loaded_once_its_golden_rows_are_answered(tmp_path: Path) -> None:
    found = loaded(made.folder(tmp_path / "one", made.ALL))
    assert found.served.name == "zoo"
    assert found.engine.asked == [3]


def test_a_model_that_fails_its_golden_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"zoo v3 fails its golden rows: answers differ by 0\.01"):
        loaded(made.folder(tmp_path / "off", made.TABLE, wrong=0.01))
    with pytest.raises(DataError, match="inf"):
        loaded(made.folder(tmp_path / "nan", made.TABLE, wrong=np.nan))
    assert loaded(made.folder(tmp_path / "near", made.TABLE, wrong=1e-6))


@pytest.mark.parametrize("file", ["saved_model/1/saved_model.pb", "golden/answers.npy", "golden/carrier.json"])
def test_swapped_cut_and_missing_bytes_are_refused(tmp_path: Path, file: str) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[:-1] + b"x")
    with pytest.raises(DataError, match="do not match the digest"):
        loaded(folder)
    (folder / file).unlink()
    with pytest.raises(DataError, match="missing"):
        loaded(folder)


def test_a_model_that_cannot_be_opened_or_asked_is_refused(tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)

    def unreadable(*_: object) -> None:
        raise ValueError("no such op")

    with pytest.raises(DataError, match="zoo v3 cannot be loaded: ValueError: no such op"):
        load(folder, opening=unreadable)

    def for_other_features(folder: Path, served: object, wanted: str) -> object:
        name, engine = made.opened(folder, made.record(made.IMAGE), wanted)
        return name, engine

    with pytest.raises(DataError, match="does not answer its golden rows: KeyError"):
        load(folder, opening=for_other_features)


def test_a_model_that_needs_more_memory_than_there_is_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made.folder(tmp_path / "one", made.TABLE)
    monkeypatch.setattr(model_module, "free_memory_bytes", lambda: 20)
    with pytest.raises(TryAgain, match="of memory"):
        loaded(folder)


def test_free_memory_is_the_least_of_the_machine_and_the_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    4 kB\n")
    assert free_memory_bytes(meminfo, tmp_path) == 4096
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory_bytes(meminfo, tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory_bytes(meminfo, tmp_path) == 4096
    assert free_memory_bytes(tmp_path / "none", tmp_path / "none") is None


def test_an_engine_is_chosen_by_name_or_refused() -> None:
    served = made.record(made.TABLE)
    assert chosen(served, "auto") == "saved_model"
    with pytest.raises(UsageError, match=r"no engine 'onx' \(did you mean 'onnx'\?\)"):
        chosen(served, "onx")
    with pytest.raises(UsageError, match="it was not exported"):
        chosen(served, "onnx")
    with pytest.raises(UsageError, match="differs by 3"):
        chosen(served.changed(refused={"onnx": "differs by 3"}), "onnx")


def followed(root: Path, *versions: int, **about: object) -> Path:
    for version in versions:
        made.folder(root / f"v{version}", made.TABLE, version=version, **about)
    return root


def test_a_plain_folder_is_served_or_an_error(tmp_path: Path) -> None:
    plain = models(made.folder(tmp_path / "one", made.TABLE))
    plain.open()
    assert not plain.is_followed
    assert plain.current is not None
    with pytest.raises(DataError):
        models(made.folder(tmp_path / "off", made.TABLE, wrong=1)).open()


def test_a_followed_folder_is_served_from_where_its_pointer_says(tmp_path: Path) -> None:
    found = models(followed(tmp_path, 1, 2))
    found.open()
    assert found.current is None  # nothing is pointed to yet
    point_to(tmp_path, "v2")
    found.look()
    assert found.current is not None
    assert found.current.version == "2"
    assert pointed_to(tmp_path, LAST_GOOD) == "v2"


@pytest.mark.parametrize("name", ["", "..", ".", "../x", "/etc", "a/b", "\0", ".hidden", "x" * 300])
def test_a_pointer_names_a_folder_inside_or_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "current").write_text(name)
    assert pointed_to(tmp_path, "current") is None


def test_a_pointer_that_cannot_be_taken_away_is_said(tmp_path: Path) -> None:
    (tmp_path / "challenger").mkdir()
    with pytest.raises(StorageError, match="challenger: cannot be removed"):
        point_away(tmp_path, "challenger")


@pytest.mark.long
def test_a_refused_model_leaves_the_last_good_one(tmp_path: Path) -> None:
    found = models(followed(tmp_path, 1))
    point_to(tmp_path, "v1")
    found.open()
    made.folder(tmp_path / "v2", made.TABLE, version=2, wrong=0.5)
    point_to(tmp_path, "v2")
    found.look()
    assert found.current is not None
    assert found.current.version == "1"
    assert found.refused is not None
    assert found.refused.folder == "v2"
    assert "fails its golden rows" in found.refused.why
    assert str(tmp_path) not in found.refused.why
    again = models(tmp_path)  # as after a restart
    again.open()
    assert again.current is not None
    assert again.current.version == "1"
    assert again.refused == found.refused
    made.folder(tmp_path / "v3", made.TABLE, version=3)
    point_to(tmp_path, "v3")
    found.look()
    assert found.current.version == "3"
    assert found.refused is None


@pytest.mark.long
def test_whatever_a_folder_raises_the_last_good_model_stays(tmp_path: Path) -> None:
    found = models(followed(tmp_path, 1))
    point_to(tmp_path, "v1")
    found.open()
    for number, content in enumerate((b"", b"{}", b"\xff", b'{"name": 3}', b"[" * 100_000)):
        folder = tmp_path / f"odd{number}"
        folder.mkdir()
        (folder / "model.json").write_bytes(content)
        point_to(tmp_path, folder.name)
        found.look()
        assert found.current is not None
        assert found.refused is not None
        assert found.refused.folder == folder.name
    point_to(tmp_path, "nowhere")
    found.look()
    assert found.refused.folder == "nowhere"


@pytest.mark.long
def test_models_are_swapped_without_a_failed_or_mixed_answer(tmp_path: Path) -> None:
    """Each answer is that of the version that it names, while good and bad models come."""
    followed(tmp_path, 1)
    point_to(tmp_path, "v1")
    log = Kept()
    metrics = Metrics()
    found = Models(tmp_path, metrics, log, loaded)
    found.open()
    row = {"distance": 2.0, "carrier": "A"}
    wrong: list[object] = []
    seen: set[int] = set()
    is_over = threading.Event()
    with running(serving(None, models=found, metrics=metrics, log=log)) as service:

        def client() -> None:
            while not is_over.is_set():
                answer = service.post("/predict", {"rows": [row, row]})
                version = answer.json["model"]["version"] if answer.status == 200 else None
                if version is None or answer.headers["x-model-version"] != str(version):
                    wrong.append(answer)
                    continue
                seen.add(version)
                expected = made.foretold(made.record(made.TABLE, version=version), row)
                given = [list(each["probabilities"].values()) for each in answer.json["predictions"]]
                if given != [expected, expected]:
                    wrong.append(answer)

        clients = [threading.Thread(target=client) for _ in range(3)]
        for each in clients:
            each.start()
        try:
            for version in (2, 3, 4):
                made.folder(tmp_path / f"v{version}", made.TABLE, version=version, wrong=float(version == 3))
                point_to(tmp_path, f"v{version}")
                wait_for(
                    lambda v=version: (
                        (found.refused and found.refused.folder == f"v{v}")
                        or (found.current and found.current.served.version == v)
                    )
                )
                ready = service.ask("GET", "/health/ready")
                assert ready.status == 200
                assert ready.json["model"]["version"] == {2: 2, 3: 2, 4: 4}[version]
                assert bool(ready.json["refused"]) == (version == 3)
                readings = service.ask("GET", "/metrics").body.decode()
                assert f"ratchet_model_refused {float(version == 3)}" in readings
            wait_for(lambda: 4 in seen)
        finally:
            is_over.set()
            for each in clients:
                each.join()
    assert wrong == []
    assert seen <= {1, 2, 4}
    assert json.dumps(log.lines).count("model refused") == 1


def test_a_champion_of_other_features_is_asked_by_its_own(tmp_path: Path) -> None:
    """Whoever still sends the features of before is told so in one line."""
    found = models(followed(tmp_path, 1))
    point_to(tmp_path, "v1")
    found.open()
    rows = {1: {"distance": 2.0, "carrier": "A"}, 2: {"body": "a text"}}
    with running(serving(None, models=found)) as service:
        assert service.post("/predict", rows[1]).json["model"]["version"] == 1
        made.folder(tmp_path / "v2", made.TEXT, version=2)
        point_to(tmp_path, "v2")
        wait_for(lambda: found.current and found.current.version == "2")
        refused = service.post("/predict", rows[1])
        assert refused.status == 400
        assert "no feature 'distance'" in refused.error
        assert service.post("/predict", rows[2]).json["model"]["version"] == 2
        assert [each["name"] for each in service.ask("GET", "/model").json["inputs"]] == ["body"]


@pytest.mark.long
@pytest.mark.parametrize(("when", "what"), [("opened", "to be loaded"), ("asked", "to answer its golden rows")])
def test_a_champion_for_which_memory_runs_out_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, what: str
) -> None:
    found = models(followed(tmp_path, 1, 2))
    point_to(tmp_path, "v1")
    found.open()

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    point_to(tmp_path, "v2")
    with monkeypatch.context() as patch:
        patch.setattr(made.Foretelling, "__init__" if when == "opened" else "answer", out_of_memory)
        found.look()
    assert found.current is not None
    assert found.current.version == "1"
    assert found.refused is not None
    assert found.refused.why == f"zoo v2 needs more memory {what} than there is"


def test_without_a_model_for_want_of_memory_it_is_tried_again_but_not_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[RatchetError] = [TryAgain("zoo v3 needs more memory"), DataError("zoo v3 fails its golden rows")]

    def loading(folder: Path) -> LoadedModel:
        if errors:
            raise errors.pop(0)
        return loaded(folder)

    made.folder(tmp_path / "v3", made.TABLE)
    point_to(tmp_path, "v3")
    monkeypatch.setattr("pipeline.serving.models._AGAIN_S", 0.0)
    followed = Models(tmp_path, Metrics(), Kept(), loading)
    followed.open()
    assert followed.refused == ("v3", "zoo v3 needs more memory")
    followed.look()
    followed.look()
    assert followed.refused == ("v3", "zoo v3 fails its golden rows")
    errors.append(TryAgain("zoo v3 needs more memory"))
    followed.open()
    followed.look()
    assert followed.refused is None
    assert followed.current is not None
    assert pointed_to(tmp_path, LAST_GOOD) == "v3"


def test_a_last_good_that_cannot_be_noted_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise StorageError("no room")

    monkeypatch.setattr("pipeline.serving.models.write_file", full)
    made.folder(tmp_path / "v1", made.TABLE)
    (tmp_path / "current").write_text("v1")
    log = Kept()
    found = Models(tmp_path, Metrics(), log, loaded)
    found.open()
    assert found.current is not None
    assert [line["event"] for line in log.lines] == ["model taken", "last good model not noted"]


def test_a_folder_that_is_gone_while_it_is_served_changes_nothing(tmp_path: Path) -> None:
    found = models(followed(tmp_path, 1))
    point_to(tmp_path, "v1")
    found.open()
    shutil.rmtree(tmp_path)
    found.look()
    assert found.current is not None
    assert not isinstance(found.refused, RatchetError)
    assert time.time() >= found.current.loaded_at_s
