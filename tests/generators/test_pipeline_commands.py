"""The commands on the paper's generators, from a hub cache without a network; the judge alone is a stand-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hub_files import COMMIT, snapshot
from PIL import Image
from tiny_pipelines import offline

from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Judged
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.registry import find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Load = Callable[[str], Any]

STEERED = ["sana", "sd-turbo", "sdxl-turbo", "flux"]
CPU = torch.device("cpu")
BENCH = ["bench", "geneval", "--suite", "coco", "--limit", 1, "--seeds", 1, "--device", "cpu"]


@pytest.fixture
def _judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(images: Sequence[Any], prompts: Sequence[Any]) -> list[Judged]:
        assert len(images) == len(prompts)
        return [Judged(1.0, "right")] * len(images)

    geneval = find("benchmark", "geneval")
    monkeypatch.setattr(geneval, "judge", lambda *_: judge)
    monkeypatch.setattr(geneval, "identity", lambda *_: {})


def records(results: Path, model: str) -> dict[str, dict[str, Any]]:
    """The one record of each method's run."""
    found = {}
    for run in (results / "runs").iterdir():
        settings = json.loads((run / "manifest.json").read_text())["settings"]
        assert settings["model"] == model
        (file,) = run.glob("records/*.jsonl")
        found[settings["method"]] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize("name", STEERED)
@pytest.mark.usefixtures("_judged")
def test_every_method_runs_on_every_family(
    name: str, hub: Path, hn: Callable[..., list[str]], tmp_path: Path
) -> None:
    with offline(hub):
        generator = find("model", name).load(CPU)
    network = NoiseHypernetwork.new(generator, LoraSettings(rank=2, alpha=4), seed=0)
    torch.nn.init.normal_(network.adapter.parameters[f"{generator.last_layer}.lora_B.weight"])
    network.adapter.save(tmp_path / "adapter", {})
    changes = [f"hypernoise.adapter={tmp_path / 'adapter'}", "best-of-n.n=2", "reno.iterations=2"]
    words = [word for method in ("base", "hypernoise", "best-of-n", "reno") for word in ("--method", method)]
    words += [word for change in changes for word in ("--set", change)]
    with offline(hub):
        hn(*BENCH, "--model", name, *words, "--reward", "redness=1", "--results", tmp_path)
    found = records(tmp_path, name)
    steps = generator.card.steps
    expected = {"base": steps, "hypernoise": steps + 1, "best-of-n": 2 * steps, "reno": 2 * steps}
    assert {method: row["nfe"] for method, row in found.items()} == expected
    reward = {method: row["rewards"]["redness"] for method, row in found.items()}
    assert reward["best-of-n"] >= reward["base"]
    assert reward["reno"] > reward["base"] - 1e-6
    assert reward["hypernoise"] != reward["base"]
    assert len({row["image_sha256"] for row in found.values()}) >= 3
    image = next(tmp_path.glob(f"runs/{name}-base*/images/*/*.png"))
    with Image.open(image) as opened:
        assert opened.size == (generator.resolution, generator.resolution)


@pytest.mark.usefixtures("_judged")
def test_the_published_adapter_is_sana_s_own(
    hub: Path, hn: Callable[..., list[str]], refusal: Callable[..., str], tmp_path: Path
) -> None:
    """As it is published: a pickle of plain tensors without peft's prefix, dense branches on depthwise convolutions."""
    cache = tmp_path / "hub"
    shutil.copytree(hub, cache, symlinks=True)
    words = [*BENCH, "--model", "sana", "--method", "base", "--method", "hypernoise", "--reward", "redness=1"]
    with offline(cache):
        said = refusal(*words, "--results", tmp_path)
        assert said.startswith("lucaeyring/HyperNoise_Sana_Sprint_0.6B is not complete in ")
        network = NoiseHypernetwork.new(
            find("model", "sana").load(CPU), LoraSettings(rank=2, alpha=4), seed=0
        )
        torch.nn.init.normal_(network.adapter.parameters["proj_out.lora_B.weight"])
        network.adapter.save(tmp_path / "saved", {})
        published = snapshot(cache, "lucaeyring/HyperNoise_Sana_Sprint_0.6B")
        shutil.copy(tmp_path / "saved" / "adapter_config.json", published)
        weights = {name: tensor.detach() for name, tensor in network.adapter.parameters.items()}
        assert any("conv_depth" in name for name in weights)
        torch.save(weights, published / "adapter_model.bin")
        hn(*words, "--results", tmp_path)
    found = records(tmp_path, "sana")
    assert found["hypernoise"]["image_sha256"] != found["base"]["image_sha256"]


@pytest.mark.usefixtures("_judged")
def test_reference_models_run_base_and_best_of_n(
    hub: Path, hn: Callable[..., list[str]], tmp_path: Path
) -> None:
    words = ["--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=2", "--reward", "redness=1"]
    with offline(hub):
        hn(*BENCH, "--model", "sd3.5-turbo", *words, "--results", tmp_path)
    assert {method: row["nfe"] for method, row in records(tmp_path, "sd3.5-turbo").items()} == {
        "base": 4,
        "best-of-n": 8,
    }


def test_an_adapter_is_trained_in_a_process_of_its_own(hub: Path, fresh: Load, tmp_path: Path) -> None:
    """The command as it is typed, with the environment as the user sets it."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(f"a drawing of {number} little boats" for number in range(26)))
    settings = {
        "rank": 2,
        "batch": 1,
        "accumulation": 1,
        "epochs": 1,
        "precision": "fp32",
        "optimizer": "adamw",
    }
    changes = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words = ["train", "hypernoise", "--model", "sana", "--prompts", prompts, "--reward", "redness=1"]
    program = "from hypernoise.cli import main; main()"
    subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            *words,
            *changes,
            "--output",
            tmp_path / "adapter",
            "--device",
            "cpu",
        ],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub)},
        check=True,
        capture_output=True,
    )
    network = NoiseHypernetwork.load(fresh("sana"), tmp_path / "adapter")
    assert network.adapter.settings == LoraSettings(rank=2, alpha=256.0)
    log = (tmp_path / "adapter" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[0])["gradient_norm"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "geneval", "--suite", "coco", "--method", "reno"],
        ["bench", "geneval", "--suite", "coco", "--method", "base", "--method", "hypernoise"],
        ["train", "lora", "--output", "adapter"],
        ["diagnose", "adapter"],
    ],
)
def test_reference_models_are_not_steered(words: list[str], refusal: Callable[..., str]) -> None:
    said = refusal(*words, "--model", "flux-dev")
    assert said.startswith("flux-dev runs as it is, without gradients or adapters, so it cannot be used with")
    assert said.endswith("choose the method base or best-of-n, or another model.")


def test_a_damaged_file_is_told(hub: Path, tmp_path: Path) -> None:
    repo = "models--stabilityai--sd-turbo"
    shutil.copytree(hub / repo, tmp_path / repo)
    weights = tmp_path / repo / "snapshots" / COMMIT / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with offline(tmp_path), pytest.raises(HnError, match=f"cannot be read .+: delete {tmp_path / repo}, and"):
        find("model", "sd-turbo").load(CPU)


def test_missing_files_are_told(tmp_path: Path) -> None:
    with offline(tmp_path), pytest.raises(HnError, match=r"FLUX\.1-schnell is not complete in .+ unset it"):
        find("model", "flux").load(CPU)


@pytest.mark.parametrize("name", ["flux", "dpo-sdxl", "hyper-sdxl"])
def test_a_run_knows_every_file_that_it_depends_on(name: str, hub: Path) -> None:
    kind = find("model", name)
    with offline(hub):
        names = kind.weights()
    assert {path.rsplit("/", path.count("/") - 1)[0] for path in names} == {
        source.repo for source in kind.card.sources
    }
    read = {path for path in names if path.endswith(".safetensors")}
    assert len(read) >= 4
    assert all(len(digest) == 64 for digest in names.values())
