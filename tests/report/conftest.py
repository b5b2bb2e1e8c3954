"""Stored runs of three methods, and a browser to look at their report with."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from headless_browser import Browser
from known_runs import RIGHT, store_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    """The runs of three methods."""
    return [store_run(tmp_path, method) for method in RIGHT]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed to look at the report with")
    browser = Browser(chromium, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
