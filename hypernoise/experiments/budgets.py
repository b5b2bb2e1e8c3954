"""`hn budgets`: methods with larger and larger budgets, on the same prompts and noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan, run
from hypernoise.experiments.environment import pick_device
from hypernoise.registry import find
from hypernoise.tables.budgets import publish_budgets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun


def _requests(request: Request, budgets: Sequence[int]) -> dict[tuple[str, int], Request]:
    """One request for each method and budget; `base` once, as budget 1.

    Raises:
        HnError: if a method has no budget to set.
    """
    requests = {("base", 1): replace(request, methods=["base"], changes=[])}
    for text in request.methods:
        name = text.partition(":")[0]
        setting = find("method", name).budget
        if name == "base":
            continue
        if setting is None:
            raise HnError(f"The method {name!r} has no budget to vary; leave it out.")
        own = [change for change in request.changes if change.startswith(f"{name}.")]
        for budget in budgets:
            changes = [*own, f"{name}.{setting}={budget}"]
            requests[text, budget] = replace(request, methods=[text], changes=changes)
    return requests


def run_budgets(request: Request, budgets: Sequence[int], results: Path) -> None:
    """Run every method with every budget, and write and draw how the score grows.

    Raises:
        HnError: for the first thing that cannot be done, before anything is computed or written.
    """
    plan(request, pick_device(request.device))
    console = Console()
    done: dict[tuple[str, int], StoredRun] = {}
    for (method, budget), one in _requests(request, budgets).items():
        console.print(f"{method}, budget {budget}", highlight=False)
        (done[method, budget],) = run(one, results, console)
    publish_budgets(done, results, console)
