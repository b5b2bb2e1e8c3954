"""T2I-CompBench's validation prompts for attribute binding, 300 a category, with their noun phrases.

`data/prompts.jsonl` has a line a prompt in the published order (examples/dataset/{color,shape,texture}_val.txt, MIT
licence, copyright 2023 HKU). The phrases are the noun chunks of spaCy 3.8.18 with `en_core_web_sm` 3.8.0, so that
neither is needed here; another version of it may cut a few prompts otherwise. Chunks that name places ("top", "the
side", "the left", "the right") are left out.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

from hypernoise.errors import HnError

CATEGORIES = ("color", "shape", "texture")
SHA256 = "4f3cdfeed56576df98fb37ed611bf039640777a4f8a5a25cca5a7f757e5d65ff"


def published_prompts() -> list[dict[str, Any]]:
    """The 900 prompts: category, prompt, phrases.

    Raises:
        HnError: if the installed file was changed.
    """
    content = (files("benchmarks.t2i_compbench") / "data" / "prompts.jsonl").read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise HnError("benchmarks/t2i_compbench/data/prompts.jsonl was changed; install hypernoise again.")
    return [json.loads(line) for line in content.decode().splitlines()]
