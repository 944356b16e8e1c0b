"""The champion, gate and register stages against real MLflow registries: SQLite, and a server over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline.errors import DataError, StorageError, TryAgain, UsageError
from pipeline.evaluation import metrics
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import Predictions, write_predictions
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.recipe.execution import MLflowSettings
from pipeline.records.architecture import Architecture
from pipeline.records.champion import read_champion
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.registry import by_hand
from pipeline.registry.reader import open_reader
from pipeline.registry.store import resolve_store
from pipeline.stages import champion, gate, register
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards

PROJECT = Path(__file__).parents[2]
CLASSES = ("circle", "square", "star")
SHAPE = (8, 8, 1)
NAME = "shapes"
STAGES = {"champion": champion, "gate": gate, "register": register}

# MLflow 3.17, TensorFlow 2.21 and what they import warn of their own deprecations.


def pictures(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise; a picture's class is the third of it that is brighter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows).astype(np.int32)
    pixels = rng.integers(0, 160, (rows, *SHAPE)).astype(np.uint8)
    for label, columns in enumerate((slice(0, 3), slice(3, 5), slice(5, 8))):
        pixels[labels == label, :, columns] += 70
    return pixels, labels


@dataclass(frozen=True)
class Zoo:
    """Stored models by name, the test part, and what each model makes of it."""

    folder: Path
    pixels: np.ndarray
    labels: np.ndarray
    answers: dict[str, np.ndarray] = field(default_factory=dict)

    def model(self, name: str) -> Path:
        return self.folder / name

    def digest(self, name: str) -> str:
        return stored.digest(self.model(name))


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """`first` and `second` know the classes; `bad` was never trained; `other` knows other classes."""
    import keras

    folder = tmp_path_factory.mktemp("zoo")
    pixels, labels = pictures(600, seed=2)
    made = Zoo(folder, pixels, labels)
    train_pixels, train_labels = pictures(1500, seed=1)
    for number, name in enumerate(("first", "second", "bad", "other")):
        classes = ("cat", "dog", "cow") if name == "other" else CLASSES
        architecture = Architecture(
            "mlp", {"units": [16], "dropout": 0.0}, SHAPE, classes, {"mean": [100.0], "std": [50.0]}
        )
        keras.utils.set_random_seed(number)
        model = build(architecture)
        if name != "bad":
            model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
            model.fit(train_pixels, train_labels, epochs=4, verbose=0)
        made.model(name).mkdir()
        stored.save(made.model(name), architecture, model)
        made.answers[name] = predict(made.model(name), pixels)
    return made


@dataclass(frozen=True)
class Workspace:
    """A folder with what the stages before have left, and the stages to try."""

    root: Path
    zoo: Zoo

    def candidate(self, name: str) -> None:
        """Put a model of the zoo where train and evaluate would have."""
        with artifacts.published_folder(self.root / "models" / "candidate") as folder:
            for path in self.zoo.model(name).iterdir():
                shutil.copyfile(path, folder / path.name)
        answers = self.zoo.answers[name]
        figures = metrics.measure(self.zoo.labels, answers, calibration_bins=15)
        by_class = metrics.measure_classes(self.zoo.labels, answers, CLASSES)
        artifacts.write_json(self.root / "reports" / "metrics.json", metrics.as_report(figures, figures, by_class))
        with artifacts.published_folder(self.root / "reports" / "predictions") as folder:
            write_predictions(folder, "test", Predictions(self.ids, self.zoo.labels, answers), CLASSES)

    @property
    def ids(self) -> list[str]:
        return [f"row-{number}" for number in range(len(self.zoo.labels))]

    def run(self, *stages: str) -> None:
        for name in stages:
            STAGES[name].run(StageContext.load(self.root, name))

    def judge(self, name: str) -> dict:
        """Run the stages up to the real gate."""
        self.candidate(name)
        self.run("champion", "gate")
        return self.json("reports/verdict.json")

    def publish(self, name: str, outcome: str = "promote") -> dict:
        """Bring the champion in, take the gate's outcome as given, and register."""
        self.rule(name, outcome)
        self.run("register")
        return self.json("reports/registration.json")

    def rule(self, name: str, outcome: str = "promote") -> None:
        """Write the verdict that the gate would: it starts a process, and most tests are not about it."""
        self.candidate(name)
        self.run("champion")
        met = read_champion(self.root / "models" / "champion").champion
        check = GateCheck(
            "minimum.accuracy", 0.9, 0.8, "pass" if outcome == "promote" else "fail", "as the test wants it"
        )
        verdict = Verdict(outcome, check.sentence, (check,), self.zoo.digest(name), met)
        artifacts.write_json(self.root / "reports" / "verdict.json", verdict.to_json())

    def json(self, path: str):
        return json.loads((self.root / path).read_text())

    def process(self, stage: str, before: str = "") -> subprocess.Popen:
        """Start a stage in a process of its own, as `ratchet stage` does."""
        script = f"""
import os, signal, sys
from pathlib import Path
from pipeline.errors import RatchetError
from pipeline.stages import {stage}
from pipeline.stages.context import StageContext
{before}
try:
    print({stage}.run(StageContext.load(Path({str(self.root)!r}), {stage!r})))
except RatchetError as error:
    print(error)
    sys.exit(error.exit_code)
"""
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def store(self):
        return resolve_store(
            self.root, MLflowSettings(**yaml.safe_load((self.root / "execution.yaml").read_text())["mlflow"])
        )

    def versions(self):
        return by_hand.list_versions(self.store, NAME)

    def champion(self):
        return by_hand.show(self.store, NAME, "champion")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A registry without content: MLflow takes seconds to make one."""
    from pipeline.registry.tracking import open_client

    folder = tmp_path_factory.mktemp("empty")
    store = resolve_store(folder, MLflowSettings(uri=f"sqlite:///{folder}/mlflow.db"))
    open_client(store).search_registered_models()
    return store.database


@pytest.fixture
def make_workspace(tmp_path, zoo, empty_database):
    (tmp_path / "registry").mkdir()
    shutil.copyfile(empty_database, tmp_path / "registry" / "mlflow.db")

    def make(folder: str = "work", uri: str | None = None) -> Workspace:
        root = tmp_path / folder
        root.mkdir()
        shutil.copyfile(PROJECT / "dvc.yaml", root / "dvc.yaml")
        recipe = yaml.safe_load((PROJECT / "params.yaml").read_text())
        recipe["name"] = NAME
        recipe["data"] |= {"classes": list(CLASSES), "image": {"height": 8, "width": 8, "channels": 1}}
        recipe["gate"] |= {
            "minimum": {"accuracy": 0.6},
            "maximum": {"cross_entropy": 2.0},
            "champion": {"margin": 0.1, "class_margin": 0.3, "resamples": 500},
            "parity": {"rows": 100},
        }
        (root / "params.yaml").write_text(yaml.safe_dump(recipe))
        store = {
            "uri": uri or f"sqlite:///{tmp_path}/registry/mlflow.db",
            "artifacts": f"{tmp_path}/registry/artifacts",
        }
        (root / "execution.yaml").write_text(yaml.safe_dump({"mlflow": store}))
        test = root / "data" / "prepared" / "test"
        workspace = Workspace(root, zoo)
        with artifacts.published_folder(test) as folder:
            schema = shards.image_schema(SHAPE)
            grey = zoo.pixels.reshape(len(zoo.pixels), -1).mean(axis=1).astype(np.float32)
            columns = [pa.array(workspace.ids), zoo.labels, shards.pixel_column(zoo.pixels), grey, grey]
            table = pa.table(columns, names=schema.names)
            shards.finish_dataset(folder, [shards.write_shard(folder, 0, schema, [table])], schema, shape=SHAPE)
        return workspace

    return make


@pytest.fixture
def workspace(make_workspace):
    return make_workspace()


def test_the_first_model_is_promoted_and_a_second_run_changes_nothing(workspace):
    workspace.judge("first")
    workspace.run("register")
    first = workspace.json("reports/registration.json")
    assert first["outcome"] == "promoted"
    assert first["champion"] == {"name": NAME, "version": 1, "digest": workspace.zoo.digest("first")}
    assert workspace.json("models/champion/champion.json") == {"champion": None, "registry": "local", "problem": None}
    tracked = [workspace.root / path for path in ("models/champion/champion.json", "reports/verdict.json")]
    bytes_before = [path.read_bytes() for path in tracked]
    versions_before = [version.to_json() for version in workspace.versions()]

    workspace.judge("first")
    workspace.run("register")
    second = workspace.json("reports/registration.json")
    assert second["outcome"] == "kept"
    assert [path.read_bytes() for path in tracked] == bytes_before
    assert [version.to_json() for version in workspace.versions()] == versions_before
    assert str(workspace.root.parent) not in json.dumps([*versions_before, first, second])
    assert str(workspace.root.parent) not in "".join(map(str, bytes_before))


def test_a_version_says_where_it_comes_from(workspace):
    workspace.publish("first")
    [version] = workspace.versions()
    told = version.to_json()
    assert told["metrics"]["accuracy"] == workspace.json("reports/metrics.json")["test"]["accuracy"]
    assert set(told["lineage"]) == {
        "data_digest", "dvc_lock_digest", "git_commit", "git_dirty", "recipe_digest", "requirements_digest",
    }  # fmt: skip
    assert told["lineage"]["data_digest"].startswith("sha256:")
    assert [event["event"] for event in told["history"]] == ["registered", "promoted"]


def test_a_candidate_worse_than_the_champion_is_refused_recorded_and_moves_nothing(workspace):
    workspace.publish("first")
    verdict = workspace.judge("bad")
    assert verdict["outcome"] == "refuse"
    failed = {check["name"] for check in verdict["checks"] if check["outcome"] == "fail"}
    assert failed >= {"minimum.accuracy", "champion"}
    assert {"predictions", "parity"} & failed == set()
    workspace.run("register")
    assert workspace.json("reports/registration.json")["outcome"] == "refused"
    assert [(v.outcome, v.aliases) for v in workspace.versions()] == [("promote", ("champion",)), ("refuse", ())]
    workspace.run("register")
    assert len(workspace.versions()) == 2


def test_a_second_good_model_replaces_the_champion_it_met(workspace):
    workspace.publish("first")
    second = workspace.publish("second")
    assert second["outcome"] == "promoted"
    assert workspace.json("models/champion/champion.json")["champion"]["version"] == 1
    champion_now = workspace.champion()
    assert (champion_now.version, champion_now.met.version) == (2, 1)
    # Run again with nothing changed: it still meets the one it met then.
    before = (workspace.root / "models/champion/champion.json").read_bytes()
    workspace.run("champion")
    assert (workspace.root / "models/champion/champion.json").read_bytes() == before


def test_users_load_the_champion_by_mlflow_and_get_the_trained_models_answers(workspace):
    import mlflow

    workspace.publish("first")
    mlflow.set_tracking_uri(workspace.store.uri)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    answered = model.predict(workspace.zoo.pixels)
    np.testing.assert_allclose(answered, workspace.zoo.answers["first"], rtol=0, atol=1e-5)
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, *SHAPE)
    assert np.asarray(model.input_example).shape == (4, *SHAPE)
    native = mlflow.tensorflow.load_model(f"models:/{NAME}@champion")
    assert set(native.signatures["serving_default"].structured_outputs) == {"probabilities"}


def test_the_quick_reader_and_mlflows_client_give_one_answer(workspace):
    from pipeline.registry.client_reader import ClientReader

    workspace.publish("first")
    workspace.publish("bad", "refuse")
    workspace.publish("second")
    quick, slow = open_reader(workspace.store), ClientReader(workspace.store)
    assert type(quick) is not type(slow)
    assert_same_answers(quick, slow)


def assert_same_answers(quick, slow):
    assert quick.names() == slow.names()
    versions = slow.versions(NAME)
    assert quick.versions(NAME) == versions
    assert len(versions) > 0
    for version in versions:
        assert quick.version(NAME, version.version) == slow.version(NAME, version.version) == version
        assert quick.versions(NAME, version.digest) == slow.versions(NAME, version.digest) == [version]
        assert quick.location(version) == slow.location(version)
    assert quick.by_alias(NAME, "champion") == slow.by_alias(NAME, "champion")
    assert quick.by_alias(NAME, "nobody") is None is slow.by_alias(NAME, "nobody")
    assert quick.by_alias("nothing", "champion") is None is slow.by_alias("nothing", "champion")
    assert quick.version(NAME, 99) is None is slow.version(NAME, 99)


def test_nothing_to_do_imports_no_mlflow_and_no_tensorflow(workspace):
    workspace.publish("first")
    for stage in ("champion", "register"):
        heavy = "sorted({'mlflow', 'tensorflow', 'keras', 'pandas'} & set(sys.modules))"
        check = f"import atexit; atexit.register(lambda: print({heavy}))"
        with workspace.process(stage, before=check) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, said
        assert said.splitlines()[-1] == "[]"


def test_a_rollback_restores_the_champion_before_and_is_not_undone_by_register(workspace):
    workspace.publish("first")
    workspace.publish("second")
    by_hand.rollback(workspace.store, NAME, "worse on the new cameras")
    first, second = workspace.versions()
    assert first.is_champion
    assert second.is_rolled_back
    assert second.history[-1]["reason"] == "worse on the new cameras"
    assert workspace.publish("second")["outcome"] == "kept"
    assert workspace.champion().version == 1
    with pytest.raises(UsageError, match="no champion before it"):
        by_hand.rollback(workspace.store, NAME, "again")

    by_hand.rollback(workspace.store, NAME, "the cameras were at fault", to="2")
    assert workspace.champion().version == 2
    assert not workspace.champion().is_rolled_back


def test_a_person_overrules_the_gate_with_a_reason_that_is_kept(workspace):
    workspace.publish("first")
    workspace.publish("bad", "refuse")
    with pytest.raises(UsageError, match="a reason is needed"):
        by_hand.promote(workspace.store, NAME, "2", "  ")
    by_hand.promote(workspace.store, NAME, "2", "a demonstration")
    champion_now = workspace.champion()
    assert champion_now.version == 2
    assert (champion_now.history[-1]["event"], champion_now.history[-1]["reason"]) == (
        "promoted by hand",
        "a demonstration",
    )
    assert workspace.publish("bad", "refuse")["outcome"] == "kept"
    with pytest.raises(UsageError, match=r"has no version '9' \(it has 1, 2\)"):
        by_hand.show(workspace.store, NAME, "9")


def test_an_old_champion_of_other_classes_is_a_refusal_that_says_what_to_do(workspace, make_workspace):
    workspace.publish("first")
    [version] = workspace.versions()
    location = Path(open_reader(workspace.store).location(version))
    for path in workspace.zoo.model("other").iterdir():
        shutil.copyfile(path, location / path.name)
    damaged = workspace.judge("second")
    assert damaged["outcome"] == "refuse"
    assert "champion v1 cannot be met: shapes v1 is damaged" in damaged["reason"]
    with sqlite3.connect(workspace.store.database) as connection:  # as if it had been trained for these classes
        connection.execute(
            "UPDATE model_version_tags SET value = ? WHERE key = 'ratchet.digest'", (workspace.zoo.digest("other"),)
        )
    connection.close()
    verdict = workspace.judge("second")
    assert verdict["outcome"] == "refuse"
    assert "it was trained for 3 other classes: cat, dog, cow" in verdict["reason"]
    assert "ratchet registry promote" in verdict["reason"]
    workspace.run("register")
    by_hand.promote(workspace.store, NAME, "2", "the old one knows other classes")
    assert workspace.champion().version == 2


def test_a_champion_that_moved_since_the_verdict_asks_for_another_run(workspace, make_workspace):
    elsewhere = make_workspace("elsewhere")
    workspace.publish("first")
    workspace.rule("second")
    elsewhere.publish("bad", "refuse")
    by_hand.promote(workspace.store, NAME, "2", "meanwhile")
    with pytest.raises(TryAgain, match="judged against v1, but by now the champion is v2"):
        workspace.run("register")
    assert len(workspace.versions()) == 2


def test_a_verdict_on_another_model_is_refused(workspace):
    workspace.rule("first")
    workspace.candidate("second")
    with pytest.raises(DataError, match="judges another model"):
        workspace.run("register")
    assert workspace.versions() == []


@pytest.mark.parametrize("names", [("first", "first"), ("first", "second")], ids=["the same", "different"])
def test_two_registering_at_once_leave_one_version_a_model_and_one_champion(make_workspace, names):
    workspaces = [make_workspace("one"), make_workspace("two")]
    for workspace, name in zip(workspaces, names, strict=True):
        workspace.rule(name)
    processes = [workspace.process("register") for workspace in workspaces]
    said = [process.communicate()[0] for process in processes]
    # Who comes second with another model was judged against nobody, and is asked to run again.
    assert sorted(process.returncode for process in processes) == [0, 0 if names[0] == names[1] else 75], said
    [version] = workspaces[0].versions()
    assert version.is_champion


KILLS = {
    "once the bytes are up": "log_artifacts",
    "once the version is made": "create_model_version",
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_at_any_moment_the_registry_stays_whole_and_the_next_run_finishes(workspace, moment):
    from pipeline.registry.tracking import open_client

    method = KILLS[moment]
    workspace.rule("first")
    kill = f"""
from mlflow import MlflowClient
real = MlflowClient.{method}
def killed(*arguments, **options):
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
MlflowClient.{method} = killed
"""
    with workspace.process("register", before=kill) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [version for version in workspace.versions() if version.is_champion] == []
    workspace.run("register")
    [version] = workspace.versions()
    assert version.is_champion
    assert not (workspace.root / "reports" / ".registration.partial").exists()
    client = open_client(workspace.store)
    [run] = client.search_runs([client.get_experiment_by_name(NAME).experiment_id])
    kept = list((workspace.root.parent / "registry" / "artifacts" / NAME).iterdir())
    assert [folder.name for folder in kept] == [run.info.run_id] == [version.run_id]
    assert run.info.status == "FINISHED"


def test_killed_while_it_makes_its_database_the_next_run_makes_another(workspace):
    workspace.rule("first")
    database = workspace.store.database
    database.unlink()  # the workspace was given one, to save its making
    kill = f"""
import threading, time
def kill_half_way():
    while not list(Path({str(database.parent)!r}).glob('.{database.name}.partial-*')):
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill_half_way, daemon=True).start()
"""
    with workspace.process("register", before=kill) as process:
        said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert not database.exists()
    assert workspace.versions() == []
    workspace.run("register")
    [version] = workspace.versions()
    assert version.is_champion


def test_a_store_that_cannot_be_reached_is_one_line_and_nothing_is_written(make_workspace, free_port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter3")
    workspace = make_workspace(uri=f"http://ann:hunter2@127.0.0.1:{free_port}")
    workspace.candidate("first")
    with pytest.raises(StorageError, match="cannot be reached") as raised:
        workspace.run("champion")
    assert "hunter" not in str(raised.value)
    assert not (workspace.root / "models" / "champion").exists()


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path, free_port, empty_database):
    """A real `mlflow server` that keeps its bytes itself, stopped at the end."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(free_port),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        f"{tmp_path}/server",
    ]
    shutil.copyfile(empty_database, tmp_path / "server.db")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    uri = f"http://127.0.0.1:{free_port}"
    deadline_s = time.monotonic() + 180
    while not answers(uri):
        assert process.poll() is None, (tmp_path / "server.log").read_text()
        assert time.monotonic() < deadline_s, (tmp_path / "server.log").read_text()
        time.sleep(0.2)
    yield uri
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


def answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_server_over_http_is_as_good_as_a_local_store(make_workspace, server):
    from pipeline.registry.client_reader import ClientReader

    workspace = make_workspace(uri=server)
    assert workspace.publish("first")["outcome"] == "promoted"
    assert workspace.publish("first")["outcome"] == "kept"
    second = workspace.publish("second")
    assert second["outcome"] == "promoted"
    assert second["registry"] == server
    assert (workspace.root / "models" / "champion" / "weights.safetensors").is_file()
    assert_same_answers(open_reader(workspace.store), ClientReader(workspace.store))
    by_hand.rollback(workspace.store, NAME, "as a drill")
    assert workspace.champion().version == 1
