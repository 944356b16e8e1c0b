"""Judging and registering: what becomes champion, what is refused, and what changes nothing."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline.errors import DataError, TryAgain
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.registry import by_hand, ledger
from pipeline.registry.reader import open_reader
from pipeline.registry.versions import JUDGED_BY
from pipeline.storage.record_files import read_record
from tests.system.prepared import write_images
from tests.system.registry.shapes import CLASSES, NAME


def test_the_first_model_is_promoted_and_a_second_run_changes_nothing(workspace):
    workspace.judge("first")
    workspace.run("register")
    first = workspace.json("reports/registration.json")
    assert first["outcome"] == "promoted"
    assert first["champion"] == {"name": NAME, "version": 1, "digest": workspace.zoo.digest("first")}
    assert read_record(workspace.root / "models" / "champion" / CHAMPION_FILE, Champion).identity is None
    tracked = [workspace.root / path for path in ("models/champion/champion.json", "reports/verdict.json")]
    bytes_before = [path.read_bytes() for path in tracked]
    versions_before = [version.to_json() for version in workspace.versions()]

    workspace.judge("first")
    workspace.run("register")
    second = workspace.json("reports/registration.json")
    assert second["outcome"] == "kept"
    assert [path.read_bytes() for path in tracked] == bytes_before
    assert [version.to_json() for version in workspace.versions()] == versions_before
    assert str(workspace.root.parent) not in json.dumps([*versions_before, first, second])
    assert str(workspace.root.parent) not in "".join(map(str, bytes_before))


def test_a_version_says_where_it_comes_from(workspace):
    workspace.publish("first")
    [version] = workspace.versions()
    told = version.to_json()
    assert told["metrics"]["accuracy"] == workspace.json("reports/metrics.json")["test"]["accuracy"]
    assert set(told["lineage"]) == {
        "computed_on", "data_digest", "device", "dvc_lock_digest", "git_commit", "git_dirty", "recipe_digest",
        "requirements_digest",
    }  # fmt: skip
    assert told["lineage"]["data_digest"].startswith("sha256:")
    assert [event["event"] for event in told["history"]] == ["registered", "promoted"]
    card = by_hand.card(workspace.store, NAME, "champion")
    assert card.to_json() == workspace.json("reports/card/model_card.json")
    assert card.version == 1
    facts = {name: text for part in card.parts for name, text in part.facts.items()}
    assert facts["digest"] == workspace.zoo.digest("first")
    assert facts["recipe"] == told["lineage"]["recipe_digest"]


def test_a_candidate_that_is_too_large_for_this_machine_is_held_until_it_is_not(workspace):
    bounded(workspace, max_size_mib=0.001)
    held = workspace.publish("first")
    assert held["outcome"] == "held"
    assert "may be on this machine (export in execution.yaml); there is no champion" in held["sentence"]
    measured = workspace.json("reports/exports.json")
    [form] = measured["formats"]
    assert [speed["rows"] for speed in form["speeds"]] == [1, 64]
    [version] = workspace.versions()
    assert (version.outcome, version.aliases) == ("promote", ())
    assert version.to_json()["exports"]["saved_model.size_bytes"] == form["size_bytes"]

    bounded(workspace, max_size_mib=100.0)
    workspace.run("register")
    assert workspace.json("reports/registration.json")["outcome"] == "promoted"
    assert workspace.json("reports/exports.json") == {**measured, "beyond": ""}  # measured once
    assert [(version.version, version.is_champion) for version in workspace.versions()] == [(1, True)]


def bounded(workspace, **bounds):
    """Have the SavedModel measured and held to bounds."""
    path = workspace.root / "execution.yaml"
    values = yaml.safe_load(path.read_text()) | {"export": {"formats": ["saved_model"], **bounds}}
    path.write_text(yaml.safe_dump(values))


def test_a_candidate_worse_than_the_champion_is_refused_recorded_and_moves_nothing(workspace):
    workspace.publish("first")
    verdict = workspace.judge("bad")
    assert verdict["outcome"] == "refuse"
    failed = {check["name"] for check in verdict["checks"] if check["outcome"] == "fail"}
    assert failed >= {"minimum.accuracy", "margin"}
    assert {"predictions", "parity"} & failed == set()
    workspace.run("register")
    assert workspace.json("reports/registration.json")["outcome"] == "refused"
    assert [(v.outcome, v.aliases) for v in workspace.versions()] == [("promote", ("champion",)), ("refuse", ())]
    workspace.run("register")
    assert len(workspace.versions()) == 2


def test_a_second_good_model_replaces_the_champion_it_met(workspace):
    workspace.publish("first")
    second = workspace.publish("second")
    assert second["outcome"] == "promoted"
    assert workspace.json("models/champion/champion.json")["identity"]["version"] == 1
    champion_now = workspace.champion()
    assert (champion_now.version, champion_now.replaced.version) == (2, 1)
    # Run again with nothing changed: it still meets the one it met then.
    before = (workspace.root / "models/champion/champion.json").read_bytes()
    workspace.run("champion")
    assert (workspace.root / "models/champion/champion.json").read_bytes() == before


def test_nothing_to_do_imports_no_mlflow_and_no_tensorflow(workspace):
    workspace.publish("first")
    for stage in ("champion", "register"):
        heavy = "sorted({'mlflow', 'tensorflow', 'keras', 'pandas'} & set(sys.modules))"
        check = f"import atexit; atexit.register(lambda: print({heavy}))"
        with workspace.process(stage, before=check) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, said
        assert said.splitlines()[-1] == "[]"


def test_the_rows_a_champion_was_judged_by_are_known_to_the_next_verdict(workspace):
    test, zoo = workspace.root / "data" / "prepared" / "test", workspace.zoo
    ids, labels = workspace.test_part()
    write_images(test, ["gone-99", *ids[100:]], zoo.pixels[99:], labels[99:])
    workspace.publish("first")
    judged_by = workspace.json("reports/verdict.json")["test_digest"]
    assert workspace.versions()[0].tags[JUDGED_BY].startswith(f"{judged_by} sha256:")
    write_images(test, ids, zoo.pixels, labels)
    told = workspace.judge("second")["renewal"]
    assert (told["judged_by"]["rows"], told["since"]["rows"], told["gone"]) == (len(ids) - 100, 100, 1)


def test_a_version_that_is_judged_again_on_other_rows_has_no_list_of_them(workspace):
    test, zoo = workspace.root / "data" / "prepared" / "test", workspace.zoo
    ids, labels = workspace.test_part()
    write_images(test, ids, zoo.pixels, (labels + 1) % len(CLASSES))
    workspace.publish("first", "refuse")
    write_images(test, ids, zoo.pixels, labels)
    workspace.publish("first")
    [version] = workspace.versions()
    assert (version.is_champion, version.tags[JUDGED_BY]) == (True, "none")
    assert "is not known" in workspace.judge("second")["over_use"]


def test_a_champion_that_moved_since_the_verdict_asks_for_another_run(workspace, make_workspace):
    elsewhere = make_workspace("elsewhere")
    workspace.publish("first")
    workspace.rule("second")
    elsewhere.publish("bad", "refuse")
    by_hand.promote(workspace.store, NAME, "2", "meanwhile")
    with pytest.raises(TryAgain, match="judged against v1, but by now the champion is v2"):
        workspace.run("register")
    assert len(workspace.versions()) == 2


def test_a_verdict_on_another_model_is_refused(workspace):
    workspace.rule("first")
    workspace.candidate("second")
    with pytest.raises(DataError, match="judges another model"):
        workspace.run("register")
    assert workspace.versions() == []


def edit(workspace, **checks):
    """Write the verdict again as a person might: it promotes, and these figures are in its checks."""
    path = workspace.root / "reports" / "verdict.json"
    verdict = workspace.json("reports/verdict.json")
    for check in verdict["checks"]:
        check |= {"outcome": "pass", "figure": checks.get(check["name"], check["figure"])}
    path.write_text(json.dumps({**verdict, "outcome": "promote"}))


def test_a_verdict_that_was_edited_moves_nothing(workspace):
    workspace.publish("first")
    workspace.rule("bad", "refuse")
    before = [version.to_json() for version in workspace.versions()]
    edit(workspace)
    with pytest.raises(
        DataError, match=r"the verdict has a check \S+ that passes with .*run again, and the gate judges"
    ):
        workspace.run("register")
    assert [version.to_json() for version in workspace.versions()] == before
    assert len(ledger.read(open_reader(workspace.store), NAME)) == 1


def test_one_that_fits_itself_moves_nothing_where_the_ledger_says_otherwise(workspace):
    workspace.publish("first")
    workspace.publish("bad", "refuse")
    before = [version.to_json() for version in workspace.versions()]
    bounds = {check["name"]: check["bound"] for check in workspace.json("reports/verdict.json")["checks"]}
    edit(workspace, **bounds)
    with pytest.raises(DataError, match=r"contradicts line 2 of the ledger of shapes .*registry promote 2 --reason"):
        workspace.run("register")
    assert [version.to_json() for version in workspace.versions()] == before
    assert len(ledger.read(open_reader(workspace.store), NAME)) == 2


@pytest.mark.parametrize("names", [("first", "first"), ("first", "second")], ids=["the same", "different"])
def test_two_registering_at_once_leave_one_version_a_model_and_one_champion(make_workspace, names):
    workspaces = [make_workspace("one"), make_workspace("two")]
    for workspace, name in zip(workspaces, names, strict=True):
        workspace.rule(name)
    processes = [workspace.process("register") for workspace in workspaces]
    said = [process.communicate()[0] for process in processes]
    # Who comes second with another model was judged against nobody, and is asked to run again.
    assert sorted(process.returncode for process in processes) == [0, 0 if names[0] == names[1] else 75], said
    [version] = workspaces[0].versions()
    assert version.is_champion
