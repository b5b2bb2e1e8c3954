"""A chat model on this machine: a tiny Llama under the real one's name, from a hub cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hub_files import use
from language_models import FIRST, LLAMA, SECOND, make_llama
from safetensors.torch import load_file, save_file

from hypernoise.errors import HnError
from hypernoise.rewriters.local_chat import GumbelNoise, LocalChat
from hypernoise.rewriters.protocol import ChatSettings, Question

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
LINES = [[line[3:].partition("(")[0].strip() for line in lines] for lines in (FIRST, SECOND)]


def question(seed: int, words: int = 1) -> Question:
    prompt = " ".join(["ring"] * words)
    return Question(prompt, [(prompt, 1.0)], {prompt}, 2, (seed,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    make_llama(folder, tmp_path_factory.mktemp("llama"))
    return folder


@pytest.fixture
def chat(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads the tiny Llama with some settings."""
    use(cache, monkeypatch)

    def load(**changes: Any) -> LocalChat:
        rewriter = LocalChat(ChatSettings(**changes))
        rewriter.attach(CPU)
        return rewriter

    return load


def test_answers_are_read_and_tokens_counted(chat: Any) -> None:
    rewriter = chat()
    questions = [question(seed, words=1 + 9 * seed) for seed in range(3)]
    answers = rewriter.answer(questions)
    for answer in answers:
        first, second = answer.rewrites
        assert first in LINES[0]
        assert second in LINES[1]
        assert (answer.calls, answer.failure) == (1, "")
    # A longer prompt stands twice in what is asked; two lines and the end of the answer are the same for all.
    counts = [answer.tokens for answer in answers]
    assert counts == [counts[0], counts[0] + 18, counts[0] + 36]


def test_answers_depend_on_the_question_alone(chat: Any) -> None:
    rewriter = chat()
    questions = [question(seed, words=1 + seed) for seed in range(12)]
    together = rewriter.answer(questions)
    assert len({answer.rewrites for answer in together}) > 6
    assert [rewriter.answer([asked])[0] for asked in questions] == together


def test_without_temperature_there_is_no_chance(chat: Any) -> None:
    answers = chat(temperature=0.0).answer([question(seed) for seed in range(4)])
    assert len({answer.rewrites for answer in answers}) == 1


def test_an_answer_is_no_longer_than_allowed(chat: Any) -> None:
    (answer,) = chat(max_tokens=1).answer([question(0)])
    assert len(answer.rewrites) == 1


def test_gumbel_noise_samples_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -torch.inf])
    noise = GumbelNoise(range(4000))
    drawn = noise(torch.empty(0), logits.expand(4000, 4)).argmax(1)
    frequencies = drawn.bincount(minlength=4) / 4000
    torch.testing.assert_close(frequencies, logits.softmax(0), atol=0.03, rtol=0)


def test_the_model_s_files_identify_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(cache, monkeypatch)
    identity = LocalChat(ChatSettings()).identity()
    assert re.fullmatch("[0-9a-f]{64}", identity["llm_sha256"])
    assert identity["transformers"]


def test_a_model_that_is_not_here_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    with pytest.raises(HnError, match=f"{LLAMA} is not complete in"):
        LocalChat(ChatSettings()).attach(CPU)


def test_a_model_that_does_not_chat_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_llama(tmp_path / "hub", tmp_path / "llama", chats=False)
    use(tmp_path / "hub", monkeypatch)
    with pytest.raises(HnError, match="has no chat template"):
        LocalChat(ChatSettings()).attach(CPU)


@pytest.mark.parametrize("damage", [b"no weights", b""])
def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    snapshot = make_llama(tmp_path / "hub", tmp_path / "llama")
    (snapshot / "model.safetensors").resolve().write_bytes(damage)
    use(tmp_path / "hub", monkeypatch)
    with pytest.raises(HnError, match="cannot be loaded by transformers as a chat model"):
        LocalChat(ChatSettings()).attach(CPU)


def test_missing_weights_are_not_drawn_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = make_llama(tmp_path / "hub", tmp_path / "llama")
    weights = (snapshot / "model.safetensors").resolve()
    state = load_file(weights)
    del state["lm_head.weight"]
    save_file(state, weights, metadata={"format": "pt"})
    use(tmp_path / "hub", monkeypatch)
    with pytest.raises(HnError, match="are not complete: name another llm, or delete"):
        LocalChat(ChatSettings()).attach(CPU)


@pytest.mark.parametrize("llm", ["", "llama", "../../etc", "a/b/c", "owner/model name", "/owner/model"])
def test_only_a_repository_s_name_is_a_model(llm: str) -> None:
    with pytest.raises(HnError, match="must be a repository on the hub"):
        LocalChat(ChatSettings(llm=llm))
