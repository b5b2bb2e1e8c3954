"""Where an adapter's files lie: in a folder, or in a repository on the hub that is fetched as a model's weights are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypernoise.errors import HnError
from hypernoise.hub import HubFiles

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
"""An owner and a name."""

TRAINING = "training.json"
"""In an adapter's folder, the facts about how it was made; adapters of others have none."""

TRAININGS = {"hypernoise": "hypernoise", "lora-finetune": "lora"}
"""What `hn train` calls the training of a method's adapter."""


def on_hub(repo: str) -> HubFiles:
    """The files of an adapter on the hub, in peft's layout or that of the published checkpoints."""
    return HubFiles(repo, ("adapter_config.json", "adapter_model.*"), 1.3, "see its page")


def adapter_folder(named: str) -> Path:
    """The folder of an adapter that is named by its folder or by its id on the hub.

    Raises:
        HnError: if it is neither, or cannot be downloaded.
    """
    folder = Path(named)
    if folder.is_dir():
        return folder
    if HUB_ID.fullmatch(named):
        return on_hub(named).fetch()
    raise HnError(
        f"There is no adapter folder {named}; name a folder, or an adapter on the hub as OWNER/NAME."
    )


def refuse_other_training(folder: Path, method: str) -> None:
    """Let no method run with an adapter that says it was trained for another one, as which it would fit too.

    Raises:
        HnError: if it is one.
    """
    try:
        kind = json.loads((folder / TRAINING).read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if kind != TRAININGS[method]:
        raise HnError(
            f"The adapter {folder} was made by `hn train {kind}`, {method} needs one of `hn train {TRAININGS[method]}`."
        )
