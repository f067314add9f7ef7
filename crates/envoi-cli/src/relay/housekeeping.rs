//! What is done from time to time: samples for the plot, destinations that nobody uses are closed, those of an earlier
//! run opened, and what changed for the worse or the better is said once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::destinations::{Destination, Resumed};
use super::journal::Journal;
use super::state::{Counters, Relay};
use super::status::{EVERY, forwarded};
use crate::output::Output;

/// After so many rounds it looks again for what could not be resumed.
const LOOK: u32 = 15;

pub(super) struct Housekeeping {
    relay: Arc<Relay>,
    clock: Interval,
    rounds: u32,
    /// Whether something of an earlier run is not resumed yet.
    left_over: bool,
    /// What was last said of each destination: `None` if all is well.
    said: BTreeMap<String, Option<String>>,
}

/// What is wrong with a destination, if anything.
fn trouble(destination: &Destination) -> Option<String> {
    let stats = destination.transport.stats()?;
    if stats.outbox.waiting() == 0 {
        return None;
    }
    Some(stats.outbox.last_failure.map_or_else(|| "no delivery".to_owned(), |failure| failure.message))
}

impl Housekeeping {
    /// Opens what an earlier run has left, and says so.
    pub(super) async fn begin(relay: Arc<Relay>, journal: &Journal, output: &mut Output) -> Self {
        let resumed = relay.destinations.resume(&relay.settings()).await;
        tell(&resumed, true, journal, output);
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { relay, clock, rounds: 0, left_over: resumed.is_partial(), said: BTreeMap::new() }
    }

    /// Waits until a round is due. Cancel safe.
    pub(super) async fn due(&mut self) {
        self.clock.tick().await;
    }

    /// One round. Not to be cut short: it may be closing something.
    pub(super) async fn round(&mut self, journal: &Journal, output: &mut Output) {
        let relay = Arc::clone(&self.relay);
        relay.history().sample(Counters::get(&relay.counters.accepted), forwarded(&relay));
        self.tell_troubles(journal, output);
        let settings = relay.settings();
        for label in relay.destinations.sweep(&settings).await {
            journal.destination("closed", &label, Some("nothing came for it"), output);
        }
        self.rounds = self.rounds.wrapping_add(1);
        if self.left_over && self.rounds.is_multiple_of(LOOK) {
            let resumed = relay.destinations.resume(&settings).await;
            self.left_over = resumed.is_partial();
            tell(&resumed, false, journal, output);
        }
    }

    fn tell_troubles(&mut self, journal: &Journal, output: &mut Output) {
        let all = self.relay.destinations.all();
        self.said.retain(|name, _| all.iter().any(|destination| destination.name == *name));
        for destination in all {
            let now = trouble(&destination);
            let before = self.said.get(&destination.name).cloned().flatten();
            match (&before, &now) {
                (None, Some(why)) => {
                    journal.destination("unreachable", &destination.label, Some(why), output);
                }
                (Some(_), None) => journal.destination("reachable", &destination.label, None, output),
                _ => {}
            }
            self.said.insert(destination.name.clone(), now);
        }
    }
}

/// Says what came of the directories of an earlier run; what cannot be helped is said at the start only.
fn tell(resumed: &Resumed, is_start: bool, journal: &Journal, output: &mut Output) {
    for label in &resumed.opened {
        journal.destination("resumed", label, Some("an earlier run has left envelopes"), output);
    }
    if !is_start {
        return;
    }
    for failed in &resumed.failed {
        journal.warn(format_args!("cannot go on with what an earlier run has left: {failed}"), output);
    }
    for label in &resumed.forbidden {
        journal.warn(
            format_args!(
                "the spool has envelopes for {label}, which --upstream-host does not allow: they stay there"
            ),
            output,
        );
    }
    if resumed.waiting > 0 {
        journal.warn(
            format_args!(
                "the spool has {} destinations more than limits.destinations allows at once: they follow",
                resumed.waiting
            ),
            output,
        );
    }
    for path in &resumed.unreadable {
        journal.warn(
            format_args!("{} does not name a DSN: what is beside it stays there", path.display()),
            output,
        );
    }
}
