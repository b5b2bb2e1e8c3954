"""`hn train`: an adapter from nothing to a peft folder, with logs, held-out evaluation and exact resumption."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from rich.console import Console
from tensorboardX import SummaryWriter

from hypernoise.errors import HnError
from hypernoise.experiments.bench import find_benchmark, reward_weights
from hypernoise.experiments.environment import make_current, pick_device
from hypernoise.files import locked, write_png
from hypernoise.generators.compilation import load_generator, refuse_uncompilable
from hypernoise.generators.protocol import AMPLE, refuse_offload, refuse_steering
from hypernoise.noise.evaluation import HELD_OUT, Evaluation
from hypernoise.noise.optimization import Optimization, build_steering
from hypernoise.noise.samples import Drawing
from hypernoise.noise.settings import OWN_PRESETS, PRESETS
from hypernoise.progress import training_progress
from hypernoise.prompts.overlap import overlap, refuse_overlap
from hypernoise.prompts.sets import load_all
from hypernoise.registry import faults, find, names, nearest
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.settings import overridden
from hypernoise.step_log import StepLog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from hypernoise.generators.protocol import Generator, Memory
    from hypernoise.noise.optimization import Update
    from hypernoise.noise.settings import TrainSettings


@dataclass(frozen=True)
class TrainRequest:
    """What the user asked for, as typed; `kind` is "hypernoise" or "lora".

    Without a preset, prompts or rewards, the model's own are used.
    """

    kind: str
    model: str
    preset: str | None
    prompts: Sequence[str]
    rewards: Sequence[str]
    changes: Sequence[str]
    output: Path
    device: str
    allow_overlap: bool
    memory: Memory = AMPLE
    compiled: bool = False


class Checkpoint:
    """The file that a killed training resumes from."""

    def __init__(
        self, folder: Path, settings: TrainSettings, prompts: Sequence[str], facts: dict[str, Any]
    ) -> None:
        self.path = folder / "checkpoint.pt"
        digest = hashlib.sha256("\n".join(prompts).encode()).hexdigest()
        self.identity = json.dumps(
            {"settings": asdict(settings), "prompts_sha256": digest, **facts}, sort_keys=True
        )

    def load(self, optimization: Optimization) -> float:
        """Go on from the file if there is one; returns the seconds already spent.

        Raises:
            HnError: if the file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return 0.0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            identity = state.pop("identity")
        except Exception:  # a damaged file makes torch raise errors of many kinds
            raise HnError(f"{self.path} cannot be read; delete it, and the training begins anew.") from None
        if identity != self.identity:
            raise HnError(
                f"{self.path} belongs to a training with other settings; choose another --output, or delete it."
            )
        seconds = float(state.pop("seconds"))
        optimization.load_state(state)
        return seconds

    def save(self, optimization: Optimization, seconds: float) -> None:
        """Write the file whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        torch.save(optimization.state() | {"identity": self.identity, "seconds": seconds}, temporary)
        temporary.replace(self.path)


class Logs:
    """What is written beside the weights: a JSON line and TensorBoard's events a step, and grids of images."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self._lines = StepLog(folder / "log.jsonl", step)
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def update(self, step: int, update: Update, seconds: float) -> None:
        """One optimizer step."""
        row = {key: value for key, value in asdict(update).items() if key != "rewards"} | update.rewards
        self._write(step, row | {"seconds": round(seconds, 1)})

    def evaluation(self, step: int, means: dict[str, float], grid: Image) -> None:
        """One held-out evaluation."""
        self._write(step, means)
        write_png(self.folder / "images" / f"{step:06d}.png", grid)

    def _write(self, step: int, row: dict[str, Any]) -> None:
        self._lines.write({"step": step} | row)
        for key, value in row.items():
            self._events.add_scalar(key, value, step)

    def close(self) -> None:
        """Write out what TensorBoard's writer holds back."""
        self._events.close()


@dataclass(frozen=True)
class Training:
    """A training that was checked and loaded."""

    request: TrainRequest
    settings: TrainSettings
    generator: Generator
    reward: Ensemble
    prompts: list[str]
    accelerator: Accelerator

    @property
    def facts(self) -> dict[str, Any]:
        """What was trained on what; of what it was computed with that which changes images."""
        return {
            "kind": self.request.kind,
            "model": self.request.model,
            "rewards": dict(self.reward.weights),
            "prompt_sets": list(self.request.prompts),
            "processes": self.accelerator.num_processes,
            **({"tiling": True} if self.request.memory.tiling else {}),
            **({"compiled": True} if self.request.compiled else {}),
        }

    def run(self, console: Console) -> None:
        """Train, evaluate, keep checkpoints, and write the adapter.

        Raises:
            HnError: if another training works in the same folder, or the checkpoint there is not of this one.
        """
        output, main = self.request.output, self.accelerator.is_main_process
        with locked(output / ".lock", f"the training {output}") if main else nullcontext():
            self._run(console)

    def _run(self, console: Console) -> None:
        training, held_out = self.prompts[:-HELD_OUT], self.prompts[-HELD_OUT:]
        steering = build_steering(self.request.kind, self.generator, self.settings)
        optimization = Optimization(steering, self.reward, self.settings, self.accelerator)
        checkpoint = Checkpoint(self.request.output, self.settings, training, self.facts)
        seconds = self._optimize(
            optimization,
            Drawing(self.generator, self.reward, training, self.settings),
            Evaluation(self.generator, self.reward, held_out),
            checkpoint,
        )
        if self.accelerator.is_main_process:
            facts = json.loads(checkpoint.identity)
            facts |= {
                "steps": optimization.step,
                "skipped_steps": optimization.skipped,
                "seconds": round(seconds),
            }
            steering.adapter.save(self.request.output, facts)
            console.print(f"Written to {self.request.output}", highlight=False)

    def _optimize(
        self, optimization: Optimization, drawing: Drawing, evaluation: Evaluation, checkpoint: Checkpoint
    ) -> float:
        """All steps that are left; returns the seconds of the whole training."""
        total = self.settings.steps(len(drawing.prompts), self.accelerator.num_processes)
        began = time.perf_counter() - checkpoint.load(optimization)
        main = self.accelerator.is_main_process
        logs = Logs(self.request.output, optimization.step) if main else None
        with training_progress() as progress:
            task = progress.add_task(self.request.kind, total=total, completed=optimization.step, logs="")
            while optimization.step < total:
                step, processes = optimization.step, self.accelerator.num_processes
                update = optimization.update(
                    drawing.micro_batches(step, self.accelerator.process_index, processes)
                )
                progress.update(task, advance=1, logs=_words(update, optimization.skipped))
                if logs is None:
                    continue
                logs.update(step + 1, update, time.perf_counter() - began)
                last = optimization.step == total
                if optimization.step % self.settings.evaluate_every == 0 or last:
                    logs.evaluation(optimization.step, *evaluation(optimization.steering))
                if optimization.step % self.settings.checkpoint_every == 0 or last:
                    checkpoint.save(optimization, time.perf_counter() - began)
        if logs is not None:
            logs.close()
        return time.perf_counter() - began


def _words(update: Update, skipped: int) -> str:
    rewards = " ".join(f"{name} {value:.3f}" for name, value in update.rewards.items())
    return f"{rewards} delta {update.delta_norm:.2f}" + (f" skipped {skipped}" if skipped else "")


def preset_of(kind: str, model: str, name: str | None = None) -> TrainSettings:
    """A preset of `hn train`, without a name the model's own.

    Raises:
        HnError: if there is none of that name.
    """
    presets = PRESETS[kind]
    own = OWN_PRESETS.get(model)
    name = name or (own if own in presets else next(iter(presets)))
    if name not in presets:
        raise HnError(f"hn train {kind} has no preset {name!r}: {nearest(name, list(presets))}")
    return presets[name]


def _settings(request: TrainRequest) -> TrainSettings:
    """The preset as the user changed it.

    Raises:
        HnError: if a change cannot be read, or limits a gradient that direct fine-tuning does not have.
    """
    changes = {}
    for text in request.changes:
        setting, equals, value = text.partition("=")
        if not equals:
            raise HnError(f"--set is {text!r} but must be SETTING=VALUE, such as rank=64.")
        changes[setting] = value
    settings = overridden(
        preset_of(request.kind, request.model, request.preset), changes, f"hn train {request.kind}"
    )
    if request.kind == "lora" and settings.max_noise_gradient:
        raise HnError("max_noise_gradient must be 0 in direct fine-tuning, which modulates no noise.")
    return settings


def _evaluated(suites: Sequence[str]) -> tuple[list[str], list[str]]:
    """All evaluation prompts of some suites, and the benchmarks whose prompts cannot be had here."""
    texts: list[str] = []
    absent = list(faults("benchmark"))
    for name in [name for name in names("benchmark") if name not in absent]:
        for suite in set(suites) & set(find("benchmark", name).suites):
            try:
                texts += [prompt.text for prompt in find_benchmark(name, suite).prompts(suite)]
            except HnError:
                absent.append(name)
    return texts, absent


def _prompts(request: TrainRequest, model: type[Generator]) -> tuple[list[str], list[str]]:
    """The prompts of all sets, each once, and what is to be said of them.

    No evaluation prompt is among them: the model's own sets are cleaned of those, sets that the user names are refused,
    unless the user insists.
    """
    prompts, (asked, absent) = load_all(request.prompts or model.training_prompts), _evaluated(model.suites)
    remarks = [
        f"Not compared with the evaluation prompts of {name}, which cannot be read on this machine."
        for name in absent
    ]
    common = set() if request.prompts else set(overlap(prompts, asked))
    if common:
        prompts = [prompt for prompt in prompts if prompt not in common]
        remarks.append(f"Left out {len(common)} training prompts that are also evaluation prompts.")
    refuse_overlap(prompts, asked, allow=request.allow_overlap)
    if len(prompts) <= HELD_OUT:
        raise HnError(f"A training needs more than {HELD_OUT} prompts, the last of which are held out.")
    return prompts, remarks


def accelerator_of(settings: TrainSettings, device: torch.device) -> Accelerator:
    """Device, processes and precision of a training."""
    precision = "bf16" if settings.precision == "bf16" else "no"
    return Accelerator(cpu=device.type == "cpu", mixed_precision=precision)


def run_training(request: TrainRequest) -> None:
    """Check everything that was typed, load, and train.

    Raises:
        HnError: for the first thing that cannot be done, before anything is written.
    """
    model = find("model", request.model)
    refuse_steering(model, f"hn train {request.kind}")
    settings = _settings(request)
    weights = reward_weights(request.rewards, model.default_rewards)
    prompts, remarks = _prompts(request, model)
    request = replace(request, prompts=request.prompts or model.training_prompts)
    device = pick_device(request.device)
    refuse_offload(request.memory, device)
    if request.compiled:
        refuse_uncompilable(device)
    make_current(device)
    accelerator = accelerator_of(settings, device)
    console = Console(quiet=not accelerator.is_main_process)
    for remark in remarks:
        console.print(remark, highlight=False)
    training = Training(
        request,
        settings,
        load_generator(request.model, accelerator.device, request.memory, compiled=request.compiled),
        Ensemble.load(weights, accelerator.device),
        prompts,
        accelerator,
    )
    training.run(console)
