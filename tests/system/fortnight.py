"""A fortnight of the main job on slices of Fashion-MNIST: `make fortnight`, or its first nights in the tests.

Each night is a `ratchet run`, as a schedule would start it. What is true of a champion is measured on test pictures
that no run ever sees. The fourteen nights try to bring the champion down: by poison, by a worse recipe, by a kill, by
repeating themselves, and by sliding a little every night under rule `refresh`, which asks for no step up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts import make_sample
from tests.system.project import ROOT, copy_checkout
from tests.waiting import wait_for, work_of

SAMPLE = ROOT / "samples" / "fashion_mnist"
TOTAL_MARGIN = 0.01
_JUDGED_SHARE = 0.75  # of the source's test pictures; the others are for measuring what is true


@dataclass(frozen=True)
class Pictures:
    """Pictures `[row, height, width, 1] uint8` and their labels `[row] uint8`."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __getitem__(self, rows: Any) -> Pictures:
        return Pictures(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Night:
    """What is done one night, and how it must end: the outcome, and for a refusal a check that must have failed."""

    name: str
    rows: int
    recipe: dict[str, Any] = field(default_factory=dict)
    is_poisoned: bool = False
    is_killed: bool = False
    outcome: str | None = None  # promoted, refused, kept, killed; None: whichever
    fails: str = ""


@dataclass(frozen=True)
class Seen:
    """How a night ended. Accuracies are true ones, on pictures that nobody judged by; None where there is no model."""

    night: Night
    outcome: str
    failed: tuple[str, ...]
    reason: str
    candidate: float | None
    champion: float | None
    anchor: float | None

    @property
    def is_right(self) -> bool:
        """Whether it ended as it must."""
        return self.night.outcome in (None, self.outcome) and (not self.night.fails or self.night.fails in self.failed)


def _train(epochs: int, **more: Any) -> dict[str, Any]:
    return {"train": {"epochs": epochs, **more}}


REFRESH = {"gate": {"rule": {"name": "refresh", "settings": {"total_margin": TOTAL_MARGIN, "slice_margin": 0.2}}}}
GOOD = _train(4)
NIGHTS = (
    Night("the first model", 2_000, _train(2), outcome="promoted"),
    Night("more pictures, more epochs", 6_000, GOOD, outcome="promoted"),
    Night("poisoned: labels shuffled", 6_000, GOOD, is_poisoned=True, outcome="refused", fails="step"),
    Night("a worse recipe", 6_000, _train(1, learning_rate=0.0005), outcome="refused", fails="step"),
    Night("the second night again", 6_000, GOOD, outcome="kept"),
    Night("all pictures; killed in register", 12_000, _train(8), is_killed=True, outcome="killed"),
    Night("the same again", 12_000, _train(8), outcome="promoted"),
    *(
        Night(f"refresh, on {rows} pictures", rows, {**_train(8), **REFRESH})
        for rows in (11_500, 11_000, 10_000, 9_000, 8_000, 6_500)
    ),
    Night("refresh, on 4000 pictures", 4_000, {**_train(8), **REFRESH}, outcome="refused", fails="total"),
)


class Fortnight:
    """A project with its pictures, and the true accuracy of each model that it has made."""

    def __init__(self, folder: Path, source: Path, training_share: float = 1.0) -> None:
        self._training = _read(source, "train")
        test = _mixed(_read(source, "t10k"))
        judged = int(len(test.labels) * _JUDGED_SHARE)
        self._judged, self._unseen, self._share = test[:judged], test[judged:], training_share
        self.project = copy_checkout(folder / "project")
        self._true: dict[str, float] = {}
        self.project.change_recipe(
            name="fortnight",
            data={"path": "pictures"},
            gate={
                "minimum": {"accuracy": 0.6},
                "maximum": {},
                # A first model of two epochs answers coat wherever it doubts: no better one keeps that recall.
                "rule": {"name": "better", "settings": {"total_margin": TOTAL_MARGIN, "slice_margin": 0.45}},
            },
        )
        self._recipe = (self.project.root / "params.yaml").read_bytes()
        for name in ("raw", "prepared"):  # which expect more rows than a first night has
            contract = self.project.root / "data_contracts" / "fashion_mnist" / f"{name}.yaml"
            contract.write_text(contract.read_text().replace("{min_value: 10000,", "{min_value: 1000,"))

    def spend(self, night: Night) -> Seen:
        """Run one night to its end; return what came of it."""
        rows = int(night.rows * self._share)
        training = _mixed(self._training)[:rows]
        if night.is_poisoned:
            labels = np.random.default_rng(0).permutation(training.labels)
            training = Pictures(training.images, labels)
        _write(self.project.root / "pictures", training, self._judged)
        (self.project.root / "params.yaml").write_bytes(self._recipe)
        self.project.change_recipe(**night.recipe)
        if night.is_killed:
            self._run_and_kill()
            return self._seen(night, "killed")
        done = self.project.ratchet("run")
        assert done.returncode == 0, done.stdout + done.stderr
        return self._seen(night, self.project.json("reports/registration.json")["outcome"])

    def ledger(self) -> list[dict[str, Any]]:
        """Return the lines of the ledger."""
        lines: list[dict[str, Any]] = json.loads(self.project.ratchet("registry", "ledger", "--json").stdout)
        return lines

    def _run_and_kill(self) -> None:
        run = self.project.start("ratchet", "run")
        events = self.project.root / ".ratchet" / "events.jsonl"
        try:
            wait_for(
                lambda: events.is_file() and "writing to the registry" in events.read_text(),
                "the run writes to the registry",
                progress=lambda: work_of(self.project.processes()),
                look_s=0.005,
            )
            run.kill()
        finally:
            run.communicate()
        wait_for(lambda: not self.project.processes(), "all has ended", progress=self.project.processes)

    def _seen(self, night: Night, outcome: str) -> Seen:
        verdict = self.project.json("reports/verdict.json")
        shown = self.project.ratchet("registry", "show", "--json")
        champion = json.loads(shown.stdout)["digest"] if shown.returncode == 0 else None
        return Seen(
            night,
            outcome,
            tuple(check["name"] for check in verdict["checks"] if check["outcome"] == "fail"),
            verdict["reason"],
            self._accuracy(verdict["candidate"], self.project.root / "models" / "candidate"),
            self._true.get(champion) if champion else None,
            self._true.get(verdict["anchor"]["digest"]) if verdict["anchor"] else None,
        )

    def _accuracy(self, digest: str, folder: Path) -> float:
        """Measure what is true of a model, once."""
        from pipeline.evaluation.predict import predict

        if digest not in self._true:
            answers = predict(folder, {"image": self._unseen.images})
            self._true[digest] = float((answers.argmax(axis=1) == self._unseen.labels).mean())
        return self._true[digest]


def _read(source: Path, part: str) -> Pictures:
    images, height, width = make_sample.read_images(source / f"{part}-images-idx3-ubyte.gz")
    labels = make_sample.read_labels(source / f"{part}-labels-idx1-ubyte.gz")
    pixels = np.frombuffer(b"".join(images), np.uint8).reshape(len(images), height, width, 1)
    return Pictures(pixels, np.frombuffer(labels, np.uint8))


def _mixed(pictures: Pictures) -> Pictures:
    return pictures[np.random.default_rng(13).permutation(len(pictures.labels))]


def _write(folder: Path, training: Pictures, test: Pictures) -> None:
    folder.mkdir(exist_ok=True)
    for part, pictures in (("train", training), ("t10k", test)):
        rows, height, width, _ = pictures.images.shape
        image_head = np.array([make_sample.IMAGES_MAGIC, rows, height, width], ">u4").tobytes()
        label_head = np.array([make_sample.LABELS_MAGIC, rows], ">u4").tobytes()
        make_sample.write_gzip(folder / f"{part}-images-idx3-ubyte.gz", image_head + pictures.images.tobytes())
        make_sample.write_gzip(folder / f"{part}-labels-idx1-ubyte.gz", label_head + pictures.labels.tobytes())


def in_words(number: int, seen: Seen) -> str:
    """Return a night in a line."""
    figures = ", ".join(
        f"{what} {figure:.4f}"
        for what, figure in (("candidate", seen.candidate), ("champion", seen.champion), ("anchor", seen.anchor))
        if figure is not None
    )
    failed = f"; failed: {', '.join(seen.failed)}" if seen.failed else ""
    return f"night {number:2}  {seen.night.name:34} {seen.outcome:9} true accuracy: {figures}{failed}"


def fell(seen: Iterable[Seen]) -> float:
    """Return how far the champion ever fell below the best champion before it, in true accuracy."""
    best, worst = 0.0, 0.0
    for each in seen:
        if each.champion is not None:
            best = max(best, each.champion)
            worst = max(worst, best - each.champion)
    return worst


def picture(seen: Sequence[Seen]) -> str:
    """Return the fortnight as SVG: each night's candidate, and the line of the champion."""
    width, height, left, top, step = 860, 330, 60, 30, 55
    figures = [
        figure for each in seen for figure in (each.candidate, each.champion) if figure is not None and figure > 0.5
    ]
    low, high = min(figures) - 0.01, max(figures) + 0.01

    def y(figure: float) -> float:
        return top + (high - max(figure, low)) / (high - low) * (height - top - 60)

    title = "True accuracy, on pictures that nobody judged by: the champion (line), candidates (dots)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12">'
        f'<rect width="{width}" height="{height}" fill="#fff"/><text x="{left}" y="18">{title}</text>'
    ]
    for tick in np.linspace(low, high, 5):
        parts.append(f'<text x="8" y="{y(tick) + 4:.1f}" fill="#555">{tick:.3f}</text>')
        parts.append(f'<path d="M{left} {y(tick):.1f}H{width - 10}" stroke="#ddd"/>')
    line = [
        f"{left + 20 + number * step} {y(each.champion):.1f}"
        for number, each in enumerate(seen)
        if each.champion is not None
    ]
    parts.append(f'<path d="M{"L".join(line)}" fill="none" stroke="#1b6ca8" stroke-width="2"/>')
    colours = {"promoted": "#1b6ca8", "refused": "#d1495b", "kept": "#777", "killed": "#000"}
    for number, each in enumerate(seen):
        x = left + 20 + number * step
        parts.append(f'<text x="{x}" y="{height - 34}" text-anchor="middle">{number + 1}</text>')
        word = f'<text x="{x}" y="{height - 16}" text-anchor="middle" font-size="10" fill="{colours[each.outcome]}">'
        parts.append(f"{word}{each.outcome}</text>")
        if each.candidate is not None:
            parts.append(f'<circle cx="{x}" cy="{y(each.candidate):.1f}" r="4" fill="{colours[each.outcome]}"/>')
            if each.candidate < low:  # below the picture: its figure says where
                parts.append(f'<text x="{x + 7}" y="{y(low) - 6:.1f}" font-size="10">{each.candidate:.2f}</text>')
    return "\n".join([*parts, "</svg>\n"])


def campaign(folder: Path, source: Path, tell: Callable[[str], None]) -> tuple[list[Seen], int]:
    """Spend all nights; tell of each, and return them with how many times something was not as it must be."""
    fortnight, seen, wrong = Fortnight(folder, source), list[Seen](), 0
    for number, night in enumerate(NIGHTS, 1):
        seen.append(fortnight.spend(night))
        tell(in_words(number, seen[-1]))
        if not seen[-1].is_right:
            wrong += 1
            tell(f"          expected {night.outcome} {night.fails}: {seen[-1].reason}")
    lines = fortnight.ledger()
    told = [(line["candidate"], line["champion"], line["outcome"]) for line in lines]
    tell(f"the champion fell by {fell(seen):.4f} at most; {TOTAL_MARGIN:g} may be lost in total")
    tell(f"the ledger has {len(lines)} lines, {len(set(told))} of them different")
    wrong += (fell(seen) > TOTAL_MARGIN) + (len(told) != len(set(told)))
    return seen, wrong


def main() -> None:
    """Run the campaign, and fail if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, help="folder of the four idx .gz files (default: the package's, or the sample)"
    )
    parser.add_argument("--picture", type=Path, help="file to write the SVG to")
    chosen = parser.parse_args()
    source = chosen.source or (make_sample.SOURCE if make_sample.SOURCE.is_dir() else SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        seen, wrong = campaign(Path(folder), source, lambda line: print(line, flush=True))
    if chosen.picture:
        chosen.picture.write_text(picture(seen))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
