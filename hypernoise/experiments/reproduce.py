"""`hn reproduce`: the paper's tables and figures by name, each from one command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, run, run_bench
from hypernoise.noise.training import TrainRequest, run_training
from hypernoise.registry import find, nearest
from hypernoise.tables.steps import StepsTable, publish_steps
from hypernoise.tables.tradeoff import publish_tradeoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = (1, 2, 4, 8, 16, 32)
"""Table 8's numbers of steps."""


@dataclass(frozen=True)
class Setting:
    """What the user may choose of a reproduction."""

    model: str
    seeds: str
    limit: int | None
    batch: int
    device: str

    def request(self, methods: list[str], steps: int) -> Request:
        """A bench of GenEval in this setting."""
        return Request(
            benchmark="geneval",
            model=self.model,
            methods=methods,
            seeds=self.seeds,
            limit=self.limit,
            steps=steps,
            suite=None,
            rewards=[],
            changes=[],
            batch=self.batch,
            device=self.device,
        )


def _table1(setting: Setting, results: Path) -> None:
    reno = "reno:shapes" if setting.model == "shapes" else "reno"
    run_bench(setting.request(["base", "hypernoise", "best-of-n", reno], steps=1), results)


def _table8(setting: Setting, results: Path) -> None:
    console = Console()
    methods = ["base", "lora-finetune", "hypernoise"]
    runs = {steps: run(setting.request(methods, steps), results, console) for steps in STEPS}
    publish_steps(StepsTable(runs), results, console)


def _figure4(setting: Setting, results: Path) -> None:
    """Redness is what is trained on; the model's first own reward stands for image quality."""
    quality = next(iter(find("model", setting.model).default_rewards))
    folder = results / "adapters" / f"{setting.model}-redness"
    kinds = {"hypernoise": "HyperNoise", "lora": "LoRA fine-tuning"}
    for kind in kinds:
        run_training(
            TrainRequest(
                kind=kind,
                model=setting.model,
                preset="shapes-redness" if setting.model == "shapes" else "table3-redness",
                prompts=["shapes-train"] if setting.model == "shapes" else ["t2i-compbench-train"],
                rewards=["redness=1", f"{quality}=0"],
                changes=[],
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
    "table1": Claim("GenEval of base, HyperNoise, Best-of-N and ReNO", _table1),
    "table8": Claim(
        "GenEval of base, LoRA fine-tuning and HyperNoise at 1 to 32 steps; holds Table 2", _table8
    ),
    "figure4": Claim(
        "redness against image quality while HyperNoise and LoRA fine-tuning train; draws Figure 3 too",
        _figure4,
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
