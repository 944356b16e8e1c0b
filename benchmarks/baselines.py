"""What the shipped configs' models are worth: against scikit-learn's best on the very same rows and values.

    python benchmarks/baselines.py [--configs fashion_mnist digits_folders flights_late flights_delay spam]
    python benchmarks/baselines.py --finished FOLDER

Each config is run in a copy of this checkout in a temporary folder, until its verdict; `--finished` takes what a run in
place has left in a project's folder instead. The baselines learn from the training part of `data/prepared`, without
augmented copies; their settings are chosen on the validation part; what is printed is their figure on the test part,
beside the candidate's in `reports/metrics.json`. Of pictures it is the accuracy, and these are held against it (tables
and texts: `row_baselines.py`):

linear SVM   LinearSVC on the grey levels
HOG + SVM    SVC (RBF) on histograms of oriented gradients: N. Dalal, B. Triggs, CVPR 2005, as scikit-image computes
             them, nine orientations in cells of a seventh of the side (at least 4 pixels), blocks of 2 × 2 cells

Beside late flights stands what could be reached with columns that nobody has before a departure.

Exit 1 if a candidate on pictures is not ahead of the better of the two, one on late flights is more than 0.01 of AUC
behind, one on minutes of delay has an MAE more than 3 % larger, or one on mails is more than half a point behind.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import numpy.typing as npt

from benchmarks import row_baselines
from benchmarks.checkouts import copy_checkout, environment
from benchmarks.no_op_run import RATCHET
from benchmarks.quiet import noise_between, take_sample
from benchmarks.row_baselines import AUC, Figure
from pipeline.recipe.changing import as_written
from pipeline.recipe.configs import CONFIGS, recipe_layers
from pipeline.recipe.recipe import PARAMS_FILE, load_recipe
from pipeline.recipe.strict_yaml import dump_yaml
from pipeline.records.metrics import MetricsReport
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record
from pipeline.storage.shards import Rows, read_rows

ROOT = Path(__file__).parents[1]
SHIPPED = ("fashion_mnist", "digits_folders", "flights_late", "flights_delay", "spam")
PARTS = ("train", "validation", "test")
AHEAD = Figure("accuracy", "accuracy")  # nothing is allowed for
Pixels = npt.NDArray[np.uint8]  # [row, height, width, channel]
Values = npt.NDArray[np.float32]  # [row, value]


@dataclass(frozen=True)
class Baseline:
    """What pictures are turned into, the classifier of a C, and the Cs to choose from."""

    values: Callable[[Pixels], Values]
    classifier: Callable[[float], Any]
    cs: tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A line of the table: figures on the test rows by baseline, the candidate's, and what either took, seconds.

    `beside` is a sentence on what the figures are to be seen with.
    """

    name: str
    rows: int
    test_rows: int
    baselines: dict[str, float]
    ours: float
    baselines_s: float
    run_s: float | None  # None: it was finished before
    figure: Figure = AHEAD
    beside: str = ""

    @property
    def best(self) -> str:
        """The name of the better baseline."""
        better = max if self.figure.is_higher_better else min
        return better(self.baselines, key=lambda name: self.baselines[name])

    @property
    def is_ahead(self) -> bool:
        """Whether the candidate is as good as asked beside the better baseline; of pictures, right more often."""
        best = self.baselines[self.best]
        return self.ours > best if self.figure is AHEAD else self.figure.is_reached(self.ours, best)

    @property
    def verdict(self) -> str:
        """A sentence on the two."""
        best = self.baselines[self.best]
        if self.figure is AHEAD:
            return (
                f"ours is {'' if self.is_ahead else 'NOT '}ahead of {self.best}: {100 * (self.ours - best):+.1f} points"
            )
        asked = f"{self.figure.title} {self.figure.bound(best):.3f} asked, with {self.best} at {best:.3f}"
        return f"ours is {'' if self.is_ahead else 'NOT '}as good as asked: {self.ours:.3f} ({asked})"


def grey_levels(images: Pixels) -> Values:
    """Return the grey levels, 0 to 1, flat."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def gradients(images: Pixels) -> Values:
    """Return the histograms of oriented gradients; of colours, at each pixel the channel that changes most counts."""
    from skimage.feature import hog

    side = max(4, min(images.shape[1:3]) // 7)
    described = [hog(image, 9, (side, side), (2, 2), channel_axis=-1) for image in images]
    return np.stack(described).astype(np.float32)


def linear(c: float) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=c, random_state=0)


def radial(c: float) -> Any:
    from sklearn.svm import SVC

    return SVC(C=c)


BASELINES = {
    "linear SVM": Baseline(grey_levels, linear, (0.01, 0.1, 1.0)),
    "HOG + SVM": Baseline(gradients, radial, (1.0, 10.0)),
}


def accuracy_of(baseline: Baseline, parts: dict[str, Rows], feature: str) -> float:
    """Return the share of test rows that a baseline has right, with the C that is best on the validation part."""
    values = {part: baseline.values(np.asarray(rows.columns[feature][:])) for part, rows in parts.items()}
    fitted = []
    for c in baseline.cs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one that has not converged is judged as it is
            fitted.append(baseline.classifier(c).fit(values["train"], parts["train"].labels))
    best = max(fitted, key=lambda model: float(model.score(values["validation"], parts["validation"].labels)))
    return float(best.score(values["test"], parts["test"].labels))


def measured(name: str, project: Path, run_s: float | None) -> Line:
    """Fit the baselines on what a finished run in place has left, and hold them against its candidate."""
    features = read_manifest(project / "data/prepared/train").features
    is_pictures = all(spec.kind == "image" for spec in features)
    return (measured_pictures if is_pictures else measured_rows)(name, project, run_s)


def measured_rows(name: str, project: Path, run_s: float | None) -> Line:
    """Do so for a table, or texts."""
    report = read_record(project / "reports/metrics.json", MetricsReport)
    features, parts = row_baselines.read_parts(project)
    figure = row_baselines.figure_of(features, parts["train"].labels)
    test_rows = len(parts["test"].labels)
    ours = row_baselines.ours(report, figure, test_rows)
    begun_s = time.perf_counter()
    found = {title: baseline() for title, baseline in row_baselines.baselines_of(features, parts).items()}
    baselines_s = time.perf_counter() - begun_s
    source = project / load_recipe(project).data.path
    has_flights = figure is AUC and any(source.glob("flights_q?.csv.gz"))
    beside = row_baselines.afterwards(source, parts) if has_flights else ""
    rows = sum(len(part.labels) for part in parts.values())
    return Line(name, rows, test_rows, found, ours, baselines_s, run_s, figure, beside)


def measured_pictures(name: str, project: Path, run_s: float | None) -> Line:
    """Do so for pictures."""
    report = read_record(project / "reports/metrics.json", MetricsReport)
    parts = {part: read_rows(project / "data/prepared" / part) for part in PARTS}
    if report.primary != "accuracy" or report.test["rows"] != len(parts["test"]):
        raise SystemExit(f"{project}: reports/metrics.json is not of the accuracy on the rows of data/prepared")
    [feature] = parts["train"].columns
    begun_s = time.perf_counter()
    accuracies = {title: accuracy_of(baseline, parts, feature) for title, baseline in BASELINES.items()}
    baselines_s = time.perf_counter() - begun_s
    rows = sum(map(len, parts.values()))
    return Line(name, rows, len(parts["test"]), accuracies, float(report.primary_figure), baselines_s, run_s)


@contextmanager
def run_of(name: str) -> Iterator[tuple[Path, float]]:
    """Run a config in place in a copy of this checkout; give the copy, and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
        project = copy_checkout(ROOT, Path(folder) / "project")
        layers = recipe_layers(project, f"{CONFIGS}/{name}.yaml")
        (project / PARAMS_FILE).write_bytes(dump_yaml(as_written(layers.values, layers.written)))
        begun_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *RATCHET],
            cwd=project,
            env=environment(project, Path(sys.executable)),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{name}: the run ended with {done.returncode}: {done.stderr[-2000:]}")
        yield project, time.perf_counter() - begun_s


def table(lines: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    rows = ["| config | rows (test) | figure | best of scikit-learn | ours | time |", "|---|---|---|---|---|---|"]
    for line in lines:
        others = ", ".join(f"{name} {figure:.3f}" for name, figure in line.baselines.items())
        took = "finished before" if line.run_s is None else f"{line.run_s:.0f} s"
        rows.append(
            f"| `{line.name}` | {line.rows:,} ({line.test_rows:,}) | {line.figure.title} | "
            f"{line.baselines[line.best]:.3f} ({others}; {line.baselines_s:.0f} s) | {line.ours:.3f} | {took} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Measure and print; exit 1 if a candidate is not ahead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=SHIPPED, metavar="NAME", help="names of files in configs/")
    parser.add_argument("--finished", type=Path, metavar="FOLDER", help="a project with a run that has ended in place")
    arguments = parser.parse_args()
    before = take_sample()
    lines = []
    if arguments.finished:
        lines.append(measured(arguments.finished.resolve().name, arguments.finished, None))
    else:
        for name in arguments.configs:
            with run_of(name) as (project, run_s):
                lines.append(measured(name, project, run_s))
    print(table(lines))
    print(f"while this was measured: {noise_between(before, take_sample())}")
    for line in lines:
        print(f"{line.name}: {line.verdict}")
        if line.beside:
            print(f"{line.name}: {line.beside}")
    return 0 if all(line.is_ahead for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
