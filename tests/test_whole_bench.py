"""`hn bench --model sana`: the paper's generator, adapter, rewards and judges, all tiny, from a hub cache."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import open_clip
import pandas as pd
import pytest
import torch
from hub_files import snapshot
from safetensors.torch import save_file

from benchmarks.geneval import detector, sources
from benchmarks.geneval.colors import ARCHITECTURE
from benchmarks.sources import BLIP_VQA
from benchmarks.t2i_compbench import clip_score
from benchmarks.t2i_compbench.sources import CLIP
from benchmarks.t2i_compbench.sources import DETECTOR as OPEN_DETECTOR
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.registry import find
from hypernoise.rewards.imagereward import ImageReward
from hypernoise.rewards.open_clip_reward import OpenClipReward
from hypernoise.tables.from_runs import stored_runs
from hypernoise.tables.table1 import read_csv

sys.path += [str(Path(__file__).parent / room) for room in ("benchmarks", "generators", "rewards")]
import tiny_judges
import tiny_pipelines
import tiny_rewards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TINY_CLIP = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


def _lay_out_judges(cache: Path) -> None:
    tiny_judges.mask2former().save_pretrained(snapshot(cache, sources.DETECTOR.repo))
    for architecture, source in ((ARCHITECTURE, sources.COLOR_CLASSIFIER), (clip_score.ARCHITECTURE, CLIP)):
        weights = open_clip.create_model(architecture, load_weights=False).state_dict()
        save_file(weights, snapshot(cache, source.repo) / source.files[0])
    tiny_judges.owlv2().save_pretrained(snapshot(cache, OPEN_DETECTOR.repo))
    tiny_judges.save_blip(tiny_judges.blip(), snapshot(cache, BLIP_VQA.repo))


def _lay_out_adapter(cache: Path) -> None:
    generator = find("model", "sana").load(torch.device("cpu"))
    network = NoiseHypernetwork.new(generator, LoraSettings(rank=2, alpha=4), seed=0)
    torch.nn.init.normal_(network.adapter.parameters["proj_out.lora_B.weight"])
    network.adapter.save(snapshot(cache, type(generator).adapters["hypernoise"]), {})


@pytest.fixture
def _everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, ARCHITECTURE, TINY_CLIP)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, clip_score.ARCHITECTURE, TINY_CLIP)
    monkeypatch.setattr(detector, "SIDE", 64)
    monkeypatch.setattr(OpenClipReward, "architecture", tiny_rewards.TinyClip.architecture)
    monkeypatch.setattr(ImageReward, "vision", tiny_rewards.TinyImageReward.vision)
    cache = tmp_path / "hub"
    cache.mkdir()
    torch.manual_seed(0)
    place = "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers"
    tiny_pipelines.add(cache, place, tiny_pipelines.sana(), sharded=["text_encoder"])
    tiny_rewards.lay_out(cache)
    _lay_out_judges(cache)
    with tiny_pipelines.offline(cache):
        _lay_out_adapter(cache)
        yield


@pytest.mark.usefixtures("_everything")
def test_the_sentence_that_a_user_types(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    methods = [word for name in ("base", "hypernoise", "best-of-n", "reno") for word in ("--method", name)]
    changes = ["--set", "best-of-n.n=2", "--set", "reno.iterations=2"]
    words = ["--limit", 2, "--seeds", 1, "--device", "cpu", "--results", tmp_path]
    hn("bench", "geneval", "--model", "sana", *methods, *changes, *words)
    frame = pd.read_csv(tmp_path / "sana" / "table1.csv")
    assert dict(zip(frame["method"], frame["nfe"], strict=True)) == {
        "base": 1, "hypernoise": 2, "best-of-n": 2, "reno": 2,
    }  # fmt: skip
    assert frame["mean"].between(0, 1).all()
    text = (tmp_path / "sana" / "table1.md").read_text()
    assert "### Measured here" in text
    assert "### Paper (reference, not measured here)" in text
    assert "facebook/mask2former-swin-small-coco-instance" in text
    assert "Reward: clip × 0.01, hps × 5, imagereward × 1, pickscore × 0.05." in text


@pytest.mark.usefixtures("_everything")
def test_the_other_categories_of_compbench(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    """One prompt of each category, generated, judged, exported, and scored again from the exported folder."""
    words = ["--limit", 4, "--seeds", 1, "--device", "cpu", "--results", tmp_path]
    hn("bench", "t2i-compbench-other", "--model", "sana", "--method", "base", *words)
    (run,) = stored_runs(tmp_path)
    records = {record["task"]: record for record in run.records}
    assert list(records) == ["spatial", "numeracy", "non_spatial", "complex"]
    assert run.settings["judges"]["detector threshold"] == "0.2"
    assert set(records["complex"]["details"]) == {"answers", "objects", "position"}
    (row,) = read_csv(tmp_path / "sana" / "t2i-compbench-other.csv")
    assert row.mean.value == pytest.approx(sum(record["score"] for record in run.records) / 4)

    hn("export", run.name, "--output", tmp_path / "images", "--results", tmp_path)
    options = ["--seeds", 1, "--device", "cpu", "--allow-missing", "--results", tmp_path]
    hn("score", "t2i-compbench-other", "--images", tmp_path / "images", *options)
    lines = (tmp_path / "scored/images-t2i-compbench-other-coco/records.jsonl").read_text().splitlines()
    scored = {record["task"]: record["score"] for record in map(json.loads, lines)}
    assert scored == {task: record["score"] for task, record in records.items()}
