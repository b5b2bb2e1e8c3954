"""`hn budgets`: methods with larger and larger budgets, and those that have none, on the same prompts and noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan, run
from hypernoise.experiments.environment import pick_device
from hypernoise.registry import find
from hypernoise.tables.budgets import publish_budgets
from hypernoise.tables.cost import Comparison, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def _requests(request: Request, budgets: Sequence[int]) -> Iterator[tuple[str, int | None, Request]]:
    """Method, budget and request of every run: `base` first, and one run for a method without a budget to vary.

    Raises:
        HnError: if the user sets what the budgets vary.
    """
    others = [text for text in request.methods if text.partition(":")[0] != "base"]
    for text in ("base", *others):
        name = text.partition(":")[0]
        own = [change for change in request.changes if change.startswith(f"{name}.")]
        setting = find("method", name).budget
        for change in own:
            if setting and change.startswith(f"{name}.{setting}="):
                raise HnError(f"--budget sets {name}.{setting}, so --set {change} has no place beside it.")
        for budget in budgets if setting else [None]:
            changes = own if budget is None else [*own, f"{name}.{setting}={budget}"]
            yield text, budget, replace(request, methods=[text], changes=changes)


def run_budgets(request: Request, budgets: Sequence[int], results: Path, workers: int = 1) -> None:
    """Run every method with every budget, and write and draw how its score grows with what it costs.

    Raises:
        HnError: for the first thing that cannot be done, before anything is computed or written.
    """
    device, console = pick_device(request.device), Console()
    plan(request, device)
    requests = list(_requests(request, budgets))
    for _, _, one in requests:
        plan(one, device)
    points = []
    for method, budget, one in requests:
        console.print(method if budget is None else f"{method}, budget {budget}", highlight=False)
        (done,) = run(one, results, console, workers)
        points.append(Point(method, budget, done))
    publish_budgets(Comparison(points), results, console)
