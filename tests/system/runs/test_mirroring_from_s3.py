"""A source in an object store, which a real S3 server on this machine stands for (moto): fetched, run, watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.project import Project, make_project

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@pytest.fixture
def store() -> Iterator[dict[str, str]]:
    """A server with a bucket, as the variables that lead to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    finally:
        server.stop()


def client(store: dict[str, str]) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=store["AWS_ENDPOINT_URL"],
        aws_access_key_id=store["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=store["AWS_SECRET_ACCESS_KEY"],
        region_name=store["AWS_DEFAULT_REGION"],
    )


def raw(project: Project) -> Any:
    return project.lock["ingest"]["outs"]


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_a_source_in_an_object_store_gives_the_rows_of_the_same_folder(store: dict[str, str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    done = project.ratchet("run", "--until", "ingest")
    assert done.returncode == 0, done.stderr
    from_folder = raw(project)

    s3 = client(store)
    s3.create_bucket(Bucket="pictures", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for path in sorted((project.root / "digits").iterdir()):
        s3.put_object(Bucket="pictures", Key=f"all/digits-1/{path.name}", Body=path.read_bytes())
    s3.put_object(Bucket="pictures", Key="all/other", Body=b"not of this source")
    shutil.rmtree(project.root / "digits")
    project.change_recipe(data={"path": "data/source", "address": "s3://pictures/all/digits-1"})
    done = project.ratchet("fetch", **store)
    assert done.returncode == 0, done.stderr
    assert "4 files" in done.stdout
    done = project.ratchet("run", "--until", "ingest", **store)
    assert done.returncode == 0, done.stderr
    assert raw(project) == from_folder

    done = project.ratchet("init", "s3://pictures/all/digits-1", "--name", "stored", **store)
    assert done.returncode == 0, done.stderr
    drafted = yaml.safe_load((project.root / "configs" / "stored.yaml").read_text())["recipe"]["data"]
    assert (drafted["path"], drafted["address"]) == ("data/sources/stored", "s3://pictures/all/digits-1")

    names = [path.name for path in sorted((project.root / "data/source").iterdir())]
    s3.delete_object(Bucket="pictures", Key=f"all/digits-1/{names[0]}")
    done = project.ratchet("fetch", **store)
    assert "1 removed" in done.stdout
    assert [path.name for path in sorted((project.root / "data/source").iterdir())] == names[1:]

    for changed, why in (
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be read"),
        ({"address": "s3://nobodys/x"}, "holds nothing"),
    ):
        if "address" in changed:
            project.change_recipe(data={"path": "data/other", "address": changed.pop("address")})
        done = project.ratchet("fetch", **{**store, **changed})
        assert done.returncode == os.EX_IOERR
        assert why in done.stderr
        assert [line for line in done.stderr.splitlines() if line.startswith("ratchet: ")] == [
            done.stderr.splitlines()[-1]
        ]
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
