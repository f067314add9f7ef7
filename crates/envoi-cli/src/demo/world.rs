//! The transport and the server that the story happens to, and an account of what was handed over.

use std::time::Duration;

use envoi::core::{Itemized, LedgerSnapshot};
use envoi::layers::outbox::Backoff;
use envoi::{
    Capacity, DataCategory, DiscardReason, Dsn, Envelope, Fate, Lane, SentryBuilder, Transport,
    TransportStats,
};
use envoi_testkit::ingest::IngestServer;

use super::audit::{Books, Losses, Tally};
use crate::error::CliError;
use crate::transport;

/// Requests at once.
pub(super) const CONCURRENCY: usize = 2;
/// How many envelopes the lane of logs holds.
pub(super) const LANE: usize = 8;

/// The longest that anything here should take. It only ends a demo that would hang.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);
/// A report may itself cause news, such as the refusal of its carrier.
const ROUNDS: u32 = 5;

pub(super) struct World {
    pub(super) server: IngestServer,
    pub(super) transport: Transport,
    /// What was handed over, counted before the transport saw it.
    handed: Tally,
    /// Losses that envelopes of others tell of: real ones have client reports on board.
    foreign: Losses,
    /// What other processes have sent to the server.
    others: Tally,
    /// The books, and what was handed over, when the server stopped answering.
    mark: Option<(LedgerSnapshot<DataCategory>, Tally)>,
}

impl World {
    pub(super) async fn start() -> Result<Self, CliError> {
        let server = IngestServer::start()
            .await
            .map_err(|error| CliError::failed(format_args!("cannot listen on loopback: {error}")))?;
        let dsn = Dsn::parse(&server.dsn()).map_err(CliError::failed)?;
        let transport = SentryBuilder::new(Some(dsn))
            .client(transport::CLIENT)
            .concurrency(CONCURRENCY)
            .lane_capacity(Lane::Low, Capacity::new(LANE, 8 << 20))
            .backoff(Backoff::new(Duration::from_millis(200), Duration::from_secs(1)))
            .build()
            .map_err(transport::refusal)?;
        Ok(Self {
            server,
            transport,
            handed: Tally::new(),
            foreign: Losses::new(),
            others: Tally::new(),
            mark: None,
        })
    }

    pub(super) fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Hands an envelope over and counts it.
    pub(super) fn send(&mut self, envelope: Envelope) -> Result<Fate, CliError> {
        envelope.tally(&mut |category, quantity| {
            *self.handed.entry(category.clone()).or_default() += quantity;
        });
        envelope.carried_losses(&mut |reason, category, quantity| {
            *self.foreign.entry((reason, category.clone())).or_default() += quantity;
        });
        self.transport.send(envelope).map_err(CliError::failed)
    }

    /// Takes what the server has received since `before` for that of another process.
    pub(super) fn since_is_of_others(&mut self, before: &Tally) {
        for (category, quantity) in self.server.received_tally() {
            let earlier = before.get(&category).copied().unwrap_or_default();
            *self.others.entry(category).or_default() += quantity.saturating_sub(earlier);
        }
    }

    /// What the server has received of the transport.
    fn received(&self) -> Tally {
        let mut received = self.server.received_tally();
        for (category, quantity) in &mut received {
            let others = self.others.get(category).copied().unwrap_or_default();
            *quantity = quantity.saturating_sub(others);
        }
        received
    }

    /// Waits until everything has its outcome and the server has been told of all losses.
    pub(super) async fn settle(&self) -> Result<(), CliError> {
        for _ in 0..ROUNDS {
            if !self.transport.flush(PATIENCE).await.is_complete() {
                return Err(CliError::failed("the demo is stuck: not everything was sent in 10 s"));
            }
            if self.transport.stats().is_none_or(|stats| !stats.has_pending_reports) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the transport is like this, but not for ever.
    pub(super) async fn wait_until(&self, enough: impl Fn(&TransportStats) -> bool) {
        let is_so = || self.transport.stats().is_none_or(|stats| enough(&stats));
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(TICK).await;
            }
        };
        // The story tells what is, whatever that is.
        let _ = tokio::time::timeout(Duration::from_secs(2), waiting).await;
    }

    /// From here on the server answers no more, so it hears of nothing that is lost.
    pub(super) fn server_falls_silent(&mut self) {
        self.mark = Some((self.transport.ledger(), self.handed.clone()));
    }

    pub(super) fn delivered(&self, category: &DataCategory) -> u64 {
        self.transport.ledger().get(category).map_or(0, |account| account.delivered)
    }

    pub(super) fn lost(&self, category: &DataCategory) -> u64 {
        self.transport.ledger().get(category).map_or(0, envoi::core::Account::lost_total)
    }

    /// What the server was told of losses of this transport.
    pub(super) fn told(&self, reason: &DiscardReason, category: &DataCategory) -> u64 {
        let key = (reason.clone(), category.clone());
        let count = |losses: &Losses| losses.get(&key).copied().unwrap_or_default();
        count(&self.server.reported_losses()).saturating_sub(count(&self.foreign))
    }

    /// Both sides at this moment.
    pub(super) fn books(&self) -> Books {
        let ledger = self.transport.ledger();
        let (at_silence, handed_before) =
            self.mark.clone().unwrap_or_else(|| (ledger.clone(), self.handed.clone()));
        Books {
            ledger,
            at_silence,
            handed: self.handed.clone(),
            handed_before_silence: handed_before,
            received: self.received(),
            refused: self.server.refused_tally(),
            reported: self.server.reported_losses(),
            foreign: self.foreign.clone(),
        }
    }

    pub(super) async fn end(self) {
        self.server.shutdown().await;
    }
}
