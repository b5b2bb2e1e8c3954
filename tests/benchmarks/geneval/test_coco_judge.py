"""The judge of suite `coco`: its rules in closed form, and tiny untrained models of its networks end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import pytest
import tiny_judges
import torch
from safetensors.torch import save_file
from transformers import Mask2FormerImageProcessor
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

from benchmarks.geneval import detector, prompts, sources
from benchmarks.geneval.benchmark import GenEval
from benchmarks.geneval.coco_judge import CocoJudge, colors_asked
from benchmarks.geneval.colors import ColorClassifier, crop
from benchmarks.geneval.detector import Detector, Instance, instances
from benchmarks.geneval.rules import Detection, Rules
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Mask2FormerForUniversalSegmentation

CPU = torch.device("cpu")
TINY = tiny_judges.CLIP


@pytest.fixture(scope="module")
def mask2former() -> Mask2FormerForUniversalSegmentation:
    return tiny_judges.mask2former()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ColorClassifier:
    return ColorClassifier(tiny_judges.clip(tmp_path_factory.mktemp("configs")), TINY, CPU, batch=4)


def pictures(count: int, size: tuple[int, int] = (32, 32)) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def logits(name: str, confidence: float) -> torch.Tensor:
    """Class logits [81] whose softmax gives `name` that probability and "no object" the rest."""
    row = torch.full((81,), -torch.inf)
    row[prompts.COCO_NAMES.index(name)], row[80] = np.log(confidence), np.log(1 - confidence)
    return row


def test_instances_in_closed_form() -> None:
    mask = torch.full((8, 8), -30.0)
    mask[2:4, 1:7] = 30.0
    unsure = torch.full((8, 8), -30.0)
    unsure[0, 0] = float(np.log(0.6 / 0.4))  # inside with probability 0.6
    classes = torch.stack([logits("cup", 0.8), logits("dog", 0.9), logits("cat", 0.2)])
    found = instances(classes, torch.stack([mask, unsure, mask]), (8, 8), (8, 8), (8, 8), 0.3)
    assert [(each.name, each.box) for each in found] == [("dog", (0, 0, 1, 1)), ("cup", (1, 2, 7, 4))]
    assert [each.score for each in found] == pytest.approx([0.9 * 0.6, 0.8], abs=1e-5)
    assert np.array_equal(found[1].mask, mask.numpy() > 0)


def test_an_instance_without_pixels_is_none() -> None:
    empty = torch.full((1, 8, 8), -1.0)
    assert instances(logits("cup", 0.99)[None], empty, (8, 8), (8, 8), (8, 8), 0.3) == []


def test_the_padding_of_the_network_s_input_is_cut_off() -> None:
    mask = torch.full((4, 4), -30.0)
    mask[:2] = 30.0  # the upper half of the input: where the image is
    (found,) = instances(logits("cup", 0.8)[None], mask[None], (16, 16), (8, 16), (8, 16), 0.3)
    assert found.box[:3] == (0, 0, 16)
    assert found.box[3] == 8


def test_instances_are_those_of_transformers_where_no_resizing_differs() -> None:
    """At 384 pixels a side its own post-processing leaves masks as they are."""
    torch.manual_seed(3)
    classes = 9 * torch.randn(1, 100, 81)
    masks = 4 * torch.randn(1, 100, 12, 12)
    outputs = Mask2FormerForUniversalSegmentationOutput(
        class_queries_logits=classes, masks_queries_logits=torch.nn.functional.interpolate(masks, (96, 96))
    )
    (theirs,) = Mask2FormerImageProcessor().post_process_instance_segmentation(
        outputs, threshold=0.3, target_sizes=[(384, 384)], return_binary_maps=True
    )
    size = (384, 384)
    found = instances(classes[0], outputs.masks_queries_logits[0], size, size, size, 0.3)
    assert len(found) == len(theirs["segments_info"]) > 20

    ours = sorted((each.name, int(each.mask.sum()), each.score) for each in found)
    expected = sorted(
        (prompts.COCO_NAMES[info["label_id"]], int(theirs["segmentation"][n].sum()), info["score"])
        for n, info in enumerate(theirs["segments_info"])
    )
    assert [each[:2] for each in ours] == [each[:2] for each in expected]
    assert [each[2] for each in ours] == pytest.approx([each[2] for each in expected], abs=1e-5)


def test_published_outcomes_through_the_judge(golden: Path) -> None:
    """The judge, given the published cases' detections and colors, comes to the published verdicts."""
    lines = (golden / "geneval" / "geneval_public.jsonl").read_text().splitlines()[1:]
    cases = [case for case in map(json.loads, lines) if not case["expected"]["error"]]
    assert len(cases) > 250
    image, mask = np.zeros((4, 4, 3), dtype=np.uint8), np.zeros((4, 4), dtype=bool)
    for case in cases:
        metadata, options = case["metadata"], Rules(**case["options"])
        found = {
            name: [Detection(tuple(each["box"]), each["score"]) for each in group]
            for name, group in case["detections"].items()
        }
        objects = [
            Instance(name, each.box, each.score, mask) for name, group in found.items() for each in group
        ]
        told = [
            case["detections"][name][index]["color"] for name, index in colors_asked(metadata, found, options)
        ]
        judge = CocoJudge(lambda *_, o=objects: [o], lambda *_, t=told: t, options)
        (judged,) = judge([image], [Prompt(0, metadata["prompt"], metadata["tag"], metadata)])
        if not case["tie_sensitive"]:
            assert judged.score == case["expected"]["correct"], case["id"]


def test_detections_do_not_depend_on_the_images_judged_with_them(
    mask2former: Mask2FormerForUniversalSegmentation,
) -> None:
    find = Detector(mask2former, CPU, batch=3, side=64)
    images = [*pictures(4), *pictures(2, (32, 48))]
    together = find(images, 0.0)
    alone = [find([image], 0.0)[0] for image in images]
    assert sum(map(len, together)) > 50
    for one, other in zip(together, alone, strict=True):
        assert [(i.name, i.box, i.score) for i in one] == [(i.name, i.box, i.score) for i in other]
    # Another batch size rounds differently, and no more than that.
    for one, other in zip(together, Detector(mask2former, CPU, batch=1, side=64)(images, 0.0), strict=True):
        assert sorted(i.score for i in one) == pytest.approx(sorted(i.score for i in other), abs=1e-5)


def test_colors_do_not_depend_on_the_crops_classified_with_them(classifier: ColorClassifier) -> None:
    box, mask = (2.0, 3.0, 30.0, 29.0), np.ones((32, 32), dtype=bool)
    crops = [crop(image, mask, box) for image in pictures(9)]
    names = ["cup", "dog", "cup"] * 3
    together = classifier(crops, names)
    assert set(together) <= set(prompts.COLORS)
    assert together == [classifier([c], [n])[0] for c, n in zip(crops, names, strict=True)]


def test_a_class_vector_is_the_mean_of_three_sentences(classifier: ColorClassifier) -> None:
    sentences = ["a photo of a green cup", "a photo of a green-colored cup", "a photo of a green object"]
    with torch.no_grad():
        vectors = classifier.model.encode_text(open_clip.get_tokenizer(TINY)(sentences))
    mean = (vectors / vectors.norm(dim=1, keepdim=True)).mean(0)
    green = classifier.classes("cup")[prompts.COLORS.index("green")]
    torch.testing.assert_close(green, mean / mean.norm())


def test_a_crop_is_grey_outside_its_mask() -> None:
    image, mask = np.full((8, 8, 3), 7, dtype=np.uint8), np.zeros((8, 8), dtype=bool)
    mask[3, 2:5] = True
    cut = np.asarray(crop(image, mask, (2.0, 2.0, 5.0, 4.0)))
    assert cut.shape == (2, 3, 3)
    assert (cut[0] == 0x99).all()
    assert (cut[1] == 7).all()


def test_only_deciding_objects_are_classified() -> None:
    metadata = prompts.color_attribution("cup", "red", "dog", "blue")
    found = {
        "cup": [Detection((0, 0, 9, 9), score) for score in (0.2, 0.5, 0.9)],
        "dog": [Detection((0, 0, 9, 9), 0.25)],
    }
    assert colors_asked(metadata, found) == [("cup", 2)]
    assert colors_asked(prompts.single("cup"), found) == []


def test_the_judge_gives_each_object_the_color_of_its_own_crop() -> None:
    def detect(images: Sequence[np.ndarray], threshold: float) -> list[list[Instance]]:
        assert threshold == 0.3
        mask = np.ones((16, 16), dtype=bool)
        names = (("cup", (0, 0, 8, 16)), ("dog", (8, 0, 16, 16)))
        return [[Instance(name, tuple(map(float, box)), 0.95, mask) for name, box in names] for _ in images]

    def classify(crops: Sequence[Any], names: Sequence[str]) -> list[str]:
        assert list(names) == ["cup", "dog"]
        return ["red" if np.asarray(each)[0, 0, 0] > 128 else "blue" for each in crops]

    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, :8, 0], image[:, 8:, 2] = 255, 255
    asked = [
        prompts.color_attribution("cup", "red", "dog", "blue"),
        prompts.two("cup", "dog"),
        prompts.position("cup", "left of", "dog"),
        prompts.counting("cup", 2),
    ]
    cases = [Prompt(i, each["prompt"], each["tag"], each) for i, each in enumerate(asked)]
    judged = CocoJudge(detect, classify)([image] * 4, cases)
    assert [each.score for each in judged] == [1, 1, 1, 0]
    assert judged[3].reason == "expected cup>=2, found 1"
    assert judged[0].details["detections"][1] == {
        "class": "dog", "color": "blue", "score": 0.95, "box": [8.0, 0.0, 16.0, 16.0],
    }  # fmt: skip


def test_the_suite_is_judged_with_weights_from_the_hub(
    hub: Callable[[str], Path],
    mask2former: Mask2FormerForUniversalSegmentation,
    classifier: ColorClassifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detector, "SIDE", 64)
    mask2former.save_pretrained(hub(sources.DETECTOR.repo))
    save_file(
        classifier.model.state_dict(), hub(sources.COLOR_CLASSIFIER.repo) / "open_clip_model.safetensors"
    )
    assert set(GenEval().identity("coco")) == {
        f"{sources.DETECTOR.repo}/config.json",
        f"{sources.DETECTOR.repo}/model.safetensors",
        f"{sources.COLOR_CLASSIFIER.repo}/open_clip_model.safetensors",
    }
    judge = CocoJudge(Detector.load(CPU), ColorClassifier.load(CPU, TINY))
    asked = GenEval().prompts("coco")[:2]
    judged = judge(pictures(2), asked)
    assert [each.score for each in judged] == [0, 0]
    assert all(each.reason.startswith("expected") for each in judged)


def test_missing_weights_are_told_before_anything_is_made(hub: Callable[[str], Path]) -> None:
    hub(sources.DETECTOR.repo)
    with pytest.raises(
        HnError, match=r"mask2former-swin-small-coco-instance is not complete .* HF_HUB_OFFLINE"
    ):
        GenEval().identity("coco")


def test_a_file_that_lacks_weights_is_refused(
    hub: Callable[[str], Path], mask2former: Mask2FormerForUniversalSegmentation, classifier: ColorClassifier
) -> None:
    """Transformers alone would start what is missing at random."""
    state = dict(mask2former.state_dict())
    state.pop("class_predictor.bias")
    mask2former.save_pretrained(hub(sources.DETECTOR.repo), state_dict=state)
    with pytest.raises(
        HnError, match=r"mask2former.* lacks 1 weights, such as 'class_predictor.bias': delete "
    ):
        Detector.load(CPU)
    place = hub(sources.COLOR_CLASSIFIER.repo) / "open_clip_model.safetensors"
    colors = dict(classifier.model.state_dict())
    colors.pop("visual.proj")
    save_file(colors, place)
    with pytest.raises(HnError, match=r"does not hold the weights of this model .*'visual.proj'"):
        ColorClassifier.load(CPU, TINY)


def test_an_architecture_without_quickgelu_is_refused() -> None:
    with pytest.raises(HnError, match="ViT-L-14 has no QuickGELU"):
        ColorClassifier.load(CPU, "ViT-L-14")
