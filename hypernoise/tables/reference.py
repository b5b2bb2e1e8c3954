"""The paper's own tables, as printed: `results/reference/table<n>.csv`."""

from __future__ import annotations

import io
from importlib.resources import files

import pandas as pd

from hypernoise.errors import HnError

TEXT = ("model", "method", "footnote")


def paper_rows(table: int | None) -> pd.DataFrame:
    """Read a table of the paper, one line a row, in the paper's order.

    Args:
        table: The table's number in the paper; None gives no rows.

    Returns:
        The printed numbers under our names of models and methods. `footnote` is empty where a row needs none.

    Raises:
        HnError: No numbers of this table are kept.
    """
    if table is None:
        return pd.DataFrame(columns=[*TEXT])
    # By the full name: the folder then is found even if another `results/reference` comes first on the path.
    folder = files("results.reference")
    source = folder / f"table{table}.csv"
    if not source.is_file():
        known = sorted(file.name for file in folder.iterdir() if file.name.endswith(".csv"))
        raise HnError(f"No numbers of the paper's Table {table} are kept here, only {', '.join(known)}.")
    frame = pd.read_csv(
        io.StringIO(source.read_text(encoding="utf-8")),
        dtype=dict.fromkeys(TEXT, "str") | {"steps": "Int64"},
    )
    return frame.fillna(dict.fromkeys(TEXT, ""))
