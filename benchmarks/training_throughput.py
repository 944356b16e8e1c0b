"""Throughput of two Horovod ranks, against the most that two cores can give and against one process on both.

    python benchmarks/training_throughput.py

Three groups train the shipped recipe's network on the same synthetic images and stay alive throughout:

    horovod      two ranks of one thread, exact synchronous training, as `train` runs them
    independent  two processes of one thread, same images a process and step, no communication: the ceiling
    threads      one process of two threads, same global batch

The processes of one thread have a core each, as the ranks of `train` do. They take turns in short segments, in a
changing order, the others stopped (SIGSTOP: an idle Horovod still polls). Each round gives a ratio of neighbours in
time. Only quiet rounds count (`quiet.py`): noise hits a group that waits for its slowest member and one that does not
in different ways. The medians are printed.
Asked: at least 0.95 of the ceiling, at least 1.2 × one process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.quiet import quiet_rounds
from pipeline.launching.hosts import assign_slots, parse_hosts
from pipeline.launching.launch import rendezvous
from pipeline.recipe.execution import HorovodSettings
from pipeline.recipe.recipe import TrainParams
from pipeline.recipe.slots import Choice
from pipeline.training.rank import rank_environment

ASKED_OF_CEILING, ASKED_OF_PROCESS = 0.95, 1.2
SETTINGS = {"filters": [32, 64], "dense": 64, "dropout": 0.3}
ROWS, CLASSES = 16_384, 10
ANY_CORE = "-1"


def work(batch_size: int, threads: int, core: int) -> None:
    """Be one process of a group: for each number of steps read from standard input, train them and say the seconds."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if core >= 0:
        os.sched_setaffinity(0, {core})
    import numpy as np
    import tensorflow as tf

    from pipeline.models.build import build, logits_of
    from pipeline.records.architecture import Architecture
    from pipeline.records.feature import FeatureSpec
    from pipeline.training.batches import Part, training_batches
    from pipeline.training.collective import join
    from pipeline.training.loop import make_deterministic
    from pipeline.training.objective import objective_of
    from pipeline.training.order import EpochOrder
    from pipeline.training.step import TrainingStep, make_optimizer

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    group = join()
    train = TrainParams(epochs=1, batch_size=batch_size, learning_rate=0.001)
    make_deterministic(1, threads=1)  # the process of two threads need not use the slower kernels
    numbers = np.random.default_rng(1)
    images = numbers.integers(0, 256, (ROWS, 28, 28, 1)).astype(np.uint8)
    part = Part({"image": images}, numbers.integers(0, CLASSES, ROWS).astype(np.int32))
    image = FeatureSpec(
        name="image", kind="image", dtype="uint8", shape=(28, 28, 1), fitted={"mean": [72.0], "std": [90.0]}
    )
    architecture = Architecture(
        name="cnn",
        settings=SETTINGS,
        task="classification",
        features=(image,),
        classes=tuple(str(label) for label in range(CLASSES)),
    )
    model = build(architecture)
    optimizer = make_optimizer(train.optimizer, train.learning_rate, model)
    objective = objective_of(Choice(name=architecture.task), train.loss, CLASSES)
    share, rates = batch_size // group.size, [0.001] * 1_000_000
    step = TrainingStep(logits_of(model), optimizer, objective, (image,), share, 1, rates, group)
    group.broadcast(model.variables + optimizer.variables)
    number = 0
    order = EpochOrder(ROWS, 1, 1)
    for line in sys.stdin:
        wanted = int(line)
        begun_s = time.perf_counter()
        done = 0
        while done < wanted:
            for columns, labels in training_batches(part, order, batch_size, group.rank, group.size):
                step(columns, labels, number)
                number += 1
                done += 1
                if done == wanted:
                    break
        print(json.dumps(time.perf_counter() - begun_s), file=channel, flush=True)


class Group:
    """Processes that train together or side by side, stopped between their segments."""

    def __init__(
        self, name: str, images_per_step: int, environments: Sequence[dict[str, str]], arguments: Sequence[list[str]]
    ):
        self.name = name
        self.images_per_step = images_per_step  # of the whole group
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the group
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--work", *own],
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
            )
            for environment, own in zip(environments, arguments, strict=True)
        ]

    def measure(self, steps: int) -> float:
        """Let every process train so many steps; return the group's images a second."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{steps}\n")
            process.stdin.flush()
        seconds = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                self.errors.seek(0)
                raise SystemExit(f"{self.name}: a process ended:\n{self.errors.read().decode()[-8000:]}")
            seconds.append(float(json.loads(line)))
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)
        share = self.images_per_step / len(self.processes)
        return sum(steps * share / spent_s for spent_s in seconds)

    def end(self) -> None:
        """Kill the processes."""
        for process in self.processes:
            process.kill()
            process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=512, help="global batch (512, the recipe's)")
    parser.add_argument("--rounds", type=int, default=20, help="quiet rounds wanted (20)")
    parser.add_argument("--segment-s", type=float, default=1.0, help="length of a segment, seconds")
    parser.add_argument("--cycle-time-ms", type=float, default=HorovodSettings().cycle_time_ms)
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    parser.add_argument("--verbose", action="store_true", help="print every round")
    parser.add_argument("--work", nargs=3, type=int, metavar=("BATCH", "THREADS", "CORE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return

    size = arguments.batch_size
    # A stopped rank must not be taken for a lost one.
    settings = HorovodSettings(cycle_time_ms=arguments.cycle_time_ms, start_timeout_s=3600)
    slots = assign_slots(parse_hosts(settings.hosts, 2), 2)
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
    one, two = rank_environment(1), rank_environment(2)
    with ExitStack() as stack:
        meeting = stack.enter_context(rendezvous(settings, slots))
        ranks = [one | meeting | slot.environment() for slot in slots]
        groups = []
        for name, images, environments, work_arguments in (
            ("horovod", size, ranks, [[str(size), "1", core] for core in cores]),
            ("independent", size, [one, one], [[str(size // 2), "1", core] for core in cores]),
            ("threads", size, [two], [[str(size), "2", ANY_CORE]]),
        ):
            groups.append(Group(name, images, environments, work_arguments))
            stack.callback(groups[-1].end)
            groups[-1].measure(5)  # trace the graph, reach the throughput
        steps = {g.name: max(3, round(arguments.segment_s * g.measure(10) / size)) for g in groups}

        def measure(number: int) -> dict[str, float]:
            turn = random.Random(number).sample(groups, len(groups))
            speeds = {group.name: group.measure(steps[group.name]) for group in turn}
            if arguments.verbose:
                print({name: round(speed) for name, speed in speeds.items()}, flush=True)
            return speeds

        rounds = quiet_rounds(measure, arguments.rounds, arguments.patience_s, verbose=arguments.verbose)

    quiet = rounds.results
    medians = {group.name: statistics.median(speeds[group.name] for speeds in quiet) for group in groups}
    of_ceiling = statistics.median(speeds["horovod"] / speeds["independent"] for speeds in quiet)
    of_process = statistics.median(speeds["horovod"] / speeds["threads"] for speeds in quiet)
    print(f"global batch {size}, {arguments.segment_s:g} s a group and round, {rounds.summary}")
    for name, images_per_s in medians.items():
        print(f"  {name:<12} {images_per_s:8,.0f} images/s")
    print(f"two Horovod ranks: {of_ceiling:.3f} × two processes without communication (asked: {ASKED_OF_CEILING})")
    print(f"two Horovod ranks: {of_process:.3f} × one process of two threads (asked: {ASKED_OF_PROCESS})")


if __name__ == "__main__":
    main()
