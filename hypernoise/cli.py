"""The command line `hn`: parses, calls, prints. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from hypernoise.experiments.bench import Request

app = typer.Typer(
    name="hn",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Run, compare and train methods that improve the initial noise of one-step image generators.\n\n"
    "The embedded world `shapes` works anywhere, without a GPU or a download: "
    "`hn bench geneval --model shapes --method base --method best-of-n`.",
)
train_app = typer.Typer(
    no_args_is_help=True, help="Train a noise hypernetwork, or fine-tune the generator directly, on a reward."
)
app.add_typer(train_app, name="train")
shapes_app = typer.Typer(no_args_is_help=True, help="The embedded world: train its parts, measure them.")
app.add_typer(shapes_app, name="shapes")

Results = Annotated[
    Path, typer.Option("--results", help="Folder of runs and tables.", file_okay=False, show_default=True)
]
RESULTS = Path("results")
INTERRUPTED = 130
"""The exit code that typer makes of Ctrl-C."""


BenchmarkName = Annotated[str, typer.Argument(help="Name of the benchmark, such as geneval.")]
Model = Annotated[str, typer.Option(help="Generator to run; `hn ls models` lists them.")]
Methods = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation
    typer.Option(help="Method to run, as NAME or NAME:PRESET; repeat for several.", show_default="base"),
]
Seeds = Annotated[str, typer.Option(help="Images a prompt: a number of seeds, or a range such as 8-11.")]
Limit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Use at most this many prompts, spread over the tasks.", show_default="all"),
]
Steps = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Denoiser calls an image takes.", show_default="the model's own"),
]
Suite = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Prompt set of the benchmark.", show_default="the model's own"),
]
Rewards = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Reward and weight as NAME=WEIGHT; repeat for several.", show_default="the model's"),
]
Changes = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", help="Change a method's setting, as METHOD.SETTING=VALUE; may be repeated."),
]
BatchSize = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        min=1,
        help="Samples that are worked on together; fewer where they do not fit in memory.",
        show_default="the model's own",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that work at once, on Ray: here, or on the cluster of RAY_ADDRESS; OMP_NUM_THREADS each.",
    ),
]
MemoryWords = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--memory",
        help="Ways to save memory: checkpointing (where there are gradients), tiling (changes the images a little), "
        "offload (of text encoders); several as checkpointing,offload.",
        show_default="none",
    ),
]
Compiled = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Have torch.compile write kernels for the generator: a minute or more at first, less time afterwards.",
    ),
]


def _request(
    benchmark: str,
    model: str,
    method: list[str] | None,
    seeds: str,
    limit: int | None,
    steps: int | None,
    suite: str | None,
    reward: list[str] | None,
    change: list[str] | None,
    batch: int | None,
    device: str,
    memory: str | None,
    compiled: bool,
) -> Request:
    from hypernoise.experiments.bench import Request  # noqa: PLC0415
    from hypernoise.generators.protocol import read_memory  # noqa: PLC0415

    return Request(
        benchmark,
        model,
        method or ["base"],
        seeds,
        limit,
        steps,
        suite,
        reward or [],
        change or [],
        batch,
        device,
        read_memory(memory),
        compiled,
    )


@app.command(
    epilog="Example: `hn bench geneval --model shapes --method base --method reno --seeds 4 --limit 30`"
)
def bench(
    benchmark: BenchmarkName,
    model: Model = "shapes",
    method: Methods = None,
    seeds: Seeds = "4",
    limit: Limit = None,
    steps: Steps = None,
    suite: Suite = None,
    reward: Rewards = None,
    change: Changes = None,
    batch: BatchSize = None,
    device: Device = "auto",
    memory: MemoryWords = None,
    compiled: Compiled = False,
    workers: Workers = 1,
    results: Results = RESULTS,
) -> None:
    """Generate, score and store images with several methods from the same noise, and print the table.

    Killed at any time, the same command goes on where it was. A finished run is not computed again.
    """
    from hypernoise.experiments.bench import run_bench  # noqa: PLC0415

    request = _request(
        benchmark, model, method, seeds, limit, steps, suite, reward, change, batch, device, memory, compiled
    )
    run_bench(request, results, workers)


@app.command(
    epilog="Example: `hn budgets geneval --method hypernoise --method best-of-n --method reno:shapes --budget 1,5,20`"
)
def budgets(
    benchmark: BenchmarkName,
    budget: Annotated[str, typer.Option(help="Images that a sample may try, such as 1,5,20,50.")],
    method: Annotated[
        list[str], typer.Option(help="Method to run, as NAME or NAME:PRESET; repeat for several.")
    ],
    model: Model = "shapes",
    seeds: Seeds = "4",
    limit: Limit = None,
    steps: Steps = None,
    suite: Suite = None,
    reward: Rewards = None,
    change: Changes = None,
    batch: BatchSize = None,
    device: Device = "auto",
    memory: MemoryWords = None,
    compiled: Compiled = False,
    workers: Workers = 1,
    results: Results = RESULTS,
) -> None:
    """Run methods with larger and larger budgets, and say which is best at which cost, in seconds and in NFE.

    A method without a budget, such as base or hypernoise, is one point among them. Each method and budget is a run of
    its own, stored and resumed as those of `hn bench` are. Writes `budgets-<benchmark>` (CSV, Markdown, figure).
    """
    from hypernoise.experiments.budgets import run_budgets  # noqa: PLC0415
    from hypernoise.settings import whole_numbers  # noqa: PLC0415

    request = _request(
        benchmark, model, method, seeds, limit, steps, suite, reward, change, batch, device, memory, compiled
    )
    run_budgets(request, whole_numbers(budget, "--budget", "1,5,20,50"), results, workers)


@app.command(
    "time", epilog="Example: `hn time --model shapes --method base --method hypernoise --method reno:shapes`"
)
def time_methods(
    model: Model = "shapes",
    method: Methods = None,
    benchmark: Annotated[str, typer.Option(help="Benchmark whose prompts are drawn.")] = "geneval",
    batches: Annotated[
        str,
        typer.Option(
            help="Samples that are worked on together, such as 1,40; `best` finds the number by doubling from 1."
        ),
    ] = "1,40",
    rounds: Annotated[
        int, typer.Option(min=1, help="Interleaved rounds, after one that does not count.")
    ] = 7,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate",
            help="Time the same with every optimization switched off, and with the structure of published loops.",
        ),
    ] = False,
    steps: Steps = None,
    reward: Rewards = None,
    change: Changes = None,
    device: Device = "auto",
    memory: MemoryWords = None,
    compiled: Compiled = False,
    results: Results = RESULTS,
) -> None:
    """Time methods against each other: seconds an image and multiples of base, spread, NFE and peak memory.

    Text encoding, the method and decoding are on the clock; loading, judging and storing are not. `hn table` takes
    these times for runs of the same settings on the same machine.
    """
    from hypernoise.experiments.timing import run_times  # noqa: PLC0415

    request = _request(
        benchmark, model, method, "4", None, steps, None, reward, change, None, device, memory, compiled
    )
    run_times(request, batches, rounds, results, ablation=ablate)


@app.command(epilog="Example: `hn reproduce table8 --model shapes`")
def reproduce(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="Table or figure, such as table8.", show_default=False),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what can be made, and end.")] = False,
    model: Model = "shapes",
    seeds: Seeds = "4",
    limit: Limit = None,
    batch: BatchSize = None,
    change: Changes = None,
    device: Device = "auto",
    workers: Workers = 1,
    results: Results = RESULTS,
) -> None:
    """Make a table or figure of the paper anew, the paper's numbers beside those measured here."""
    from hypernoise.experiments.reproduce import CLAIMS, Setting, reproduce  # noqa: PLC0415

    if listed or name is None:
        for each, claim in CLAIMS.items():
            typer.echo(f"{each}\t{claim.shows}")
        return
    reproduce(name, Setting(model, seeds, limit, batch, device, change or [], workers), results)


@app.command(epilog="Example: `hn table 1 --world shapes`")
def table(
    number: Annotated[int, typer.Argument(help="Number of the paper's table: 1, 5, 6 or 7.")],
    world: Annotated[str, typer.Option(help="The model whose runs to tabulate, or shapes.")] = "shapes",
    results: Results = RESULTS,
) -> None:
    """Write a table from stored runs, with the paper's rows beside ours: terminal, Markdown, LaTeX and CSV.

    Of each method the newest run counts that differs from the newest run of all in its method alone.
    """
    from hypernoise.tables.publish import write_table  # noqa: PLC0415

    write_table(number, world, results)


@app.command(epilog="Example: `hn show shapes-reno --prompts 12 --seed 0`")
def show(
    run: Annotated[
        str,
        typer.Argument(
            help="Name of a run, or its beginning: the newest run that fits; `hn ls runs` lists them."
        ),
    ],
    prompts: Annotated[int, typer.Option(min=1, help="Prompts to show, spread over the tasks.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the initial noise to show.")] = 0,
    results: Results = RESULTS,
) -> None:
    """Write a contact sheet (PNG): prompts down, methods across, same noise, right or wrong with the reason."""
    from hypernoise.tables.publish import show_run  # noqa: PLC0415

    show_run(run, prompts, seed, results)


@app.command(epilog="Example: `hn report --world shapes --benchmark geneval`")
def report(
    world: Annotated[str, typer.Option(help="The model whose runs to show, or shapes.")] = "shapes",
    benchmark: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The benchmark whose images to show.", show_default="the newest run's"),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="File to write.", dir_okay=False, show_default="results/<world>/report.html"),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Write one HTML page that opens from disk: tables, figures, and every image of the methods side by side.

    It shows the runs that `hn table` takes: tables of all benchmarks, the images of one. Images larger than 256
    pixels become thumbnails, and a gallery larger than 30 MB shows fewer prompts, taken from the tasks in turn; the
    page and the command say so.
    """
    from hypernoise.report.page import write_report  # noqa: PLC0415

    write_report(world, benchmark, results, output)


@app.command(epilog="Example: `hn score geneval --suite coco --images my-images`")
def score(
    benchmark: BenchmarkName,
    images: Annotated[Path, typer.Option(help="Folder of images in the benchmark's published layout.")],
    suite: Annotated[str, typer.Option(help="Prompt set that the images were made for.")] = "coco",
    seeds: Annotated[str, typer.Option(help="Images that each prompt has.")] = "4",
    batch: Annotated[int, typer.Option(min=1, help="Images that are judged together.")] = 40,
    device: Device = "auto",
    allow_missing: Annotated[
        bool, typer.Option(help="Leave out images that are missing or unreadable, and say how many.")
    ] = False,
    results: Results = RESULTS,
) -> None:
    """Score a folder of images, whoever made them; a folder that is not whole is refused."""
    from hypernoise.experiments.scoring import ScoreRequest, run_score  # noqa: PLC0415

    run_score(ScoreRequest(benchmark, images, suite, seeds, batch, device, allow_missing), results)


@app.command(epilog="Example: `hn export shapes-base-geneval --output my-images`")
def export(
    run: Annotated[str, typer.Argument(help="Name of a run, or its beginning.")],
    output: Annotated[Path, typer.Option(help="New folder to write the images to.")],
    layout: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Benchmark with the run's prompts whose layout to write.", show_default="the run's own"
        ),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Write a run's images in the layout that a benchmark's published script reads."""
    from hypernoise.experiments.export import export_run  # noqa: PLC0415

    export_run(run, layout, output, results)


@app.command(epilog="Example: `hn verify shapes-base-geneval`")
def verify(
    run: Annotated[str, typer.Argument(help="Name of a run, or the beginning of no other's.")],
    images: Annotated[
        int, typer.Option(min=0, help="Images to judge again, spread over the run; 0 loads no model.")
    ] = 40,
    device: Device = "auto",
    results: Results = RESULTS,
) -> None:
    """Check every file of a stored run against its hashes, and judge some of its images again.

    It changes nothing; if anything differs, every finding is printed, and the exit code is 2.
    """
    from hypernoise.experiments.verify import verify_run  # noqa: PLC0415

    verify_run(run, images, device, results)


@app.command(epilog="Example: `hn compare shapes-base-geneval shapes-reno-geneval`")
def compare(
    first: Annotated[str, typer.Argument(help="Name of run A, or its beginning.")],
    second: Annotated[str, typer.Argument(help="Name of run B, or its beginning.")],
    results: Results = RESULTS,
) -> None:
    """Compare two runs on the same prompts and noise: paired difference, interval, test, detectable difference."""
    from hypernoise.tables.compare import compare_runs  # noqa: PLC0415

    compare_runs(first, second, results)


@app.command("ls", epilog="Example: `hn ls methods`")
def ls(
    what: Annotated[
        str, typer.Argument(help="models, methods, rewards, rewriters, benchmarks, prompts or runs.")
    ],
    results: Results = RESULTS,
) -> None:
    """List what there is; a third party's name that is broken, with the reason."""
    from hypernoise.registry import KINDS, faults, names, nearest  # noqa: PLC0415

    if what == "runs":
        from hypernoise.tables.from_runs import stored_runs  # noqa: PLC0415

        found = [run.name for run in stored_runs(results)]
    elif what == "prompts":
        from hypernoise.prompts.sets import CATALOGUE  # noqa: PLC0415

        found = list(CATALOGUE)
    elif what.removesuffix("s") in KINDS:
        broken = faults(kind := what.removesuffix("s"))
        found = [f"{name}\t{broken[name]}" if name in broken else name for name in names(kind)]
    else:
        raise HnError(
            f"hn ls knows no {what!r}: {nearest(what, [*(f'{kind}s' for kind in KINDS), 'prompts', 'runs'])}"
        )
    for name in found:
        typer.echo(name)


@app.command(epilog="Example: `hn models`")
def models() -> None:
    """List the generators: parameters, resolution, steps, memory, licence, and whether they are on this machine."""
    from hypernoise.inventory import list_models  # noqa: PLC0415

    list_models()


@app.command(epilog="Example: `hn doctor`")
def doctor(device: Device = "auto") -> None:
    """Say which models, rewards, judges and prompts are ready on this machine, and what to do for the others."""
    from hypernoise import inventory  # noqa: PLC0415

    inventory.doctor(device)


@app.command(epilog="Example: `hn download abc-6k`")
def download(
    name: Annotated[
        str, typer.Argument(help="A model, reward, benchmark or prompt set; `hn doctor` lists them.")
    ],
) -> None:
    """Download ahead what something needs, and check it; afterwards it works with HF_HUB_OFFLINE=1 too."""
    from hypernoise import inventory  # noqa: PLC0415

    inventory.download(name)


@app.command(epilog="Example: `hn prompts geneval --suite coco > evaluation_metadata.jsonl`")
def prompts(
    benchmark: Annotated[str, typer.Argument(help="Name of the benchmark, such as geneval.")],
    suite: Annotated[str, typer.Option(help="Prompt set of the benchmark.")] = "shapes",
) -> None:
    """Print a benchmark's prompts in its published format."""
    import json  # noqa: PLC0415

    from hypernoise.experiments.bench import find_benchmark  # noqa: PLC0415

    for prompt in find_benchmark(benchmark, suite).prompts(suite):
        typer.echo(json.dumps(prompt.metadata))


Preset = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Named settings, such as table4-sana-sprint.", show_default="the model's own"),
]
Prompts = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--prompts",
        help="Prompt set or text file to train on; repeat for several. `hn ls prompts` lists the sets.",
        show_default="the model's",
    ),
]
TrainChanges = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", help="Change one setting of the preset, as SETTING=VALUE; may be repeated."),
]
Output = Annotated[
    Path, typer.Option(help="Folder of adapter, logs and checkpoint; a stopped training goes on from there.")
]
AllowOverlap = Annotated[bool, typer.Option(help="Train on prompts that benchmarks evaluate with.")]


def _train(
    kind: str,
    model: str,
    preset: str | None,
    prompts: list[str] | None,
    reward: list[str] | None,
    change: list[str] | None,
    output: Path,
    device: str,
    allow_overlap: bool,
    memory: str | None,
    compiled: bool,
) -> None:
    from hypernoise.generators.protocol import read_memory  # noqa: PLC0415
    from hypernoise.noise.training import TrainRequest, run_training  # noqa: PLC0415

    run_training(
        TrainRequest(
            kind,
            model,
            preset,
            prompts or [],
            reward or [],
            change or [],
            output,
            device,
            allow_overlap,
            read_memory(memory),
            compiled,
        )
    )


@train_app.command("hypernoise", epilog="Example: `hn train hypernoise --model shapes --output my-adapter`")
def train_hypernoise(
    output: Output,
    model: Model = "shapes",
    preset: Preset = None,
    prompts: Prompts = None,
    reward: Rewards = None,
    change: TrainChanges = None,
    device: Device = "auto",
    allow_overlap: AllowOverlap = False,
    memory: MemoryWords = None,
    compiled: Compiled = False,
) -> None:
    """Train a noise hypernetwork on a reward (the paper's Algorithm 1); the generator stays as it is."""
    _train(
        "hypernoise", model, preset, prompts, reward, change, output, device, allow_overlap, memory, compiled
    )


@train_app.command("lora", epilog="Example: `hn train lora --model shapes --output my-finetune`")
def train_lora(
    output: Output,
    model: Model = "shapes",
    preset: Preset = None,
    prompts: Prompts = None,
    reward: Rewards = None,
    change: TrainChanges = None,
    device: Device = "auto",
    allow_overlap: AllowOverlap = False,
    memory: MemoryWords = None,
    compiled: Compiled = False,
) -> None:
    """Fine-tune the generator itself on a reward by LoRA: the baseline that the paper compares with."""
    _train("lora", model, preset, prompts, reward, change, output, device, allow_overlap, memory, compiled)


@app.command(epilog="Example: `hn diagnose hypernoise/shapes/adapters/hypernoise`")
def diagnose(
    adapter: Annotated[
        str, typer.Argument(help="A trained noise hypernetwork: its folder, or its id on the hub.")
    ],
    model: Model = "shapes",
    samples: Annotated[int, typer.Option(min=2, help="Samples of x0 and prompts to measure on.")] = 16,
    prompts: Prompts = None,
    device: Device = "auto",
) -> None:
    """Measure the KL divergence that equation 10 approximates, its parts, and whether Theorem 1 applies."""
    from hypernoise.noise.diagnosis import run_diagnosis  # noqa: PLC0415

    run_diagnosis(adapter, model, samples, prompts or [], device)


@shapes_app.command("train", epilog="Example: `hn shapes train --folder training`")
def shapes_train(
    part: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="autoencoder, teacher, student, adversarial, clip or match; repeat.", show_default="all"
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Folder of checkpoints and logs; a stopped training goes on from there.")
    ] = Path("training"),
    bundle: Annotated[Path, typer.Option(help="Folder to write the finished weights to.")] = Path(
        "hypernoise/shapes/bundle"
    ),
) -> None:
    """Train the embedded world's parts in order and bundle their weights. Under four hours on two cores."""
    from hypernoise.shapes.training.parts import train_parts  # noqa: PLC0415

    train_parts(part or [], folder, bundle)


@shapes_app.command("evaluate", epilog="Example: `hn shapes evaluate --scenes 100`")
def shapes_evaluate(
    scenes: Annotated[int, typer.Option(min=1, help="Fresh scenes for each task or near miss.")] = 200,
    results: Results = RESULTS,
) -> None:
    """Measure judge, generator and rewards on what no training has seen.

    Writes `parts.csv` and `failures.png` below `results/shapes/`, and the curves of the trainings logged there.
    """
    from hypernoise.shapes.evaluation.command import evaluate  # noqa: PLC0415

    evaluate(scenes, results)


def main() -> None:
    """Run `hn`; a problem that the user can solve is printed as one sentence and ends with exit code 2."""
    try:
        app()
    except HnError as error:
        typer.echo(f"hn: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("hn: Stopped; the same command goes on from here.", err=True)
        raise
