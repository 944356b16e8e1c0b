"""Which code is mutated, and which test files belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_IN_GATE = tuple(
    f"tests/gate/test_{name}.py" for name in ("judge", "rules", "gathering", "following", "renewal", "numbers")
)
_SCHEDULE = ("tests/training/test_schedule.py",)
_GEOMETRY = ("tests/augmentation/steps/test_warp.py", "tests/augmentation/test_changing.py")
_STATISTICS = ("tests/data/features/test_image.py", "tests/data/test_normalizing.py")
_TEXT = ("tests/data/features/test_text.py",)
_CATEGORY = ("tests/data/features/test_category.py",)
_NUMBER = ("tests/data/features/test_number.py",)
_HOSTILE = ("tests/data/sources/test_hostile_tree.py",)
_FOLDERS = ("tests/data/sources/test_image_folder.py",)
_RECOGNISED = ("tests/data/sources/test_annotations.py",)
# Files, and the tests that belong to them beside tests/<same folder>/test_<same name>.py.
CORES: Mapping[str, Sequence[str]] = {
    "pipeline/gate/*.py": _IN_GATE,
    "pipeline/gate/rules/*.py": (
        "tests/gate/test_rules.py",
        "tests/gate/test_judge.py",
        "tests/gate/test_following.py",
        "tests/gate/test_numbers.py",
    ),
    "pipeline/records/verdict.py": _IN_GATE,
    "pipeline/data/splitting.py": (),
    "pipeline/data/frozen_split.py": (),
    "pipeline/data/freezing.py": (),
    "pipeline/data/instants.py": (),
    "pipeline/data/shares.py": (),
    "pipeline/data/strata.py": (),
    "pipeline/drafting/choosing.py": (),
    "pipeline/drafting/config.py": ("tests/drafting/test_suites.py",),
    "pipeline/drafting/expectations.py": ("tests/drafting/test_suites.py",),
    "pipeline/drafting/judging.py": (),
    "pipeline/drafting/looking.py": (),
    "pipeline/drafting/places.py": (),
    "pipeline/drafting/recognising.py": (),
    "pipeline/drafting/suites.py": (),
    "pipeline/drafting/summary.py": (),
    "pipeline/data/sources/annotations.py": (),
    "pipeline/data/sources/archive.py": (),
    "pipeline/data/sources/cifar.py": (),
    "pipeline/data/sources/image_folder.py": _HOSTILE,
    "pipeline/data/sources/jsonl.py": (),
    "pipeline/data/sources/parquet.py": (),
    "pipeline/data/sources/text_folder.py": (),
    "pipeline/data/json_lines.py": ("tests/data/sources/test_jsonl.py",),
    "pipeline/data/parquet_texts.py": ("tests/data/sources/test_parquet.py",),
    "pipeline/data/sql_text.py": (),
    "pipeline/data/table_files.py": ("tests/data/sources/test_jsonl.py",),
    "pipeline/data/annotated_folder.py": ("tests/data/sources/test_annotations.py",),
    "pipeline/data/annotation_files.py": ("tests/data/sources/test_annotations.py",),
    "pipeline/data/archive_members.py": ("tests/data/sources/test_archive.py",),
    "pipeline/data/class_folders.py": _FOLDERS,
    "pipeline/data/entries.py": (*_FOLDERS, *_HOSTILE, "tests/data/sources/test_archive.py"),
    "pipeline/data/file_reading.py": (*_FOLDERS, *_HOSTILE),
    "pipeline/data/picture_headers.py": (),
    "pipeline/data/python_batches.py": (),
    "pipeline/data/recognising.py": _RECOGNISED,
    "pipeline/data/source_rows.py": (),
    "pipeline/data/unpacking.py": (),
    "pipeline/data/walking.py": (*_FOLDERS, *_HOSTILE),
    "pipeline/data/perceptual_hash.py": (),
    "pipeline/data/near_hashes.py": (),
    "pipeline/data/near_duplicates.py": (),
    "pipeline/evaluation/classification/metrics.py": (),
    "pipeline/evaluation/classification/threshold.py": (),
    "pipeline/evaluation/regression/metrics.py": (),
    "pipeline/evaluation/regression/row_values.py": (),
    "pipeline/storage/declared_slices.py": (),
    "pipeline/training/target.py": (),
    "pipeline/training/schedule.py": (),
    "pipeline/training/schedules/*.py": _SCHEDULE,
    "pipeline/augmentation/changing.py": (),
    "pipeline/augmentation/warping.py": _GEOMETRY,
    "pipeline/data/resizing.py": (),
    "pipeline/data/cleaning.py": (),
    "pipeline/data/decoding.py": _STATISTICS,
    "pipeline/augmentation/steps/*.py": (),
    "pipeline/augmentation/counter_random.py": _GEOMETRY,
    "pipeline/runs/freshness.py": (),
    "pipeline/storage/artifacts.py": (),
    "pipeline/storage/data_sets.py": (),
    "pipeline/data/normalizing.py": (),
    "pipeline/data/features/image.py": _STATISTICS,
    "pipeline/data/grey_levels.py": _STATISTICS,
    "pipeline/data/features/number.py": (),
    "pipeline/data/features/category.py": (),
    "pipeline/data/category_texts.py": _CATEGORY,
    "pipeline/data/category_vocabulary.py": _CATEGORY,
    "pipeline/data/column_refusals.py": (*_CATEGORY, *_NUMBER),
    "pipeline/data/number_scaling.py": _NUMBER,
    "pipeline/data/number_statistics.py": _NUMBER,
    "pipeline/data/number_texts.py": (),
    "pipeline/data/value_counts.py": (),
    "pipeline/data/features/text.py": (),
    "pipeline/data/characters.py": _TEXT,
    "pipeline/data/tokens.py": _TEXT,
    "pipeline/data/term_counts.py": _TEXT,
    "pipeline/data/tf_idf.py": _TEXT,
    "pipeline/models/preprocessing/text.py": ("tests/system/models/test_texts.py",),
    "pipeline/models/tokens.py": ("tests/system/models/test_texts.py",),
    "pipeline/models/vocabulary.py": ("tests/system/models/test_texts.py", "tests/system/models/test_columns.py"),
    "pipeline/models/embedding.py": ("tests/system/models/test_mixed.py",),
    "pipeline/models/phrases.py": ("tests/system/models/test_mixed.py",),
    "pipeline/models/preprocessing/number.py": ("tests/system/models/test_columns.py",),
    "pipeline/models/preprocessing/category.py": ("tests/system/models/test_columns.py",),
    "pipeline/models/preprocessing/image.py": ("tests/system/models/test_built.py",),
    "pipeline/training/checkpoints.py": (),
    "pipeline/training/job.py": (),
    "pipeline/training/collective.py": ("tests/system/training/test_exchange.py",),
    "pipeline/training/tree.py": (),
    "pipeline/training/order.py": (),
    "pipeline/training/batches.py": (),
    "pipeline/training/changed_rows.py": (),
    "pipeline/storage/pages.py": ("tests/storage/test_mapped.py",),
    "pipeline/storage/mapped.py": (),
    "pipeline/data/apartness.py": (),
}


def files(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the files of the cores with their tests, most telling first; all paths are relative to `root`.

    Raises LookupError for a pattern without a file, a test that is not there, and a file without any test.
    """
    found: dict[str, tuple[str, ...]] = {}
    for pattern, tests in CORES.items():
        paths = [path for path in sorted(root.glob(pattern)) if path.name != "__init__.py"]
        if not paths:
            raise LookupError(f"tests/mutants/cores.py: no file is {pattern}")
        for missing in (test for test in tests if not (root / test).exists()):
            raise LookupError(f"tests/mutants/cores.py: {missing} is not there")
        for path in paths:
            name = path.relative_to(root)
            mirror = Path("tests", *name.parts[1:-1], f"test_{name.name}").as_posix()
            own = (mirror,) if (root / mirror).exists() else ()
            if not own and not tests:
                raise LookupError(f"tests/mutants/cores.py: {name} has no tests: name them")
            found[name.as_posix()] = tuple(dict.fromkeys((*own, *tests)))
    return found
