//! The scenes. Each lets something happen to the transport and tells what is seen, from both sides.

use std::time::Duration;

use bytes::Bytes;
use envoi::core::{Account, LedgerSnapshot};
use envoi::envelope::{EventId, ItemType};
use envoi::{DataCategory, DiscardReason, Envelope, Fate, Item};
use envoi_testkit::corpus;
use envoi_testkit::ingest::Step;
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::narrator::Narrator;
use super::world::{CONCURRENCY, LANE, World};
use crate::error::CliError;
use crate::output::{BAD, GOOD, WARN, paint};
use crate::text;

type Told = Result<(), CliError>;

const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

fn envelope(item: Item) -> Result<Envelope, CliError> {
    Envelope::new().with_event_id(EventId::random()).with_item(item).map_err(CliError::failed)
}

/// An error.
pub(super) fn error(number: u64) -> Result<Envelope, CliError> {
    let event = format!(r#"{{"level":"error","message":"order {number} could not be paid"}}"#);
    envelope(Item::event(event))
}

fn transaction(number: u64) -> Result<Envelope, CliError> {
    let event = format!(
        r#"{{"type":"transaction","transaction":"GET /orders/{number}","spans":[{{"op":"db"}},{{"op":"cache"}}]}}"#
    );
    envelope(Item::transaction(event))
}

/// A container of logs.
fn logs(count: u64) -> Result<Envelope, CliError> {
    let lines: Vec<String> =
        (0..count).map(|line| format!(r#"{{"level":"info","body":"cache miss {line}"}}"#)).collect();
    let payload = format!(r#"{{"items":[{}]}}"#, lines.join(","));
    Envelope::new().with_item(Item::logs(count, payload)).map_err(CliError::failed)
}

fn count(number: usize, noun: &str) -> String {
    text::count(number as u64, noun)
}

/// Real envelopes arrive.
pub(super) async fn corpus(world: &mut World, narrator: &mut Narrator<'_>) -> Told {
    narrator.scene("real envelopes of Sentry SDKs").await;
    let samples = corpus::all();
    for sample in samples {
        let envelope = Envelope::parse(Bytes::from_static(sample.bytes))
            .map_err(|error| CliError::failed(format_args!("{}: {error}", sample.name)))?;
        world.send(envelope)?;
    }
    narrator.say(format_args!("{} posted; that never waits", count(samples.len(), "envelope"))).await;
    world.settle().await?;
    let summary = world.server.summary();
    narrator
        .say(format_args!(
            "the server took {}, {} problems found, {} gzipped bytes for {}",
            paint(GOOD, text::count(summary.accepted, "envelope")),
            summary.problems,
            text::grouped(summary.wire_bytes),
            text::grouped(summary.body_bytes),
        ))
        .await;
    Ok(())
}

/// The server is slow, and far too many logs come; errors are behind them and still first.
pub(super) async fn flood(world: &mut World, narrator: &mut Narrator<'_>) -> Told {
    const CONTAINERS: u64 = 60;
    const LOGS: u64 = 100;
    const ERRORS: u64 = 12;

    narrator.scene("a flood of logs, and errors behind it").await;
    world.server.otherwise(Step::judge().after(Duration::from_millis(40)));
    let seen = world.server.requests().len();
    for _ in 0..CONTAINERS {
        world.send(logs(LOGS)?)?;
    }
    for number in 0..ERRORS {
        world.send(error(number)?)?;
    }
    narrator
        .say(format_args!(
            "{} posted in {}, then {}, to a server that takes 40 ms for each",
            text::count(CONTAINERS * LOGS, "log"),
            text::count(CONTAINERS, "envelope"),
            text::count(ERRORS, "error"),
        ))
        .await;
    world.settle().await?;
    world.server.otherwise(Step::judge());

    let requests = world.server.requests();
    let arrived: Vec<bool> = requests
        .iter()
        .skip(seen)
        .filter_map(|request| request.envelope.as_ref()?.items().first())
        .filter(|item| matches!(item.item_type(), ItemType::Event | ItemType::Log))
        .map(|item| *item.item_type() == ItemType::Event)
        .collect();
    let last_error = arrived.iter().rposition(|is_error| *is_error).unwrap_or_default();
    let before = arrived.iter().take(last_error).filter(|is_error| !**is_error).count();
    let all_logs = arrived.iter().filter(|is_error| !**is_error).count();
    narrator
        .say(format_args!(
            "{}: all {ERRORS} had arrived after {before} of the {all_logs} log envelopes that got through",
            paint(GOOD, "the errors overtook"),
        ))
        .await;
    let dropped = world.lost(&DataCategory::LogItem);
    narrator
        .say(format_args!(
            "{} pushed out of their lane (queue_overflow), full at {LANE} envelopes; the server was told of {}",
            paint(WARN, text::count(dropped, "log")),
            text::grouped(world.told(&DiscardReason::QueueOverflow, &DataCategory::LogItem)),
        ))
        .await;
    Ok(())
}

/// The server states a limit.
pub(super) async fn limit(world: &mut World, narrator: &mut Narrator<'_>) -> Told {
    const MORE: u64 = 8;

    narrator.scene("a rate limit").await;
    let limits = HeaderValue::from_static("60:transaction:organization:transaction_quota");
    let refusal = Step::reply(StatusCode::TOO_MANY_REQUESTS).header(RATE_LIMITS, limits);
    world.server.script([refusal.body(r#"{"detail":"transaction quota exceeded"}"#)]);
    world.send(transaction(0)?)?;
    world.settle().await?;
    narrator
        .say(format_args!(
            "the server answers a transaction with {} and wants no more for a minute",
            paint(WARN, "429")
        ))
        .await;

    let requests = world.server.summary().requests;
    let mut at_the_door = 0;
    for number in 1..=MORE {
        at_the_door += u64::from(world.send(transaction(number)?)? == Fate::Spent);
    }
    let made = world.server.summary().requests - requests;
    narrator
        .say(format_args!(
            "{}: {} held back at the door, {} made",
            text::count(MORE, "more transaction"),
            paint(WARN, at_the_door),
            text::count(made, "request"),
        ))
        .await;

    let delivered = world.delivered(&DataCategory::Error);
    world.send(error(0)?)?;
    world.settle().await?;
    let told = |category| world.told(&DiscardReason::RatelimitBackoff, &category);
    narrator
        .say(format_args!(
            "{} got through; a client report told the server: {}, {} held back (ratelimit_backoff)",
            paint(GOOD, text::count(world.delivered(&DataCategory::Error) - delivered, "error")),
            text::count(told(DataCategory::Transaction), "transaction"),
            text::count(told(DataCategory::Span), "span"),
        ))
        .await;
    Ok(())
}

/// The server is down for a while.
pub(super) async fn outage(world: &mut World, narrator: &mut Narrator<'_>) -> Told {
    const ERRORS: u64 = 20;

    narrator.scene("an outage").await;
    let (delivered, lost) = (world.delivered(&DataCategory::Error), world.lost(&DataCategory::Error));
    world.server.go_down().await;
    narrator.say(format_args!("{}; the application goes on", paint(BAD, "the server is down"))).await;
    for number in 0..ERRORS {
        world.send(error(number)?)?;
        narrator.pause(Duration::from_millis(20)).await;
    }
    world.wait_until(|stats| stats.outbox.waiting() > 0).await;
    let stats = world.transport.stats();
    let held = world.transport.ledger().get(&DataCategory::Error).and_then(Account::held);
    let failure = stats.and_then(|stats| stats.outbox.last_failure);
    narrator
        .say(format_args!(
            "{} posted, {} held: {}",
            text::count(ERRORS, "error"),
            paint(WARN, held.unwrap_or_default()),
            failure.map_or_else(String::new, |failure| text::clean(&failure.message).into_owned()),
        ))
        .await;

    world
        .server
        .come_up()
        .await
        .map_err(|error| CliError::failed(format_args!("cannot listen again: {error}")))?;
    world.transport.online();
    world.settle().await?;
    narrator
        .say(format_args!(
            "the server is back: {} delivered, {} lost",
            paint(GOOD, world.delivered(&DataCategory::Error) - delivered),
            world.lost(&DataCategory::Error) - lost,
        ))
        .await;
    Ok(())
}

/// The server hangs, and the application wants to end.
pub(super) async fn shutdown(world: &mut World, narrator: &mut Narrator<'_>) -> Told {
    const ERRORS: u64 = 12;
    const DEADLINE: Duration = Duration::from_millis(500);

    narrator.scene("shutdown against a server that hangs").await;
    world.server.otherwise(Step::stall());
    world.server_falls_silent();
    for number in 0..ERRORS {
        world.send(error(number)?)?;
    }
    world.wait_until(|stats| stats.outbox.in_flight == CONCURRENCY).await;
    narrator
        .say(format_args!("{} posted; the server takes them and never answers", text::count(ERRORS, "error")))
        .await;
    let before = world.transport.ledger();
    let start = Instant::now();
    let closed = world.transport.close(DEADLINE).await;
    let took = start.elapsed();
    let after = world.transport.ledger();
    let lost = |reason: DiscardReason| {
        let of = |ledger: &LedgerSnapshot<DataCategory>| {
            ledger.get(&DataCategory::Error).and_then(|account| account.lost.get(&reason).copied())
        };
        of(&after).unwrap_or_default() - of(&before).unwrap_or_default()
    };
    narrator
        .say(format_args!(
            "close within {} ms: {} after {} ms, {} delivered",
            DEADLINE.as_millis(),
            paint(GOOD, "back"),
            took.as_millis(),
            closed.discharged,
        ))
        .await;
    narrator
        .say(format_args!(
            "{} and counted: {} on their way (network_error), {} in the queue (queue_overflow)",
            paint(WARN, format_args!("{} lost", text::grouped(closed.lost))),
            lost(DiscardReason::NetworkError),
            lost(DiscardReason::QueueOverflow),
        ))
        .await;
    Ok(())
}
