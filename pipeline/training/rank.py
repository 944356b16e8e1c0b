"""One rank of a training: it fixes its arithmetic, joins the others, and trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.runtime.cores import own_cores
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.training import device
from pipeline.training.collective import PeerLost, is_lost_peer, join
from pipeline.training.job import Job
from pipeline.training.loop import ProgressReporter, train_model


def rank_environment(threads: int) -> dict[str, str]:
    """Return the variables that every rank needs before TensorFlow is imported, alone or among others."""
    return {
        "CUDA_VISIBLE_DEVICES": "",  # unless the launcher shows the rank a GPU of its own (launching/devices.py)
        "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def side_by_side(pool: Executor, at_once: int, work: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
    """Yield what `map` would, `at_once` of them worked out at a time: no more arguments are made before."""
    waiting = zip(*arguments, strict=False)
    while chosen := list(islice(waiting, at_once)):
        yield from pool.map(work, *zip(*chosen, strict=True))


def train_rank(job: Job, report: ProgressReporter) -> None:
    """Train as one rank of a job. Raises PeerLost if another rank is gone, and what `train_model` raises."""
    report.step("starting TensorFlow")
    tf = import_tensorflow(sees_gpus=job.train.device == "gpu")
    exact, threads = job.train.exact, job.threads
    computed_on = device.use(tf, job.train.device, is_exact=exact)
    # Each kernel on one thread: several would cut their sums otherwise. Micro-batches are computed side by side.
    tf.config.threading.set_intra_op_parallelism_threads(1 if exact else threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads if exact else 1)
    ranks_here, rank_here = (int(os.environ.get(f"HOROVOD_LOCAL_{name}", n)) for name, n in (("SIZE", 1), ("RANK", 0)))
    with own_cores(threads, ranks_here, rank_here), ThreadPoolExecutor(threads) as pool:
        collective = join()
        if collective.size != job.workers:
            raise UsageError(f"training: {collective.size} ranks have joined, but the job is for {job.workers} workers")
        if collective.rank == 0:
            device.note(Path(job.work), computed_on, job.train.virtual_workers)
        try:
            train_model(job, collective, report, partial(side_by_side, pool, threads) if exact and threads > 1 else map)
        except tf.errors.OpError as error:
            if is_lost_peer(error):
                raise PeerLost from error
            raise
        collective.close()
