"""The manifests of the service: valid by Kubernetes' own schemas, and held to what the service really has."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.serving.limits import Limits

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ("1.30", "1.33", "1.37")
Manifest = dict[str, Any]


@cache
def manifests() -> tuple[Manifest, ...]:
    return tuple(each for path in FILES for each in yaml.safe_load_all(path.read_text()))


def named(kind: str, name: str = "ratchet-serving") -> Manifest:
    [found] = [each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pod(name: str = "ratchet-serving") -> Manifest:
    found: Manifest = named("Deployment", name)["spec"]["template"]["spec"]
    return found


def container(name: str = "ratchet-serving") -> Manifest:
    [found] = pod(name)["containers"]
    return dict(found)


@cache
def routes() -> frozenset[str]:
    """Return the addresses of the real application that answer a GET."""
    from fastapi import FastAPI

    from pipeline.serving.app import build
    from pipeline.serving.batching import Batcher
    from pipeline.serving.guard import Guard
    from pipeline.serving.metrics import Metrics
    from pipeline.serving.models import Models
    from pipeline.serving.service import Service

    metrics = Metrics()
    models = Models(Path("none"), metrics, lambda event, /, **values: None)
    service = Service(models, Batcher(Limits(), metrics, calls=1), metrics, lambda event, /, **values: None)
    guard = build(service)
    assert isinstance(guard, Guard)
    assert isinstance(guard._app, FastAPI)
    return frozenset(path for path, item in guard._app.openapi()["paths"].items() if "get" in item)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_manifest_is_valid_by_the_schema_of_kubernetes(path: Path, version: str) -> None:
    found = list(yaml.safe_load_all(path.read_text()))
    assert found
    for each in found:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_schema_does_refuse() -> None:
    broken = {**named("Service"), "spec": {"port": 8600}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_all_that_a_service_needs_is_there_and_listed_and_nothing_is_secret() -> None:
    assert sorted(each["kind"] for each in manifests()) == [
        "ConfigMap", "Deployment", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "NetworkPolicy",
        "PersistentVolumeClaim", "PodDisruptionBudget", "Service",
    ]  # fmt: skip
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [path.name for path in FILES]
    assert pod()["volumes"][1]["secret"]["secretName"] == "ratchet-tokens"


def test_images_are_those_of_this_version() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    listed = {each["name"]: each["newTag"] for each in kustomization["images"]}
    assert listed == {"ratchet-serving": version[1], "ratchet-pipeline": version[1]}
    for name in ("ratchet-serving", "ratchet-follower"):
        image, _, tag = container(name)["image"].partition(":")
        assert listed[image] == tag


def test_the_service_is_given_flags_that_it_has() -> None:
    from tests.docker.test_serving import parsed

    told = parsed(container()["args"])
    mounts = {Path(each["mountPath"]) for each in container()["volumeMounts"]}
    assert told.folder in mounts
    assert told.tokens.parent in mounts
    assert told.host == "0.0.0.0"
    [port] = container()["ports"]
    assert told.port == port["containerPort"]
    assert str(told.calls) == container()["resources"]["requests"]["cpu"]
    assert (told.canary_share, told.shadow_share) == (0, 0)


def test_every_probe_asks_an_address_that_the_service_has_and_that_needs_no_token() -> None:
    from pipeline.serving.guard import _OPEN

    asked = {kind: container()[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready",
    }  # fmt: skip
    assert set(asked.values()) <= routes() & _OPEN
    [port] = container()["ports"]
    assert {container()[kind]["httpGet"]["port"] for kind in asked} == {port["name"]}


def test_ports_lead_from_the_service_to_the_pod_and_the_network_lets_them() -> None:
    [port] = container()["ports"]
    [way] = named("Service")["spec"]["ports"]
    assert way["targetPort"] == port["name"]
    assert way["port"] == port["containerPort"]
    [rule] = named("NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == [port["name"]]
    assert named("NetworkPolicy")["spec"]["egress"] == []


def test_everything_that_selects_selects_the_pods_of_the_service() -> None:
    labels = named("Deployment")["spec"]["template"]["metadata"]["labels"]
    other = named("Deployment", "ratchet-follower")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        named("Deployment")["spec"]["selector"]["matchLabels"],
        named("Service")["spec"]["selector"],
        named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        named("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= other.items()
    target = named("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", named("Deployment")["metadata"]["name"])


def test_a_pod_that_goes_is_no_longer_asked_and_ends_what_it_has_begun() -> None:
    rolling = named("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}
    program, seconds = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert int(seconds) >= 5
    assert pod()["terminationGracePeriodSeconds"] >= int(seconds) + Limits().end_s + 10


def test_the_autoscaler_alone_says_how_many_pods_there_are_and_one_may_always_go() -> None:
    assert "replicas" not in named("Deployment")["spec"]
    scaler = named("HorizontalPodAutoscaler")["spec"]
    assert scaler["minReplicas"] > named("PodDisruptionBudget")["spec"]["maxUnavailable"] >= 1
    assert "cpu" in container()["resources"]["requests"]


@pytest.mark.parametrize("name", ["ratchet-serving", "ratchet-follower"])
def test_no_pod_has_more_rights_than_it_needs(name: str) -> None:
    security = pod(name)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(name)["automountServiceAccountToken"] is False
    mine = container(name)["securityContext"]
    assert mine["allowPrivilegeEscalation"] is False
    assert mine["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(container(name)["resources"]["requests"])
    assert "memory" in container(name)["resources"]["limits"]
    for volume in pod(name)["volumes"]:
        assert "hostPath" not in volume
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] & 0o007 == 0


def test_the_user_in_the_pods_is_the_one_in_the_images() -> None:
    from tests.docker.test_dockerfiles import stage_of

    for name, file, stage in (("ratchet-serving", "serving", "serving"), ("ratchet-follower", "pipeline", "system")):
        arguments = stage_of(ROOT / "docker" / f"{file}.Dockerfile", stage).all("ARG")
        assert arguments == [f"RATCHET_UID={pod(name)['securityContext']['runAsUser']}"]


def test_the_services_root_file_system_is_read_only() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_service_is_told_of_no_services_variables_that_would_be_taken_for_its_own() -> None:
    for name in ("ratchet-serving", "ratchet-follower"):
        assert pod(name)["enableServiceLinks"] is False


def test_the_follower_is_one_that_writes_where_the_service_reads() -> None:
    from pipeline.recipe.execution import load_execution
    from pipeline.serving.roles import CHALLENGER
    from tests.docker.test_serving import parsed

    follower = named("Deployment", "ratchet-follower")["spec"]
    assert (follower["replicas"], follower["strategy"]["type"]) == (1, "Recreate")
    assert container("ratchet-follower")["command"] == ["python", "-m", "pipeline.serving.follower"]
    _, name, folder, challenger = container("ratchet-follower")["args"]
    assert Path(folder) == parsed(container()["args"]).folder
    claims = [
        [each["persistentVolumeClaim"]["claimName"] for each in pod(name)["volumes"] if "persistentVolumeClaim" in each]
        for name in ("ratchet-serving", "ratchet-follower")
    ]
    assert claims == [[named("PersistentVolumeClaim", "ratchet-served")["metadata"]["name"]]] * 2
    settings = named("ConfigMap")["data"]
    assert name == "$(RATCHET_MODEL)"
    assert challenger == "--challenger=$(RATCHET_CHALLENGER)"
    assert settings["RATCHET_CHALLENGER"] == CHALLENGER
    assert settings["RATCHET_MODEL"] == re.search(r"^name: (\S+)$", (ROOT / "params.yaml").read_text(), re.M)[1]  # type: ignore[index]
    assert load_execution(ROOT, settings).mlflow.uri == settings["RATCHET_MLFLOW__URI"]


def test_the_network_lets_the_follower_reach_the_registry() -> None:
    port = int(named("ConfigMap")["data"]["RATCHET_MLFLOW__URI"].rpartition(":")[2])
    egress = named("NetworkPolicy", "ratchet-follower")["spec"]["egress"]
    assert port in [each["port"] for rule in egress for each in rule["ports"]]
