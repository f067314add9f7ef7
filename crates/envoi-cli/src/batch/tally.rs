//! What became of the events, and how that is shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use envoi::batch::DeliveryError;
use serde_json::{Map, Value, json};

use crate::error;
use crate::outcome::Class;
use crate::output::{DIM, paint};
use crate::table::{Align, Cell, Table};
use crate::text;

/// So many reasons have a row of their own.
const MOST_REASONS: usize = 20;
/// The most letters of foreign words in one line.
const MOST_WORDS: usize = 200;

/// A loss as the handler of the transport was told of it.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    pub(super) class: Class,
    pub(super) events: u64,
    reason: String,
    more: Value,
}

impl Loss {
    fn new(lost: &DeliveryError) -> Self {
        let status = lost.status();
        let (class, reason) = match (lost, lost.fault()) {
            (DeliveryError::Overflow { .. }, _) | (_, None) => {
                (Class::Unsent, "stopped before their turn".to_owned())
            }
            (DeliveryError::RateLimited { .. }, Some(fault)) => (Class::Limited, error::chain(fault)),
            (_, Some(fault)) if status.is_some() => (Class::Refused, error::chain(fault)),
            (_, Some(fault)) => (Class::Failed, error::chain(fault)),
        };
        let words = lost.explanation().cloned().unwrap_or_default();
        let more = json!({
            "status": status.map(|status| status.as_u16()),
            "server_error": words.error,
            "detail": words.detail,
            "causes": words.causes,
        });
        let reason = text::shorten(&reason, MOST_WORDS).into_owned();
        Self { class, events: lost.items(), reason, more }
    }

    pub(super) fn line(&self) -> String {
        let events = text::count(self.events, "event");
        let class = paint(self.class.style(), self.class.as_str());
        format!("{events} {class}: {}", text::clean(&self.reason))
    }

    pub(super) fn json(&self) -> Value {
        let mut value = json!({
            "type": "batch",
            "events": self.events,
            "outcome": self.class.as_str(),
            "message": self.reason,
        });
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), self.more.clone()) {
            value.extend(more);
        }
        value
    }
}

/// Losses on their way from the transport to the command.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Arc<Mutex<Vec<Loss>>>);

impl Losses {
    pub(super) fn note(&self, lost: &DeliveryError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Loss::new(lost));
    }

    pub(super) fn take(&self) -> Vec<Loss> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Events by outcome and reason.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<Class, BTreeMap<String, u64>>,
}

impl Tally {
    pub(super) fn add(&mut self, class: Class, reason: &str, events: u64) {
        if events == 0 {
            return;
        }
        let reasons = self.rows.entry(class).or_default();
        let has_room = reasons.len() < MOST_REASONS || reasons.contains_key(reason);
        let reason = if has_room { reason } else { "other reasons" };
        *reasons.entry(reason.to_owned()).or_default() += events;
    }

    pub(super) fn add_loss(&mut self, loss: &Loss) {
        self.add(loss.class, &loss.reason, loss.events);
    }

    fn of(&self, class: Class) -> u64 {
        self.rows.get(&class).into_iter().flat_map(BTreeMap::values).sum()
    }

    fn total(&self) -> u64 {
        Class::ALL.into_iter().map(|class| self.of(class)).sum()
    }

    /// The events that the transport had: all but those that never were any.
    pub(super) fn taken(&self) -> u64 {
        self.total() - self.of(Class::Malformed) - self.of(Class::Unreadable)
    }

    pub(super) fn all_delivered(&self) -> bool {
        self.of(Class::Delivered) == self.total()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let columns = [("outcome", Align::Left), ("events", Align::Right), ("why", Align::Left)];
        let mut table = Table::new(&columns);
        for (class, reasons) in &self.rows {
            for (reason, events) in reasons {
                let name = Cell::new(class.as_str()).style(class.style());
                table.row([name, Cell::number(*events), Cell::new(reason).style(DIM)]);
            }
        }
        table.sum(["total".into(), Cell::number(self.total()), "".into()]);
        table.render()
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let mut value = Map::new();
        value.insert("type".to_owned(), "summary".into());
        value.insert("events".to_owned(), self.total().into());
        for class in Class::ALL {
            let reasons: Vec<_> = self.rows.get(&class).into_iter().flatten().collect();
            let reasons: Vec<_> =
                reasons.into_iter().map(|(why, events)| json!({ "why": why, "events": events })).collect();
            let part = json!({ "events": self.of(class), "reasons": reasons });
            value.insert(class.as_str().to_owned(), part);
        }
        value.insert("all_delivered".to_owned(), self.all_delivered().into());
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use envoi::core::{Fault, Kind, Reply};
    use http::StatusCode;

    use super::*;

    #[test]
    fn every_event_is_in_one_row_and_reasons_are_bounded() {
        let mut tally = Tally::default();
        tally.add(Class::Delivered, "", 7);
        assert!(tally.all_delivered());
        for number in 0..100 {
            tally.add(Class::Malformed, &format!("reason {number}"), 2);
        }
        tally.add(Class::Unsent, "stopped", 0);
        assert!(!tally.all_delivered());
        assert_eq!((tally.json()["events"].as_u64(), tally.total()), (Some(207), 207));
        assert_eq!(tally.json()["malformed"]["events"], 200);
        assert!(tally.table().lines().count() < 30);
    }

    #[test]
    fn losses_are_classed_as_send_does() {
        let class = |fault| Loss::new(&DeliveryError::new(fault, 3)).class;
        let replied = |kind, status| Fault::new(kind).with_reply(Reply::new(status));
        assert_eq!(class(replied(Kind::Rejected, StatusCode::BAD_REQUEST)), Class::Refused);
        assert_eq!(class(replied(Kind::RateLimited, StatusCode::TOO_MANY_REQUESTS)), Class::Limited);
        assert_eq!(class(Fault::new(Kind::Connect)), Class::Failed);
        assert_eq!(class(Fault::new(Kind::CircuitOpen)), Class::Failed);
        assert_eq!(Loss::new(&DeliveryError::Overflow { items: 3 }).class, Class::Unsent);
    }
}
