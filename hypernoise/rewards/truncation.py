"""A word to the user where a text is longer than a reward reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class TokenLimit:
    """How many tokens of a prompt a reward reads, the two at its ends included.

    Attributes:
        reward: The reward's name.
        tokens: The limit.
        lost: Where the tokens are that are not read: "after" those that are, or "before" them.
        told: Whether the user knows that prompts are longer.
    """

    reward: str
    tokens: int
    lost: str = "after"
    told: bool = False

    def check(self, lengths: Sequence[int]) -> None:
        """Warn, the first time only, where prompts of these lengths are cut."""
        longer = sum(length > self.tokens for length in lengths)
        if longer and not self.told:
            self.told = True
            warnings.warn(
                f"The reward {self.reward!r} reads {self.tokens} tokens of a prompt: {longer} of these {len(lengths)} "
                f"prompts are longer, and what comes {self.lost} plays no part in the score.",
                stacklevel=2,
            )
