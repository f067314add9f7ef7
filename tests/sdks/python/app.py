"""Makes everything that the Python SDK can send, in rounds: each time a line comes on standard input, one round.

Answers each with the line `done` when the SDK has nothing left to send.
"""

import json
import logging
import os
import sys

import sentry_sdk
from sentry_sdk.crons import capture_checkin
from sentry_sdk.transport import HttpTransport

logging.getLogger("sentry_sdk.errors").setLevel(logging.CRITICAL)


def round_of_events(number: int) -> None:
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("round", number)
        scope.set_context("odd", {"text": "h\u00e9llo \u6f22\u5b57 \U0001f680\n\r\t\u0000", "number": 1e300})
        scope.add_attachment(bytes=bytes(range(256)) * 40, filename="all bytes.bin")
        scope.add_attachment(bytes=b"line\nline\r\n\n", filename="lines.txt")
        try:
            raise ValueError(f"round {number}: " + "x" * 5000)
        except ValueError as error:
            sentry_sdk.capture_exception(error)
    sentry_sdk.capture_message(f"message {number}")
    with sentry_sdk.start_transaction(op="test", name=f"transaction {number}") as transaction:
        for child in range(5):
            with transaction.start_child(op="child", name=f"child {child}"):
                pass
    capture_checkin(monitor_slug="nightly", status="ok", duration=1.5)
    if hasattr(sentry_sdk, "logger"):
        for level in ("info", "warning", "error"):
            getattr(sentry_sdk.logger, level)("log {number}", number=number)
    sentry_sdk.get_isolation_scope().start_session()
    sentry_sdk.get_isolation_scope().end_session()


def main() -> None:
    algorithm = os.environ.get("SDK_ENCODING", "gzip")
    options = {"transport_compression_algo": algorithm} if algorithm == "br" else {}
    if algorithm == "identity":
        options = {"transport_compression_level": 0}
    sentry_sdk.init(
        dsn=os.environ["SDK_DSN"],
        transport=HttpTransport,
        traces_sample_rate=1.0,
        profiles_sample_rate=1.0,
        enable_logs=True,
        auto_session_tracking=True,
        release="app@1.2.3",
        default_integrations=False,
        _experiments=options,
    )
    print(json.dumps({"sdk": sentry_sdk.VERSION}), flush=True)
    for number, _ in enumerate(sys.stdin):
        round_of_events(number)
        sentry_sdk.flush(timeout=20)
        print("done", flush=True)


main()
