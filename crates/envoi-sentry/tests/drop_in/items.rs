//! Every kind of item that the `sentry` crate can make.

use std::collections::BTreeMap;

use envoi::DataCategory;
use sentry::protocol::{
    Attachment, ClientSdkInfo, Envelope, EnvelopeHeaders, Event, MonitorCheckIn, MonitorCheckInStatus,
};
use sentry::{SessionMode, metrics};

use crate::support::{App, options, server};

/// IT-1, EN-8: events, transactions, sessions of both kinds, attachments, check-ins, logs, metrics and raw envelopes arrive,
/// counted as the server counts them.
#[test]
fn every_kind_of_item_arrives() {
    let server = server();
    let app = App::new(options(server.server()).traces_sample_rate(1.0));
    app.run(|| {
        sentry::capture_message("plain", sentry::Level::Error);
        sentry::with_scope(
            |scope| {
                scope.add_attachment(Attachment {
                    buffer: b"twelve\nbytes".to_vec(),
                    filename: "notes.txt".to_owned(),
                    ..Attachment::default()
                });
            },
            || sentry::capture_message("with an attachment", sentry::Level::Error),
        );
        let transaction = sentry::start_transaction(sentry::TransactionContext::new("job", "task"));
        transaction.start_child("db", "select").finish();
        transaction.start_child("db", "insert").finish();
        transaction.finish();
        sentry::start_session();
        sentry::end_session();
        sentry::logger_info!("one");
        sentry::logger_warn!("two");
        metrics::counter("requests", 1).capture();
        metrics::gauge("depth", 3).capture();
        metrics::distribution("time", 0.5).capture();
        let check_in = MonitorCheckIn {
            check_in_id: Event::new().event_id,
            monitor_slug: "nightly".to_owned(),
            status: MonitorCheckInStatus::Ok,
            environment: None,
            duration: None,
            monitor_config: None,
        };
        let mut envelope = Envelope::new();
        envelope.add_item(check_in);
        app.client.send_envelope(envelope);
        let raw = b"{}\n{\"type\":\"feedback\",\"length\":2}\n{}\n".to_vec();
        app.client.send_envelope(Envelope::from_bytes_raw(raw).unwrap());
    });
    app.close();

    let server = server.server();
    let received = server.received_tally();
    let bytes = |category| received[&category];
    let expected = BTreeMap::from([
        (DataCategory::Error, 2),
        (DataCategory::Attachment, 12),
        (DataCategory::Transaction, 1),
        (DataCategory::Span, 3),
        (DataCategory::Session, 1),
        (DataCategory::LogItem, 2),
        (DataCategory::LogByte, bytes(DataCategory::LogByte)),
        (DataCategory::TraceMetric, 3),
        (DataCategory::TraceMetricByte, bytes(DataCategory::TraceMetricByte)),
        (DataCategory::Monitor, 1),
        (DataCategory::Feedback, 1),
    ]);
    assert_eq!(received, expected);
    let summary = server.summary();
    assert_eq!((summary.problems, summary.duplicates), (0, 0), "{:?}", server.requests());
    // And our books are those of the server.
    let ledger = app.transport().ledger();
    assert!(ledger.is_settled());
    for (category, account) in ledger.iter() {
        assert_eq!(received[category], account.delivered, "{category}");
    }
}

/// IT-1: sessions that the client adds up count as many as they are.
#[test]
fn aggregated_sessions_arrive() {
    let server = server();
    let app = App::new(options(server.server()).session_mode(SessionMode::Request));
    app.run(|| {
        for _ in 0..5 {
            sentry::start_session();
            sentry::end_session();
        }
    });
    app.close();
    let server = server.server();
    let types: Vec<_> = server
        .envelopes()
        .iter()
        .flat_map(|envelope| {
            envelope.items().iter().map(|item| item.item_type().to_string()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(types, ["sessions"]);
    assert_eq!(server.received_tally(), BTreeMap::from([(DataCategory::Session, 5)]));
}

/// EN-4, EN-5: the attributes of the header reach the server: the sampling context of the trace, the SDK, and one time of
/// sending. The `sentry` crate's own transports strip them.
#[test]
fn headers_arrive() {
    let server = server();
    let app = App::new(options(server.server()).traces_sample_rate(1.0));
    app.run(|| sentry::start_transaction(sentry::TransactionContext::new("job", "task")).finish());
    app.flush();
    let mut envelope = Envelope::new().with_headers(EnvelopeHeaders::new().with_sdk(ClientSdkInfo {
        name: "my.sdk".to_owned(),
        version: "1.0".to_owned(),
        integrations: Vec::new(),
        packages: Vec::new(),
    }));
    envelope.add_item(Event::new());
    app.client.send_envelope(envelope);
    app.close();
    let envelopes = server.server().envelopes();
    let trace = envelopes[0].trace().unwrap();
    assert!(trace.contains("\"trace_id\"") && trace.contains("\"public_key\""), "{trace}");
    assert!(envelopes[1].sdk().unwrap().contains("my.sdk"));
    assert!(envelopes.iter().all(|envelope| envelope.sent_at().is_some() && envelope.event_id().is_some()));
}

/// EN-3, CR-3: an item that cannot be sent is reported; its neighbours arrive.
#[test]
fn a_bad_item_is_reported_and_its_neighbours_arrive() {
    let server = server();
    let app = App::new(options(server.server()));
    app.run(|| {
        sentry::with_scope(
            |scope| {
                scope.add_attachment(Attachment {
                    buffer: b"seven b".to_vec(),
                    filename: "n".repeat(70_000),
                    ..Attachment::default()
                });
            },
            || sentry::capture_message("neighbour", sentry::Level::Error),
        );
    });
    app.say("next");
    app.close();
    let server = server.server();
    assert_eq!(crate::support::messages(server), ["neighbour", "next"]);
    let lost = (envoi::DiscardReason::InternalSdkError, DataCategory::Attachment);
    assert_eq!(server.reported_losses(), BTreeMap::from([(lost, 7)]));
}
