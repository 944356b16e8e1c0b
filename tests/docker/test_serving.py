"""The service's image and its part of the Compose file, held to what `ratchet serve` and its follower really have."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import serve as command
from pipeline.serving.limits import Limits
from tests.docker.test_dockerfiles import stage_of
from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
FILE = DOCKER / "serving.Dockerfile"
LOCK = ROOT / "requirements" / "serving.txt"
PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
LOADED = """
import importlib.metadata, re, sys
locked = set(sys.argv[1:])
found = importlib.metadata.packages_distributions()
def other(name):
    of = {re.sub("[-_.]+", "-", each).lower() for each in found.get(name, [])}
    return bool(of) and not of & (locked | {"ratchet"})
class Absent:
    def find_spec(self, name, path=None, target=None):
        if other(name.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import pipeline.cli.serve, pipeline.serving.app, pipeline.serving.connections, pipeline.serving.prediction_log
import pipeline.serving.serve, pipeline.serving.supervising, uvicorn, uvloop
import pyarrow.parquet, PIL.Image, simplejpeg
try:
    import mlflow
except ModuleNotFoundError:
    print("no mlflow")
print("loaded")
"""
DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def parsed(words: list[str]) -> argparse.Namespace:
    """Parse what follows `ratchet` as the command line does; what it does not know ends the test."""
    assert words[0] == command.COMMAND.name
    parser = argparse.ArgumentParser(exit_on_error=False)
    command._fill(parser)
    found, unknown = parser.parse_known_args([DEFAULT.sub(r"\1", word) for word in words[1:]])
    assert unknown == []
    return found


@pytest.fixture
def serving(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]["serving"]
    return found


@pytest.fixture
def follower(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]["follower"]
    return found


def test_the_parser_of_these_tests_does_refuse() -> None:
    with pytest.raises(AssertionError):
        parsed(["serve", "/opt/served", "--threads=4"])


def test_the_image_serves_its_folder_with_tokens_on_the_port_that_it_names() -> None:
    stage = stage_of(FILE, "serving")
    told = parsed(json.loads(stage.all("CMD")[-1]))
    assert told.folder == Path("/opt/served")
    assert told.tokens is not None
    assert [str(told.port)] == stage.all("EXPOSE")
    assert any("/opt/served" in step and "-o ratchet" in step for step in stage.all("RUN"))


def test_the_image_starts_the_command_line_that_is_copied_into_it() -> None:
    stage = stage_of(FILE, "serving")
    program, script = json.loads(stage.all("ENTRYPOINT")[-1])
    assert program == "python"
    copied = {words[-1]: words[:-1] for words in map(shlex.split, stage.all("COPY"))}
    assert copied[str(Path(script).parent) + "/"] == [Path(script).name]
    assert copied[str(Path(script).parent / "pipeline")] == ["pipeline"]


def test_the_lock_holds_the_service_and_nothing_that_trains_or_asks_the_registry() -> None:
    locked = dict(PINNED.findall(LOCK.read_text()))
    assert {"tensorflow-cpu", "fastapi", "uvicorn", "prometheus-client", "pyarrow", "simplejpeg"} <= set(locked)
    assert not {"pyspark", "horovod", "mlflow", "dvc", "great-expectations", "pandas", "boto3"} & set(locked)


def test_the_service_runs_with_the_versions_that_the_tests_run_with() -> None:
    whole = dict(PINNED.findall((ROOT / "requirements" / "pipeline.txt").read_text()))
    locked = dict(PINNED.findall(LOCK.read_text()))
    assert {name: whole.get(name) for name in locked} == locked


@pytest.mark.long
def test_the_service_loads_where_no_other_package_than_the_locked_ones_is() -> None:
    locked = [re.sub(r"[-_.]+", "-", name) for name, _ in PINNED.findall(LOCK.read_text())]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *locked], cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["no", "mlflow", "loaded"]


def test_the_profile_is_not_started_unless_asked_for(compose: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in compose["services"].items()}
    assert {name for name, named in profiles.items() if named == ["serving"]} == {"follower", "serving"}
    assert {name for name, named in profiles.items() if named} == {"follower", "serving"}


def test_compose_gives_the_service_flags_that_it_has(serving: dict[str, Any]) -> None:
    told = parsed(serving["command"])
    assert serving["ports"] == [f"127.0.0.1:{told.port}:{told.port}"]
    assert told.host == "0.0.0.0"
    assert told.tokens == Path("/run/secrets") / serving["secrets"][0]
    assert (told.canary_share, told.shadow_share) == (0, 0)
    [volume] = serving["volumes"]
    assert DEFAULT.sub(r"\1", volume) == f"served:{told.folder}"


def test_the_tokens_are_a_secret_of_a_file_that_git_and_images_do_not_hold(
    compose: dict[str, Any], serving: dict[str, Any]
) -> None:
    assert serving["secrets"] == list(compose["secrets"])
    [(_, where)] = compose["secrets"]["tokens"].items()
    file = DOCKER / DEFAULT.sub(r"\1", where)
    asked = subprocess.run(["git", "check-ignore", "--quiet", str(file)], cwd=ROOT, check=False)
    assert asked.returncode == 0
    ignored = (DOCKER / "pipeline.Dockerfile.dockerignore").read_text().splitlines()
    assert str(file.relative_to(ROOT)) in ignored
    assert "environment" not in serving


def test_the_services_root_file_system_is_read_only(serving: dict[str, Any]) -> None:
    assert serving["read_only"] is True
    assert serving["tmpfs"] == ["/tmp"]


def test_compose_asks_a_page_that_needs_no_token_and_exists(serving: dict[str, Any]) -> None:
    from pipeline.serving.guard import _OPEN
    from tests.docker.test_kubernetes import routes

    program, url, text = serving["healthcheck"]["test"][1:]
    assert program == "http-ok"
    path = url.removeprefix(f"http://localhost:{parsed(serving['command']).port}")
    assert path in _OPEN
    assert path in routes()
    assert text == '"ready":true'


def test_the_service_has_the_time_to_end_what_it_has_begun(serving: dict[str, Any]) -> None:
    assert int(serving["stop_grace_period"].removesuffix("s")) > Limits().end_s


def test_the_follower_writes_where_the_service_reads_and_asks_the_registry(
    follower: dict[str, Any], serving: dict[str, Any], compose: dict[str, Any]
) -> None:
    from pipeline.serving.roles import CHALLENGER

    assert set(serving["volumes"]) < set(follower["volumes"])
    words = [DEFAULT.sub(r"\1", word) for word in follower["command"]]
    assert words[:3] == ["python", "-m", "pipeline.serving.follower"]
    project, name, folder, challenger = words[3:]
    assert challenger == f"--challenger={CHALLENGER}"
    assert f"{project}\n" in "".join(f"{volume.split(':')[-1]}\n" for volume in follower["volumes"])
    assert name == re.search(r"^name: (\S+)$", (ROOT / "params.yaml").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    assert Path(folder) == parsed(serving["command"]).folder
    assert follower["environment"]["RATCHET_MLFLOW__URI"] == "http://mlflow:5000"
    assert follower["depends_on"]["mlflow"] == {"condition": "service_healthy"}


def test_the_follower_is_well_while_it_notes_what_it_finds(follower: dict[str, Any]) -> None:
    from pipeline.records.following import FOLLOWER_FILE
    from pipeline.serving.follower import _EXPORT_S

    [_, shell] = follower["healthcheck"]["test"]
    assert f"-name {FOLLOWER_FILE} " in shell
    minutes = re.search(r"-mmin -(\d+)", shell)
    assert minutes
    assert 60 * int(minutes[1]) > _EXPORT_S


def test_the_served_folder_belongs_to_the_user_in_both_images() -> None:
    for file, stage in ((FILE, "serving"), (DOCKER / "pipeline.Dockerfile", "system")):
        made = [step for step in stage_of(file, stage).all("RUN") if "/opt/served" in step]
        assert made
        assert all("install -d -o ratchet -g ratchet" in step for step in made)


@pytest.mark.parametrize("document", ["deploying.md", "serving.md"])
def test_the_documentation_names_readings_that_the_service_has(document: str) -> None:
    from pipeline.serving.metrics import Metrics
    from pipeline.serving.readings import UP

    text = Metrics().text(model=None, queued_rows=0, rows_per_s=0.0, bodies_bytes=0, following=None).decode()
    # Counters and histograms as Prometheus asks for them; gauges with labels have no value until there is one.
    has = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    has |= {UP, *(f"{name}_bucket" for name in re.findall(r"^# TYPE (\w+) histogram", text, re.MULTILINE))}
    asked = set(re.findall(r"\bratchet_\w+", (ROOT / "docs" / document).read_text())) - {"ratchet_command"}
    assert len(asked) > 8
    assert asked <= has
