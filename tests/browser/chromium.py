"""A headless Chromium, spoken to over a pipe: its own protocol, so no driver is needed."""

import base64
import json
import os
import subprocess
import threading
import time
from pathlib import Path

STUCK = 60


class Refused(Exception):
    """The browser cannot do that now."""


class Browser:
    """One browser with a profile of its own."""

    def __init__(self, program: str, profile: Path):
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--hide-scrollbars"]
        # The protocol is spoken on the descriptors 3 and 4.
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["sh", "-c", shell, "sh", program, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._pending = b""
        self._number = 0
        # A browser that hangs is ended, and the pipe with it.
        self._watch = threading.Timer(STUCK * 3, self._process.kill)
        self._watch.start()

    def close(self) -> None:
        self._watch.cancel()
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def _message(self) -> dict:
        while b"\0" not in self._pending:
            read = os.read(self._in, 1 << 16)
            assert read, "the browser has ended"
            self._pending += read
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, session: str | None = None, **params) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            pass
        if "error" in answer:
            raise Refused(f"{method}: {answer['error']}")
        return answer["result"]

    def page(self) -> "Page":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str):
        self.browser, self.session = browser, session

    def _call(self, method: str, **params) -> dict:
        return self.browser.call(method, self.session, **params)

    def disable_scripts(self) -> None:
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def dark(self) -> None:
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def size(self, width: int, height: int) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def front(self) -> None:
        """Makes it the tab that is seen."""
        self._call("Page.bringToFront")

    def go(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def dom(self) -> str:
        """What the browser has made of the page, scripts or no scripts; empty while it is being replaced."""
        try:
            root = self._call("DOM.getDocument")["root"]["nodeId"]
            return self._call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
        except Refused:
            return ""

    def picture(self, path: Path) -> bytes:
        """What is to be seen. While the page is being replaced there is nothing, so it is tried again."""
        deadline = time.monotonic() + STUCK
        while True:
            try:
                shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
                break
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        data = base64.b64decode(shot["data"])
        path.write_bytes(data)
        return data
