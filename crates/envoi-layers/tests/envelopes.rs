//! Filter and report above real envelopes, limits and client reports: RL-1 to RL-10, CR-3 to CR-6.
#![cfg(all(feature = "report", feature = "filter"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi_core::{
    Deliver, Failure, Fate, Fault, Itemized, Kind, Ledger, LossSink, Parcel, Receipt, Reply, SharedClock,
};
use envoi_envelope::limits::{LimitOptions, RateLimits};
use envoi_envelope::reports::{ClientReports, parse_discarded};
use envoi_envelope::{DataCategory, Envelope, Item, ItemType};
use envoi_layers::filter::FilterLayer;
use envoi_layers::report::ReportLayer;
use envoi_testkit::ManualClock;
use http::{HeaderMap, HeaderValue, StatusCode};
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// What the server answers to one envelope: a status with its limits, or nothing because the network is down.
type Answer = Option<(u16, &'static str)>;
type Counts = BTreeMap<String, u64>;

struct Server {
    script: Mutex<Vec<Answer>>,
    /// Of the requests that were answered, with the answer.
    seen: Mutex<Vec<(u16, Envelope)>>,
}

impl Server {
    fn new(script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.into_iter().collect()), seen: Mutex::default() })
    }

    fn take(&self, parcel: Parcel<Envelope>) -> Result<Receipt, Failure<Envelope>> {
        let Some((status, limits)) = self.script.lock().unwrap().remove(0) else {
            return Err(Failure::new(Fault::new(Kind::Connect), parcel));
        };
        self.seen.lock().unwrap().push((status, parcel.payload().clone()));
        let mut headers = HeaderMap::new();
        headers.insert("x-sentry-rate-limits", HeaderValue::from_static(limits));
        let reply = Reply::new(StatusCode::from_u16(status).unwrap()).with_headers(headers);
        match status {
            200 => Ok(Receipt::delivered().with_reply(reply)),
            429 => Err(Failure::new(Fault::new(Kind::RateLimited).with_reply(reply), parcel)),
            _ => Err(Failure::new(Fault::new(Kind::Server).with_reply(reply), parcel)),
        }
    }

    fn types(&self) -> Vec<Vec<String>> {
        let types = |envelope: &Envelope| {
            envelope.items().iter().map(|item| item.item_type().as_str().to_owned()).collect()
        };
        self.seen.lock().unwrap().iter().map(|(_, envelope)| types(envelope)).collect()
    }

    /// What arrived as goods, and what as reports of losses. A 429 has read its reports, too.
    fn received(&self) -> (Counts, Counts) {
        let (mut goods, mut reported) = (Counts::new(), Counts::new());
        for (status, envelope) in self.seen.lock().unwrap().iter() {
            if *status == 200 {
                envelope.tally(&mut |category, count| add(&mut goods, category, count));
            }
            let reports = envelope.items().iter().filter(|item| *item.item_type() == ItemType::ClientReport);
            for report in reports.filter(|_| matches!(*status, 200 | 429)) {
                parse_discarded(report.payload(), |_, category, count| add(&mut reported, category, count));
            }
        }
        (goods, reported)
    }
}

fn add(counts: &mut Counts, category: &DataCategory, count: u64) {
    *counts.entry(category.as_str().to_owned()).or_default() += count;
}

struct Stack {
    clock: Arc<ManualClock>,
    limits: RateLimits,
    reports: ClientReports,
    ledger: Ledger<DataCategory>,
    server: Arc<Server>,
}

impl Stack {
    fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            clock: Arc::new(ManualClock::new()),
            limits: RateLimits::new(LimitOptions::default()),
            reports: ClientReports::new(),
            ledger: Ledger::new(),
            server: Server::new(script),
        }
    }

    fn service(&self) -> impl Deliver<Envelope, Error = Failure<Envelope>> + use<> {
        let server = Arc::clone(&self.server);
        let clock: SharedClock = self.clock.clone();
        ServiceBuilder::new()
            .layer(
                FilterLayer::new(self.limits.clone())
                    .report_to((self.ledger.clone(), self.reports.clone()))
                    .clock(clock),
            )
            .layer(ReportLayer::new(self.reports.clone()))
            .service(service_fn(move |parcel| {
                let answer = server.take(parcel);
                async move { answer }
            }))
    }

    async fn send(&self, envelope: Envelope) -> Result<Receipt, Failure<Envelope>> {
        self.service().oneshot(Parcel::new(envelope)).await
    }
}

fn envelope(items: impl IntoIterator<Item = Item>) -> Envelope {
    let mut envelope = Envelope::new();
    for item in items {
        envelope.push(item).unwrap();
    }
    envelope
}

fn error_with_file() -> Envelope {
    envelope([Item::event("{}"), Item::attachment("a.txt", "12345"), Item::check_in("{}")])
}

fn logs() -> Item {
    Item::logs(3, r#"{"items":[{},{},{}]}"#)
}

/// RL-8, RL-10, CR-5: a limit that a success announces takes the error and its attachment out of the next envelope, and
/// the report of that rides on what is left of it.
#[tokio::test]
async fn limited_event_goes_with_its_attachment_and_is_reported_at_once() {
    let stack = Stack::new([Some((200, "60:error:organization")), Some((200, "")), Some((200, ""))]);
    let _ = stack.send(envelope([Item::event("{}")])).await.unwrap();
    let _ = stack.send(error_with_file()).await.unwrap();

    assert_eq!(stack.server.types(), [vec!["event"], vec!["check_in", "client_report"]]);
    let expected = Counts::from([("attachment".into(), 5), ("error".into(), 1)]);
    assert_eq!(stack.server.received().1, expected);
    assert!(!stack.reports.has_pending());

    stack.clock.advance(Duration::from_secs(60));
    let _ = stack.send(error_with_file()).await.unwrap();
    assert_eq!(stack.server.types().pop().unwrap(), ["event", "attachment", "check_in"]);
}

/// RL-2, RL-9, CR-5, decision 11: under a limit on everything no request is made, not for reports either; afterwards the
/// counts ride on the first envelope.
#[tokio::test]
async fn reports_wait_for_the_end_of_the_limit_on_everything() {
    let stack = Stack::new([Some((429, "60::organization")), Some((200, ""))]);
    assert!(stack.send(envelope([logs()])).await.is_err());
    assert_eq!(stack.send(envelope([logs()])).await.unwrap().fate(), Fate::Spent);
    let report = r#"{"discarded_events":[{"reason":"sample_rate","category":"span","quantity":8}]}"#;
    assert_eq!(stack.send(envelope([Item::client_report(report)])).await.unwrap().fate(), Fate::Spent);
    assert_eq!(stack.server.types(), [["log"]]);

    stack.clock.advance(Duration::from_secs(60));
    let _ = stack.send(envelope([logs()])).await.unwrap();

    assert_eq!(stack.server.types(), [vec!["log"], vec!["log", "client_report"]]);
    let bytes = logs().payload().len() as u64;
    let expected = Counts::from([("log_byte".into(), bytes), ("log_item".into(), 3), ("span".into(), 8)]);
    assert_eq!(stack.server.received().1, expected);
}

/// CR-3, CR-6: over failures of every sort what was posted is what the server counted as received, was told of as lost,
/// refused with 429, or what is still to be told; nothing twice.
#[tokio::test]
async fn reports_and_deliveries_add_up() {
    let stack = Stack::new([
        Some((200, "60:log_item:organization")),
        None,
        Some((500, "")),
        Some((429, "60:error:organization")),
        None,
        Some((200, "")),
        Some((503, "")),
    ]);
    let mut posted = Counts::new();
    let mut refused = Counts::new();
    for _ in 0..4 {
        for next in [envelope([logs(), Item::check_in("{}")]), error_with_file()] {
            next.tally(&mut |category, count| add(&mut posted, category, count));
            let mut parcel = Parcel::new(next);
            // As an outbox would: the network is tried again, a refusal is final.
            loop {
                if stack.server.script.lock().unwrap().is_empty() {
                    stack.server.script.lock().unwrap().push(Some((200, "")));
                }
                let Err(failure) = stack.service().oneshot(parcel).await else { break };
                let (fault, back) = failure.into_parts();
                parcel = back.unwrap();
                assert!(
                    parcel.payload().items().iter().all(|item| !item.is_rider()),
                    "never kept with the parcel"
                );
                if let Some(status) = fault.status() {
                    parcel.payload().tally(&mut |category, count| {
                        stack.reports.refused(status, category, count);
                        if status == 429 {
                            add(&mut refused, category, count);
                        }
                    });
                    break;
                }
            }
        }
    }

    let (mut accounted, reported) = stack.server.received();
    for report in stack.reports.take() {
        parse_discarded(report.to_json().as_bytes(), |_, category, count| {
            add(&mut accounted, category, count);
        });
    }
    for (category, count) in reported.into_iter().chain(refused) {
        *accounted.entry(category).or_default() += count;
    }
    assert_eq!(accounted, posted);
    assert!(posted.len() > 3);
}
