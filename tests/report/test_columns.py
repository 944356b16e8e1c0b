"""The part about columns, and the worst mistakes as rows and texts: complete, and safe whatever the values are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from pipeline.errors import DataError
from pipeline.graph import load_graph
from pipeline.records.columns import Columns, Distribution, Histogram
from pipeline.report import columns, mistakes, raw_values
from pipeline.report.flow import read_flow
from pipeline.report.flow_picture import picture_of
from pipeline.report.page import render
from pipeline.report.run_files import read_run_files
from pipeline.storage import shards
from pipeline.storage.record_files import read_record, write_record
from tests.evaluation.made_answers import MadeAnswers
from tests.report.finished_project import ROOT
from tests.report.reading import PageReader, rendered
from tests.report.table_project import FORMULA, LEFT_OUT, MARKUP, bodies, clean_rows, make_tables


@pytest.fixture(scope="module")
def tables(whole_project: Path, answers: MadeAnswers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(whole_project, tmp_path_factory.mktemp("tables") / "project")
    make_tables(root, answers)
    return root


@pytest.fixture(scope="module")
def page(tables: Path) -> bytes:
    return rendered(tables)


@pytest.fixture(scope="module")
def text(page: bytes) -> str:
    return PageReader(page).text


def shown(root: Path) -> dict[str, columns.ShownColumn]:
    found = columns.read_columns(read_run_files(root))
    assert found.value is not None, found.problem
    return {column.name: column for column in found.value}


def test_every_column_has_its_rows_and_what_is_missing(tables: Path, text: str) -> None:
    assert "cannot be shown" not in text
    found = shown(tables)
    assert [*found] == ["delay", "hour", "always", "carrier", *(f"more_{number}" for number in range(10)), "body"]
    assert (found["delay"].rows, found["delay"].missing) == ("400", "10 (2.5 %) missing")
    assert (found["hour"].missing, found["body"].missing) == ("none missing", "12 (0.32 %) without a term")


def test_numbers_have_a_histogram_with_what_lies_beyond(page: bytes, tables: Path) -> None:
    found = shown(tables)
    assert page.count(b'class="drawing histogram"') == sum(bool(column.histogram) for column in found.values()) == 13
    delay = found["delay"].histogram
    assert delay is not None
    assert delay.beyond == ("1 row of 90 min or more",)
    assert all(0 <= bar.x <= bar.x + bar.width <= delay.width and 0 <= bar.y <= delay.bottom for bar in delay.bars)
    assert dict(found["delay"].figures)["greatest"] == "1\u202f000\u202f000 min"


def test_each_whole_number_of_a_small_range_is_named_below_its_bar(tables: Path) -> None:
    hour = shown(tables)["hour"].histogram
    assert hour is not None
    assert [tick.text for tick in hour.ticks] == ["5", "9", "13", "17", "21"]
    assert hour.bars[0].title.startswith("5: ")


def test_a_constant_column_says_so(text: str) -> None:
    assert "always number 400 rows, none missing All are the same. least" in text.replace("number400", "number 400")


def test_categories_are_counted_and_the_longest_cut(tables: Path) -> None:
    carrier = shown(tables)["carrier"]
    assert carrier.texts_of == "8 categories"
    assert sum(one.rows for one in (*carrier.texts, *carrier.folded)) == 392
    assert max(len(one.text) for one in carrier.texts) == 60


def test_texts_have_lengths_and_the_commonest_terms_the_rest_folded(tables: Path, page: bytes) -> None:
    body = shown(tables)["body"]
    assert body.is_wide
    assert (len(body.texts), len(body.folded)) == (8, 22)
    assert b"<summary>22 more</summary>" in page


def test_a_number_as_target_has_its_histogram_first(tables: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tables, tmp_path / "project")
    path = root / "reports" / "columns.json"
    spread = Distribution(
        of="target", minimum=0.0, lower_quartile=1.0, median=1.5, upper_quartile=2.0, maximum=3.0, mean=1.5,
        histogram=Histogram(edges=(0.0, 2.0, 4.0), rows=(3, 1)),
    )  # fmt: skip
    write_record(path, read_record(path, Columns).changed(target=spread))

    recipe = yaml.safe_load((root / "params.yaml").read_bytes())
    recipe["task"] = {"name": "regression", "settings": {"unit": "min"}}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe))

    [target, *_] = shown(root).values()

    assert (target.name, target.kind, target.rows) == ("target", "", "")
    assert dict(target.figures)["mean"] == "1.5 min"
    assert target.histogram is not None
    assert [bar.height for bar in target.histogram.bars] == [96.0, 32.0]


def test_nothing_hostile_becomes_markup_and_nothing_unseen_stays(page: bytes, text: str) -> None:
    read = PageReader(page)
    assert "script" not in read.elements
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "img" not in read.elements
    for said in (FORMULA, MARKUP, "aU+200BbU+00A0cU+0007", "U+202EevilU+202C"):
        assert said in text
    assert not {*"\u202e\u202c\u200b\x07\r"} & {*page.decode()}
    assert "<bdi>" in page.decode()


def test_the_page_of_pictures_has_no_such_part_and_the_bytes_it_had(project: Path) -> None:
    without = render(project)
    write_record(project / "reports" / "columns.json", Columns())

    assert render(project) == without
    assert b"columns" not in without.partition(b"</header>")[0].partition(b"<nav")[2]


@pytest.mark.long
def test_of_a_table_whose_columns_were_not_learned_yet_that_is_said(tables: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tables, tmp_path / "project")
    (root / "reports" / "columns.json").unlink()
    assert "Nothing has been learned of the columns yet." in PageReader(rendered(root)).text

    recipe = yaml.safe_load((root / "params.yaml").read_bytes())
    recipe["data"]["features"] = {"delay": "no_such_kind"}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe))
    assert "The columns" not in PageReader(rendered(root)).text


def test_a_damaged_file_takes_its_part_alone(tables: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tables, tmp_path / "project")
    (root / "reports" / "columns.json").write_text("{")
    said = PageReader(rendered(root)).text
    assert "✗ cannot be shown: reports/columns.json" in said
    assert "The worst mistakes" in said


def test_each_mistake_has_the_raw_values_of_its_own_row(tables: Path, answers: MadeAnswers) -> None:
    errors = mistakes.read_errors(read_run_files(tables), 400).value
    assert errors is not None
    assert [column.name for column in errors.columns] == [*clean_rows(answers).column_names, "body"]
    assert [column.place for column in errors.columns] == ["beside"] * 12 + ["folded"] * 2 + ["below"]
    rows, texts = clean_rows(answers).to_pylist(), bodies(400)
    assert {one.row for one in errors.worst} > {row for row in range(150, 400) if one_is_wrong(answers, row)}
    for one in errors.worst:
        of = dict(zip([column.name for column in errors.columns], one.values, strict=True))
        hour, carrier, body = rows[one.row]["hour"], rows[one.row]["carrier"], texts[one.row]
        assert of["hour"].exact == repr(hour)
        assert of["carrier"].text + of["carrier"].folded == (carrier or "missing")
        assert of["body"].is_missing == (not body)
        if body:
            assert len(of["body"].text + of["body"].folded) + of["body"].left_out == len(body)
            assert body.startswith(of["body"].text + of["body"].folded)


def one_is_wrong(answers: MadeAnswers, row: int) -> bool:
    return int(answers.probabilities[row].argmax()) != answers.labels[row]


def test_a_long_text_is_folded_and_the_longest_cut(text: str, page: bytes) -> None:
    assert "and 9 400 characters more" in text
    assert len(page) < 2_000_000


def test_more_columns_than_fit_are_folded(text: str) -> None:
    assert text.count("2 more columns") == 24


def test_in_a_mixture_rows_have_their_picture_and_their_values(
    whole_project: Path, answers: MadeAnswers, tmp_path: Path
) -> None:
    root = shutil.copytree(whole_project, tmp_path / "project")
    make_tables(root, answers, with_images=True)

    page = rendered(root)

    assert page.count(b'<td><img src="data:image/png;base64,') == 24
    assert PageReader(page).text.count("2 more columns") == 24


def test_served_rows_of_another_order_are_told_and_the_mistakes_stay(
    tables: Path, answers: MadeAnswers, tmp_path: Path
) -> None:
    root = shutil.copytree(tables, tmp_path / "project")
    folder = root / "data" / "served" / "validation"
    rows = pa.concat_tables(shards.iter_tables(folder)).take(list(reversed(range(len(answers.labels)))))
    shutil.rmtree(folder)
    folder.mkdir()
    shards.finish_dataset(folder, [shards.write_shard(folder, 0, rows.schema, [rows])], rows.schema)

    found = mistakes.read_errors(read_run_files(root), 5).value

    assert found is not None
    assert (found.columns, len(found.worst)) == ((), 5)
    assert found.values_problem.endswith("is not the one that was evaluated; run again")
    assert f"✗ no values: {found.values_problem}" in PageReader(rendered(root)).text


def test_a_row_that_is_not_there_is_told(tables: Path) -> None:
    with pytest.raises(DataError, match="validation: has no row 400; run again"):
        raw_values.raw_values({400: "one too many"}, [], tables / "data" / "served" / "validation")


@pytest.mark.long
def test_a_page_of_tables_is_made_without_heavy_libraries(tables: Path) -> None:
    script = (
        "import sys, pathlib; from pipeline.report.page import render; render(pathlib.Path(sys.argv[1]));"
        "print([name for name in ('pandas', 'tensorflow', 'pyspark') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(tables)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_that_two_stages_reject_add_up_and_leave_the_parts_that_lost_them(tables: Path) -> None:
    flow = read_flow(tables, load_graph(ROOT).flow)
    steps = {step.name: step for step in flow.steps}
    normalize = steps["normalize"]
    assert (normalize.taken_in, normalize.kept, normalize.rejected) == (1200, 1194, 6)
    assert normalize.reasons == {"outlier": 6}
    assert all(step.adds_up is not False for step in flow.steps)
    assert flow.shares["rejected"] == 21 / 1215

    picture = picture_of(flow)
    assert picture is not None
    leaving = [band.title for band in picture.bands if band.kind == "rejected"]
    assert leaving == [
        "clean: 15 rows rejected",
        "normalize: 6 rows rejected, 5 of them train",
        "normalize: 6 rows rejected, 1 of them test",
    ]
    assert sum(LEFT_OUT.values()) == 6


def test_both_stages_rows_are_listed_by_their_files(text: str) -> None:
    assert text.count("Rejected rows by their files") == 1
    assert "In data/quarantine." in text
    assert "In data/left_out:" in text
    assert "outlier column delay 6 flights.csv: 100, 101, 102, 103, 104, 100" in text
    assert text.count("✓ add up") == 4
