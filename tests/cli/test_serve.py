"""`ratchet serve`: what it refuses before anything is loaded, and tokens."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from pipeline.export.bounds import MachineBounds
from pipeline.serving import serve as serving
from pipeline.serving.roles import Shares
from pipeline.serving.serve import ServeSettings, is_loopback
from pipeline.serving.tokens import Tokens
from tests.cli.given import answer, complaint


def complains(capsys: pytest.CaptureFixture[str], code: int, line: str, *words: str) -> bool:
    found, said = complaint(capsys, *words)
    assert found == code, said
    assert line in said
    return True


def test_what_is_to_be_served_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert complains(capsys, 2, "what is to be served?", "serve")
    assert complains(capsys, 2, "--follow needs --model", "serve", "folder", "--follow")


def test_shares_need_a_challenger_and_are_from_0_to_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "model.json").touch()
    assert complains(capsys, 2, "need a challenger", "serve", str(tmp_path), "--canary-share=0.1", "--port=0")
    assert complains(capsys, 2, "from 0 to 1", "serve", str(tmp_path), "--shadow-share=1.5")
    assert complains(capsys, 2, "is no", "serve", str(tmp_path), "--shadow-share=x")
    for words in (["--challenger=park@4"], ["--challenger=zoo"], ["--challenger=4"], ["--canary-share=0.1"]):
        assert complains(capsys, 2, "like zoo@4", "serve", "--model=zoo", "--follow", *words)


def test_beyond_this_machine_tokens_are_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert complains(capsys, 2, "access tokens are needed", "serve", str(tmp_path), "--host", "0.0.0.0")
    empty = tmp_path / "tokens"
    empty.write_text("# none\n")
    assert complains(capsys, 2, "has no token", "serve", str(tmp_path), "--tokens", str(empty))
    assert complains(capsys, 74, "cannot be read", "serve", str(tmp_path), "--tokens", str(tmp_path / "x"))
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""):
        assert not is_loopback(host)


def test_a_new_token_is_printed_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = answer(capsys, "serve", "--new-token", "till-7", "--tokens", str(path)).strip()
    assert Tokens(path).owner(token) == "till-7"
    assert complains(capsys, 2, "--new-token needs --tokens", "serve", "--new-token", "till-7")


def test_an_address_that_is_taken_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert complains(capsys, 74, f"port {port}", "serve", str(tmp_path), "--port", port)
    assert complains(capsys, 2, "a number from 0", "serve", str(tmp_path), "--port", "99999")


@pytest.mark.parametrize(
    "option",
    [
        "--calls=0",
        "--workers=0",
        "--batch-rows=-1",
        "--queue-ms=x",
        "--timeout-s=nan",
        "--max-p95-ms=-1",
        "--max-pixels=1.5",
    ],
)
def test_odd_numbers_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str) -> None:
    assert complains(capsys, 2, "is no", "serve", str(tmp_path), option)


def test_a_share_of_the_log_is_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("serve", str(tmp_path), "--log-predictions", str(tmp_path / "log"), "--log-share", "2")
    assert complains(capsys, 2, "must be above 0", *words)


def test_options_become_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[ServeSettings] = []

    def kept(settings: ServeSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(serving, "serve", kept)
    options = "--port=0 --batch-rows=1 --batch-wait-ms=5 --queue-rows=7 --queue-ms=20 --max-body-mib=2 --timeout-s=3"
    more = ("--calls=2", "--workers=3", "--engine=onnx", "--max-pixels=9", "--max-p95-ms=2.5", "--max-size-mib=40")
    answer(capsys, "serve", "folder", *options.split(), *more)
    [settings] = seen
    assert (settings.folder, settings.port, settings.calls, settings.engine) == (Path("folder"), 0, 2, "onnx")
    assert settings.workers == 3
    assert not settings.is_batching
    assert settings.bounds == MachineBounds(p95_ms=2.5, size_mib=40.0)
    limits = settings.limits
    assert (limits.wait_s, limits.queue_rows, limits.queue_s, limits.request_s) == (0.005, 7, 0.02, 3)
    assert (limits.body_bytes, limits.pixels) == (2 * 2**20, 9)
    assert (settings.challenger, settings.shares) == (False, Shares())
    answer(capsys, "serve", "one", "--challenger=two", "--canary-share=0.05", "--shadow-share=0.1")
    assert (seen[1].challenger, seen[1].shares) == (Path("two"), Shares(0.05, 0.1))


def test_connections_leave_some_of_the_open_files_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    granted = [100, 1000, 20_000, resource.RLIM_INFINITY]
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    found = []
    for files in granted:
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        found.append(serving._take_files(10_000))
    assert found == [50, 744, 10_000, 10_000]


@pytest.mark.long
def test_a_followed_model_has_a_folder_and_a_follower(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[ServeSettings] = []

    def kept(settings: ServeSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(serving, "serve", kept)
    answer(capsys, "serve", "--model", "zoo", "--follow")
    answer(capsys, "serve", str(project / "mine"), "--model", "a/b", "--follow")
    assert [settings.folder for settings in seen] == [project / ".ratchet/serving/zoo", project / "mine"]
    assert seen[0].follower[1:4] == ["-m", "pipeline.serving.follower", str(project)]
    answer(capsys, "serve", "--model=zoo", "--follow", "--challenger=zoo@challenger", "--canary-share=0.1")
    assert list(seen[2].follower[-2:]) == ["--challenger", "challenger"]
    assert seen[2].challenger is True
    assert complains(capsys, 2, "no folder can have this name", "serve", "--model", "../x", "--follow")
    assert complains(capsys, 65, "has no champion", "serve", "--model", "zoo")
