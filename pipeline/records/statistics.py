"""`data/prepared/statistics.json`: what was fitted on the training part."""

from __future__ import annotations

from pipeline.records.record import Record

STATISTICS_FILE = "statistics.json"


class ChannelStatistics(Record):
    """Mean and population standard deviation of each channel, `[channel]`, in grey levels of 0 to 255, over `rows`."""

    rows: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
