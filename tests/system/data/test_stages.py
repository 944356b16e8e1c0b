"""The data stages on real Spark: from raw rows with every fault there is to augmented images."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
import yaml

from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL
from pipeline.data.decoding import shape_digest
from pipeline.data.picture_reasons import WRONG_SIZE
from pipeline.errors import DataError
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest
from tests.system.data.faulty_rows import LINKED, SIDE, UNLABELLED, make_root, picture, row, table_of, write_recipe


def test_every_rejected_row_is_kept_with_its_reason_and_the_counts_add_up(done, faulty):
    rows, expected = faulty
    clean = read_manifest(done / "data/clean")
    quarantine = read_manifest(done / "data/quarantine")

    assert Counter(table_of(done / "data/quarantine")["reason"].to_pylist()) == expected
    assert quarantine.counts == {"rejected": dict(expected)}
    unlabelled = read_manifest(done / "data/unlabelled")
    assert (clean.counts["in"], clean.counts["kept"], clean.counts["rejected"]) == (len(rows), 3000, expected.total())
    assert clean.rows + unlabelled.rows + quarantine.rows == len(rows)
    assert read_manifest(done / "data/split").counts["lost_test_rows"] == {CONFLICT: 1}
    raw_ids = table_of(done / "data/raw")["id"].to_pylist()
    kept_ids = table_of(done / "data/clean")["id"].to_pylist()
    others = {
        row_id for name in ("quarantine", "unlabelled") for row_id in table_of(done / "data" / name)["id"].to_pylist()
    }
    assert kept_ids == [row_id for row_id in raw_ids if row_id not in others]


def digest_of(number: int) -> str:
    return shape_digest(SIDE, SIDE, 1, picture(number).tobytes())


def test_of_duplicates_across_the_source_s_parts_the_test_row_stays(done):
    kept = table_of(done / "data/clean").select(["part", "content_digest"]).to_pylist()

    [part] = [row["part"] for row in kept if row["content_digest"] == digest_of(19)]
    assert part == "test"


def test_rows_without_a_label_are_held_back_decoded_and_counted(done):
    held_back = table_of(done / "data/unlabelled")

    assert held_back.schema == table_of(done / "data/clean").schema
    assert held_back["label"].to_pylist() == [None] * UNLABELLED
    assert held_back["content_digest"].to_pylist() == [digest_of(number) for number in (9011, 9013, 9014)]
    assert read_manifest(done / "data/unlabelled").counts == {"parts": {"a": 1, "train": 2}}
    assert read_manifest(done / "data/clean").counts["unlabelled"] == UNLABELLED
    assert not set(held_back["id"].to_pylist()) & set(table_of(done / "data/split")["id"].to_pylist())


def test_the_quarantine_says_what_each_reason_is_about_and_what_exactly(done):
    rejected = table_of(done / "data/quarantine")

    told = {(row["reason"], row["column"], row["detail"]) for row in rejected.to_pylist()}
    assert (LINKED, None, "to ../elsewhere") in told
    assert (UNKNOWN_LABEL, "label", "8") in told
    assert (WRONG_SIZE, "image", "13 × 13 pixels, the recipe says 12 × 12 (height × width)") in told
    assert (CONFLICT, "label", "equal rows are labelled round, square") in told
    assert {column for reason, column, _ in told if reason == DUPLICATE} == {None}
    of_test_row = [row for row in rejected.to_pylist() if row["reason"] == DUPLICATE and row["label"] == 1]
    assert [row["detail"].partition(" row ")[0] for row in of_test_row] == ["of test-images"]


def test_clean_rows_hold_pixels_as_prepared_ones_do(done):
    kept = table_of(done / "data/clean").select(["id", "image"]).to_pydict()
    pixels_of = dict(zip(kept["id"], kept["image"], strict=True))

    rows = shards.read_rows(done / "data/prepared/train")
    assert [image.tobytes() for image in rows.columns["image"][:]] == [pixels_of[row_id] for row_id in rows.ids]


def test_a_row_s_digest_is_of_what_it_holds_so_a_copy_encoded_otherwise_is_in_the_same_part(done):
    raw = table_of(done / "data/raw").select(["id", "image_encoding"]).to_pydict()
    is_png = dict(zip(raw["id"], (encoding == "png" for encoding in raw["image_encoding"]), strict=True))
    kept = table_of(done / "data/clean").select(["id", "content_digest"]).to_pylist()

    pngs = {row["content_digest"] for row in kept if is_png[row["id"]]}
    either = {digest_of(14)}  # it comes as a png and as an array, and one of them is kept
    assert pngs | either == {digest_of(number) for number in range(0, 300, 2)}
    assert either <= {row["content_digest"] for row in kept}


def test_each_part_holds_its_rows_at_the_fixed_size(done):
    split = table_of(done / "data/split").to_pylist()
    label_of = {r["id"]: r["label"] for r in table_of(done / "data/clean").select(["id", "label"]).to_pylist()}

    for part in ("train", "validation", "test"):
        rows = shards.read_rows(done / "data/prepared" / part)
        assert rows.ids == [row["id"] for row in split if row["part"] == part]
        assert rows.labels.tolist() == [label_of[row_id] for row_id in rows.ids]
        assert rows.columns["image"].shape[1:] == (16, 10, 1)


def test_what_is_fitted_is_of_the_training_part_alone_and_stands_in_every_manifest(done):
    pixels = shards.read_rows(done / "data/prepared/train").columns["image"][:].astype(float)
    folders = ("prepared/train", "prepared/validation", "prepared/test", "augmented")
    image, *others = (read_manifest(done / "data" / folder).feature("image") for folder in folders)

    assert others == [image] * 3
    assert image.fitted["mean"] == pytest.approx([pixels.mean()], rel=1e-9)
    assert image.fitted["std"] == pytest.approx([pixels.std()], rel=1e-9)


def test_every_training_row_gets_its_copies(done):
    training = shards.read_rows(done / "data/prepared/train")
    augmented = table_of(done / "data/augmented")
    copies = augmented.select(["id", "label", "copy", "source_id"]).to_pylist()

    expected = {
        (f"{row_id}-{copy}", label, copy, row_id)
        for row_id, label in zip(training.ids, training.labels.tolist(), strict=True)
        for copy in (1, 2)
    }
    assert {(c["id"], c["label"], c["copy"], c["source_id"]) for c in copies} == expected
    assert len(copies) == len(expected)
    counts = read_manifest(done / "data/augmented").counts
    assert counts["copies"] == 2
    assert sum(counts["classes"].values()) == len(copies)


def test_copies_with_another_row_laid_over_them_have_its_label_and_their_own_share(done):
    augmented = table_of(done / "data/augmented")
    shares = augmented["share"].to_numpy()
    labels, others = augmented["label"].to_numpy(), augmented["other_label"].to_numpy()

    assert 0.4 < (shares < 1).mean() < 0.7
    assert shares.min() >= 0
    assert (others[shares == 1] == labels[shares == 1]).mean() > 0.95  # a rectangle may lie outside
    assert set(others.tolist()) == set(labels.tolist())


def test_the_examples_begin_with_the_copies_that_are_written(done):
    augmented, examples = table_of(done / "data/augmented"), table_of(done / "reports/augmentation")
    written = dict(zip(augmented["id"].to_pylist(), augmented["image"].to_pylist(), strict=True))
    shown = dict(zip(examples["id"].to_pylist(), examples["image"].to_pylist(), strict=True))

    assert sum(name.endswith(("-1", "-2")) for name in shown) == 16
    assert all(shown[name] == written[name] for name in shown if name.endswith(("-1", "-2")))


def test_no_copies_give_a_data_set_without_rows(done, tmp_path, run_here):
    root = tmp_path / "no_copies"
    shutil.copytree(done, root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["augment"]["copies"] = 0
    write_recipe(root, params)

    [told] = run_here(root, "augment")
    assert "0 rows" in told

    assert read_manifest(root / "data/augmented").rows == 0
    assert shards.read_rows(root / "data/augmented").columns["image"].shape == (0, 16, 10, 1)


def test_a_class_that_loses_all_its_rows_is_named_and_nothing_is_written(tmp_path, run_here):
    rows = [row(picture(n), n % 2) for n in range(20)] + [{**row(picture(50), 2), "image": b"?"}]
    root = make_root(tmp_path / "project", rows, 10)

    with pytest.raises(DataError, match=r"class 'striped' \(label 2\) has no rows left of 21 \(1 truncated\)"):
        run_here(root, "clean")

    assert sorted(path.name for path in (root / "data").iterdir()) == ["raw"]
