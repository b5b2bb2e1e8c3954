"""The report's gallery as plain data: a row for each prompt and seed, a tile for each method on the same x0."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image
from rich.progress import track

from hypernoise.experiments.benchmark import in_turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from hypernoise.tables.from_runs import StoredRun

LIMIT = 30_000_000
"""Bytes of a gallery: what a browser opens at once from a disk."""

LARGEST = 256
"""Pixels of a side up to which images are shown as they are stored."""

Tile = dict[str, Any]
Row = dict[str, Any]
Records = dict[tuple[int, int], dict[str, Any]]


def gallery(runs: Sequence[StoredRun], limit: int = LIMIT) -> dict[str, Any]:
    """What the page's script reads: columns, tasks, rewards, size of the images, remarks, and the rows.

    Args:
        runs: Comparable runs, a method each; gains are told against the one of `base`.
        limit: Bytes from which on no more prompts are taken; they come from the tasks in turn.

    Raises:
        HnError: if an image is missing, unreadable or not the one that was scored.
    """
    first = runs[0]
    height, width = first.store.read_image(first.records[0]).shape[:2]
    rows, prompts = _rows(runs, limit)
    gains = any(tile["gain"] is not None for row in rows for tile in row["tiles"])
    return {
        "columns": [{"method": run.settings["method"], "run": run.name} for run in runs],
        "tasks": list(dict.fromkeys(row["task"] for row in rows)),
        "width": width,
        "height": height,
        "gains": gains,
        "graded": any(tile["score"] not in (0, 1) for row in rows for tile in row["tiles"]),
        "remarks": _remarks(prompts, len(first.prompts), max(width, height), limit, gains=gains),
        "rows": rows,
    }


def _rows(runs: Sequence[StoredRun], limit: int) -> tuple[list[Row], int]:
    """The rows that fit into the limit, in the suite's order, and the number of their prompts."""
    records: list[Records] = [{(r["prompt_index"], r["seed"]): r for r in run.records} for run in runs]
    seeds = sorted({seed for _, seed in records[0]})
    rows: list[Row] = []
    taken = size = 0
    for prompt in track(in_turns(runs[0].prompts), "report", transient=True):
        more = [_row(runs, records, (prompt.index, seed)) for seed in seeds]
        size += len(json.dumps(more))
        if size > limit:
            break
        rows += more
        taken += 1
    return sorted(rows, key=lambda row: (row["prompt_index"], row["seed"])), taken


def _row(runs: Sequence[StoredRun], records: Sequence[Records], key: tuple[int, int]) -> Row:
    found = [each[key] for each in records]
    base = next((r for run, r in zip(runs, found, strict=True) if run.settings["method"] == "base"), None)
    weights = runs[0].settings["rewards"]
    tiles = [_tile(run, record, base, weights) for run, record in zip(runs, found, strict=True)]
    shared = {name: found[0][name] for name in ("prompt_index", "seed", "prompt", "task")}
    return shared | {"tiles": tiles}


def _tile(
    run: StoredRun, record: dict[str, Any], base: dict[str, Any] | None, weights: Mapping[str, float]
) -> Tile:
    return {
        "image": data_uri(run.store.read_image(record)),
        "right": record["score"] >= 0.5,
        "score": record["score"],
        "reason": record["reason"],
        "rewards": record.get("rewards", {}),
        "gain": gain(record, base, weights),
        "detections": record["details"].get("detections", []),
        "facts": facts(record["details"]),
    }


def facts(details: Mapping[str, Any]) -> list[str]:
    """What the judge tells beside detections, such as the answers to its questions, a line each."""
    told = [(name, value) for name, value in details.items() if name != "detections"]
    return [_told(item) for name, value in told for item in _items(name, value)]


def _items(name: str, value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.items())
    return value if isinstance(value, list) else [(name, value)]


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ": ".join(map(_told, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def gain(
    record: Mapping[str, Any], base: Mapping[str, Any] | None, weights: Mapping[str, float]
) -> float | None:
    """How much higher the weighted reward is than base's; None where one of the two is not known."""
    totals = [_total(each.get("rewards", {}), weights) for each in (record, base or {})]
    return None if None in totals else round(totals[0] - totals[1], 4)  # type: ignore[operator]


def _total(rewards: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    values = [(weight, rewards.get(name)) for name, weight in weights.items()]
    known = [weight * value for weight, value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def data_uri(pixels: np.ndarray) -> str:
    """Pixels uint8 [H, W, 3] as an image within a page: PNG as stored, or a WebP thumbnail of large ones."""
    image, kind, buffer = Image.fromarray(pixels), "png", io.BytesIO()
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        kind = "webp"
    image.save(buffer, format=kind, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _remarks(shown: int, prompts: int, side: int, limit: int, *, gains: bool) -> list[str]:
    """What the reader must know of what is missing, or smaller than in the runs."""
    remarks = []
    if shown < prompts:
        remarks.append(
            f"Shows {shown} of {prompts} prompts, taken from the tasks in turn: "
            f"a page of all would be larger than {limit / 1e6:g} MB. Tables and intervals are of all prompts."
        )
    if side > LARGEST:
        remarks.append(
            f"Images are thumbnails of {LARGEST} pixels; the originals of {side} pixels lie in the runs."
        )
    if not gains:
        remarks.append(
            "Rows cannot be ordered by reward gain: a run of base, or a reward in the records, is missing."
        )
    return remarks
