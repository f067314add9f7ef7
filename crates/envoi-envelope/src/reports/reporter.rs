use envoi_core::{Itemized, LossSink, Reporter};

use super::{ClientReports, parse_discarded};
use crate::{Envelope, Item, ItemType};

/// Reports ride at the end of an envelope, as items that are marked as riders: never stored (decision 14), and taken
/// out again without touching a report that was there before.
impl Reporter<Envelope> for ClientReports {
    fn is_pending(&self) -> bool {
        self.has_pending()
    }

    /// An envelope of which nothing is left carries none: no request is made for it (decision 11).
    fn attach(&self, envelope: &mut Envelope) -> bool {
        self.has_pending() && !envelope.is_spent() && self.load(envelope, Item::into_rider)
    }

    fn detach(&self, envelope: &mut Envelope, restore: bool) {
        let is_ours = |item: &Item| item.is_rider() && *item.item_type() == ItemType::ClientReport;
        for rider in envelope.items().iter().filter(|item| restore && is_ours(item)) {
            parse_discarded(rider.payload(), |reason, category, count| self.restore(reason, category, count));
        }
        if envelope.items().iter().any(is_ours) {
            envelope.retain(|item| !is_ours(item));
        }
    }

    /// An envelope of reports only. They are its goods, not riders: what destroys it puts them back.
    fn standalone(&self) -> Option<Envelope> {
        let mut envelope = Envelope::new();
        self.load(&mut envelope, |item| item).then_some(envelope)
    }
}

impl ClientReports {
    /// Moves all counts into items at the end of `envelope`. Says whether there are any.
    fn load(&self, envelope: &mut Envelope, mark: impl Fn(Item) -> Item) -> bool {
        let mut loaded = false;
        for report in self.take() {
            match envelope.push(mark(Item::client_report(report.to_json()))) {
                Ok(()) => loaded = true,
                // The envelope is full; the counts go with another.
                Err(_) => self.put_back(&report),
            }
        }
        loaded
    }
}
