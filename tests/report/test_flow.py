"""Rows through the stages: whatever is lost on the way is marked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.graph import load_graph, parse_graph
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.report import flow as flows
from pipeline.report.flow import Flow, StageFlow
from pipeline.storage.manifests import read_manifest, write_manifest

ROOT = Path(__file__).parents[2]


def read_flow(root: Path) -> Flow:
    return flows.read_flow(root, load_graph(ROOT).flow)


def test_every_stage_of_a_whole_run_has_its_rows(whole_project: Path) -> None:
    steps = read_flow(whole_project).steps

    assert [(step.name, step.taken_in, step.kept, step.rejected) for step in steps] == [
        ("ingest", None, 1215, 0),
        ("clean", 1215, 1200, 15),
        ("split", 1200, 1200, 0),
        ("normalize", 1200, 1200, 0),
        ("augment", None, 400, 0),
        ("evaluate", 1200, 1200, 0),
    ]


def test_rejected_rows_have_their_reasons_and_kept_ones_their_parts(whole_project: Path) -> None:
    _, clean, split, normalize, _, evaluate = read_flow(whole_project).steps

    assert clean.reasons == {"exact duplicate": 12, "label outside the declared classes": 3}
    assert split.parts == normalize.parts == evaluate.parts == {"train": 400, "validation": 400, "test": 400}


def test_the_rows_that_the_test_part_has_lost_have_their_reasons(whole_project: Path) -> None:
    steps = read_flow(whole_project).steps

    assert [dict(step.lost) for step in steps] == [{}, {}, {"label outside the declared classes": 2}, {}, {}, {}]


def test_rows_held_back_are_counted_beside_the_rejected(project: Path) -> None:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    clean = declared["stages"]["clean"]
    clean["outs"].append("data/unlabelled")
    clean["meta"]["rows"]["held"] = "data/unlabelled"
    entry = FileEntry(path="part-00000.parquet", rows=7, size_bytes=1, digest="sha256:0")
    write_manifest(project / "data" / "unlabelled", Manifest(rows=7, files=(entry,), columns={"id": "string"}))
    graph = parse_graph(declared, yaml.safe_load((ROOT / "params.yaml").read_text()))

    flow = flows.read_flow(project, graph.flow)

    assert (flow.steps[1].held, flow.steps[1].adds_up) == (7, False)
    assert flow.shares["held back"] == 7 / 1222


def test_shares_are_of_all_source_rows(whole_project: Path) -> None:
    parts = dict.fromkeys(("train", "validation", "test"), 400 / 1215)
    assert read_flow(whole_project).shares == {**parts, "rejected": 15 / 1215}


@pytest.mark.parametrize(
    ("taken_in", "kept", "rejected", "adds_up"),
    [
        (10, 7, 3, True),
        (10, 7, 2, False),
        (10, 7, 4, False),
        (None, 7, 0, None),
        (10, None, 0, None),
        (10, 7, None, None),
    ],
)
def test_rows_add_up_or_not_and_nothing_is_said_of_what_is_not_there(
    taken_in: int | None, kept: int | None, rejected: int | None, adds_up: bool | None
) -> None:
    assert StageFlow("clean", taken_in, kept, rejected).adds_up is adds_up


def test_without_data_there_are_stages_without_rows(tmp_path: Path) -> None:
    flow = read_flow(tmp_path)

    assert {step.kept for step in flow.steps} == {None}
    assert (dict(flow.shares), flow.problems) == ({}, ())


def test_a_manifest_that_cannot_be_used_is_a_problem_named_from_the_root(project: Path) -> None:
    (project / "data" / "clean" / "manifest.json").write_text("{")
    flow = read_flow(project)

    assert flow.problems[0].startswith("data/clean/manifest.json: not valid JSON")
    assert flow.steps[0].kept == 1215
    assert flow.steps[1].adds_up is None


def test_rejected_rows_that_cannot_be_counted_leave_open_whether_rows_add_up(project: Path) -> None:
    (project / "data" / "quarantine" / "manifest.json").write_text("{")

    assert read_flow(project).steps[1].adds_up is None


def test_the_proof_is_claimed_only_where_it_was_made(project: Path) -> None:
    split = project / "data" / "split"
    assert read_flow(project).steps[2].note == "no id and no content is in two parts"

    write_manifest(split, without_proof(read_manifest(split, verify=False)))

    assert read_flow(project).steps[2].note == ""


def without_proof(manifest: Manifest) -> Manifest:
    return manifest.changed(counts={key: value for key, value in manifest.counts.items() if key != "proof"})


def test_counts_that_are_no_counts_are_not_shown(project: Path) -> None:
    quarantine = project / "data" / "quarantine"
    manifest = read_manifest(quarantine, verify=False)
    write_manifest(quarantine, manifest.changed(counts={"rejected": {"a": "many", "b": 0, "c": 4}}))

    assert read_flow(project).steps[1].reasons == {"c": 4}
