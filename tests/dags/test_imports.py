"""What Airflow's processes load for our sake: next to nothing. Everything heavy is behind a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.graph import load_graph
from pipeline.recipe.configs import config_files, recipe_layers
from pipeline.recipe.resolving import checked, named_files
from tests.dags.conftest import ROOT

HEAVY = {
    *("tensorflow", "keras", "horovod", "pyspark", "great_expectations", "mlflow", "dvc"),
    *("numpy", "pandas", "pyarrow", "sklearn", "scipy", "matplotlib", "psutil"),
}
FILES = ("retrain.py", "watch.py", "score.py", "sweep.py", "problems.py", "plugins/ratchet.py")

LOAD = """
import json, runpy, sys
import airflow.sdk, airflow.plugins_manager
loaded = {}
for name in sys.argv[2:]:
    before = set(sys.modules)
    runpy.run_path(f"{sys.argv[1]}/{name}")
    loaded[name] = sorted(set(sys.modules) - before)
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each file loads beyond Airflow itself, read from elsewhere by a process whose path does not name us."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(ROOT / "dags"), *FILES],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_airflow_reads_finds_us_and_loads_nothing_heavy(loaded: dict[str, list[str]], name: str) -> None:
    assert HEAVY.isdisjoint(module.partition(".")[0] for module in loaded[name])


def test_what_the_dags_import_of_the_pipeline_is_its_floor(loaded: dict[str, list[str]]) -> None:
    ours = {module for modules in loaded.values() for module in modules if module.startswith("pipeline.")}
    phases = ("data", "contracts", "training", "evaluation", "registry", "models", "stages")
    # A slot's file says which settings it has, and what can be known before any work: none is done to read it.
    configs = [f"configs/{path.name}" for path in config_files(ROOT)]
    layers = [recipe_layers(ROOT, config) for config in (None, *configs)]
    files = {file for each in layers for file in named_files(checked(each.values, each.where), ROOT)}
    # What such files import at their top, too; the stage that completes the recipe declares it.
    files |= {ROOT / path for path in load_graph(ROOT)["resolve"].deps if path.endswith(".py")}
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    assert "pipeline.graph" in ours
    of_phases = {module for module in ours if module.split(".")[1] in phases}
    assert of_phases <= {name for each in named for name in (each, *_above(each))}


def _above(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def test_every_file_of_every_slot_can_be_read_where_airflow_is() -> None:
    script = (
        "import sys\n"
        "from pipeline.recipe import recipe\n"
        "for slot in [each for each in vars(recipe).values() if type(each).__name__ == 'Slot']:\n"
        "    for name in slot.names():\n"
        "        slot.member(name).Settings.model_json_schema()\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pipeline" in loaded
    assert (HEAVY | {"airflow"}).isdisjoint(loaded)


def test_the_plugin_leaves_the_web_servers_modules_to_the_web_server(loaded: dict[str, list[str]]) -> None:
    assert "fastapi" not in {module.partition(".")[0] for module in loaded["plugins/ratchet.py"]}


def test_nothing_of_airflow_is_loaded_by_what_only_reads_files() -> None:
    for name in ("derive.py", "form.py"):
        assert "airflow" not in [
            word
            for line in (ROOT / "dags" / name).read_text().splitlines()
            if "import" in line
            for word in line.split()
        ]
    assert Path(ROOT / "dags" / "__init__.py").read_text().count("import ") == 0
