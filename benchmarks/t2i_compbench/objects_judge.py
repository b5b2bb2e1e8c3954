"""The parts of T2I-CompBench's scores that boxes decide: where two objects lie, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.t2i_compbench import numeracy, spatial
from benchmarks.t2i_compbench.boxes import scaled
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.t2i_compbench.boxes import Detect, Found
    from hypernoise.experiments.benchmark import Judge, Prompt


def judge_objects_with(detect: Detect) -> Judge:
    """The judge that asks `detect` for the nouns of prompts that hold `objects` or `counts`."""

    def judge(images: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> list[Judged]:
        found = detect(images, [nouns(prompt) for prompt in prompts])
        return [
            judged_objects(prompt, scaled(of, image.shape[:2]))
            for prompt, of, image in zip(prompts, found, images, strict=True)
        ]

    return judge


def nouns(prompt: Prompt) -> list[str]:
    """What the detector is asked for; nothing where the script's parser finds no two objects."""
    named: list[str] = prompt.metadata.get("objects") or [
        noun for noun, _ in prompt.metadata.get("counts", [])
    ]
    return named


def judged_objects(prompt: Prompt, found: Found) -> Judged:
    """The score of an image that shows these objects, boxes in pixels of the scaled image."""
    if "counts" in prompt.metadata:
        return judged_numbers(prompt.metadata["counts"], found)
    if not prompt.metadata["objects"]:
        return Judged(
            0.0, "the script reads no two objects from the prompt", {"objects": {}, "position": 0.0}
        )
    return judged_position(prompt.metadata["objects"], prompt.metadata["relation"], found)


def judged_position(objects: Sequence[str], relation: str, found: Found) -> Judged:
    """The best object of either noun, in their relation."""
    best = {noun: found[noun][0] for noun in objects if found.get(noun)}
    score = spatial.image_score(relation, *(best.get(noun) for noun in objects))
    missing = [noun for noun in objects if noun not in best]
    reason = (
        f"found no {' and no '.join(missing)}" if missing else f"{f' {relation} '.join(objects)} {score:.2f}"
    )
    seen = {
        noun: {"box": [round(corner, 1) for corner in each.box], "score": round(each.score, 4)}
        for noun, each in best.items()
    }
    return Judged(score, reason, {"objects": seen, "position": score})


def judged_numbers(asked: Sequence[tuple[str, int]], found: Found) -> Judged:
    """How many objects each noun has."""
    counts = {noun: len(numeracy.distinct(found.get(noun, []))) for noun, _ in asked}
    reason = ", ".join(f"{counts[noun]} of {count} {noun}" for noun, count in asked)
    return Judged(numeracy.image_score(asked, counts), reason, {"found": counts})
