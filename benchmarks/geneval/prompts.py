"""GenEval's prompts: the phrasing of the six tasks, and the seeded draw of the published 553.

Facts from djghosh13/geneval `prompts/create_prompts.py`: the wording, the order of the draws, seed 43.
The draw equals the published file byte for byte (`COCO_SHA256`).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from benchmarks.geneval.coco_names import COCO_NAMES
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
RELATIONS = ("left of", "right of", "above", "below")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

COCO_SHA256 = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
"""Of the published `evaluation_metadata.jsonl`."""

Requirement = TypedDict(
    "Requirement",
    {
        "class": str,
        "count": int,
        "color": NotRequired[str],
        "position": NotRequired[list[Any]],  # [relation, index of the target in `include`]
    },
)
"""One clause: at least `count` objects in `include`, fewer than `count` in `exclude`."""


class Metadata(TypedDict):
    """One prompt and what its image must show, as in a published JSON line."""

    tag: str
    include: NotRequired[list[Requirement]]
    exclude: NotRequired[list[Requirement]]
    prompt: str


def single(name: str) -> Metadata:
    """A photo of one object."""
    return {
        "tag": "single_object",
        "include": [{"class": name, "count": 1}],
        "prompt": f"a photo of {with_article(name)}",
    }


def two(a: str, b: str) -> Metadata:
    """A photo of two objects."""
    return {
        "tag": "two_object",
        "include": [{"class": a, "count": 1}, {"class": b, "count": 1}],
        "prompt": f"a photo of {with_article(a)} and {with_article(b)}",
    }


def counting(name: str, count: int) -> Metadata:
    """A photo of exactly `count` objects, 2 to 10 (2 to 4 in the published prompts)."""
    if not 2 <= count < len(NUMBERS):
        raise ValueError(f"a counting prompt needs a count from 2 to {len(NUMBERS) - 1}, got {count}")
    return {
        "tag": "counting",
        "include": [{"class": name, "count": count}],
        "exclude": [{"class": name, "count": count + 1}],
        "prompt": f"a photo of {NUMBERS[count]} {plural(name)}",
    }


def colored(name: str, color: str) -> Metadata:
    """A photo of one object in a color."""
    return {
        "tag": "colors",
        "include": [{"class": name, "count": 1, "color": color}],
        "prompt": f"a photo of {with_article(f'{color} {name}')}",
    }


def position(a: str, relation: str, b: str) -> Metadata:
    """A photo of `a` in a relation to `b`; the target `b` comes first in `include`."""
    return {
        "tag": "position",
        "include": [{"class": b, "count": 1}, {"class": a, "count": 1, "position": [relation, 0]}],
        "prompt": f"a photo of {with_article(a)} {relation} {with_article(b)}",
    }


def color_attribution(a: str, color_a: str, b: str, color_b: str) -> Metadata:
    """A photo of two objects, each in its own color."""
    return {
        "tag": "color_attr",
        "include": [
            {"class": a, "count": 1, "color": color_a},
            {"class": b, "count": 1, "color": color_b},
        ],
        "prompt": f"a photo of {with_article(f'{color_a} {a}')} and {with_article(f'{color_b} {b}')}",
    }


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an", by its first letter alone as in the published prompts."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def plural(name: str) -> str:
    """The published plural: "es" after "s", else "s" ("couchs", "knifes")."""
    return name + ("es" if name.endswith("s") else "s")


def draw(object_names: Sequence[str], seed: int = 43, n: int = 100) -> list[Metadata]:
    """Draw the prompts of all six tasks as GenEval did; duplicates are dropped, the first is kept.

    Args:
        object_names: Different names, "person" among them: people are never given a color.
        seed: Of numpy's default generator.
        n: Draws for each task but `single_object`, which has one prompt per name.

    Raises:
        ValueError: If "person" is missing or fewer than three names are given.
    """
    if "person" not in object_names or len(object_names) < 3:
        raise ValueError("the published draw needs at least three object names, 'person' among them")
    drawn: dict[str, Metadata] = {}
    for metadata in _draws(object_names, seed, n):
        drawn.setdefault(metadata["prompt"], metadata)
    return list(drawn.values())


def _draws(names: Sequence[str], seed: int, n: int) -> Iterator[Metadata]:
    # Every call below consumes the generator as the published script does: neither order nor form may change.
    rng = np.random.default_rng(seed)
    total, person = len(names), names.index("person")

    def thing(index: int) -> str:
        """Names other than "person", for an index in 0..total-2."""
        return names[(index + 1 + person) % total]

    for i in rng.choice(total, size=total, replace=False):
        yield single(names[i])
    for _ in range(n):
        a, b = rng.choice(total, size=2, replace=False)
        yield two(names[a], names[b])
    for _ in range(n):
        yield counting(names[rng.choice(total)], int(rng.integers(2, 4, endpoint=True)))
    for _ in range(n):
        yield colored(thing(rng.choice(total - 1)), COLORS[rng.choice(len(COLORS))])
    for _ in range(n):
        a, b = rng.choice(total, size=2, replace=False)
        yield position(names[a], RELATIONS[rng.choice(len(RELATIONS))], names[b])
    for _ in range(n):
        a, b = rng.choice(total - 1, size=2, replace=False)
        color_a, color_b = rng.choice(len(COLORS), size=2, replace=False)
        yield color_attribution(thing(a), COLORS[color_a], thing(b), COLORS[color_b])


def coco_prompts() -> list[Metadata]:
    """The 553 published prompts.

    Raises:
        HnError: If the installed numpy draws other ones; it does not promise the same stream for ever.
    """
    prompts = draw(COCO_NAMES)
    if sha256(prompts) != COCO_SHA256:
        raise HnError(f"numpy {np.__version__} does not draw GenEval's published prompts; install numpy 2.4.")
    return prompts


def to_jsonl(prompts: Iterable[Metadata]) -> str:
    """The text of a metadata file, one JSON object a line."""
    return "".join(json.dumps(metadata) + "\n" for metadata in prompts)


def sha256(prompts: Iterable[Metadata]) -> str:
    """The checksum that names a prompt set in results."""
    return hashlib.sha256(to_jsonl(prompts).encode()).hexdigest()
