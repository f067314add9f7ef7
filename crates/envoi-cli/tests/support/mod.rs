//! Running the real binary.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

pub(crate) mod proxy;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// After this a test is stuck. Nothing is waited for that long.
const STUCK: Duration = Duration::from_secs(120);

/// What a run of the binary left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON documents on standard output, one per line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line that standard error must be.
    pub(crate) fn error_line(&self) -> &str {
        let mut lines = self.stderr.lines();
        let line = lines.next().unwrap_or_else(|| panic!("no error line: {self:?}"));
        assert_eq!(lines.next(), None, "one line: {self:?}");
        line
    }

    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The binary, without what the environment of the test run may say.
pub(crate) fn envoi(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_envoi"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    for name in ["SENTRY_DSN", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "RUST_LOG"] {
        command.env_remove(name);
    }
    for name in ["https_proxy", "http_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

pub(crate) async fn finish(mut command: Command) -> Run {
    let output = tokio::time::timeout(STUCK, command.output()).await.expect("the command is stuck").unwrap();
    Run {
        code: output.status.code().expect("killed by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) async fn run(args: &[&str]) -> Run {
    finish(envoi(args)).await
}

/// Runs with `input` on standard input.
pub(crate) async fn run_with_input(args: &[&str], input: &[u8]) -> Run {
    let mut command = envoi(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The command may have ended without reading it.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = tokio::time::timeout(STUCK, child.wait_with_output()).await.expect("stuck").unwrap();
    Run {
        code: output.status.code().expect("killed by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A run that is watched line by line.
pub(crate) struct Watched {
    pub(crate) child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Watched {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stdout, stderr }
    }

    /// The next line of standard output.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(STUCK, self.stdout.next_line()).await.expect("no line comes");
        line.unwrap().expect("the output has ended")
    }

    /// Lines of standard output up to and including the first with `part` in it.
    pub(crate) async fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(part) {
                return line;
            }
        }
    }

    #[cfg(unix)]
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("still running").to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(status.success());
    }

    /// What is left of standard output, of standard error, and the exit code.
    pub(crate) async fn end(mut self) -> Run {
        let mut run = Run { code: -1, stdout: String::new(), stderr: String::new() };
        let rest = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                run.stdout.push_str(&line);
                run.stdout.push('\n');
            }
            while let Some(line) = self.stderr.next_line().await.unwrap() {
                run.stderr.push_str(&line);
                run.stderr.push('\n');
            }
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(STUCK, rest).await.expect("the command is stuck");
        run.code = status.code().expect("killed by a signal");
        run
    }
}

/// A directory with files in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn root(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// A folder with this many copies of an envelope.
pub(crate) fn copies(count: usize, envelope: impl AsRef<[u8]>) -> Folder {
    (0..count).fold(Folder::new(), |folder, number| folder.with(&format!("{number:03}.envelope"), &envelope))
}

/// A well-formed envelope with one event of `size` bytes or a bit more.
pub(crate) fn event(size: usize) -> String {
    let payload = format!("{{\"message\":\"{}\"}}", "x".repeat(size));
    let id = "9ec79c33ec9942ab8353589fcb2e04dc";
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len())
}
