"""What is ready on this machine and what must be downloaded first: `hn models`, `hn doctor` and `hn download`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants, get_token
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hypernoise.errors import HnError
from hypernoise.experiments.environment import machine, pick_device, versions
from hypernoise.noise.adapter_files import HUB_ID, on_hub
from hypernoise.prompts.sets import CATALOGUE
from hypernoise.registry import faults, find, names, nearest
from hypernoise.remote_files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hypernoise.generators.protocol import Card
    from hypernoise.sources import Source

WITH_SOURCES = ("model", "reward", "benchmark", "rewriter")
GIB = 2**30


@dataclass(frozen=True)
class Item:
    """Something that a run needs: a model, a reward, a benchmark's judges, or a rewriter's language model."""

    kind: str
    name: str
    sources: tuple[Source, ...]
    card: Card | None = None
    fault: str = ""
    """Why it cannot be used at all, where a third party's package is broken."""

    @property
    def missing(self) -> tuple[Source, ...]:
        """What is not whole on this machine."""
        return tuple(source for source in self.sources if source.cached() is None)

    @property
    def state(self) -> str:
        """Whether it can be used here at once, in words."""
        if self.fault:
            return "broken"
        return "download needed" if self.missing else "ready"

    def remedy(self, *, offline: bool, token: bool) -> str:
        """What the user has to do before it can be used."""
        missing = self.missing
        if not missing:
            return self.fault
        asked = [source.page for source in missing if source.gated]
        steps = ["unset HF_HUB_OFFLINE"] if offline and any(source.on_hub for source in missing) else []
        if asked:
            steps += [f"accept the licence at {', '.join(asked)}", *([] if token else ["hf auth login"])]
        return ", then ".join([*steps, f"hn download {self.name}"])


def items(kinds: Sequence[str] = WITH_SOURCES) -> list[Item]:
    """Everything registered of some kinds that may have something to download."""
    found = []
    for kind in kinds:
        broken = faults(kind)
        for name in names(kind):
            if name in broken:
                found.append(Item(kind, name, (), fault=broken[name]))
                continue
            entry = find(kind, name)
            if kind == "model":
                adapters = (named for named in entry.adapters.values() if HUB_ID.fullmatch(named))
                found.append(Item(kind, name, (*entry.card.sources, *map(on_hub, adapters)), entry.card))
            else:
                found.append(Item(kind, name, entry.sources))
    return found


def _gigabytes(sources: tuple[Source, ...]) -> str:
    return f"{sum(source.gigabytes for source in sources):.1f}" if sources else "–"


def _licences(item: Item) -> str:
    if item.fault:
        return "–"
    gated = " (gated)" if any(source.gated for source in item.sources) else ""
    licences = dict.fromkeys(source.licence for source in item.sources)
    return (", ".join(licences) or (item.card.licence if item.card else "MIT")) + gated


def list_models() -> None:
    """Print every generator with the facts that decide whether it can be used here."""
    table = Table(title="Generators")
    for heading in (
        "name",
        "params (B)",
        "pixels",
        "steps",
        "memory (GB)",
        "download (GB)",
        "licence",
        "here",
    ):
        table.add_column(heading, justify="left" if heading in ("name", "licence", "here") else "right")
    for item in items(["model"]):
        if card := item.card:
            facts = (f"{card.parameters:.2g}", f"{card.resolution}²", str(card.steps), f"{card.gigabytes:g}")
            table.add_row(item.name, *facts, _gigabytes(item.sources), _licences(item), item.state)
        else:
            table.add_row(item.name, *["–"] * 6, Text(item.fault))
    Console().print(table)


def memory_gigabytes(device: torch.device) -> float:
    """Memory of the device: the GPU's, or the machine's."""
    if device.type == "cuda":
        import torch  # noqa: PLC0415

        return torch.cuda.mem_get_info(device)[1] / GIB
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _machine_lines(device: torch.device, *, offline: bool, token: bool) -> list[tuple[str, str]]:
    facts = machine(device)
    hub = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(_existing(hub)).free / GIB
    libraries = {
        name: version for name, version in versions().items() if name in ("python", "torch", "diffusers")
    }
    return [
        ("machine", f"{facts['system']}, {facts.get('gpu', facts['processor'])}, {facts['threads']} threads"),
        ("device", f"{device}, {memory_gigabytes(device):.1f} GB of memory"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())),
        ("hub cache", f"{hub}, {free:.1f} GB free" + (", HF_HUB_OFFLINE is set" if offline else "")),
        ("hub account", "logged in" if token else "not logged in (needed for gated models alone)"),
        ("other downloads", str(cache_folder())),
    ]


def doctor(device_name: str) -> None:
    """Print what this machine is, which models, rewards, judges and prompts are ready, and what to do else."""
    device = pick_device(device_name)
    offline, token = bool(constants.HF_HUB_OFFLINE), get_token() is not None
    console = Console()
    here = Table(show_header=False, box=None)
    for line in _machine_lines(device, offline=offline, token=token):
        here.add_row(*line)
    console.print(here)
    table = Table()
    for heading in ("kind", "name", "state", "GB", "licence", "to do"):
        table.add_column(heading, justify="right" if heading == "GB" else "left", overflow="fold")
    memory = memory_gigabytes(device)
    for item in items():
        small = item.card is not None and item.card.gigabytes > memory
        state = (
            f"{item.state}; needs {item.card.gigabytes:g} GB of memory" if item.card and small else item.state
        )
        table.add_row(
            item.kind,
            item.name,
            state,
            _gigabytes(item.missing),
            _licences(item),
            Text(item.remedy(offline=offline, token=token)),
        )
    for name, prompts in CATALOGUE.items():
        ready = prompts.kept(cache_folder())
        remedy = "" if ready else f"hn download {name}"
        table.add_row("prompts", name, "ready" if ready else "download needed", "", prompts.license, remedy)
    console.print(table)


def download(name: str) -> None:
    """Bring everything that a model, reward, benchmark or prompt set needs onto this machine, and check it.

    Raises:
        HnError: if there is nothing of that name, its package is broken, or something cannot be had or is damaged.
    """
    console = Console()
    if name in CATALOGUE:
        prompts = CATALOGUE[name].prompts(cache_folder())
        console.print(f"{name}: {len(prompts)} prompts in {cache_folder()}", highlight=False)
        return
    found = {item.name: item for item in items()}
    if name not in found:
        raise HnError(f"There is nothing called {name!r} to download: {nearest(name, [*found, *CATALOGUE])}")
    if found[name].fault:
        raise HnError(found[name].fault)
    for source in found[name].sources:
        place = source.fetch()
        source.check()
        console.print(f"{source.place}: {place}", highlight=False)
    console.print(f"{name} is ready.", highlight=False)
