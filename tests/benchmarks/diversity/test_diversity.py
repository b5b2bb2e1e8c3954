"""Means over pairs in closed form, and the networks against the package and the class that they come from."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torchvision.models import alexnet
from transformers import Dinov2Config, Dinov2Model

from benchmarks.diversity import dino, lpips, sources
from benchmarks.diversity.dino import Dino
from benchmarks.diversity.judge import judge_with
from benchmarks.diversity.rules import distances, similarities
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CPU = torch.device("cpu")


def flat(images: Sequence[np.ndarray]) -> torch.Tensor:
    """An embedding whose distances are known: the pixels themselves."""
    return torch.from_numpy(np.stack(images).reshape(len(images), -1)).float()


def pictures(count: int, side: int = 4) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def pairs(count: int, of: Callable[[int, int], float]) -> list[float]:
    return [np.mean([of(i, j) for j in range(count) if j != i]) for i in range(count)]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_means_over_all_pairs(chunk: int) -> None:
    images = pictures(7)
    vectors = flat(images).double().numpy()
    apart = pairs(7, lambda i, j: float(np.sum((vectors[i] - vectors[j]) ** 2)))
    cosine = pairs(
        7, lambda i, j: vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j])
    )
    np.testing.assert_allclose(distances(images, flat, chunk), apart, rtol=1e-12)
    np.testing.assert_allclose(similarities(images, flat, chunk), cosine, rtol=1e-12)


def test_equal_images_have_no_distance_and_full_similarity() -> None:
    images = [pictures(1)[0]] * 3
    np.testing.assert_allclose(distances(images, flat), 0, atol=1e-6)
    np.testing.assert_allclose(similarities(images, flat), 1)


def test_one_image_has_no_diversity() -> None:
    for measure in (distances, similarities):
        with pytest.raises(ValueError, match="at least two"):
            measure(pictures(1), flat)


def test_memory_does_not_grow_with_the_pairs() -> None:
    def wide(images: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.ones((len(images), 250_000)))  # 2 MB an image, counted by tracemalloc

    def peak(count: int) -> int:
        tracemalloc.start()
        distances(pictures(count), wide, chunk=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(32) < 1.2 * peak(8)


def test_the_judge_compares_within_a_prompt_alone() -> None:
    images = pictures(5)
    owners = [7, 3, 7, 3, 7]
    cases = [Prompt(index, "", "prompts", {}) for index in owners]
    judged = judge_with(flat, flat)(images, cases)
    for owner in (3, 7):
        alike = [image for image, index in zip(images, owners, strict=True) if index == owner]
        found = [each for each, index in zip(judged, owners, strict=True) if index == owner]
        assert [each.score for each in found] == distances(alike, flat).tolist()
        assert [each.details["similarity"] for each in found] == similarities(alike, flat).tolist()


@pytest.fixture(scope="module")
def backbone() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return alexnet(weights=None).state_dict()


def test_distances_are_those_of_the_package_lpips(backbone: dict[str, torch.Tensor]) -> None:
    import lpips as package  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision in an outdated way
        theirs = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    slices = {"0": "slice1", "3": "slice2", "6": "slice3", "8": "slice4", "10": "slice5"}
    features = {
        f"{slices[key.split('.')[1]]}.{key.removeprefix('features.')}": tensor
        for key, tensor in backbone.items()
        if key.startswith("features.") and key.split(".")[1] in slices
    }
    theirs.net.load_state_dict(features)
    ours = lpips.Lpips(backbone, torch.load(lpips._channels(), map_location="cpu", weights_only=True), CPU)
    images = pictures(4, 64)
    tensors = [torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1 for image in images]
    with torch.no_grad():
        each = {
            pair: theirs(tensors[pair[0]], tensors[pair[1]]).item()
            for pair in itertools.combinations(range(4), 2)
        }
    expected = pairs(4, lambda i, j: each[min(i, j), max(i, j)])
    assert min(expected) > 0
    np.testing.assert_allclose(distances(images, ours), expected, rtol=1e-4)


def test_another_backbone_than_torchvision_s_is_refused(
    backbone: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERNOISE_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    torch.save(backbone, tmp_path / "weights" / sources.ALEXNET.file.name)
    with pytest.raises(HnError, match=r"alexnet-owt-7be5be79\.pth holds no weights that can be read"):
        sources.ALEXNET.hashes()


def test_dino_embeds_by_its_class_token(hub: Callable[[str], Path]) -> None:
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=224, patch_size=56, mlp_ratio=2
    )
    model = Dinov2Model(config).eval()
    model.save_pretrained(hub(sources.DINO.repo))
    embed = Dino.load(CPU)
    images = pictures(2, 256)
    normal = (
        torch.from_numpy(np.stack(images)[:, 16:240, 16:240]).float() / 255 - torch.tensor(dino.MEAN)
    ) / (torch.tensor(dino.STD))
    with torch.no_grad():
        expected: Any = model(pixel_values=normal.permute(0, 3, 1, 2)).pooler_output
    torch.testing.assert_close(embed(images), expected, atol=1e-4, rtol=1e-4)
