"""`hn compare` on a small live pair of runs, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hypernoise.experiments import statistics
from hypernoise.tables.compare import sheet
from hypernoise.tables.from_runs import find_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_difference_is_the_paired_one(results: Path) -> None:
    a, b = find_run(results, "shapes-base"), find_run(results, "shapes-best-of-n")
    printed = sheet(a, b)
    overall, *parts = printed.sections[0].lines
    assert overall[0].text == "overall"
    assert [line[0].text for line in parts] == sorted(set(a.scores.task))
    paired = statistics.paired_difference(b.scores, a.scores).overall
    assert overall[3].text == f"{paired.mean:+.3f}".replace("-", "−")
    assert overall[4].text == f"{statistics.sign_flip_p(b.scores, a.scores):.2g}"
    assert "5 prompts × 2 seeds. A and B differ in method, method_settings, preset." in printed.notes


def test_two_runs_are_compared_in_one_command(hn: Callable[..., list[str]], results: Path) -> None:
    text = "\n".join(hn("compare", "shapes-base", "shapes-best-of-n", "--results", results))
    assert "Paired comparison" in text
    assert "B − A" in text
    assert "sign-flip test" in text


def test_a_run_is_not_compared_with_itself(refusal: Callable[..., str], results: Path) -> None:
    said = refusal("compare", "shapes-base", "shapes-base", "--results", results)
    assert said.endswith("name two runs, `hn ls runs` lists them.")


def test_runs_on_other_samples_are_refused(
    hn: Callable[..., list[str]], refusal: Callable[..., str], results: Path
) -> None:
    hn(
        "bench",
        "geneval",
        "--seeds",
        "8-9",
        "--limit",
        5,
        "--batch",
        4,
        "--device",
        "cpu",
        "--results",
        results,
    )
    runs = hn("ls", "runs", "--results", results)
    base = [name for name in runs if name.startswith("shapes-base")]
    said = refusal("compare", *base, "--results", results)
    assert "have not the same samples: they differ in first_seed." in said


def test_one_stratum_is_not_repeated(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    options = ("--seeds", 2, "--limit", 4, "--device", "cpu", "--results", tmp_path)
    hn("bench", "dpg-bench", "--method", "base", "--method", "hypernoise", *options)
    a, b = find_run(tmp_path, "shapes-base"), find_run(tmp_path, "shapes-hypernoise")
    (line,) = sheet(a, b).sections[0].lines
    difference = statistics.paired_difference(b.scores, a.scores).overall.mean
    assert float(line[3].text.replace("−", "-")) == pytest.approx(100 * difference, abs=0.006)
