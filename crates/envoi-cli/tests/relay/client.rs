//! A relay under test, and a client that says exactly what it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Folder, Run, Watched, envoi};

/// After this a test is stuck. Nothing is waited for that long.
pub(crate) const STUCK: Duration = Duration::from_secs(60);

/// A process that runs.
pub(crate) struct Relay {
    pub(crate) watched: Watched,
    pub(crate) address: SocketAddr,
}

/// The settings of most tests: quick to try again, quick to end.
const QUICK: &str = "[forward]\nretry_first = \"50ms\"\nretry_longest = \"100ms\"\nreplay_pause = \"1ms\"\n";

/// Writes a file with these settings on top of the usual ones.
pub(crate) fn config(folder: &Folder, text: &str) -> String {
    let path = folder.path("relay.toml");
    std::fs::write(&path, format!("{text}\n{QUICK}")).unwrap();
    path.to_str().unwrap().to_owned()
}

impl Relay {
    /// Starts one on a free port.
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[]).await
    }

    pub(crate) async fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let all = [&["relay", "--json", "--listen", "127.0.0.1:0"], args].concat();
        let mut command = envoi(&all);
        command.envs(environment.iter().copied());
        Self::watch(command).await
    }

    /// Runs a command that becomes a relay.
    pub(crate) async fn watch(command: Command) -> Self {
        let mut watched = Watched::start(command);
        let line = watched.line_with("\"listening\"").await;
        let event: Value = serde_json::from_str(&line).unwrap();
        let address = event["address"].as_str().unwrap().parse().unwrap();
        Self { watched, address }
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The relay may have answered and gone before it was all written.
        let _ = stream.write_all(request.as_ref()).await;
        Answer::read(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("/status.json").await.json()
    }

    /// Posts an envelope to project 42 with the key `key`.
    pub(crate) async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send(post("/api/42/envelope/", &["x-sentry-auth: Sentry sentry_key=key"], body)).await
    }

    /// Waits until the status is as it should be.
    pub(crate) async fn until(&self, enough: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let status = self.status().await;
                if enough(&status) {
                    return status;
                }
            }
        };
        timeout(STUCK, wait).await.expect("the status does not become what it should")
    }

    /// Ends it by SIGTERM, and returns the run and its summary.
    pub(crate) async fn stop(self) -> (Run, Value) {
        self.watched.signal("TERM").await;
        let run = self.watched.end().await;
        let summary = run.json_lines().pop().unwrap();
        assert_eq!(summary["type"], "summary", "{run:?}");
        (run, summary)
    }

    /// Ends it as the kernel does.
    pub(crate) async fn kill(mut self) {
        self.watched.child.kill().await.unwrap();
    }
}

/// A request with a body, on a connection that ends with it.
pub(crate) fn post(path: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    request
}

/// What came back. Status 0 is none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads to the end of the connection.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let reading = stream.read_to_end(&mut bytes);
        // A reset after the answer is as good as an end.
        let _ = timeout(STUCK, reading).await.expect("the connection does not end");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// An envelope with one event.
pub(crate) fn event(number: usize) -> String {
    let id = format!("9ec79c33ec9942ab8353589f{number:08x}");
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"event {number}\"}}\n")
}

/// An address that nobody listens at.
pub(crate) const NOWHERE: &str = "http://key@127.0.0.1:9/42";
