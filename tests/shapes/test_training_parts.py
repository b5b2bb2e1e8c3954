"""`hn shapes train` from nothing to a bundle that loads, with steps too few to learn anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.errors import HnError
from hypernoise.files import locked
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.rewards.shapes import ShapesClip, ShapesMatch
from hypernoise.shapes import weights
from hypernoise.shapes.training import adversarial, autoencoder, rewards, student, teacher
from hypernoise.shapes.training.parts import train_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training takes three steps on few examples."""
    for part in (autoencoder, teacher, student, adversarial):
        monkeypatch.setattr(part, "SETTINGS", replace(part.SETTINGS, steps=3, batch=4))
    for name in ("CLIP", "MATCH"):
        monkeypatch.setattr(rewards, name, replace(getattr(rewards, name), steps=3, batch=4))
    monkeypatch.setattr(adversarial, "CRITIC_ALONE", 1)
    for part in (teacher, adversarial):
        monkeypatch.setattr(part, "POOL_SIZE", 512)
    monkeypatch.setattr(student, "PAIRS", 128)


@pytest.mark.usefixtures("short")
def test_all_parts_make_a_bundle_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle"
    train_parts([], tmp_path / "training", bundle)
    monkeypatch.setattr("hypernoise.generators.shapes.bundle", lambda: bundle)
    monkeypatch.setattr("hypernoise.rewards.shapes.bundle", lambda: bundle)
    generator = ShapesGenerator.load(CPU)
    with torch.no_grad():
        images = generator.generate(torch.randn(2, *generator.latent_shape), generator.encode(["a", "b"]))
        assert images.isfinite().all()
        for reward in (ShapesClip.load(CPU), ShapesMatch.load(CPU)):
            scores = reward.score(images, reward.encode(["a photo of a ring", "a photo of a star"]))
            assert scores.isfinite().all()
    files = {path.relative_to(weights.bundle()) for path in weights.bundle().rglob("*.*")}
    assert {path.relative_to(bundle) for path in bundle.rglob("*.*")} == files

    monkeypatch.setattr(rewards, "CLIP", replace(rewards.CLIP, steps=4))
    with pytest.raises(HnError, match="was made with other settings"):
        train_parts(["clip"], tmp_path / "training", bundle)


@pytest.mark.usefixtures("short")
def test_what_is_trained_already_draws_no_examples_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    bundle = tmp_path / "bundle"
    parts = ["teacher", "student", "adversarial"]
    train_parts(["autoencoder", *parts], tmp_path / "training", bundle)
    before = contents(bundle)
    for part, name in (
        (teacher, "draw_pool"),
        (student, "draw_trajectories"),
        (adversarial, "draw_pool"),
    ):
        monkeypatch.delattr(part, name)
    train_parts(parts, tmp_path / "training", bundle)
    assert contents(bundle) == before


def test_a_part_that_needs_an_earlier_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(HnError, match="train the earlier part first"):
        train_parts(["teacher"], tmp_path / "training", tmp_path / "bundle")


def test_a_part_that_another_process_trains_is_left_to_it(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "training" / ".clip.lock", "the same part"),
        pytest.raises(
            HnError, match=r"Another process is working on the part clip in .*training; wait until"
        ),
    ):
        train_parts(["clip"], tmp_path / "training", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_an_unknown_part_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(HnError, match="did you mean 'teacher'"):
        train_parts(["techer"], tmp_path / "training", tmp_path / "bundle")
    assert not list(tmp_path.iterdir())
