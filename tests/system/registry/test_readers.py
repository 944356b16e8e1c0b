"""Who reads the registry: users through MLflow, and we; a local store, a server over HTTP, and none at all."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from pipeline.errors import StorageError, TryAgain
from pipeline.registry import by_hand, tracking
from pipeline.registry.actor import Actor
from pipeline.registry.moving import move_alias
from pipeline.registry.reader import open_reader
from pipeline.registry.versions import REPLACED
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
    assert quick.model_tags(NAME) == slow.model_tags(NAME)
    assert [key for key in slow.model_tags(NAME) if key.startswith("ratchet.ledger.000001.")]
    assert quick.model_tags("nothing") == {} == slow.model_tags("nothing")
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


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_database):
    """A real `mlflow server` that keeps its bytes itself, stopped at the end."""
    tmp_path = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
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
    off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes that wait for jobs nobody gives them
    environment = {**os.environ, **off, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
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


def test_of_two_machines_that_write_one_server_at_once_one_has_its_champion_and_the_other_is_told(
    make_workspace, server
):
    """Each is stopped where the other may come between, for all of the other's work."""
    store = make_workspace(uri=server).store
    client = tracking.open_client(store)
    for place, (at, times) in enumerate(
        [("set_model_version_tag", 1), ("by_alias", 2), ("set_registered_model_alias", 1), ("versions", 3)]
    ):
        name = f"pets_{place}"
        client.create_registered_model(name)
        for _ in range(3):
            run = client.create_run("0").info
            client.create_model_version(name, f"{run.artifact_uri}/model", run.run_id, await_creation_for=0)
        client.set_registered_model_alias(name, "champion", "1")
        told, calls = {}, []

        def act(version, before_call, told=told, name=name):
            made, reader = (Between(each, before_call) for each in (client, open_reader(store)))
            event = Actor("ann", "now").event("promoted", "better", "1 ")
            candidate, expected = (open_reader(store).version(name, number) for number in (version, 1))
            try:
                move_alias(made, reader, candidate, expected, {REPLACED: "1 "}, event)
                told[version] = "done"
            except TryAgain as error:
                told[version] = str(error)

        def come_between(call, act=act, calls=calls, at=at, times=times):
            calls.append(call)
            if call == at and calls.count(at) == times:
                act(2, lambda _: None)

        act(3, come_between)
        assert len(told) == 2, (at, times, calls)
        [won] = [version for version, said in told.items() if said == "done"]
        assert open_reader(store).by_alias(name, "champion").version == won, (at, times, told)


class Between:
    """A client or a reader before whose every call something else may happen."""

    def __init__(self, inner, before_call):
        self._inner, self._before_call = inner, before_call

    def __getattr__(self, name):
        self._before_call(name)
        return getattr(self._inner, name)
