"""Size, agreement and speed of every export format against the SavedModel, of models trained on the sample of pictures.

    python benchmarks/exports.py                       (some minutes: each model is trained for three epochs)
    python benchmarks/exports.py --served FOLDER       (what `ratchet export` has measured, as ratios)

Asked: whole numbers take at most 0.3 of LiteRT's float file and give 99 % of the rows the same class. Times are of one
thread; only their ratios say something of a machine that does other work too.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.export.served import read_served, write_served
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec
from pipeline.records.served_model import ServedModel
from pipeline.runtime.tensorflow_import import import_tensorflow

SAMPLE = Path(__file__).parents[1] / "samples" / "fashion_mnist"
FORMATS = ("saved_model", "onnx", "litert", "litert_int8")
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "cnn": {"filters": [32, 64], "dense": 64, "dropout": 0.3},
    "resnet": {},
    "mlp": {"units": [128]},
}
EPOCHS, BATCH = 3, 256
MOST_SIZE, LEAST_AGREEMENT = 0.3, 0.99
Part = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def read(part: str) -> Part:
    """Read the pictures `[row, 28, 28, 1]` and labels of `train` or `t10k`."""
    images, labels = (
        np.frombuffer(gzip.decompress(next(SAMPLE.glob(f"{part}-{what}-*")).read_bytes()), np.uint8, offset=offset)
        for what, offset in (("images", 16), ("labels", 8))
    )
    return images.reshape(-1, 28, 28, 1), labels.astype(np.int64)


def architecture(name: str, images: npt.NDArray[np.uint8]) -> Architecture:
    """Return one of the shipped architectures for these pictures."""
    sides = {"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28}
    fitted = {"mean": [float(images.mean())], "std": [float(images.std())]}
    image = FeatureSpec(name="image", kind="image", dtype="uint8", shape=(28, 28, 1), settings=sides, fitted=fitted)
    classes = tuple(f"class {number}" for number in range(10))
    return Architecture(
        name=name, settings=ARCHITECTURES[name], task="classification", features=(image,), classes=classes
    )


def trained(made: Architecture, train: Part, folder: Path) -> None:
    """Store a model trained for some epochs."""
    import_tensorflow()
    import keras

    from pipeline.models import stored
    from pipeline.models.build import build

    keras.utils.set_random_seed(1)
    model = build(made)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    images, labels = train
    model.fit({"image": images}, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    stored.save(folder, made, model)


def lines(served: ServedModel) -> Iterator[str]:
    """Yield a line for each form: its size and its times by those of the SavedModel."""
    whole = served.formats[0]
    for form in served.formats:
        ratios = [
            f"p50 of {own.rows}: {own.p50_ms:.3f} ms ({own.p50_ms / base.p50_ms:.2f} x)"
            for own, base in zip(form.speeds, whole.speeds, strict=True)
        ]
        agreement = "" if form.agreement is None else f"  same class {form.agreement:8.3%}"
        yield (
            f"  {form.name:12} {form.size_bytes:9} bytes  differs by {form.largest_difference or 0:.1e}{agreement}  "
            f"{'  '.join(ratios)}"
        )
    for name, reason in served.refused.items():
        yield f"  {name:12} refused: {reason}"


def is_as_asked(served: ServedModel) -> bool:
    """Return whether whole numbers are as small, and agree as often, as is asked."""
    whole, eighth = served.format("litert"), served.format("litert_int8")
    if whole is None or eighth is None:
        return False
    share = eighth.size_bytes / whole.size_bytes
    print(f"  litert_int8 takes {share:.3f} of litert (at most {MOST_SIZE} asked)")
    return share <= MOST_SIZE and (eighth.agreement or 0) >= LEAST_AGREEMENT


def main() -> int:
    """Print the table of each architecture, or of a served folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--served", type=Path)
    parser.add_argument("--only", choices=list(ARCHITECTURES))
    options = parser.parse_args()
    if options.served:
        served = read_served(options.served)
        print(f"{served.name} v{served.version}, {served.parameters} parameters, {served.rows} rows")
        print("\n".join(lines(served)))
        return 0
    train, test = read("train"), read("t10k")
    every = []
    for name in [options.only] if options.only else ARCHITECTURES:
        made = architecture(name, train[0])
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            trained(made, train, folder / "model")
            served = write_served(
                folder / "model",
                folder / "exports",
                folder / "served",
                {"image": test[0]},
                name=name,
                version=None,
                formats=FORMATS,
                calibration={"image": train[0][:: len(train[0]) // 1024]},
            )
        print(f"{name}, {served.parameters} parameters, {served.rows} rows", flush=True)
        print("\n".join(lines(served)), flush=True)
        every.append(is_as_asked(served))
    return 0 if all(every) else 1


if __name__ == "__main__":
    sys.exit(main())
