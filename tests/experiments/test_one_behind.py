"""Work that overlaps: nothing is lost, reordered, held for long, or fails unseen."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest

from hypernoise.experiments.one_behind import one_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 60  # seconds, after which something has gone wrong


def test_an_item_is_finished_while_the_next_is_made() -> None:
    """Each waits for the other: one after the other, neither would come to an end."""
    made, finished = [Event() for _ in range(4)], [Event() for _ in range(4)]

    def make() -> Iterator[int]:
        for number in range(4):
            made[number].set()
            assert number < 2 or finished[number - 2].wait(LONG)
            yield number

    def finish(number: int) -> str:
        assert number == 3 or made[number + 1].wait(LONG)
        finished[number].set()
        return f"finished {number}"

    assert list(one_behind(make(), finish)) == [f"finished {number}" for number in range(4)]


def test_no_more_than_two_are_held() -> None:
    held: set[int] = set()
    most = 0

    def make() -> Iterator[int]:
        nonlocal most
        for number in range(9):
            held.add(number)
            most = max(most, len(held))
            yield number

    for number in one_behind(make(), lambda number: number):
        held.remove(number)
    assert (most, held) == (2, set())


def test_what_finishing_raises_is_raised_before_another_is_finished() -> None:
    finished: list[int] = []

    def finish(number: int) -> None:
        if number == 1:
            raise OSError("the disk")
        finished.append(number)

    with pytest.raises(OSError, match="the disk"):
        list(one_behind(range(5), finish))
    assert finished == [0]


def test_what_was_begun_is_finished_when_making_fails_or_the_caller_leaves() -> None:
    finished: list[int] = []

    def make() -> Iterator[int]:
        yield 0
        raise MemoryError

    with pytest.raises(MemoryError):
        list(one_behind(make(), finished.append))
    assert finished == [0]
    results = one_behind(range(5), finished.append)
    next(results)
    results.close()
    assert finished == [0, 0]
    assert list(one_behind([], finished.append)) == []
