"""What a training minimises and measures: the recipe's loss, and the figures of its task, row by row.

What the model itself adds (regularizers, losses of layers) joins the loss in `step.py`: it is a function of the weights
and of the whole batch, not of a row.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.recipe.recipe import LOSS as LOSS_SLOT
from pipeline.recipe.slots import Choice
from pipeline.records.architecture import TargetScale
from pipeline.records.training_history import LOSS, PENALTY

_OBJECTIVES = "pipeline.training.objectives"


@dataclass(frozen=True)
class Objective:
    """A loss and the figures of a task, of labels of a dtype; the files of both are named in errors.

    Where rows have weights (`is_weighted`), these are the last of the targets.
    """

    loss: Callable[[Any, Any], Any]
    metrics: Callable[[Any, Any], dict[str, Any]]
    loss_file: str
    metrics_file: str
    label_type: str = "int32"
    is_weighted: bool = False

    def of_rows(self, targets: Sequence[Any], logits: Any) -> dict[str, Any]:
        """Return the loss and the task's figures of each row by name, the loss first: `[batch] float32` each.

        Of rows that may have two labels, `targets` are both and the share of the first; a figure is the mean of those
        of both, weighted so: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 2.
        Where rows have weights, their losses are multiplied by them; the task's figures count each row once.
        Raises UsageError, naming its file, for a figure that is not one number a row.
        """
        if not self.is_weighted:
            return self._of_targets(targets, logits)
        *of_row, weights = targets
        figures = self._of_targets(of_row, logits)
        return {**figures, LOSS: weights * figures[LOSS]}

    def _of_targets(self, targets: Sequence[Any], logits: Any) -> dict[str, Any]:
        if len(targets) == 1:
            return self._of_labels(targets[0], logits)
        labels, others, shares = targets
        of_others = self._of_labels(others, logits)
        of_own = self._of_labels(labels, logits)
        return {name: shares * own + (1.0 - shares) * of_others[name] for name, own in of_own.items()}

    def _of_labels(self, labels: Any, logits: Any) -> dict[str, Any]:
        figures = {LOSS: self.loss(labels, logits)}
        _require_rows(figures[LOSS], f"{self.loss_file}: the loss")
        for name, values in self.metrics(labels, logits).items():
            if name in (LOSS, PENALTY):
                raise UsageError(f"{self.metrics_file}: a figure cannot be called {name}; give it another name")
            _require_rows(values, f"{self.metrics_file}: {name}")
            figures[name] = values
        return figures


def objective_of(
    task: Choice, loss: Choice, classes: int, target: TargetScale | None = None, *, is_weighted: bool = False
) -> Objective:
    """Return what a recipe's loss and task say; raise UsageError if there is no such loss or the task measures none.

    `target` is the scale of a target that is a number: labels are float32 then, in deviations from its mean. With
    `is_weighted` each row has a weight.
    """
    module, file = f"{_OBJECTIVES}.{task.name}", f"{_OBJECTIVES.replace('.', '/')}/{task.name}.py"
    try:
        metrics = importlib.import_module(module).metrics
    except (ImportError, AttributeError) as error:
        raise UsageError(f"task {task.name}: {file} has no metrics(labels, logits): {error}") from error
    settings = LOSS_SLOT.settings(loss, "train.loss")
    built, loss_file = LOSS_SLOT.member(loss.name).build(settings, classes), f"{LOSS_SLOT.folder}/{loss.name}.py"
    if target is None:
        return Objective(built, metrics, loss_file, file, is_weighted=is_weighted)
    of_numbers = functools.partial(metrics, target=target)
    return Objective(built, of_numbers, loss_file, file, "float32", is_weighted)


def _require_rows(values: Any, what: str) -> None:
    if values.shape.rank != 1:
        raise UsageError(f"{what} has the shape {values.shape}, not one number for each row of the batch")
