"""What the Markdown pages promise: examples run as they stand, and every command and option that they name exists."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import typer

from hypernoise.cli import app
from hypernoise.registry import GROUPS, KINDS

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

    def entries(self, group: str) -> dict[str, str]:
        """Its entry points of a group."""
        found: dict[str, str] = tomllib.loads(self.project)["project"]["entry-points"].get(group, {})
        return found

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


PAGES = sorted(
    page
    for room in (".", "hypernoise", "benchmarks", "baselines")
    for page in (ROOT / room).glob("*.md" if room == "." else "**/*.md")
)
SHELLS = ("sh", "bash", "console")
PLACEHOLDER = re.compile(r"[….]+|.*\$.*|[A-Z]+")
"""Words that stand for others: dots, shell variables, capitals."""


def typed(page: Path) -> list[list[str]]:
    """The words after `hn` wherever a page shows them: in a line of its shell blocks, or between backticks."""
    text = page.read_text()
    blocks = [code.replace("\\\n", " ") for shell, code in BLOCK.findall(text) if shell in SHELLS]
    lines = [line for code in blocks for line in code.splitlines()]
    lines += re.findall(r"`(hn [^`]+)`", BLOCK.sub("", text))
    commands = (re.search(r'(?:^|[ ;])(?:hn|"?\$\(command -v hn\)"?) +([^#>&;|]+)', line) for line in lines)
    return [shlex.split(command[1]) for command in commands if command]


def unknown(words: list[str]) -> list[str]:
    """What of a command `hn` does not know: its name, options, or a name of ours after it."""
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if not PLACEHOLDER.fullmatch(word)]
    while rest and hasattr(command, "commands") and not rest[0].startswith("--"):
        name = rest.pop(0)
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    meant = command.commands.values() if hasattr(command, "commands") else [command]
    options = {option for each in meant for parameter in each.params for option in parameter.opts} | {
        "--help"
    }
    wrong = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
    for option, following in pairwise(words):
        kind = option.removeprefix("--")
        name = following.partition(":")[0].partition("=")[0]
        if (
            kind in ("model", "method", "reward")
            and not PLACEHOLDER.fullmatch(name)
            and name not in KNOWN[kind]
        ):
            wrong.append(following)
    return wrong


KNOWN = {
    kind: {*KINDS[kind], *(name for each in EXAMPLES.values() for name in each.entries(GROUPS[kind]))}
    for kind in KINDS
}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_command_on_a_page_can_be_typed(page: Path) -> None:
    assert {" ".join(words): wrong for words in typed(page) if (wrong := unknown(words))} == {}


def test_pages_are_read_for_commands() -> None:
    found = {word for page in PAGES for words in typed(page) for word in words}
    assert {"bench", "train", "reproduce", "--workers", "--output", "--set"} <= found
    assert unknown(["bnech", "geneval"]) == ["bnech"]
    assert unknown(["bench", "geneval", "--metod", "base"]) == ["--metod"]
    assert unknown(["train", "lora", "--model=x", "--model", "sanna"]) == ["sanna"]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_on_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_shell_code_on_a_page_is_shell(page: Path) -> None:
    for shell, code in BLOCK.findall(page.read_text()):
        if shell in ("sh", "bash"):
            done = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


def test_every_nox_session_on_a_page_exists() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bnox -s (\w+)", page.read_text())}
    assert {"quickstart", "parity"} <= named <= sessions
