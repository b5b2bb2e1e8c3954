"""The commands as a user meets them: help, start-up, output, and one sentence for whatever goes wrong."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import typer
from PIL import Image

from hypernoise.cli import app, main
from hypernoise.registry import GROUPS, KINDS, find
from hypernoise.tables.table1 import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Hn = Callable[..., list[str]]
    Refusal = Callable[..., str]

HEAVY = {"torch", "diffusers", "transformers", "pandas", "numpy", "scipy", "matplotlib", "PIL"}
BASE_RUN = "shapes-base-geneval"
BENCH = ["bench", "geneval", "--seeds", 2, "--limit", 5, "--batch", 4, "--device", "cpu"]


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of `hn` by the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_there_are_these_commands() -> None:
    expected = {
        "bench",
        "table",
        "show",
        "report",
        "ls",
        "prompts",
        "reproduce",
        "diagnose",
        "models",
        "doctor",
        "download",
        "time",
        "verify",
    }
    expected |= {"train hypernoise", "train lora", "shapes train", "shapes evaluate"}
    assert expected <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        assert len(parameter.help or "") > 10, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_can_be_typed(name: str) -> None:
    command = COMMANDS[name]
    example = re.fullmatch(r"Example: `hn (.+?)( > .+)?`", command.epilog)
    assert example
    words = shlex.split(example[1])
    called = name.split()
    assert words[: len(called)] == called
    context = command.make_context(name, words[len(called) :])
    given = {key: str(value) for key, value in context.params.items()}
    # The names in it exist: nobody copies an example to be told that it is wrong.
    for kind in ("model", "benchmark"):
        assert given.get(kind) in (None, *KINDS[kind])
    methods = context.params.get("method") or ()
    assert {method.partition(":")[0] for method in methods} <= KINDS["method"].keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_everything(name: str, hn: Hn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(hn(*name.split(), "--help"))
    assert "Example: " in shown
    for parameter in COMMANDS[name].params:
        assert parameter.opts[0] in shown


@pytest.mark.parametrize("words", [[], ["--help"], ["bench", "--help"], ["ls", "methods"], ["nonsense"]])
def test_nothing_heavy_is_imported_before_it_is_needed(words: list[str]) -> None:
    program = (
        "import sys\nfrom hypernoise.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("loaded: ")[2].split())
    assert "hypernoise" in loaded
    assert not loaded & HEAVY


def test_the_installed_command_answers() -> None:
    hn = shutil.which("hn", path=str(sys.executable).rpartition("/")[0])
    if hn is None:
        pytest.skip("the package is not installed beside this Python")
    done = subprocess.run([hn, "ls", "benchmarks"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(KINDS["benchmark"])


@pytest.mark.parametrize("kind", KINDS)
def test_ls_lists_what_there_is(kind: str, hn: Hn) -> None:
    assert hn("ls", f"{kind}s") == list(KINDS[kind])


def test_ls_runs_lists_the_finished_runs(hn: Hn, results: Path) -> None:
    unfinished = next((results / "runs").glob("shapes-best*"))
    (unfinished / "records" / "00001.jsonl").unlink()
    names = hn("ls", "runs", "--results", results)
    assert [name.rpartition("-")[0] for name in names] == ["shapes-base-geneval-shapes"]


def test_prompts_are_printed_in_the_published_format(hn: Hn) -> None:
    lines = [json.loads(line) for line in hn("prompts", "geneval")]
    assert len(lines) == 300
    assert all({"tag", "include", "prompt"} <= line.keys() for line in lines)


def test_bench_prints_and_writes_the_table(hn: Hn, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shutil.rmtree(results / "shapes")
    methods = ["--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=2"]
    printed = "\n".join(hn(*BENCH, *methods, "--results", results))
    rows = read_csv(results / "shapes" / "table1.csv")
    assert [(row.method, row.nfe, row.prompts, row.seeds) for row in rows] == [
        ("base", 1.0, 5, 2),
        ("best-of-n", 2.0, 5, 2),
    ]
    assert {path.name for path in (results / "shapes").iterdir()} == {"table1.csv", "table1.md", "table1.tex"}
    assert "a laboratory, not the paper's models" in printed
    assert "5 prompts × 2 seeds, suite shapes" in printed
    assert "best-of-n: preset paper, changed (n 2)." in printed


def test_bench_of_finished_runs_changes_nothing(
    hn: Hn, results: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    before = contents(results)
    methods = ["--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=2"]
    hn(*BENCH, *methods, "--results", results)
    assert contents(results) == before


@pytest.mark.parametrize(
    "changed",
    [
        ["--seeds", "2-3"],
        ["--steps", "2"],
        ["--limit", "4"],
        ["--batch", "3"],
        ["--reward", "redness=1"],
        ["--reward", "shapes-match=2"],
    ],
)
def test_a_changed_setting_is_a_new_run(
    hn: Hn, results: Path, contents: Callable[[Path], dict[str, bytes]], changed: list[str]
) -> None:
    before = contents(results / "runs")
    hn(*BENCH, *changed, "--results", results)
    after = contents(results / "runs")
    assert before.items() <= after.items()
    assert len({name.partition("/")[0] for name in after}) == 3


def test_steps_and_seeds_reach_the_images(hn: Hn, tmp_path: Path) -> None:
    hn(*BENCH[:2], "--seeds", "6-7", "--limit", 2, "--steps", 2, "--results", tmp_path)
    images = {"/".join(path.parts[-2:]) for path in tmp_path.rglob("*.png")}
    assert {name.partition("/")[2] for name in images} == {"00006.png", "00007.png"}
    assert len(images) == 4
    assert read_csv(tmp_path / "shapes" / "table1.csv")[0].nfe == 2


def test_without_steps_the_model_s_own_number_is_taken(
    hn: Hn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find("model", "shapes")
    monkeypatch.setattr(model, "card", replace(model.card, steps=3))
    hn(*BENCH, "--results", tmp_path)
    assert read_csv(tmp_path / "shapes" / "table1.csv")[0].nfe == 3


def test_table_is_written_again_from_the_runs(hn: Hn, results: Path) -> None:
    written = (results / "shapes" / "table1.csv").read_bytes()
    shutil.rmtree(results / "shapes")
    hn("table", 1, "--world", "shapes", "--results", results)
    assert (results / "shapes" / "table1.csv").read_bytes() == written


def test_show_writes_the_contact_sheet_of_all_methods(hn: Hn, results: Path) -> None:
    hn("show", BASE_RUN, "--prompts", 3, "--seed", 1, "--results", results)
    with Image.open(results / "shapes" / "contact_sheet.png") as sheet:
        assert sheet.size == (230 + 2 * 142, 26 + 3 * 181)


def test_report_shows_all_images_of_all_methods(hn: Hn, results: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere" / "page.html"
    (*_, written) = hn("report", "--world", "shapes", "--output", output, "--results", results)
    page = output.read_text()
    assert written == f"Written to {output} ({len(page) / 1e6:.1f} MB)"
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*)</script>', page)[0])
    assert [column["method"] for column in data["columns"]] == ["base", "best-of-n"]
    assert [(row["seed"], len(row["tiles"])) for row in data["rows"]] == [(0, 2), (1, 2)] * 5
    gains = [tile["gain"] for row in data["rows"] for tile in row["tiles"]]
    assert min(gains) == 0.0
    hn("report", "--results", results)
    assert (results / "shapes" / "report.html").read_text() == page


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a package of one module, whose name begins its entry points' values."""

    def add(entry_points: str, code: str) -> None:
        info = tmp_path / "installed" / "thirdparty-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        module = entry_points.partition("= ")[2].partition(":")[0]
        (info.parent / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(info.parent)

    return add


def test_a_third_party_s_generator_and_reward_run_with_our_methods(
    hn: Hn, tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    install(
        "[hypernoise.generators]\nnegative = thirdparty_negative:Negative\n"
        "[hypernoise.rewards]\nbrightness = thirdparty_negative:Brightness\n",
        "from hypernoise.generators.shapes import ShapesGenerator\n"
        "from hypernoise.rewards.redness import Redness\n"
        "class Negative(ShapesGenerator):\n"
        "    name, default_rewards = 'negative', {'brightness': 1.0}\n"
        "    def generate(self, *given):\n"
        "        return 1 - super().generate(*given)\n"
        "class Brightness(Redness):\n"
        "    name = 'brightness'\n"
        "    def score(self, images, text):\n"
        "        return images.mean((1, 2, 3))\n",
    )
    words = ["--model", "negative", "--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=3"]
    hn("bench", "geneval", *words, "--limit", 2, "--seeds", 1, "--device", "cpu", "--results", tmp_path)
    rewards = {}
    for run in (tmp_path / "runs").iterdir():
        settings = json.loads((run / "manifest.json").read_text())["settings"]
        records = [
            json.loads(line) for file in run.glob("records/*") for line in file.read_text().splitlines()
        ]
        rewards[settings["method"]] = [record["rewards"]["brightness"] for record in records]
    assert all(one <= best for one, best in zip(rewards["base"], rewards["best-of-n"], strict=True))
    assert rewards["base"] != rewards["best-of-n"]
    assert (tmp_path / "negative" / "table1.md").exists()


def test_a_third_party_s_method_runs_beside_ours(
    hn: Hn, tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    install(
        "[hypernoise.methods]\ndark = thirdparty_dark:Dark\n",
        "from dataclasses import dataclass, replace\n"
        "from hypernoise.methods import Base, BaseSettings, Method\n"
        "@dataclass(frozen=True)\n"
        "class Settings:\n"
        "    brightness: float = 0.5\n"
        "class Dark(Method):\n"
        "    name, presets = 'dark', {'night': Settings(0.0), 'dusk': Settings()}\n"
        "    def __init__(self, settings):\n"
        "        self.settings = settings\n"
        "    def __call__(self, batch):\n"
        "        made = Base(BaseSettings())(batch)\n"
        "        return replace(made, images=made.images * self.settings.brightness)\n",
    )
    results = tmp_path / "results"
    hn(*BENCH, "--method", "base", "--method", "dark", "--results", results)
    (run,) = (results / "runs").glob("shapes-dark-*")
    assert json.loads((run / "manifest.json").read_text())["settings"]["preset"] == "night"
    for path in run.glob("images/*/*.png"):
        with Image.open(path) as image:
            assert image.getextrema() == ((0, 0),) * 3
    assert [row.method for row in read_csv(results / "shapes" / "table1.csv")] == ["base", "dark"]
    hn(*BENCH, "--method", "dark:dusk", "--set", "dark.brightness=0.25", "--results", results)
    assert len(list((results / "runs").iterdir())) == 3
    assert "thirdparty" in json.loads((run / "manifest.json").read_text())["settings"]["method_settings"]


@pytest.fixture
def broken(install: Callable[[str, str], None]) -> str:
    """Installs a package that brings one `lost-<kind>` of each kind but cannot be imported; what is said of it."""
    entries = "".join(f"[{group}]\nlost-{kind} = thirdparty_lost:Lost\n" for kind, group in GROUPS.items())
    install(entries, "raise ImportError('needs\\n[/b] elsewhere')\n")
    return (
        "is broken: its package thirdparty cannot be imported (ImportError: needs [/b] elsewhere); "
        "repair or uninstall that package."
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("model", ["bench", "geneval", "--model", "lost-model"]),
        ("method", ["bench", "geneval", "--method", "lost-method"]),
        ("reward", ["bench", "geneval", "--reward", "lost-reward=1"]),
        ("benchmark", ["prompts", "lost-benchmark"]),
        ("rewriter", ["download", "lost-rewriter"]),
    ],
)
def test_a_broken_package_is_named_where_it_is_asked_for(
    refusal: Refusal, broken: str, kind: str, words: list[str]
) -> None:
    assert refusal(*words) == f"The {kind} 'lost-{kind}' {broken}"


def test_lists_name_a_broken_package_and_go_on(
    hn: Hn, broken: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for kind, own in KINDS.items():
        assert hn("ls", f"{kind}s") == [*own, f"lost-{kind}\tThe {kind} 'lost-{kind}' {broken}"]
    models = "\n".join(hn("models"))
    assert f"The model 'lost-model' {broken}" in models
    assert "sd3.5-turbo" in models
    doctor = hn("doctor", "--device", "cpu")
    for kind in KINDS.keys() - {"method"}:
        (line,) = (line for line in doctor if f"lost-{kind}" in line)
        assert [cell.strip() for cell in line.strip("│").split("│")] == [
            kind,
            f"lost-{kind}",
            "broken",
            "–",
            "–",
            f"The {kind} 'lost-{kind}' {broken}",
        ]
    assert any(" geneval " in line for line in doctor)
    hn("table", 1, "--results", results)


@pytest.mark.usefixtures("broken")
def test_a_broken_benchmark_does_not_keep_training_from_comparing_with_the_others(
    refusal: Refusal, tmp_path: Path
) -> None:
    evaluated = find("benchmark", "geneval")().prompts("shapes")[0].text
    (tmp_path / "mine.txt").write_text(f"{evaluated}\n")
    words = ["--prompts", tmp_path / "mine.txt", "--output", tmp_path / "adapter"]
    said = refusal("train", "hypernoise", "--model", "shapes", *words)
    assert said.startswith("1 of the 1 training prompts are also evaluation prompts")


WRONG = [
    (["bench", "genevl"], "There is no benchmark called 'genevl': did you mean 'geneval'?"),
    (["bench", "geneval", "--model", "shaps"], "There is no model called 'shaps': did you mean 'shapes'?"),
    (["bench", "geneval", "--method", "rino"], "There is no method called 'rino': did you mean 'reno'?"),
    (
        ["bench", "geneval", "--method", "base", "--method", "base"],
        "A method is named twice; run its variants in separate commands.",
    ),
    (
        ["bench", "geneval", "--method", "reno:papr"],
        "reno has no preset 'papr': did you mean 'paper'?",
    ),
    (["bench", "geneval", "--suite", "coc"], "geneval has no suite 'coc': did you mean 'coco'?"),
    (
        ["bench", "geneval", "--suite", "coco"],
        "The model 'shapes' cannot draw the suite 'coco'; its own: shapes.",
    ),
    (
        ["bench", "geneval", "--seeds", "11-8"],
        "--seeds is '11-8' but must be a number of seeds such as 4, or",
    ),
    (["bench", "geneval", "--seeds", "0"], "--seeds is '0' but must be a number of seeds such as 4, or"),
    (
        ["bench", "geneval", "--seeds", "many"],
        "--seeds is 'many' but must be a number of seeds such as 4, or",
    ),
    (
        ["bench", "geneval", "--reward", "rednes=1"],
        "There is no reward called 'rednes': did you mean 'redness'?",
    ),
    (["bench", "geneval", "--reward", "redness"], "--reward is 'redness' but must be NAME=WEIGHT, such as"),
    (["bench", "geneval", "--reward", "redness="], "--reward is 'redness=' but must be NAME=WEIGHT, such as"),
    (["bench", "geneval", "--reward", "redness=nan"], "--reward is 'redness=nan' but must be NAME=WEIGHT"),
    (
        ["bench", "geneval", "--reward", "redness=1", "--reward", "redness=2"],
        "The reward 'redness' is named twice; give it one weight.",
    ),
    (
        ["bench", "geneval", "--set", "base.n"],
        "--set is 'base.n' but must be METHOD.SETTING=VALUE, such as best-of-n.n=10.",
    ),
    (["bench", "geneval", "--set", "n=3"], "--set is 'n=3' but must be METHOD.SETTING=VALUE, such as"),
    (
        ["bench", "geneval", "--set", "reno.iterations=3"],
        "--set reno.iterations=3 changes 'reno', which is not among the methods asked for.",
    ),
    (["bench", "geneval", "--set", "base.n=3"], "base has no setting 'n': there are none."),
    (
        ["bench", "geneval", "--method", "reno", "--set", "reno.iteration=3"],
        "reno has no setting 'iteration': did you mean 'iterations'?",
    ),
    (
        ["bench", "geneval", "--method", "reno", "--set", "reno.iterations=0"],
        "reno cannot run with these settings: iterations must be at least 1.",
    ),
    (
        ["bench", "geneval", "--device", "gpu"],
        "There is no device 'gpu' on this machine; use auto, cpu or cuda.",
    ),
    (["bench", "geneval", "--device", "meta"], "There is no device 'meta' on this machine; use auto, cpu or"),
    (
        ["bench", "geneval", "--device", "cuda:77"],
        "There is no device 'cuda:77' on this machine; use auto, cpu",
    ),
    (
        ["table", "9"],
        "hn table writes Tables 1, 5, 6, 7, not 9; `hn reproduce --list` names the other tables that can be made.",
    ),
    (["table", "1"], "There is no finished run of 'shapes' below "),
    (["show", "shapes-reno"], "In "),
    (["ls", "modls"], "hn ls knows no 'modls': did you mean 'models'?"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_cannot_be_done_is_said_in_a_sentence(
    refusal: Refusal, tmp_path: Path, words: list[str], sentence: str
) -> None:
    said = refusal(*words, "--results", tmp_path / "results")
    assert said.startswith(sentence)
    assert said[-1] in ".?"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["prompts", "genevl"], "There is no benchmark called 'genevl': did you mean 'geneval'?"),
        (["prompts", "geneval", "--suite", "shape"], "geneval has no suite 'shape': did you mean 'shapes'?"),
    ],
)
def test_prompts_that_there_are_not(refusal: Refusal, words: list[str], sentence: str) -> None:
    assert refusal(*words) == sentence


def test_no_results_folder_can_be_made(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").write_text("in the way")
    said = refusal(*BENCH, "--results", tmp_path / "results")
    assert re.fullmatch(r".*/runs/shapes-base-.* cannot be written \(.+\); check the folder and .*\.", said)
    assert (tmp_path / "results" / "runs").read_text() == "in the way"


READERS: dict[str, list[list[Any]]] = {
    "records/00001.jsonl": [BENCH, ["table", 1], ["show", BASE_RUN], ["ls", "runs"]],
    "manifest.json": [BENCH, ["table", 1], ["show", BASE_RUN], ["ls", "runs"]],
    "costs/00001.jsonl": [BENCH, ["table", 1]],
}


@pytest.mark.parametrize(
    ("path", "command"), [(path, command) for path, readers in READERS.items() for command in readers]
)
def test_a_damaged_store_is_told_and_nothing_is_lost(
    refusal: Refusal,
    results: Path,
    contents: Callable[[Path], dict[str, bytes]],
    path: str,
    command: list[object],
) -> None:
    damaged = next((results / "runs").glob(f"{BASE_RUN}*")) / path
    damaged.write_bytes(damaged.read_bytes().replace(b"prompt", b"prampt"))
    before = contents(results)
    said = refusal(*command, "--results", results)
    assert said.startswith(str(damaged))
    assert said.endswith("damaged; delete that file and give the same command again.")
    assert contents(results) == before


def test_an_image_that_cannot_be_read_is_told(
    refusal: Refusal, results: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    image = next((results / "runs").glob(f"{BASE_RUN}*/images/*/00000.png"))
    image.write_bytes(image.read_bytes()[:40])
    before = contents(results)
    said = refusal("show", BASE_RUN, "--results", results)
    assert said.startswith(f"The image {image} is missing or cannot be read; delete ")
    assert contents(results) == before


def test_a_seed_that_was_not_run_cannot_be_shown(refusal: Refusal, results: Path) -> None:
    said = refusal("show", BASE_RUN, "--seed", 2, "--results", results)
    assert re.fullmatch(r"The run shapes-base-.* has the seeds 0 to 1, not 2\.", said)


@pytest.mark.parametrize("file", ["table1.csv", "table1.md", "table1.tex"])
def test_a_full_disk_leaves_the_old_table(
    hn: Hn,
    refusal: Refusal,
    results: Path,
    contents: Callable[[Path], dict[str, bytes]],
    fill_the_disk_for: Callable[[Path], None],
    file: str,
) -> None:
    before = contents(results)
    fill_the_disk_for(results / "shapes" / file)
    said = refusal("table", 1, "--results", results)
    assert said.startswith(f"The disk is full: {results}/shapes/{file} was not written; free some space and")
    assert contents(results) == before
    hn("table", 1, "--results", results)
    assert contents(results) == before


def test_ctrl_c_says_that_the_same_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hypernoise.tables.publish.write_table", interrupted)
    monkeypatch.setattr(sys, "argv", ["hn", "table", "1"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "hn: Stopped; the same command goes on from here.\n"


def test_what_typer_refuses_ends_with_the_same_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["bench", "geneval", "--limit", "0"], ["show"], ["table", "one"], ["benhc"]):
        monkeypatch.setattr(sys, "argv", ["hn", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert "Error" in capsys.readouterr().err
