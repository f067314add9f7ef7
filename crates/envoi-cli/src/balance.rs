//! The balance of a run: every envelope in exactly one row, and columns that add up.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde_json::{Map, Value, json};

use crate::outcome::{Class, HELD, Outcome};
use crate::output::DIM;
use crate::table::{Align, Cell, Table};

/// How many reasons are told apart per class. A server that says something new each time fills no memory.
const MOST_REASONS: usize = 20;

/// What one row counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) envelopes: u64,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.envelopes += other.envelopes;
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

impl Count {
    fn json(self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("envelopes".to_owned(), self.envelopes.into());
        map.insert("items".to_owned(), self.items.into());
        map.insert("bytes".to_owned(), self.bytes.into());
        map
    }
}

/// Counts outcomes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Balance {
    rows: BTreeMap<Class, BTreeMap<String, Count>>,
}

impl Balance {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let count = Count { envelopes: 1, items: outcome.items, bytes: outcome.bytes };
        self.enter(outcome.class(), outcome.reason(), count);
        if outcome.held > 0 {
            let held = Count { envelopes: 0, items: outcome.held, bytes: 0 };
            self.enter(Class::Limited, HELD.to_owned(), held);
        }
    }

    /// Counts envelopes of which nothing is known but that they were not sent.
    pub(crate) fn add_unsent(&mut self, envelopes: u64) {
        if envelopes > 0 {
            let count = Count { envelopes, ..Count::default() };
            self.enter(Class::Unsent, "stopped before their turn".to_owned(), count);
        }
    }

    fn enter(&mut self, class: Class, reason: String, count: Count) {
        let reasons = self.rows.entry(class).or_default();
        let reason = if reasons.len() < MOST_REASONS || reasons.contains_key(&reason) {
            reason
        } else {
            "other reasons".to_owned()
        };
        *reasons.entry(reason).or_default() += count;
    }

    pub(crate) fn of(&self, class: Class) -> Count {
        let mut sum = Count::default();
        for count in self.rows.get(&class).into_iter().flat_map(BTreeMap::values) {
            sum += *count;
        }
        sum
    }

    pub(crate) fn total(&self) -> Count {
        let mut sum = Count::default();
        for class in Class::ALL {
            sum += self.of(class);
        }
        sum
    }

    /// Whether every item of every envelope was delivered.
    pub(crate) fn all_delivered(&self) -> bool {
        self.of(Class::Delivered) == self.total()
    }

    /// The balance for people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new(&[
            ("outcome", Align::Left),
            ("envelopes", Align::Right),
            ("items", Align::Right),
            ("bytes", Align::Right),
            ("why", Align::Left),
        ]);
        let row = |name: Cell, count: Count, why: Cell| {
            [name, count.envelopes.into(), count.items.into(), count.bytes.into(), why]
        };
        for (class, reasons) in &self.rows {
            for (reason, count) in reasons {
                let name = Cell::new(class.as_str()).style(class.style());
                table.row(row(name, *count, Cell::new(reason).style(DIM)));
            }
        }
        table.sum(row("total".into(), self.total(), "".into()));
        table.render()
    }

    /// The balance for machines.
    pub(crate) fn json(&self) -> Value {
        let mut value = Map::new();
        value.insert("type".to_owned(), "summary".into());
        value.extend(self.total().json());
        for class in Class::ALL {
            let mut part = self.of(class).json();
            let reasons = self.rows.get(&class).into_iter().flatten();
            let reasons: Vec<Value> = reasons
                .map(|(reason, count)| {
                    let mut entry = count.json();
                    entry.insert("why".to_owned(), json!(reason));
                    Value::Object(entry)
                })
                .collect();
            part.insert("reasons".to_owned(), reasons.into());
            value.insert(class.as_str().to_owned(), part.into());
        }
        value.insert("all_delivered".to_owned(), self.all_delivered().into());
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    fn outcome(items: u64, held: u64, verdict: Verdict) -> Outcome {
        Outcome { items, held, ..Outcome::without_envelope("file".to_owned(), 10, verdict) }
    }

    #[test]
    fn every_envelope_is_in_one_row_and_the_columns_add_up() {
        let mut balance = Balance::default();
        balance.add(&outcome(2, 0, Verdict::Delivered { status: Some(http::StatusCode::OK), id: None }));
        assert!(balance.all_delivered());
        balance.add(&outcome(1, 3, Verdict::Delivered { status: Some(http::StatusCode::OK), id: None }));
        assert!(!balance.all_delivered(), "items were held back");
        for number in 0..100 {
            balance.add(&outcome(1, 0, Verdict::Unreadable(format!("reason {number}"))));
        }
        balance.add_unsent(4);
        assert_eq!(balance.total(), Count { envelopes: 106, items: 106, bytes: 1020 });
        assert_eq!(balance.of(Class::Unreadable).envelopes, 100);
        assert!(balance.table().lines().count() < 30, "reasons are bounded");
        assert_eq!(balance.json()["limited"]["items"], 3);
    }
}
