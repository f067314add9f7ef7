//! What the application holds: the handle of the preset, or an outbox and what belongs to it.

use std::collections::BTreeMap;
use std::time::Duration;

use envoi::batch::BatchTransport;
use envoi_batch::{Batch, Category, Event};
use envoi_core::{Account, DiscardReason, Fault, Kind, Ledger, LedgerSnapshot};
use envoi_layers::latch::LatchLayer;
use envoi_layers::outbox::Outbox;

use crate::world::World;

#[derive(Clone)]
pub(crate) enum Front {
    Preset(BatchTransport),
    Parts { outbox: Outbox<Batch>, ledger: Ledger<Category>, latch: LatchLayer },
}

/// The sums of one run of the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) delivered: u64,
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) lost: BTreeMap<DiscardReason, u64>,
}

impl Sums {
    pub(crate) fn add(&mut self, account: &Account) {
        self.delivered += account.delivered;
        for (status, quantity) in &account.refused {
            *self.refused.entry(*status).or_default() += quantity;
        }
        for (reason, quantity) in &account.lost {
            *self.lost.entry(reason.clone()).or_default() += quantity;
        }
    }

    pub(crate) fn overflow(&self) -> u64 {
        let of = |reason| self.lost.get(&reason).copied().unwrap_or(0);
        of(DiscardReason::QueueOverflow) + of(DiscardReason::CacheOverflow)
    }

    pub(crate) fn gone(&self) -> u64 {
        self.lost.values().sum::<u64>() + self.refused.values().sum::<u64>()
    }
}

impl Front {
    /// Hands over so many events, one by one or in batches.
    pub(crate) fn log(&self, world: &World, count: usize) {
        let number = |count: usize| {
            let mut state = world.state();
            let first = state.next;
            state.next += count as u64;
            state.posted += count as u64;
            first
        };
        let event = |id: u64| Event::new(&id).unwrap();
        let mut left = count;
        while left > 0 {
            let size = if matches!(self, Self::Preset(_)) { 1 } else { left.min(world.setup.batch_events) };
            left -= size;
            let first = number(size);
            let answer = match self {
                Self::Preset(transport) => transport.send(event(first)),
                Self::Parts { outbox, .. } => {
                    let batch: Batch = (first..first + size as u64).map(event).collect();
                    outbox.post(batch).map(drop)
                }
            };
            if let Err(fault) = answer {
                self.turned_away(world, &fault, size as u64);
            }
        }
    }

    fn turned_away(&self, world: &World, fault: &Fault, size: u64) {
        world.note(|| format!("   {size} turned away: {fault}"));
        let mut state = world.state();
        match fault.kind() {
            Kind::Closed | Kind::QueueFull => state.closed_door += size,
            _ => state.shut_door += size,
        }
    }

    /// Whether it came to its end.
    pub(crate) async fn flush(&self, within: Duration) -> bool {
        match self {
            Self::Preset(transport) => transport.flush(within).await.is_complete,
            Self::Parts { outbox, .. } => outbox.flush(within).await.is_complete(),
        }
    }

    pub(crate) async fn shutdown(&self, within: Duration) {
        match self {
            Self::Preset(transport) => drop(transport.shutdown(within).await),
            Self::Parts { outbox, .. } => drop(outbox.close(within).await),
        }
    }

    pub(crate) fn snapshot(&self) -> LedgerSnapshot<Category> {
        match self {
            Self::Preset(transport) => transport.ledger(),
            Self::Parts { ledger, .. } => ledger.snapshot(),
        }
    }

    /// The books, if they can be had for themselves.
    pub(crate) fn ledger(&self) -> Option<Ledger<Category>> {
        match self {
            Self::Preset(_) => None,
            Self::Parts { ledger, .. } => Some(ledger.clone()),
        }
    }

    pub(crate) fn account(&self) -> Account {
        self.snapshot().get(&Category::EVENT).cloned().unwrap_or_default()
    }

    pub(crate) fn is_disabled(&self) -> bool {
        match self {
            Self::Preset(transport) => transport.is_disabled(),
            Self::Parts { latch, .. } => latch.is_tripped(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Preset(transport) => transport.stats().is_closed,
            Self::Parts { outbox, .. } => outbox.stats().is_closed,
        }
    }
}
