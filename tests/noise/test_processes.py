"""Trainings in several processes, on the CPU: one training shared by two, and two that want the same folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.experiments.environment import make_current

if TYPE_CHECKING:
    from collections.abc import Callable

HN = shutil.which("hn", path=str(Path(sys.executable).parent))
SETTINGS = {"warmup": 0, "batch": 4, "epochs": 0.025, "rank": 4}


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(output: Path, launcher: list[str], **settings: object) -> list[str]:
    chosen = [f"--set={name}={value}" for name, value in (SETTINGS | settings).items()]
    return [*launcher, str(HN), "train", "hypernoise", "--output", str(output), "--device", "cpu", *chosen]


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, timeout=180, check=False)


def train(output: Path, launcher: list[str], **settings: object) -> dict[str, torch.Tensor]:
    done = run(command(output, launcher, **settings))
    assert done.returncode == 0, done.stderr[-2000:]
    assert len((output / "log.jsonl").read_text().splitlines()) == 5
    return load_file(output / "adapter_model.safetensors")


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The GPUs that were made the current one, on a machine that has none."""
    chosen: list[torch.device] = []
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return chosen


def test_the_gpu_asked_for_by_its_number_is_the_current_one(
    current: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cpu", "cpu:0", "cuda", "cuda:1"):
        make_current(torch.device(name))
    assert current == [torch.device("cuda:1")]
    monkeypatch.setenv("LOCAL_RANK", "0")
    make_current(torch.device("cuda"))
    with pytest.raises(
        HnError, match="--device cuda:1 names one GPU, but under a launcher each process takes"
    ):
        make_current(torch.device("cuda:1"))
    assert current == [torch.device("cuda:1")]


def test_a_training_under_a_launcher_takes_no_gpu_by_its_number(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr("hypernoise.noise.training.pick_device", torch.device)
    said = refusal("train", "hypernoise", "--device", "cuda:1", "--output", tmp_path / "adapter")
    assert said.startswith("--device cuda:1 names one GPU")
    assert list(tmp_path.iterdir()) == []


def test_a_single_process_of_accelerate_takes_the_current_gpu() -> None:
    program = (
        "import torch\n"
        "torch.cuda.is_available = lambda: True\n"
        "from accelerate import PartialState\n"
        "print(PartialState().device)"
    )
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "LOCAL_RANK"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "cuda"


@pytest.mark.skipif(HN is None, reason="the package is not installed as a command here")
def test_two_processes_train_what_one_does_with_twice_the_accumulation(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    together = train(tmp_path / "two", launcher)
    alone = train(tmp_path / "one", [sys.executable], accumulation=2)
    moved = [name for name, tensor in alone.items() if "lora_B" in name and tensor.abs().max() > 1e-4]
    assert len(moved) > 10
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, atol=2e-4, rtol=0)


@pytest.mark.skipif(HN is None, reason="the package is not installed as a command here")
def test_a_second_training_in_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    words = command(tmp_path / "out", [sys.executable], epochs=0.01)
    log = tmp_path / "out" / "log.jsonl"
    with subprocess.Popen(
        command(tmp_path / "out", [sys.executable], epochs=40), stdout=subprocess.DEVNULL, env=ENVIRONMENT
    ) as first:
        while first.poll() is None and not (log.exists() and log.read_text()):
            time.sleep(0.1)
        second = run(words)
        first.kill()
    said = f"hn: Another process is working on the training {tmp_path / 'out'}; wait until it has finished.\n"
    assert (second.returncode, second.stderr) == (2, said)
    assert run(words).returncode == 0
