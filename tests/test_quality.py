"""The embedded world is good enough to compare methods on: small live runs, and the table that is shipped."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from hypernoise.experiments.bench import Request, plan
from hypernoise.experiments.runner import Job, Workbench, execute
from hypernoise.experiments.store import RunStore
from hypernoise.tables.from_runs import StoredRun, rows
from hypernoise.tables.table1 import read_csv

RESULTS = Path(__file__).parents[1] / "results" / "shapes"


def test_methods_improve_on_base(workbench: Workbench, tmp_path: Path) -> None:
    request = Request(
        "geneval",
        "shapes",
        ["base", "hypernoise", "best-of-n", "reno:shapes"],
        "1",
        60,
        1,
        None,
        [],
        ["best-of-n.n=10", "reno.iterations=10"],
        30,
        "cpu",
    )
    plans, prompts, _ = plan(request, torch.device("cpu"))
    bench = copy.deepcopy(workbench)
    stores = [RunStore(tmp_path / each.settings.method) for each in plans]
    for each, store in zip(plans, stores, strict=True):
        execute(Job(each.settings, prompts, bench, each.method, store), lambda _: None)
    base, *others = rows([StoredRun(store) for store in stores])
    assert 0.35 <= base.mean.value <= 0.75
    assert [other.method for other in others] == ["hypernoise", "best-of-n", "reno"]
    assert all(other.mean.value > base.mean.value for other in others)


def test_the_shipped_table_holds_the_quickstarts() -> None:
    table = {row.method: row for row in read_csv(RESULTS / "table1.csv")}
    beside = {"lora-finetune": 1, "hypernoise-best-of-n": 100}
    expected = {"base": 1, "hypernoise": 2, "best-of-n": 50, "reno": 50} | beside
    assert {(row.prompts, row.seeds) for row in table.values()} == {(300, 4)}
    nfe = {name: row.nfe for name, row in table.items()}
    assert 40 < nfe.pop("prompt-optimization") <= 50  # some prompts have few other wordings
    assert nfe == expected
    assert 0.35 <= table["base"].mean.value <= 0.75
    assert table["base"].tasks["single_object"].value >= 0.8
    for name in table.keys() - {"base"}:
        delta = table[name].delta
        assert delta is not None
        assert abs(delta.value - (table[name].mean.value - table["base"].mean.value)) < 1e-9
        assert delta.low is not None
        assert (delta.low > 0) == (name != "lora-finetune")
