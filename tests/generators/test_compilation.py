"""`--compile`: the same images, noise gradients and adapters from compiled networks, and refusals in a sentence."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from hypernoise.errors import HnError
from hypernoise.generators.compilation import compile_networks, refuse_uncompilable
from hypernoise.generators.protocol import Generator
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.steering import SteersNoise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPTS = ["a photo of a red circle", "a photo of a blue star"]

compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs g++, which is not here"
)


def gradients(generator: Any) -> list[torch.Tensor]:
    """Images by a noise hypernetwork with random weights, and the gradients of these weights."""
    steering = SteersNoise(generator, LoraSettings(4, 4.0, dense_depthwise=False), 0, checkpointing=False)
    source = torch.Generator().manual_seed(3)
    for weight in steering.adapter.trainable():
        weight.data = 0.05 * torch.randn(weight.shape, generator=source)
    x0 = torch.randn((2, *generator.latent_shape), generator=source)
    images, _ = steering(x0, generator.encode(PROMPTS))
    images.sum().backward()
    return [images.detach(), *(weight.grad for weight in steering.adapter.trainable())]


@compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own look, hidden from others
def test_compiled_networks_give_the_same_images_and_gradients(fresh: Callable[[str], Any]) -> None:
    eager, compiled = fresh("sana"), fresh("sana")
    compile_networks(compiled)
    for here, there in zip(gradients(compiled), gradients(eager), strict=True):
        assert there.abs().max() > 0
        assert (here - there).abs().max() < 1e-4 * there.abs().max()


def test_a_model_without_networks_to_compile_is_refused() -> None:
    class Plain(Generator):
        name = "plain"

    with pytest.raises(
        HnError, match=r"^plain says of no network that it can be compiled: leave out --compile"
    ):
        compile_networks(Plain())


def test_a_machine_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch._dynamo.reset()  # what was compiled before is known still
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with pytest.raises(HnError, match=r"^torch.compile does not work here: .+ Leave out --compile\.$"):
        refuse_uncompilable(torch.device("cpu"))
