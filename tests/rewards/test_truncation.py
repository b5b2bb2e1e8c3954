"""Prompts that are longer than a reward reads."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.rewards.truncation import TokenLimit

if TYPE_CHECKING:
    from hypernoise.rewards.pretrained import PretrainedReward

WORDS = {"clip": 75, "hps": 75, "pickscore": 75, "imagereward": 33, "long-clip": 246}
"""How many words each reward reads between its first and last token."""


def test_it_warns_once_and_counts() -> None:
    limit = TokenLimit("clip", 77)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit.check([3, 77])
    with pytest.warns(
        UserWarning, match="'clip' reads 77 tokens of a prompt: 2 of these 3 prompts are longer"
    ):
        limit.check([78, 3, 100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit.check([78])


def test_of_too_long_a_question_the_beginning_plays_no_part(
    pretrained: dict[str, PretrainedReward], monkeypatch: pytest.MonkeyPatch
) -> None:
    reward, long = pretrained["vqascore"], " ".join(["dog"] * 128)
    monkeypatch.setattr(reward, "limit", TokenLimit("vqascore", reward.tokens, reward.lost))
    with pytest.warns(UserWarning, match="reads 128 tokens .*: 2 of these 2 prompts .* what comes before"):
        text = reward.encode([f"red {long} cat", f"a photo {long} cat"])
    for name in ("ids", "qformer_ids"):
        assert text.tensors[name].shape == (2, 128)
        assert torch.equal(text.tensors[name][0], text.tensors[name][1])
    other = reward.encode([f"red {long} dog"])
    assert not torch.equal(text.tensors["ids"][:1], other.tensors["ids"])


@pytest.mark.parametrize("name", WORDS)
def test_what_comes_after_the_limit_plays_no_part(
    pretrained: dict[str, PretrainedReward], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward, fits = pretrained[name], " ".join(["dog"] * WORDS[name])
    monkeypatch.setattr(reward, "limit", TokenLimit(name, reward.tokens))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole, shorter = reward.encode([fits]), reward.encode([fits.removesuffix(" dog")])
    with pytest.warns(UserWarning, match=f"{name}.*: 1 of these 1 prompts"):
        cut = reward.encode([f"{fits} cat"])
    for key, tensor in whole.tensors.items():
        torch.testing.assert_close(cut.tensors[key], tensor)
    assert any(not torch.equal(tensor, shorter.tensors[key]) for key, tensor in whole.tensors.items())
