"""Tables and contact sheets of stored runs, written to their fixed places below the results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.files import write_atomically
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


def publish(runs: Sequence[StoredRun], results: Path, console: Console) -> None:
    """Print Table 1 of some comparable runs and write it as CSV, Markdown and LaTeX.

    The files are `table1.csv`, `table1.md` and `table1.tex` below `results/<world>/`; the CSV holds measured
    rows alone, the others the paper's too.
    """
    rows = from_runs.rows(runs)
    sheet = arrange(rows, paper_rows(1), from_runs.notes(runs))
    folder = results / str(runs[0].settings["model"])
    write_csv(rows, folder / "table1.csv")
    write_atomically(folder / "table1.md", markdown(sheet).encode())
    write_atomically(folder / "table1.tex", latex(sheet).encode())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {folder}/table1.csv, .md and .tex", style="dim", highlight=False)


def write_table(number: int, world: str, results: Path) -> None:
    """`hn table`: the newest comparable runs of a world.

    Raises:
        HnError: if another command makes that table, or there is no finished run of that world.
    """
    if number != 1:
        raise HnError(
            f"hn table writes Table 1, not {number}; `hn reproduce --list` names the other tables that can be made."
        )
    runs = from_runs.world_runs(results, world)
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
