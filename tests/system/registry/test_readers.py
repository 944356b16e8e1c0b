"""Who reads the registry: users through MLflow, and we; a local store, a server over HTTP, and none at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from pipeline.errors import StorageError
from pipeline.registry import by_hand
from pipeline.registry.reader import open_reader
from tests.system.registry.shapes import NAME, SHAPE
from tests.waiting import HANG_S, STALL_S, size_of, wait_for


def test_users_load_the_champion_by_mlflow_and_get_the_trained_models_answers(workspace):
    import mlflow

    workspace.publish("first")
    mlflow.set_tracking_uri(workspace.store.uri)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    answered = model.predict(workspace.zoo.pixels)
    np.testing.assert_allclose(answered, workspace.zoo.answers["first"], rtol=0, atol=1e-5)
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, -1, -1, SHAPE[2])
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


def test_a_store_that_cannot_be_reached_is_one_line_and_nothing_is_written(make_workspace, free_port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter3")
    workspace = make_workspace(uri=f"http://ann:hunter2@127.0.0.1:{free_port}")
    workspace.candidate("first")
    with pytest.raises(StorageError, match="cannot be reached") as raised:
        workspace.run("champion")
    assert "hunter" not in str(raised.value)
    assert not (workspace.root / "models" / "champion").exists()


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
    told = tmp_path / "server.log"
    try:
        wait_for(
            lambda: answers(uri) or process.poll() is not None,
            "the server answers",
            progress=lambda: size_of(told),
            explain=told.read_text,
        )
        assert process.poll() is None, told.read_text()
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(HANG_S)


def answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=STALL_S) as answer:
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
