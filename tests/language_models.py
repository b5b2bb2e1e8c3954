"""Language models for tests: a server that speaks the OpenAI protocol, and a tiny Llama in a hub cache."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from hub_files import make_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
USAGE = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
REFUSAL = {
    "choices": [{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}],
    "usage": USAGE,
}
TEMPLATE = (
    "{% for m in messages %}<user>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": USAGE}


class ChatHandler(BaseHTTPRequestHandler):
    """`reply` is a status and a body, a text for a proper answer, or "slow", "drip", "break" or "redirect"."""

    reply: Any
    asked: list[dict[str, Any]]
    keys: list[str | None]
    over: Event

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.keys.append(self.headers["Authorization"])
        status = self.reply[0] if isinstance(self.reply, tuple) else 200
        self._answer(status, b"{}")

    def do_POST(self) -> None:
        self.keys.append(self.headers["Authorization"])
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path} | body)
        match self.reply:
            case "slow":
                self.over.wait(30)
            case "drip":
                self._drip()
            case "break":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            case "redirect":
                self._answer(302, b"", Location="http://127.0.0.1:9/v1/chat/completions")
            case (int() as status, bytes() as content):
                self._answer(status, content)
            case str() as text:
                self._answer(200, json.dumps(completion(text)).encode())

    def _drip(self) -> None:
        """A byte now and then, so that no single wait is long."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        try:
            while not self.over.is_set():
                self.wfile.write(b" ")
                time.sleep(0.02)
        except OSError:
            pass


class Server(ThreadingHTTPServer):
    """Lets many questions wait at once."""

    request_queue_size = 64


@contextmanager
def chat_server(reply: Any) -> Iterator[tuple[str, type[ChatHandler]]]:
    """The address of a running server, and its handler, which keeps what it was asked."""
    over = Event()
    handler = type("Handler", (ChatHandler,), {"reply": reply, "asked": [], "keys": [], "over": over})
    with Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            over.set()
            server.shutdown()


SPECIAL = ("<unk>", "<eos>", "<user>", "<answer>")
FIRST = [f"1. a {color} ring\n" for color in ("red", "blue", "green", "black", "white", "pink")]
SECOND = [f"2. a picture of a {color} ring (bold)\n" for color in ("red", "blue", "green", "black", "white")]


def make_llama(cache: Path, folder: Path, *, chats: bool = True) -> Path:
    """A Llama whose next token depends on the last alone: one of FIRST, one of SECOND, and the end; in a hub cache."""
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    unknown, end, user, answer = SPECIAL
    words = [*SPECIAL, *FIRST, *SECOND]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        eos_token=end,
        additional_special_tokens=[user, answer],
        chat_template=TEMPLATE if chats else None,
    ).save_pretrained(folder)

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=len(words) + 1,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=8,
            bos_token_id=None,
            eos_token_id=1,
            tie_word_embeddings=False,
        )
    )
    follows = torch.zeros(len(words), len(words) + 1)
    first, second = range(4, 4 + len(FIRST)), range(4 + len(FIRST), len(words))
    follows[list(first), words.index(answer)] = 10.0
    follows[torch.tensor(second)[:, None], torch.tensor(first)] = 10.0
    follows[1, list(second)] = 10.0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(len(words), len(words) + 1))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.lm_head.weight.copy_(follows)
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9)  # as the real one's
    model.save_pretrained(folder)
    return make_cache(cache, LLAMA, {path.name: path.read_bytes() for path in folder.iterdir()})
