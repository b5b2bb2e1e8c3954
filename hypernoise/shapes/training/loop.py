"""The training loop that every part of the embedded world shares: resumable, seeded, with a progress bar."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from hypernoise.errors import HnError
from hypernoise.progress import training_progress
from hypernoise.step_log import StepLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


Module = TypeVar("Module", bound=nn.Module)
Batch = TypeVar("Batch")

LOG_EVERY = 50
"""Steps between two lines of the log."""


@dataclass(frozen=True)
class LoopSettings:
    """How one part is optimized.

    Muon updates the weight matrices, AdamW everything else; the rate rises over `warmup` steps, stays, and
    falls linearly over the last `decay` part of the steps. `ema` is the averaged weights' decay per step.
    """

    steps: int
    batch: int = 128
    seed: int = 0
    adam_rate: float = 2e-3
    adam_betas: tuple[float, float] = (0.9, 0.99)
    muon_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: int = 100
    decay: float = 0.4
    ema: float = 0.998
    clip: float = 1.0
    checkpoint_every: int = 250

    def rate_at(self, step: int) -> float:
        """Factor on the learning rates at a step, 0 to 1."""
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return min(1.0, (step + 1) / self.warmup, left)


def _optimizers(module: nn.Module, settings: LoopSettings) -> list[torch.optim.Optimizer]:
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [p for p in parameters if p.ndim == 2 and min(p.shape) > 8 and id(p) not in embeddings]
    chosen = {id(p) for p in matrices}
    others = [p for p in parameters if id(p) not in chosen]
    adam = torch.optim.AdamW(
        others, settings.adam_rate, settings.adam_betas, weight_decay=settings.weight_decay
    )
    if not matrices or settings.muon_rate == 0:
        adam.add_param_group({"params": matrices})
        return [adam]
    muon = torch.optim.Muon(
        matrices, settings.muon_rate, weight_decay=settings.weight_decay, adjust_lr_fn="original"
    )
    return [adam, muon]


class Training:
    """One part being optimized: weights, their moving average, optimizers, and the checkpoint of all that."""

    def __init__(self, name: str, module: nn.Module, settings: LoopSettings, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        self.name, self.module, self.settings, self.folder = name, module, settings, folder
        self.averaged = copy.deepcopy(module).requires_grad_(requires_grad=False)
        self.optimizers = _optimizers(module, settings)
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.step, self.seconds = 0, 0.0
        self.smooth: dict[str, float] = {}
        self._resume()
        self.log = StepLog(folder / f"{name}.jsonl", self.step)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / f"{self.name}.pt"

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise HnError(
                f"{self._checkpoint} was made with other settings; delete it, or train in another folder."
            )
        self.module.load_state_dict(state["module"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write a checkpoint that is complete or absent."""
        state = {
            "settings": asdict(self.settings),
            "module": self.module.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rng": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = self._checkpoint.with_suffix(".partial")
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)

    def update(self, loss: torch.Tensor) -> None:
        """One optimizer step down the loss, at this step's learning rates."""
        factor = self.settings.rate_at(self.step)
        for optimizer, initial in zip(self.optimizers, self.rates, strict=True):
            optimizer.zero_grad(set_to_none=True)
            for group, rate in zip(optimizer.param_groups, initial, strict=True):
                group["lr"] = rate * factor
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        _average(self.averaged, self.module, min(self.settings.ema, (self.step + 1) / (self.step + 10)))
        self.step += 1

    def report(self, values: dict[str, float]) -> str:
        """Smooth what was measured, log it every 50 steps, and return it in words."""
        for key, value in values.items():
            self.smooth[key] = 0.95 * self.smooth.get(key, value) + 0.05 * value
        if self.step % LOG_EVERY == 0:
            row = {"step": self.step, "seconds": round(self.seconds, 1)}
            row |= {key: round(value, 5) for key, value in self.smooth.items()}
            self.log.write(row)
        return " ".join(f"{key} {value:.4f}" for key, value in self.smooth.items())


def train(
    name: str,
    module: Module,
    loss_of: Callable[[Batch], tuple[torch.Tensor, dict[str, float]]],
    batches_from: Callable[[int], Iterator[Batch]],
    settings: LoopSettings,
    folder: Path,
) -> Module:
    """Optimize `module` in place and return its exponential moving average.

    `batches_from(step)` yields the batches from a step on, the same ones however often it is asked; it is not asked
    when nothing is left to do. A checkpoint and a log (one JSON object a line: step, seconds, loss and what
    `loss_of` reports) are kept in `folder`; called again, the training goes on from the checkpoint.
    """
    training = Training(name, module, settings, folder)
    if training.step == settings.steps:
        return training.averaged  # type: ignore[return-value]
    began = time.perf_counter() - training.seconds
    steps = range(training.step, settings.steps)
    with training_progress() as progress:
        task = progress.add_task(name, total=settings.steps, completed=training.step, logs="")
        for _, batch in zip(steps, batches_from(training.step), strict=False):
            loss, logs = loss_of(batch)
            training.update(loss)
            training.seconds = time.perf_counter() - began
            progress.update(task, advance=1, logs=training.report({"loss": float(loss.detach()), **logs}))
            if training.step % settings.checkpoint_every == 0 or training.step == settings.steps:
                training.save()
    return training.averaged  # type: ignore[return-value]


@torch.no_grad()
def _average(averaged: nn.Module, module: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(module.parameters()), 1 - decay)
    for target, source in zip(averaged.buffers(), module.buffers(), strict=True):
        target.copy_(source)
