//! The scene in which a process with a disk buffer is killed in the middle of an outage (OC-9).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use envoi::envelope::EventId;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::narrator::Narrator;
use super::world::World;
use crate::error::CliError;
use crate::output::{BAD, GOOD, WARN, paint};
use crate::text;

/// How many errors each of the two processes posts.
const ERRORS: u64 = 12;
/// It only ends a demo that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process posts while the server is down and is killed; another posts as many when the server is back. Answers whether
/// the server has every event of both.
pub(super) async fn scene(world: &mut World, narrator: &mut Narrator<'_>) -> Result<bool, CliError> {
    narrator.scene("a kill in the middle of an outage, and a disk buffer").await;
    let dir = Folder::new()?;
    let (dsn, before, known) = (world.server.dsn(), world.server.received_tally(), events(world));
    world.server.go_down().await;
    let mut first = Sender::start(&dir.0, &dsn)?;
    first.line().await?;
    let posted = text::count(ERRORS, "error");
    narrator.say(format_args!("the server is down; a process: {posted} posted and stored")).await;
    // On unix this is SIGKILL.
    first.child.kill().await.map_err(cannot("kill a process"))?;
    narrator.say(format_args!("{}: no shutdown, no warning", paint(BAD, "it is killed"))).await;

    world.server.come_up().await.map_err(cannot("listen again"))?;
    let mut second = Sender::start(&dir.0, &dsn)?;
    second.line().await?;
    drop(second.child.stdin.take());
    let found = second.line().await?;
    tokio::time::timeout(PATIENCE, second.child.wait())
        .await
        .map_err(|_| CliError::failed("the demo is stuck: a process does not end"))?
        .map_err(cannot("wait for a process"))?;
    narrator
        .say(format_args!(
            "the server is back; the next process found {} and posted {posted} of its own",
            paint(WARN, text::clean(&found)),
        ))
        .await;
    let arrived = events(world).difference(&known).count() as u64;
    let is_whole = arrived == 2 * ERRORS;
    narrator
        .say(format_args!(
            "{} posted by both, {} at the server",
            2 * ERRORS,
            paint(if is_whole { GOOD } else { BAD }, format_args!("{arrived} different ones")),
        ))
        .await;
    world.since_is_of_others(&before);
    Ok(is_whole)
}

/// The ids of all events that the server has taken.
fn events(world: &World) -> BTreeSet<String> {
    world
        .server
        .envelopes()
        .iter()
        .filter_map(|envelope| envelope.event_id().map(|id| id.to_string()))
        .collect()
}

fn cannot(what: &'static str) -> impl Fn(std::io::Error) -> CliError {
    move |error| CliError::failed(format_args!("cannot {what}: {error}"))
}

/// A [`sender`](super::sender) that runs.
struct Sender {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Sender {
    fn start(dir: &Path, dsn: &str) -> Result<Self, CliError> {
        let program = std::env::current_exe().map_err(cannot("find this program"))?;
        let mut command = Command::new(program);
        command.arg("demo-sender").args(["--dsn", dsn]).arg(dir).arg(ERRORS.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(cannot("start a process"))?;
        let stdout = child.stdout.take().ok_or_else(|| CliError::failed("a process without output"))?;
        Ok(Self { child, stdout: BufReader::new(stdout).lines() })
    }

    async fn line(&mut self) -> Result<String, CliError> {
        let line = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await;
        let line = line.map_err(|_| CliError::failed("the demo is stuck: a process says nothing"))?;
        let line = line.map_err(cannot("read what a process says"))?;
        line.ok_or_else(|| CliError::failed("a process of the demo has ended too early"))
    }
}

/// A directory of its own that is removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self, CliError> {
        let name = format!("envoi-demo-{}-{}", std::process::id(), EventId::random());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(cannot("make a directory"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies where temporary things lie.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
