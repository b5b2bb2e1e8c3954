"""The page on what the paper's tables cost: its numbers follow from the reference tables and from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypernoise.experiments.reproduce import RANK_STEPS, RANKS, REDNESS_EPOCHS, STEPS
from hypernoise.noise.settings import PRESETS
from hypernoise.prompts.sets import CATALOGUE
from hypernoise.registry import find
from hypernoise.tables.reference import paper_rows

PAGE = Path(__file__).parents[2] / "hypernoise" / "experiments" / "COSTS.md"
REWARDS = ("hps", "imagereward", "clip", "pickscore")
OTHERS = ("sd-v2.1", "sdxl", "dpo-sdxl", "hyper-sdxl", "flux-dev", "sd3-medium")
SAMPLES = 25 * 70_000

SECONDS = {(row.model, row.method): row.seconds for row in paper_rows(1).itertuples(index=False)}
BASE, HYPERNOISE = SECONDS["sana", "base"], SECONDS["sana", "hypernoise"]
PROMPTS = {name: len(find("benchmark", name)().prompts("coco")) for name in ("geneval", "t2i-compbench")}


def rows(heading: str) -> dict[str, list[str]]:
    """The cells behind the first one of each line of a section's table."""
    (section,) = (part for part in PAGE.read_text().split("\n## ") if part.startswith(heading))
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {name: cells for name, *cells in lines[2:]}


def number(cell: str) -> float:
    return float(cell.rpartition("= ")[2].replace(",", ""))


def of_steps(steps: tuple[int, ...], *, modulated: bool) -> float:
    """Seconds of an image at each of some numbers of steps."""
    return sum(BASE * each + modulated * (HYPERNOISE - BASE) for each in steps)


def of_model(model: str) -> tuple[int, float]:
    """Runs in Table 1, and their seconds."""
    own = [seconds for (name, _), seconds in SECONDS.items() if name == model]
    return len(own), sum(own)


def gigabytes(images: float, model: str) -> float:
    return images * 2e-3 * (find("model", model).card.resolution / 1024) ** 2


FEW = (1, 2, 4)
BOTH = of_steps(FEW, modulated=False) + of_steps(FEW, modulated=True)
PLAIN = of_steps(RANK_STEPS, modulated=False)
TABLE8 = 2 * of_steps(STEPS, modulated=False) + of_steps(STEPS, modulated=True)
TABLE9 = PLAIN + len(RANKS) * of_steps(RANK_STEPS, modulated=True)
RANKED = len(RANK_STEPS) * (1 + len(RANKS))
MEASURED = {
    "1, SANA-Sprint": (PROMPTS["geneval"] * 4, *of_model("sana"), "sana"),
    "1, SD-Turbo": (PROMPTS["geneval"] * 4, *of_model("sd-turbo"), "sd-turbo"),
    "1, FLUX-Schnell": (PROMPTS["geneval"] * 4, *of_model("flux"), "flux"),
    "5": (PROMPTS["t2i-compbench"] * 4, 6, BOTH, "sana"),
    "6": (1065 * 4, 6, BOTH, "sana"),
    "7": (PROMPTS["geneval"] * 50, 2, BASE + HYPERNOISE, "sana"),
    "8, 2": (PROMPTS["geneval"] * 4, 3 * len(STEPS), TABLE8, "sana"),
    "9": (PROMPTS["geneval"] * 4, RANKED, TABLE9, "sana"),
    "10": (PROMPTS["geneval"] * 4, RANKED, PLAIN * (1 + len(RANKS)), "sana"),
}


def check(cells: list[str], images: int, seconds: float, each: int, disk: float) -> None:
    expected = [images, seconds, each * seconds / 3600, each * seconds / 3600 / 6, disk]
    assert [number(cell) for cell in cells[1:]] == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize("table", MEASURED)
def test_hours_and_disk_of_a_table(table: str) -> None:
    images, runs, seconds, model = MEASURED[table]
    check(rows("Measuring")[table], images * runs, seconds, images, gigabytes(images * runs, model))


def test_hours_and_disk_of_the_models_that_are_run_as_they_are() -> None:
    images = PROMPTS["geneval"] * 4
    disk = sum(gigabytes(images, model) for model in OTHERS)
    seconds = sum(of_model(model)[1] for model in OTHERS)
    check(rows("Measuring")["1, other models"], images * len(OTHERS), seconds, images, disk)


def test_every_table_has_a_line() -> None:
    assert set(rows("Measuring")) == {*MEASURED, "1, other models"}


def test_what_table_1_is_made_of() -> None:
    hours = {method: SECONDS["sana", method] * PROMPTS["geneval"] * 4 / 3600 for _, method in SECONDS}
    (said,) = re.findall(
        r"optimization takes (\S+) hours, ReNO (\S+), Best-of-N (\S+), base and HyperNoise (\S+) tog",
        PAGE.read_text(),
    )
    expected = [
        hours["prompt-optimization"],
        hours["reno"],
        hours["best-of-n"],
        hours["base"] + hours["hypernoise"],
    ]
    assert [float(each) for each in said] == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize(
    ("training", "model"),
    [
        ("SANA-Sprint, HyperNoise", "sana"),
        ("SD-Turbo, HyperNoise", "sd-turbo"),
        ("FLUX-Schnell, HyperNoise", "flux"),
    ],
)
def test_hours_of_a_training(training: str, model: str) -> None:
    _, seconds, alone, six = rows("Training")[training]
    added = SECONDS[model, "hypernoise"] - SECONDS[model, "base"]
    expected = SECONDS[model, "reno"] / 50 + 3 * added
    assert number(seconds) == pytest.approx(expected)
    assert [number(alone), number(six)] == pytest.approx(
        [SAMPLES * expected / 3600, SAMPLES * expected / 3600 / 6], abs=0.51
    )


def test_the_trainings_are_the_paper_s() -> None:
    assert PRESETS["hypernoise"]["table4-sana-sprint"].epochs * 70_000 == SAMPLES
    assert REDNESS_EPOCHS * (CATALOGUE["t2i-compbench-train"].count or 0) == 6000
    assert (
        PRESETS["hypernoise"]["table4-sana-sprint"].alpha
        == 2 * PRESETS["hypernoise"]["table4-sana-sprint"].rank
    )


def test_sizes_of_downloads() -> None:
    def size(kind: str, *names: str) -> float:
        return sum(
            source.gigabytes
            for name in names
            for source in (find(kind, name).card.sources if kind == "model" else find(kind, name).sources)
        )

    expected = {
        "SANA-Sprint and its adapter": size("model", "sana") + 1.3,
        "the four rewards": size("reward", *REWARDS),
        "prompt optimization's language model": size("rewriter", "transformers"),
        "GenEval's judges": size("benchmark", "geneval"),
        "BLIP-VQA, for Tables 5 and 6": size("benchmark", "t2i-compbench"),
        "DINOv2 and AlexNet, for Table 7": size("benchmark", "diversity"),
        "SD-Turbo; FLUX-Schnell": size("model", "sd-turbo", "flux"),
        "the six other models": size("model", *OTHERS),
    }
    said = {name: number(cells[1]) for name, cells in rows("Weights").items()}
    assert said == pytest.approx(expected, abs=0.051)
