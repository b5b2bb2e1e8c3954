"""Prompts that are trained on must not be evaluated on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Sequence


def normalized(prompt: str) -> str:
    """The prompt without regard to case, to the amount of white space and to punctuation at its end."""
    return " ".join(prompt.casefold().split()).rstrip(" .,;:!?…")


def overlap(training: Sequence[str], evaluation: Sequence[str]) -> list[str]:
    """The training prompts that are also evaluation prompts, `normalized`, in the training's order and spelling."""
    evaluated = {normalized(prompt) for prompt in evaluation}
    return [prompt for prompt in training if normalized(prompt) in evaluated]


def refuse_overlap(training: Sequence[str], evaluation: Sequence[str], allow: bool) -> list[str]:
    """The overlap, for the record, if there is none or if it is allowed.

    Raises:
        HnError: otherwise.
    """
    common = overlap(training, evaluation)
    if common and not allow:
        raise HnError(
            f"{len(common)} of the {len(training)} training prompts are also evaluation prompts, for one "
            f"{common[0]!r}; train on others, or give --allow-overlap."
        )
    return common
