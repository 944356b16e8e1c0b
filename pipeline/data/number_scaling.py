"""From a column's numbers to what a model takes: filled, held against the bounds of outliers, scaled.

In this order, for every row, here and inside the served model (models/preprocessing/number.py):

1. A missing value becomes the `fill`, which was learned from the values found, or declared.
2. A found value outside the bounds `lower` to `upper`, which were learned from the values found, is an outlier: it is
   clipped to the nearest bound, or flagged, or its training row was dropped. A filled value never is one.
3. It is scaled: `(value − centre) / spread`, of `log1p(max(value − least, 0))` where the scale is `log`. What that
   takes was learned from what steps 1 and 2 leave of the training rows, whatever other features say of them.

What no clean row can hold has no answer: NaN where the value is beyond the declared range, or missing though missing
values are rejected. All else is finite, in float32 too.

    scale      centre            spread
    standard   mean              standard deviation
    minmax     least             range
    robust     median            distance of the quartiles
    log        mean of the logs  standard deviation of the logs
    none       0                 1

A spread of 0, and one below 1e-150, of which squares are lost, is 1: a constant column becomes 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.number_statistics import Counts, Values, deviation, mean, mode, quantile
from pipeline.errors import DataError

LIMIT = 1e30  # of a number's size, raw and scaled: it and its sums stay finite in float32
_LEAST_SPREAD = 1e-150


def learned(name: str, settings: Mapping[str, Any], values: Values, counts: Counts, missing: int) -> dict[str, Any]:
    """Return what the training part's values give, by name, for `scaled`.

    `values` are the distinct ones in rising order with their `counts`; `missing` is the number of rows without one.
    Raises DataError, led by the feature's name, if nothing can be learned.
    """
    if not len(values):
        raise DataError(
            f"feature {name}: the training part has no value in column {settings['column'] or name}; "
            "check the source, or take the feature out of data.features"
        )
    fill = _fill(settings, values, counts)
    lower, upper = _bounds(name, settings["outliers"], values, counts)
    fitted: dict[str, Any] = {"fill": fill, "lower": lower, "upper": upper}
    action = settings["outliers"]["action"] if settings["outliers"] else None
    if action == "drop":
        is_inside = ~outliers_of(fitted, values)
        values, counts = values[is_inside], counts[is_inside]
        if not len(values):
            raise DataError(
                f"feature {name}: every value of the training part is an outlier; raise outliers.bound "
                f"of data.features.{name}.settings"
            )
    elif action == "clip":
        values = np.clip(values, lower, upper)
    if missing and fill is not None:
        place = int(np.searchsorted(values, fill))
        values, counts = np.insert(values, place, fill), np.insert(counts, place, missing)
    least = float(values[0]) if settings["scale"] == "log" else None
    centre, spread = _centre_and_spread(settings["scale"], values, counts)
    spread = spread if spread >= _LEAST_SPREAD else 1.0
    return {**fitted, "least": least, "centre": centre, "spread": spread}


def _fill(settings: Mapping[str, Any], values: Values, counts: Counts) -> float | None:
    of_values = {
        "mean": lambda: mean(values, counts),
        "median": lambda: quantile(values, counts, 0.5),
        "mode": lambda: mode(values, counts),
        "constant": lambda: float(settings["fill"]),
    }
    rule = of_values.get(settings["missing"])
    return rule() if rule else None


def _bounds(
    name: str, outliers: Mapping[str, Any] | None, values: Values, counts: Counts
) -> tuple[float | None, float | None]:
    if outliers is None:
        return None, None
    if outliers["method"] == "zscore":
        centre, reach = mean(values, counts), outliers["bound"] * deviation(values, counts)
        return centre - reach, centre + reach
    low, high = quantile(values, counts, 0.25), quantile(values, counts, 0.75)
    if low == high and values[0] < values[-1]:
        raise DataError(
            f"feature {name}: half of the training part's values are {low:g}, so by their quartiles every other one is "
            f"an outlier; set data.features.{name}.settings.outliers.method to zscore"
        )
    reach = outliers["bound"] * (high - low)
    return low - reach, high + reach


def _centre_and_spread(scale: str, values: Values, counts: Counts) -> tuple[float, float]:
    if scale == "none":
        return 0.0, 1.0
    if scale == "minmax":
        return float(values[0]), float(values[-1] - values[0])
    if scale == "robust":
        lower, middle, upper = (quantile(values, counts, share) for share in (0.25, 0.5, 0.75))
        return middle, upper - lower
    if scale == "log":
        values = np.log1p(values - values[0])
    return mean(values, counts), deviation(values, counts)


def outliers_of(fitted: Mapping[str, Any], values: Values) -> npt.NDArray[np.bool_]:
    """Return which values, `[row]` with NaN for a missing one, are outside the bounds that were learned."""
    if fitted["lower"] is None:
        return np.zeros(len(values), np.bool_)
    found: npt.NDArray[np.bool_] = (values < fitted["lower"]) | (values > fitted["upper"])
    return found


def is_beyond(settings: Mapping[str, Any], values: Values) -> npt.NDArray[np.bool_]:
    """Return which values, `[row]` with NaN for a missing one, are beyond the declared range, or LIMIT."""
    low, high = settings["low"], settings["high"]
    lowest, highest = -LIMIT if low is None else low, LIMIT if high is None else high
    found: npt.NDArray[np.bool_] = (values < lowest) | (values > highest)
    return found


def scaled(settings: Mapping[str, Any], fitted: Mapping[str, Any], values: Values) -> npt.NDArray[np.float32]:
    """Return what a model takes of values, `[row]` with NaN for a missing one: `[row, component] float32`.

    The components are the scaled value, 1 where it was missing (`indicator`), 1 where it is an outlier (`flag`).
    """
    is_missing, is_outlier = np.isnan(values), outliers_of(fitted, values)
    has_no_answer = is_beyond(settings, values)
    if fitted["fill"] is None:
        has_no_answer |= is_missing
    action = settings["outliers"]["action"] if settings["outliers"] else None
    standing = np.clip(values, fitted["lower"], fitted["upper"]) if action == "clip" else values
    standing = np.where(is_missing, fitted["fill"] or 0.0, standing)
    if fitted["least"] is not None:
        standing = np.log1p(np.maximum(standing - fitted["least"], 0.0))
    with np.errstate(over="ignore"):  # what is beyond float64 is beyond the limit, too
        standing = np.clip((standing - fitted["centre"]) / fitted["spread"], -LIMIT, LIMIT)
    components = [np.where(has_no_answer, np.nan, standing)]
    if settings["indicator"]:
        components.append(is_missing)
    if action == "flag":
        components.append(is_outlier)
    return np.stack(components, axis=1).astype(np.float32)
