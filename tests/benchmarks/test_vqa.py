"""BLIP-VQA with a tiny untrained model of its class, read from a hub cache made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tiny_judges
import torch
from PIL import Image
from torchvision import transforms

from benchmarks import vqa
from benchmarks.sources import BLIP_VQA
from benchmarks.vqa import BlipVqa, cleaned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import BertTokenizer, BlipForQuestionAnswering

CPU = torch.device("cpu")
QUESTIONS = [["a red cup?", "a dog?"], ["a blue bench?"], [], ["a cup?", "a red dog?", "a blue cup?"]]


@pytest.fixture(scope="module")
def model() -> BlipForQuestionAnswering:
    return tiny_judges.blip()


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return tiny_judges.blip_tokenizer()


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (4, 48, 40, 3), dtype=np.uint8))


def test_answers_do_not_depend_on_what_is_asked_with_them(
    model: BlipForQuestionAnswering, tokenizer: BertTokenizer, pictures: list[np.ndarray]
) -> None:
    ask = BlipVqa(model, tokenizer, CPU, images=3, questions=4)
    together = ask(pictures, QUESTIONS)
    assert [len(answers) for answers in together] == [2, 1, 0, 3]
    assert all(0 < answer < 1 for answers in together for answer in answers)
    alone = [
        [ask([picture], [[question]])[0][0] for question in of]
        for picture, of in zip(pictures, QUESTIONS, strict=True)
    ]
    assert together == alone


def test_an_answer_is_the_decoder_s_first_token(
    model: BlipForQuestionAnswering, tokenizer: BertTokenizer, pictures: list[np.ndarray]
) -> None:
    """What transformers generates begins with the same distribution."""
    ((answer,),) = BlipVqa(model, tokenizer, CPU)(pictures[:1], [["a red cup?"]])
    tokens = torch.tensor([[vqa.ENCODE, 5, 6, 8, 11, 3]])
    model.decoder_start_token_id = vqa.DECODE
    generated = model.generate(
        input_ids=tokens,
        pixel_values=vqa._pixels(pictures[0], 32)[None],
        max_new_tokens=1,
        return_dict_in_generate=True,
        output_logits=True,
    )
    yes, no = generated.logits[0][0, [vqa.YES, vqa.NO]].softmax(0).tolist()
    assert answer == pytest.approx(yes / (yes + no), rel=1e-5)


def test_images_are_prepared_as_blip_prepares_them(pictures: list[np.ndarray]) -> None:
    prepare = transforms.Compose(
        [
            transforms.Resize((32, 32), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(vqa.MEAN, vqa.STD),
        ]
    )
    for picture in pictures:
        torch.testing.assert_close(vqa._pixels(picture, 32), prepare(Image.fromarray(picture)))


def test_questions_are_cleaned_as_blip_cleans_them() -> None:
    assert cleaned('The "Big" (red) dog; a cat:? ') == "the big red dog a cat?"
    assert cleaned("word " * 60) == " ".join(["word"] * 50)


def test_the_published_weights_are_read_from_the_hub_without_unpickling_code(
    hub: Callable[[str], Path],
    model: BlipForQuestionAnswering,
    tokenizer: BertTokenizer,
    pictures: list[np.ndarray],
) -> None:
    folder = hub(BLIP_VQA.repo)
    tiny_judges.save_blip(model, folder)
    assert BlipVqa.load(CPU)(pictures, QUESTIONS) == BlipVqa(model, tokenizer, CPU)(pictures, QUESTIONS)
    torch.save({"weight": print}, folder / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights.only|unpickl"):
        BlipVqa.load(CPU)
