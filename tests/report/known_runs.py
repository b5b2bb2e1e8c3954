"""Small stored runs whose scores and rewards are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypernoise.experiments.store import RunStore
from hypernoise.tables.from_runs import StoredRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
PROMPTS = tuple(f"a photo of thing {index} for {task}" for index, task in enumerate(TASKS))
SEEDS = 2
RIGHT = {"base": {0, 2, 4}, "hypernoise": {0, 3, 4, 5}, "best-of-n": set(range(6))}
"""The prompts that a method draws right."""

BOX = [1.0, 2.0, 5.0, 7.0]


def known_gain(method: str, index: int, seed: int) -> float:
    """By how much a method's weighted reward is above base's."""
    return {"base": 0.0, "hypernoise": index - 2 + seed / 4, "best-of-n": 1.0}[method]


def _record(method: str, index: int, seed: int, text: str, digest: str, right_score: float) -> dict[str, Any]:
    right = index in RIGHT[method]
    detection = {"class": text[-5:], "color": "red", "score": 0.75, "box": BOX}
    return {
        "prompt_index": index,
        "seed": seed,
        "prompt": text,
        "task": TASKS[index],
        "image_sha256": digest,
        "rewards": {"likes": 10.0 - index + known_gain(method, index, seed) / 2, "size": 3.0},
        "nfe": 1,
        "reward_forwards": 0,
        "reward_backwards": 0,
        "score": right * right_score,
        "reason": "" if right else f"expected {text}",
        "details": {"detections": [detection] * (index % 2), "answers": [["whole", right]]},
    }


def store_run(
    results: Path,
    method: str,
    texts: Sequence[str] = PROMPTS,
    side: int = 8,
    *,
    steps: int = 1,
    benchmark: str = "geneval",
    right_score: float = 1.0,
    rewards: bool = True,
    rank: int = 0,
) -> StoredRun:
    """A finished run of six prompts and two seeds; fewer steps are newer. Images get brighter by prompt."""
    store = RunStore(results / "runs" / f"shapes-{method}-{benchmark}-shapes-{steps + 100 * rank:010x}")
    settings = {
        "model": "shapes",
        "method": method,
        "preset": "paper",
        "method_settings": {"lora_rank": rank} if rank else {},
        "benchmark": benchmark,
        "suite": "shapes",
        "prompts": len(texts),
        "prompts_sha256": "0" * 64,
        "first_seed": 0,
        "seeds": SEEDS,
        "steps": steps,
        "rewards": {"likes": 2.0, "size": 1.0},
        "batch": 4,
    }
    machine = {"processor": "a processor", "threads": 1, "device": "cpu"}
    store.write_manifest(
        {
            "run": store.folder.name,
            "settings": settings,
            "parameters": 10,
            "machine": machine,
            "started": f"{9 - steps}",
        }
    )
    records, costs = [], []
    for index, text in enumerate(texts):
        for seed in range(SEEDS):
            digest = store.write_image(index, seed, np.full((side, side, 3), index * 40, np.uint8))
            record = _record(method, index, seed, text, digest, right_score)
            records.append(record if rewards else {k: v for k, v in record.items() if k != "rewards"})
            costs.append({"prompt_index": index, "seed": seed, "seconds": 0.5})
    store.write_piece(0, records, costs)
    return StoredRun(store)
