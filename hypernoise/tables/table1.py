"""The rows of a benchmark's table and the CSV that keeps them: measured numbers only, never the paper's."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

from hypernoise.errors import HnError
from hypernoise.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PLAIN = ("model", "method", "steps", "params_b", "seconds", "nfe", "prompts", "seeds", "p_value")
REQUIRED = ("model", "method", "mean", "prompts", "seeds")
PARSERS = {"str": str, "Int64": int, "int64": int, "float64": float}


def types(tasks: Iterable[str]) -> dict[str, str]:
    """The CSV's columns in order and their types, for a benchmark's tasks or other parts."""
    tasks = tuple(tasks)
    return {
        **dict.fromkeys(("model", "method"), "str"),
        "steps": "Int64",
        **dict.fromkeys(("params_b", "seconds", "nfe"), "float64"),
        **dict.fromkeys(("mean", "mean_low", "mean_high", "delta", "delta_low", "delta_high"), "float64"),
        **dict.fromkeys(tasks, "float64"),
        **{f"{task}_{end}": "float64" for task in tasks for end in ("low", "high")},
        **dict.fromkeys(("prompts", "seeds"), "int64"),
        "p_value": "float64",
    }


@dataclass(frozen=True)
class Estimate:
    """A measured value and its 95% interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One method on one model.

    Attributes:
        model: The registry's name of the model.
        method: The registry's name of the method.
        steps: Steps of the generator.
        params_b: Parameters in billions, the noise hypernetwork's included.
        seconds: Time an image takes.
        nfe: Calls of the denoiser an image takes, the noise hypernetwork's included.
        mean: The benchmark's overall score.
        delta: Paired difference of `mean` to the same model's base; None for the base itself.
        tasks: Score of each task or other part of the benchmark; one that was not run is absent.
        prompts: Number of prompts.
        seeds: Number of images a prompt has.
        p_value: Sign-flip test of `delta`, Holm-corrected within the table.
    """

    model: str
    method: str
    steps: int | None
    params_b: float | None
    seconds: float | None
    nfe: float | None
    mean: Estimate
    delta: Estimate | None
    tasks: Mapping[str, Estimate]
    prompts: int
    seeds: int
    p_value: float | None

    def __post_init__(self) -> None:
        if isnan(self.mean.value):
            raise ValueError(f"{self.model} with {self.method} has no mean")


def to_frame(rows: Iterable[Row], tasks: Iterable[str]) -> pd.DataFrame:
    """Lay rows out in the CSV's columns.

    Raises:
        ValueError: if a row has a task that is not among `tasks`.
    """
    columns = types(tasks)
    records = [_record(row) for row in rows]
    if unknown := {name for record in records for name in record} - columns.keys():
        raise ValueError(f"not tasks of this benchmark: {sorted(unknown)}")
    return pd.DataFrame(records, columns=list(columns)).astype(columns)


def write_csv(rows: Iterable[Row], path: Path, tasks: Iterable[str]) -> None:
    """Write rows so that `path` holds either its old content or all of the new, whenever the process dies."""
    write_atomically(path, to_frame(rows, tasks).to_csv(index=False, lineterminator="\n").encode())


def read_csv(path: Path) -> tuple[Row, ...]:
    """Read the rows that `write_csv` wrote.

    Raises:
        HnError: The file is absent, or is not such a table.
    """
    # Not pandas: not every version of it reads back the float that it wrote.
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = tuple(reader.fieldnames or ())
            tasks = _tasks(names)
            if names != tuple(types(tasks)):
                raise ValueError("its columns differ")
            return tuple(_row(record, tasks) for record in reader)
    except FileNotFoundError:
        raise HnError(f"There is no table at {path}; check the path.") from None
    except (ValueError, csv.Error) as error:
        raise HnError(f"{path} is not a table that `hn` wrote: {error}.") from error


def _record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    for name, estimate in {"mean": row.mean, "delta": row.delta, **row.tasks}.items():
        if estimate is not None:
            record |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return record


def _tasks(names: Iterable[str]) -> tuple[str, ...]:
    """The tasks in a CSV's header: what has an interval and is neither the mean nor the difference."""
    lows = (name.removesuffix("_low") for name in names if name.endswith("_low"))
    return tuple(name for name in lows if name not in ("mean", "delta"))


def _row(record: Mapping[str, str], tasks: tuple[str, ...]) -> Row:
    columns = types(tasks)
    if set(record) != set(columns) or None in record.values():
        raise ValueError("a line has too many or too few cells")
    if absent := [name for name in REQUIRED if not record[name]]:
        raise ValueError(f"a row has no {absent[0]}")
    known: dict[str, Any] = {name: PARSERS[columns[name]](cell) for name, cell in record.items() if cell}
    estimates = {
        name: Estimate(known[name], known.get(f"{name}_low"), known.get(f"{name}_high"))
        for name in ("mean", "delta", *tasks)
        if name in known
    }
    plain: dict[str, Any] = {name: known.get(name) for name in PLAIN}
    return Row(
        **plain,
        mean=estimates["mean"],
        delta=estimates.get("delta"),
        tasks={task: estimates[task] for task in tasks if task in estimates},
    )
