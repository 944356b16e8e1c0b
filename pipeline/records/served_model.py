"""`model.json` of a served folder: one version of one model, and all that a program needs to ask it.

model.json                 this record
golden/                    raw test rows by feature (`NAME.npy`, texts `NAME.json`), and their `answers.npy`
saved_model/1/             TensorFlow Serving's numbered layout
onnx/model.onnx, litert/model.tflite, litert_int8/model.tflite    further formats, as far as they are proven
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.records.record import Record

SERVED_FILE = "model.json"
GOLDEN_FOLDER = "golden"
ANSWERS_FILE = "answers.npy"
SAVED_MODEL = "saved_model"
InputType = Literal["uint8", "float32", "float64", "int32", "int64", "string"]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or path != "/".join(parts):
        raise ValueError(f"'{path:.80}' is no path inside the folder")
    return path


Inside = Annotated[str, AfterValidator(_inside)]  # a path in the served folder


class ServedInput(Record):
    """One raw feature: `shape` is that of one row's value, without the batch; None is a side of any length.

    `background` is the grey level behind what is transparent in a picture, where it was decoded so for the training.
    """

    name: str
    kind: str
    dtype: InputType
    shape: tuple[int | None, ...] = ()
    background: int | None = Field(default=None, ge=0, le=255)


class ServedSpeed(Record):
    """How long one call with so many `rows` takes, on the machine that made the folder."""

    rows: int
    p50_ms: float
    p95_ms: float


class ServedFormat(Record):
    """One form of the model. `path` is what is loaded; `files` are its files with their digests, all in the folder.

    Of the SavedModel, which the others are held to, `largest_difference` is from the trained model. A difference is of
    any number, by its size where that is above 1; `agreement` is the share of rows with the same class. `tolerance` is
    the largest difference it is held to, None where it is held to `least_agreement` alone. `inputs` are there where it
    takes less than the model: images of one size, numbers as float32.
    """

    name: str
    path: Inside
    files: dict[Inside, str] = Field(min_length=1)
    size_bytes: int
    largest_difference: float | None = None
    agreement: float | None = None
    tolerance: float | None = None
    least_agreement: float | None = None
    inputs: tuple[ServedInput, ...] = ()
    speeds: tuple[ServedSpeed, ...] = ()


class ServedModel(Record):
    """What is served: `digest` is the stored model's, `version` the registry's number (None: of no registry).

    `output` names the answers: probabilities `[row, class]` in the order of `classes`, or numbers `[row, 1]` in `unit`.
    Of two classes, a row belongs to the second from the probability `threshold` on; None: to the likelier one.
    `golden` says where the golden rows come from: the test part, or made up by kind of feature. `golden_files` are
    their files with digests. `rows` is how many each format was compared on, `made_with` the packages by version.
    `refused` says of each format that was asked for and is not there why.
    """

    name: str
    version: int | None = None
    digest: str
    task: str
    output: str
    signature: str
    classes: tuple[str, ...] = ()
    unit: str = ""
    threshold: float | None = None
    parameters: int
    inputs: tuple[ServedInput, ...] = Field(min_length=1)
    golden: Literal["test", "made"] = "test"
    golden_files: dict[Inside, str] = Field(default_factory=dict)
    rows: int
    formats: tuple[ServedFormat, ...] = Field(min_length=1)
    refused: dict[str, str] = Field(default_factory=dict)
    made_with: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        for what, names in (("formats", self.formats), ("inputs", self.inputs)):
            if len({each.name for each in names}) != len(names):
                raise ValueError(f"{what}: two have the same name")
        return self

    def format(self, name: str) -> ServedFormat | None:
        """Return one form of the model by its name; None if it is not there."""
        return next((each for each in self.formats if each.name == name), None)

    @property
    def files(self) -> dict[str, str]:
        """Every file of the folder but `model.json`, with its digest."""
        return {**self.golden_files, **{path: digest for each in self.formats for path, digest in each.files.items()}}
