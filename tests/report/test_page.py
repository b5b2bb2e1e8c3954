"""The page as text: nothing of a user's becomes markup, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from known_runs import store_run
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.report.figures import KEPT, Figure, kept_figures, trade_off
from hypernoise.report.page import embedded_json, page, write_report
from hypernoise.tables.from_runs import rows
from hypernoise.tables.reference import paper_rows

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun

HOSTILE = "</script><script>alert(1)</script><!-- & \"'\u2028 \ud800"


@pytest.fixture
def written(runs: list[StoredRun], tmp_path: Path) -> str:
    """The report of the runs."""
    del runs
    write_report("shapes", None, tmp_path, None)
    return (tmp_path / "shapes" / "report.html").read_text()


def test_embedded_data_cannot_end_its_script() -> None:
    text = embedded_json({"prompt": HOSTILE})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"prompt": HOSTILE}


def test_a_caption_is_escaped(runs: list[StoredRun]) -> None:
    figure = trade_off(rows(runs), runs[0].benchmark.report)
    text = page("a<b", [], [Figure(HOSTILE, HOSTILE, figure.png)], {"rows": []}).decode()
    assert text.count("<script") == 2
    assert "&lt;script&gt;alert(1)" in text
    assert "a&lt;b" in text


def test_the_policy_allows_this_style_and_script_and_no_network(written: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', written)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", written, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"


def test_nothing_outside_is_named_and_no_handler_is_inline(written: str) -> None:
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", written, flags=re.DOTALL)
    links = re.findall(r'(?:href|src)="([^"]{5})', markup)
    assert set(links) == {"data:", "#tabl", "#figu", "#gall"}
    assert not re.search(r"\s(on\w+|style)=", markup)
    script = (files("hypernoise.report") / "page.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|https?:(?!//www\.w3)", script
    )


def test_the_page_holds_the_table_its_notes_and_the_paper_s_rows(written: str) -> None:
    assert "<td>hypernoise</td>" in written
    assert "Paper (reference, not measured here)" in written
    assert "6 prompts × 2 seeds, suite shapes" in written
    assert "a laboratory, not the paper&#x27;s models" in written


def test_runs_of_other_numbers_of_steps_make_table_8(runs: list[StoredRun], tmp_path: Path) -> None:
    del runs
    for method in ("base", "hypernoise"):
        store_run(tmp_path, method, steps=4)
    write_report("shapes", None, tmp_path, None)
    text = (tmp_path / "shapes" / "report.html").read_text()
    one, eight = re.findall("<table>.*?</table>", text, re.DOTALL)
    assert "<caption>GenEval (Table 1)</caption>" in one
    assert "<caption>GenEval by number of steps (Tables 2 and 8)</caption>" in eight
    ours = re.findall(r'<tr><td>shapes</td><td class="number">(\d)</td><td>(.*?)</td>', eight)
    assert ours == [
        ("1", "base"),
        ("1", "hypernoise"),
        ("1", "best-of-n"),
        ("4", "base"),
        ("4", "hypernoise"),
    ]


def test_runs_of_other_ranks_make_table_9(runs: list[StoredRun], tmp_path: Path) -> None:
    del runs
    for rank in (8, 64):
        store_run(tmp_path, "hypernoise", rank=rank)
    store_run(tmp_path, "hypernoise", rank=16, steps=4)
    store_run(tmp_path, "base", steps=4)
    write_report("shapes", None, tmp_path, None)
    text = (tmp_path / "shapes" / "report.html").read_text()
    *_, nine = re.findall("<table>.*?</table>", text, re.DOTALL)
    assert "<caption>GenEval by LoRA rank, hypernoise (Table 9)</caption>" in nine
    ours = re.findall(r'<td class="number">(\d)</td><td>([a-z]+)</td><td class="number">([–\d]+)</td>', nine)
    assert ours[:3] == [("1", "base", "–"), ("1", "hypernoise", "8"), ("1", "hypernoise", "64")]
    assert ours[3:] == [
        (str(row.steps), row.method, "–" if pd.isna(row.lora_rank) else f"{row.lora_rank:g}")
        for row in paper_rows(9).itertuples()
    ]
    assert "(Table 10)" not in text


def test_every_benchmark_has_its_table_and_one_its_images(runs: list[StoredRun], tmp_path: Path) -> None:
    del runs
    store_run(tmp_path, "base", benchmark="dpg-bench")
    for benchmark, columns in (("dpg-bench", 1), ("geneval", 3)):
        write_report("shapes", benchmark, tmp_path, None)
        text = (tmp_path / "shapes" / "report.html").read_text()
        captions = re.findall("<caption>(.*?)</caption>", text)
        assert sorted(caption.split()[0] for caption in captions[:2]) == ["DPG-Bench", "GenEval"]
        assert captions[0].lower().startswith(benchmark)
        assert text.count('"method":') == columns


def test_a_benchmark_without_runs_is_refused(runs: list[StoredRun], tmp_path: Path) -> None:
    del runs
    with pytest.raises(HnError, match="No finished run of 'shapes' is on 'diversity', only on geneval"):
        write_report("shapes", "diversity", tmp_path, None)


def test_every_image_has_words(written: str) -> None:
    alts = re.findall(r'<img src="[^"]*" alt="([^"]*)"', written)
    assert len(alts) == written.count("<img ")
    assert all(len(alt) > 20 for alt in alts)


def test_figures_beside_the_tables_are_embedded(tmp_path: Path) -> None:
    assert kept_figures(tmp_path) == []
    for name in ("training", "budgets-geneval", "unknown"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"{name}.png")
    figures = kept_figures(tmp_path)
    assert [figure.caption for figure in figures] == ["Score by cost: geneval", KEPT["training"][0]]
    assert {figure.size for figure in figures} == {(30, 20)}


def test_a_third_party_s_benchmark_has_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "installed" / "thirdparty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hypernoise.benchmarks]\ntheirs = thirdparty:Theirs\n")
    monkeypatch.syspath_prepend(info.parent)
    for name in ("geneval", "theirs"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"budgets-{name}.png")
    assert [figure.caption for figure in kept_figures(tmp_path)] == [
        "Score by cost: geneval",
        "Score by cost: theirs",
    ]


def test_a_damaged_figure_is_named(tmp_path: Path) -> None:
    (tmp_path / "budgets-dpg-bench.png").write_bytes(b"no image")
    with pytest.raises(HnError, match=r"budgets-dpg-bench\.png cannot be read; make it anew, or delete it"):
        kept_figures(tmp_path)


def test_scores_against_time_are_told_in_words(runs: list[StoredRun]) -> None:
    said = trade_off(rows(runs), runs[0].benchmark.report).description
    assert "base 0.500 in 0.5 s; hypernoise 0.667 in 0.5 s; best-of-n 1.000 in 0.5 s" in said


def test_a_world_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HnError, match="no finished run of 'shapes'"):
        write_report("shapes", None, tmp_path, None)


def test_what_is_left_out_is_printed(tmp_path: Path, capsys: Any) -> None:
    store_run(tmp_path, "base", side=300)
    write_report("shapes", None, tmp_path, None)
    assert "Images are thumbnails of 256 pixels" in capsys.readouterr().out
