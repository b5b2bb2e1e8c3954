"""T2I-CompBench's attribute binding score, from the probabilities that a VQA model gives.

The rules and their rounding are those of Karine-Huang/T2I-CompBench `BLIPvqa_eval/BLIP_vqa.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

PHRASES = 8
"""Noun phrases of a prompt that are asked about, the first ones."""


def questions(phrases: Sequence[str], limit: int = PHRASES) -> list[str]:
    """What is asked about an image: its prompt's noun phrases, each with a question mark."""
    return [f"{phrase}?" for phrase in phrases[:limit]]


def image_score(yes: Sequence[float], limit: int = PHRASES) -> float:
    """Product of an image's P(yes), 0..1; a missing phrase counts as 1.

    Each probability is rounded to four decimals, the product is taken in float32 and rounded again.
    """
    product = np.float32(1)
    for probability in yes[:limit]:
        product *= np.float32(rounded(probability))
    return rounded(product)


def rounded(value: float | np.float32) -> float:
    """A float32 number as its four printed decimals say it."""
    return float(f"{float(np.float32(value)):.4f}")
