use std::collections::BTreeSet;

use super::view::{AccountView, DestinationView, DiskView, LaneView, LimitView, RateView, TroubleView, View};
use super::{metrics, page};

const NASTY: &str = "</main><script>alert(1)</script>\" onload=\"x\n\u{202e}";

fn view() -> View {
    View {
        version: "1.2.3",
        stopping: false,
        uptime_seconds: 3700,
        listen: "127.0.0.1:8970".to_owned(),
        upstream: NASTY.to_owned(),
        acknowledges: "when queued",
        accepted: 1234,
        accepted_bytes: 5 << 20,
        forwarded: 1200,
        not_durable: 1,
        connections: 3,
        connections_limit: 1024,
        memory_bytes: 4096,
        memory_limit_bytes: 256 << 20,
        answers: vec![(200, 1234), (429, 5)],
        refusals: vec![("limited", 5)],
        rates: vec![RateView { accepted: 2.0, forwarded: 1.0 }; 10],
        destinations: vec![DestinationView {
            name: format!("http://h/{NASTY}"),
            key: "abc<de".to_owned(),
            id: "0123456789abcdef".to_owned(),
            lanes: vec![LaneView {
                lane: "critical",
                envelopes: 34,
                bytes: 100_000,
                waiting: 30,
                oldest_seconds: Some(75),
            }],
            in_flight: 1,
            attempts: 99,
            discharged: 1200,
            unused_seconds: 1,
            limits: vec![
                LimitView { category: None, seconds: 59 },
                LimitView { category: Some(NASTY.to_owned()), seconds: 3600 },
            ],
            troubles: vec![TroubleView {
                ago_seconds: 2,
                times: 7,
                status: Some(413),
                message: format!("too large: {NASTY}"),
            }],
            disk: Some(DiskView {
                state: "in order".to_owned(),
                entries: 34,
                bytes: 123_456,
                evicted: 0,
                corrupt: 0,
                last_error: Some(NASTY.to_owned()),
            }),
            ledger: vec![AccountView {
                category: NASTY.to_owned(),
                posted: 100,
                delivered: 60,
                refused: vec![(413, 5)],
                lost: vec![(NASTY.to_owned(), 1)],
                held: Some(34),
            }],
        }],
        destinations_limit: 64,
        destinations_closed: 1,
        closed: vec![],
    }
}

/// TR-7: the page shows the server's words, and only as words: whatever a server, a client or a file put there, there
/// is no tag and no attribute but ours.
#[test]
fn strangers_put_nothing_but_text_into_the_page() {
    let html = page::html(&view());
    assert!(html.contains("too large: &lt;/main&gt;&lt;script&gt;"), "{html}");
    assert_eq!(html.matches("<script").count(), 1, "only our own");
    assert_eq!(html.matches("</main>").count(), 1);
    assert!(!html.contains("onload=\"") && !html.contains('\u{202e}'), "{html}");
    for needed in ["1 min 15 s", "59 s", "everything", "does not", "7 times", "413", "34"] {
        assert!(html.contains(needed), "{needed} is missing");
    }
}

/// The page needs no script: all values are in it, and nothing in it runs inline, which its policy forbids.
#[test]
fn the_page_has_no_inline_code() {
    let html = page::html(&view());
    assert!(html.contains("<noscript><meta http-equiv=\"refresh\""));
    for inline in [" style=", " onclick=", "javascript:", "<style"] {
        assert!(!html.contains(inline), "{inline}");
    }
    for (open, close) in
        [("<section", "</section>"), ("<table", "</table>"), ("<div", "</div>"), ("<ul", "</ul>")]
    {
        assert_eq!(html.matches(open).count(), html.matches(close).count(), "{open}");
    }
}

/// Every sample belongs to the family before it, every family and every sample is there once, also for two keys of a
/// project that begin alike, and a label cannot end early.
#[test]
fn metrics_are_in_the_text_format() {
    let mut view = view();
    let mut twin = view.destinations[0].clone();
    twin.id = "fedcba9876543210".to_owned();
    view.destinations.push(twin);
    let text = metrics::metrics(&view);
    let (mut families, mut samples, mut current) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name), "{name} twice");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            current = name;
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(name, current, "{line}");
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(samples.insert(sample), "twice: {sample}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.contains("lane=\"critical\"} 34\n"), "{text}");
    assert!(text.contains("category=\"all\"} 59\n"), "{text}");
    assert!(text.contains("\\\" onload=\\\"x\\n"), "{text}");
}
