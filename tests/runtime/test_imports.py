"""What a stage's processes import is seen, in whichever of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.imports import IMPORTS_VARIABLE, collect_imports, imported_modules

ROOT = Path(__file__).parents[2]
BEFORE = "import pipeline.records.digests\nfrom pipeline.runtime.imports import report_imports\nreport_imports()\n"
SECRET = "import pipeline.secret\n"
FORK = """
import os
child = os.fork()
if child == 0:
    import pipeline.secret
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that processes are to report to, as a stage names it."""
    monkeypatch.setenv(IMPORTS_VARIABLE, "")  # to be put back as it was
    collect_imports(tmp_path / "imports" / "train.txt")
    return tmp_path / "imports" / "train.txt"


def run(tmp_path: Path, code: str) -> None:
    """Run code in a process that finds `pipeline.secret`: nobody else imports it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "secret.py").touch()
    begin = f"import pipeline\npipeline.__path__.append({str(tmp_path / 'more')!r})\n"
    subprocess.run([sys.executable, "-c", begin + code], cwd=ROOT, check=True)


def test_what_this_process_has_imported_is_seen(tmp_path: Path) -> None:
    assert "pipeline.runtime.imports" in imported_modules(tmp_path / "none.txt")


def test_only_modules_of_this_package_are_seen(tmp_path: Path) -> None:
    assert {name.partition(".")[0] for name in imported_modules(tmp_path / "none.txt")} == {"pipeline"}


def test_what_a_process_imports_after_its_report_is_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, BEFORE + SECRET)
    assert "pipeline.secret" in imported_modules(reported)


def test_what_a_process_has_imported_before_its_report_is_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, SECRET + BEFORE)
    assert "pipeline.secret" in imported_modules(reported)


def test_what_a_forked_process_imports_is_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, BEFORE + FORK)
    assert "pipeline.secret" in imported_modules(reported)


def test_what_a_process_imports_after_it_has_dropped_its_caches_is_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, BEFORE + "import importlib\nimportlib.invalidate_caches()\n" + SECRET)  # as Spark's workers do
    assert "pipeline.secret" in imported_modules(reported)


def test_what_two_processes_import_is_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, BEFORE + SECRET)
    subprocess.run([sys.executable, "-c", BEFORE], cwd=ROOT, check=True)
    assert {"pipeline.secret", "pipeline.records.digests"} <= set(reported.read_text().split())


def test_only_modules_of_this_package_are_reported(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, BEFORE + "import wave\n")
    assert {name.partition(".")[0] for name in reported.read_text().split()} == {"pipeline"}


def test_a_process_that_reports_nothing_is_not_seen(tmp_path: Path, reported: Path) -> None:
    run(tmp_path, SECRET)
    assert "pipeline.secret" not in imported_modules(reported)


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_nothing_is_reported_where_no_stage_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(IMPORTS_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(IMPORTS_VARIABLE, value)
    finders = "import sys; finders = list(sys.meta_path)\n"
    run(tmp_path, finders + BEFORE + SECRET + "assert sys.meta_path == finders\n")


def test_a_stage_begins_with_an_empty_report(reported: Path) -> None:
    reported.write_text("pipeline.of_an_earlier_run\n")
    collect_imports(reported)
    assert "pipeline.of_an_earlier_run" not in imported_modules(reported)


def test_the_processes_of_a_stage_know_where_to_report(reported: Path) -> None:
    assert os.environ[IMPORTS_VARIABLE] == str(reported)
