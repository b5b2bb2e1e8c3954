"""T2I-CompBench's validation prompts, 300 a category, with what its scores are made of.

The files in `data` have a line a prompt, each category in the published order (examples/dataset/*_val.txt, MIT licence,
copyright 2023 HKU). What spaCy is asked for is kept there, made with spaCy 3.8.18 and `en_core_web_sm` 3.8.0, so that
neither is needed here; another version of it may cut a few prompts otherwise.

Of a prompt's keys beside `category` and `prompt`, each stands for a part of its score:

- `phrases`: Noun chunks, which BLIP-VQA is asked about. Those that name places ("top", "the side", "the left", "the
  right") are left out.
- `objects` and `relation`: Two nouns and the words between them that say where the first is. In `complex`, the nouns
  beside a preposition, found by the rules of the published script; [] and None where it finds no two.
- `counts`: Nouns in the singular with the number asked for, from the published list of objects.
- `sentence`: What CLIP compares the image with. In `complex`, the prompt without its adjectives.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

from hypernoise.errors import HnError

CATEGORIES = ("color", "shape", "texture")

SHA256 = {
    "prompts.jsonl": "4f3cdfeed56576df98fb37ed611bf039640777a4f8a5a25cca5a7f757e5d65ff",
    "other_prompts.jsonl": "0a8698088004803989673a6ffaaa3d445e5d9a494bd6d0d060642d2284520363",
}


def published_prompts() -> list[dict[str, Any]]:
    """The 900 prompts of attribute binding: category, prompt, phrases.

    Raises:
        HnError: if the installed file was changed.
    """
    return _read("prompts.jsonl")


def other_prompts() -> list[dict[str, Any]]:
    """The 1,200 prompts of the other categories: category, prompt, and the keys of their parts.

    Raises:
        HnError: if the installed file was changed.
    """
    return _read("other_prompts.jsonl")


def _read(name: str) -> list[dict[str, Any]]:
    content = (files("benchmarks.t2i_compbench") / "data" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise HnError(f"benchmarks/t2i_compbench/data/{name} was changed; install hypernoise again.")
    return [json.loads(line) for line in content.decode().splitlines()]
