"""The committed slice of Fashion-MNIST, and the script that makes it."""

from __future__ import annotations

import gzip
import hashlib
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "fashion_mnist"
SCRIPT = ROOT / "scripts" / "make_sample.py"
DEBIAN_PACKAGE = Path("/usr/share/datasets/fashion-mnist")
PARTS = {"train": 1200, "t10k": 400}


def make(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(source), "--to", str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def write_idx(folder: Path, *, train_labels: bytes, test_labels: bytes, magic: int = 2051) -> None:
    for part, labels in (("train", train_labels), ("t10k", test_labels)):
        images = b"".join(
            struct.pack(">4B", label, *position.to_bytes(3, "big")) for position, label in enumerate(labels)
        )
        header = struct.pack(">4I", magic, len(labels), 2, 2)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images))
        header = struct.pack(">2I", 2049, len(labels))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels))


@pytest.mark.parametrize(("part", "per_class"), PARTS.items())
def test_the_sample_is_balanced_and_its_headers_are_true(part: str, per_class: int) -> None:
    images = gzip.decompress((SAMPLE / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((SAMPLE / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    count = 10 * per_class
    assert struct.unpack_from(">4I", images) == (2051, count, 28, 28)
    assert len(images) == 16 + count * 28 * 28
    assert struct.unpack_from(">2I", labels) == (2049, count)
    assert Counter(labels[8:]) == dict.fromkeys(range(10), per_class)


def test_no_image_of_the_sample_is_in_both_parts() -> None:
    digests = []
    for part in PARTS:
        pixels = gzip.decompress((SAMPLE / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
        digests.append({hashlib.sha256(pixels[i : i + 784]).digest() for i in range(0, len(pixels), 784)})
    assert not digests[0] & digests[1]


def test_the_sample_is_small_and_carries_its_licence() -> None:
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) <= 8_000_000
    licence = (SAMPLE / "LICENSE").read_text()
    assert "Zalando" in licence
    assert "Permission is hereby granted, free of charge" in licence


@pytest.mark.skipif(not DEBIAN_PACKAGE.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_the_script_makes_the_committed_bytes_again(tmp_path: Path) -> None:
    finished = make(DEBIAN_PACKAGE, tmp_path)
    assert finished.returncode == 0, finished.stderr
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (SAMPLE / made.name).read_bytes(), made.name


def test_the_source_order_is_kept_and_a_second_run_is_equal(tmp_path: Path) -> None:
    source, first, second = (tmp_path / name for name in ("source", "first", "second"))
    source.mkdir()
    write_idx(source, train_labels=bytes([0, 1] * 1300), test_labels=bytes([0, 1] * 450))
    assert make(source, first).returncode == 0
    assert make(source, second).returncode == 0
    images = gzip.decompress((first / "train-images-idx3-ubyte.gz").read_bytes())
    positions = [int.from_bytes(images[i + 1 : i + 4], "big") for i in range(16, len(images), 4)]
    assert len(positions) == 2400
    assert positions == sorted(positions)
    assert all(made.read_bytes() == (second / made.name).read_bytes() for made in first.iterdir())


def test_a_missing_source_names_the_package_to_install(tmp_path: Path) -> None:
    finished = make(tmp_path / "absent", tmp_path / "made")
    assert finished.returncode == 74
    assert "apt-get install -y dataset-fashion-mnist" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_a_class_with_too_few_images_is_refused_in_one_line(tmp_path: Path) -> None:
    write_idx(tmp_path, train_labels=bytes(1200) + bytes([1]), test_labels=bytes(400))
    finished = make(tmp_path, tmp_path / "made")
    assert finished.returncode == 65
    assert "label 1 has 1 images, 1200 are needed" in finished.stderr


def test_a_file_that_is_not_idx_is_refused_in_one_line(tmp_path: Path) -> None:
    write_idx(tmp_path, train_labels=bytes(1200), test_labels=bytes(400), magic=1234)
    finished = make(tmp_path, tmp_path / "made")
    assert finished.returncode == 65
    assert "not a whole idx file of images" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
