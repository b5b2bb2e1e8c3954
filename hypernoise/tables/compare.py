"""`hn compare`: two runs on the same prompts and noise, score by score, with what the difference is worth."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments import statistics
from hypernoise.tables.from_runs import find_run, known
from hypernoise.tables.render import MISSING, Cell, Column, Section, Sheet, estimate_cell
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun

SAME = ("benchmark", "suite", "prompts_sha256", "first_seed", "seeds")
"""Settings that two runs must share to have the same samples."""

COLUMNS = (
    Column("Score", "Score", numeric=False),
    Column("A", "A"),
    Column("B", "B"),
    Column("B − A", "B − A"),
    Column("p", "p"),
    Column("Detectable", "Detect."),
)
LEGEND = (
    "Values [95% interval], bootstrapped over prompts. B − A: paired by prompt and seed. p: sign-flip test over "
    "prompts, those of the parts Holm-corrected together. Detectable: the smallest true difference found with 80% "
    "power. Bold: the interval of B − A leaves out 0."
)


def compare_runs(first: str, second: str, results: Path) -> None:
    """Print how two finished runs differ.

    Raises:
        HnError: if one cannot be found, they are the same, or they do not have the same samples.
    """
    a, b = find_run(results, first), find_run(results, second)
    if a.name == b.name:
        raise HnError(f"{first!r} and {second!r} are both {a.name}; name two runs, `hn ls runs` lists them.")
    unlike = [name for name in SAME if a.settings[name] != b.settings[name]]
    if unlike:
        raise HnError(f"{a.name} and {b.name} have not the same samples: they differ in {', '.join(unlike)}.")
    console = Console()
    console.print(terminal(sheet(a, b), console.width))


def sheet(a: StoredRun, b: StoredRun) -> Sheet:
    """The comparison of two runs that have the same samples: overall, and of each stratum of the overall score."""
    parts = [
        (name, _only(a.scores, name), _only(b.scores, name)) for name in dict.fromkeys(sorted(a.scores.task))
    ]
    parts = parts if len(parts) > 1 else []
    p_values = (
        list(statistics.holm([statistics.sign_flip_p(two, one) for _, one, two in parts])) if parts else []
    )
    overall = statistics.sign_flip_p(b.scores, a.scores)
    lines = [_line(a, "overall", a.scores, b.scores, overall)]
    lines += [_line(a, *part, p) for part, p in zip(parts, p_values, strict=True)]
    return Sheet(
        title=f"{a.benchmark.name}, suite {a.settings['suite']}: A = {a.name}, B = {b.name}",
        columns=COLUMNS,
        sections=(Section("Paired comparison", tuple(lines)),),
        notes=(
            LEGEND,
            f"{a.settings['prompts']} prompts × {a.settings['seeds']} seeds. A and B differ in "
            f"{', '.join(name for name in a.settings if a.settings[name] != b.settings[name])}.",
        ),
        footnotes={},
    )


def _only(scores: statistics.Scores, task: str) -> statistics.Scores:
    rows = zip(scores.task, scores.prompt, scores.seed, scores.value, strict=True)
    return statistics.Scores(*map(list, zip(*(row for row in rows if row[0] == task), strict=True)))


def _line(
    run: StoredRun, name: str, one: statistics.Scores, two: statistics.Scores, p: float
) -> tuple[Cell, ...]:
    report = run.benchmark.report
    digits = report.digits[0]
    difference = known(statistics.paired_difference(two, one).overall)
    low, high = difference.low, difference.high
    bold = low is not None and high is not None and not low <= 0 <= high
    smallest = statistics.smallest_detectable_difference(two, one) * report.scale
    means = [known(statistics.bootstrap_interval(scores).overall) for scores in (one, two)]
    return (
        Cell(name),
        *(estimate_cell(mean, f".{digits}f", f".{digits}f", scale=report.scale) for mean in means),
        estimate_cell(difference, f"+.{digits}f", f"+.{digits}f", bold=bold, scale=report.scale),
        Cell(f"{p:.2g}"),
        Cell(MISSING if isnan(smallest) else f"{smallest:.{digits}f}"),
    )
