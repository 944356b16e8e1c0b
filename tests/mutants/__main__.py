"""Small faults put into the pure cores, one at a time: do the tests that belong to the file notice?

    python -m tests.mutants --count 300 --seed 0

Places are drawn from all places of all cores (`cores.py`), and one mutant at each: a formula's operators, each of which
can become several others, weigh no more than a condition. Each mutant gets the test files of its module, in a copy of
the project, until the first failure; one that hangs or eats the memory has been noticed. Mutants that no test can
notice are listed by hand in `equivalent.yaml`, each with its reason. Prints the survivors with their diffs, the score
and the time; exits with 1 below 90 %, or above 5 % listed ones.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from tests.mutants.cores import files
from tests.mutants.mutating import Change, changes, diff, is_mutant

ROOT = Path(__file__).parents[2]
LISTED = Path(__file__).with_name("equivalent.yaml")
LEAST_KILLED = 0.90
MOST_EQUIVALENT = 0.05
_MEMORY_BYTES = 12 * 2**30
_PATIENCE = 5  # times as long as the tests take without a mutant, and half a minute

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    file: str
    operator: str
    line: int
    code: str
    diff: str


def draw(root: Path, names: Sequence[str], count: int, seed: int) -> tuple[list[Mutant], int]:
    """Return at most `count` mutants, each at a place of its own, and how many places there are."""
    codes = {name: (root / name).read_text() for name in names}
    places: dict[tuple[str, int, int], list[Change]] = {}
    for name, code in codes.items():
        for change in changes(code):
            places.setdefault((name, *change.site), []).append(change)
    generator = random.Random(seed)
    drawn: list[Mutant] = []
    for name, *site in generator.sample(sorted(places), len(places)):
        if len(drawn) == count:
            break
        here = places[name, *site]
        for change in generator.sample(here, len(here)):
            changed = change.of(codes[name])
            if is_mutant(codes[name], changed):
                drawn.append(Mutant(name, change.operator, site[0], changed, diff(codes[name], changed)))
                break
    return drawn, len(places)


@dataclass(frozen=True)
class Equivalents:
    """The mutants that no test can notice: of a file, those with such a diff, or all that change such a line."""

    diffs: frozenset[tuple[str, str]]
    lines: frozenset[tuple[str, str]]

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read the list; raise LookupError for an entry of code that is gone."""
        listed = yaml.safe_load(LISTED.read_text()) or []
        for one in listed:
            code = {line.strip() for line in (root / one["file"]).read_text().splitlines()}
            removed = [line[2:] for line in one.get("diff", "").splitlines() if line.startswith("- ")]
            for line in (*removed, *([one["line"]] if "line" in one else [])):
                if line not in code:
                    raise LookupError(f"{LISTED.name}: {one['file']} has no line `{line}` any more: look again")
        return cls(
            frozenset((one["file"], one["diff"].strip()) for one in listed if "diff" in one),
            frozenset((one["file"], f"- {one['line']}") for one in listed if "line" in one),
        )

    def __contains__(self, mutant: Mutant) -> bool:
        removed = {(mutant.file, line) for line in mutant.diff.splitlines() if line.startswith("- ")}
        return (mutant.file, mutant.diff) in self.diffs or bool(removed & self.lines)


class Copies:
    """Copies of the project in which tests run at once, one in each."""

    def __init__(self, folder: Path, number: int) -> None:
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
        self._free: queue.Queue[Path] = queue.Queue()
        for each in range(number):
            copy = folder / f"copy-{each}"
            for name in filter(None, names):
                if (ROOT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)
            self._free.put(copy)

    def passes(self, tests: Sequence[str], longest_s: float, mutant: Mutant | None = None) -> bool:
        """Return whether tests pass in a free copy, with a mutant in it."""
        copy = self._free.get()
        try:
            if mutant is None:
                return _pass(copy, tests, longest_s)
            whole = (copy / mutant.file).read_text()
            (copy / mutant.file).write_text(mutant.code)
            try:
                return _pass(copy, tests, longest_s)
            finally:
                (copy / mutant.file).write_text(whole)
        finally:
            self._free.put(copy)


def _pass(copy: Path, tests: Sequence[str], longest_s: float) -> bool:
    # No bytecode is written: it is known by its source's size and second, which two mutants may share.
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    words = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", f"--basetemp={copy / '.tmp'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words, *tests],
        cwd=copy,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        return process.wait(longest_s) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what the tests left behind, too
        process.wait()


def _usual_times(copies: Copies, files_of_tests: Iterable[str], jobs: int) -> Mapping[str, float]:
    """Return how long each file of tests takes without a mutant, in seconds; raise LookupError if one fails."""

    def measured(name: str) -> tuple[str, float]:
        begun = time.monotonic()
        if not copies.passes([name], 600):
            raise LookupError(f"{name}: fails without any mutant")
        return name, time.monotonic() - begun

    with ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(measured, sorted(set(files_of_tests))))


def campaign(count: int, seed: int, only: Sequence[str], jobs: int) -> int:
    """Draw mutants, run them, print what came of them; return the exit code."""
    begun = time.monotonic()
    tests = {name: group for name, group in files(ROOT).items() if not only or any(part in name for part in only)}
    listed = Equivalents.read(ROOT)
    drawn, places = draw(ROOT, list(tests), count, seed)
    print(f"seed {seed}: {len(drawn)} mutants, drawn from {places} places in {len(tests)} files", flush=True)
    outcomes: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = Copies(Path(folder), jobs)
        usual_s = _usual_times(copies, (name for mutant in drawn for name in tests[mutant.file]), jobs)
        print(f"without a mutant all tests pass; {time.monotonic() - begun:.0f} s", flush=True)

        def run(mutant: Mutant) -> None:
            group = tests[mutant.file]
            outcome = EQUIVALENT
            if mutant not in listed:
                longest_s = _PATIENCE * sum(usual_s[name] for name in group) + 30
                outcome = SURVIVED if copies.passes(group, longest_s, mutant) else KILLED
            with lock:
                outcomes[mutant.file, outcome] += 1
                if outcome == SURVIVED:
                    print(f"\nsurvived: {mutant.file}:{mutant.line} ({mutant.operator})\n{mutant.diff}", flush=True)
                elif sum(outcomes.values()) % 25 == 0:
                    print(f"{sum(outcomes.values())} of {len(drawn)}", flush=True)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                list(pool.map(run, drawn))
            except BaseException:
                pool.shutdown(cancel_futures=True)  # or leaving the block would wait for all that are left
                raise
    return _report(outcomes, list(tests), seed, time.monotonic() - begun)


def _report(outcomes: Counter[tuple[str, str]], names: Sequence[str], seed: int, took_s: float) -> int:
    print("\nkilled  survived  equivalent  file")
    for name in names:
        numbers = [outcomes[name, outcome] for outcome in (KILLED, SURVIVED, EQUIVALENT)]
        if any(numbers):
            print("{:6}  {:8}  {:10}  {}".format(*numbers, name))
    killed, survived, equivalent = (
        sum(number for (_, each), number in outcomes.items() if each == outcome)
        for outcome in (KILLED, SURVIVED, EQUIVALENT)
    )
    score, share = killed / max(1, killed + survived), equivalent / max(1, sum(outcomes.values()))
    print(f"{killed:6}  {survived:8}  {equivalent:10}  in all")
    print(f"\nseed {seed}: {score:.1%} killed of {killed + survived}; {share:.1%} are equivalent; {took_s:.0f} s")
    return int(score < LEAST_KILLED or share > MOST_EQUIVALENT)


def main() -> int:
    """Draw mutants as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="mutants of the pure cores, against the tests of their modules")
    parser.add_argument("--count", type=int, default=300, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=0, help="which")
    parser.add_argument("--only", nargs="+", default=(), help="of files whose path has one of these in it")
    parser.add_argument("--jobs", type=int, default=2, help="tests at once")
    options = parser.parse_args()
    try:
        return campaign(options.count, options.seed, options.only, options.jobs)
    except LookupError as error:
        print(f"mutants: {error.args[0]}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
