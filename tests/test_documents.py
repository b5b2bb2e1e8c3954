"""What the Markdown pages promise: examples run as they stand, and every command and option that they name exists."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Hn = Callable[..., list[str]]

ROOT = Path(__file__).parents[1]
EXTENDING = ROOT / "hypernoise" / "EXTENDING.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A third party's package, and what its user types and sees."""

    project: str
    module: str
    code: str
    console: str

    def install(self, folder: Path) -> None:
        """Lay it out as an installer does: its module, and its name, version and entry points."""
        project = tomllib.loads(self.project)["project"]
        info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        groups = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in project["entry-points"].items()
        ]
        (info / "entry_points.txt").write_text("".join(groups))
        (folder / self.module).write_text(self.code)

    @property
    def dialogue(self) -> Iterator[tuple[list[str], str]]:
        """The words of each command, and what it prints, `...` for anything."""
        for typed in self.console.split("$ hn ")[1:]:
            command, _, printed = typed.partition("\n")
            yield shlex.split(command), printed


def examples() -> dict[str, Example]:
    """The page's sections that hold code, by heading."""
    found = {}
    for section in EXTENDING.read_text().split("\n## ")[1:]:
        blocks = dict(BLOCK.findall(section))
        (module,) = re.findall(r"^`(\w+\.py)`:$", section, re.MULTILINE)
        found[section.partition("\n")[0]] = Example(
            blocks["toml"], module, blocks["python"], blocks["console"]
        )
    return found


EXAMPLES = examples()


def test_there_is_an_example_of_each_kind() -> None:
    assert list(EXAMPLES) == ["A generator", "A reward", "A method", "A benchmark"]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_is_short(kind: str) -> None:
    assert len([line for line in EXAMPLES[kind].code.splitlines() if line.strip()]) < 40


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_runs_as_it_is_printed(
    kind: str, hn: Hn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXAMPLES[kind].install(tmp_path / "installed")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for words, printed in EXAMPLES[kind].dialogue:
        got = "\n".join(line.rstrip() for line in hn(*words)) + "\n"
        likeness = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(printed, got, likeness), got
