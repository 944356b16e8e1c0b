"""A scoring that may be ended at any time: what is finished stays, and nothing half-written is published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, TryAgain, UsageError
from pipeline.records.scored_shard import ScoredShard, ScoringJob
from pipeline.scoring import job as jobs
from pipeline.scoring.accounting import account
from pipeline.scoring.job import Aside, ShardToScore, begin, digest_of_rows, find_done, find_published, held, publish
from pipeline.storage.manifests import read_manifest
from tests.scoring.given import model, own, probabilities, raw

JOB = ScoringJob(input="new", model="ages v3", decides="sha256:0d")
MODEL = model()
OWN = own(MODEL)
SHARDS = [
    raw(MODEL, [{"id": f"{number}-{row}", "age": age, "place": "a"} for row, age in enumerate(ages)])
    for number, ages in enumerate((["1", "x"], ["2", "60"], ["y"], ["99"], ["3"], ["4"]))
]


class Killed(BaseException):
    """What ends a process."""


@pytest.fixture(autouse=True)
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Score in this process, by a model that is not loaded; return the numbers of the shards that are scored."""
    numbers: list[int] = []

    def run_tasks(
        _session: Any, work: Callable[[Any], Any], tasks: Sequence[tuple[Any, int]], _: Any, *, at_once: int
    ) -> list[Any]:
        assert at_once == 1
        results = []
        for task, _rows in tasks:
            results.append(work(task))
            numbers.append(task.number)
        return results

    monkeypatch.setattr(jobs, "run_tasks", run_tasks)
    monkeypatch.setattr(jobs, "_SLOT_S", 0.0)  # each shard is sent as soon as it is read, however fast this machine is
    monkeypatch.setattr(jobs, "answering", lambda _: probabilities)
    return numbers


SESSION: Any = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=1, cancelAllJobs=lambda: None))


def score(output: Path, shards: Iterator[pa.Table] | None = None, job: ScoringJob = JOB) -> list[ScoredShard]:
    with held(output) as aside:
        begin(aside, job)
        found = jobs.score_shards(SESSION, aside, SHARDS if shards is None else shards, MODEL, OWN, lambda _: None)
        told = account(found, sum(shard.rows for shard in found), MODEL.classes)
        publish(aside, output, found, MODEL, OWN, told, job)
    return found


def killed_after(count: int) -> Iterator[pa.Table]:
    """Yield some shards; then the process is killed."""
    yield from SHARDS[:count]
    raise Killed


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def whole(tmp_path: Path, scored: list[int]) -> Path:
    """An output that nothing has interrupted."""
    score(tmp_path / "whole")
    scored.clear()
    return tmp_path / "whole"


def test_an_output_has_its_answers_its_rejected_rows_and_a_manifest_of_each(whole: Path) -> None:
    manifest, rejected = read_manifest(whole), read_manifest(whole / jobs.REJECTED)
    assert (manifest.rows, rejected.rows) == (6, 2)
    counts = manifest.counts
    assert (counts["in"], counts["scored"], counts["rejected"]) == (8, 6, 2)
    assert counts["predictions"] == {"no": 4, "yes": 2}
    assert rejected.counts == {"rejected": counts["reasons"]}
    assert counts["model"]["digest"] == "sha256:0a"
    ids = pq.read_table([whole / entry.path for entry in manifest.files])["id"].to_pylist()
    assert ids == ["0-0", "1-0", "1-1", "3-0", "4-0", "5-0"]
    assert [entry.path for entry in rejected.files] == ["part-00000.parquet", "part-00002.parquet"]
    assert {path.name for path in whole.parent.iterdir()} == {"whole"}


@pytest.mark.long
@pytest.mark.parametrize("count", range(7))
def test_whenever_it_is_killed_it_goes_on_and_leaves_the_same_bytes(
    tmp_path: Path, whole: Path, scored: list[int], count: int
) -> None:
    output = tmp_path / "output"
    with pytest.raises(Killed):
        score(output, killed_after(count))
    assert not output.exists()
    before = [*scored]
    score(output)
    assert sorted(scored) == list(range(6))  # none twice
    assert scored[: len(before)] == before
    assert content(output) == content(whole)
    assert not Aside.of(output).folder.exists()


def test_a_shard_whose_file_was_cut_off_is_scored_again(tmp_path: Path, whole: Path, scored: list[int]) -> None:
    output = tmp_path / "output"
    with pytest.raises(Killed):
        score(output, killed_after(6))
    path = Aside.of(output).output / "part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    done = [*scored]
    score(output)
    assert scored[len(done) :].count(1) == 1
    assert content(output) == content(whole)


def test_what_is_said_of_a_shard_and_is_no_record_is_not_believed(
    tmp_path: Path, whole: Path, scored: list[int]
) -> None:
    output = tmp_path / "output"
    with pytest.raises(Killed):
        score(output, killed_after(6))
    Aside.of(output).done(0).write_text("{")
    score(output)
    assert scored.count(0) == 2
    assert content(output) == content(whole)


def test_rows_that_have_changed_meanwhile_are_scored_again_and_those_that_went_are_gone(
    tmp_path: Path, scored: list[int]
) -> None:
    output = tmp_path / "output"
    with pytest.raises(Killed):
        score(output, killed_after(6))
    changed = [SHARDS[0], raw(MODEL, [{"id": "new", "age": "5", "place": "b"}])]
    score(output, iter(changed))
    assert scored.count(0) == 1
    assert scored.count(1) == 2
    assert read_manifest(output).rows == 2
    assert {path.name for path in output.iterdir()} == {
        "manifest.json", "part-00000.parquet", "part-00001.parquet", "rejected"
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"age": "2"},
        {"place": "b"},
        {"source": "other.csv"},
        {"row": 9},
        {"problem": "empty"},
        {"detail": "why"},
        {"id": "i"},
    ],
    ids=str,
)
def test_rows_are_told_apart_by_whatever_is_written_of_them(change: dict[str, Any]) -> None:
    row = {"age": "1", "place": "a"}
    assert digest_of_rows(raw(MODEL, [row])) != digest_of_rows(raw(MODEL, [{**row, **change}]))


def test_a_text_that_is_moved_to_the_next_column_or_row_makes_other_rows() -> None:
    def of(*rows: dict[str, Any]) -> str:
        return digest_of_rows(raw(MODEL, [{"age": "1", "place": "a", **row} for row in rows]))

    assert of({"problem": "ab"}) != of({"detail": "ab"})
    assert of({"problem": "ab", "detail": "c"}) != of({"problem": "a", "detail": "bc"})
    assert of({"id": "ab"}, {"id": "c"}) != of({"id": "a"}, {"id": "bc"})
    assert of({"detail": "x"}, {}) != of({}, {"detail": "x"})
    assert of({"detail": ""}) != of({"detail": None})
    assert of({"row": None}) != of({"row": 0})


@pytest.mark.long
@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.none() | st.text(max_size=3), st.none() | st.integers(0, 3)), max_size=6
    ),
    st.lists(
        st.tuples(st.text(max_size=3), st.none() | st.text(max_size=3), st.none() | st.integers(0, 3)), max_size=6
    ),
    st.integers(0, 6),
)
def test_equal_rows_have_one_digest_however_they_lie_in_memory_and_others_another(
    one: list[tuple[Any, ...]], other: list[tuple[Any, ...]], cut: int
) -> None:
    def table(rows: list[tuple[Any, ...]]) -> pa.Table:
        return raw(MODEL, [dict(zip(("id", "detail", "row"), row, strict=True)) for row in rows])

    whole = table([*other, *one]).slice(len(other))
    pieces = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    assert digest_of_rows(pieces) == digest_of_rows(table(one))
    assert (digest_of_rows(table(other)) == digest_of_rows(table(one))) == (other == one)


def test_a_raw_shard_that_was_damaged_is_not_scored(tmp_path: Path) -> None:
    aside = Aside(tmp_path / "aside")
    begin(aside, JOB)
    jobs.write_passing_shard(aside.raw, 1, SHARDS[1])
    path = aside.raw / "part-00001.parquet"
    content = path.read_bytes()
    at = content.index(b"1-0")  # an id, which no digest of the content tells
    path.write_bytes(content[:at] + b"9" + content[at + 1 :])
    with pytest.raises(DataError, match="damaged"):
        jobs.score_shard(ShardToScore(1, digest_of_rows(SHARDS[1])), aside, MODEL, OWN)
    assert not aside.done(1).exists()


def test_shards_that_take_little_time_are_sent_several_at_once() -> None:
    expected = {0.0: 16, 0.1: 16, 1.0: 8, 5.0: 1, 100.0: 1}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jobs, "_SLOT_S", 8.0)
        assert {shard_s: jobs.shards_per_slot(shard_s) for shard_s in expected} == expected


def test_what_another_job_has_left_is_not_used(tmp_path: Path, scored: list[int]) -> None:
    output = tmp_path / "output"
    with pytest.raises(Killed):
        score(output, killed_after(6))
    score(output, job=JOB.changed(decides="sha256:0f"))
    assert [scored.count(number) for number in range(4)] == [2] * 4


def test_two_processes_do_not_score_to_one_output(tmp_path: Path) -> None:
    with held(tmp_path / "output"), pytest.raises(TryAgain, match="another process"), held(tmp_path / "output"):
        pass


def test_a_scoring_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError), held(tmp_path / "output"):
        raise UsageError("wrong model")
    assert [*tmp_path.iterdir()] == []


def test_an_output_of_the_same_job_is_found(whole: Path) -> None:
    found = find_published(whole, JOB)
    assert found
    jobs.require_same_rows(whole, found, SHARDS)
    with pytest.raises(UsageError, match="the input has changed"):
        jobs.require_same_rows(whole, found, SHARDS[:-1])


def test_an_output_that_is_not_there_or_empty_is_none(tmp_path: Path) -> None:
    assert find_published(tmp_path / "nowhere", JOB) is None
    assert find_published(tmp_path, JOB) is None


def test_nothing_is_written_over(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(UsageError, match="holds scores by ages v3, or read otherwise; name another folder"):
        find_published(whole, JOB.changed(decides="sha256:0f"))
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="holds something that is no scores"):
            find_published(path, JOB)


def test_an_output_that_was_damaged_is_not_believed(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    (whole / manifest["files"][0]["path"]).write_bytes(b"")
    with pytest.raises(DataError, match="do not match the digest"):
        find_published(whole, JOB)


def test_a_shard_without_any_answer_has_no_file_and_is_done(tmp_path: Path) -> None:
    aside = Aside(tmp_path / "aside")
    begin(aside, JOB)
    task = ShardToScore(2, digest_of_rows(SHARDS[2]))
    jobs.write_passing_shard(aside.raw, 2, SHARDS[2])
    result = jobs.score_shard(task, aside, MODEL, OWN)
    assert (result.scored, result.rows) == (None, 1)
    assert find_done(aside, task) == result
    shutil.rmtree(aside.rejected)
    assert find_done(aside, task) is None
