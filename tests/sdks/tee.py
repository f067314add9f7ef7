"""Stands between an SDK and the relay: records what was sent, forwards it, and hands the answer back.

It reads envelopes by the grammar itself and shares no code with what is tested.
"""

import gzip
import hashlib
import http.client
import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def decode(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "br":
        import brotli

        return brotli.decompress(body)
    raise ValueError(f"unknown encoding {encoding}")


def items(envelope: bytes) -> list[tuple[str, str]]:
    """Type and hash of the payload of every item."""
    found = []
    end = envelope.find(b"\n")
    at = len(envelope) if end < 0 else end + 1
    while at < len(envelope):
        end = envelope.find(b"\n", at)
        end = len(envelope) if end < 0 else end
        header = json.loads(envelope[at:end])
        start = min(end + 1, len(envelope))
        if "length" in header:
            stop = start + header["length"]
            assert stop <= len(envelope), "the length points beyond the end"
        else:
            stop = envelope.find(b"\n", start)
            stop = len(envelope) if stop < 0 else stop
        found.append((header["type"], hashlib.sha256(envelope[start:stop]).hexdigest()))
        at = stop + 1
    return found


class Tee:
    """`accepted` has the items of all envelopes that the relay answered with 200, `answers` every status."""

    def __init__(self, relay: tuple[str, int]):
        self.relay = relay
        self.accepted: list[tuple[str, str]] = []
        self.encodings: set[str] = set()
        self.answers: list[int] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        # SDKs cut their connections when they end.
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _record(self, status: int, body: bytes, encoding: str) -> None:
        with self.lock:
            self.answers.append(status)
            self.encodings.add(encoding)
            if status == 200:
                self.accepted.extend(items(decode(body, encoding)))

    def _handler(tee):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _body(self) -> tuple[bytes, bool]:
                if "chunked" in self.headers.get("transfer-encoding", ""):
                    body = b""
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return body, True
                return self.rfile.read(int(self.headers.get("content-length", 0))), False

            def do_POST(self) -> None:
                body, chunked = self._body()
                skipped = ("host", "connection", "content-length", "transfer-encoding", "keep-alive")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
                connection = http.client.HTTPConnection(*tee.relay, timeout=30)
                try:
                    # As it came: in chunks, or with its length.
                    sent = iter([body]) if chunked else body
                    connection.request("POST", self.path, sent, headers, encode_chunked=chunked)
                    answer = connection.getresponse()
                    status, reason, payload = answer.status, answer.reason, answer.read()
                    passed = [(name, value) for name, value in answer.getheaders()]
                except (OSError, http.client.HTTPException):
                    status, reason, payload, passed = 502, "no relay", b"", []
                finally:
                    connection.close()
                tee._record(status, body, self.headers.get("content-encoding", "").lower())
                self.send_response_only(status, reason)
                for name, value in passed:
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_) -> None:
                pass

        return Handler
