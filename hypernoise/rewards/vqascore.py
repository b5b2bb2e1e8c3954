"""VQAScore: how sure a model is that the answer to "does this show the prompt?" is yes (Lin et al. 2024).

Beyond the paper. The score of the authors' package t2v_metrics with its "instructblip-flant5-xl" (InstructBLIP,
Dai et al. 2023), through transformers' classes and weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from transformers import BertTokenizer, InstructBlipForConditionalGeneration, T5TokenizerFast

from hypernoise.generators.protocol import Encoded
from hypernoise.hub import HubFiles
from hypernoise.rewards.checkpoints import load_shards
from hypernoise.rewards.pretrained import PretrainedReward

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

QUESTION = 'Question: Does this figure show "{}"? Please answer yes or no.'
ANSWER = "yes"

FILES = (
    "config.json",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "qformer_tokenizer/tokenizer.json",
    "qformer_tokenizer/tokenizer_config.json",
)


class Tokenizers(NamedTuple):
    """Of the language model, which answers, and of the Q-Former, which looks for what the question asks about."""

    language: Any
    qformer: Any

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Those of a snapshot, which cut off a text's beginning where it is too long, as InstructBLIP was trained."""
        return cls(
            T5TokenizerFast.from_pretrained(folder, truncation_side="left"),
            BertTokenizer.from_pretrained(folder / "qformer_tokenizer", truncation_side="left"),
        )


def vqascore(logits: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """The geometric mean [B] of the probabilities of an answer's tokens [B, A], given their logits [B, A, V].

    exp(−cross-entropy), averaged over the answer's tokens, of which the last is the end of the text.
    """
    return F.cross_entropy(logits.transpose(1, 2), answer, reduction="none").mean(1).neg().exp()


class VqaScore(PretrainedReward):
    """The geometric mean, in (0, 1), of the probabilities of "yes" and of nothing after it.

    Of the question with the prompt in it the last 128 tokens are read, as in t2v_metrics. The Q-Former mixes the
    question with the image in every layer, so that only the tokens are computed once.
    """

    name: ClassVar[str] = "vqascore"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles("Salesforce/instructblip-flan-t5-xl", FILES, 16.1, "MIT"),
    )
    tokens: ClassVar[int] = 128
    lost: ClassVar[str] = "before"

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights and the tokenizers, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not InstructBLIP's.
        """
        folder = cls.sources[0].fetch()
        network = load_shards(InstructBlipForConditionalGeneration, folder)
        return cls(network.to(device), Tokenizers.load(folder))

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Tokens of the questions [B, L] and the answers [B, A]; warns once where some questions are too long."""
        questions = [QUESTION.format(prompt) for prompt in prompts]
        self.limit.check(self._lengths(questions))
        language, qformer = (self._tokens(tokenizer, questions) for tokenizer in self.tokenizer)
        answers = self._tokens(self.tokenizer.language, [ANSWER] * len(prompts))
        return Encoded(
            {
                "ids": language.input_ids,
                "mask": language.attention_mask,
                "qformer_ids": qformer.input_ids,
                "qformer_mask": qformer.attention_mask,
                "answer": answers.input_ids,
            }
        )

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Scores [B] in (0, 1) of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        seen = self.network.get_image_features(
            self.prepare(images), text.tensors["qformer_ids"], text.tensors["qformer_mask"]
        ).pooler_output
        return vqascore(self._logits(seen, text), text.tensors["answer"])

    def _logits(self, seen: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Logits [B, A, V] of the answers' tokens, of a model that reads what is seen [B, Q, D], then the question."""
        asked = self.network.get_input_embeddings()(text.tensors["ids"])
        mask = text.tensors["mask"]
        return self.network.language_model(
            inputs_embeds=torch.cat([seen, asked], dim=1),
            attention_mask=torch.cat([mask.new_ones(seen.shape[:2]), mask], dim=1),
            labels=text.tensors["answer"],
        ).logits

    def _lengths(self, questions: Sequence[str]) -> list[int]:
        """How many tokens each question has, by the tokenizer that makes more of it."""
        both = (tokenizer(list(questions), verbose=False).input_ids for tokenizer in self.tokenizer)
        return [max(map(len, pair)) for pair in zip(*both, strict=True)]

    def _tokens(self, tokenizer: Any, texts: Sequence[str]) -> Any:
        """Padded `input_ids` [B, L] and `attention_mask` [B, L] of the texts, where the network is."""
        found = tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.tokens, return_tensors="pt"
        )
        return found.to(self.device)
