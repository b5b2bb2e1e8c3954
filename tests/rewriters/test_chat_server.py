"""A rewriter's server, asked over real HTTP: proper answers, and all that can go wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from language_models import REFUSAL, chat_server, completion

from hypernoise.errors import HnError
from hypernoise.rewriters.chat_server import KEY_VARIABLE, ChatServer, endpoint
from hypernoise.rewriters.conversation import message, sampling_seed
from hypernoise.rewriters.protocol import Answer, ChatSettings, Question

QUESTIONS = [Question(f"{n} rings", [(f"{n} rings", 1.5)], {f"{n} rings"}, 2, (n, 0, 1)) for n in range(12)]
PROPER = "1. a red ring (bold)\n2. a blue ring\n3. a ring"
CPU = torch.device("cpu")


def rewriter(url: str, **changes: Any) -> ChatServer:
    return ChatServer(ChatSettings("some-model", url, timeout_seconds=changes.pop("wait", 20.0), **changes))


def ask(reply: Any, **changes: Any) -> Answer:
    """The answer to one question by a server that replies so."""
    with chat_server(reply) as (url, _):
        (answer,) = rewriter(url, **changes).answer(QUESTIONS[:1])
    return answer


def test_a_proper_answer_is_read_and_counted() -> None:
    assert ask(PROPER) == Answer(("a red ring", "a blue ring"), calls=1, tokens=100)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_server_is_asked_as_openai_s_is(suffix: str) -> None:
    with chat_server(PROPER) as (url, handler):
        asked = rewriter(url + suffix, temperature=0.25, top_p=0.75, max_tokens=77)
        asked.attach(CPU)
        asked.answer(QUESTIONS[:1])
    assert handler.asked == [
        {
            "path": "/v1/chat/completions",
            "model": "some-model",
            "messages": [{"role": "user", "content": message(QUESTIONS[0])}],
            "temperature": 0.25,
            "top_p": 0.75,
            "max_tokens": 77,
            "seed": sampling_seed(QUESTIONS[0]),
        }
    ]


def test_answers_come_in_the_order_of_the_questions() -> None:

    with chat_server(PROPER) as (url, handler):

        def reply(self: Any) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(200, json.dumps(completion(f"1. seed {body['seed']}")).encode())

        handler.do_POST = reply  # type: ignore[method-assign]
        answers = rewriter(url).answer(QUESTIONS)
    assert [answer.rewrites for answer in answers] == [(f"seed {sampling_seed(q)}",) for q in QUESTIONS]


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        ("I cannot do that.", "malformed: no numbered line in 'I cannot do that.'"),
        ("1. 0 rings", "repetition: all rewrites had been tried"),
        ((200, json.dumps(REFUSAL).encode()), "refusal: the model or its server refused to answer"),
        (
            (200, b'{"choices": [{"message": {"content": "1. a"}, "finish_reason": "content_filter"}]}'),
            "refusal: the model or its server refused to answer",
        ),
        ((200, b"<html>hello</html>"), "malformed: not a chat completion"),
        ((200, b"[]"), "malformed: not a chat completion"),
        ((200, b'{"choices": []}'), "malformed: not a chat completion"),
        ((200, b'{"choices": [{"message": {"content": null}}]}'), "malformed: not a chat completion"),
        ((200, b'{"choices": [{"message": "1. a"}]}'), "malformed: not a chat completion"),
        ((200, b"\xff\xfe\x00"), "malformed: not a chat completion"),
        ((200, b"[" * 100_000), "malformed: not a chat completion"),
        ((200, b" " * (5 * 2**20)), "malformed: not a chat completion"),
        ((500, b"overloaded"), "server error: status 500"),
        ((429, b""), "server error: status 429"),
        ("redirect", "server error: status 302"),
        ("break", "server error: the connection broke"),
    ],
)
def test_what_goes_wrong_is_a_failure_of_that_answer(reply: Any, failure: str) -> None:
    answer = ask(reply)
    assert (answer.rewrites, answer.calls, answer.failure) == ((), 1, failure)


@pytest.mark.parametrize("reply", ["slow", "drip"])
def test_a_slow_answer_is_a_timeout(reply: str) -> None:
    assert ask(reply, wait=0.2).failure == "timeout: no answer within 0.2 s"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, f"wants a key: set {KEY_VARIABLE}"),
        (403, "refuses this account or key"),
        (404, "change llm_url or llm"),
    ],
)
def test_what_the_user_can_mend_stops_the_run(status: int, remedy: str) -> None:
    with pytest.raises(HnError, match=rf"{remedy}.*\(status {status}\)"):
        ask((status, b""))


def test_a_server_that_is_not_there_is_told_before_the_run_and_in_it() -> None:
    with chat_server(PROPER) as (url, _):
        rewriter(url).attach(CPU)
    gone = rewriter(url)
    with pytest.raises(HnError, match=rf"{url}/v1 cannot be reached .*: start it"):
        gone.attach(CPU)
    with pytest.raises(HnError, match="cannot be reached"):
        gone.answer(QUESTIONS[:2])


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_key_is_told_before_the_run(status: int) -> None:
    with chat_server((status, b"")) as (url, _), pytest.raises(HnError, match=KEY_VARIABLE):
        rewriter(url).attach(CPU)


def test_a_server_need_not_list_its_models() -> None:
    with chat_server((404, b"")) as (url, _):
        rewriter(url).attach(CPU)


def test_the_key_comes_from_the_environment_and_goes_to_the_server_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chat_server(PROPER) as (url, handler):
        rewriter(url).answer(QUESTIONS[:1])
        monkeypatch.setenv(KEY_VARIABLE, "sk-secret\n")
        asked = rewriter(url)
        asked.attach(CPU)
        asked.answer(QUESTIONS[:1])
    assert handler.keys == [None, "Bearer sk-secret", "Bearer sk-secret"]
    monkeypatch.setenv(KEY_VARIABLE, "sk secret\r\nX: y")
    with pytest.raises(HnError) as refused:
        asked.attach(CPU)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "must be an address"),
        ("localhost:8000", "must be an address"),
        ("ftp://localhost/", "not safe"),
        ("file:///etc/passwd", "must be an address"),
        ("http://example.org", "not safe: use https"),
        ("http://127.0.0.1.example.org", "not safe"),
        ("http://10.0.0.7:8000", "not safe"),
        ("https://user:secret@example.org", "a key goes into"),
        ("https://example.org/?key=secret", "a key goes into"),
        ("https://example.org:port", "not an address"),
        ("https://exam ple.org", "must be an address"),
        ("http://[::1", "not an address"),
    ],
)
def test_an_address_that_is_unsafe_or_none_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(HnError, match=complaint) as refused:
        endpoint(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/api/v1", "https://example.org/api/v1"),
        ("https://example.org", "https://example.org/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_safe_addresses(url: str, expected: str) -> None:
    assert endpoint(url) == expected
