"""What identifies a run, and the pieces that it is done in."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import fields, replace
from importlib.metadata import packages_distributions
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.geneval.benchmark import GenEval
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Prompt, spread
from hypernoise.experiments.environment import PACKAGES, versions
from hypernoise.experiments.plan import RunSettings, pieces, prompts_sha256, seed_range

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
SETTINGS = RunSettings(
    model="shapes",
    method="reno",
    preset="paper",
    method_settings={"iterations": 50, "learning_rate": 5.0},
    benchmark="geneval",
    suite="shapes",
    prompts=300,
    prompts_sha256="8d77",
    first_seed=0,
    seeds=4,
    steps=1,
    rewards={"redness": 0.5, "shapes-match": 1.0},
    batch=40,
    device="cpu",
    tiling=False,
    compiled=False,
    weights={"transformer": "d659", "text": "06c4"},
    judges={"detector": "1f0a"},
    versions={"torch": "2.14.1", "numpy": "2.4.6"},
)
OTHER: dict[str, Any] = {
    "method_settings": {"iterations": 50, "learning_rate": 5.1},
    "rewards": {"redness": 0.5, "shapes-match": 1.5},
    "weights": {"transformer": "d65a", "text": "06c4"},
    "judges": {"detector": "1f0b"},
    "versions": {"torch": "2.14.2", "numpy": "2.4.6"},
}
PROMPT = Prompt(3, "a photo of a star", "single_object", {"include": [{"class": "star", "count": 1}]})


def prompts_of(indices: Sequence[int]) -> list[Prompt]:
    return [Prompt(index, f"prompt {index}", "task", {}) for index in indices]


@pytest.mark.parametrize("name", [field.name for field in fields(RunSettings)])
def test_a_change_of_any_setting_is_another_run(name: str) -> None:
    value: Any = getattr(SETTINGS, name)
    changed = OTHER.get(name, value + 1 if isinstance(value, int) else f"{value}x")
    assert replace(SETTINGS, **{name: changed}).run != SETTINGS.run


def imported(file: Path) -> set[str]:
    """The packages that a file imports anywhere, by their first names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_all_packages_that_images_and_scores_come_from_identify_a_run() -> None:
    rooms = ["hypernoise/generators", "hypernoise/rewards", "hypernoise/rewriters", "benchmarks", "baselines"]
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    files += (ROOT / "hypernoise" / "shapes").glob("*.py")
    own, reader = (
        {"hypernoise", "benchmarks", "baselines"},
        "safetensors",
    )  # hashes of what it reads identify a run
    packages = set().union(*map(imported, files)) - sys.stdlib_module_names - own - {reader}
    brought_by = packages_distributions()
    distributions = {name.lower().replace("-", "_") for each in packages for name in brought_by[each]}
    assert distributions | {"hypernoise"} == set(PACKAGES)
    assert versions().keys() == {"python", *PACKAGES}


def test_the_order_of_named_values_is_no_setting() -> None:
    backwards: dict[str, Any] = {name: dict(reversed(getattr(SETTINGS, name).items())) for name in OTHER}
    assert replace(SETTINGS, **backwards).run == SETTINGS.run


def test_a_run_s_name_says_what_it_is_and_names_a_folder() -> None:
    assert re.fullmatch(r"shapes-reno-geneval-shapes-[0-9a-f]{10}", SETTINGS.run)


@given(
    indices=st.lists(st.integers(0, 500), unique=True, max_size=20),
    first_seed=st.integers(0, 9),
    seeds=st.integers(1, 5),
    batch=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_pieces_hold_every_sample_once_and_in_order(
    indices: list[int], first_seed: int, seeds: int, batch: int
) -> None:
    run = replace(SETTINGS, first_seed=first_seed, seeds=seeds, batch=batch)
    made = pieces(prompts_of(indices), run)
    found = [(sample.prompt_index, sample.seed) for piece in made for sample in piece.samples]
    assert found == [(index, seed) for index in indices for seed in range(first_seed, first_seed + seeds)]
    assert [piece.number for piece in made] == list(range(len(made)))
    assert all(len(piece.samples) == batch for piece in made[:-1])
    assert all(1 <= len(piece.samples) <= batch for piece in made[-1:])


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROMPT, index=4),
        replace(PROMPT, text="a photo of a moon"),
        replace(PROMPT, task="colors"),
        replace(PROMPT, metadata={"include": [{"class": "star", "count": 2}]}),
    ],
)
def test_a_prompt_set_is_known_by_all_that_is_demanded(changed: Prompt) -> None:
    first, *_ = prompts_of([0])
    assert prompts_sha256([first, PROMPT]) == prompts_sha256([first, replace(PROMPT)])
    others = ([first, changed], [first], [first, PROMPT, PROMPT], [PROMPT, first])
    assert len({prompts_sha256(each) for each in ([first, PROMPT], *others)}) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", (0, 1)), ("4", (0, 4)), ("8-11", (8, 4)), ("7-7", (7, 1)), ("0-99999", (0, 100_000))],
)
def test_seed_ranges(text: str, expected: tuple[int, int]) -> None:
    assert seed_range(text) == expected


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "", "-", "four", "3.5", "11-8", "-3-4", "4-", "1-2-3", "0-100000", "100001", "9" * 5000],
)
def test_a_seed_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(HnError, match=r"^--seeds is .* but must be a number of seeds such as 4, or a range"):
        seed_range(text)


@pytest.mark.parametrize("limit", [1, 6, 7, 30, 299])
def test_a_limit_takes_from_the_tasks_in_turn(limit: int) -> None:
    suite = GenEval().prompts("shapes")
    chosen = spread(suite, limit)
    tasks = dict.fromkeys(prompt.task for prompt in suite)
    taken = {task: [prompt for prompt in chosen if prompt.task == task] for task in tasks}
    assert len(chosen) == limit
    assert all(a.index < b.index for a, b in pairwise(chosen))
    for task, of_task in taken.items():
        whole = [prompt for prompt in suite if prompt.task == task]
        assert of_task == list(islice(whole, len(of_task)))
        # A task gives less than another only where it has no more.
        assert len(of_task) in (len(whole), *(max(map(len, taken.values())) - n for n in (0, 1)))


@pytest.mark.parametrize("limit", [None, 300, 1000])
def test_no_limit_takes_all(limit: int | None) -> None:
    suite = GenEval().prompts("shapes")
    assert spread(suite, limit) == suite
