use envoi_core::Itemized;

use crate::{Envelope, Item, ItemType};

/// The tally of an envelope of these items, as text.
fn tally(items: impl IntoIterator<Item = Item>) -> Vec<String> {
    let mut envelope = Envelope::new();
    for item in items {
        envelope.push(item).unwrap();
    }
    let mut found = Vec::new();
    envelope.tally(&mut |category, quantity| found.push(format!("{category}:{quantity}")));
    let mut again = Vec::new();
    envelope.tally(&mut |category, quantity| again.push(format!("{category}:{quantity}")));
    assert_eq!(found, again, "a second look says the same");
    found
}

/// CR-4, decision 12: what each type counts for.
#[test]
fn every_type_counts_as_the_table_says() {
    let of = |ty: &str| tally([Item::new(ty, "12345")]);
    for (ty, expected) in [
        ("event", &["error:1"][..]),
        ("transaction", &["transaction:1", "span:1"]),
        ("session", &["session:1"]),
        ("attachment", &["attachment:5"]),
        ("log", &["log_item:1", "log_byte:5"]),
        ("otel_log", &["log_item:1", "log_byte:5"]),
        ("trace_metric", &["trace_metric:1", "trace_metric_byte:5"]),
        ("span", &["span:1"]),
        ("otel_span", &["span:1"]),
        ("otel_traces_data", &["span:1"]),
        ("profile", &["profile:1"]),
        ("replay_event", &["replay:1"]),
        ("replay_recording", &["replay:1"]),
        ("replay_video", &["replay:1"]),
        ("feedback", &["feedback:1"]),
        ("user_report", &["feedback:1"]),
        ("check_in", &["monitor:1"]),
        ("statsd", &["metric_bucket:1"]),
        ("metric_buckets", &["metric_bucket:1"]),
        ("security", &["security:1"]),
        ("raw_security", &["security:1"]),
        ("unreal_report", &["error:1"]),
        ("client_report", &[]),
        ("form_data", &[]),
        ("nel", &[]),
        ("integration", &[]),
        ("hologram", &[]),
        ("profile_chunk", &[]),
    ] {
        assert_eq!(of(ty), expected, "{ty}");
    }
    assert_eq!(ItemType::KNOWN.len(), 28, "a new type belongs into the table above");
}

/// CR-4, decision 12: a transaction counts its spans and itself.
#[test]
fn a_transaction_counts_its_spans() {
    for (payload, spans) in [
        (r#"{"spans":[{"spans":[1,2]},{},{}],"x":[1]}"#, 4),
        (r#"{"x":{"spans":[1,2]}}"#, 1),
        (r#"{"spans":[1],"spans":[1,2]}"#, 3),
        (r#"{"spans":null}"#, 1),
        (r#"{"spans":[1,2"#, 1),
        ("", 1),
    ] {
        assert_eq!(
            tally([Item::transaction(payload)]),
            ["transaction:1", &format!("span:{spans}")],
            "{payload}"
        );
    }
}

/// CR-4, decision 12: containers believe their header, else they are counted.
#[test]
fn containers_are_counted() {
    assert_eq!(tally([Item::logs(7, "{}")]), ["log_item:7", "log_byte:2"]);
    assert_eq!(tally([Item::metrics(2, "{}")]), ["trace_metric:2", "trace_metric_byte:2"]);
    assert_eq!(tally([Item::spans(1000, "")]), ["span:1000"]);
    let counted = |ty: &str, json: &'static str| tally([Item::new(ty, json)])[0].clone();
    assert_eq!(counted("log", r#"{"version":2,"items":[{"items":[]},{}]}"#), "log_item:2");
    assert_eq!(counted("span", r#"{"items":[{},{},{}]}"#), "span:3");
    assert_eq!(counted("log", r#"{"body":"one by itself"}"#), "log_item:1");
    assert_eq!(tally([Item::logs(0, "")]), <[&str; 0]>::default(), "nothing is never a quantity");
}

/// CR-4, decision 12: aggregated sessions are summed over all buckets and states.
#[test]
fn sessions_are_summed() {
    let json = r#"{"attrs":{"exited":99},"aggregates":[
        {"started":"2026-11-22T04:12:00Z","exited":7,"errored":2},
        {"started":1795320720,"crashed":1,"abnormal":3,"unhandled":4,"did":"42"}, 5]}"#;
    assert_eq!(tally([Item::sessions(json)]), ["session:17"]);
    assert_eq!(tally([Item::sessions("not json")]), ["session:1"]);
    assert!(tally([Item::sessions(r#"{"aggregates":[]}"#)]).is_empty());
}

/// Decisions 8, 12, 13: attachments count bytes, at least one; a crash report without an event is an error.
#[test]
fn attachments_count_bytes_or_errors() {
    let minidump = || Item::attachment("dump", "12345").with_attachment_type("event.minidump");
    let apple = || Item::attachment("crash", "12345").with_attachment_type("event.applecrashreport");
    assert_eq!(tally([Item::attachment("empty", "")]), ["attachment:1"]);
    assert_eq!(tally([minidump()]), ["error:1"]);
    assert_eq!(tally([apple()]), ["error:1"]);
    assert_eq!(tally([minidump(), Item::event("{}")]), ["attachment:5", "error:1"]);
    assert_eq!(
        tally([Item::attachment("x", "1").with_attachment_type("event.view_hierarchy")]),
        ["attachment:1"]
    );
}

/// Decision 9: chunks of profiles are counted by platform.
#[test]
fn profile_chunks_are_counted_by_platform() {
    for platform in ["cocoa", "android", "javascript"] {
        assert_eq!(tally([Item::profile_chunk(platform, "{}")]), ["profile_chunk_ui:1"]);
    }
    for platform in ["python", "", "Cocoa"] {
        assert_eq!(tally([Item::profile_chunk(platform, "{}")]), ["profile_chunk:1"]);
    }
}
