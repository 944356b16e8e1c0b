"""Throughput of two Horovod ranks, against the most that two cores can give and against what it was before.

    python benchmarks/training_throughput.py [--before CHECKOUT]

Groups train the shipped recipe's network on the same synthetic images and stay alive throughout:

    horovod  two ranks, exact, as `train` runs them: four virtual workers, two a rank
    silent   two processes that compute the same micro-batches and exchange nothing: the ceiling
    one      one rank with all four virtual workers, on one core
    whole    the same with the whole batch at once: one virtual worker
    threads  one rank that computes two virtual workers side by side (horovod.threads_per_worker)
    before   two ranks of an older checkout, which is set up (`make setup`), by its own code; only with --before

Processes of one thread have a core each, as the ranks of `train` do. Groups take turns in short segments, in a changing
order, the others stopped (SIGSTOP: an idle Horovod still polls). Each round gives ratios of neighbours in time. Only
quiet rounds count (`quiet.py`): noise hits a group that waits for its slowest member and one that does not in different
ways. The medians are printed.
Asked: two ranks at least 0.95 of the ceiling and 1.1 × before; four virtual workers at least 0.95 of the whole batch.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.quiet import quiet_rounds
from pipeline.launching.hosts import assign_slots, parse_hosts
from pipeline.launching.launch import rendezvous
from pipeline.recipe.execution import HorovodSettings
from pipeline.recipe.recipe import TrainParams
from pipeline.recipe.slots import Choice
from pipeline.training.rank import rank_environment

# What is compared with what, and the ratio that is asked for.
ASKED = (("horovod", "silent", 0.95), ("horovod", "before", 1.1), ("one", "whole", 0.95), ("threads", "one", None))
SETTINGS = {"filters": [32, 64], "dense": 64, "dropout": 0.3}
ROWS, CLASSES = 16_384, 10
ANY_CORE = "-1"


def work(batch_size: int, virtual_workers: int, threads: int, core: int) -> None:
    """Be one process of a group: for each number of steps read from standard input, train them and say the seconds."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if core >= 0:
        os.sched_setaffinity(0, {core})
    import keras
    import numpy as np
    import tensorflow as tf

    from pipeline.models.build import build, logits_of
    from pipeline.records.architecture import Architecture
    from pipeline.records.feature import FeatureSpec
    from pipeline.training.batches import Part, training_batches
    from pipeline.training.collective import join
    from pipeline.training.objective import objective_of
    from pipeline.training.order import EpochOrder
    from pipeline.training.step import TrainingStep, make_optimizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    group, pool = join(), ThreadPoolExecutor(threads)
    train = TrainParams(epochs=1, batch_size=batch_size, virtual_workers=virtual_workers, learning_rate=0.001)
    keras.utils.set_random_seed(1)
    numbers = np.random.default_rng(1)
    images = numbers.integers(0, 256, (ROWS, 28, 28, 1)).astype(np.uint8)
    part = Part({"image": images}, (numbers.integers(0, CLASSES, ROWS).astype(np.int32),))
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
    each = pool.map if threads > 1 else map
    step = TrainingStep(logits_of(model), optimizer, objective, (image,), train, 1, [0.001] * 1_000_000, group, each)
    group.broadcast(model.weights + optimizer.variables)
    number, order = 0, EpochOrder(ROWS, 1, 1)
    for line in sys.stdin:
        wanted = number + int(line)
        begun_s = time.perf_counter()
        while number < wanted:
            for batches in training_batches(part, order, 1, batch_size, step.block, virtual_workers):
                step(batches, number)
                number += 1
                if number == wanted:
                    break
        print(json.dumps(time.perf_counter() - begun_s), file=channel, flush=True)


class Group:
    """Processes that train together or side by side, stopped between their segments."""

    def __init__(
        self,
        name: str,
        images_per_step: int,
        environments: Sequence[dict[str, str]],
        arguments: Sequence[list[str]],
        command: Sequence[str] = (sys.executable, __file__),
    ):
        self.name = name
        self.images_per_step = images_per_step  # of the whole group
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the group
        self.processes = [
            subprocess.Popen(
                [*command, "--work", *own],
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
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older checkout to compare with")
    parser.add_argument("--batch-size", type=int, default=512, help="global batch (512, the recipe's)")
    parser.add_argument("--rounds", type=int, default=20, help="quiet rounds wanted (20)")
    parser.add_argument("--segment-s", type=float, default=1.0, help="length of a segment, seconds")
    parser.add_argument("--cycle-time-ms", type=float, default=HorovodSettings().cycle_time_ms)
    parser.add_argument("--patience-s", type=float, default=300.0, help="how long to put up with noise, seconds (300)")
    parser.add_argument("--verbose", action="store_true", help="print every round")
    parser.add_argument("--work", nargs=4, type=int, metavar=("BATCH", "V", "THREADS", "CORE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return

    size = arguments.batch_size
    # A stopped rank must not be taken for a lost one.
    settings = HorovodSettings(cycle_time_ms=arguments.cycle_time_ms, start_timeout_s=3600)
    slots = assign_slots(parse_hosts(settings.hosts, 2), 2)
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
    alone = rank_environment(1)
    with ExitStack() as stack:

        def ranks() -> list[dict[str, str]]:
            meeting = stack.enter_context(rendezvous(settings, slots))
            return [alone | meeting | slot.environment() for slot in slots]

        def start(*given: Any) -> Group:
            group = Group(*given)
            stack.callback(group.end)
            group.measure(5)  # trace the graph, reach the throughput
            return group

        share = str(size // 2)
        groups = [
            start("horovod", size, ranks(), [[str(size), "4", "1", core] for core in cores]),
            start("silent", size, [alone, alone], [[share, "2", "1", core] for core in cores]),
            start("one", size, [alone], [[str(size), "4", "1", cores[0]]]),
            start("whole", size, [alone], [[str(size), "1", "1", cores[0]]]),
            start("threads", size, [alone], [[str(size), "4", "2", ANY_CORE]]),
        ]
        if arguments.before:
            python = arguments.before / ".venv" / "bin" / "python"
            command = [str(python), str(arguments.before / "benchmarks" / "training_throughput.py")]
            theirs = [environment | {"PYTHONPATH": str(arguments.before)} for environment in ranks()]
            groups.append(start("before", size, theirs, [[str(size), "1", core] for core in cores], command))
        steps = {g.name: max(3, round(arguments.segment_s * g.measure(10) / size)) for g in groups}

        def measure(number: int) -> dict[str, float]:
            turn = random.Random(number).sample(groups, len(groups))
            speeds = {group.name: group.measure(steps[group.name]) for group in turn}
            if arguments.verbose:
                print({name: round(speed) for name, speed in speeds.items()}, flush=True)
            return speeds

        rounds = quiet_rounds(measure, arguments.rounds, arguments.patience_s, verbose=arguments.verbose)

    quiet = rounds.results
    print(f"global batch {size}, {arguments.segment_s:g} s a group and round, {rounds.summary}")
    for group in groups:
        print(f"  {group.name:<8} {statistics.median(speeds[group.name] for speeds in quiet):8,.0f} images/s")
    for name, other, asked in ASKED:
        if all(other in speeds for speeds in quiet):
            ratio = statistics.median(speeds[name] / speeds[other] for speeds in quiet)
            print(f"{name}: {ratio:.3f} × {other}" + (f" (asked: {asked})" if asked else ""))


if __name__ == "__main__":
    main()
