"""Where an adapter's files lie: in a folder, or in a repository on the hub that is fetched as a model's weights are."""

from __future__ import annotations

import re
from pathlib import Path

from hypernoise.errors import HnError
from hypernoise.hub import HubFiles

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
"""An owner and a name."""


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
