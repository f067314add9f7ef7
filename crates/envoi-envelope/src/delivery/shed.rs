use crate::quantity::{held_by, is_crash_report, is_event};
use crate::{DataCategory, Item, ItemType};

type Limited<'a> = &'a mut dyn FnMut(&DataCategory) -> bool;

/// What goes because of another item (decision 8).
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    events_go: bool,
    transactions_go: bool,
}

impl Plan {
    pub(super) fn new(items: &[Item], limited: Limited<'_>) -> Self {
        let has_event = items.iter().any(|item| is_event(item) || is_crash_report(item));
        let has_transaction = items.iter().any(|item| *item.item_type() == ItemType::Transaction);
        Self {
            events_go: has_event && limited(&DataCategory::Error),
            transactions_go: has_transaction && limited(&DataCategory::Transaction),
        }
    }

    /// Whether `item` goes, of its own accord or along with another.
    pub(super) fn takes(self, item: &Item, limited: Limited<'_>) -> bool {
        let goes_along = match item.item_type() {
            // A crash report is the event, or belongs to one: no attachment limit holds it.
            ItemType::Attachment if is_crash_report(item) => return self.events_go,
            ItemType::Attachment => self.events_go || self.transactions_go,
            ItemType::Profile => self.transactions_go,
            _ => false,
        };
        goes_along || held_by(item).iter().any(limited)
    }
}

/// One group per item that is not a report: the categories any of which takes it, as [`Plan::takes`] decides.
pub(super) fn holders(items: &[Item], visit: &mut dyn FnMut(&[DataCategory])) {
    let has_event = items.iter().any(|item| is_event(item) || is_crash_report(item));
    let has_transaction = items.iter().any(|item| *item.item_type() == ItemType::Transaction);
    let event = has_event.then_some(DataCategory::Error);
    let transaction = has_transaction.then_some(DataCategory::Transaction);
    for item in items.iter().filter(|item| *item.item_type() != ItemType::ClientReport) {
        let (with_event, with_transaction, own) = match item.item_type() {
            ItemType::Attachment if is_crash_report(item) => (&event, &None, &[][..]),
            ItemType::Attachment => (&event, &transaction, held_by(item)),
            ItemType::Profile => (&None, &transaction, held_by(item)),
            _ => (&None, &None, held_by(item)),
        };
        let group: Vec<_> = with_event.iter().chain(with_transaction).chain(own).cloned().collect();
        visit(&group);
    }
}
