"""Tests `envoi relay` with the real SDKs for Python and Node. See README.md.

Usage: run.py ENVOI TARGET [python|node ...]: the built command, and a directory for what the SDKs need.
"""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tee import Tee

HERE = Path(__file__).resolve().parent
STUCK = 60
"""Seconds after which a test is stuck. Nothing is waited for that long."""
KEY = "0123456789abcdef0123456789abcdef"


class Skipped(Exception):
    """What a test needs cannot be had here."""


class Program:
    """A process that prints lines."""

    def __init__(self, command: list, env: dict | None = None, stdin: bool = False):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            text=True,
        )
        self.lines: queue.Queue = queue.Queue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, part: str) -> str:
        """The next line with `part` in it."""
        while True:
            line = self.lines.get(timeout=STUCK)
            assert line is not None, f"{self.process.args[0]} ended before it said {part!r}: {self.seen[-5:]}"
            self.seen.append(line)
            if part in line:
                return line

    def drain(self) -> None:
        """Takes what has been printed so far."""
        while not self.lines.empty():
            line = self.lines.get()
            if line is not None:
                self.seen.append(line)

    def round(self) -> None:
        """One round of an SDK program."""
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        self.line("done")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> dict:
        """Ends it by SIGTERM. Returns the last line."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STUCK)
        deadline = time.monotonic() + STUCK
        while time.monotonic() < deadline:
            line = self.lines.get(timeout=STUCK)
            if line is None:
                break
            self.seen.append(line)
        assert code == 0, f"{self.process.args[1]} ended with {code}: {self.seen[-3:]}"
        return json.loads(self.seen[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """A server, a relay that forwards to it, and a tee before the relay."""

    def __init__(self, envoi: Path, folder: Path):
        self.envoi, self.folder = envoi, folder
        self.server_port, self.relay_port = free_port(), free_port()
        self.tee = Tee(("127.0.0.1", self.relay_port))
        self.config = folder / "relay.toml"
        self.config.write_text('[forward]\nretry_first = "100ms"\nretry_longest = "500ms"\n')
        self.server = self.relay = self.app = None
        self.arrived: Counter = Counter()

    def start_server(self, *faults: str) -> None:
        args = [word for fault in faults for word in ("--fail", fault)]
        self.server = Program([self.envoi, "ingest", "--json", "--listen", f"127.0.0.1:{self.server_port}", *args])
        self.server.line('"listening"')

    def start_relay(self) -> None:
        self.relay = Program(
            [self.envoi, "relay", "--json", "--listen", f"127.0.0.1:{self.relay_port}"]
            + ["--upstream", f"http://{KEY}@127.0.0.1:{self.server_port}/42", "--ack", "durable"]
            + ["--spool", self.folder / "spool", "--config", self.config]
        )
        self.relay.line('"listening"')

    def received(self) -> Counter:
        """Items that the server accepted, but the relay's own reports."""
        self.server.drain()
        items: Counter = Counter()
        for line in self.server.seen:
            record = json.loads(line)
            if record["type"] == "request" and record["accepted"]:
                items.update((item["type"], item["sha256"]) for item in record["items"])
        return items

    def settle(self) -> Counter:
        """Waits until everything that the relay accepted has arrived, and says what there was."""
        deadline = time.monotonic() + STUCK
        sent = Counter(self.tee.accepted)
        while (missing := sent - self.received()) and time.monotonic() < deadline:
            try:
                self.server.seen.append(self.server.lines.get(timeout=1))
            except queue.Empty:
                pass
        assert not missing, f"{sum(missing.values())} of {sum(sent.values())} did not arrive: {sorted(missing)[:5]}"
        extra = self.received() - sent
        assert {kind for kind, _ in extra} <= {"client_report"}, f"more arrived than was sent: {sorted(extra)[:5]}"
        return sent

    def close(self) -> None:
        for program in (self.app, self.relay, self.server):
            if program is not None and program.process.poll() is None:
                program.kill()
        self.tee.close()


def all_is_well(world: World, start_app, encoding: str) -> str:
    """Everything that the SDK can make arrives, byte for byte, and the books of the relay agree."""
    world.start_server()
    world.start_relay()
    world.app = start_app(world, encoding)
    for _ in range(3):
        world.app.round()
    sent = world.settle()
    summary = world.relay.stop()
    assert summary["balances"] and summary["kept"] == 0, summary
    kinds = Counter(kind for kind, _ in sent.elements())
    assert {"event", "attachment", "check_in", "session"} <= set(kinds), kinds
    assert {"transaction", "span"} & set(kinds), kinds
    assert world.tee.answers and set(world.tee.answers) == {200}, world.tee.answers
    return f"{sum(kinds.values())} items: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def outage_and_kills(world: World, start_app, encoding: str) -> str:
    """The server is down and the relay is killed twice: what the relay has acknowledged arrives all the same."""
    world.start_relay()
    world.app = start_app(world, encoding)
    world.app.round()
    world.relay.kill()
    world.start_relay()
    world.app.round()
    world.relay.kill()
    # Nobody is there: this round is the loss of the SDK, which reports it.
    world.app.round()
    world.start_relay()
    world.start_server()
    world.app.round()
    sent = world.settle()
    summary = world.relay.stop()
    assert summary["balances"] and summary["lost_at_stop"] == 0, summary
    assert 502 in world.tee.answers, "the relay was never away"
    twice = [item for item, count in world.received().items() if count > sent[item] and item[0] != "client_report"]
    assert not twice, f"these arrived twice: {twice[:5]}"
    return f"{sum(sent.values())} items that were acknowledged arrived once"


def limits_are_obeyed(world: World, start_app, encoding: str) -> str:
    """A rate limit of the server reaches the SDK through the relay: it stops sending errors, and goes on with the rest."""
    world.start_server("rate=600:error:organization")
    world.start_relay()
    world.app = start_app(world, encoding)
    world.app.round()
    deadline = time.monotonic() + STUCK
    # The answer of the server comes after that of the relay, so the SDK learns it with one of its next requests.
    while time.monotonic() < deadline:
        world.app.round()
        before = Counter(kind for kind, _ in world.tee.accepted)
        requests = len(world.tee.answers)
        world.app.round()
        after = Counter(kind for kind, _ in world.tee.accepted)
        if after["event"] == before["event"] and after["check_in"] > before["check_in"]:
            return f"no more errors after {requests} requests, check-ins go on"
    raise AssertionError("the SDK never obeyed the limit")


def python_app(target: Path):
    python = target / "python" / "bin" / "python"
    wanted = (HERE / "python" / "requirements.txt").read_text()
    stamp = target / "python" / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        run([sys.executable, "-m", "venv", "--clear", target / "python"])
        run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / "python" / "requirements.txt"])
        stamp.write_text(wanted)

    def start(world: World, encoding: str) -> Program:
        env = {"SDK_DSN": f"http://{KEY}@127.0.0.1:{world.tee.port}/42", "SDK_ENCODING": encoding}
        app = Program([python, HERE / "python" / "app.py"], env, stdin=True)
        app.line("sdk")
        return app

    return start


def node_app(target: Path):
    folder = target / "node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "node" / "package-lock.json").read_text()
    stamp = folder / "installed.json"
    for name in ("package.json", "package-lock.json", "app.mjs"):
        shutil.copy(HERE / "node" / name, folder / name)
    if not stamp.exists() or stamp.read_text() != wanted:
        run(["npm", "ci", "--no-audit", "--no-fund", "--silent", "--prefix", folder])
        stamp.write_text(wanted)

    def start(world: World, encoding: str) -> Program:
        env = {"SDK_DSN": f"http://{KEY}@127.0.0.1:{world.tee.port}/42"}
        if encoding == "tunnel":
            env["SDK_TUNNEL"] = f"http://127.0.0.1:{world.tee.port}/api/42/envelope/"
        app = Program(["node", folder / "app.mjs"], env, stdin=True)
        app.line("sdk")
        return app

    return start


def run(command: list) -> None:
    words = [str(word) for word in command]
    print("+", *words, flush=True)
    try:
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        raise Skipped(f"{words[0]} failed: {error}") from error


PLANS = {
    "python": (python_app, ["gzip", "identity"]),
    "node": (node_app, ["default", "tunnel"]),
}


def main() -> int:
    envoi, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    passed, failed, skipped = 0, 0, 0
    for name in sys.argv[3:] or PLANS:
        prepare, encodings = PLANS[name]
        try:
            start = prepare(target)
        except Skipped as error:
            # A build machine that cannot reach the registries must not look green.
            if os.environ.get("CI"):
                print(f"FAILED {name}: {error}")
                failed += 1
            else:
                print(f"!! SKIPPED: the tests with the SDK for {name}: {error}")
                skipped += 1
            continue
        plan = [(all_is_well, encoding) for encoding in encodings]
        plan += [(outage_and_kills, encodings[0]), (limits_are_obeyed, encodings[0])]
        for test, encoding in plan:
            with tempfile.TemporaryDirectory() as folder:
                world = World(envoi, Path(folder))
                try:
                    print(f"ok {name} {encoding} {test.__name__}: {test(world, start, encoding)}", flush=True)
                    passed += 1
                except (AssertionError, queue.Empty, subprocess.TimeoutExpired) as error:
                    print(f"FAILED {name} {encoding} {test.__name__}: {error!r}", flush=True)
                    failed += 1
                finally:
                    world.close()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
