"""Tables and contact sheets of stored runs, written to their fixed places below the results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.files import write_atomically
from hypernoise.registry import faults, find, names
from hypernoise.tables import from_runs
from hypernoise.tables.contact_sheet import contact_sheet
from hypernoise.tables.latex import latex
from hypernoise.tables.markdown import markdown
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.render import arrange
from hypernoise.tables.table1 import write_csv
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun
    from hypernoise.tables.render import Sheet
    from hypernoise.tables.table1 import Row


def publish(runs: Sequence[StoredRun], results: Path, console: Console) -> None:
    """The table of some comparable runs, see `publish_groups`."""
    publish_groups([runs], results, console)


def publish_groups(groups: Sequence[Sequence[StoredRun]], results: Path, console: Console) -> None:
    """Print a benchmark's table of groups of comparable runs and write it as CSV, Markdown and LaTeX.

    Groups differ in the number of steps; each has its own base run.

    The files are called as the benchmark's report has it, such as `table1.csv`, `table1.md` and `table1.tex`, below
    `results/<world>/`; the CSV holds measured rows alone, the others the paper's too.
    """
    first = groups[0][0]
    report = first.benchmark.report
    rows, sheet = tabulated(groups)
    place = results / str(first.settings["model"]) / report.name
    write_csv(rows, place.with_suffix(".csv"), report.columns)
    write_atomically(place.with_suffix(".md"), markdown(sheet).encode())
    write_atomically(place.with_suffix(".tex"), latex(sheet).encode())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {place}.csv, .md and .tex", style="dim", highlight=False)


def tabulated(groups: Sequence[Sequence[StoredRun]]) -> tuple[list[Row], Sheet]:
    """The rows of groups of comparable runs, and a benchmark's table of them with the paper's rows."""
    report = groups[0][0].benchmark.report
    rows = [row for runs in groups for row in from_runs.rows(runs)]
    return rows, arrange(rows, paper_rows(report.table), _notes(groups), report)


def _notes(groups: Sequence[Sequence[StoredRun]]) -> list[str]:
    """The first group's notes, and what the others add to them under their number of steps."""
    said = from_runs.notes(groups[0])
    for runs in groups[1:]:
        steps = runs[0].settings["steps"]
        said += [f"At {steps} steps: {note}" for note in from_runs.notes(runs) if note not in said]
    return said


def write_table(number: int, world: str, results: Path) -> None:
    """`hn table`: the newest comparable runs of a world.

    Raises:
        HnError: if another command makes that table, or there is no finished run of that world.
    """
    broken = faults("benchmark")
    made = {
        table: name
        for name in reversed(names("benchmark"))
        if name not in broken and (table := find("benchmark", name).report.table)
    }
    if number not in made:
        raise HnError(
            f"hn table writes Tables {', '.join(map(str, sorted(made)))}, not {number}; "
            "`hn reproduce --list` names the other tables that can be made."
        )
    runs = [
        run
        for run in from_runs.stored_runs(results)
        if (run.settings["model"], run.settings["benchmark"]) == (world, made[number])
    ]
    if not runs:
        raise HnError(
            f"There is no finished run of {world!r} below {results / 'runs'} for Table {number}; "
            f"make one with `hn bench {made[number]} --model {world}`."
        )
    publish(from_runs.comparable(runs, runs[0]), results, Console())


def show_run(name: str, rows: int, seed: int, results: Path) -> None:
    """`hn show`: the contact sheet of a run beside the other methods' runs on the same noise.

    Raises:
        HnError: if there is no such run, or it lacks the seed.
    """
    run = from_runs.find_run(results, name)
    first, count = run.settings["first_seed"], run.settings["seeds"]
    if not first <= seed < first + count:
        raise HnError(f"The run {run.name} has the seeds {first} to {first + count - 1}, not {seed}.")
    runs = from_runs.comparable(from_runs.stored_runs(results), run)
    path = results / str(run.settings["model"]) / "contact_sheet.png"
    contact_sheet(runs, seed, rows, path)
    Console().print(f"Written to {path}", highlight=False)
