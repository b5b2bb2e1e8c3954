"""Which nouns of the prompts COCO's detector can find, and under what name.

The published scripts use UniDet, which knows several hundred classes; ours knows COCO's 80. People and ships are merged
as the published scripts merge them. A `mouse` beside pigs and frogs is an animal, not COCO's computer mouse; desks,
bags, computers, chickens, ducks and swans are not forced into dining tables, handbags, laptops and birds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.geneval.coco_names import COCO_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

SYNONYMS = {
    "boy": "person",
    "girl": "person",
    "man": "person",
    "woman": "person",
    "phone": "cell phone",
    "plant": "potted plant",
    "ship": "boat",
    "sofa": "couch",
    "table": "dining table",
    "television": "tv",
}


def coco_name(noun: str) -> str | None:
    """COCO's name of what a noun in the singular says, or None where it has none."""
    name = SYNONYMS.get(noun, noun)
    return name if name in COCO_NAMES else None


def can_be_judged(row: Mapping[str, Any]) -> bool:
    """Whether COCO's classes hold everything that a prompt of `other_prompts` asks the detector for."""
    nouns = [*row.get("objects", []), *(noun for noun, _ in row.get("counts", []))]
    return all(coco_name(noun) for noun in nouns) and row.get("objects") != []
