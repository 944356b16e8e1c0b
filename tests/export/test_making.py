"""Each form is held to the SavedModel on every set of rows; one that fails is not there, and says why.

No model is built: what processes would write and answer is given. Real forms: tests/system/export.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, UsageError
from pipeline.export import making
from pipeline.export.column_files import read_columns
from pipeline.export.formats import litert, litert_int8, onnx
from pipeline.models import stored
from pipeline.records.architecture import Architecture, TargetScale
from tests.models.made import architecture, column, image, text

NUMBERS = ["1", "2", "4", "8"]
ONE = architecture(image((4, 4, 1)))
ROWS = {"image": np.zeros((20, 4, 4, 1), np.uint8)}


def answers(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.tile(np.array([[0.9, 0.1]], np.float32), (len(next(iter(columns.values()))), 1))


class Processes:
    """Stands in for the processes that write a form and ask it. `change` is what a form answers otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, exports: Path) -> None:
        self.change: dict[tuple[str, str], Any] = {}
        self.asked: dict[str, dict[str, dict[str, np.ndarray]]] = {}
        saved = exports / "saved"
        saved.mkdir(parents=True)
        (saved / "saved_model.pb").write_text("graph")
        monkeypatch.setattr(making, "exported", lambda *_: saved)
        monkeypatch.setattr(making, "_tried", self.tried)
        monkeypatch.setattr(making, "missing_packages", lambda _: [])
        monkeypatch.setattr(making, "require_done", self.written)

    def tried(self, _: object, name: str, path: Path, sets: dict[str, dict[str, np.ndarray]]) -> tuple[Any, Any]:
        self.asked[name] = sets
        found = {key: answers(columns) for key, columns in sets.items()}
        for (form, key), change in self.change.items():
            if form == name:
                change(found[key])
        return found, ()

    def written(self, module: str, arguments: list[str], *_: object) -> None:
        name, _, target, *_ = arguments
        Path(target).write_text(name)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stored, "read_architecture", lambda _: ONE)
    monkeypatch.setattr(stored, "digest", lambda _: "sha256:0a")
    (tmp_path / "scratch").mkdir()
    return tmp_path


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, model: Path) -> Processes:
    return Processes(monkeypatch, model / "exports")


def make(model: Path, *formats: str) -> making.Made:
    return making.make(model / "model", model / "exports", ROWS, formats, model / "scratch", calibration=ROWS)


def test_every_form_that_answers_as_the_saved_model_is_there_with_its_file(processes: Processes, model: Path) -> None:
    made = make(model, "saved_model", "onnx", "litert", "litert_int8")
    assert [form.name for form in made.formats] == ["saved_model", "onnx", "litert", "litert_int8"]
    assert made.refused == {}
    for path, place in made.sources.items():
        assert path.exists()
        assert place in {form.path for form in made.formats}
    assert [form.tolerance for form in made.formats] == [1e-4, 1e-4, 1e-4, None]


def test_a_form_of_one_size_says_so_and_is_asked_nothing_else(processes: Processes, model: Path) -> None:
    _, form = make(model, "litert").formats
    assert [(each.name, each.shape) for each in form.inputs] == [("image", (4, 4, 1))]
    assert set(processes.asked["litert"]) == {"rows"}
    assert set(processes.asked["saved_model"]) == {"rows", "smaller", "larger"}


@pytest.mark.parametrize("key", ["rows", "smaller", "larger"])
def test_a_number_that_differs_in_any_set_of_rows_is_a_refusal(processes: Processes, model: Path, key: str) -> None:
    processes.change["onnx", key] = lambda found: found.__setitem__((3, 0), 0.95)
    made = make(model, "onnx")
    assert [form.name for form in made.formats] == ["saved_model"]
    said = "20 rows" if key == "rows" else f"16 rows, made {key}"
    assert made.refused["onnx"].startswith(f"it answers {said} otherwise than the SavedModel: a number by 0.05")


def test_a_form_of_whole_numbers_is_held_to_its_classes_alone(processes: Processes, model: Path) -> None:
    processes.change["litert_int8", "rows"] = lambda found: found.__setitem__((slice(None), 0), 0.8)
    _, form = make(model, "litert_int8").formats
    assert form.agreement == 1.0
    processes.change["litert_int8", "rows"] = lambda found: found.__setitem__(0, [0.1, 0.9])
    reason = make(model, "litert_int8").refused["litert_int8"]
    assert reason == "of 20 rows it gives 95.00% the class that the SavedModel gives, where 99.00% must be"


def test_a_row_without_an_answer_in_one_alone_is_a_refusal(processes: Processes, model: Path) -> None:
    processes.change["litert_int8", "rows"] = lambda found: found.__setitem__(0, np.nan)
    assert "litert_int8" in make(model, "litert_int8").refused


def test_a_saved_model_that_is_not_the_trained_one_is_not_exported_at_all(processes: Processes, model: Path) -> None:
    processes.change["trained", "larger"] = lambda found: found.__setitem__((0, 0), 0.5)
    with pytest.raises(DataError, match=r"its SavedModel answers differently from the trained model, by 0\.4"):
        make(model)


def test_what_a_converter_cannot_write_is_refused_with_its_last_word(
    processes: Processes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise DataError("it cannot be written: no such operation")

    monkeypatch.setattr(making, "require_done", fails)
    assert make(model, "onnx").refused == {"onnx": "it cannot be written: no such operation"}
    assert not list((model / "exports").glob("*.partial"))


def test_a_missing_package_is_named(processes: Processes, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "missing_packages", lambda packages: [packages[0]])
    assert make(model, "onnx").refused["onnx"] == "it needs tf2onnx, not installed here: `pip install tf2onnx`"


def test_an_unknown_format_is_refused_with_the_nearest_name(processes: Processes, model: Path) -> None:
    with pytest.raises(UsageError, match=r"--formats: no export format 'onyx' in pipeline/export/formats.*onnx"):
        make(model, "onyx")


def test_a_form_is_written_once_and_again_when_what_decides_it_changes(
    processes: Processes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(model, "onnx").sources
    for folder in ("onnx-questions", "onnx-answers"):
        assert not (model / "scratch" / folder).exists()
    assert make(model, "onnx").sources == first
    monkeypatch.setattr(stored, "digest", lambda _: "sha256:0b")
    assert make(model, "onnx").sources != first


def test_the_rows_to_calibrate_on_are_spread_over_all_that_are_given(
    processes: Processes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(_: str, arguments: list[str], *__: object) -> None:
        _, _, target, _, questions = arguments
        Path(target).write_bytes(read_columns(Path(questions))["image"][:, 0, 0, 0].tobytes())

    monkeypatch.setattr(making, "require_done", written)
    given = {"image": np.zeros((4000, 4, 4, 1), np.uint8)}
    given["image"][:, 0, 0, 0] = np.arange(4000) // 1000
    made = making.make(model / "model", model / "exports", ROWS, ["litert_int8"], model / "scratch", calibration=given)
    [file] = [path for path, place in made.sources.items() if place == litert_int8.PLACE]
    classes = np.bincount(np.frombuffer(file.read_bytes(), np.uint8))
    assert classes.sum() == 1024
    assert classes.min() >= 255


@pytest.mark.parametrize("form", [onnx, litert, litert_int8])
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (architecture(image(), text()), "feature body is a text"),
        (architecture(column("category", "carrier", ["AA", "UA"])), "feature carrier is a category"),
    ],
    ids=["text", "category"],
)
def test_models_of_texts_are_refused_by_the_feature(form: Any, made: Architecture, said: str) -> None:
    assert form.refusal(made).startswith(said)
    assert "\n" not in form.refusal(made)


def test_numbers_are_taken_but_by_8_bits() -> None:
    made = architecture(column("number", "fare", NUMBERS))
    assert onnx.refusal(made) is None
    assert litert.refusal(made) is None
    assert litert.inputs(made) == {"fare": ((), "float32")}
    assert litert_int8.refusal(made) == (
        "feature fare is a number, and 8 bits have no level for one that is missing or out of range"
    )


def test_a_target_that_is_a_number_has_no_form_of_8_bits() -> None:
    made = architecture(task="regression", classes=(), target=TargetScale(mean=1.0, deviation=2.0))
    assert litert_int8.refusal(made) == "it answers a number, and 256 levels of one are no answer"
    assert onnx.refusal(made) is None
