//! The end: nothing more is taken, what is queued is delivered or stays on disk, and the balance is told.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinHandle;

use super::destinations::{Ended, add};
use super::journal::Journal;
use super::state::{Counters, Relay};
use super::status::{AccountView, accounts};
use crate::error::Exit;
use crate::interrupt::Interrupt;
use crate::output::{BAD, GOOD, Output, paint};
use crate::table::{Align, Table};
use crate::text;

/// Stops a relay that takes nothing more.
pub(super) async fn stop(
    relay: &Arc<Relay>,
    serving: JoinHandle<()>,
    interrupt: &mut Interrupt,
    journal: &Journal,
    output: &mut Output,
) -> Exit {
    let deadline = tokio::time::Instant::now() + super::stop_time(relay);
    let cut = serving.abort_handle();
    tokio::select! {
        // Its end is the end of all connections; that it panicked would be told by the panic itself.
        _ = serving => {}
        () = interrupt.reached(2) => cut.abort(),
    }
    let open = relay.destinations.all();
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let closing = relay.destinations.close(left);
    let mut closing = std::pin::pin!(closing);
    let ended = tokio::select! {
        ended = closing.as_mut() => ended,
        () = interrupt.reached(2) => {
            relay.destinations.hurry(&open).await;
            closing.await
        }
    };
    tell(relay, &ended, journal, output)
}

fn tell(relay: &Relay, ended: &[Ended], journal: &Journal, output: &mut Output) -> Exit {
    let (mut totals, mut discharged, _) = relay.destinations.closings();
    let (mut lost, mut kept) = (0, 0);
    for end in ended {
        add(&mut totals, &end.ledger);
        discharged += end.closed.discharged;
        lost += end.closed.lost + end.closed.in_flight as u64;
        kept += end.kept.unwrap_or(0) as u64;
    }
    let accounts = accounts(&totals);
    let balances = accounts.iter().all(|account| account.held.is_some());
    let accepted = Counters::get(&relay.counters.accepted);
    if journal.is_json() {
        let destinations: Vec<_> = ended
            .iter()
            .map(|end| {
                json!({
                    "destination": end.label,
                    "discharged": end.closed.discharged,
                    "lost_at_stop": end.closed.lost,
                    "kept": end.kept,
                })
            })
            .collect();
        output.json(&json!({
            "type": "summary",
            "accepted": accepted,
            "forwarded": discharged,
            "kept": kept,
            "lost_at_stop": lost,
            "balances": balances,
            "destinations": destinations,
            "ledger": accounts,
        }));
    } else {
        if !accounts.is_empty() {
            output.line(table(&accounts).render());
        }
        let mut line = format!(
            "{} accepted, {} forwarded",
            text::count(accepted, "envelope"),
            text::grouped(discharged)
        );
        if kept > 0 {
            line.push_str(&format!(", {} kept in the spool", text::grouped(kept)));
        }
        if lost > 0 {
            line.push_str(&paint(BAD, format_args!(", {} lost at the end", text::grouped(lost))));
        }
        let verdict =
            if balances { paint(GOOD, "the books balance") } else { paint(BAD, "the books do not balance") };
        output.line(format_args!("{line}; {verdict}"));
    }
    Exit::when(lost == 0 && balances)
}

fn table(accounts: &[AccountView]) -> Table {
    let mut table = Table::new(&[
        ("category", Align::Left),
        ("posted", Align::Right),
        ("delivered", Align::Right),
        ("refused", Align::Right),
        ("lost", Align::Right),
        ("held", Align::Right),
    ]);
    for account in accounts {
        table.row([
            account.category.as_str().into(),
            account.posted.into(),
            account.delivered.into(),
            account.refused_total().into(),
            account.lost_total().into(),
            account.held.unwrap_or_default().into(),
        ]);
    }
    table
}
