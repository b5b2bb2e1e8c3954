"""GenEval's detector around its network: what goes in, mmdet's weights, and the check of a device."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tiny_judges
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.models.swin.modeling_swin import SwinPatchMerging

from benchmarks.geneval import canary, colors, detector, mmdet_weights, sources
from benchmarks.geneval.benchmark import GenEvalAsPublished
from benchmarks.geneval.detector import Detector, network_input
from benchmarks.geneval.mmdet_names import renamed
from benchmarks.geneval.opencv import resized
from benchmarks.sources import weights_named_by_hash
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Callable

CPU = torch.device("cpu")
NAMES = (Path(__file__).parent / "mmdet_names.txt").read_text().splitlines()
"""Of mmdet 3.3.0's network with one layer of each kind."""

IDLE = {"criterion.empty_weight"} | {
    f"model.pixel_level_module.encoder.swin.layernorm.{kind}" for kind in ("weight", "bias")
}


def random_image(height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8))


def test_images_are_scaled_as_opencv_does() -> None:
    """Against `cv2.resize` of OpenCV 4.10 and 5.0."""
    red = resized(random_image(5, 7), (9, 4))[0, ..., 0]
    assert red[:3].tolist() == [[177, 18, 178, 92], [144, 81, 149, 96], [89, 186, 101, 103]]
    assert red[-1].tolist() == [105, 129, 239, 108]
    stretched = resized(random_image(60, 90), (41, 133))[0].numpy()
    assert hashlib.sha256(stretched.tobytes()).hexdigest().startswith("6eb7caed4b659cd5")


def test_the_network_sees_a_shorter_side_of_800_pixels_and_padding() -> None:
    image = random_image(300, 421)
    pixels, scaled = network_input(image, side=800)
    assert (scaled, pixels.shape) == ((800, 1123), (1, 3, 800, 1152))
    assert not pixels[..., 1123:].any()
    red = pixels[0, 0, :, :1123] * 58.395 + 123.675
    torch.testing.assert_close(red, resized(image, scaled)[0, ..., 0].float())
    assert network_input(random_image(100, 400), side=800)[1] == (333, 1333)


def mmdet_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What mmdet would call a state of transformers' network, and how it would keep it."""
    theirs = {}
    for name in NAMES:
        ours = list(renamed({name: torch.zeros(3, 4)}))
        if ours:
            theirs[name] = torch.cat([state[each] for each in ours])
        if ".downsample." in name:
            theirs[name] = theirs[name].unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3)
    return theirs


def test_every_weight_of_mmdet_has_its_place() -> None:
    state = tiny_judges.mask2former().state_dict()
    theirs = mmdet_state(state)
    found = renamed(theirs)
    assert found.keys() == state.keys() - IDLE
    assert all(torch.equal(found[name], state[name]) for name in found)
    assert len(set(NAMES) - theirs.keys()) == 4  # computed: one a stage


def test_merged_patches_change_their_order() -> None:
    """Mmdet unfolds patches of 2 × 2; what is merged is equal if the weights' order follows."""
    torch.manual_seed(0)
    merging = SwinPatchMerging(3)
    scale, bias, matrix = torch.randn(12), torch.randn(12), torch.randn(6, 12)
    image = torch.randn(1, 3, 4, 6)
    patches = F.layer_norm(F.unfold(image, 2, stride=2).transpose(1, 2), (12,), scale, bias)
    theirs = {"norm.weight": scale, "norm.bias": bias, "reduction.weight": matrix}
    at = "backbone.stages.0.downsample."
    ours = renamed({at + name: tensor for name, tensor in theirs.items()})
    merging.load_state_dict({name.partition(".downsample.")[2]: tensor for name, tensor in ours.items()})
    torch.testing.assert_close(merging(image.flatten(2).transpose(1, 2), (4, 6)), patches @ matrix.T)


@pytest.fixture
def published(tmp_path: Path, hub: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny network in mmdet's format under a name that ends as published ones do; CLIP on the hub."""
    model = tiny_judges.mask2former()
    content = io.BytesIO()
    torch.save({"meta": {"CLASSES": ("person",)}, "state_dict": mmdet_state(model.state_dict())}, content)
    name = f"mask2former-{hashlib.sha256(content.getvalue()).hexdigest()[:8]}.pth"
    monkeypatch.setenv("HYPERNOISE_CACHE", str(tmp_path / "cache"))
    source = weights_named_by_hash(f"https://example.org/{name}", 0.001, "MIT")
    monkeypatch.setattr(mmdet_weights, "MMDET_DETECTOR", source)
    monkeypatch.setattr(GenEvalAsPublished, "sources", (source, sources.COLOR_CLASSIFIER))
    monkeypatch.setattr(mmdet_weights, "Mask2FormerConfig", lambda **_: model.config)
    monkeypatch.setattr(detector, "SIDE", 64)
    monkeypatch.setattr(colors, "ARCHITECTURE", tiny_judges.CLIP)
    clip = tiny_judges.clip(tmp_path)
    save_file(clip.state_dict(), hub(sources.COLOR_CLASSIFIER.repo) / "open_clip_model.safetensors")
    path = tmp_path / "cache" / "weights" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content.getvalue())
    return path


def test_the_published_weights_judge_in_transformers_class(published: Path) -> None:
    benchmark = GenEvalAsPublished()
    identity = benchmark.identity("coco")
    assert identity[published.name] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert set(identity) == {published.name, f"{sources.COLOR_CLASSIFIER.repo}/open_clip_model.safetensors"}
    image = random_image(32, 32)[0].numpy()
    found = benchmark.detector(CPU)([image], 0.0)[0]
    expected = Detector(tiny_judges.mask2former(), CPU, batch=1, side=64)([image], 0.0)[0]
    assert len(found) > 5
    assert [(i.name, i.box, i.score) for i in found] == [(i.name, i.box, i.score) for i in expected]
    assert "mmdet's weights" in benchmark.remarks("coco", [])[0]


def test_another_file_than_the_published_one_is_refused(published: Path) -> None:
    published.write_bytes(published.read_bytes() + b" ")
    with pytest.raises(HnError, match=r"\.pth holds no weights that can be read; delete it"):
        GenEvalAsPublished().identity("coco")


def test_a_state_that_lacks_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_judges.mask2former()
    monkeypatch.setattr(mmdet_weights, "Mask2FormerConfig", lambda **_: model.config)
    state = mmdet_state(model.state_dict())
    state.pop("panoptic_head.cls_embed.bias")
    with pytest.raises(HnError, match="does not hold mmdet's weights of Mask2Former"):
        mmdet_weights.network(state)


class Elsewhere(torch.nn.Module):
    """A network that answers otherwise once it is moved."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.model, self.change, self.moved = tiny_judges.mask2former(), change, False

    def to(self, *_: Any) -> Elsewhere:
        self.moved = True
        return self

    def forward(self, pixel_values: torch.Tensor) -> Any:
        outputs = self.model(pixel_values=pixel_values)
        if self.moved:
            outputs.masks_queries_logits = self.change(outputs.masks_queries_logits)
        return outputs


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (lambda masks: masks + 1e-4 * torch.sin(1e3 * masks), True),
        (lambda masks: masks.flip(-1), False),
        (lambda masks: masks * torch.nan, False),
    ],
)
def test_a_device_that_sees_something_else_is_refused(
    change: Callable[[torch.Tensor], torch.Tensor], *, right: bool
) -> None:
    network: Any = Elsewhere(change)
    pixels = network_input(canary.image(), side=64)[0]
    if right:
        canary.check_against_cpu(network, CPU, pixels)
        return
    with pytest.raises(
        HnError, match=r"does not see on cpu what it sees on the CPU .* judge with --device cpu"
    ):
        canary.check_against_cpu(network, CPU, pixels)
