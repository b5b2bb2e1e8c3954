"""A language model behind an OpenAI-compatible server, such as vLLM, Ollama or llama.cpp."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from hypernoise.errors import HnError
from hypernoise.rewriters.conversation import answered, message, sampling_seed
from hypernoise.rewriters.protocol import Answer, Rewriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from http.client import HTTPResponse

    import torch

    from hypernoise.hub import HubFiles
    from hypernoise.rewriters.protocol import ChatSettings, Question

KEY_VARIABLE = "HYPERNOISE_LLM_KEY"
"""Environment variable of the server's API key, which is sent and nothing else."""

AT_ONCE = 8
"""Questions that are on their way together."""

LARGEST = 4 * 2**20
"""Bytes of an answer that are read."""

USERS_TO_MEND = {
    401: f"wants a key: set {KEY_VARIABLE}",
    403: f"refuses this account or key: set another {KEY_VARIABLE}",
    404: "does not know that address or model: change llm_url or llm",
}


class _NoRedirect(HTTPRedirectHandler):
    """The key goes to the server that was named and to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none; the redirection becomes an HTTPError."""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def endpoint(url: str) -> str:
    """The server's address with the API's version, such as "http://localhost:8000/v1".

    Raises:
        HnError: unless it is https, or http to this machine, without a password or a query in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise HnError(f"llm_url {url!r} is not an address such as http://localhost:8000.") from None
    if not host or "@" in url or parts.query or parts.fragment or not url.isascii() or " " in url:
        raise HnError(
            f"llm_url must be an address such as http://localhost:8000 and no more; a key goes into {KEY_VARIABLE}."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise HnError(f"llm_url {url!r} is not safe: use https, or http to this machine (localhost) alone.")
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def api_key() -> str:
    """The key from the environment, or nothing.

    Raises:
        HnError: if it cannot be one.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise HnError(f"{KEY_VARIABLE} holds something that cannot be a key: set it again.")
    return key


def read_all(response: HTTPResponse, deadline: float) -> bytes:
    """The body, as far as it comes before the deadline of `time.monotonic`.

    Raises:
        TimeoutError: if it does not end by then.
        ConnectionError: if it ends too early.
        ValueError: if it is larger than `LARGEST`.
    """
    body = b""
    while chunk := response.read1(65536):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > LARGEST:
            raise ValueError("the answer is too long")
    if response.length:
        raise ConnectionError
    return body


def read_completion(question: Question, body: bytes) -> Answer:
    """The answer in a chat completion.

    Raises:
        ValueError, KeyError, TypeError, IndexError, AttributeError or RecursionError: if it is none.
    """
    completion = json.loads(body)
    choice = completion["choices"][0]
    tokens = int((completion.get("usage") or {}).get("total_tokens") or 0)
    if choice["message"].get("refusal") or choice.get("finish_reason") == "content_filter":
        return Answer(
            (), calls=1, tokens=tokens, failure="refusal: the model or its server refused to answer"
        )
    return answered(question, choice["message"]["content"] + "", tokens)


class ChatServer(Rewriter):
    """Asks over HTTP; the questions of a batch go out together."""

    name: ClassVar[str] = "openai"
    sources: ClassVar[tuple[HubFiles, ...]] = ()

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings
        self.url = endpoint(settings.llm_url)
        here = is_loopback(urlsplit(self.url).hostname or "")
        self.opener = build_opener(_NoRedirect, *([ProxyHandler({})] if here else []))

    def identity(self) -> dict[str, Any]:
        """Nothing: a server does not prove which weights it runs."""
        return {}

    def attach(self, device: torch.device) -> None:
        """Reach the server once, so that a run does not begin without it."""
        del device
        try:
            self._send("models")
        except HTTPError as error:
            if error.code in (401, 403):
                raise self._to_mend(error.code) from None
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from None

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask all; what takes too long, is refused or cannot be read becomes a failure of that answer.

        Raises:
            HnError: if the server is gone, or knows neither key nor model.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._ask, questions))

    def _ask(self, question: Question) -> Answer:
        try:
            return read_completion(question, self._send("chat/completions", self._body(question)))
        except HTTPError as error:
            if error.code in USERS_TO_MEND:
                raise self._to_mend(error.code) from None
            failure = f"server error: status {error.code}"
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            failure = "malformed: not a chat completion"
        except (OSError, HTTPException) as error:
            failure = self._failure(error)
        return Answer((), calls=1, failure=failure)

    def _failure(self, error: Exception) -> str:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            return f"timeout: no answer within {self.settings.timeout_seconds:g} s"
        if isinstance(error, URLError):
            raise self._unreachable(error) from None
        return "server error: the connection broke"

    def _body(self, question: Question) -> dict[str, Any]:
        return {
            "model": self.settings.llm,
            "messages": [{"role": "user", "content": message(question)}],
            "temperature": self.settings.temperature,
            "top_p": self.settings.top_p,
            "max_tokens": self.settings.max_tokens,
            "seed": sampling_seed(question),
        }

    def _send(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := api_key():
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/{path}", data, headers)  # noqa: S310 - `endpoint` has checked the scheme
        deadline = time.monotonic() + self.settings.timeout_seconds
        with self.opener.open(request, timeout=self.settings.timeout_seconds) as response:
            return read_all(response, deadline)

    def _to_mend(self, status: int) -> HnError:
        return HnError(f"The language model's server {self.url} {USERS_TO_MEND[status]} (status {status}).")

    def _unreachable(self, error: Exception) -> HnError:
        return HnError(
            f"The language model's server {self.url} cannot be reached ({type(error).__name__}): start it, or change "
            "llm_url, and give the same command again; it goes on where it was."
        )
