"""Two kinds of work that overlap: while one item is made, the item before it is finished."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_behind(items: Iterable[Item], finish: Callable[[Item], Result]) -> Iterator[Result]:
    """What `finish` returns for each item, in their order; it runs in a thread of its own while the next item is made.

    At most two items are held: the one being finished and the one being made. What `finish` raises is raised here
    before another item is finished. Whoever leaves early waits for the item being finished.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        begun: Future[Result] | None = None
        for item in items:
            if begun is not None:
                yield begun.result()
            begun = thread.submit(finish, item)
        if begun is not None:
            yield begun.result()
