"""The rows of our Table 1 (GenEval) and the CSV that keeps them: measured numbers only, never the paper's."""

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

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
TYPES = {
    **dict.fromkeys(("model", "method"), "str"),
    "steps": "Int64",
    **dict.fromkeys(("params_b", "seconds", "nfe"), "float64"),
    **dict.fromkeys(("mean", "mean_low", "mean_high", "delta", "delta_low", "delta_high"), "float64"),
    **dict.fromkeys(TASKS, "float64"),
    **{f"{task}_{end}": "float64" for task in TASKS for end in ("low", "high")},
    **dict.fromkeys(("prompts", "seeds"), "int64"),
    "p_value": "float64",
}
COLUMNS = tuple(TYPES)
PLAIN = ("model", "method", "steps", "params_b", "seconds", "nfe", "prompts", "seeds", "p_value")
REQUIRED = ("model", "method", "mean", "prompts", "seeds")
PARSERS = {"str": str, "Int64": int, "int64": int, "float64": float}


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
        mean: Mean of the tasks.
        delta: Paired difference of `mean` to the same model's base; None for the base itself.
        tasks: Score of each task in `TASKS`; a task that was not run is absent.
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
        if unknown := set(self.tasks) - set(TASKS):
            raise ValueError(f"not tasks of GenEval: {sorted(unknown)}")
        if isnan(self.mean.value):
            raise ValueError(f"{self.model} with {self.method} has no mean")


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Lay rows out in the CSV's columns."""
    return pd.DataFrame([_record(row) for row in rows], columns=list(COLUMNS)).astype(TYPES)


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Write rows so that `path` holds either its old content or all of the new, whenever the process dies."""
    write_atomically(path, to_frame(rows).to_csv(index=False, lineterminator="\n").encode())


def read_csv(path: Path) -> tuple[Row, ...]:
    """Read the rows that `write_csv` wrote.

    Raises:
        HnError: The file is absent, or is not such a table.
    """
    # Not pandas: not every version of it reads back the float that it wrote.
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("its columns differ")
            return tuple(_row(record) for record in reader)
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


def _row(record: Mapping[str, str]) -> Row:
    if set(record) != set(COLUMNS) or None in record.values():
        raise ValueError("a line has too many or too few cells")
    if absent := [name for name in REQUIRED if not record[name]]:
        raise ValueError(f"a row has no {absent[0]}")
    known: dict[str, Any] = {name: PARSERS[TYPES[name]](cell) for name, cell in record.items() if cell}
    estimates = {
        name: Estimate(known[name], known.get(f"{name}_low"), known.get(f"{name}_high"))
        for name in ("mean", "delta", *TASKS)
        if name in known
    }
    plain: dict[str, Any] = {name: known.get(name) for name in PLAIN}
    return Row(
        **plain,
        mean=estimates["mean"],
        delta=estimates.get("delta"),
        tasks={task: estimates[task] for task in TASKS if task in estimates},
    )
