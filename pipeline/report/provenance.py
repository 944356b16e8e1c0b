"""What a result was made from: code, data, recipe and libraries, each by digest or version."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from pipeline.errors import StorageError, UsageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.report.flow import read_data_set
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, find_file, section
from pipeline.runtime.git import Commit, commit_of, paths_of_run
from pipeline.storage.artifacts import digest_file

_FILES = {"recipe": PARAMS_FILE, "graph": GRAPH_FILE, "graph as run": LOCK_FILE}
_LIBRARIES = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "horovod",
    "pyspark",
    "great-expectations",
    "dvc",
    "mlflow",
    "numpy",
    "pyarrow",
    "scikit-learn",
)
_NO_REPOSITORY = ("not a git repository", "Needed a single revision")


def digests(files: RunFiles) -> dict[str, Section[str]]:
    """Return the digest of each thing that decides the result: a file's bytes or a data set's content.

    What was never made is left out; of what is damaged, the section says so.
    """
    found: dict[str, Section[str]] = {"candidate (weights and architecture)": files.candidate}
    for name, file in _FILES.items():
        found[f"{name} ({file})"] = section(lambda file=file: _digest(files.root / file), files.root)  # type: ignore[misc]
    for _, rows in files.graph.value.flow if files.graph.value else ():
        data = section(lambda kept=rows.kept: read_data_set(files.root / kept), files.root)  # type: ignore[misc]
        if data.value is None:
            found[rows.kept] = Section(None, data.problem)
            continue
        for part, manifest in data.value.parts.items():
            found[f"{rows.kept}/{part}" if data.value.is_divided else rows.kept] = Section(manifest.digest)
    return {name: digest for name, digest in found.items() if digest or digest.problem}


def git_commit(files: RunFiles) -> Section[Commit]:
    """Return the run's commit: as the run says, or else as it is checked out; the section says why there is none."""
    run = files.run.value
    if run and run.commit:
        return Section(Commit(run.commit, run.is_dirty))
    return section(lambda: _commit(files), files.root)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide a result, as installed here; absent ones are left out."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _digest(path: Path) -> str | None:
    return digest_file(path) if find_file(path) else None


def _commit(files: RunFiles) -> Commit:
    source = str((files.recipe.value or {}).get("data.path", ""))
    try:
        return commit_of(files.root, paths_of_run(files.graph.value, source) if files.graph.value else ())
    except UsageError as error:
        raise UsageError("git is not installed") from error
    except StorageError as error:
        if any(words in str(error) for words in _NO_REPOSITORY):
            raise StorageError("not a git work tree, or one without a commit") from error
        raise
