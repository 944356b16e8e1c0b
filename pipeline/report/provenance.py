"""What a result was made from: code, data, recipe and libraries, each by digest or version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pipeline.errors import StorageError, UsageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.computed_on import ComputedOn
from pipeline.records.training_history import TRAINING_FILE, Training
from pipeline.report.flow import find_data_set
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
        data = section(lambda kept=rows.kept: find_data_set(files.root / kept), files.root)  # type: ignore[misc]
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


@dataclass(frozen=True)
class Hardware:
    """What the candidate was computed on, and whether a run like the champion's could have the same bits.

    `champion` names that version, "" if there is none; `reasons` say what keeps the two from agreeing, and are None if
    it is not known of one of them.
    """

    computed_on: Sequence[ComputedOn]
    champion: str
    reasons: Sequence[str] | None


def hardware(files: RunFiles) -> Section[Hardware]:
    """Return what the training was computed on, beside the champion's; the section says what cannot be read."""
    return section(lambda: _hardware(files), files.root)


def _hardware(files: RunFiles) -> Hardware | None:
    own = files.find("candidate", TRAINING_FILE, Training)
    if own is None:
        return None
    met = files.find("champion", CHAMPION_FILE, Champion)
    champion = f"{met.identity.name} v{met.identity.version}" if met and met.identity else ""
    theirs = met.computed_on if met else ()
    if not own.computed_on or not theirs:
        return Hardware(own.computed_on, champion, None)
    reasons = [why for ours in own.computed_on for other in theirs for why in ours.differences(other)]
    return Hardware(own.computed_on, champion, list(dict.fromkeys(reasons)))


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
