use std::error::Error as _;

use super::*;

fn words(error: Option<&str>, detail: Option<&str>, causes: &[&str]) -> Explanation {
    Explanation {
        error: error.map(str::to_owned),
        detail: detail.map(str::to_owned),
        causes: causes.iter().map(|&cause| cause.to_owned()).collect(),
    }
}

/// TR-7: the server's words in one line, whichever of them are there.
#[test]
fn an_explanation_reads_as_one_line() {
    for (explanation, text) in [
        (words(None, None, &[]), ""),
        (words(Some("quota"), None, &[]), "quota"),
        (words(None, Some("too large"), &[]), "too large"),
        (words(Some("invalid"), Some("bad item"), &[]), "invalid: bad item"),
        (words(Some("same"), Some("same"), &[]), "same"),
        (words(None, None, &["a", "b"]), "(a; b)"),
        (words(Some("invalid"), None, &["a"]), "invalid (a)"),
        (words(Some("invalid"), Some("bad item"), &["a", "b"]), "invalid: bad item (a; b)"),
    ] {
        assert_eq!(explanation.to_string(), text);
        assert_eq!(explanation.is_empty(), text.is_empty());
    }
}

/// TR-7: a server cannot break a log line or drive a terminal with its words.
#[test]
fn control_characters_of_a_server_are_escaped() {
    let hostile = words(Some("one\ntwo"), Some("\u{1b}[2J"), &["\u{7}é"]);
    assert_eq!(hostile.to_string(), "one\\ntwo: \\u{1b}[2J (\\u{7}é)");
}

/// TR-7: the typed error names status and words, and keeps both apart for machines.
#[test]
fn a_fault_shows_status_and_words() {
    let fault = Fault::new(Kind::Rejected)
        .with_reply(Reply::new(StatusCode::PAYLOAD_TOO_LARGE))
        .with_message("envelope of 300 MiB")
        .with_explanation(words(None, Some("too large"), &["limit: 200 MiB"]));
    assert_eq!(
        fault.to_string(),
        "the server refused the payload (413 Payload Too Large): envelope of 300 MiB: too large (limit: 200 MiB)"
    );
    assert_eq!(fault.status(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(fault.explanation().and_then(|said| said.detail.as_deref()), Some("too large"));
    assert!(Fault::new(Kind::Other).with_explanation(Explanation::default()).explanation().is_none());
}

/// AU-7: `Debug` shows neither headers nor body of the reply.
#[test]
fn debug_leaves_the_reply_out() {
    let mut headers = http::HeaderMap::new();
    headers.insert("set-cookie", http::HeaderValue::from_static("session=s3cret"));
    let reply = Reply::new(StatusCode::BAD_REQUEST).with_headers(headers).with_body("s3cret body");
    let debug = format!("{:?}", Fault::new(Kind::Rejected).with_reply(reply));
    assert!(debug.contains("400") && !debug.contains("s3cret"), "{debug}");
}

const ALL: [Kind; 18] = [
    Kind::Connect,
    Kind::Proxy,
    Kind::Tls,
    Kind::Io,
    Kind::Reset,
    Kind::Timeout,
    Kind::RateLimited,
    Kind::Unauthorized,
    Kind::Rejected,
    Kind::Server,
    Kind::CircuitOpen,
    Kind::Disabled,
    Kind::QueueFull,
    Kind::Storage,
    Kind::Encode,
    Kind::Halted,
    Kind::Closed,
    Kind::Other,
];

/// TR-8, OC-4: only the network and a shutdown suggest another attempt by themselves; statuses never do.
#[test]
fn the_network_and_a_shutdown_advise_another_attempt() {
    let retried: Vec<_> =
        ALL.into_iter().filter(|kind| Fault::new(*kind).advice() == Advice::Retry).collect();
    assert_eq!(
        retried,
        [Kind::Connect, Kind::Proxy, Kind::Tls, Kind::Io, Kind::Reset, Kind::Timeout, Kind::Halted]
    );
    assert!(ALL.into_iter().filter(|kind| kind.is_network()).eq(retried.into_iter().take(6)));
}

#[test]
fn every_kind_has_words_of_its_own() {
    let words: std::collections::BTreeSet<_> =
        ALL.into_iter().map(|kind| Fault::new(kind).to_string()).collect();
    assert_eq!(words.len(), ALL.len());
}

/// CR-3: what a parcel without a reply is lost as when it is given up. Decisions 15 and 16: a local failure to build
/// is `internal_sdk_error`; interrupted in flight is `network_error`, left in the queue is `queue_overflow`.
#[test]
fn losses_without_a_reply_by_kind() {
    use DiscardReason as Reason;
    for kind in ALL {
        let reason = match kind {
            Kind::Connect
            | Kind::Proxy
            | Kind::Tls
            | Kind::Io
            | Kind::Reset
            | Kind::Timeout
            | Kind::Halted => Reason::NetworkError,
            Kind::RateLimited => Reason::RatelimitBackoff,
            Kind::Unauthorized | Kind::Rejected | Kind::Server | Kind::Disabled => Reason::SendError,
            Kind::CircuitOpen => Reason::Backpressure,
            Kind::QueueFull | Kind::Closed => Reason::QueueOverflow,
            Kind::Storage | Kind::Encode | Kind::Other => Reason::InternalSdkError,
        };
        assert_eq!(Fault::new(kind).loss(), Loss::Lost(reason), "{kind:?}");
    }
}

/// CR-3, decisions 15 and 17: once a status was received it decides, whatever the kind of the fault became later.
#[test]
fn losses_with_a_reply_by_status() {
    for status in [301, 400, 403, 413, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        for kind in [Kind::Rejected, Kind::RateLimited, Kind::Server, Kind::Reset, Kind::Io] {
            let fault = Fault::new(kind).with_reply(Reply::new(status));
            assert_eq!(fault.loss(), Loss::Refused(status), "{kind:?}");
        }
    }
}

/// A foreign error that wraps another.
#[derive(Debug)]
struct Wrapped(BoxError);
impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer failed")
    }
}
impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// OC-4: errors of the network are known as such however deep they sit, so that their parcel is kept.
#[test]
fn io_errors_give_the_network_kinds() {
    use io::ErrorKind as Io;
    for (io, kind) in [
        (Io::TimedOut, Kind::Timeout),
        (Io::ConnectionRefused, Kind::Connect),
        (Io::HostUnreachable, Kind::Connect),
        (Io::NetworkUnreachable, Kind::Connect),
        (Io::NetworkDown, Kind::Connect),
        (Io::AddrNotAvailable, Kind::Connect),
        (Io::BrokenPipe, Kind::Reset),
        (Io::ConnectionReset, Kind::Reset),
        (Io::ConnectionAborted, Kind::Reset),
        (Io::UnexpectedEof, Kind::Io),
        (Io::Other, Kind::Io),
    ] {
        let bare = Fault::from_error(io::Error::from(io).into());
        assert_eq!((bare.kind(), bare.advice()), (kind, Advice::Retry), "{io:?}");
        let deep = Fault::from_error(Wrapped(Wrapped(io::Error::from(io).into()).into()).into());
        assert_eq!((deep.kind(), deep.advice()), (kind, Advice::Retry), "{io:?}");
        assert_eq!(deep.source().map(ToString::to_string).as_deref(), Some("a layer failed"));
        // As TLS and proxy streams do: the specific error inside an `io::Error` of no kind.
        let inside = Fault::from_error(io::Error::other(io::Error::from(io)).into());
        assert_eq!(inside.kind(), kind, "{io:?}");
    }
}

#[test]
fn a_boxed_fault_is_taken_out_and_a_buried_one_is_believed() {
    let boxed: BoxError = Fault::new(Kind::CircuitOpen).with_message("for 30 s").into();
    let fault = Fault::from_error(boxed);
    assert_eq!(fault.to_string(), "the circuit breaker is open: for 30 s");
    assert!(fault.source().is_none());

    let soon = Advice::RetryAfter(Duration::from_secs(7));
    for buried in [
        BoxError::from(Wrapped(Fault::new(Kind::Server).with_advice(soon).into())),
        io::Error::other(Fault::new(Kind::Server).with_advice(soon)).into(),
    ] {
        let fault = Fault::from_error(buried);
        assert_eq!((fault.kind(), fault.advice()), (Kind::Server, soon));
        assert!(fault.source().is_some());
    }
}

#[test]
fn an_unknown_error_is_dropped_as_other() {
    let fault = Fault::from_error("who knows".into());
    assert_eq!((fault.kind(), fault.advice()), (Kind::Other, Advice::Drop));
    assert_eq!(fault.source().map(ToString::to_string).as_deref(), Some("who knows"));
}

/// TR-9: how far an attempt had come decides whether another one may make a duplicate, and survives boxing.
#[test]
fn a_phase_tells_whether_the_request_may_have_been_processed() {
    let phases = [Phase::Resolve, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Write, Phase::Reply];
    let before: Vec<_> = phases.into_iter().filter(|phase| phase.before_request()).collect();
    assert_eq!(before, phases[..4]);
    assert!(phases.into_iter().all(|phase| phase.before_request() != phase.may_have_been_processed()));
    assert!(phases.is_sorted(), "in the order in which they happen");

    let fault = Fault::new(Kind::Timeout).with_phase(Phase::Tls).with_message("no answer");
    assert_eq!((fault.phase(), fault.message()), (Some(Phase::Tls), Some("no answer")));
    assert_eq!(Fault::from_error(Wrapped(fault.into()).into()).phase(), Some(Phase::Tls));
    assert_eq!(Fault::from_error(Wrapped("who knows".into()).into()).phase(), None);
}
