"""One sheet, three formats."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from benchmarks.geneval.benchmark import GenEval
from hypernoise.tables.latex import latex
from hypernoise.tables.markdown import markdown
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.render import Cell, Section, Sheet, arrange, columns_of
from hypernoise.tables.table1 import Estimate, Row
from hypernoise.tables.terminal import terminal

TASKS = tuple(GenEval.report.columns)
COLUMNS = columns_of(GenEval.report)
BASE = Row(
    model="shapes",
    method="base",
    steps=1,
    params_b=0.0015,
    seconds=0.004,
    nfe=1,
    mean=Estimate(0.4121, 0.381, 0.449),
    delta=None,
    tasks={task: Estimate(0.5, 0.45, 0.55) for task in TASKS},
    prompts=553,
    seeds=4,
    p_value=None,
)
BETTER = replace(BASE, method="reno", mean=Estimate(0.511, 0.48, 0.54), delta=Estimate(0.099, 0.06, 0.14))
ALSO = replace(BASE, method="hypernoise", mean=Estimate(0.442, 0.41, 0.48), delta=Estimate(0.03, 0.001, 0.06))
TIED = replace(BASE, method="best-of-n", mean=Estimate(0.422, 0.39, 0.46), delta=Estimate(0.01, 0.0, 0.02))
WORSE = replace(BASE, method="lora", mean=Estimate(0.333, 0.3, 0.37), delta=Estimate(-0.079, -0.1, -0.05))
OTHER = replace(BASE, model="sana", steps=2, params_b=0.6, mean=Estimate(0.715, 0.69, 0.74))
ROWS = [BASE, BETTER, ALSO, TIED, WORSE, OTHER]
NOTES = ["553 prompts, 4 seeds.", "Smallest detectable difference: 0.015."]
EMBEDDED = "Embedded world `shapes` (a laboratory, not the paper's models)"
PAPER = "Paper (reference, not measured here)"
NONE = paper_rows(1).iloc[:0]


def sheet(rows: list[Row] = ROWS, paper: pd.DataFrame | None = None, notes: list[str] = NOTES) -> Sheet:
    return arrange(rows, paper_rows(1) if paper is None else paper, notes, GenEval.report)


def on_terminal(printed: Sheet, width: int, *, color: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=color, color_system="standard" if color else None
    )
    console.print(terminal(printed, width))
    return file.getvalue()


def table_lines(text: str) -> list[list[str]]:
    """Split Markdown lines as GitHub does: at bars that no backslash stands before."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_origins_are_set_apart_and_in_order() -> None:
    printed = sheet()
    assert [section.heading for section in printed.sections] == ["Measured here", EMBEDDED, PAPER]
    assert [len(section.lines) for section in printed.sections] == [1, 5, 19]
    assert [section.quoted for section in printed.sections] == [False, False, True]


def test_sections_without_rows_are_left_out() -> None:
    assert [section.heading for section in sheet([OTHER], NONE).sections] == ["Measured here"]
    assert [section.heading for section in sheet([], None).sections] == [PAPER]
    assert arrange([BASE], pd.DataFrame(), [], GenEval.report).footnotes == {}


def test_every_line_fills_every_column() -> None:
    assert {len(line) for section in sheet().sections for line in section.lines} == {len(COLUMNS)} == {13}


def test_bold_only_where_the_paired_interval_lies_above_zero() -> None:
    bold = [cell.text for part in sheet().sections for line in part.lines for cell in line if cell.bold]
    assert bold == ["0.511", "0.442"]


@pytest.mark.parametrize("low", [None, 0.0, -0.01, float("nan")])
def test_an_interval_that_does_not_lie_above_zero_is_not_bold(low: float | None) -> None:
    row = replace(BETTER, delta=Estimate(0.2, low, 0.3))
    assert "**" not in markdown(sheet([row]))
    assert r"\textbf" not in latex(sheet([row]))
    assert "\x1b[1m" not in on_terminal(sheet([row]), 240, color=True)


def test_a_quoted_number_cannot_be_bold() -> None:
    with pytest.raises(ValueError, match="never bold"):
        Section(PAPER, ((Cell("0.81", bold=True),),), quoted=True)


def test_bold_in_each_format() -> None:
    assert re.findall(r"\*\*(.*?)\*\*", markdown(sheet())) == ["0.511", "0.442"]
    assert re.findall(r"\\textbf{(.*?)}", latex(sheet())) == ["0.511", "0.442"]
    for width in (80, 120, 240):
        assert re.findall("\x1b\\[1m(.*?)\x1b", on_terminal(sheet(), width, color=True)) == ["0.511", "0.442"]


def test_paper_is_labelled_and_italic_in_markdown() -> None:
    ours, quoted = markdown(sheet()).split(f"### {PAPER}\n")
    lines = table_lines(quoted)[2:]
    assert len(lines) == 19
    assert all(re.fullmatch(r" \*[^*]+\*(<sup>[a-z]</sup>)? ", cell) for line in lines for cell in line)
    assert not any(re.search(r"(?<!\*)\*[^*]+\*(?!\*)", cell) for line in table_lines(ours) for cell in line)
    assert "*0.81*" in quoted


def test_paper_is_labelled_and_gray_in_latex() -> None:
    ours, quoted = latex(sheet()).split(f"\\textcolor{{gray}}{{{PAPER}}}")
    lines = quoted.split(r"\bottomrule")[0].strip().splitlines()[1:]
    cells = [cell for line in lines for cell in line.removesuffix(r" \\").split(" & ")]
    assert len(cells) == 19 * 13
    assert all(cell.startswith(r"\textcolor{gray}{") for cell in cells)
    assert "gray" not in ours


def test_paper_is_labelled_and_dim_on_the_terminal() -> None:
    text = on_terminal(sheet(), 120, color=True)
    ours, quoted = text.split(PAPER)
    body = [line for line in quoted.splitlines() if "sana " in line]
    assert len(body) == 5
    assert all("\x1b[2m" in line for line in body)
    assert not any("\x1b[2m" in line for line in ours.splitlines() if "0.442" in line)


def test_markdown_lines_have_the_same_number_of_cells() -> None:
    named = replace(BETTER, model="a|b", method="c\\|d")
    text = markdown(sheet([*ROWS, named], notes=["left | right, `left|right`"]))
    assert {len(cells) for cells in table_lines(text)} == {13}
    assert r"| a\|b | c\\\|d |" in text
    assert r"- left \| right, `left\|right`" in text


def test_markdown_keeps_code_and_escapes_the_rest() -> None:
    text = markdown(sheet(notes=["`two_object` of 2 * 3 <models>\nand_more"]))
    assert r"- `two_object` of 2 \* 3 \<models> and\_more" in text


def test_latex_escapes() -> None:
    named = replace(BETTER, model="my_model", method="50%&more{}#$~^\\")
    text = latex(sheet([named], notes=["`two_object`: 5% ≥ 4% – Δ"]))
    special = r"50\%\&more\{\}\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert f"my\\_model & {special} & " in text
    assert r"\texttt{two\_object}: 5\% $\geq$ 4\% -- $\Delta$" in text
    assert text.isascii()
    assert not re.search(r"(?<!\\)[_#$](?!\\)", re.sub(r"\$[-\\a-zA-Z]+\$", "", text))


def test_latex_lines_have_the_same_number_of_cells() -> None:
    body = latex(sheet()).split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count(" & ") for line in rows} == {12}
    assert len(rows) == 1 + 6 + 19


def test_values_have_their_intervals() -> None:
    text = markdown(sheet())
    assert "| 0.412 [0.38, 0.45] | 0.50 [0.45, 0.55] |" in text
    assert "| −0.079 [−0.100, −0.050] |" in text
    assert "| sana (2-step) | base | 0.6 | 0.004 | 1 |" in text
    assert "| shapes | base | 0.0015 | 0.004 | 1 |" in text


def test_missing_values_are_dashes() -> None:
    row = replace(
        OTHER, steps=None, params_b=None, seconds=float("nan"), nfe=None, mean=Estimate(0.5), tasks={}
    )
    (line,) = table_lines(markdown(sheet([row], NONE)))[2:]
    assert [cell.strip() for cell in line] == ["sana", "base", *"–––", "0.500", *"–––––––"]
    for text in (latex(sheet()), markdown(sheet()), on_terminal(sheet(), 80)):
        assert not re.search(r"\b(nan|None|<NA>)\b", text)


def test_what_the_paper_does_not_print_is_a_dash() -> None:
    quoted = sheet([]).sections[0]
    columns = [column.heading for column in COLUMNS]
    for heading in ("NFE", "Δ base"):
        assert {line[columns.index(heading)].text for line in quoted.lines} == {"–"}


def test_footnotes_have_markers_and_notes_are_printed() -> None:
    printed = sheet()
    noted = {
        (line[0].text, line[1].text): line[1].marker for line in printed.sections[-1].lines if line[1].marker
    }
    assert noted == {
        ("sd3-medium", "base"): "a",
        ("sd-turbo", "prompt-optimization"): "b",
        ("sana", "prompt-optimization"): "b",
        ("flux (4-step)", "hypernoise"): "c",
    }
    assert list(printed.footnotes) == ["a", "b", "c"]
    for text in (markdown(printed), latex(printed), on_terminal(printed, 240)):
        assert "0.743" in text.replace("\n", " ")
        assert all(note in text for note in NOTES)


def test_the_rule_of_bold_is_told_only_where_something_is_measured() -> None:
    assert any("Bold:" in note for note in sheet().notes)
    assert sheet([]).notes == tuple(NOTES)


@pytest.mark.parametrize("width", [80, 118, 240])
def test_terminal_lines_fit_and_nothing_is_cut(width: int) -> None:
    text = on_terminal(sheet(), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "0.442" in text
    assert EMBEDDED in text


def test_terminal_gives_up_task_intervals_first_and_then_tasks() -> None:
    wide, medium, narrow = (on_terminal(sheet(), width) for width in (240, 120, 80))
    assert "0.50 [0.45, 0.55]" in wide
    assert "[0.45, 0.55]" not in medium
    assert "Attr." in medium
    assert "Hidden" not in medium
    assert "Attr." not in narrow
    assert "Hidden, as they need 112 columns" in narrow
    assert "[+0.001, +0.060]" in narrow
