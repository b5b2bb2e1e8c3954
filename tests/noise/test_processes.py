"""Training in several processes, on the CPU: the same adapter as one process with more accumulation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

HN = shutil.which("hn", path=str(Path(sys.executable).parent))
SETTINGS = {"batch": 4, "epochs": 0.025, "rank": 4}


def train(output: Path, launcher: list[str], **settings: object) -> dict[str, torch.Tensor]:
    chosen = [f"--set={name}={value}" for name, value in (SETTINGS | settings).items()]
    command = [*launcher, str(HN), "train", "hypernoise", "--output", str(output), "--device", "cpu", *chosen]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
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
