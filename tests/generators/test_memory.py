"""Memory options: the same gradients of fewer kept bytes, nearly the same image in tiles, text encoders elsewhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from kept import kept_bytes
from tiny_pipelines import autoencoder, sana

from hypernoise.errors import HnError
from hypernoise.generators.memory import fetched, save_memory
from hypernoise.generators.protocol import AMPLE, Memory, read_memory, refuse_offload
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.steering import STEERINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Any]

CPU = torch.device("cpu")
STEERED = ["shapes", "sana", "sd-turbo", "sdxl-turbo", "flux"]
PROMPTS = ["a photo of a red circle", "a photo of a blue star"]
CHECKPOINTING = Memory(checkpointing=True)


@pytest.fixture
def load(fresh: Load) -> Load:
    """Loads a generator by its name with memory options, the embedded world's too."""

    def load(name: str, memory: Memory = AMPLE) -> Any:
        return ShapesGenerator.load(CPU, memory) if name == "shapes" else fresh(name, memory, resolution=256)

    return load


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def images_of(generator: Any, x0: torch.Tensor, steps: int = 1) -> torch.Tensor:
    noise = draw(*x0.shape, seed=2)
    return generator.generate(x0, generator.encode(PROMPTS), steps, lambda _: noise)


def networks(generator: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    sampled = generator.sampler.autoencoder if hasattr(generator, "sampler") else generator.pipeline.vae
    return generator.denoiser, sampled


@pytest.mark.parametrize("tiling", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", STEERED)
def test_checkpointing_keeps_less_for_the_same_gradients_in_the_noise(
    name: str, steps: int, tiling: bool, load: Load
) -> None:
    found = []
    for checkpointing in (False, True):
        generator = load(name, Memory(checkpointing, tiling))
        x0 = draw(2, *generator.latent_shape, seed=1).requires_grad_()
        images = images_of(generator, x0, steps)
        (gradient,) = torch.autograd.grad((images * draw(*images.shape, seed=3)).sum(), x0)
        kept = kept_bytes(lambda x, own=generator: images_of(own, x, steps), x0, *networks(generator))
        found.append((images, gradient, kept))
    (images, gradient, kept), (again, same, less) = found
    assert torch.equal(again, images)
    assert gradient.any()
    torch.testing.assert_close(same, gradient, rtol=1e-5, atol=1e-6 * float(gradient.abs().max()))
    assert less < 0.5 * kept


@pytest.mark.parametrize("whole", [False, True], ids=["kept", "whole"])
@pytest.mark.parametrize("kind", list(STEERINGS))
@pytest.mark.parametrize("name", STEERED)
def test_checkpointing_leaves_a_trainings_gradients_as_they_are(
    name: str, kind: str, whole: bool, load: Load
) -> None:
    """Of a noise hypernetwork and of direct fine-tuning, whose own checkpointing may be on (`whole`)."""
    found = []
    for memory in (AMPLE, CHECKPOINTING):
        generator = load(name, memory)
        steering = STEERINGS[kind](generator, LoraSettings(rank=2, alpha=4), seed=0, checkpointing=whole)
        leaves = steering.adapter.trainable()
        for seed, leaf in enumerate(leaves):
            leaf.data = draw(*leaf.shape, seed=100 + seed) * 0.05
        x0 = draw(2, *generator.latent_shape, seed=1)
        images, delta = steering(x0, generator.encode(PROMPTS))
        value = (images * draw(*images.shape, seed=3)).sum() + delta.square().sum()
        found.append([value.detach(), *torch.autograd.grad(value, leaves)])
    largest = max(float(gradient.abs().max()) for gradient in found[0][1:])
    assert sum(bool(gradient.any()) for gradient in found[0][1:]) > 0.8 * len(found[0][1:])
    for expected, same in zip(*found, strict=True):
        torch.testing.assert_close(same, expected, rtol=1e-4, atol=1e-6 * largest)


@pytest.mark.parametrize("name", [*STEERED, "sd-v2.1", "sd3-medium", "flux-dev"])
@torch.no_grad()
def test_every_image_is_decoded_in_nine_tiles(name: str, load: Load) -> None:
    whole, tiled = load(name), load(name, Memory(tiling=True))
    x0 = draw(2, *whole.latent_shape, seed=1)
    sizes: list[torch.Size] = []
    networks(tiled)[1].decoder.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape))
    expected, images = images_of(whole, x0), images_of(tiled, x0)
    assert images.shape == expected.shape
    assert sum(size[0] for size in sizes) == 2 * 9
    assert max(size[-1] for size in sizes) == whole.latent_shape[-1] // 2
    assert (images - expected).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("autoencoder", "pixels"),
    [(sana().vae, 4), (autoencoder(4, levels=3), 4), (autoencoder(4, levels=4), 8)],
    ids=["AutoencoderDC", "AutoencoderKL", "AutoencoderKL of 8 pixels a latent"],
)
@torch.no_grad()
def test_an_image_in_tiles_is_nearly_the_same(autoencoder: Any, pixels: int) -> None:
    """Of 64 by 64 latents: the smaller a tile, the more it misses of what is around it."""
    autoencoder.eval()
    z = draw(1, 4, 64, 64, seed=1)
    expected = autoencoder.decode(z).sample
    save_memory(Memory(tiling=True), None, autoencoder, 64 * pixels)
    tiled = autoencoder.decode(z).sample
    assert 0 < (tiled - expected).abs().mean() < 0.15 * expected.std()


@pytest.mark.parametrize("name", [*STEERED, "sd3.5-turbo"])
def test_text_encoders_are_fetched_to_encode_and_wait_elsewhere(
    name: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, plain = load(name, Memory(offload=True)), load(name)
    moves: list[tuple[torch.nn.Module, str]] = []
    to = torch.nn.Module.to

    def recorded(self: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        moves.append((self, str(device)))
        return to(self, CPU)

    offloaded = generator._offloaded
    for kind in {type(network) for network in offloaded}:
        monkeypatch.setattr(kind, "to", recorded)
    with fetched(offloaded, torch.device("cuda")):
        assert moves == [(network, "cuda") for network in offloaded]
    assert moves[len(offloaded) :] == [(network, "cpu") for network in offloaded]
    moves.clear()
    encoded = generator.encode(PROMPTS)
    assert len(moves) == 2 * len(offloaded) >= 2
    for key, tensor in plain.encode(PROMPTS).tensors.items():
        assert torch.equal(encoded.tensors[key], tensor)


def test_the_words_of_the_command_line() -> None:
    assert read_memory(None) == AMPLE
    assert read_memory("tiling, offload") == Memory(tiling=True, offload=True)
    assert read_memory("checkpointing,tiling").words == ["checkpointing", "tiling"]
    for text in ("", "tiles", "tiling,"):
        with pytest.raises(HnError, match="must be some of checkpointing, tiling, offload, such as"):
            read_memory(text)


def test_a_cpu_offloads_nothing_to_itself() -> None:
    refuse_offload(CHECKPOINTING, CPU)
    refuse_offload(Memory(offload=True), torch.device("cuda"))
    with pytest.raises(HnError, match="on a CPU, leave it out"):
        refuse_offload(Memory(offload=True), CPU)


def test_a_bench_knows_its_tiles(
    hn: Callable[..., list[str]], refusal: Callable[..., str], tmp_path: Path
) -> None:
    """Tiles make another run; checkpointing goes on with the same, whose images it leaves as they are."""
    words = ["bench", "geneval", "--limit", 3, "--seeds", 1, "--device", "cpu", "--results", tmp_path]
    words += ["--method", "base", "--method", "reno:shapes", "--set", "reno.iterations=3"]

    def runs() -> dict[Path, dict[str, bytes]]:
        found = (tmp_path / "runs").iterdir()
        return {run: {str(path): path.read_bytes() for path in run.glob("images/*/*.png")} for run in found}

    hn(*words, "--memory", "checkpointing")
    checkpointed = runs()
    shutil.rmtree(tmp_path / "runs")
    hn(*words)
    assert runs() == checkpointed
    hn(*words, "--memory", "checkpointing,tiling")
    assert {len(images) for images in runs().values()} == {3}
    assert len(runs()) == 4
    assert "such as checkpointing,tiling." in refusal(*words, "--memory", "tile")
    assert "on a CPU, leave it out" in refusal(*words, "--memory", "offload")
