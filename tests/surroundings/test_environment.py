"""Whatever the environment holds for other programs, a run is the same; what is meant for us and wrong is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import Small, commit_all

FOREIGN = 'raise RuntimeError("another package of this name")\n'


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages of the names that we and our libraries have."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("pipeline", "yaml", "pydantic"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(FOREIGN)
    return folder


def with_variables(project: Small, **variables: str | None) -> Small:
    return Small(project.root, {**project.variables, **variables}, stages=project.stages)


def told(project: Small, *words: str) -> tuple[int, str]:
    done = project.call("ratchet", *words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_a_run_is_the_same_among_variables_of_other_programs(small: MakeSmall, foreign: Path) -> None:
    project = small()
    project.run()
    lock = (project.root / "dvc.lock").read_bytes()
    (project.root / "dvc.lock").unlink()
    hostile = with_variables(
        project,
        PYTHONPATH=str(foreign),
        PYTHONOPTIMIZE="2",
        PYTHONWARNINGS="error",
        PYTHONHASHSEED="7",
        LC_ALL="POSIX",
        LANG="C",
        TZ="Asia/Tokyo",
        COLUMNS="10",
        GIT_DIR="/nowhere",
    )
    hostile.run()
    assert (project.root / "dvc.lock").read_bytes() == lock


def test_a_stage_of_the_users_own_dvc_repro_chooses_for_itself(small: MakeSmall, tmp_path: Path) -> None:
    project = small()
    commit_all(project.root)  # `dvc` by itself wants git
    (tmp_path / "foreign" / "pipeline").mkdir(parents=True)
    (tmp_path / "foreign" / "pipeline" / "__init__.py").write_text(FOREIGN)
    hostile = with_variables(
        project, PYTHONPATH=str(tmp_path / "foreign"), PYTHONOPTIMIZE="2", LC_ALL="POSIX", LANG="C"
    )
    done = hostile.call("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.root / "reports" / "survey.json").is_file()


def test_nothing_but_a_path_is_needed(small: MakeSmall, tmp_path: Path) -> None:
    project = small()
    (tmp_path / "bin").mkdir()
    for name in ("sh", "java"):  # and no git
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    path = f"{project.python.parent}{os.pathsep}{tmp_path / 'bin'}"
    done = subprocess.run(
        [project.python.parent / "ratchet", "run"],
        cwd=project.root,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "variables", "says"),
    [
        (["run"], {"RATCHET_SPARK_MASTER": "local[1]"}, "RATCHET_SPARK_MASTER in the environment: unknown (did"),
        (["run"], {"RATCHET_SPRK__MASTER": "local[1]"}, "unknown key 'sprk' (did you mean 'spark'?)"),
        (["run", "--execution", "workers=4"], {}, "--execution workers: unknown key (did you mean 'horovod.workers'?)"),
        (["run", "--config", "configs/a.yml"], {}, "configs/a.yml: a config's name ends in .yaml; rename it to a.yaml"),
    ],
    ids=["a variable", "a group", "an option", "a config"],
)
def test_what_is_meant_for_us_and_wrong_is_told(
    small: MakeSmall, words: list[str], variables: dict[str, str], says: str
) -> None:
    project = small()
    (project.root / "configs").mkdir(exist_ok=True)
    (project.root / "configs" / "a.yml").write_text("recipe: {}\n")
    code, line = told(with_variables(project, **variables), *words)
    assert code == 2
    assert says in line
    assert not (project.root / "runs").exists()


def test_a_folder_that_has_been_removed_is_told(small: MakeSmall, tmp_path: Path) -> None:
    project = small()
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'rmdir "$PWD"; exec ratchet run'
    done = subprocess.run(
        ["sh", "-c", command], cwd=gone, env=project.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (74, 1)
    assert "the current folder has been removed" in done.stderr


def test_a_run_whose_reader_has_gone_is_done_whole(small: MakeSmall) -> None:
    project = small()
    reads = subprocess.run(
        ["sh", "-c", "{ ratchet run; echo $? >code; } | head -c 1"],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        check=False,
    )
    assert len(reads.stdout) == 1
    assert (project.root / "code").read_text() == "0\n"
    assert (project.root / "reports" / "survey.json").is_file()
    [run] = project.runs()
    assert run["state"] == "success"
    assert reads.stderr == b""


def test_doctor_looks_at_each(small: MakeSmall) -> None:
    project = small()
    home = Path(str(project.variables["HOME"]))
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text('{"floatx": "float16"}')
    hostile = with_variables(project, SPARK_HOME="/nowhere", JAVA_TOOL_OPTIONS="-Dx", LC_ALL="POSIX")
    said = hostile.call("ratchet", "doctor").stdout
    assert "not passed on to a run: SPARK_HOME, " in said
    assert "JAVA_TOOL_OPTIONS" in said
    assert f"{home}/.keras/keras.json is not used" in said
    assert "host name" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give the machine another name")
def test_a_machine_whose_name_has_no_address_runs_with_one_worker_and_is_told_otherwise(small: MakeSmall) -> None:
    project = small()
    renamed = ("unshare", "--uts", "sh", "-c", 'hostname nowhere.invalid && exec ratchet "$@"', "ratchet")
    done = project.call(*renamed, "run", "--execution", "horovod.workers=1")
    assert done.returncode == 0, done.stderr
    done = project.call(*renamed, "run", "--force")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "name nowhere.invalid has no address" in done.stderr
    assert "/etc/hosts" in done.stderr


def test_without_an_output_the_work_is_done(small: MakeSmall) -> None:
    project = small()
    done = project.call("sh", "-c", "exec ratchet run >&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert (project.root / "reports" / "survey.json").is_file()


def test_a_home_that_is_no_folder_is_none(small: MakeSmall) -> None:
    project = small()
    assert with_variables(project, HOME="/dev/null").call("ratchet", "run").returncode == 0
    code, line = told(with_variables(project, XDG_CONFIG_HOME="/dev/null"), "run")
    assert (code, "XDG_CONFIG_HOME in the environment: /dev/null is no folder" in line) == (2, True)


def test_what_a_terminal_would_obey_is_shown(small: MakeSmall) -> None:
    code, line = told(small(), "run", "--set", 'data.path="\\e]0;title\\a"')
    assert code == 74
    assert "\x1b" not in line
    assert "\\x1b]0;title" in line
