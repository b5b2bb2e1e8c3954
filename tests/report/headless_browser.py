"""A headless Chromium, told what to do through the DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# Chromium reads commands from file 3 and answers on file 4; the shell makes them of its own input and output.
START = 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2'
PATIENCE = 30.0
KEYS = {
    "Escape": 27,
    "Enter": 13,
    "Tab": 9,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
LOADED = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


class Browser:
    """One page in a browser of its own; `problems` holds its console's complaints, `requests` what it fetched."""

    def __init__(self, chromium: str, profile: Path) -> None:
        flags = ["--headless", "--remote-debugging-pipe", f"--user-data-dir={profile}", "--disable-gpu"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        self._process = subprocess.Popen(
            ["sh", "-c", START, "sh", chromium, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._received = bytearray()
        self._number, self._session = 0, ""
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.window()

    def close(self) -> None:
        """End the browser."""
        self._session = ""
        try:
            self.call("Browser.close")
        finally:
            self._process.communicate(timeout=PATIENCE)

    def open(self, path: Path, hash_: str = "") -> None:
        """Load a page from disk."""
        self.problems.clear()
        self.requests.clear()
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.as_uri()}#{hash_}")
        self.run(LOADED)
        self.run(DRAWN)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """The text of every element that fits."""
        found: list[str] = self.run(f"[...document.querySelectorAll({selector!r})].map(e => e.textContent)")
        return found

    def choose(self, identifier: str, value: str) -> None:
        """Set a control as a user does."""
        control = f"document.getElementById({identifier!r})"
        self.run(
            f"{control}.value = {json.dumps(value)}; {control}.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
        self.run(DRAWN)

    def click(self, selector: str) -> None:
        """Click on the middle of the first element that fits, with the mouse."""
        place = f"document.querySelector({selector!r})"
        x, y = self.run(
            f"{place}.scrollIntoView({{block: 'center', behavior: 'instant'}}), "
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({place}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.run(DRAWN)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = KEYS.get(key, 0)
        for kind, extra in (("keyDown", {"text": text} if text else {}), ("keyUp", {})):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **extra)
        self.run(DRAWN)

    def window(self, width: int = 1280, height: int = 6000, scheme: str = "light") -> None:
        """Set the window's size, at first so high that a small page is all in sight, and whether light is preferred."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def printed(self) -> bytes:
        """The page on paper, as PDF."""
        return base64.b64decode(self.call("Page.printToPDF")["data"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are noted."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method", ""), message.get("params", {}))

    def _message(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            more = os.read(self._process.stdout.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self._received += more
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown" | "Log.entryAdded" | "Page.javascriptDialogOpening":
                self.problems.append(json.dumps(params))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.problems.append(json.dumps(params))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
