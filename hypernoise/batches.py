"""Work in batches of one size, so that a result never depends on how many others were asked for with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_equal_batches(
    items: Sequence[Item], size: int, compute: Callable[[Sequence[Item]], Iterable[Result]]
) -> list[Result]:
    """What `compute` gives for each item, `size` items at once.

    The last batch is filled up with its last item. Matrix products round differently in another shape; in the same
    shape an item's result does not depend on the others.
    """
    results: list[Result] = []
    for start in range(0, len(items), size):
        batch = items[start : start + size]
        filled = [*batch, *[batch[-1]] * (size - len(batch))]
        results += list(compute(filled))[: len(batch)]
    return results
