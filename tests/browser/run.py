"""Looks at the status page of `envoi relay` in a headless Chromium, with and without JavaScript.

Usage: run.py ENVOI CHROMIUM [SCREENSHOTS]: the built command, the browser, and a directory for pictures.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from chromium import Browser, Page, Refused

STUCK = 60
KEY = "0123456789abcdef0123456789abcdef"
NASTY = "<img src=x onerror=document.title='owned'>"
ENVELOPE = b'{}\n{"type":"event"}\n{"message":"x"}\n'


def start(*words) -> tuple[subprocess.Popen, dict]:
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "listening":
            return process, event
    raise AssertionError(f"{words[1]} did not start")


def fetch(url: str, body: bytes | None = None, headers: dict | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=STUCK) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def text(dom: str) -> str:
    """What is to be read."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<script.*?</script>|<head.*?</head>", " ", dom)).split())


def wait_until(url: str, enough) -> dict:
    deadline = time.monotonic() + STUCK
    while time.monotonic() < deadline:
        status = json.loads(fetch(url + "status.json")[1])
        if enough(status):
            return status
    raise AssertionError("the status does not become what it should")


def shows(page: Page, words: str) -> str:
    """Waits until these words are to be read on the page."""
    deadline = time.monotonic() + STUCK
    while words not in text(dom := page.dom()):
        assert time.monotonic() < deadline, f"{words!r} never was on the page: {text(dom)}"
        time.sleep(0.1)
    return dom


def take(browser: Browser, url: str, pictures: Path) -> None:
    """Pictures to look at."""
    pictures.mkdir(parents=True, exist_ok=True)
    for name, width, dark in (("light", 1100, False), ("dark", 1100, True), ("narrow", 480, False)):
        page = browser.page()
        page.size(width, 1900)
        if dark:
            page.dark()
        page.go(url)
        shows(page, "envelopes wait")
        page.picture(pictures / f"{name}.png")


def check(envoi: Path, browser: Browser, folder: Path, pictures: Path | None) -> None:
    faults = ["--fail", "413*1", "--fail", "rate=600:error:organization"]
    server, at = start(envoi, "ingest", "--json", "--listen", "127.0.0.1:0", *faults)
    relay, me = start(
        envoi, "relay", "--json", "--listen", "127.0.0.1:0", "--upstream", "http://" + at["address"], "--spool", folder / "spool"
    )
    url = me["status_url"]
    try:
        send = url + "api/{}/envelope/"
        auth = {"x-sentry-auth": f"Sentry sentry_key={KEY}"}
        # The server refuses the first, and announces a limit with it.
        assert fetch(send.format(42), ENVELOPE, auth)[0] == 200
        wait_until(url, lambda status: status["destinations"] and status["destinations"][0]["attempts"] == 1)
        wait_until(url, lambda status: status["destinations"][0]["limits"])
        # What is limited is refused, the rest goes on.
        assert fetch(send.format(42), ENVELOPE, auth)[0] == 429
        assert fetch(send.format(42), ENVELOPE.replace(b"event", b"session"), auth)[0] == 200
        wait_until(url, lambda status: status["forwarded"] == 1)
        # A project with a name that wants to be more than a name.
        assert fetch(url + "api/" + urllib.parse.quote(NASTY) + "/envelope/", ENVELOPE, auth)[0] == 400
        # A destination whose server is gone.
        server.kill()
        server.wait()
        for number in range(3):
            fetch(send.format(8), ENVELOPE.replace(b"x", str(number).encode()), auth)
        wait_until(url, lambda status: any(lane["waiting"] for d in status["destinations"] for lane in d["lanes"]))

        page = browser.page()
        page.disable_scripts()
        page.size(1100, 1900)
        page.go(url)
        still = shows(page, "cannot be reached")
        for needed in ("413", "error for", "critical", "3 envelopes wait", "ledger", "posted"):
            assert needed.lower() in text(still).lower(), f"{needed!r} is not on the page without scripts: {text(still)}"
        assert "<svg" in still and "data-refreshed" not in still
        assert len(page.picture(folder / "still.png")) > 20_000, "there is nothing in the picture"
        # Without scripts the page is loaded again by itself.
        fetch(send.format(8), ENVELOPE, auth)
        shows(page, "4 envelopes wait")

        live = browser.page()
        live.size(1100, 1900)
        live.go(url)
        shows(live, "4 envelopes wait")
        fetch(send.format(8), ENVELOPE, auth)
        fresh = shows(live, "5 envelopes wait")
        assert "data-refreshed" in fresh, "the page was loaded again, and not by the script"
        assert fresh.count("<main") == 1
        assert re.search(r'id="lost"[^>]*hidden', fresh), "it says that the relay does not answer"
        for html in (still, fresh):
            assert "<img" not in html and "owned" not in html.split("</title>")[0]
        if pictures:
            take(browser, url, pictures)

        # Old values are marked as such.
        live.front()
        relay.kill()
        relay.wait()
        deadline = time.monotonic() + STUCK
        while not re.search(r'id="lost"(?![^>]*hidden)', live.dom()):
            assert time.monotonic() < deadline, "it does not say that the relay does not answer"
            time.sleep(0.1)
    finally:
        for process in (server, relay):
            process.kill()
            process.wait()


def main() -> int:
    envoi, browser = Path(sys.argv[1]).resolve(), sys.argv[2]
    pictures = Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chromium = Browser(browser, Path(folder) / "profile")
        try:
            check(envoi, chromium, Path(folder), pictures)
        except (AssertionError, OSError, Refused) as error:
            print(f"FAILED: {error}\n0 passed, 1 failed")
            return 1
        finally:
            chromium.close()
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    os.environ.pop("SENTRY_DSN", None)
    sys.exit(main())
