"""ONNX, for onnxruntime and whatever else reads it. Raw images of any size and raw numbers in; no texts.

tf2onnx writes operations that it does not know as they are, and onnxruntime then refuses the file: so a file counts as
an ONNX model only once it has answered every row, images of another size and missing numbers among them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.export.forms import Asked, Inputs
    from pipeline.records.architecture import Architecture

PLACE = "onnx/model.onnx"
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
CALIBRATES = False


class Settings(Base):
    """What it is held to, and ONNX's version of its operations."""

    tolerance: float | None = Field(default=1e-4, description="largest difference of any number; null: none")
    least_agreement: float = Field(default=0.999, ge=0, le=1, description="least share of rows with the same class")
    opset: int = Field(default=18, ge=13, le=18, description="version of ONNX's operations")


def refusal(architecture: Architecture) -> str | None:
    """Return why there can be none: ONNX has no operations that read texts as the model does."""
    from pipeline.models.serving import raw_inputs

    kinds = {spec.name: spec.kind for spec in architecture.features}
    for name, (_, dtype) in raw_inputs(architecture).items():
        if dtype == "string":
            return f"feature {name} is a {kinds[name]}, and ONNX has no operations that read a text as the model does"
    return None


def inputs(architecture: Architecture) -> Inputs:
    """Return what the model takes raw."""
    from pipeline.models.serving import raw_inputs

    return raw_inputs(architecture)


def write(model_folder: Path, target: Path, settings: Settings, calibration: Any = None) -> None:  # noqa: ARG001
    """Write the stored model as the file `target`; inputs and output have the names of the signature."""
    import tf2onnx

    from pipeline.export.saved_model import serving_module
    from pipeline.models.serving import output_name
    from pipeline.models.stored import read_architecture
    from pipeline.runtime.tensorflow_import import import_tensorflow

    tf = import_tensorflow()
    module, output = serving_module(model_folder), output_name(read_architecture(model_folder))
    [columns] = module.serve.input_signature
    names, specs = list(columns), list(columns.values())

    # tf2onnx takes one argument an input, and calls each by its specification's name.
    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def serve(*values: Any) -> Any:
        answers = module.serve(dict(zip(names, values, strict=True)))
        return {output: answers[output]}

    tf2onnx.convert.from_function(serve, input_signature=specs, opset=settings.opset, output_path=str(target))


def load(path: Path) -> Asked:
    """Return how an ONNX model is asked by onnxruntime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def asked(columns: Any) -> Any:
        [answers] = session.run(None, {name: columns[name] for name in names})
        return answers

    return asked
