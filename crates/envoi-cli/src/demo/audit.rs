//! The books of the transport next to those of the server.
//!
//! Per category, `posted = delivered + refused + lost + held` is what the transport says. It is right if the server says
//! the same of its part: it took what was delivered, it refused what was refused, and client reports told it of every
//! loss, but for those after it fell silent.

use std::collections::{BTreeMap, BTreeSet};

use envoi::core::{Account, LedgerSnapshot};
use envoi::{DataCategory, DiscardReason};
use http::StatusCode;

use crate::output::{BAD, DIM};
use crate::table::{Align, Cell, Table};
use crate::text;

pub(super) type Tally = BTreeMap<DataCategory, u64>;
pub(super) type Losses = BTreeMap<(DiscardReason, DataCategory), u64>;

/// What is compared.
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// The transport, at the end.
    pub(super) ledger: LedgerSnapshot<DataCategory>,
    /// The transport, when the server fell silent.
    pub(super) at_silence: LedgerSnapshot<DataCategory>,
    /// What was handed to the transport, in all and before the silence.
    pub(super) handed: Tally,
    pub(super) handed_before_silence: Tally,
    /// What the server accepted, and what it refused.
    pub(super) received: Tally,
    pub(super) refused: BTreeMap<StatusCode, Tally>,
    /// The losses that the server was told of, and those among them that are of others.
    pub(super) reported: Losses,
    pub(super) foreign: Losses,
}

/// One category, as the server and the story know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Theirs {
    handed: u64,
    received: u64,
    refused: BTreeMap<u16, u64>,
    /// By reason, without those of others.
    reported: BTreeMap<DiscardReason, u64>,
    /// Handed over after the server fell silent, so lost without its knowledge.
    untold: u64,
}

impl Books {
    fn theirs(&self, category: &DataCategory) -> Theirs {
        let count = |tally: &Tally| tally.get(category).copied().unwrap_or_default();
        let mut theirs = Theirs {
            handed: count(&self.handed),
            received: count(&self.received),
            untold: count(&self.handed).saturating_sub(count(&self.handed_before_silence)),
            ..Theirs::default()
        };
        for (status, tally) in &self.refused {
            theirs.refused.insert(status.as_u16(), count(tally));
        }
        theirs.refused.retain(|_, quantity| *quantity > 0);
        for (key, quantity) in self.reported.iter().filter(|((_, of), _)| of == category) {
            let foreign = self.foreign.get(key).copied().unwrap_or_default();
            theirs.reported.insert(key.0.clone(), quantity.saturating_sub(foreign));
        }
        theirs.reported.retain(|_, quantity| *quantity > 0);
        theirs
    }

    fn categories(&self) -> BTreeSet<&DataCategory> {
        let refused = self.refused.values().flat_map(BTreeMap::keys);
        let reported = self.reported.keys().filter(|key| self.reported.get(*key) > self.foreign.get(*key));
        let known = self.ledger.iter().map(|(category, _)| category);
        let theirs = self.handed.keys().chain(self.received.keys()).chain(refused);
        known.chain(theirs).chain(reported.map(|(_, category)| category)).collect()
    }
}

/// What a client reports of an account: its losses, and refusals other than 429 (CR-3).
fn reportable(account: &Account) -> BTreeMap<DiscardReason, u64> {
    let mut losses = account.lost.clone();
    for (status, quantity) in &account.refused {
        if *status != StatusCode::TOO_MANY_REQUESTS.as_u16() {
            *losses.entry(DiscardReason::SendError).or_default() += quantity;
        }
    }
    losses
}

/// Whether both sides say the same of one category.
fn agree(account: &Account, at_silence: &Account, theirs: &Theirs) -> bool {
    account.held() == Some(0)
        && account.posted == theirs.handed
        && account.delivered == theirs.received
        && account.refused == theirs.refused
        && reportable(at_silence) == theirs.reported
        && account.lost_total().checked_sub(at_silence.lost_total()) == Some(theirs.untold)
}

/// The comparison.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) table: Table,
    pub(super) is_right: bool,
}

impl Audit {
    pub(super) fn of(books: &Books) -> Self {
        let accounts: Vec<&Account> = books.ledger.iter().map(|(_, account)| account).collect();
        let reasons: BTreeSet<&DiscardReason> =
            accounts.iter().flat_map(|account| account.lost.keys()).collect();
        let mut columns = vec!["category", "posted", "delivered", "refused"];
        columns.extend(reasons.iter().map(|reason| head(reason)));
        columns.extend(["held", "the server"]);
        let last = columns.len() - 1;
        let aligned = |(position, name)| {
            let is_text = position == 0 || position == last;
            (name, if is_text { Align::Left } else { Align::Right })
        };
        let columns: Vec<(&str, Align)> = columns.into_iter().enumerate().map(aligned).collect();
        let mut table = Table::new(&columns);

        let mut is_right = true;
        for category in books.categories() {
            let account = books.ledger.get(category).cloned().unwrap_or_default();
            let at_silence = books.at_silence.get(category).cloned().unwrap_or_default();
            let theirs = books.theirs(category);
            let agrees = agree(&account, &at_silence, &theirs);
            is_right &= agrees;
            let mut row: Vec<Cell> =
                vec![category.as_str().into(), account.posted.into(), account.delivered.into()];
            row.push(account.refused_total().into());
            row.extend(
                reasons.iter().map(|reason| account.lost.get(*reason).copied().unwrap_or_default().into()),
            );
            row.push(account.held().map_or_else(|| "?".into(), Cell::number));
            row.push(Cell::new(theirs.tell(agrees)).style(if agrees { DIM } else { BAD }));
            table.row(row);
        }
        Self { table, is_right }
    }
}

impl Theirs {
    fn tell(&self, agrees: bool) -> String {
        let untold = text::grouped(self.untold);
        match (agrees, self.untold) {
            (true, 0) => "the same".to_owned(),
            (true, _) => format!("the same, but for {untold} untold"),
            (false, _) => format!(
                "otherwise: {} handed over, {} taken, {} refused, {} reported, {untold} untold",
                text::grouped(self.handed),
                text::grouped(self.received),
                text::grouped(self.refused.values().sum()),
                text::grouped(self.reported.values().sum()),
            ),
        }
    }
}

/// The head of the column of a reason: short, so that the table fits into a terminal.
fn head(reason: &DiscardReason) -> &str {
    match reason {
        DiscardReason::QueueOverflow => "overflow",
        DiscardReason::RatelimitBackoff => "limited",
        DiscardReason::NetworkError => "network",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use envoi::core::{Ledger, LossSink};

    use super::*;

    /// 20 handed over: 10 taken, 2 refused with 429, 1 with 400, 4 held back and told of, 3 lost in the silence.
    fn books() -> Books {
        let ledger = Ledger::new();
        let error = DataCategory::Error;
        ledger.posted(&error, 17);
        ledger.delivered(&error, 10);
        ledger.refused(StatusCode::TOO_MANY_REQUESTS, &error, 2);
        ledger.refused(StatusCode::BAD_REQUEST, &error, 1);
        ledger.lost(DiscardReason::RatelimitBackoff, &error, 4);
        let at_silence = ledger.snapshot();
        ledger.posted(&error, 3);
        ledger.lost(DiscardReason::NetworkError, &error, 3);
        let tally = |quantity| Tally::from([(DataCategory::Error, quantity)]);
        Books {
            ledger: ledger.snapshot(),
            at_silence,
            handed: tally(20),
            handed_before_silence: tally(17),
            received: tally(10),
            refused: [(StatusCode::TOO_MANY_REQUESTS, tally(2)), (StatusCode::BAD_REQUEST, tally(1))].into(),
            reported: [
                ((DiscardReason::RatelimitBackoff, DataCategory::Error), 5),
                ((DiscardReason::SendError, DataCategory::Error), 1),
                ((DiscardReason::SampleRate, DataCategory::Transaction), 9),
            ]
            .into(),
            foreign: [
                ((DiscardReason::RatelimitBackoff, DataCategory::Error), 1),
                ((DiscardReason::SampleRate, DataCategory::Transaction), 9),
            ]
            .into(),
        }
    }

    /// CR-1, CR-3: the books are right when both sides say the same, and a row tells it.
    #[test]
    fn both_sides_are_held_against_each_other() {
        let audit = Audit::of(&books());
        assert!(audit.is_right);
        let table = anstream::adapter::strip_str(&audit.table.render()).to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2, "what only others lost is no row: {table}");
        assert!(lines[1].ends_with("the same, but for 3 untold"), "{table}");
    }

    /// CR-1: whatever is off by one, on either side, is seen.
    #[test]
    fn every_difference_is_seen() {
        let error = || DataCategory::Error;
        let key = || (DiscardReason::RatelimitBackoff, error());
        let changes: [&dyn Fn(&mut Books); 8] = [
            &|books| *books.handed.entry(error()).or_default() += 1,
            &|books| *books.handed_before_silence.entry(error()).or_default() += 1,
            &|books| *books.received.entry(error()).or_default() -= 1,
            &|books| {
                let refused = books.refused.entry(StatusCode::TOO_MANY_REQUESTS).or_default();
                *refused.entry(error()).or_default() += 1;
            },
            &|books| *books.reported.entry(key()).or_default() -= 1,
            &|books| *books.foreign.entry(key()).or_default() += 1,
            &|books| *books.received.entry(DataCategory::Session).or_default() += 1,
            &|books| books.ledger = books.at_silence.clone(),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut books = books();
            change(&mut books);
            let audit = Audit::of(&books);
            assert!(!audit.is_right, "change {number}");
            assert!(audit.table.render().contains("otherwise"), "change {number}");
        }
    }
}
