"""The open-vocabulary detector: which boxes are objects, and a tiny untrained network against transformers' own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import pytest
import tiny_judges
import torch
from transformers import CLIPTokenizer, Owlv2ImageProcessor, Owlv2Processor
from transformers.models.owlv2.modeling_owlv2 import Owlv2ObjectDetectionOutput

from benchmarks.t2i_compbench.boxes import Detection
from benchmarks.t2i_compbench.detector import Detector, objects
from benchmarks.t2i_compbench.detector_settings import DetectorSettings
from benchmarks.t2i_compbench.other_benchmark import T2ICompBenchOther
from benchmarks.t2i_compbench.prompts import other_prompts
from benchmarks.t2i_compbench.sources import DETECTOR
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import Owlv2ForObjectDetection

CPU = torch.device("cpu")
EVERYTHING = DetectorSettings(threshold=0.0, overlap=1.0)
NOUNS = [["cat", "sofa"], ["frog"], [], ["two-word noun", "cat", "giraffe"], ["giraffe"]]


@pytest.fixture(scope="module")
def model() -> Owlv2ForObjectDetection:
    return tiny_judges.owlv2()


@pytest.fixture(scope="module")
def processor() -> Owlv2Processor:
    """Transformers' own, with CLIP's vocabulary."""
    words = open_clip.SimpleTokenizer()
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(word, word): number for word, number in words.encoder.items()}
    tokenizer = CLIPTokenizer(
        vocab=vocabulary,
        merges=list(words.bpe_ranks),
        pad_token="!",  # noqa: S106
        model_max_length=16,
    )
    return Owlv2Processor(Owlv2ImageProcessor(size={"height": 32, "width": 32}), tokenizer)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Two sizes, one of them not square, larger and smaller than the network's input."""
    rng = np.random.default_rng(4)
    return [rng.integers(0, 256, (40, 40, 3) if i % 2 else (24, 70, 3), dtype=np.uint8) for i in range(5)]


def published(
    model: Owlv2ForObjectDetection,
    processor: Owlv2Processor,
    picture: np.ndarray,
    nouns: Sequence[str],
    threshold: float,
) -> dict[str, Any]:
    """What transformers' processor makes of transformers' forward pass."""
    texts = [[f"a photo of a {noun}" for noun in nouns]]
    inputs = processor(text=texts, images=[picture.copy()], return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    (found,) = processor.post_process_grounded_object_detection(
        outputs, threshold=threshold, target_sizes=[picture.shape[:2]]
    )
    return dict(found)


def test_objects_are_those_of_transformers(
    model: Owlv2ForObjectDetection, processor: Owlv2Processor, pictures: list[np.ndarray]
) -> None:
    picture, nouns = pictures[1], ["cat", "sofa", "giraffe"]
    theirs = published(model, processor, picture, nouns, 0.3)
    order = theirs["scores"].argsort(descending=True)
    settings = DetectorSettings(threshold=0.3, overlap=1.0)
    (found,) = Detector(model, CPU, 1, settings)([picture], [nouns])
    ours = sorted(
        ((noun, each) for noun, of in found.items() for each in of), key=lambda pair: -pair[1].score
    )
    assert len(ours) == len(order) > 5
    assert len({noun for noun, _ in ours}) > 1
    assert [noun for noun, _ in ours] == [nouns[label] for label in theirs["labels"][order]]
    assert [each.score for _, each in ours] == pytest.approx(theirs["scores"][order].tolist(), abs=1e-5)
    corners = torch.tensor([each.box for _, each in ours])
    torch.testing.assert_close(corners, theirs["boxes"][order].clamp(0, 40), atol=1e-3, rtol=0)


def test_post_processing_is_transformers_on_the_same_outputs(processor: Owlv2Processor) -> None:
    torch.manual_seed(1)
    centers, sides = torch.rand(1, 200, 2) * 0.3 + 0.3, torch.rand(1, 200, 2) * 0.1 + 0.1
    logits, boxes = 2 * torch.randn(1, 200, 3), torch.cat([centers, sides], dim=2)
    outputs = Owlv2ObjectDetectionOutput(logits=logits, pred_boxes=boxes)
    (theirs,) = processor.post_process_grounded_object_detection(
        outputs, threshold=0.6, target_sizes=[(600, 800)]
    )
    found = objects(logits[0], boxes[0], "abc", (600, 800), DetectorSettings(threshold=0.6, overlap=1.0))
    ours = [(noun, *each.box, each.score) for noun, of in found.items() for each in of]
    columns = (theirs["labels"].tolist(), theirs["boxes"].tolist(), theirs["scores"].tolist())
    expected = [("abc"[label], *box, score) for label, box, score in zip(*columns, strict=True)]
    assert 50 < len(expected) < 200
    assert sorted(ours) == sorted(expected)
    assert all(of == sorted(of, key=lambda each: -each.score) for of in found.values())


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def test_objects_in_closed_form() -> None:
    boxes = torch.tensor(
        [
            [0.25, 0.25, 0.2, 0.2],  # a cat
            [0.26, 0.25, 0.2, 0.2],  # the same, which looks a little less like a dog
            [0.75, 0.25, 0.2, 0.2],  # another cat, more confident
            [0.25, 0.5, 0.2, 0.2],  # cut at the lower rim of the image
            [0.75, 0.8, 0.2, 0.2],  # in the padding below it
            [0.5, 0.25, 0.1, 0.1],  # too little like either
        ]
    )
    scores = [(0.6, 0.5), (0.4, 0.55), (0.7, 0.1), (0.1, 0.3), (0.9, 0.9), (0.2, 0.1)]
    logits = torch.tensor([[logit(each) for each in of] for of in scores])
    found = objects(logits, boxes, ["cat", "dog"], (50, 100), DetectorSettings(threshold=0.25))
    rounded = {
        noun: [Detection(tuple(round(c, 3) for c in each.box), round(each.score, 4)) for each in of]  # type: ignore[arg-type]
        for noun, of in found.items()
    }
    assert rounded == {
        "cat": [Detection((65, 15, 85, 35), 0.7), Detection((15, 15, 35, 35), 0.6)],
        "dog": [Detection((15, 40, 35, 50), 0.3)],
    }


def test_a_score_does_not_depend_on_the_images_judged_with_it(
    model: Owlv2ForObjectDetection, pictures: list[np.ndarray]
) -> None:
    find = Detector(model, CPU, 3, EVERYTHING)
    together = find(pictures, NOUNS)
    assert [bool(each) for each in together] == [True, True, False, True, True]
    alone = [find([picture], [nouns])[0] for picture, nouns in zip(pictures, NOUNS, strict=True)]
    # Another place in the batch, or another batch size, rounds differently, and no more than that.
    for others in (alone, Detector(model, CPU, 1, EVERYTHING)(pictures, NOUNS)):
        for one, other in zip(together, others, strict=True):
            assert one.keys() == other.keys()
            for noun, of in one.items():
                assert [each.score for each in of] == pytest.approx(
                    [each.score for each in other[noun]], abs=1e-5
                )


def test_each_noun_is_read_once(
    model: Owlv2ForObjectDetection, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    find, read = Detector(model, CPU, 2), []
    encode = find._encode
    monkeypatch.setattr(find, "_encode", lambda nouns: read.extend(dict.fromkeys(nouns)) or encode(nouns))
    for _ in range(2):
        find(pictures, NOUNS)
    assert read == ["cat", "sofa", "frog", "two-word noun", "giraffe"]


def test_queries_are_the_tokens_of_transformers(
    model: Owlv2ForObjectDetection, processor: Owlv2Processor
) -> None:
    rows = other_prompts()
    nouns = {n for row in rows for n in row.get("objects", [])} | {
        n for row in rows for n, _ in row.get("counts", [])
    }
    sentences = [f"a photo of a {noun}" for noun in sorted(nouns)]
    ours = Detector(model, CPU, 1).tokenizer(sentences)
    assert torch.equal(ours, processor(text=sentences, return_tensors="pt")["input_ids"])
    assert len(nouns) == 159


def test_settings_are_checked_and_part_of_the_judge_s_identity(hub: Callable[[str], Path]) -> None:
    for wrong in ({"threshold": 1.5}, {"overlap": -0.1}, {"query": "a photo"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}|query"):
            DetectorSettings(**wrong)  # type: ignore[arg-type]
    for source in T2ICompBenchOther.sources:
        for name in source.files:
            (hub(source.repo) / name).write_text(name)
    identity = T2ICompBenchOther().identity("coco")
    assert identity["detector threshold"] == "0.2"
    assert identity["detector overlap"] == "0.5"
    assert identity["detector query"] == "a photo of a {}"
    assert f"{DETECTOR.repo}/model.safetensors" in identity
    assert T2ICompBenchOther().identity("shapes").keys() == {"shapes-judge"}


def test_the_network_is_read_from_the_hub_whole_or_not_at_all(
    hub: Callable[[str], Path], model: Owlv2ForObjectDetection, pictures: list[np.ndarray]
) -> None:
    place = hub(DETECTOR.repo)
    model.save_pretrained(place)
    assert Detector.load(CPU)(pictures, NOUNS) == Detector(model, CPU, 1)(pictures, NOUNS)
    state = dict(model.state_dict())
    state.pop("class_head.logit_shift.bias")
    model.save_pretrained(place, state_dict=state)
    with pytest.raises(HnError, match=r"owlv2.* lacks 1 weights, such as 'class_head.logit_shift.bias'"):
        Detector.load(CPU)


def test_a_file_without_the_computed_offsets_of_boxes_is_read_too(
    hub: Callable[[str], Path], model: Owlv2ForObjectDetection
) -> None:
    """They follow from the grid, so files may lack them."""
    state = dict(model.state_dict())
    state.pop("box_bias", None)
    model.save_pretrained(hub(DETECTOR.repo), state_dict=state)
    torch.testing.assert_close(Detector.load(CPU).model.box_bias, model.box_bias)
