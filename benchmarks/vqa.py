"""BLIP-VQA (Li et al. 2022), which answers questions about images with a probability of "yes".

The weights, `blip-vqa-capfilt-large` (a ViT-B at 480×480), are what T2I-CompBench publishes its scores with. On the hub
they are a pickle of tensors alone, which is read with `weights_only=True`. transformers' own forward pass ends in
generated text, so the three networks are called one after the other here, as BLIP's `vqa_prob` does it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from transformers import BertTokenizer, BlipForQuestionAnswering

from benchmarks.sources import BLIP_VQA
from hypernoise.batches import in_equal_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ENCODE, DECODE = 30523, 30522
"""Tokens that BLIP's question encoder and its answer decoder begin with."""

YES, NO = 2748, 2053
MAX_TOKENS, MAX_WORDS = 35, 50
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class BlipVqa:
    """Answers yes-or-no questions; float32, in batches of one size."""

    def __init__(
        self,
        model: BlipForQuestionAnswering,
        tokenizer: BertTokenizer,
        device: torch.device,
        images: int = 8,
        questions: int = 32,
    ) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.tokenizer, self.device = tokenizer, device
        self.images, self.questions = images, questions

    @classmethod
    def load(cls, device: torch.device) -> BlipVqa:
        """The published weights.

        Raises:
            HnError: if they cannot be had.
        """
        folder = BLIP_VQA.fetch()
        model = BlipForQuestionAnswering.from_pretrained(
            folder, use_safetensors=False, weights_only=True, local_files_only=True, dtype=torch.float32
        )
        return cls(model, BertTokenizer.from_pretrained(folder, local_files_only=True), device)

    def __call__(
        self, images: Sequence[NDArray[np.uint8]], questions: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """P(yes) / (P(yes) + P(no)), 0..1, of every question about its image uint8 [H, W, 3]."""
        seen = in_equal_batches(images, self.images, self._see)
        asked = [(place, self._tokens(text)) for place, of in enumerate(questions) for text in of]
        answers: dict[int, float] = {}
        for length in {len(tokens) for _, tokens in asked}:
            # transformers loses the mask of padded questions, so only those of one length go together.
            alike = [index for index, (_, tokens) in enumerate(asked) if len(tokens) == length]
            pairs = [(seen[asked[index][0]], asked[index][1]) for index in alike]
            answers |= dict(zip(alike, in_equal_batches(pairs, self.questions, self._answer), strict=True))
        ordered = iter(answers[index] for index in range(len(asked)))
        return [[next(ordered) for _ in of] for of in questions]

    def _tokens(self, question: str) -> list[int]:
        tokens = self.tokenizer(cleaned(question), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        return [ENCODE, *tokens[1:]]

    @torch.no_grad()
    def _see(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        side = self.model.config.vision_config.image_size
        pixels = torch.stack([_pixels(image, side) for image in images]).to(self.device)
        return self.model.vision_model(pixel_values=pixels)[0]

    @torch.no_grad()
    def _answer(self, pairs: Sequence[tuple[torch.Tensor, list[int]]]) -> list[float]:
        seen = torch.stack([image for image, _ in pairs])
        tokens = torch.tensor([question for _, question in pairs], device=self.device)
        read = self.model.text_encoder(input_ids=tokens, encoder_hidden_states=seen, return_dict=False)[0]
        start = torch.full((len(pairs), 1), DECODE, device=self.device)
        logits = self.model.text_decoder(input_ids=start, encoder_hidden_states=read).logits[:, 0]
        probabilities = logits.softmax(dim=1)
        yes, no = probabilities[:, YES], probabilities[:, NO]
        answers: list[float] = (yes / (yes + no)).tolist()
        return answers


def cleaned(question: str) -> str:
    """A question as BLIP reads it: in small letters, without most punctuation, of at most 50 words."""
    kept = re.sub(r"[.!\"()*#:;~]", "", question.lower()).rstrip(" ")
    return " ".join(kept.split(" ")[:MAX_WORDS])


def _pixels(image: NDArray[np.uint8], side: int) -> torch.Tensor:
    resized = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    normalized = (torch.from_numpy(resized.copy()).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    return normalized.permute(2, 0, 1)
