"""Every setting of a training, and the paper's tables of them as presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hypernoise.noise.objective import REDUCTIONS

OPTIMIZERS = ("sgd", "adamw")
NOISES = ("fresh", "batch", "one", "multi")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class TrainSettings:
    """How an adapter is trained.

    `noise`: fresh for every sample (the paper's x0 ~ N(0, I)); one tensor for each step's whole batch, as the released
    code's large runs have it; one for the whole training; or one for each place in the batch (multi).
    `regularizer`: ½‖delta‖² summed over the latent, as in the paper, or its mean, as in the released code.
    `checkpointing` computes the adapted network's activations again instead of keeping them; the frozen generator's are
    a matter of `--memory checkpointing`.
    `max_noise_gradient` clips the gradient of each sample's reward by its modulated noise to this norm, as ReNO clips
    its own: where a generator is nearly discontinuous, few samples have most of a batch's gradient. 0, as in the paper,
    does not clip; direct fine-tuning has no such gradient.
    `warmup` steps raise the learning rate from 0. SGD has momentum 0.9, AdamW weight decay 1e-4.
    """

    learning_rate: float = 1e-3
    optimizer: str = "sgd"
    max_grad_norm: float = 1.0
    max_noise_gradient: float = 0.0
    rank: int = 128
    alpha: float = 256.0
    dense_depthwise: bool = True
    batch: int = 18
    accumulation: int = 3
    epochs: float = 25.0
    warmup: int = 0
    noise: str = "fresh"
    regularizer: str = "sum"
    temperature: float = 1.0
    precision: str = "bf16"
    checkpointing: bool = False
    seed: int = 0
    evaluate_every: int = 200
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("noise", NOISES),
            ("regularizer", REDUCTIONS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}")
        counts = (self.rank, self.batch, self.accumulation, self.evaluate_every, self.checkpoint_every)
        if min(counts) < 1 or self.warmup < 0:
            raise ValueError("rank, batch, accumulation and the intervals must be at least 1")
        sizes = (self.learning_rate, self.max_grad_norm, self.alpha, self.epochs, self.temperature)
        if not all(0 < size < math.inf for size in sizes):
            raise ValueError(
                "learning_rate, max_grad_norm, alpha, epochs and temperature must be above 0 and finite"
            )
        if not 0 <= self.max_noise_gradient < math.inf:
            raise ValueError("max_noise_gradient must be at least 0 and finite")

    @property
    def reward_divisor(self) -> float:
        """What one sample's reward is divided by in the loss of one optimizer step of one process."""
        return self.temperature * self.batch * self.accumulation

    def steps(self, prompts: int, processes: int = 1) -> int:
        """Optimizer steps of the whole training."""
        return math.ceil(self.epochs * prompts / (self.batch * self.accumulation * processes))

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, from 0 on; constant after the warm-up."""
        return self.learning_rate * (min(1.0, step / self.warmup) if self.warmup else 1.0)


_SANA = TrainSettings()
_SHAPES_RANKS = TrainSettings(
    learning_rate=3e-4,
    optimizer="adamw",
    rank=32,
    alpha=32.0,
    dense_depthwise=False,
    batch=64,
    accumulation=1,
    epochs=40.0,
    temperature=0.3,
    precision="fp32",
    evaluate_every=50,
)
_SHAPES = replace(_SHAPES_RANKS, epochs=164.0, evaluate_every=250)
_SHAPES_REDNESS = replace(
    _SHAPES_RANKS,
    regularizer="mean",
    batch=16,
    epochs=5.0,
    optimizer="sgd",
    learning_rate=0.02,
    evaluate_every=15,
)

PRESETS: dict[str, dict[str, TrainSettings]] = {
    "hypernoise": {
        "table4-sana-sprint": _SANA,
        "table4-sd-turbo": TrainSettings(
            learning_rate=1e-5, optimizer="adamw", max_grad_norm=1000.0, rank=256, accumulation=1
        ),
        "table4-flux-schnell": TrainSettings(
            learning_rate=2e-5, optimizer="adamw", alpha=640.0, batch=7, accumulation=4
        ),
        "table3-redness": replace(_SANA, batch=3, accumulation=1, epochs=200.0),
        "shapes": replace(_SHAPES, learning_rate=4e-4, warmup=30, temperature=0.1, max_noise_gradient=4.0),
        "shapes-ranks": _SHAPES_RANKS,
        "shapes-redness": _SHAPES_REDNESS,
    },
    "lora": {
        "table4-sana-sprint": _SANA,
        "table3-redness": replace(_SANA, learning_rate=1e-4, batch=3, accumulation=1, epochs=200.0),
        "shapes": _SHAPES,
        "shapes-ranks": _SHAPES_RANKS,
        "shapes-redness": replace(_SHAPES_REDNESS, learning_rate=0.01),
    },
}
"""By what is trained: the columns of Tables 3 and 4 under their names, and the embedded world's own."""

OWN_PRESETS = {
    "sana": "table4-sana-sprint",
    "sana-1.6b": "table4-sana-sprint",
    "sd-turbo": "table4-sd-turbo",
    "sdxl-turbo": "table4-sd-turbo",
    "flux": "table4-flux-schnell",
    "shapes": "shapes",
}
"""The preset that each generator is trained with where the user names none; of the paper's, the nearest in kind."""
