"""The rewards with published weights, on tiny weights of the same layout: right scores, right gradients."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING

import open_clip
import pytest
import tiny_rewards
import torch
from hub_files import snapshot
from safetensors.torch import load_file

from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.hps import Hps
from hypernoise.rewards.imagereward import VISION, ImageReward, ImageRewardNetwork
from hypernoise.rewards.open_clip_reward import OpenClipReward
from hypernoise.rewards.vqascore import VqaScore, vqascore

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.rewards.pretrained import PretrainedReward

PROMPTS = ["a photo of a red dog", "Two cats", "a blue cat, and a dog on the left of a photo"]
BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
RENO = {"hps": 5.0, "imagereward": 1.0, "clip": 0.01, "pickscore": 0.05}
FLAN_T5_XL = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 2048,
    "d_kv": 64,
    "d_ff": 5120,
    "num_layers": 24,
    "num_heads": 32,
    "feed_forward_proj": "gated-gelu",
}
STEPS = {"vqascore": 1e-2}
"""Of finite differences, where not 1e-5: T5 computes its norms in float32 whatever it is given."""


@pytest.fixture(params=tiny_rewards.TINY)
def reward(pretrained: dict[str, PretrainedReward], request: pytest.FixtureRequest) -> PretrainedReward:
    return pretrained[request.param]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(3, 3, 128, 160, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_scores_are_what_others_compute(reward: PretrainedReward, hub: Path, images: torch.Tensor) -> None:
    expected = tiny_rewards.reference(reward.name, hub, images, PROMPTS)
    torch.testing.assert_close(reward.score(images, reward.encode(PROMPTS)), expected, atol=2e-5, rtol=1e-5)
    assert len(expected.unique()) == len(PROMPTS)


def test_gradients_are_right(reward: PretrainedReward, images: torch.Tensor) -> None:
    exact = type(reward)(copy.deepcopy(reward.network).double(), reward.tokenizer)
    text, leaf = exact.encode(PROMPTS), images.double().requires_grad_()
    (gradient,) = torch.autograd.grad(exact.score(leaf, text).sum(), leaf)
    assert gradient.flatten(1).norm(dim=1).min() > 0
    with torch.no_grad():
        size = STEPS.get(reward.name, 1e-5)
        step = size * gradient / gradient.norm() + 0.1 * size * torch.randn_like(gradient)
        change = float((exact.score(leaf + step, text) - exact.score(leaf - step, text)).sum() / 2)
    assert float((gradient * step).sum()) == pytest.approx(change, rel=1e-4)


def test_each_score_depends_on_its_own_image_alone(reward: PretrainedReward, images: torch.Tensor) -> None:
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(reward.score(leaf, reward.encode(PROMPTS))[1], leaf)
    assert gradient[1].any()
    assert not gradient[[0, 2]].any()


@torch.no_grad()
def test_a_score_does_not_depend_on_the_batch(reward: PretrainedReward, images: torch.Tensor) -> None:
    text = reward.encode(PROMPTS)
    together = reward.score(images, text)
    for i, prompt in enumerate(PROMPTS):
        alone = reward.score(images[i : i + 1], reward.encode([prompt]))
        torch.testing.assert_close(alone, together[i : i + 1], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(reward.score(images[[2, 0]], text.take([2, 0])), together[[2, 0]])


@torch.no_grad()
def test_image_and_prompt_both_matter(reward: PretrainedReward, images: torch.Tensor) -> None:
    text = reward.encode(PROMPTS)
    scores = reward.score(images, text)
    assert (scores != reward.score(images.flip(0), text))[[0, 2]].all()
    assert (scores != reward.score(images, text.take([2, 0, 1]))).all()


@torch.no_grad()
def test_texts_are_read_once(
    reward: PretrainedReward, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = reward.encode(PROMPTS)
    expected = reward.score(images, text)
    monkeypatch.setattr(reward, "tokenizer", None)
    for part in ("encode_text", "get_text_features"):
        monkeypatch.setattr(reward.network, part, None, raising=False)
    assert torch.equal(reward.score(images, text), expected)


@torch.no_grad()
def test_images_of_another_precision_are_scored_in_the_weights_own(
    reward: PretrainedReward, images: torch.Tensor
) -> None:
    text, rounded = reward.encode(PROMPTS), images.bfloat16()
    assert torch.equal(reward.score(rounded, text), reward.score(rounded.float(), text))


def test_weights_are_frozen_and_named_by_their_hashes(reward: PretrainedReward, hub: Path) -> None:
    assert not any(parameter.requires_grad for parameter in reward.network.parameters())
    assert not reward.network.training
    weights = reward.weights()
    assert any(name.startswith(reward.sources[0].repo) for name in weights)
    for name, digest in weights.items():
        owner, repository, file = name.split("/", 2)
        path = snapshot(hub, f"{owner}/{repository}") / file
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


@torch.no_grad()
@pytest.mark.usefixtures("hub")
def test_the_ensemble_of_reno(
    pretrained: dict[str, PretrainedReward], images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenClipReward, "architecture", tiny_rewards.TinyHps.architecture)
    monkeypatch.setattr(ImageReward, "vision", tiny_rewards.TinyImageReward.vision)
    ensemble = Ensemble.load(RENO, torch.device("cpu"))
    texts = ensemble.encode(PROMPTS)
    alone = {name: pretrained[name].score(images, pretrained[name].encode(PROMPTS)) for name in RENO}
    torch.testing.assert_close(ensemble.parts(images, texts), alone)
    expected = sum(weight * alone[name] for name, weight in RENO.items())
    torch.testing.assert_close(ensemble.score(images, texts), expected)


def test_both_tokenizers_of_clip_agree(pretrained: dict[str, PretrainedReward]) -> None:
    texts = [*PROMPTS, "Nine  élans' «antlers», it's 3:45pm! 日本 🦌", ""]
    theirs = pretrained["pickscore"].tokenizer(texts, padding="max_length", max_length=77).input_ids
    ours = pretrained["clip"].tokenizer(texts)
    end = 49407
    for a, b in zip(ours.tolist(), theirs, strict=True):
        assert a[: a.index(end) + 1] == b[: b.index(end) + 1]


def test_words_of_bert_are_cut_into_pieces(pretrained: dict[str, PretrainedReward]) -> None:
    text = pretrained["imagereward"].encode(["Two DOGs, xyz"])
    pieces = ["[CLS]", "two", "dog", "##s", "[UNK]", "[UNK]", "[SEP]"]
    expected = [tiny_rewards.WORDS.index(piece) for piece in pieces]
    assert text.tensors["ids"].shape == (1, 35)
    assert text.tensors["ids"][0].tolist() == expected + [0] * (35 - len(expected))
    assert text.tensors["mask"].sum() == len(expected)


def test_vqascore_is_the_published_question_and_its_answer(pretrained: dict[str, PretrainedReward]) -> None:
    reward = pretrained["vqascore"]
    text = reward.encode(["Two {cats}"])
    question = 'Question: Does this figure show "Two {cats}"? Please answer yes or no.'
    assert text.tensors["ids"].tolist() == [reward.tokenizer.language(question).input_ids]
    assert text.tensors["qformer_ids"].tolist() == [reward.tokenizer.qformer(question).input_ids]
    yes, end = tiny_rewards.LANGUAGE.index("▁yes"), tiny_rewards.LANGUAGE.index("</s>")
    assert text.tensors["answer"].tolist() == [[yes, end]]


def test_vqascore_is_the_geometric_mean_of_probabilities() -> None:
    probabilities = torch.tensor([[[0.5, 0.25, 0.25], [0.9, 0.02, 0.08]]])
    score = vqascore(probabilities.log() + 3, torch.tensor([[0, 2]]))
    torch.testing.assert_close(score, torch.tensor([0.2]))


def test_the_language_model_of_vqascore_is_loaded_as_it_was_saved(
    hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    language = VqaScore.load(torch.device("cpu")).network.language_model
    assert capfd.readouterr().err == ""
    saved: dict[str, torch.Tensor] = {}
    for path in snapshot(hub, VqaScore.sources[0].repo).glob("*.safetensors"):
        saved |= load_file(path)
    assert torch.equal(language.lm_head.weight, saved["language_model.lm_head.weight"])
    assert not torch.equal(language.lm_head.weight, language.shared.weight)
    assert language.get_encoder().embed_tokens.weight is language.shared.weight
    assert language.config.dense_act_fn == "gelu"
    assert not language.config.scale_decoder_outputs


def test_full_size_networks_have_the_published_numbers_of_weights() -> None:
    with torch.device("meta"):
        tower, imagereward = Hps.build(), ImageRewardNetwork(VISION, BERT_BASE)
        vqa = tiny_rewards.instructblip({"text_config": FLAN_T5_XL, "qformer_config": {"vocab_size": 30523}})
    unused = (1024 + 1) * 256 + (768 + 1) * 256
    assert sum(p.numel() for p in tower.parameters()) == 986_109_441
    assert len(tower.state_dict()) == 686
    assert sum(p.numel() for p in imagereward.parameters()) + unused == 446_665_953
    assert sum(p.numel() for p in vqa.parameters()) == 4_022_969_088
    assert open_clip.get_model_config("ViT-H-14").get("quick_gelu") is None
