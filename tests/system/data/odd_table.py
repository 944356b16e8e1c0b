"""A table with every odd line there is among good ones, a second one to join as of a time, and a project for both."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL
from pipeline.data.features.number import NOT_A_NUMBER, OUT_OF_RANGE
from pipeline.data.problems import (
    AMBIGUOUS_TIME,
    BAD_BYTES,
    BAD_QUOTES,
    HOLDS_NUL,
    NO_GROUP,
    NO_ID,
    NO_SUCH_TIME,
    NO_TIME,
    NOT_A_TIME,
    VALUE_TOO_LARGE,
    WRONG_COLUMNS,
)  # fmt: skip
from tests.system.contracts.tables import write_suite
from tests.system.project import ROOT

GOOD, FILE = 240, "visits.csv"
HEADER = b"id,at,who,site,n,word,body,label"
CITIES = ["İzmir", "Ilford", "\u0131\u011fd\u0131r", "Straße", "007", "7", "NA", "None", "tel aviv", "תל אביב"]
TALK = ["IT", "İSTANBUL", "ÄRGER", "naïve", "日本", "🙂", "NULL", "a\u200bb", "ﬁne", "ΣΊΣΥΦΟΣ", "nan"]
# Constants of the package that say how much is read, or prepared, at a time; and as little as makes many pieces.
SMALL_READS = ("pipeline/data/csv_blocks.py", "\nPIECE_BYTES = 4 * 2**20", "\nPIECE_BYTES = 5000")
SMALL_BLOCKS = ("pipeline/data/normalizing.py", "\n_BLOCK_BYTES = 16 * 2**20", "\n_BLOCK_BYTES = 5000")


class Odd(NamedTuple):
    """A line, and why its row is rejected: the reason, and the column that it is about."""

    line: bytes
    reason: str
    column: str | None = None


def line(name: str, **changes: str) -> bytes:
    """Return a line of a good row, with changes."""
    drawn = random.Random(name)
    values = {
        "id": name,
        "at": f"2013-0{drawn.randint(1, 3)}-{drawn.randint(1, 28):02} {drawn.randint(3, 23):02}:15",
        "who": f"p{drawn.randint(0, 80)}",
        "site": drawn.choice("AB"),
        "n": drawn.choice(["", "0.1", "1e-3", "-17.25", f"{drawn.gauss(0, 1e6)}", f"{drawn.randint(0, 9)}"]),
        "word": drawn.choice(CITIES),
        "body": " ".join(("of", *drawn.choices(TALK, k=drawn.randint(1, 6)))),
        "label": drawn.choice(["yes", "no"]),
    }
    return ",".join((values | changes).values()).encode()


def good_lines() -> list[bytes]:
    """Return good rows; the last ones are odd to look at, and right all the same."""
    strange = [
        line("formula", body="=cmd|' /C calc'!A0"),
        line("minus zero", n="-0.0"),
        line("million", body="x" * 1_000_000),
        line("leading", n="0007", word="007"),
        line("quoted", body='"a, ""quoted"" text\nof two lines"'),
        line("blanks", n=" 12 "),
        line("offset", at="2013-10-27T02:30:00+01:00"),  # an hour that comes twice, and it says which
    ]
    return [*(line(f"r{number:03}") for number in range(GOOD)), *strange]


ODD = (
    Odd(line("nul", body="a\0b"), HOLDS_NUL),
    Odd(line("quote", body='"never closed'), BAD_QUOTES),
    Odd(line("inside", body='an 8" pipe'), BAD_QUOTES),
    Odd(line("short").rpartition(b",")[0], WRONG_COLUMNS),
    Odd(line("long") + b",more", WRONG_COLUMNS),
    Odd(line("latin", body="caf") + b"\xe9", BAD_BYTES),
    Odd(line("surrogate", body="x").replace(b",x,", b",\xed\xa0\x80,"), BAD_BYTES),
    Odd(line("huge", body="y" * (2**20 + 1)), VALUE_TOO_LARGE),
    Odd(line("no number", n="nan"), NOT_A_NUMBER, "n"),
    Odd(line("endless", n="inf"), NOT_A_NUMBER, "n"),
    Odd(line("comma", n='"3,5"'), NOT_A_NUMBER, "n"),
    Odd(line("beyond", n="1e999"), OUT_OF_RANGE, "n"),
    Odd(line("february", at="2013-02-31 12:00"), NO_SUCH_TIME),
    Odd(line("spring", at="2013-03-31 02:30"), NO_SUCH_TIME),
    Odd(line("autumn", at="2013-10-27 02:30"), AMBIGUOUS_TIME),
    Odd(line("soon", at="soon"), NOT_A_TIME),
    Odd(line("never", at=""), NO_TIME),
    Odd(line("", id=""), NO_ID),
    Odd(line("nobody", who=""), NO_GROUP),
    Odd(line("maybe", label="maybe"), UNKNOWN_LABEL, "label"),
    Odd(line("minus zero", n="0"), DUPLICATE),
    Odd(line("r007"), DUPLICATE),
    Odd(line("both", label="yes"), CONFLICT, "label"),
    Odd(line("both", label="no"), CONFLICT, "label"),
)
TWO_WAYS = (line("minus zero", n="-0.0"), line("minus zero", n="0"))
HELD_BACK = line("unlabelled", label="")


def all_lines(order: int = 0) -> list[bytes]:
    """Return all lines, strewn; of equal rows that are written in two ways the good one, as the first stays."""
    lines = [*good_lines(), *(odd.line for odd in ODD), HELD_BACK]
    random.Random(order).shuffle(lines)
    first, second = sorted(map(lines.index, TWO_WAYS))
    lines[first], lines[second] = TWO_WAYS
    return lines


def make_root(folder: Path, lines: list[bytes], *changes: tuple[str, str, str]) -> Path:
    """Make a project of the table; changes are of its code: a file, a text in it, and what comes in its place."""
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in changes:
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after))
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "visits").mkdir()
    (folder / "visits" / FILE).write_bytes(b"\xef\xbb\xbf" + b"\r\n".join((HEADER, *lines, b"")))
    weather = [f"{site},2013-{m:02}-{d:02}T{h:02}:00Z,{m + d / 10 + h / 100:.2f}" for site in "AB"
               for m in (1, 2, 3, 10) for d in range(1, 29) for h in (0, 8, 16)]  # fmt: skip
    (folder / "visits" / "weather.txt").write_text("\n".join(["site,seen,temp", *weather, ""]))
    for name in ("raw", "prepared"):
        write_suite(folder / "contracts" / f"{name}.yaml")
    (folder / "params.yaml").write_text(yaml.safe_dump(recipe(), sort_keys=False))
    return folder


def recipe() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    join = {"name": "weather", "path": "weather.txt", "key": ["site"], "time": {"columns": ["seen"]},
            "lag_minutes": 60, "tolerance_minutes": 1440, "columns": {"temp": "temp"}}  # fmt: skip
    values["data"] |= {
        "source": {
            "name": "csv",
            "settings": {
                "target": "label",
                "known_at": {"before": ["n", "word", "body", "site"]},
                "time": {"zone": "Europe/Berlin"},
                "joins": [join],
            },
        },
        "path": "visits",
        "contracts": "contracts",
        "classes": ["no", "yes"],
        "features": {
            "n": {"kind": "number", "settings": {"missing": "median", "indicator": True}},
            "temp": {"kind": "number", "settings": {"missing": "mean", "scale": "robust"}},
            "word": {"kind": "category"},
            "body": {"kind": "text", "settings": {"length": 8, "at_least": 1}},
            "letters": {
                "kind": "text",
                "settings": {"column": "body", "tokens": "characters", "ngrams": [2, 3], "form": "tfidf", "most": 50},
            },
        },
        "roles": {"id": "id", "group": "who", "time": "at", "slices": ["site"]},
    }
    values["split"] = {"method": "grouped", "train": 0.6, "validation": 0.2, "test": 0.2}
    values["augment"] = {"copies": 0, "steps": []}
    values["model"] = {"name": "joined"}
    values["gate"] |= {"minimum": {"accuracy": {"none": "nothing is trained"}}, "maximum": {}}
    return values
