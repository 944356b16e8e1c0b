"""What holds for every image: a pinned base, a user who is not root, nothing secret, nothing that only built it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
RUNNING = {"pipeline": {"cpu", "gpu"}, "airflow": {"airflow", "worker"}, "mlflow": {"mlflow"}, "serving": {"serving"}}
DATED = re.compile(r"docker\.io/library/debian:bookworm-20\d{6}-slim")


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it."""

    name: str
    base: str
    steps: tuple[tuple[str, str], ...]  # instruction, the rest of the line

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def read(path: Path) -> tuple[dict[str, str], dict[str, Stage]]:
    """Return the ARGs before the first FROM, and the stages by name."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for line in text.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            match = re.fullmatch(r"(\S+) AS (\S+)", rest.strip())
            assert match, f"{path.name}: {line}: every stage has a name"
            stages[match[2]] = Stage(match[2], match[1], ())
        elif stages:
            last = list(stages.values())[-1]
            stages[last.name] = Stage(last.name, last.base, (*last.steps, (instruction, rest.strip())))
        else:
            assert instruction == "ARG", f"{path.name}: {line}"
            name, _, value = rest.partition("=")
            arguments[name] = value
    return arguments, stages


def stage_of(path: Path, name: str) -> Stage:
    return read(path)[1][name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bases_are_pinned_by_a_dated_tag_and_are_the_same_everywhere(path: Path) -> None:
    arguments, stages = read(path)
    assert DATED.fullmatch(arguments["BASE"])
    assert arguments["BASE"] == read(FILES[0])[0]["BASE"]
    for stage in stages.values():
        assert stage.base in {"${BASE}", "${PIPELINE}", *stages}, f"{path.name}: {stage.name} stands on {stage.base}"


def test_a_worker_stands_on_the_pipeline_of_this_version() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert read(ROOT / "docker" / "airflow.Dockerfile")[0]["PIPELINE"] == f"ratchet-pipeline:{version[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_image_that_runs_ends_as_another_user_than_root(path: Path) -> None:
    name = path.stem
    assert set(read(path)[1]) >= RUNNING[name]
    for target in RUNNING[name]:
        users = stage_of(path, target).all("USER")
        assert users
        assert users[-1] not in {"root", "0"}, f"{path.name}: {target}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_runs_is_built_without_a_compiler_and_takes_its_environment_from_a_stage_that_has_one(path: Path) -> None:
    _, stages = read(path)
    for target in RUNNING[path.stem]:
        stage: Stage | None = stages[target]
        assert stage
        assert any(rest.startswith("--from=environment") for rest in stage.all("COPY"))
        while stage:
            for command in stage.all("RUN"):
                assert not re.search(r"\b(g\+\+|gcc|make|build-essential|cuda-nvcc\S*|python3\.11-venv)\b", command)
            stage = stages.get(stage.base)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_packages_are_locked_with_hashes_and_apt_leaves_nothing_behind(path: Path) -> None:
    for stage in read(path)[1].values():
        for command in stage.all("RUN"):
            assert "pip install" not in command
            if "pip sync" in command:
                assert "--require-hashes" in command
            if "apt-get" in command:
                assert "--no-install-recommends" in command
                assert "rm -rf" in command
                assert "/var/lib/apt/lists/*" in command


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_secret_is_written_into_a_layer(path: Path) -> None:
    for stage in read(path)[1].values():
        for instruction in ("ENV", "ARG"):
            for rest in stage.all(instruction):
                assert not re.search(r"PASSWORD|SECRET|TOKEN|FERNET|JWT|API_KEY", rest, re.IGNORECASE)
        for rest in stage.all("COPY") + stage.all("ADD"):
            assert ".env" not in rest
        for rest in stage.all("RUN"):
            if "/run/secrets/ca" in rest:
                assert "--mount=type=secret,id=ca" in rest


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_file_copies_is_there_and_reaches_the_build(path: Path) -> None:
    ignored = (path.parent / f"{path.name}.dockerignore").read_text().splitlines()
    for stage in read(path)[1].values():
        for rest in stage.all("COPY"):
            words = [word for word in rest.split() if not word.startswith("--")]
            if "--from=" in rest:
                continue
            for source in words[:-1]:
                assert (ROOT / source).exists(), f"{path.name}: {source}"
                if "*" in ignored and source != ".":
                    assert any(f"!{source}".startswith(line) for line in ignored if line.startswith("!"))


def test_the_pipeline_image_holds_nothing_that_git_ignores() -> None:
    ignored = set((ROOT / "docker" / "pipeline.Dockerfile.dockerignore").read_text().splitlines())
    for line in (ROOT / ".gitignore").read_text().splitlines():
        if line and not line.startswith("#"):
            plain = line.rstrip("/")
            assert {plain, f"**/{plain}"} & ignored, f"{line} is ignored by git, and copied into the image"
    assert {".git", "**/.env"} <= ignored
