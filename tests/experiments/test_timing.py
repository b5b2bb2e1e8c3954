"""`hn time`: every method at every batch size, in multiples of base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from baselines.reno import Reno, RenoSettings
from hypernoise.experiments.ablation import as_published
from hypernoise.experiments.timing import Timed
from hypernoise.methods import Sample
from hypernoise.tables.times import Times

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernoise.experiments.runner import Workbench

METHODS = ["--method", "base", "--method", "hypernoise", "--method", "best-of-n", "--set", "best-of-n.n=3"]


def test_every_method_is_timed_at_every_batch_size(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    words = ["--batches", "1,2", "--rounds", 2, "--device", "cpu", "--results", tmp_path]
    hn("time", "--model", "shapes", *METHODS, *words)
    frame = pd.read_csv(tmp_path / "shapes" / "times.csv")
    names = ["base", "hypernoise", "best-of-n"]
    assert frame["method"].tolist() == names * 2
    assert frame["batch"].tolist() == [1] * 3 + [2] * 3
    assert frame["nfe"].tolist() == [1, 2, 3] * 2
    assert (frame["rounds"] == 2).all()
    assert (frame["seconds"] > 0).all()
    assert (frame["seconds_low"] <= frame["seconds"]).all()
    assert frame.loc[frame["method"] == "base", "times_base"].tolist() == [1.0, 1.0]
    text = (tmp_path / "shapes" / "times.md").read_text()
    assert frame["times_published"].isna().all()
    assert "a laboratory, not the paper's models" in text
    assert "Machine: system" in text


def test_the_published_structure_makes_the_same_images_and_is_timed_beside_ours(
    hn: Callable[..., list[str]], tmp_path: Path, workbench: Workbench
) -> None:
    words = ["--batches", "2", "--rounds", 1, "--ablate", "--device", "cpu", "--results", tmp_path]
    hn("time", "--model", "shapes", *METHODS, *words)
    frame = pd.read_csv(tmp_path / "shapes" / "times.csv").set_index(["method", "structure"])
    ours, theirs = (frame.loc[("best-of-n", structure)] for structure in ("ours", "published"))
    assert ours["times_published"] == pytest.approx(theirs["seconds"] / ours["seconds"], rel=1e-4)
    assert theirs["times_published"] == 1
    assert (ours["nfe"], theirs["nfe"]) == (3, 3)
    prompts = {prompt.index: prompt for prompt in workbench.benchmark.prompts("shapes")[:2]}
    samples = [Sample(0, 0), Sample(1, 0)]
    reno = Reno(RenoSettings(iterations=3, learning_rate=0.1))
    together = reno(workbench.batch(samples, prompts, 1)).images
    texts = [prompt.text for prompt in prompts.values()]
    singly = as_published(reno, [workbench.batch([sample], prompts, 1) for sample in samples], texts)
    torch.testing.assert_close(torch.cat([each.images for each in singly]), together, rtol=1e-3, atol=1e-4)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down between rounds does not change them."""
    timed = [
        Timed("base", "paper", 1, (1.0, 2.0, 10.0), 1, None),
        Timed("reno", "paper", 1, (3.0, 6.0, 30.0), 50, 12.0),
    ]
    frame = Times("shapes", 1, timed, {}).frame()
    assert frame["times_base"].tolist() == [1.0, 3.0]
    assert frame["seconds"].tolist() == [2.0, 6.0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "hypernoise"], "The first method must be base: "),
        (["--batches", "1,x"], "--batches is '1,x' but must be whole numbers from 1 on, such as 1,40."),
        (["--batches", "0"], "--batches is '0' but must be whole numbers from 1 on, such as 1,40."),
        (["--batches", "5000"], "There are 1200 samples but a batch of 5000: ask for at most 1200."),
    ],
)
def test_what_cannot_be_timed_is_refused(
    refusal: Callable[..., str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    assert refusal("time", *words, "--results", tmp_path).startswith(sentence)
    assert list(tmp_path.iterdir()) == []
