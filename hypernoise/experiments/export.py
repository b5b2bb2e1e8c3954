"""`hn export`: a run's images in the layout that a benchmark's published script reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.experiments.bench import find_benchmark
from hypernoise.experiments.layout import joined
from hypernoise.files import inside, new_folder, write_atomically, write_png
from hypernoise.tables.from_runs import find_run

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.tables.from_runs import StoredRun


def export_run(name: str, layout: str | None, output: Path, results: Path) -> None:
    """Write all images of a finished run to a new folder, which appears when it is whole.

    Raises:
        HnError: if there is no such run, the folder exists, the layout belongs to other prompts, or an image of the
            run is damaged.
    """
    run = find_run(results, name)
    if output.exists():
        raise HnError(f"{output} exists already; give a new folder with --output.")
    benchmark = find_benchmark(layout or run.settings["benchmark"], run.settings["suite"])
    prompts = _prompts(run, benchmark.prompts(run.settings["suite"]), benchmark.name)
    records = {(record["prompt_index"], record["seed"]): record for record in run.records}
    first = run.settings["first_seed"]
    files = benchmark.layout(prompts, run.settings["seeds"])
    texts = {inside(output, path): text for path, text in benchmark.layout_texts(prompts).items()}
    pictures = {inside(output, file.path): file for file in files}
    with new_folder(output) as folder:
        for path, content in texts.items():
            write_atomically(folder / path.relative_to(output), content.encode())
        for path, file in pictures.items():
            images = [run.store.read_image(records[file.prompt.index, first + seed]) for seed in file.seeds]
            write_png(folder / path.relative_to(output), Image.fromarray(joined(images)))
    typer.echo(f"{len(files)} files written to {output} in the layout of {benchmark.name}")


def _prompts(run: StoredRun, suite: list[Prompt], layout: str) -> list[Prompt]:
    """The run's prompts as the layout's benchmark has them."""
    texts = {record["prompt_index"]: record["prompt"] for record in run.records}
    chosen = [prompt for prompt in suite if texts.get(prompt.index) == prompt.text]
    if len(chosen) != len(texts):
        raise HnError(
            f"The prompts of {run.name} are not those of {layout}; give the layout of its own benchmark."
        )
    return chosen
