"""Diversity's judge: each image against the other images of its prompt, which must be judged with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.diversity.rules import distances, similarities
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.diversity.rules import Embed
    from hypernoise.experiments.benchmark import Judge, Prompt


def judge_with(perceptual: Embed, semantic: Embed) -> Judge:
    """The judge whose score is the mean distance of `perceptual` features; details hold the cosine of `semantic`."""

    def judge(images: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> list[Judged]:
        places: dict[int, list[int]] = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(prompt.index, []).append(place)
        judged: dict[int, Judged] = {}
        for of_prompt in places.values():
            alike = [images[place] for place in of_prompt]
            apart, near = distances(alike, perceptual), similarities(alike, semantic)
            for place, distance, similarity in zip(of_prompt, apart, near, strict=True):
                judged[place] = Judged(float(distance), "", {"similarity": float(similarity)})
        return [judged[place] for place in range(len(images))]

    return judge
