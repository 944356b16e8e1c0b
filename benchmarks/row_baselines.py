"""What models of tables and texts are held against, for `baselines.py`: scikit-learn on the rows of a finished run.

gradient boosting   HistGradientBoosting on the clean columns, categories and missing values as such; its iterations and
                    leaves are chosen on the validation part
TF-IDF + SVM        LinearSVC on sublinear TF-IDF of pairs and single words, or of runs of three to five characters
                    within words; C is chosen on the validation part

Rows and parts are those of `data/prepared`, values those of `data/clean`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pipeline.records.feature import FeatureSpec
from pipeline.records.metrics import MetricsReport
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import iter_tables, read_labels

PARTS = ("train", "validation", "test")
ITERATIONS, LEAVES, RATE = (60, 120, 240), (8, 15, 31), 0.05
CS = (0.1, 0.3, 1.0, 3.0, 10.0)
# What tidymodels' article "Preprocess your data with recipes" predicts late flights from, and the AUC that it prints.
AFTERWARDS = ("dep_time", "flight", "origin", "dest", "air_time", "distance", "carrier", "month", "day", "weekday")
TIDYMODELS_AUC = 0.764
SHARE_AT_RANDOM = 0.75  # of the rows that tidymodels trains on
Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Figure:
    """What is compared: its title, which way is better, and how far behind a model may be, or as a share of it."""

    name: str
    title: str
    is_higher_better: bool = True
    behind: float = 0.0
    behind_share: float = 0.0

    def bound(self, baseline: float) -> float:
        """Return what a model must reach."""
        allowed = self.behind + self.behind_share * abs(baseline)
        return baseline - allowed if self.is_higher_better else baseline + allowed

    def is_reached(self, ours: float, baseline: float) -> bool:
        """Return whether a figure is good enough."""
        return ours >= self.bound(baseline) if self.is_higher_better else ours <= self.bound(baseline)

    def of(self, truth: Labels, answers: npt.NDArray[Any]) -> float:
        """Return the figure of answers: scores of the second class (AUC), numbers (MAE), or classes (accuracy)."""
        from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

        ways = {"auc": roc_auc_score, "mae": mean_absolute_error, "accuracy": accuracy_score}
        return float(ways[self.name](truth, answers))


AUC = Figure("auc", "AUC", behind=0.01)
MAE = Figure("mae", "MAE", is_higher_better=False, behind_share=0.03)
RIGHT = Figure("accuracy", "accuracy", behind=0.005)


@dataclass(frozen=True)
class Part:
    """The rows of a part: clean values of features by column, where they stand in the source, and the truth."""

    values: pd.DataFrame
    labels: Labels


def read_parts(project: Path) -> tuple[list[FeatureSpec], dict[str, Part]]:
    """Return the features, and the clean values of the prepared rows of each part."""
    features = list(read_manifest(project / "data/prepared/train").features)
    names = [spec.name for spec in features]
    tables = iter_tables(project / "data/clean", ["id", "source", "row", *names])
    clean = pa.concat_tables(tables).to_pandas().set_index("id")
    parts = {}
    for part in PARTS:
        ids, labels = read_labels(project / "data/prepared" / part)
        parts[part] = Part(clean.loc[ids], labels)
    for spec in features:
        if spec.kind == "category":
            kind = pd.CategoricalDtype(sorted(parts["train"].values[spec.name].dropna().unique()))
            for each in parts.values():
                each.values[spec.name] = each.values[spec.name].astype(kind)
    return features, parts


def figure_of(features: Sequence[FeatureSpec], labels: Labels) -> Figure:
    """Return what models of such features and targets are compared by."""
    if labels.dtype.kind == "f":
        return MAE
    return RIGHT if any(spec.kind == "text" for spec in features) else AUC


def boosted(figure: Figure, iterations: int, leaves: int) -> Any:
    """Return gradient boosting for a figure."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    shared: dict[str, Any] = {"learning_rate": RATE, "max_iter": iterations, "max_leaf_nodes": leaves}
    shared |= {"early_stopping": False, "categorical_features": "from_dtype", "random_state": 0}
    if figure is MAE:
        return HistGradientBoostingRegressor(loss="absolute_error", **shared)
    return HistGradientBoostingClassifier(**shared)


def answers_of(figure: Figure, model: Any, values: Any) -> npt.NDArray[Any]:
    """Return a model's answers, as the figure takes them."""
    found: npt.NDArray[Any] = model.predict_proba(values)[:, 1] if figure is AUC else model.predict(values)
    return found


def best_of(figure: Figure, models: Sequence[Any], values: Mapping[str, Any], labels: Mapping[str, Labels]) -> float:
    """Fit all, choose by the validation part, and return the figure of the chosen one on the test part."""
    sign = 1 if figure.is_higher_better else -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one that has not converged is judged as it is
        fitted = [model.fit(values["train"], labels["train"]) for model in models]
    figures = {
        part: [figure.of(labels[part], answers_of(figure, model, values[part])) for model in fitted]
        for part in PARTS[1:]
    }
    return figures["test"][int(np.argmax([sign * each for each in figures["validation"]]))]


def gradient_boosting(figure: Figure, parts: Mapping[str, Part], columns: Sequence[str]) -> float:
    """Return the figure of gradient boosting on these columns."""
    models = [boosted(figure, iterations, leaves) for iterations in ITERATIONS for leaves in LEAVES]
    values = {name: part.values[list(columns)] for name, part in parts.items()}
    return best_of(figure, models, values, {name: part.labels for name, part in parts.items()})


def svm(parts: Mapping[str, Part], column: str, **settings: Any) -> float:
    """Return the accuracy of a linear SVM on TF-IDF with these settings."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(sublinear_tf=True, **settings)
    vectors.fit(parts["train"].values[column])
    values = {name: vectors.transform(part.values[column]) for name, part in parts.items()}
    models = [LinearSVC(C=c, random_state=0) for c in CS]
    return best_of(RIGHT, models, values, {name: part.labels for name, part in parts.items()})


def baselines_of(features: Sequence[FeatureSpec], parts: Mapping[str, Part]) -> dict[str, Callable[[], float]]:
    """Return the baselines of such features, by title."""
    texts = [spec.name for spec in features if spec.kind == "text"]
    if not texts:
        figure = figure_of(features, parts["train"].labels)
        return {"gradient boosting": lambda: gradient_boosting(figure, parts, [spec.name for spec in features])}
    return {
        "TF-IDF of words + SVM": lambda: svm(parts, texts[0], ngram_range=(1, 2), min_df=2),
        "TF-IDF of characters + SVM": lambda: svm(parts, texts[0], analyzer="char_wb", ngram_range=(3, 5), min_df=3),
    }


def ours(report: MetricsReport, figure: Figure, rows: int) -> float:
    """Return the candidate's figure; raise SystemExit if it is of other rows."""
    if report.test["rows"] != rows or figure.name not in report.test:
        raise SystemExit(f"reports/metrics.json has no {figure.title} on {rows:,} test rows: it is of another run")
    return float(report.test[figure.name])


def known_afterwards(source: Path, parts: Mapping[str, Part]) -> dict[str, Part]:
    """Return the parts with the columns of AFTERWARDS, which nobody has before a departure, from the source's files."""
    named = sorted({name for part in parts.values() for name in part.values["source"]})
    files = {name: pd.read_csv(source / name) for name in named}
    found = {}
    for name, part in parts.items():
        rows = [
            files[file].iloc[group["row"] - 1].set_axis(group.index) for file, group in part.values.groupby("source")
        ]
        values = pd.concat(rows).loc[part.values.index]
        values["weekday"] = pd.to_datetime(values[["year", "month", "day"]]).dt.dayofweek
        for column in ("origin", "dest", "carrier"):
            values[column] = values[column].astype("category")
        found[name] = Part(values[list(AFTERWARDS)], part.labels)
    kinds = {column: found["train"].values[column].dtype for column in ("origin", "dest", "carrier")}
    return {name: Part(part.values.astype(kinds), part.labels) for name, part in found.items()}


def mixed(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Return all rows, divided at random: three quarters to train on, a tenth of them to choose by."""
    values = pd.concat([part.values for part in parts.values()])
    labels = np.concatenate([part.labels for part in parts.values()])
    order = np.random.default_rng(0).permutation(len(labels))
    last = int(SHARE_AT_RANDOM * len(order))
    chosen = dict(zip(PARTS, np.split(order, [int(0.9 * last), last]), strict=True))
    return {part: Part(values.iloc[rows], labels[rows]) for part, rows in chosen.items()}


def afterwards(source: Path, parts: Mapping[str, Part]) -> str:
    """Return a sentence on what would be reached with columns that nobody has before a departure."""
    told = known_afterwards(source, parts)
    by_time, at_random = (gradient_boosting(AUC, each, AFTERWARDS) for each in (told, mixed(told)))
    return (
        f"with dep_time and air_time, which nobody knows before, gradient boosting has an AUC of {by_time:.3f} on "
        f"these rows, and of {at_random:.3f} on a quarter drawn at random; tidymodels prints {TIDYMODELS_AUC} for a "
        "logistic regression with them, on a quarter drawn at random"
    )
