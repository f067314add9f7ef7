// Makes everything that the Node SDK can send, in rounds: each time a line comes on standard input, one round.
// Answers each with the line `done` when the SDK has nothing left to send.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import * as Sentry from "@sentry/node";

const version = createRequire(import.meta.url)("@sentry/node/package.json").version;

Sentry.init({
  dsn: process.env.SDK_DSN,
  tracesSampleRate: 1,
  enableLogs: true,
  release: "app@1.2.3",
  tunnel: process.env.SDK_TUNNEL || undefined,
});

const bytes = new Uint8Array(256 * 40).map((_, index) => index % 256);

function round(number) {
  Sentry.withScope((scope) => {
    scope.setTag("round", number);
    scope.setContext("odd", { text: "h\u00e9llo \u6f22\u5b57 \u{1f680}\n\r\t\u0000", number: 1e300 });
    scope.addAttachment({ filename: "all bytes.bin", data: bytes });
    scope.addAttachment({ filename: "lines.txt", data: "line\nline\r\n\n" });
    Sentry.captureException(new Error(`round ${number}: ${"x".repeat(40000)}`));
  });
  Sentry.captureMessage(`message ${number}`);
  Sentry.startSpan({ name: `transaction ${number}`, op: "test", forceTransaction: true }, () => {
    for (let child = 0; child < 5; child++) Sentry.startSpan({ name: `child ${child}` }, () => {});
  });
  Sentry.captureCheckIn({ monitorSlug: "nightly", status: "ok", duration: 1.5 });
  Sentry.captureFeedback({ message: "it works", email: "a@example.com", name: "A" });
  for (const level of ["info", "warn", "error"]) Sentry.logger?.[level]?.(`log ${number}`, { number });
  Sentry.startSession();
  Sentry.captureSession(true);
}

console.log(JSON.stringify({ sdk: version }));
let number = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  round(number++);
  await Sentry.flush(20000);
  console.log("done");
}
process.exit(0);
