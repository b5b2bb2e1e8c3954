"""A small server that answers as the Hugging Face hub does."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from hub_files import COMMIT, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Hub(BaseHTTPRequestHandler):
    """`repositories` by id: names and contents of files, or the hub's word for why it refuses."""

    repositories: Mapping[str, Mapping[str, bytes] | str]

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/models").strip("/")
        repo = next((repo for repo in self.repositories if path.startswith(repo)), None)
        if repo is None:
            return self._answer(404, b"", X_Error_Code="RepoNotFound")
        files = self.repositories[repo]
        if isinstance(files, str):
            return self._answer(403, b"{}", X_Error_Code=files)
        if "/resolve/" in path:
            content = files[path.partition(f"/resolve/{COMMIT}/")[2]]
            return self._answer(200, content, ETag=f'"{sha256(content)}"', X_Repo_Commit=COMMIT)
        listed = [
            {"type": "file", "rfilename": n, "path": n, "size": len(c), "oid": "0"} for n, c in files.items()
        ]
        body = listed if "/tree/" in path else {"id": repo, "sha": COMMIT, "siblings": listed}
        return self._answer(200, json.dumps(body).encode(), Content_Type="application/json")

    def do_HEAD(self) -> None:
        self.do_GET()


@contextmanager
def hub_server(repositories: Mapping[str, Mapping[str, bytes] | str]) -> Iterator[str]:
    """The address of a running hub."""
    handler = type("Handler", (Hub,), {"repositories": repositories})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
