"""What mmdet's Mask2Former Swin-S, GenEval's detector, finds with random weights of full size.

Run in an environment that has mmdet and mmcv-lite: HF_HUB_CACHE=FOLDER python published_detector.py

GenEval's script runs mmdet 2.x, which nothing installs any more. In 3.x its configuration differs in one line that
changes what is found, set back here: 2.x scales images in 8 bits, 3.x in float32.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import mmcv
import numpy as np
import torch
from detector_cases import pictures
from safetensors.torch import save_file


class NoKernels(ModuleType):
    """Stands for mmcv's compiled kernels: they are looked up by name on import, and on a CPU never called."""

    def __getattr__(self, name: str) -> object:
        return None if name.startswith("__") else name


mmcv.__version__ = "2.1.0"  # mmdet 3.3.0 refuses 2.2.0, the one that can be installed
sys.modules["mmcv._ext"] = NoKernels("mmcv._ext")
sys.modules["mmcv._ext"].__spec__ = ModuleSpec("mmcv._ext", loader=None)

import mmdet  # noqa: E402
from mmdet.apis import inference_detector, init_detector  # noqa: E402
from mmengine import Config  # noqa: E402

NAME = "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco"


@torch.no_grad()
def detector() -> torch.nn.Module:
    """The published configuration with random weights under which queries find different things, and surely."""
    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim" / "configs" / "mask2former" / f"{NAME}.py")
    load, resize, _, pack = config.test_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline = [{**load, "to_float32": False}, resize, pack]
    torch.manual_seed(0)
    model = init_detector(config, None, device="cpu")
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
        if "transformer_decoder" in name and ("out_proj" in name or "ffn.layers.1" in name):
            parameter.mul_(0.3)  # else all queries become one
    model.panoptic_head.cls_embed.weight.mul_(20)
    model.panoptic_head.mask_embed[-1].weight.mul_(10)
    model.panoptic_head.pixel_decoder.mask_feature.bias.add_(torch.randn(256))
    return model


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = detector()
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    seen: dict[str, torch.Tensor] = {}
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.update(pixels=inputs[0]))
    model.panoptic_head.register_forward_hook(
        lambda _, __, outputs: seen.update(classes=outputs[0][-1], masks=outputs[1][-1])
    )
    for number, picture in enumerate(pictures()):
        found = inference_detector(model, np.ascontiguousarray(picture[..., ::-1])).pred_instances
        best = found.scores.argsort(descending=True)
        seen |= {"boxes": found.bboxes[best], "labels": found.labels[best], "scores": found.scores[best]}
        seen["areas"] = found.masks[best].flatten(1).sum(1)
        save_file(
            {name: tensor.contiguous() for name, tensor in seen.items()}, folder / f"{number}.safetensors"
        )


if __name__ == "__main__":
    main(Path(os.environ["HF_HUB_CACHE"]))
