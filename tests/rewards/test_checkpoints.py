"""Wrong and damaged files of weights end in one sentence."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import tiny_rewards
import torch
from hub_files import snapshot
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from hypernoise.errors import HnError
from hypernoise.rewards.checkpoints import read_checkpoint

FILES = {
    "clip": ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "open_clip_model.safetensors"),
    "hps": ("xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    "pickscore": ("yuvalkirstain/PickScore_v1", "model.safetensors"),
    "imagereward": ("THUDM/ImageReward", "ImageReward.pt"),
    "long-clip": ("zer0int/LongCLIP-L-Diffusers", "model.safetensors"),
    "vqascore": ("Salesforce/instructblip-flan-t5-xl", "model-00001-of-00002.safetensors"),
}
NAMED = {"vqascore": "model.safetensors.index.json"}
"""The file that the sentence names, where it is not the damaged one."""
CPU = torch.device("cpu")


@pytest.fixture
def broken(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own, to be damaged."""
    cache = Path(shutil.copytree(hub, tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def changed(path: Path, name: str, tensor: torch.Tensor | None) -> None:
    """Write the file anew, with one tensor put in, or the one whose name ends so left out."""
    whole = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    state = whole.get("state_dict", whole)
    if tensor is None:
        del state[next(key for key in state if key.endswith(name))]
    else:
        state[name] = tensor
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(whole, path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "unknown", "unreadable", "absent"])
def test_a_wrong_file_is_refused(broken: Path, name: str, damage: str) -> None:
    repo, file = FILES[name]
    path, named = snapshot(broken, repo) / file, NAMED.get(name, file)
    if damage == "missing":
        changed(path, "bias", None)
        folder = repo.replace("/", "--")
        message = f"{named} does not hold the weights .* \\(1 of them .*bias'\\): delete .*{folder} and"
    elif damage == "unknown":
        changed(path, "adapter.weight", torch.zeros(2))
        message = r"does not hold the weights of this model \(1 of them .*'adapter.weight'"
    elif damage == "unreadable":
        path.write_bytes(path.read_bytes()[:1000])
        message = f"{named} cannot be read as weights .*: delete .* give the same command again"
    else:
        path.unlink()
        message = f"{repo} is not complete in .* HF_HUB_OFFLINE"
    with pytest.raises(HnError, match=message):
        tiny_rewards.TINY[name].load(CPU)


@pytest.mark.parametrize(
    ("name", "weight"), [("clip", "text_projection"), ("vqascore", "language_projection.weight")]
)
def test_weights_of_another_shape_are_refused(broken: Path, name: str, weight: str) -> None:
    folder = snapshot(broken, FILES[name][0])
    paths = (path for path in folder.glob("*.safetensors") if weight in load_file(path))
    changed(next(paths), weight, torch.zeros(3, 3))
    with pytest.raises(HnError, match=f"1 of them .* of another shape, such as '{weight}'"):
        tiny_rewards.TINY[name].load(CPU)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 1}, r"does not hold .* \(\d+ of them"),
        ([1], "holds a list where names of weights belong: delete"),
    ],
)
def test_what_is_no_state_of_hps_is_refused(broken: Path, content: object, message: str) -> None:
    repo, file = FILES["hps"]
    torch.save(content, snapshot(broken, repo) / file)
    with pytest.raises(HnError, match=message):
        tiny_rewards.TinyHps.load(CPU)


class Code:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a" / "b" / "c" / "weights.pt"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": Code()}, path)
    with pytest.raises(HnError, match=f"cannot be read as weights \\({pickle.UnpicklingError.__name__}"):
        read_checkpoint(path)
    assert not Path("ran").exists()


def test_a_file_of_torch_s_old_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(path)["weight"], torch.ones(2))
