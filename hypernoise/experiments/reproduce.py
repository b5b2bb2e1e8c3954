"""`hn reproduce`: the paper's tables and figures by name, each from one command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, run, run_bench
from hypernoise.noise.adapter_files import TRAININGS
from hypernoise.noise.training import TrainRequest, preset_of, run_training
from hypernoise.registry import find, nearest
from hypernoise.tables.contact_sheet import contact_sheet
from hypernoise.tables.publish import publish_groups
from hypernoise.tables.sweep import publish_sweep, rank_sweep, steps_sweep
from hypernoise.tables.tradeoff import publish_tradeoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun

STEPS = (1, 2, 4, 8, 16, 32)
"""Table 8's numbers of steps."""

RANKS, RANK_STEPS = (8, 16, 64, 128), (1, 2, 4)
"""Tables 9's and 10's ranks, and the numbers of steps that they are measured at."""

REDNESS_PROMPTS, REDNESS_EPOCHS = "t2i-compbench-train", 200 * 30 / 4859
"""Figure 4's training: as many samples as the paper's 200 epochs of 30 prompts, which were GenEval's (B.1)."""

SHOWN = 12
"""Prompts of a figure of images, spread over the tasks; none is chosen by hand."""


@dataclass(frozen=True)
class Setting:
    """What the user may choose of a reproduction; `changes` are of its methods' settings."""

    model: str
    seeds: str
    limit: int | None
    batch: int | None
    device: str
    changes: Sequence[str] = ()
    workers: int = 1

    def request(
        self,
        methods: list[str],
        steps: int | None,
        changes: Sequence[str] = (),
        benchmark: str = "geneval",
    ) -> Request:
        """A bench in this setting."""
        return Request(
            benchmark=benchmark,
            model=self.model,
            methods=methods,
            seeds=self.seeds,
            limit=self.limit,
            steps=steps,
            suite=None,
            rewards=[],
            changes=[*changes, *self.changes],
            batch=self.batch,
            device=self.device,
        )

    def run(
        self,
        methods: list[str],
        steps: int | None,
        results: Path,
        console: Console,
        changes: Sequence[str] = (),
        benchmark: str = "geneval",
    ) -> list[StoredRun]:
        """A bench in this setting, done: one run a method."""
        return run(self.request(methods, steps, changes, benchmark), results, console, self.workers)


def _table1(setting: Setting, results: Path) -> None:
    own = ":shapes" if setting.model == "shapes" else ""
    methods = ["base", "hypernoise", f"prompt-optimization{own}", "best-of-n", f"reno{own}"]
    run_bench(setting.request(methods, steps=None), results, setting.workers)


def _by_steps(benchmark: str, steps: Sequence[int]) -> Callable[[Setting, Path], None]:
    """Table 5, 6 or 7: base and HyperNoise on another benchmark than GenEval."""

    def make(setting: Setting, results: Path) -> None:
        console = Console()
        methods = ["base", "hypernoise"]
        groups = [setting.run(methods, each, results, console, benchmark=benchmark) for each in steps]
        publish_groups(groups, results, console)

    return make


def _table8(setting: Setting, results: Path) -> None:
    console = Console()
    methods = ["base", "lora-finetune", "hypernoise"]
    groups = [setting.run(methods, steps, results, console) for steps in STEPS]
    publish_sweep(steps_sweep(groups), results, console)


def _train(setting: Setting, method: str, rank: int, results: Path) -> Path:
    """The folder of a method's adapter of some rank, trained if it is not there; its scale is the preset's."""
    name = "shapes-ranks" if setting.model == "shapes" else None
    preset = preset_of(TRAININGS[method], setting.model, name)
    folder = results / "adapters" / f"{setting.model}-rank-{rank}" / method
    run_training(
        TrainRequest(
            kind=TRAININGS[method],
            model=setting.model,
            preset=name,
            prompts=[],
            rewards=[],
            changes=[f"rank={rank}", f"alpha={preset.alpha / preset.rank * rank}"],
            output=folder,
            device=setting.device,
            allow_overlap=False,
        )
    )
    return folder


def _ranks(method: str) -> Callable[[Setting, Path], None]:
    """Table 9 or 10: adapters of several ranks for a method, beside base."""

    def make(setting: Setting, results: Path) -> None:
        console = Console()
        folders = [_train(setting, method, rank, results) for rank in RANKS]
        groups = []
        for steps in RANK_STEPS:
            group = setting.run(["base"], steps, results, console)
            for folder in folders:
                group += setting.run([method], steps, results, console, [f"{method}.adapter={folder}"])
            groups.append(group)
        publish_sweep(rank_sweep(method, groups), results, console)

    return make


def _images(
    number: int, methods: list[str], steps: int, prompts: int = SHOWN
) -> Callable[[Setting, Path], None]:
    """A figure of images: prompts down, methods across, the same x0 in a row."""

    def make(setting: Setting, results: Path) -> None:
        console = Console()
        runs = setting.run(methods, steps, results, console)
        path = results / setting.model / f"figure{number}.png"
        contact_sheet(runs, runs[0].settings["first_seed"], prompts, path)
        console.print(f"Written to {path}", style="dim", highlight=False)

    return make


def _figure4(setting: Setting, results: Path) -> None:
    """Redness is what is trained on; the model's first own reward stands for image quality."""
    quality = next(iter(find("model", setting.model).default_rewards))
    own = setting.model == "shapes"
    folder = results / "adapters" / f"{setting.model}-redness"
    kinds = {"hypernoise": "HyperNoise", "lora": "LoRA fine-tuning"}
    for kind in kinds:
        run_training(
            TrainRequest(
                kind=kind,
                model=setting.model,
                preset="shapes-redness" if own else "table3-redness",
                prompts=[] if own else [REDNESS_PROMPTS],
                rewards=["redness=1", f"{quality}=0"],
                changes=[] if own else [f"epochs={REDNESS_EPOCHS:.4f}"],
                output=folder / kind,
                device=setting.device,
                allow_overlap=False,
            )
        )
    folders = {name: folder / kind for kind, name in kinds.items()}
    publish_tradeoff(folders, "redness", quality, results / setting.model, Console())


@dataclass(frozen=True)
class Claim:
    """A table or figure of the paper, and what makes it anew."""

    shows: str
    make: Callable[[Setting, Path], None]


CLAIMS = {
    "table1": Claim("GenEval of base, HyperNoise, prompt optimization, Best-of-N and ReNO", _table1),
    "table5": Claim(
        "T2I-CompBench of base and HyperNoise at 1, 2 and 4 steps", _by_steps("t2i-compbench", (1, 2, 4))
    ),
    "table6": Claim(
        "DPG-Bench of base and HyperNoise at 1, 2 and 4 steps", _by_steps("dpg-bench", (1, 2, 4))
    ),
    "table7": Claim(
        "diversity of base and HyperNoise; the paper has 50 seeds: --seeds 50", _by_steps("diversity", (1,))
    ),
    "table8": Claim(
        "GenEval of base, LoRA fine-tuning and HyperNoise at 1 to 32 steps; holds Table 2", _table8
    ),
    "table9": Claim("GenEval of HyperNoise by the rank of its LoRA", _ranks("hypernoise")),
    "table10": Claim("GenEval of LoRA fine-tuning by its rank", _ranks("lora-finetune")),
    "figure4": Claim(
        "redness against image quality while HyperNoise and LoRA fine-tuning train; draws Figure 3 too",
        _figure4,
    ),
    "figure5": Claim("images of base and HyperNoise at 4 steps", _images(5, ["base", "hypernoise"], steps=4)),
    "figure6": Claim(
        "images of base, LoRA fine-tuning and HyperNoise: what hacking the reward looks like",
        _images(6, ["base", "lora-finetune", "hypernoise"], steps=1),
    ),
    "figure8": Claim(
        "images of base and HyperNoise, not picked; stands for Figure 7 too",
        _images(8, ["base", "hypernoise"], steps=1, prompts=2 * SHOWN),
    ),
}


def reproduce(name: str, setting: Setting, results: Path) -> None:
    """Make a table or figure of the paper anew.

    Raises:
        HnError: if nothing of that name can be made.
    """
    if name not in CLAIMS:
        raise HnError(f"hn reproduce knows no {name!r}: {nearest(name, list(CLAIMS))}")
    CLAIMS[name].make(setting, results)
