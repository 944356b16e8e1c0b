"""The main job, as a person runs it: on somebody's own idx folder, through every command, with real parts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from pipeline.graph import load_graph
from tests.system.project import TEST_ROWS, Project, make_project
from tests.waiting import wait_for, work_of


def test_a_first_model_is_promoted_and_everything_is_told(first: Project) -> None:
    verdict = first.json("reports/verdict.json")
    assert verdict["outcome"] == "promote"
    assert verdict["champion"] is None
    assert all(check["outcome"] == "pass" for check in verdict["checks"])
    [version] = json.loads(first.ratchet("registry", "list", "--json").stdout)
    assert version["version"] == 1
    assert version["aliases"] == ["champion"]
    assert version["digest"] == verdict["candidate"]
    page = (first.root / "reports" / "index.html").read_text()
    assert "promote" in page.lower()
    assert first.json("reports/metrics.json")["test"]["rows"] == TEST_ROWS
    [form] = first.json("reports/exports.json")["formats"]
    assert (form["name"], [speed["rows"] for speed in form["speeds"]]) == ("saved_model", [1, 64])
    assert "How to use it" in page


def test_what_the_time_of_a_run_went_into_is_told(first: Project) -> None:
    run = first.json("reports/run.json")
    parts = run["startup_seconds"] + run["work_seconds"] + run["waiting_seconds"]
    assert parts == pytest.approx(run["seconds"], abs=0.01)
    assert all(0 < stage["startup_seconds"] <= stage["seconds"] for stage in run["stages"])
    started = {stage["name"]: {each["what"] for each in stage["starts"]} for stage in run["stages"]}
    for name, what in (
        *(("check_raw", "Spark and Great Expectations"), ("clean", "Spark"), ("train", "2 workers")),
        *(("evaluate", "TensorFlow"), ("gate", "TensorFlow, to ask the exported model"), ("register", "MLflow")),
    ):
        assert what in started[name], started
    assert "Where the time went" in (first.root / "reports" / "index.html").read_text()


def test_every_row_is_accounted_for(first: Project) -> None:
    rows = {name: first.json(f"data/{name}/manifest.json")["rows"] for name in ("raw", "clean", "quarantine")}
    parts = [first.json(f"data/prepared/{part}/manifest.json")["rows"] for part in ("train", "validation", "test")]
    assert rows["raw"] == 1797 == rows["clean"] + rows["quarantine"]
    assert sum(parts) == rows["clean"]
    assert first.json("data/augmented/manifest.json")["rows"] == parts[0]


def test_a_second_run_has_nothing_to_do(first: Project) -> None:
    before = (first.root / "dvc.lock").read_bytes()
    done = first.ratchet("run")
    assert done.returncode == 0
    assert f"nothing changed: {len(load_graph(first.root).stages)} stages up to date" in done.stdout
    assert (first.root / "dvc.lock").read_bytes() == before
    assert "ratchet: " not in done.stderr


def test_dvc_repro_agrees_that_there_is_nothing_to_do(first: Project) -> None:
    before = (first.root / "dvc.lock").read_bytes()
    done = first.call("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [line for line in done.stdout.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'champion':", "Running stage 'register':"]  # they look at the registry, quickly
    assert (first.root / "dvc.lock").read_bytes() == before
    assert "nothing changed" in first.ratchet("run").stdout


def test_dvc_shows_metrics_and_plots(first: Project) -> None:
    metrics = json.loads(first.call("dvc", "metrics", "show", "--json").stdout)
    assert metrics[""]["data"]["reports/metrics.json"]["data"]["test"]["rows"] == TEST_ROWS
    plots = first.call("dvc", "plots", "show", "--out", "plots_page")
    assert plots.returncode == 0, plots.stderr
    page = (first.root / "plots_page" / "index.html").read_text()
    for name in ("learning_curves", "confusion", "roc", "precision_recall", "calibration"):
        assert f"{name}.csv" in page
    shutil.rmtree(first.root / "plots_page")


def test_a_worse_candidate_is_refused_in_a_run_of_its_own(first: Project) -> None:
    before = {path: (first.root / path).read_bytes() for path in ("dvc.lock", "params.yaml", "reports/verdict.json")}
    done = first.ratchet("run", "--set", "train.epochs=1", "--set", "train.learning_rate=1e-6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: REFUSE" in done.stdout
    assert {path: (first.root / path).read_bytes() for path in before} == before
    [version, *refused] = sorted(
        json.loads(first.ratchet("registry", "list", "--json").stdout), key=lambda version: version["version"]
    )
    assert version["aliases"] == ["champion"]
    assert all("champion" not in other["aliases"] for other in refused)
    page = first.root / done.stdout.splitlines()[-1].removeprefix("report: ")
    kept = page.parents[1]
    assert kept.parent.name == "runs"
    assert yaml.safe_load((kept / "params.yaml").read_text())["train"]["learning_rate"] == 1e-6
    assert json.loads((kept / "reports" / "verdict.json").read_text())["champion"]["version"] == 1
    assert list((first.root / ".ratchet" / "workspaces").iterdir()) == []
    # Only what depends on the two keys ran: the data came from the cache.
    stages = {
        stage["name"]: stage["outcome"] for stage in json.loads((kept / "reports" / "run.json").read_text())["stages"]
    }
    assert stages["train"] == "done"
    assert {stages[name] for name in ("ingest", "clean", "split", "normalize", "augment")} <= {"cached", "unchanged"}


def test_an_experiment_of_dvc_runs_the_same_graph(first: Project) -> None:
    done = first.call("dvc", "exp", "run", "-S", "train.epochs=1", "-S", "train.learning_rate=1e-6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert first.json("reports/verdict.json")["outcome"] == "refuse"
    assert first.call("git", "checkout", "--quiet", "params.yaml").returncode == 0
    assert first.call("dvc", "repro").returncode == 0
    assert first.json("reports/verdict.json")["outcome"] == "promote"


def test_another_clone_makes_the_same_lock_from_an_empty_cache(first_lock: bytes, tmp_path: Path) -> None:
    other = make_project(tmp_path / "project")
    done = other.call("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (other.root / "dvc.lock").read_bytes() == first_lock


def stage_process(project: Project, stage: str, run: subprocess.Popen[str]) -> psutil.Process:
    """Wait until a stage's own process works for a run, and return it."""

    def found() -> list[psutil.Process]:
        assert run.poll() is None, f"the run has ended before {stage}: {run.communicate()}"
        return [process for process in project.processes() if is_stage(process, stage)]

    working = wait_for(found, f"stage {stage}", progress=lambda: work_of(project.processes()), look_s=0.02)
    return working[0]


def is_stage(process: psutil.Process, stage: str) -> bool:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    # DVC gives a run's stage its command in one word, behind -c, and starts `ratchet` itself; a shell would not be it.
    return " ".join(words).endswith(f"stage {stage}") and "python" in words[0]


def assert_nothing_is_left(project: Project) -> None:
    """No process works in the project any more, and no published folder is half there."""
    wait_for(
        lambda: not project.processes(),
        "no process is left",
        progress=lambda: {process.pid for process in project.processes()},
        explain=project.processes,
    )
    for manifest in project.root.glob("data/**/manifest.json"):
        if ".partial" not in str(manifest):
            folder = manifest.parent
            for entry in json.loads(manifest.read_text())["files"]:
                assert (folder / entry["path"]).stat().st_size == entry["size_bytes"]


KILLED = ("ingest", "clean", "train", "gate", "register")  # every process at all stages: `make killings`


def test_killing_a_stage_leaves_nothing_half_done_and_the_next_run_ends_the_same(
    first_lock: bytes, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    graph = load_graph(project.root)
    assert {*KILLED} <= {stage.name for stage in graph.stages}
    for number, stage in enumerate(KILLED):
        run = project.start("ratchet", "run")
        victim = stage_process(project, stage, run)
        # Every second time the driver is killed instead: what it started must die with it.
        (psutil.Process(run.pid) if number % 2 else victim).send_signal(signal.SIGKILL)
        run.communicate()
        # Publishing is tried again by the driver itself, as if the champion had moved meanwhile.
        is_tried_again = stage == getattr(graph.maker("registration"), "name", None)
        assert run.returncode == (-signal.SIGKILL if number % 2 else 0 if is_tried_again else 75), stage
        assert_nothing_is_left(project)
    done = project.ratchet("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.root / "dvc.lock").read_bytes() == first_lock
    versions = json.loads(project.ratchet("registry", "list", "--json").stdout)
    assert [version["aliases"] for version in versions] == [["champion"]]


def test_a_broken_source_is_one_line_and_leaves_nothing(first: Project) -> None:
    images = first.root / "digits" / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    try:
        images.write_bytes(whole[:1000])
        done = first.ratchet("run")
        assert done.returncode == 65
        [line] = [line for line in done.stderr.splitlines() if line.startswith("ratchet: ")]
        assert "train-images-idx3-ubyte.gz" in line
    finally:
        images.write_bytes(whole)
    assert first.ratchet("run").returncode == 0


def test_a_contract_that_does_not_hold_stops_the_run_and_names_what(first: Project) -> None:
    contract = first.root / "data_contracts" / "digits" / "raw.yaml"
    text = contract.read_text()
    suite = yaml.safe_load(text)
    for expectation in suite["expectations"]:
        if expectation["type"] == "expect_table_row_count_to_be_between":
            expectation["kwargs"] = {"min_value": 5000, "max_value": 6000}
    try:
        contract.write_text(yaml.safe_dump(suite))
        done = first.ratchet("run")
        assert done.returncode == 65
        assert "expect_table_row_count_to_be_between" in done.stderr
        assert "1797" in done.stderr.replace(" ", "").replace(",", "")
        assert "expect_table_row_count_to_be_between" in (first.root / "reports" / "index.html").read_text()
    finally:
        contract.write_text(text)
    assert first.ratchet("run").returncode == 0


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({"JAVA_HOME": "/nonexistent"}, 2, "Java"),
        ({"RATCHET_MLFLOW__URI": "http://127.0.0.1:9"}, 74, "127.0.0.1:9"),
        ({"RATCHET_SPARK__MASTER": "3"}, 2, "spark.master"),
    ],
)
def test_a_set_up_that_cannot_work_is_one_line(
    first: Project, variables: dict[str, str], code: int, words: str
) -> None:
    first.change_recipe(seed=2)
    try:
        done = first.ratchet("run", **variables)
    finally:
        first.call("git", "checkout", "--quiet", "params.yaml")
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
