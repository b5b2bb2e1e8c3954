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
