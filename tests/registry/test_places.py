"""A registry that was moved or copied with its project. That MLflow itself finds the bytes too: tests/system."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain
from pipeline.recipe.execution import MLflowSettings
from pipeline.registry import places
from pipeline.registry.places import current, local_folder, writing
from pipeline.registry.reader import open_reader
from pipeline.registry.store import Store, resolve_store
from tests.killing import chosen, kill_at, points
from tests.registry.local_registry import LocalRegistry

ROOT = Path(__file__).parents[2]
COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "model_versions": "source",
    "model_versions ": "storage_location",
}


def artifacts(root: Path) -> Path:
    return root / "registry" / "artifacts"


def folder(root: Path, number: int) -> Path:
    """Return where a version's bytes are."""
    return artifacts(root) / "pets" / f"run-{number}" / "artifacts" / "model"


def write(root: Path, **locations: str) -> None:
    """Change where a location of each kind says it is."""
    for table, column in COLUMNS.items():
        if column in locations:
            with closing(sqlite3.connect(root / "registry" / "mlflow.db")) as connection, connection:
                connection.execute(f"UPDATE {table} SET {column} = ?", (locations[column],))


def locations(root: Path) -> list[str]:
    """Return every location that stands in the tables."""
    with closing(sqlite3.connect(root / "registry" / "mlflow.db")) as connection:
        return [
            value
            for table, column in COLUMNS.items()
            for (value,) in connection.execute(f"SELECT {column} FROM {table} ORDER BY rowid")
            if value is not None
        ]


def make(root: Path, versions: int = 2, *, is_of_before: bool = False) -> Path:
    """Make a project whose registry has versions with bytes; without the file that says where, if it is of before."""
    registry = LocalRegistry(root)
    for number in range(1, versions + 1):
        folder(root, number).mkdir(parents=True)
        registry.add(number, f"sha256:{number}", location=str(folder(root, number)))
    with closing(sqlite3.connect(registry.database)) as connection, connection:
        connection.executemany(
            "INSERT INTO experiments VALUES (?, ?)",
            [("Default", f"{artifacts(root)}/0"), ("pets", f"{artifacts(root)}/pets")],
        )
        connection.executemany(
            "INSERT INTO runs VALUES (?, ?)",
            [(f"run-{n}", str(folder(root, n).parent)) for n in range(1, versions + 1)],
        )
    if not is_of_before:
        with writing(registry.store):
            pass
    return root


def store(root: Path, **settings: str) -> Store:
    return resolve_store(root, MLflowSettings(**settings))


def location(root: Path, number: int = 1, **settings: str) -> str:
    """Return where a version's bytes are, as everybody asks who reads."""
    reader = open_reader(store(root, **settings))
    version = reader.version("pets", number)
    assert version is not None
    return reader.location(version)


def bring_up_to_date(root: Path, **settings: str) -> None:
    with writing(store(root, **settings)):
        pass


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two versions in its registry."""
    return make(tmp_path.resolve() / "project")


of_any_age = pytest.mark.parametrize("is_of_before", [False, True], ids=["with the file", "of before"])
odd_names = pytest.mark.parametrize("name", ["other", "with space", "100%41", "#1 [x] 'y', ü", "project/inside", "p"])


@odd_names
@of_any_age
def test_bytes_are_where_the_project_is(tmp_path: Path, name: str, is_of_before: bool) -> None:
    before = make(tmp_path.resolve() / "project", is_of_before=is_of_before)
    aside = before.rename(tmp_path.resolve() / "aside")
    now = tmp_path.resolve() / name
    now.parent.mkdir(exist_ok=True)
    aside.rename(now)
    stood = locations(now)
    assert local_folder(location(now, 2)) == folder(now, 2)
    assert locations(now) == stood  # reading writes nothing

    bring_up_to_date(now)
    assert [local_folder(found) for found in locations(now)] == [
        *(artifacts(now) / "0", artifacts(now) / "pets"),
        *(folder(now, number).parent for number in (1, 2)),
        *(folder(now, number) for number in (1, 2)),
    ]
    assert local_folder(location(now, 2)) == folder(now, 2)


@odd_names
def test_and_where_it_is_when_it_comes_from_a_folder_of_an_odd_name(tmp_path: Path, name: str) -> None:
    before = make(tmp_path.resolve() / "first" / name)
    now = before.rename(tmp_path.resolve() / "now")
    bring_up_to_date(now)
    assert local_folder(location(now)) == folder(now, 1)


def test_a_percent_sign_is_written_as_mlflow_reads_it(project: Path) -> None:
    now = project.rename(project.with_name("100%41"))
    bring_up_to_date(now)
    assert set(locations(now)) == {
        *(f"file://{quote(str(artifacts(now)))}/{name}" for name in ("0", "pets")),
        *(folder(now, number).as_uri() for number in (1, 2)),
        *(folder(now, number).parent.as_uri() for number in (1, 2)),
    }


@of_any_age
def test_a_copy_goes_its_own_way_and_leaves_the_original_as_it_is(tmp_path: Path, is_of_before: bool) -> None:
    original = make(tmp_path.resolve() / "project", is_of_before=is_of_before)
    copy = tmp_path.resolve() / "copy"
    shutil.copytree(original, copy)
    stood = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}
    assert local_folder(location(copy)) == folder(copy, 1)
    bring_up_to_date(copy)
    assert not [found for found in locations(copy) if str(original) + "/" in found]
    assert {path: path.read_bytes() for path in original.rglob("*") if path.is_file()} == stood


def test_it_can_move_as_often_as_it_likes_and_back(project: Path) -> None:
    stood, now = locations(project), project
    for name in ("a", "b", "a/b", "a", "project"):
        target = project.with_name("aside")
        now.rename(target)
        now = project.parent / name
        now.parent.mkdir(exist_ok=True)
        if now.exists():
            now.rmdir()
        target.rename(now)
        bring_up_to_date(now)
        assert local_folder(location(now)) == folder(now, 1)
    assert locations(now) == stood


def test_locations_in_the_form_of_uris_move_too(project: Path) -> None:
    write(project, source=folder(project, 1).as_uri(), artifact_uri=folder(project, 1).parent.as_uri())
    now = project.rename(project.with_name("with space"))
    assert location(now) == folder(now, 1).as_uri()
    bring_up_to_date(now)
    assert folder(now, 1).as_uri() in locations(now)


def test_a_place_outside_the_project_stays(project: Path) -> None:
    chosen = ["/big/disk/pets/run-1/artifacts/model", f"{project}-2/x", "s3://bucket/x", "models:/m-1"]
    for place in chosen:
        write(project, source=place)
        now = project.rename(project.with_name("now"))
        assert location(now) == place
        bring_up_to_date(now)
        assert location(now) == place
        now.rename(project)
        bring_up_to_date(project)


def test_who_has_chosen_another_place_for_new_bytes_keeps_the_old_ones_where_they_are(project: Path) -> None:
    stood = locations(project)
    for place in ("/big/disk", "elsewhere/artifacts"):
        bring_up_to_date(project, artifacts=place)
        assert location(project, artifacts=place) == str(folder(project, 1))
        assert locations(project) == stood
    now = project.rename(project.with_name("now"))  # and then the project moves
    assert location(now, artifacts="/big/disk") == str(folder(now, 1))


def test_a_place_that_the_settings_name_by_its_whole_path_is_not_exchanged(project: Path) -> None:
    now = project.rename(project.with_name("now"))
    chosen = {"artifacts": str(artifacts(project))}
    assert location(now, **chosen) == str(folder(project, 1))
    bring_up_to_date(now, **chosen)
    assert str(artifacts(project) / "pets") in locations(now)


def test_a_registry_outside_the_project_does_not_move_with_it(tmp_path: Path) -> None:
    shared = make(tmp_path.resolve() / "shared", is_of_before=True)
    (tmp_path / "project").mkdir()
    stood = locations(shared)
    bring_up_to_date(tmp_path / "project", uri=f"sqlite:///{shared}/registry/mlflow.db")
    assert locations(shared) == stood
    assert not list(shared.rglob("*.ratchet.home"))


def test_a_registry_that_projects_share_has_each_ones_bytes_where_they_are(tmp_path: Path) -> None:
    """One beside the projects, named from each of them; each has its own bytes inside."""
    top = tmp_path.resolve()
    shared = make(top / "shared")
    (top / "a").mkdir()
    (top / "b").mkdir()
    write(shared, source=str(folder(top / "a", 1)))
    stood = locations(shared)
    settings = {"uri": "sqlite:///../shared/registry/mlflow.db"}
    for project in ("b", "a", "b"):
        bring_up_to_date(top / project, **settings)
        assert locations(shared) == stood
        assert location(top / project, **settings) == str(folder(top / "a", 1))


def test_a_registry_that_projects_share_by_links_has_its_bytes_for_all(tmp_path: Path) -> None:
    top = tmp_path.resolve()
    first = make(top / "a")
    (first / "registry").rename(top / "shared")
    (top / "b").mkdir()
    for project in ("a", "b"):
        (top / project / "registry").symlink_to(top / "shared")
    for project in ("b", "a", "b"):
        assert local_folder(location(top / project)) == folder(top / project, 1)
        bring_up_to_date(top / project)
    for project in ("a", "b"):
        assert Path(location(top / project)).is_dir()


def no_bytes(root: Path, _: Path) -> None:
    shutil.rmtree(artifacts(root))


def two_places(root: Path, before: Path) -> None:
    with closing(sqlite3.connect(root / "registry" / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = '/x' || artifact_location WHERE name = 'pets'")


def another_place_inside(root: Path, before: Path) -> None:
    write(root, artifact_location=f"{before}/elsewhere/pets")


@pytest.mark.parametrize("ambiguous", [no_bytes, two_places, another_place_inside])
def test_where_a_registry_of_before_was_is_guessed_only_if_it_is_certain(tmp_path: Path, ambiguous: object) -> None:
    before = make(tmp_path.resolve() / "project", is_of_before=True)
    now = before.rename(tmp_path.resolve() / "now")
    assert callable(ambiguous)
    ambiguous(now, before)
    stood = locations(now)
    assert location(now) == str(folder(before, 1))
    bring_up_to_date(now)
    assert locations(now) == stood


def test_a_version_whose_bytes_were_deleted_does_not_keep_the_others_from_moving(tmp_path: Path) -> None:
    before = make(tmp_path.resolve() / "project", is_of_before=True)
    now = before.rename(tmp_path.resolve() / "now")
    shutil.rmtree(folder(now, 1))
    assert location(now, 2) == str(folder(now, 2))


def test_a_registry_without_versions_moves_too(tmp_path: Path) -> None:
    now = make(tmp_path.resolve() / "project", versions=0, is_of_before=True).rename(tmp_path.resolve() / "now")
    bring_up_to_date(now)
    assert locations(now) == [f"{artifacts(now)}/0", f"{artifacts(now)}/pets"]


def test_one_without_versions_whose_bytes_went_elsewhere_is_left_alone(tmp_path: Path) -> None:
    before = make(tmp_path.resolve() / "project", versions=0, is_of_before=True)
    now = before.rename(tmp_path.resolve() / "now")
    another_place_inside(now, before)
    stood = locations(now)
    bring_up_to_date(now)
    assert locations(now) == stood


def test_models_that_mlflow_has_logged_move_too(project: Path) -> None:
    """Ratchet logs none; a person may have."""
    with closing(sqlite3.connect(project / "registry" / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE logged_models (artifact_location TEXT)")
        connection.execute("INSERT INTO logged_models VALUES (?)", (f"{artifacts(project)}/pets/models/m-1/artifacts",))
    now = project.rename(project.with_name("now"))
    bring_up_to_date(now)
    with closing(sqlite3.connect(now / "registry" / "mlflow.db")) as connection:
        moved = connection.execute("SELECT artifact_location FROM logged_models").fetchone()
    assert moved == (f"{artifacts(now)}/pets/models/m-1/artifacts",)


@pytest.mark.parametrize("settings", [{}, {"artifacts": "elsewhere"}], ids=["as it was", "elsewhere by now"])
def test_a_move_into_the_old_folder_is_made_once_though_killed(tmp_path: Path, settings: dict[str, str]) -> None:
    old = tmp_path.resolve() / "project"
    aside = make(old).rename(tmp_path.resolve() / "aside")
    old.mkdir()
    now = aside.rename(old / "inside")
    bring_up_to_date(now, **settings)
    stood = locations(now)
    (now / "registry" / "mlflow.db.ratchet.home").write_bytes(os.fsencode(old))  # killed before the file
    assert location(now, **settings) == str(folder(now, 1))
    bring_up_to_date(now, **settings)
    assert locations(now) == stood


def test_a_registry_that_does_not_exist_yet_is_made_where_it_will_be(tmp_path: Path) -> None:
    bring_up_to_date(tmp_path)
    assert not (tmp_path / "registry" / "mlflow.db").exists()
    assert current(store(tmp_path), "/x") == "/x"
    make_tables = LocalRegistry(tmp_path / "other")
    make_tables.database.rename(tmp_path / "registry" / "mlflow.db")
    assert current(store(tmp_path), "/x") == "/x"


def test_tables_that_mlflow_does_not_have_in_this_version_are_left_alone(project: Path) -> None:
    with closing(sqlite3.connect(project / "registry" / "mlflow.db")) as connection:
        connection.executescript("DROP TABLE runs; ALTER TABLE experiments DROP COLUMN artifact_location")
    now = project.rename(project.with_name("now"))
    bring_up_to_date(now)
    with closing(sqlite3.connect(now / "registry" / "mlflow.db")) as connection:
        assert connection.execute("SELECT source FROM model_versions").fetchone() == (str(folder(now, 1)),)


@pytest.fixture
def moved(project: Path) -> Path:
    """The project, moved and not brought up to date."""
    return project.rename(project.with_name("now"))


@pytest.mark.parametrize("content", [b"", b"relative", b"\xff"])
def test_a_damaged_file_is_named(moved: Path, content: bytes) -> None:
    (moved / "registry" / "mlflow.db.ratchet.home").write_bytes(content)
    with pytest.raises(DataError, match=r"mlflow\.db\.ratchet\.home names no folder"):
        location(moved)


def test_a_database_that_is_none_is_named(moved: Path) -> None:
    (moved / "registry" / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="is not a database of MLflow"):
        bring_up_to_date(moved)


def test_a_database_that_cannot_be_written_is_named(moved: Path) -> None:
    with closing(sqlite3.connect(moved / "registry" / "mlflow.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'a readonly database'); END"
        )
    with pytest.raises(RatchetError, match="a readonly database"):
        bring_up_to_date(moved)


def test_a_database_that_another_process_writes_asks_to_try_again(moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.registry.places._BUSY_TIMEOUT_S", 0.01)
    with closing(sqlite3.connect(moved / "registry" / "mlflow.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryAgain, match="run again"):
            bring_up_to_date(moved)


def kill_between_tables(root: Path, point: int) -> int:
    """Let a child process bring the registry up to date, killed before it looks at its table of that ordinal.

    Return how it ended: killed, or with the number of tables that it has looked at.
    """
    pid = os.fork()
    if pid == 0:
        looked = itertools.count()
        has = places._has

        def counted(*given: Any) -> Any:
            if next(looked) == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return has(*given)

        places._has = counted
        try:
            bring_up_to_date(root)
        finally:
            os._exit(next(looked))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_kill_while_the_tables_change_leaves_all_as_they_were_and_the_next_write_ends_the_work(moved: Path) -> None:
    """Before the first of them and between any two."""
    kept = moved.with_name("kept")
    moved.rename(kept)
    point, end = 0, -signal.SIGKILL
    while end == -signal.SIGKILL:
        shutil.copytree(kept, moved)
        end = kill_between_tables(moved, point)
        assert [location(moved, number) for number in (1, 2)] == [str(folder(moved, number)) for number in (1, 2)]
        if end == -signal.SIGKILL:
            point += 1
            assert not [found for found in locations(moved) if found.startswith(f"{moved}/")]
        bring_up_to_date(moved)
        assert all(found.startswith(str(moved)) for found in locations(moved))
        assert [location(moved, number) for number in (1, 2)] == [str(folder(moved, number)) for number in (1, 2)]
        shutil.rmtree(moved)
    assert point == end == len(COLUMNS) + 1  # and a table that is not there


@pytest.mark.long
def test_a_kill_at_any_change_of_the_file_system_is_made_good_by_the_next_write(project: Path, tmp_path: Path) -> None:
    """Between the tables and the file that says where the project is, too."""
    now, kept = project.with_name("now"), project.rename(project.with_name("kept"))

    def act() -> None:
        bring_up_to_date(now)

    shutil.copytree(kept, now)
    found = points(act, tmp_path / "points")
    assert any(place.endswith("os.rename") for place in found)
    for _, point in chosen(found):
        shutil.rmtree(now)
        shutil.copytree(kept, now)
        kill_at(act, point)
        assert [location(now, number) for number in (1, 2)] == [str(folder(now, number)) for number in (1, 2)]
        act()
        assert all(place.startswith(f"{now}/") for place in locations(now))
        assert (now / "registry" / "mlflow.db.ratchet.home").read_bytes() == os.fsencode(now)
        stood = locations(now)
        act()
        assert locations(now) == stood


names = st.sampled_from(["a", "b", "ab", "a b", "%41", "#"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=paths, now=paths)
def test_what_is_read_is_what_will_be_written_and_a_second_time_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, before: str, now: str
) -> None:
    top = tmp_path_factory.mktemp("any").resolve()
    made = make(top / before)
    made.rename(top / "aside")
    (top / now).parent.mkdir(parents=True, exist_ok=True)
    if (top / now).exists():  # a folder above the one before, and empty now
        shutil.rmtree(top / now)
    moved = (top / "aside").rename(top / now)
    read = location(moved)
    assert local_folder(read) == folder(moved, 1)
    bring_up_to_date(moved)
    assert location(moved) == read
    (moved / "registry" / "mlflow.db.ratchet.home").write_bytes(os.fsencode(top / before))  # killed before the file
    assert location(moved) == read
    stood = locations(moved)
    bring_up_to_date(moved)
    assert locations(moved) == stood
    shutil.rmtree(top)
