"""Nothing is written outside of its folder, and no token ends up in what is stored or printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.geneval.benchmark import GenEval
from hypernoise.errors import HnError
from hypernoise.experiments.layout import ImageFile
from hypernoise.files import inside
from hypernoise.remote_files import RemoteFile, kept
from hypernoise.rewriters.chat_server import KEY_VARIABLE

sys.path.append(str(Path(__file__).parent))
from language_models import chat_server

if TYPE_CHECKING:
    from collections.abc import Callable

    Hn = Callable[..., list[str]]
    Refusal = Callable[..., str]
    Contents = Callable[[Path], dict[str, bytes]]

OUTSIDE = ["../evil", "a/../../evil", "..", "", ".", "/tmp/evil"]  # noqa: S108 - it must not be written
TOKENS = {name: f"secret-of-{name}-0123456789" for name in ("HF_TOKEN", "OPENAI_API_KEY", KEY_VARIABLE)}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HnError, match="is not the name of a file inside of"):
        inside(tmp_path, name)
    assert inside(tmp_path, "a/b..c/.d") == tmp_path / "a" / "b..c" / ".d"


@pytest.mark.parametrize("command", [["show"], ["verify"], ["export"], ["compare", "shapes-base"]])
@pytest.mark.parametrize("run", ["../secret", "/etc", "..", "x/../../secret"])
def test_a_run_is_only_ever_one_of_the_results(
    refusal: Refusal, results: Path, contents: Contents, command: list[str], run: str
) -> None:
    (results / "secret").mkdir()
    before = contents(results.parent)
    more = ["--output", results.parent / "images"] if command == ["export"] else []
    assert "begins with" in refusal(*command, run, *more, "--results", results)
    assert contents(results.parent) == before


@pytest.mark.parametrize("command", [["table", 1], ["report"]])
def test_a_world_is_only_ever_one_of_the_runs(
    refusal: Refusal, results: Path, contents: Contents, command: list[object]
) -> None:
    before = contents(results.parent)
    assert refusal(*command, "--world", "../evil", "--results", results).startswith(
        "There is no finished run"
    )
    assert contents(results.parent) == before


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_export_stays_in_its_folder(
    refusal: Refusal, results: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    honest = GenEval.layout

    def hostile(self: GenEval, prompts: Any, seeds: int) -> list[ImageFile]:
        first, *others = honest(self, prompts, seeds)
        return [*others, ImageFile(name, first.prompt, first.seeds)]

    monkeypatch.setattr(GenEval, "layout", hostile)
    before = contents(results.parent)
    words = ("export", "shapes-base", "--output", results.parent / "images", "--results", results)
    assert refusal(*words).startswith(f"{name!r} is not the name of a file inside of ")
    monkeypatch.setattr(GenEval, "layout", honest)
    monkeypatch.setattr(GenEval, "layout_texts", lambda *_: {name: "text"})
    assert refusal(*words).startswith(f"{name!r} is not the name of a file inside of ")
    assert contents(results.parent) == before


@pytest.mark.parametrize("end", ["..", ""])
def test_a_download_stays_in_its_folder(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "cache"
    with pytest.raises(HnError, match="is not the name of a file inside of"):
        kept(RemoteFile(f"https://example.org/{end}", None), folder, bytes.decode)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "..", "/etc/passwd"])
def test_only_what_is_known_is_downloaded(refusal: Refusal, name: str) -> None:
    assert repr(name) in refusal("download", name)


def test_tokens_are_neither_stored_nor_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hypernoise.cli import main  # noqa: PLC0415

    for variable, token in TOKENS.items():
        monkeypatch.setenv(variable, token)

    def bench(reply: Any, results: Path) -> str:
        with chat_server(reply) as (url, handler):
            words = [
                "hn", "bench", "geneval", "--limit", "2", "--seeds", "1", "--device", "cpu",
                "--method", "base", "--method", "prompt-optimization",
                "--set", f"prompt-optimization.llm_url={url}", "--set", "prompt-optimization.rewriter=openai",
                "--set", "prompt-optimization.images=4", "--results", str(results),
            ]  # fmt: skip
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit):
                main()
        assert f"Bearer {TOKENS[KEY_VARIABLE]}" in handler.keys
        printed = capsys.readouterr()
        return printed.out + printed.err

    echo = json.dumps({"error": {"message": f"Incorrect API key: {TOKENS[KEY_VARIABLE]}"}}).encode()
    said = [bench((status, echo), tmp_path / str(status)) for status in (200, 401, 500)]
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(stored) > 10
    for token in TOKENS.values():
        assert not any(token in text for text in said)
        assert not any(token.encode() in content for content in stored)
