"""The team's set-up, as its file says it: against the Compose schema, and against what the house asks of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"

JOBS = {"project", "airflow-init"}
STATEFUL = {"postgres", "redis"}
SERVING = {"follower", "serving"}  # of the profile of that name
SECRET = re.compile(r"(PASSWORD|SECRET|_AUTH|_KEY)$")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?:(:[?-])([^}]*))?\}")


def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_file_is_valid_by_the_schema_of_the_compose_specification(name: str) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load((DOCKER / name).read_text()))


def test_the_schema_does_refuse() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    assert not jsonschema.Draft7Validator(schema).is_valid({"services": {"one": {"image": "a", "port": ["1:1"]}}})


def test_it_starts_all_that_a_team_needs(compose: dict[str, Any]) -> None:
    assert set(services(compose)) == {
        "postgres", "redis", "project", "mlflow", "spark-master", "spark-worker", "tensorboard",
        "airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
        "airflow-worker", *SERVING,
    }  # fmt: skip
    for name in ("spark-worker", "airflow-worker"):
        assert services(compose)[name]["deploy"]["replicas"] == 2


def test_every_service_says_how_it_is_and_jobs_end(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        if name in JOBS:
            assert service["restart"] == "no"
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["restart"] == "unless-stopped"
            check = service["healthcheck"]
            assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
            assert {"interval", "timeout", "retries", "start_period"} <= set(check), name


def test_what_waits_waits_for_health_or_for_the_end_of_a_job(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {other}"


def test_ports_are_open_to_this_host_alone_and_no_two_are_the_same(compose: dict[str, Any]) -> None:
    ports = [port for service in services(compose).values() for port in service.get("ports", [])]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_no_service_has_more_rights_than_it_needs(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        assert service.get("user") not in {"root", "0", "0:0"}
        if name in STATEFUL:
            assert service["user"] == name if name == "redis" else service["user"] == "postgres"
        assert not any("docker.sock" in volume for volume in service.get("volumes", []))


def test_images_are_built_here_or_pinned_by_an_exact_version(compose: dict[str, Any]) -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    for name, service in services(compose).items():
        image = service["image"]
        if image.startswith("ratchet-"):
            kind, _, tag = image.removeprefix("ratchet-").partition(":")
            assert kind in {"pipeline", "airflow", "worker", "mlflow", "serving"}
            assert tag == f"${{RATCHET_TAG:-{version[1]}}}"
            assert service["pull_policy"] == "never"
        else:
            assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-bookworm", image), f"{name}: {image}"


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_a_secret_that_is_not_set_stops_everything_and_other_variables_have_a_default(name: str) -> None:
    found = VARIABLE.findall((DOCKER / name).read_text())
    assert found
    for variable, how, rest in found:
        assert how == (":?" if SECRET.search(variable) else ":-"), variable
        assert rest


def test_the_example_names_every_variable_leaves_secrets_empty_and_says_how_to_make_them() -> None:
    text = (DOCKER / "env.example").read_text()
    empty = set(re.findall(r"^([A-Z0-9_]+)=$", text, re.MULTILINE))
    filled = re.findall(r"^([A-Z0-9_]+)=.+$", text, re.MULTILINE)
    optional = set(re.findall(r"^# ([A-Z0-9_]+)=", text, re.MULTILINE))
    used = {
        (variable, how)
        for name in ("compose.yaml", "compose.gpu.yaml")
        for variable, how, _ in VARIABLE.findall((DOCKER / name).read_text())
    }
    assert not filled
    assert empty == {variable for variable, how in used if how == ":?"}
    assert optional == {variable for variable, how in used if how == ":-"}
    assert text.count("openssl rand") >= 4


def test_no_secret_stands_in_a_file_and_none_on_a_command_line(compose: dict[str, Any]) -> None:
    for name, service in services(compose).items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert VARIABLE.fullmatch(str(value)), f"{name}: {key} is written out"
            for user_and_password in re.findall(r"://([^@\s/]*)@", str(value)):
                assert VARIABLE.search(user_and_password), f"{name}: {key} holds a password"
        assert ":?" not in json.dumps([service.get("command"), service.get("healthcheck")]), name


def test_all_that_work_on_runs_share_one_project_and_see_the_same_services(compose: dict[str, Any]) -> None:
    project = "${RATCHET_PROJECT:-project}:/opt/ratchet"
    for name, service in services(compose).items():
        if service["image"].startswith(("ratchet-pipeline", "ratchet-worker", "ratchet-airflow")):
            assert project in service["volumes"], name
    worker = services(compose)["airflow-worker"]["environment"]
    assert worker["RATCHET_SPARK__MASTER"] == "spark://spark-master:7077"
    assert worker["RATCHET_MLFLOW__URI"] == "http://mlflow:5000"
    assert worker["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert worker["XDG_CACHE_HOME"].startswith("/opt/ratchet/")


def test_the_pipeline_understands_what_the_workers_are_told(compose: dict[str, Any]) -> None:
    from pipeline.recipe.execution import load_execution

    told = services(compose)["airflow-worker"]["environment"]
    variables = {
        name: VARIABLE.sub(lambda match: match[3] if match[2] == ":-" else "x", value)
        for name, value in told.items()
        if name.startswith("RATCHET_")
    }
    execution = load_execution(ROOT, variables)
    assert execution.spark.master == "spark://spark-master:7077"
    assert execution.spark.settings == {"spark.cores.max": "2", "spark.executor.memory": "1g"}
    assert execution.mlflow.uri == "http://mlflow:5000"


def test_state_lies_on_named_volumes(compose: dict[str, Any]) -> None:
    named = set(compose["volumes"])
    assert named == {"postgres_data", "mlflow_artifacts", "airflow_logs", "project", "served"}
    used = {
        volume.split(":")[0].replace("${RATCHET_PROJECT", "project").replace("${RATCHET_SERVED", "served")
        for service in services(compose).values()
        for volume in service.get("volumes", [])
    }
    assert named <= used


def test_what_is_mounted_from_here_is_here(compose: dict[str, Any]) -> None:
    for service in services(compose).values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (DOCKER / volume.split(":")[0]).is_file()
                assert volume.endswith(":ro")
        for name in service.get("env_file", []):
            assert (DOCKER / name).is_file(), name
