"""`dvc.lock` has the bytes that DVC itself would write, and is seldom written whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PARAMS = {
    "small": 1e-05, "large": 1e22, "rate": 0.005, "whole": 3.0, "count": 12, "none": None, "is_so": True,
    "day": "2026-11-29", "number": "012", "yes": "yes", "empty": "", "text": "two\nlines", "long": "some words " * 20,
    "names": ["a", {"b": [1.5, "é"]}], "table": {"x": {}, "y": []},
}  # fmt: skip
REPRODUCE = """
import json, sys
from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from pathlib import Path
import yaml
whole, original = [], Lockfile.dump_stages
def counted(*given, **more):
    whole.append(1)
    original(*given, **more)
Lockfile.dump_stages = counted
if sys.argv[1] == "ours":
    from pipeline.runs import dvc_lock_entries
    dvc_lock_entries.apply()
lock, found = Path("dvc.lock"), []
def reproduced():
    with Repo(config={"core": {"no_scm": True, "site_cache_dir": ".site"}}) as repo:
        repo.reproduce()
    found.append([lock.read_text(), len(whole)])
reproduced()
params = yaml.safe_load(Path("params.yaml").read_text())
for key, before in (("rate", ""), ("text", ""), ("count", "# mine\\n"), ("small", "")):
    lock.write_text(before + lock.read_text())
    params[key] = 7e-7
    Path("params.yaml").write_text(yaml.safe_dump(params))
    reproduced()
print(json.dumps(found))
"""


def locks(folder: Path, how: str) -> list[tuple[str, int]]:
    """Run four stages, and again after each change; return each lock, and how often DVC had written all of it."""
    (folder / ".dvc").mkdir(parents=True)
    stages = {
        name: {"cmd": f"echo {name} > {name}", "params": [key], "outs": [name], "deps": ["source"]}
        for name, key in (("one", "rate"), ("two", "text"), ("three", "count"))
    }
    stages["all"] = {"cmd": "echo all > all", "params": sorted(PARAMS), "outs": ["all"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    (folder / "source").write_text("content")
    done = subprocess.run(
        [sys.executable, "-c", REPRODUCE, how],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(text, number) for text, number in json.loads(done.stdout.splitlines()[-1])]


def test_the_bytes_are_dvcs_own_and_it_writes_the_whole_only_where_it_is_new_or_has_comments(tmp_path: Path) -> None:
    own, ours = locks(tmp_path / "own", "as it is"), locks(tmp_path / "ours", "ours")
    assert [text for text, _ in ours] == [text for text, _ in own]
    assert [number for _, number in own] == [4, 6, 8, 10, 11]
    assert [number for _, number in ours] == [1, 1, 1, 3, 4]  # the last two with a comment
