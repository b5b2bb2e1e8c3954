"""The judge of T2I-CompBench's other categories: how parts are joined, and tiny untrained networks end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import pytest
import tiny_judges
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.sources import BLIP_VQA
from benchmarks.t2i_compbench import clip_score
from benchmarks.t2i_compbench.boxes import Detection
from benchmarks.t2i_compbench.clip_score import ClipScore
from benchmarks.t2i_compbench.objects_judge import judge_objects_with
from benchmarks.t2i_compbench.other_benchmark import T2ICompBenchOther
from benchmarks.t2i_compbench.other_judge import judge_parts_with
from benchmarks.t2i_compbench.sources import CLIP, DETECTOR
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Prompt
from hypernoise.experiments.scoring import ScoreRequest, run_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CPU = torch.device("cpu")
SIDE = 479
"""Images of this size are not scaled by the rules."""


Boxes = tuple[tuple[float, float, float, float], float]


def finds(**objects: list[Boxes]) -> Callable[..., list[dict[str, list[Detection]]]]:
    """A detector that sees the same objects in every image, and gives those asked for."""

    def detect(
        images: Sequence[np.ndarray], nouns: Sequence[Sequence[str]]
    ) -> list[dict[str, list[Detection]]]:
        seen = {noun: [Detection(box, score) for box, score in of] for noun, of in objects.items()}
        return [
            {noun: seen[noun] for noun in asked if noun in seen}
            for _, asked in zip(images, nouns, strict=True)
        ]

    return detect


def cases(*metadata: dict[str, Any]) -> tuple[list[np.ndarray], list[Prompt]]:
    images = [np.full((SIDE, SIDE, 3), number, np.uint8) for number, _ in enumerate(metadata)]
    return images, [Prompt(i, "", "", each) for i, each in enumerate(metadata)]


CAT_LEFT_OF_SOFA = finds(
    cat=[((50, 100, 150, 200), 0.9), ((0, 0, 40, 40), 0.6)], sofa=[((250, 100, 450, 200), 0.8)]
)


def test_a_position_is_that_of_the_best_objects() -> None:
    asked = [
        {"objects": ["cat", "sofa"], "relation": "on the left of"},
        {"objects": ["sofa", "cat"], "relation": "on the left of"},
        {"objects": ["cat", "dog"], "relation": "near"},
    ]
    judged = judge_objects_with(CAT_LEFT_OF_SOFA)(*cases(*asked))
    assert [each.score for each in judged] == [pytest.approx(0.425 + 0.5), 0, 0]
    assert [each.reason for each in judged] == [
        "cat on the left of sofa 0.93",
        "sofa on the left of cat 0.00",
        "found no dog",
    ]
    assert judged[2].details == {
        "objects": {"cat": {"box": [50, 100, 150, 200], "score": 0.9}},
        "position": 0,
    }


def test_a_prompt_without_two_objects_has_no_position() -> None:
    """As in the published script, which then finds neither."""
    (judged,) = judge_objects_with(CAT_LEFT_OF_SOFA)(*cases({"objects": [], "relation": None}))
    assert (judged.score, judged.reason) == (0, "the script reads no two objects from the prompt")


def test_numbers_are_of_different_objects() -> None:
    double = finds(girl=[((0, 0, 99, 99), 0.9), ((0, 0, 98, 99), 0.8)], television=[((9, 9, 50, 50), 0.7)])
    asked = [
        {"counts": [["girl", 1], ["television", 2]]},
        {"counts": [["girl", 2]]},
        {"counts": [["cat", 1]]},
    ]
    judged = judge_objects_with(double)(*cases(*asked))
    assert [each.score for each in judged] == [0.75, 0.5, 0]
    assert judged[0].reason == "1 of 1 girl, 1 of 2 television"
    assert judged[0].details == {"found": {"girl": 1, "television": 1}}


def test_a_complex_score_is_the_mean_of_its_parts() -> None:
    def vqa(images: Sequence[np.ndarray], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        assert [int(image[0, 0, 0]) for image in images] == [0, 1, 2]
        return [[0.5] * len(of) for of in questions]

    def compare(images: Sequence[np.ndarray], sentences: Sequence[str]) -> list[float]:
        assert [int(image[0, 0, 0]) for image in images] == [1, 2, 3]
        return [{"The cat sat .": 0.3, "no": -0.1}[each] for each in sentences]

    phrases = ["The cat", "the sofa"]
    placed = {"objects": ["cat", "sofa"], "relation": "on the left of"}
    images, prompts = cases(
        {"phrases": phrases, **placed},
        {"phrases": phrases, "sentence": "The cat sat ."},
        {"phrases": phrases, "sentence": "The cat sat .", **placed},
        {"sentence": "no"},
    )
    judged = judge_parts_with(vqa, CAT_LEFT_OF_SOFA, compare)(images, prompts)
    expected = [(0.25 + 0.925) / 2, (0.25 + 0.3) / 2, (0.25 + 0.925 + 0.3) / 3, 0]
    assert [each.score for each in judged] == pytest.approx(expected)
    assert judged[2].reason == "The cat? yes with 0.50; cat on the left of sofa 0.93; cosine 0.30"
    assert set(judged[2].details) == {"answers", "objects", "position", "cosine"}
    assert judged[3].details == {"cosine": -0.1}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> open_clip.CLIP:
    return tiny_judges.clip(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (5, 48, 40, 3), dtype=np.uint8))


SENTENCES = ["a cat", "a dog in the sun", "two cups", "a cat", "a red bench"]


def test_a_cosine_is_open_clip_s(clip: open_clip.CLIP, pictures: list[np.ndarray]) -> None:
    score = ClipScore(clip, tiny_judges.CLIP, CPU, batch=3)
    _, _, preprocess = open_clip.create_model_and_transforms(tiny_judges.CLIP, load_weights=False)
    pixels = torch.stack([preprocess(Image.fromarray(picture)) for picture in pictures])
    with torch.no_grad():
        images, texts = (
            clip.encode_image(pixels),
            clip.encode_text(open_clip.get_tokenizer(tiny_judges.CLIP)(SENTENCES)),
        )
    expected = torch.nn.functional.cosine_similarity(images, texts)
    assert score(pictures, SENTENCES) == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_cosine_does_not_depend_on_others(clip: open_clip.CLIP, pictures: list[np.ndarray]) -> None:
    score = ClipScore(clip, tiny_judges.CLIP, CPU, batch=3)
    alone = [score([picture], [each])[0] for picture, each in zip(pictures, SENTENCES, strict=True)]
    assert score(pictures, SENTENCES) == alone


def test_the_published_architecture_has_quickgelu() -> None:
    assert open_clip.get_model_config(clip_score.ARCHITECTURE)["quick_gelu"]
    with pytest.raises(HnError, match="ViT-B-32 has no QuickGELU"):
        ClipScore.load(CPU, "ViT-B-32")


@pytest.fixture
def weights(hub: Callable[[str], Path], clip: open_clip.CLIP, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks under the published names."""
    load = ClipScore.load
    monkeypatch.setattr(ClipScore, "load", lambda device: load(device, tiny_judges.CLIP))
    tiny_judges.owlv2().save_pretrained(hub(DETECTOR.repo))
    tiny_judges.save_blip(tiny_judges.blip(), hub(BLIP_VQA.repo))
    save_file(clip.state_dict(), hub(CLIP.repo) / "open_clip_model.safetensors")


def one_of_each_category() -> list[Prompt]:
    """Complex: one with a position."""
    prompts = T2ICompBenchOther().prompts("coco")
    return [
        next(prompt for prompt in prompts if prompt.task == task) for task in T2ICompBenchOther.report.columns
    ]


@pytest.mark.usefixtures("weights")
def test_every_category_is_judged_with_weights_from_the_hub(pictures: list[np.ndarray]) -> None:
    benchmark = T2ICompBenchOther()
    files = [name for name in benchmark.identity("coco") if "/" in name]
    assert {name.rpartition("/")[0] for name in files} == {DETECTOR.repo, BLIP_VQA.repo, CLIP.repo}
    judge, asked = benchmark.judge("coco", CPU), one_of_each_category()
    judged = judge(pictures[:4], asked)
    assert [0 <= each.score <= 1 for each in judged] == [True] * 4
    assert [set(each.details) for each in judged] == [
        {"objects", "position"}, {"found"}, {"cosine"}, {"answers", "objects", "position"},
    ]  # fmt: skip
    alone = [judge([picture], [prompt])[0] for picture, prompt in zip(pictures, asked, strict=False)]
    assert judged == alone


@pytest.mark.usefixtures("weights")
def test_a_folder_is_scored_and_its_table_has_no_rows_of_the_paper(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    files = T2ICompBenchOther().layout(one_of_each_category(), 1)
    for file, picture in zip(files, pictures, strict=False):
        path = tmp_path / "images" / file.path
        path.parent.mkdir(parents=True)
        Image.fromarray(picture).save(path)
    request = ScoreRequest(
        "t2i-compbench-other", tmp_path / "images", "coco", "1", 8, "cpu", allow_missing=True
    )
    run_score(request, tmp_path)
    table = (tmp_path / "scored" / "images-t2i-compbench-other-coco" / "table.md").read_text()
    assert "T2I-CompBench, the other categories (not in the paper)" in table
    assert "Non-spatial" in table
    assert "in place of the published UniDet" in table
    assert "'a photo of a (noun)'; objects score above 0.2" in table
    assert "sana-sprint" not in table


def test_missing_weights_are_told_before_anything_is_made_here_too(hub: Callable[[str], Path]) -> None:
    hub(DETECTOR.repo)
    with pytest.raises(HnError, match=r"owlv2-base-patch16-ensemble is not complete"):
        T2ICompBenchOther().identity("coco")
