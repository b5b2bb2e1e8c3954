"""Trainings in several processes, on the CPU: one training shared by two, and two that want the same folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

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
