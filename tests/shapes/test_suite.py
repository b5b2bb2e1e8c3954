"""The evaluation prompts, and that nothing of them leaks into what the embedded world is trained on."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from benchmarks.geneval.benchmark import shapes_prompts
from hypernoise.shapes import suite
from hypernoise.shapes.captions import OPPOSITE, Description, Phrase, random_description, scene_for
from hypernoise.shapes.judge import detect
from hypernoise.shapes.scenes import Object, Scene
from hypernoise.shapes.suite import (
    HELD_OUT_ARRANGEMENTS,
    HELD_OUT_PAIRS,
    evaluation_suite,
    may_train,
    mirrored,
    reserved,
)
from hypernoise.shapes.training.data import TASK_WEIGHTS, batches, random_batch, random_caption, random_text
from hypernoise.shapes.training.examples import cells, draw_examples
from hypernoise.shapes.vocabulary import (
    COLORS,
    FRAMES,
    NUMBERS,
    PAD,
    RELATIONS,
    SHAPES,
    UNKNOWN,
    WORDS,
    plural,
    tokenize,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NOUNS = {noun: shape for shape in SHAPES for noun in (shape, plural(shape))}
EVALUATION_TEXTS = {description.text() for _, description in evaluation_suite()}


def pairs_in(text: str) -> set[tuple[str, str]]:
    """The (shape, color) pairs that a caption names, read from its words."""
    words = text.split()
    return {(NOUNS[noun], color) for color, noun in pairwise(words) if color in COLORS and noun in NOUNS}


def arrangements_in(text: str) -> set[tuple[str, str, str]]:
    """The (shape, relation, shape) that a caption names, read from its words."""
    shapes = "|".join(NOUNS)
    found = re.findall(rf"(?=\b({shapes}) ({'|'.join(RELATIONS)}) (?:\w+ )+?({shapes})\b)", text)
    return {(NOUNS[a], relation, NOUNS[b]) for a, relation, b in found}


def held_out_arrangements() -> set[tuple[str, str, str]]:
    """The first position prompts of the suite, and each told from the other object."""
    position = [description for task, description in evaluation_suite() if task == "position"]
    one = set().union(*(arrangements_in(d.text()) for d in position[:HELD_OUT_ARRANGEMENTS]))
    return one | {(b, OPPOSITE[relation], a) for a, relation, b in one}


def assert_clean(texts: Iterable[str]) -> None:
    forbidden = held_out_arrangements()
    for text in texts:
        assert text not in EVALUATION_TEXTS
        assert not pairs_in(text) & HELD_OUT_PAIRS, text
        assert not arrangements_in(text) & forbidden, text


def read(tokens: torch.Tensor) -> list[str]:
    """Captions from their tokens."""
    return [" ".join(WORDS[index] for index in row if index != PAD) for row in tokens.flatten(0, -2).tolist()]


def test_three_hundred_distinct_prompts_of_the_six_tasks() -> None:
    tasks = Counter(task for task, _ in evaluation_suite())
    assert dict(tasks) == suite.SIZES
    assert list(dict.fromkeys(task for task, _ in evaluation_suite())) == list(suite.SIZES)
    assert len(EVALUATION_TEXTS) == 300


def test_texts_are_what_genevals_grammar_writes() -> None:
    written = [metadata["prompt"] for metadata in shapes_prompts()]
    assert written == [description.text() for _, description in evaluation_suite()]
    assert [metadata["tag"] for metadata in shapes_prompts()] == [task for task, _ in evaluation_suite()]


def test_every_prompt_consists_of_known_words() -> None:
    assert not (tokenize(sorted(EVALUATION_TEXTS)) == UNKNOWN).any()


def test_the_small_tasks_are_complete() -> None:
    described = {task: [d for t, d in evaluation_suite() if t == task] for task in suite.SIZES}
    assert {d.phrases[0].shape for d in described["single_object"]} == set(SHAPES)
    assert {(d.phrases[0].shape, d.phrases[0].count) for d in described["counting"]} == {
        (shape, count) for shape in SHAPES for count in (2, 3, 4)
    }
    assert len({frozenset(p.shape for p in d.phrases) for d in described["two_object"]}) == 28
    colored = {(d.phrases[0].shape, d.phrases[0].color) for d in described["colors"]}
    assert colored >= HELD_OUT_PAIRS
    assert all(
        a.color != b.color and a.shape != b.shape for a, b in (d.phrases for d in described["color_attr"])
    )


def test_the_held_out_pairs_cover_every_shape_and_leave_every_color() -> None:
    assert {shape for shape, _ in HELD_OUT_PAIRS} == set(SHAPES)
    assert len(HELD_OUT_PAIRS) == len(SHAPES)
    assert max(Counter(color for _, color in HELD_OUT_PAIRS).values()) == 1


def test_mirrored() -> None:
    description = Description((Phrase("ring"), Phrase("star", "red")), ("above",))
    assert mirrored(description).text() == "a photo of a red star below a ring"
    assert mirrored(mirrored(description)) == description
    with pytest.raises(ValueError, match="relation"):
        mirrored(Description((Phrase("ring"),)))


def test_held_out_arrangements_are_as_many_as_promised() -> None:
    assert HELD_OUT_ARRANGEMENTS <= len(held_out_arrangements()) <= 2 * HELD_OUT_ARRANGEMENTS


@pytest.mark.parametrize("frame", FRAMES)
def test_content_of_the_large_tasks_may_not_be_trained_on_in_any_words(frame: str) -> None:
    for task, description in evaluation_suite():
        if task in ("two_object", "position", "color_attr"):
            assert not may_train(description, frame)


def test_what_may_be_trained_on() -> None:
    ring = Description((Phrase("ring"),))
    assert not may_train(ring, "a photo of")
    assert may_train(ring, "a drawing of")
    assert not may_train(Description((Phrase("ring", "orange"),)), "a drawing of")
    first, relation, second = sorted(held_out_arrangements())[0]
    assert not may_train(
        Description((Phrase(first, "pink"), Phrase(second, "black")), (relation,)), "a drawing of"
    )


def test_some_sets_of_colored_phrases_are_reserved_in_any_order_and_relation() -> None:
    rng = np.random.default_rng(0)
    drawn = [random_description(rng, "color_attr") for _ in range(800)]
    kept = [description for description in drawn if reserved(description)]
    assert 60 < len(kept) < 140
    for description in kept[:20]:
        turned = Description(description.phrases[::-1], ("above",))
        assert reserved(turned)
        assert not any(may_train(d, frame) for d in (description, turned) for frame in FRAMES)
    assert not any(reserved(random_description(rng, "colors")) for _ in range(200))


def test_training_captions_contain_nothing_of_the_suite() -> None:
    rng = np.random.default_rng(0)
    texts = [random_text(rng) for _ in range(20_000)]
    assert_clean(texts)
    assert {frame for frame in FRAMES if any(text.startswith(frame) for text in texts)} == set(FRAMES)
    assert {number for number in NUMBERS[2:] if any(f" {number} " in text for text in texts)} == set(
        NUMBERS[2:]
    )


def test_captions_of_the_rewards_training_contain_nothing_of_the_suite() -> None:
    examples = draw_examples(np.random.default_rng(0), 300)
    texts = read(examples.tokens)
    assert len(texts) == 600 * examples.tokens.shape[1]
    assert_clean(texts)


def test_an_example_of_the_rewards_training_knows_its_true_captions() -> None:
    examples = draw_examples(np.random.default_rng(1), 60)
    related = 0
    for tokens, shapes, colors in zip(examples.tokens, examples.shapes, examples.colors, strict=True):
        full, *wrong, one_object, part = read(tokens)
        assert not {full, one_object, part} & set(wrong)
        for text, true in ((wrong[-2], False), (wrong[-1], False), (one_object, True), (part, True)):
            if set(text.split()) & WHERE:
                related += true
                assert stands(text, shapes) == true, text
            else:
                ((shape, color),) = pairs_in(text)
                there = (shapes == SHAPES.index(shape) + 1) & (colors == COLORS.index(color) + 1)
                assert there.any() == true, text
    assert related > 30
    first, second = examples.tokens[0::2], examples.tokens[1::2]
    assert torch.equal(first[:, 0], second[:, 1])  # the first wrong caption is the other image's true one
    assert torch.equal(first[:, 1], second[:, 0])


WHERE = {"left", "right", "above", "below"}


def stands(text: str, shapes: torch.Tensor) -> bool:
    """Whether objects stand where a caption says, to each other or in the image, by the cells that they cover."""

    def middle(shape: str) -> torch.Tensor:
        return (shapes.view(8, 8) == SHAPES.index(shape) + 1).nonzero().double().mean(0)

    one, *other = [NOUNS[word] for word in text.split() if word in NOUNS]
    dy, dx = (middle(one) - (middle(other[0]) if other else torch.full((2,), 3.5))).tolist()
    (where,) = set(text.split()) & WHERE
    return {"left": dx < 0, "right": dx > 0, "above": dy < 0, "below": dy > 0}[where]


def test_cells_say_what_stands_where() -> None:
    red = Object("star", "red", 8.0, 24.0, 6.0, (1.0, 0.0, 0.0))
    shapes, colors = cells(Scene((red,), (0.5, 0.5, 0.5))).reshape(2, 8, 8)
    rows, columns = np.nonzero(shapes)
    assert set(zip(rows, columns, strict=True)) == {
        (row, column)
        for row in range(8)
        for column in range(8)
        if math.hypot(4 * column + 2 - 8, 4 * row + 2 - 24) < 6
    }
    assert set(shapes[rows, columns]) == {SHAPES.index("star") + 1}
    assert set(colors[rows, columns]) == {COLORS.index("red") + 1}


def test_training_scenes_contain_no_held_out_pair() -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        scene = scene_for(rng, random_caption(rng)[0], HELD_OUT_PAIRS)
        assert not {(thing.shape, thing.color) for thing in scene.objects} & HELD_OUT_PAIRS


@pytest.mark.parametrize("part", ["generator", "reward"])
def test_training_images_show_no_held_out_pair(part: str) -> None:
    """The same by the judge, from what the training really sees."""
    rng = np.random.default_rng(0)
    images = random_batch(rng, 100).images if part == "generator" else draw_examples(rng, 50).images
    pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    found = {(thing.shape, thing.color) for image in pixels for thing in detect(image) if thing.score > 0.9}
    assert len(found) > 40
    assert not found & HELD_OUT_PAIRS


def test_every_kind_of_caption_is_trained_on() -> None:
    rng = np.random.default_rng(0)
    kinds = Counter(
        (len(d.phrases), any(d.relations), d.phrases[0].color is not None, d.count > len(d.phrases))
        for d, _ in (random_caption(rng) for _ in range(2000))
    )
    assert len(kinds) == len(TASK_WEIGHTS)


def test_batches_depend_on_seed_and_number_alone() -> None:
    stream, later = batches(5, 3, workers=0), batches(5, 3, start=2, workers=0)
    drawn = [next(stream) for _ in range(4)]
    for expected in drawn[2:]:
        again = next(later)
        assert torch.equal(again.images, expected.images)
        assert torch.equal(again.tokens, expected.tokens)
        assert again.descriptions == expected.descriptions
    assert not torch.equal(next(batches(6, 3, workers=0)).images, drawn[0].images)


def test_batches_do_not_depend_on_the_number_of_processes() -> None:
    alone, shared = batches(5, 2, workers=0), batches(5, 2, workers=2)
    for _ in range(5):
        assert torch.equal(next(alone).images, next(shared).images)
