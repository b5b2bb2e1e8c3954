"""A chat model on this machine, through transformers; its weights are read as safetensors, its code is never run."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from safetensors import SafetensorError

from hypernoise.errors import HnError
from hypernoise.hub import HubFiles
from hypernoise.rewriters.conversation import answered, message, sampling_seed
from hypernoise.rewriters.protocol import Rewriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.rewriters.protocol import Answer, ChatSettings, Question

LLAMA = HubFiles(
    "meta-llama/Llama-3.1-8B-Instruct",
    # The first finds chat_template.jinja too, where there is one beside config.json.
    ("c*.j*", "*.json", "model*.safetensors"),
    gigabytes=16.1,
    licence="Llama 3.1 Community License",
    gated=True,
)


def files_of(llm: str) -> HubFiles:
    """What a chat model needs of the hub.

    Raises:
        HnError: if `llm` is not the name of a repository.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", llm, re.ASCII):
        raise HnError(f"llm is {llm!r} but must be a repository on the hub, such as {LLAMA.repo}.")
    return (
        LLAMA if llm == LLAMA.repo else replace(LLAMA, repo=llm, licence=f"see its page ({llm})", gated=False)
    )


class GumbelNoise:
    """Adds Gumbel noise of each row's own seed to its logits, so that the greedy choice is a sample.

    A row's draws do not depend on the rows beside it, which those of a common random generator do.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Perturbed logits [B, V]."""
        del tokens
        drawn = [torch.empty(logits.shape[1]).exponential_(generator=g) for g in self.generators]
        return logits - torch.stack(drawn).log().to(logits)


def _load(folder: Path, dtype: torch.dtype) -> tuple[Any, Any, set[str]]:
    """A model, its tokenizer, and the names of weights that it has not."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # it would be drawn over the run's own
    model, found = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    return model, tokenizer, found["missing_keys"]


class LocalChat(Rewriter):
    """Answers the questions of a batch together."""

    name: ClassVar[str] = "transformers"
    sources: ClassVar[tuple[HubFiles, ...]] = (LLAMA,)

    _model: Any

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings
        self.files = files_of(settings.llm)

    def identity(self) -> dict[str, Any]:
        """A digest of the model's files, and the version of transformers."""
        hashes = json.dumps(self.files.hashes(), sort_keys=True)
        digest = hashlib.sha256(hashes.encode()).hexdigest()
        return {"llm_sha256": digest, "transformers": version("transformers")}

    def attach(self, device: torch.device) -> None:
        """Load the model, once, in bfloat16 on a GPU and float32 else."""
        if hasattr(self, "_model"):
            return
        folder = self.files.fetch()
        remedy = f"name another llm, or delete {folder} and give the same command again"
        try:
            model, tokenizer, missing = _load(
                folder, torch.bfloat16 if device.type == "cuda" else torch.float32
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            raise HnError(
                f"{self.settings.llm} cannot be loaded by transformers as a chat model ({type(error).__name__}): "
                f"{remedy}."
            ) from error
        if missing:
            raise HnError(f"The weights of {self.settings.llm} are not complete: {remedy}.")
        if tokenizer.chat_template is None:
            raise HnError(f"{self.settings.llm} has no chat template: name an llm that was trained to chat.")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        self._tokenizer, self._model = tokenizer, model.to(device).eval()

    @torch.no_grad()
    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Generate all answers in one batch, for at most the timeout."""
        inputs = self._tokenizer(
            [self._chat(message(question)) for question in questions],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,  # the template has them
        ).to(self._model.device)
        seeds = [sampling_seed(question) for question in questions]
        generated = self._model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            generation_config=self._generation(),
            logits_processor=self._sampling(seeds),
        )[:, inputs.input_ids.shape[1] :]
        texts = self._tokenizer.batch_decode(generated, skip_special_tokens=True)
        tokens = inputs.attention_mask.sum(1) + (generated != self._tokenizer.pad_token_id).sum(1)
        return [
            answered(question, text, count)
            for question, text, count in zip(questions, texts, tokens.tolist(), strict=True)
        ]

    def _chat(self, text: str) -> str:
        turns = [{"role": "user", "content": text}]
        chat: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return chat

    def _generation(self) -> Any:
        from transformers import GenerationConfig  # noqa: PLC0415

        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self.settings.max_tokens,
            max_time=self.settings.timeout_seconds,
            eos_token_id=self._model.generation_config.eos_token_id,
            pad_token_id=self._tokenizer.pad_token_id,
        )

    def _sampling(self, seeds: Sequence[int]) -> list[Any]:
        from transformers import TemperatureLogitsWarper, TopPLogitsWarper  # noqa: PLC0415

        if self.settings.temperature == 0:
            return []
        warpers = [TemperatureLogitsWarper(self.settings.temperature), TopPLogitsWarper(self.settings.top_p)]
        return [*warpers, GumbelNoise(seeds)]
