use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::DiscardReason;
use envoi_envelope::{DataCategory, Envelope};
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};

use super::accept::Command;
use super::shared::Shared;
use super::{Events, IngestBuilder, IngestThread, Record, RequestHead, Step};

/// The key in [`IngestServer::dsn`]. Every other is accepted too.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What a server has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections on which TLS was not agreed on.
    pub handshakes_failed: u64,
    /// Requests of which the head was read.
    pub begun: u64,
    /// Requests that were answered, or for which it is decided that they are not.
    pub requests: u64,
    /// Envelopes that were answered with success.
    pub accepted: u64,
    /// Their items.
    pub items: u64,
    /// Accepted events of which the id was accepted before.
    pub duplicates: u64,
    /// Requests by the status that was answered.
    pub statuses: BTreeMap<StatusCode, u64>,
    /// Requests without a complete status: faults, and clients that went away.
    pub unanswered: u64,
    /// Requests with problems, also such that are only noted.
    pub problems: u64,
    /// Bytes of bodies, as they were sent.
    pub wire_bytes: u64,
    /// Bytes of bodies, decoded.
    pub body_bytes: u64,
}

/// The end of patience: what was waited for did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotEnough {
    /// What had come until then.
    pub summary: Summary,
}

impl fmt::Display for NotEnough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited in vain: {} of {} requests were accepted, {} are underway",
            self.summary.accepted,
            self.summary.requests,
            self.summary.begun.saturating_sub(self.summary.requests),
        )
    }
}

impl Error for NotEnough {}

/// A running server. It ends when this handle is dropped: at once, or in order with [`IngestServer::shutdown`].
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct IngestServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl IngestServer {
    pub(super) const fn new(
        address: SocketAddr,
        scheme: &'static str,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self { address, scheme, shared, commands }
    }

    /// Starts a server with the defaults, as a task of the current runtime.
    ///
    /// # Errors
    /// If it cannot listen on loopback.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a server with the defaults, on a thread of its own.
    ///
    /// # Errors
    /// If it cannot listen on loopback, or if no thread can be had.
    pub fn spawn_thread() -> io::Result<IngestThread> {
        Self::builder().spawn_thread()
    }

    /// A server with other settings.
    pub fn builder() -> IngestBuilder {
        IngestBuilder::default()
    }

    // Where it is.

    /// Where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A DSN for this server, for project 42.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("{}://{KEY}@{}/42", self.scheme, self.address)
    }

    /// The envelope URL that belongs to [`IngestServer::dsn`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/api/42/envelope/", self.scheme, self.address)
    }

    // What it does.

    /// Adds steps to the end of the script. Each request takes one, in the order in which heads are read.
    pub fn script(&self, steps: impl IntoIterator<Item = impl Into<Step>>) {
        self.shared.script.extend(steps.into_iter().map(Into::into));
    }

    /// Takes the steps out of the script that are left.
    pub fn clear_script(&self) {
        self.shared.script.clear();
    }

    /// How many steps are left.
    #[must_use]
    pub fn steps_left(&self) -> usize {
        self.shared.script.left()
    }

    /// Asks `hook` for a step, given the number of the request, whenever the script has none left. It must not call
    /// the server. `None` leaves it to the default step.
    pub fn on_request(&self, hook: impl FnMut(u64, &RequestHead) -> Option<Step> + Send + 'static) {
        self.shared.script.set_hook(Some(Box::new(hook)));
    }

    /// What is done where neither script nor hook say anything: [`Step::judge`], unless it is changed here.
    pub fn otherwise(&self, step: impl Into<Step>) {
        self.shared.script.set_otherwise(step.into());
    }

    async fn command<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(command(sender)).ok()?;
        receiver.await.ok()
    }

    /// Stops accepting connections: the kernel still takes some, which then wait. Open ones go on.
    pub async fn pause_accepting(&self) {
        self.command(Command::Pause).await;
    }

    /// Accepts connections again.
    pub async fn resume_accepting(&self) {
        self.command(Command::Resume).await;
    }

    /// Goes down as if the process ended: open connections are closed, new ones refused. Returns when it is so.
    pub async fn go_down(&self) {
        self.command(Command::Down).await;
    }

    /// Listens again at the same address. Scripts and books are as before.
    ///
    /// # Errors
    /// If the port was taken by somebody else in the meantime.
    pub async fn come_up(&self) -> io::Result<()> {
        self.command(Command::Up).await.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    // What it saw.

    /// The counters at this moment. A client that has its answer finds its request counted.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.shared.summary().borrow().clone()
    }

    /// The requests that are remembered, in the order of the answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Record>> {
        self.shared.book().requests().cloned().collect()
    }

    /// The envelopes that are remembered and were answered with success, in the order of the answers.
    #[must_use]
    pub fn envelopes(&self) -> Vec<Envelope> {
        let book = self.shared.book();
        book.requests()
            .filter(|record| record.is_accepted())
            .filter_map(|record| record.envelope.clone())
            .collect()
    }

    /// Waits until `enough` says so. Cancel safe.
    ///
    /// # Errors
    /// If that takes longer than `patience`.
    pub async fn wait_until(
        &self,
        mut enough: impl FnMut(&Summary) -> bool,
        patience: Duration,
    ) -> Result<Summary, NotEnough> {
        let mut summary = self.shared.summary();
        if let Ok(Ok(summary)) = tokio::time::timeout(patience, summary.wait_for(|now| enough(now))).await {
            return Ok(summary.clone());
        }
        let now = summary.borrow().clone();
        Err(NotEnough { summary: now })
    }

    /// Waits until `count` envelopes were answered with success, and returns those that are remembered. Cancel safe.
    ///
    /// # Errors
    /// If that takes longer than `patience`.
    pub async fn wait_for(&self, count: u64, patience: Duration) -> Result<Vec<Envelope>, NotEnough> {
        self.wait_until(|summary| summary.accepted >= count, patience).await?;
        Ok(self.envelopes())
    }

    /// A stream of all requests from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events()
    }

    /// What was in the envelopes that were answered with success, by category.
    #[must_use]
    pub fn received_tally(&self) -> BTreeMap<DataCategory, u64> {
        self.shared.book().accepted.clone()
    }

    /// What was in the envelopes that were answered with another status, by status and category.
    #[must_use]
    pub fn refused_tally(&self) -> BTreeMap<StatusCode, BTreeMap<DataCategory, u64>> {
        self.shared.book().refused.clone()
    }

    /// The losses that client reports told of, in envelopes that were answered with success or with 429
    /// (decision 14).
    #[must_use]
    pub fn reported_losses(&self) -> BTreeMap<(DiscardReason, DataCategory), u64> {
        self.shared.book().reported.clone()
    }

    /// Stops listening, lets requests that are underway end for at most 2 s, and ends.
    pub async fn shutdown(self) -> Summary {
        self.command(Command::Shutdown).await;
        self.summary()
    }
}
