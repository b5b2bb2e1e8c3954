"""What a result depends on beside the settings: versions of libraries, the machine, the device."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernoise.errors import HnError

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "hypernoise",
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "peft",
    "open_clip_torch",
    "numpy",
    "scipy",
    "pillow",
)
"""What computes images and scores; `lpips` gives weights alone, whose hash is among the judge's."""


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that images and scores depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def machine(device: torch.device) -> dict[str, Any]:
    """The machine that times were measured on; no names of hosts or users."""
    import torch  # noqa: PLC0415

    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def pick_device(name: str) -> torch.device:
    """The device for a name: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        HnError: if it does not exist here.
    """
    import torch  # noqa: PLC0415

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise HnError(f"There is no device {name!r} on this machine; use auto, cpu or cuda.")
    return device


def make_current(device: torch.device) -> None:
    """Make a GPU that was asked for by its number the current one, which accelerate takes in a single process.

    Raises:
        HnError: under a launcher, where each process takes a GPU of its own.
    """
    import torch  # noqa: PLC0415

    if device.type != "cuda" or device.index is None:
        return
    if "LOCAL_RANK" in os.environ:
        raise HnError(
            f"--device {device} names one GPU, but under a launcher each process takes its own; give --device cuda."
        )
    torch.cuda.set_device(device)


class Clock:
    """Times what is done inside, synchronized with the device; `seconds` and `megabytes` are known afterwards."""

    seconds: float
    megabytes: float | None
    """The highest memory use meanwhile, see `PeakMemory`."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._peak = device, PeakMemory(device)

    def __enter__(self) -> Clock:
        self._synchronize()
        self._peak.restart()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._synchronize()
        self.seconds = time.perf_counter() - self._began
        self.megabytes = self._peak.megabytes()

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            import torch  # noqa: PLC0415

            torch.cuda.synchronize(self._device)


class PeakMemory:
    """Highest memory use of this process, in MB, since `restart`: on the GPU, or resident on Linux."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.known = False

    def restart(self) -> None:
        """Forget the peak so far."""
        if self.device.type == "cuda":
            import torch  # noqa: PLC0415

            torch.cuda.reset_peak_memory_stats(self.device)
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.known = True
        except OSError:
            self.known = False

    def megabytes(self) -> float | None:
        """The peak, or None where the system does not tell."""
        if self.device.type == "cuda":
            import torch  # noqa: PLC0415

            return torch.cuda.max_memory_allocated(self.device) / 2**20
        if not self.known:
            return None
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
