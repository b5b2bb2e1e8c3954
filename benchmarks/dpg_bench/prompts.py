"""DPG-Bench's 1,065 prompts and their questions, from its table (Apache-2.0), downloaded when first needed."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from benchmarks.dpg_bench.rules import Question
from hypernoise.remote_files import KeptFile, RemoteFile

PROMPTS = 1065
COLUMNS = {"item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language"}


@dataclass(frozen=True)
class Item:
    """One prompt with the questions about its images, in the table's order."""

    name: str
    text: str
    questions: tuple[Question, ...]


def published_items(*, as_published: bool = False) -> list[Item]:
    """The prompts in the table's order.

    Raises:
        HnError: if the table cannot be had, or is another one than when it was first downloaded.
    """
    return read_table(TABLE.content(), as_published=as_published)


def read_table(content: bytes, *, as_published: bool = False) -> list[Item]:
    """The items of a table in DPG-Bench's format.

    Args:
        content: The CSV file.
        as_published: Leave out the first row, and of an item whose rows stand apart all but the last block, as the
            published script does.

    Raises:
        ValueError: if it is no such table.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if missing := COLUMNS - set(reader.fieldnames or ()):
        raise ValueError(f"no columns {', '.join(sorted(missing))}")
    texts: dict[str, str] = {}
    questions: dict[str, dict[int, Question]] = {}
    previous = None
    for row in rows[1:] if as_published else rows:
        name = row["item_id"]
        if as_published and name != previous:
            questions[name] = {}
        question = _question(row)
        texts[name] = row["text"]
        questions.setdefault(name, {})[question.number] = question
        previous = name
    return [Item(name, text, tuple(questions[name].values())) for name, text in texts.items()]


def _question(row: dict[str, str]) -> Question:
    parents = (int(number) for number in row["dependency"].split(","))
    return Question(
        number=int(row["proposition_id"]),
        text=row["question_natural_language"],
        parents=tuple(parent for parent in parents if parent != 0),
        category=row["tuple"].split("(")[0].strip(),
    )


def _whole(content: bytes) -> bytes:
    """The table, if it is of all prompts."""
    items = read_table(content)
    if len(items) != PROMPTS:
        raise ValueError(f"{len(items)} prompts instead of {PROMPTS}")
    return content


TABLE = KeptFile(
    RemoteFile(
        "https://raw.githubusercontent.com/TencentQQGYLab/ELLA/"
        "025f650e9b36b9603d606042635d98da09e870de/dpg_bench/dpg_bench.csv",
        sha256=None,  # nobody published it, so the first download is pinned
    ),
    "prompts/dpg-bench",
    _whole,
    gigabytes=0.002,
    licence="Apache-2.0",
)
