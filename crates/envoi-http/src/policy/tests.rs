use std::io;
use std::time::{Duration, SystemTime};

use envoi_core::{Advice, BoxError, DiscardReason, Fault, Kind, Loss, Reply};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::{Action, Policy, accepted_id, classify, explain, retry_after};

const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

fn reply(code: u16, headers: &[(HeaderName, &str)], body: &str) -> Reply {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
    Reply::new(status(code)).with_headers(headers).with_body(body.to_owned())
}

/// `None` for delivered.
fn verdict(policy: &Policy, code: u16) -> Option<(Kind, Advice)> {
    policy
        .judge(Reply::new(status(code)), SystemTime::UNIX_EPOCH)
        .err()
        .map(|fault| (fault.kind(), fault.advice()))
}

/// TR-6: every 2xx is delivered, not only 200, under every policy; the reply goes along.
#[test]
fn every_2xx_is_delivered_with_its_reply() {
    for policy in [Policy::sentry(), Policy::at_least_once(), Policy::best_effort()] {
        for code in 200..=299 {
            let receipt = policy.judge(reply(code, &[], "body"), SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(receipt.fate(), envoi_core::Fate::Delivered);
            assert_eq!(receipt.reply().unwrap().status, code);
            assert_eq!(receipt.into_reply().unwrap().body, "body");
        }
    }
}

/// TR-8, CR-3, decision 15: nothing that the server refused is sent again in the Sentry preset, and each refusal is
/// of the right kind.
#[test]
fn sentry_drops_every_refusal_with_the_kind_of_its_status() {
    for code in (100..=199).chain(300..=999) {
        let kind = match code {
            401 | 403 => Kind::Unauthorized,
            407 => Kind::Proxy,
            429 => Kind::RateLimited,
            500..=599 => Kind::Server,
            _ => Kind::Rejected,
        };
        for policy in [Policy::sentry(), Policy::best_effort()] {
            assert_eq!(verdict(&policy, code), Some((kind, Advice::Drop)), "{code}");
        }
    }
}

/// BD-2: at least once tries 408, 429 and 5xx again, and nothing else: no other 4xx, 425 included.
#[test]
fn at_least_once_retries_what_may_pass() {
    for code in (100..=199).chain(300..=999) {
        let advice = match code {
            408 | 429 | 500..=599 => Advice::Retry,
            _ => Advice::Drop,
        };
        assert_eq!(verdict(&Policy::at_least_once(), code).unwrap().1, advice, "{code}");
    }
}

/// BD-3: `Retry-After` is obeyed, capped at 60 s unless told otherwise; unreadable means the caller's own back-off.
#[test]
fn at_least_once_obeys_retry_after_up_to_its_cap() {
    let advice = |policy: &Policy, value| {
        policy.judge(reply(503, &[(RETRY_AFTER, value)], ""), SystemTime::UNIX_EPOCH).unwrap_err().advice()
    };
    let policy = Policy::at_least_once();
    assert_eq!(advice(&policy, "7"), Advice::RetryAfter(Duration::from_secs(7)));
    assert_eq!(advice(&policy, "3600"), Advice::RetryAfter(Duration::from_secs(60)));
    assert_eq!(advice(&policy, "soon"), Advice::Retry);
    assert_eq!(advice(&policy, "0"), Advice::RetryAfter(Duration::ZERO));
    let patient = policy.retry_after_cap(Duration::from_secs(600));
    assert_eq!(advice(&patient, "3600"), Advice::RetryAfter(Duration::from_secs(600)));
    assert_eq!(advice(&Policy::sentry(), "7"), Advice::Drop);
}

#[test]
fn a_later_entry_wins() {
    let policy = Policy::sentry()
        .on_statuses(500..=599, Action::Retry)
        .on_status(StatusCode::NOT_IMPLEMENTED, Action::Drop)
        .on_status(StatusCode::CONFLICT, Action::Deliver);
    assert_eq!(verdict(&policy, 500), Some((Kind::Server, Advice::Retry)));
    assert_eq!(verdict(&policy, 501), Some((Kind::Server, Advice::Drop)));
    assert_eq!(verdict(&policy, 409), None);
}

/// OC-4: network errors are for another attempt, unless the policy says once is enough.
#[test]
fn network_errors_are_retried_unless_the_policy_is_best_effort() {
    for kind in [Kind::Connect, Kind::Proxy, Kind::Tls, Kind::Io, Kind::Reset, Kind::Timeout] {
        let judge = |policy: Policy| policy.judge_error(Fault::new(kind).into()).advice();
        assert_eq!(judge(Policy::sentry()), Advice::Retry);
        assert_eq!(judge(Policy::at_least_once()), Advice::Retry);
        assert_eq!(judge(Policy::best_effort()), Advice::Drop);
        assert_eq!(judge(Policy::best_effort().on_error(kind, Advice::Retry)), Advice::Retry);
    }
}

/// CR-3: how each outcome is written down when it is final.
#[test]
fn a_final_failure_is_counted_by_what_it_was() {
    let refused =
        |code| Policy::sentry().judge(Reply::new(status(code)), SystemTime::UNIX_EPOCH).unwrap_err().loss();
    assert_eq!(refused(413), Loss::Refused(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(refused(429), Loss::Refused(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(refused(302), Loss::Refused(StatusCode::FOUND));
    let lost = |error: BoxError| Policy::sentry().judge_error(error).loss();
    assert_eq!(
        lost(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        Loss::Lost(DiscardReason::NetworkError)
    );
    assert_eq!(lost(Fault::new(Kind::Encode).into()), Loss::Lost(DiscardReason::InternalSdkError));
}

/// Decision 15: redirects are not followed, and the fault says what to do.
#[test]
fn a_redirect_is_refused_with_the_way_out() {
    let fault = Policy::sentry().judge(Reply::new(StatusCode::FOUND), SystemTime::UNIX_EPOCH).unwrap_err();
    assert!(fault.to_string().contains("redirects are not followed"), "{fault}");
}

#[derive(Debug)]
struct Wrapper(BoxError);

impl std::fmt::Display for Wrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrapper")
    }
}

impl std::error::Error for Wrapper {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// TR-9, decision 17: errors are told apart through any number of wrappers.
#[test]
fn errors_are_classified_through_their_sources() {
    use io::ErrorKind as E;
    for (error, kind) in [
        (E::TimedOut, Kind::Timeout),
        (E::ConnectionRefused, Kind::Connect),
        (E::NetworkUnreachable, Kind::Connect),
        (E::BrokenPipe, Kind::Reset),
        (E::ConnectionReset, Kind::Reset),
        (E::ConnectionAborted, Kind::Reset),
        (E::UnexpectedEof, Kind::Io),
    ] {
        let fault = classify(Wrapper(Wrapper(io::Error::from(error).into()).into()).into());
        assert_eq!((fault.kind(), fault.advice()), (kind, Advice::Retry), "{error:?}");
    }
    let elapsed = Wrapper(tower::timeout::error::Elapsed::new().into());
    // An I/O error shows what it wraps to `get_ref`, and only what is below that to `source`.
    for (inner, kind) in [
        (BoxError::from(io::Error::from(E::ConnectionReset)), Kind::Reset),
        (io::Error::other(io::Error::from(E::TimedOut)).into(), Kind::Timeout),
        (tower::timeout::error::Elapsed::new().into(), Kind::Timeout),
        (Fault::new(Kind::CircuitOpen).into(), Kind::CircuitOpen),
    ] {
        assert_eq!(classify(Wrapper(io::Error::other(inner).into()).into()).kind(), kind);
    }
    assert_eq!(classify(elapsed.into()).kind(), Kind::Timeout);
    let own = Fault::new(Kind::CircuitOpen).with_advice(Advice::RetryAfter(Duration::from_secs(1)));
    let nested = classify(Wrapper(own.into()).into());
    assert_eq!(
        (nested.kind(), nested.advice()),
        (Kind::CircuitOpen, Advice::RetryAfter(Duration::from_secs(1)))
    );
    let unknown = classify(Wrapper("who knows".into()).into());
    assert_eq!((unknown.kind(), unknown.advice()), (Kind::Other, Advice::Drop));
}

/// TR-7: the server's words from the header and the body.
#[test]
fn the_servers_words_are_kept() {
    let body = r#"{"detail":"event submission rejected","causes":["too old","too\nlong", 7]}"#;
    let said = explain(&reply(400, &[(SENTRY_ERROR, "bad request")], body));
    assert_eq!(said.error.as_deref(), Some("bad request"));
    assert_eq!(said.detail.as_deref(), Some("event submission rejected"));
    assert_eq!(said.causes, ["too old", "too long"]);
    let fault = Policy::sentry().judge(reply(413, &[], r#"{"detail":"too large"}"#), SystemTime::UNIX_EPOCH);
    assert_eq!(
        fault.unwrap_err().to_string(),
        "the server refused the payload (413 Payload Too Large): too large"
    );
}

/// TR-7: bounded, and nothing from garbage.
#[test]
fn words_are_bounded_and_garbage_explains_nothing() {
    let long = format!(r#"{{"detail":"{}","causes":[{}"x"]}}"#, "é".repeat(5000), "\"c\",".repeat(500));
    let said = explain(&reply(400, &[], &long));
    assert_eq!(said.detail.unwrap().chars().count(), 1025);
    assert_eq!(said.causes.len(), 16);
    let deep = "[".repeat(60_000);
    let nested = format!(r#"{{"detail":{deep}"#);
    for garbage in ["", "<html>nope</html>", "{", "null", "[1]", r#"{"detail":1,"causes":2}"#, &deep, &nested]
    {
        assert!(explain(&reply(502, &[], garbage)).is_empty(), "{garbage:.40}");
    }
    let mut odd = Reply::new(StatusCode::BAD_GATEWAY);
    odd.headers.insert(SENTRY_ERROR, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    assert!(explain(&odd).is_empty());
}

/// TR-6: the id that the server gave.
#[test]
fn the_accepted_id_is_read_from_json_only() {
    assert_eq!(accepted_id(&reply(200, &[], r#" {"id":"abc"}"#)).as_deref(), Some("abc"));
    for body in ["", "ok", "{}", r#"{"id":null}"#, r#"{"id":7}"#, r#"{"id":""}"#] {
        assert_eq!(accepted_id(&reply(200, &[], body)), None, "{body}");
    }
}

fn wait(headers: &[(HeaderName, &str)]) -> Option<Duration> {
    // 1994-11-06T08:49:37Z
    retry_after(&reply(429, headers, ""), SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
}

/// Decision 6, BD-3: seconds, fractions, dates; what counts as absent.
#[test]
fn retry_after_reads_seconds_and_dates() {
    let seconds = |text| wait(&[(RETRY_AFTER, text)]);
    assert_eq!(seconds("120"), Some(Duration::from_secs(120)));
    assert_eq!(seconds(" 2 "), Some(Duration::from_secs(2)));
    assert_eq!(seconds("0.0001"), Some(Duration::from_millis(1)));
    assert_eq!(seconds("1.5e1"), Some(Duration::from_secs(15)));
    assert_eq!(seconds("0"), Some(Duration::ZERO));
    assert_eq!(seconds("99999999999999999999999999"), Some(Duration::from_secs(86_400)));
    assert_eq!(seconds("1e400"), Some(Duration::from_secs(86_400)));
    assert_eq!(seconds("+1"), Some(Duration::from_secs(1)));
    assert_eq!(
        seconds("16.1"),
        Some(Duration::from_millis(16_100)),
        "read as written, not as the nearest float"
    );
    for absent in ["-1", "10 Seconds", "", "nan", "inf", "1 0", "0x10", "soon"] {
        assert_eq!(seconds(absent), None, "{absent:?}");
    }
    assert_eq!(wait(&[]), None);
    assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
}

/// Decision 6: a date is measured against the reply's own clock, so that ours may be wrong.
#[test]
fn a_retry_date_is_measured_against_the_replys_own_date() {
    let date = (DATE, "Mon, 01 Jan 2001 00:00:00 GMT");
    assert_eq!(
        wait(&[date.clone(), (RETRY_AFTER, "Mon, 01 Jan 2001 00:00:09 GMT")]),
        Some(Duration::from_secs(9))
    );
    assert_eq!(
        wait(&[date, (RETRY_AFTER, "Tue, 01 Jan 2030 00:00:00 GMT")]),
        Some(Duration::from_secs(86_400))
    );
    let garbage = (DATE, "yesterday");
    assert_eq!(
        wait(&[garbage, (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]),
        Some(Duration::from_secs(30))
    );
}

proptest! {
    /// TR-7: whatever a server sends, judging it does not panic and stays bounded.
    #[test]
    fn no_reply_is_too_odd_to_judge(
        code in 100_u16..=999,
        header in proptest::collection::vec(32_u8..=255, 0..64),
        date in "\\PC{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        let mut reply = Reply::new(status(code)).with_body(body);
        for name in [RETRY_AFTER, SENTRY_ERROR] {
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                reply.headers.insert(name, value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&date) {
            reply.headers.insert(DATE, value);
        }
        let _ = accepted_id(&reply);
        for policy in [Policy::sentry(), Policy::at_least_once()] {
            if let Err(fault) = policy.judge(reply.clone(), SystemTime::UNIX_EPOCH) {
                prop_assert!(fault.to_string().len() < 40 * 1024);
                if let Advice::RetryAfter(wait) = fault.advice() {
                    prop_assert!(wait <= Duration::from_secs(60));
                }
            }
        }
    }

    /// Decision 6: numbers are rounded up to the millisecond and never beyond the ceiling.
    #[test]
    fn retry_after_numbers_are_rounded_up_and_capped(seconds in 0.0_f64..200_000.0) {
        let text = seconds.to_string();
        let wait = wait(&[(RETRY_AFTER, text.as_str())]).unwrap();
        prop_assert!(wait.as_secs_f64() + 1e-9 >= seconds.min(86_400.0));
        prop_assert!(wait.as_secs_f64() <= seconds.min(86_400.0) + 0.001 + 1e-9);
    }

    #[test]
    fn retry_after_text_never_panics(text in "\\PC{0,64}") {
        if let Ok(value) = HeaderValue::from_str(&text) {
            let mut reply = Reply::new(StatusCode::OK);
            reply.headers.insert(RETRY_AFTER, value);
            if let Some(wait) = retry_after(&reply, SystemTime::UNIX_EPOCH) {
                prop_assert!(wait <= Duration::from_secs(86_400));
            }
        }
    }
}

/// TR-5, TR-7: a client certificate that nginx does not find, or not believe, is a handshake that failed and no refusal
/// of the payload; `http` on a port for `https` is explained. Another 400 stays what it is.
#[test]
fn a_web_server_at_the_door_is_understood() {
    let page = |title: &str| format!("<html>\r\n<head><title>{title}</title></head>\r\n<body></body></html>");
    let (none, bad) = ("400 No required SSL certificate was sent", "400 The SSL certificate error");
    let plain = "400 The plain HTTP request was sent to HTTPS port";
    let required = "the server asks for a client certificate: give a certificate and its key";
    let refused = "the server refused the client certificate";
    for (title, words) in [(none, required), (bad, refused)] {
        let body = page(title);
        let judge =
            |policy: Policy| policy.judge(reply(400, &[], &body), SystemTime::UNIX_EPOCH).unwrap_err();
        for policy in [Policy::sentry(), Policy::at_least_once()] {
            let fault = judge(policy);
            assert_eq!((fault.kind(), fault.advice()), (Kind::Tls, Advice::Retry), "{body}");
            assert!(fault.phase().is_some_and(envoi_core::Phase::before_request), "{fault:?}");
            assert_eq!(fault.loss(), Loss::Lost(DiscardReason::NetworkError), "nobody has counted it");
            let text = fault.to_string();
            assert!(text.contains(words) && text.contains("(it answered 400"), "{text}");
        }
        assert_eq!(judge(Policy::sentry().on_error(Kind::Tls, Advice::Drop)).advice(), Advice::Drop);
        assert_eq!(judge(Policy::best_effort()).advice(), Advice::Drop);
    }
    for (code, body, words) in [
        (400, page(plain), Some("use an https address")),
        (496, page("go away"), None),
        (400, page("400 Bad Request"), None),
        (400, none.to_owned(), None),
        (403, page(none), None),
        (400, format!("{}{}", " ".repeat(2000), page(none)), None),
    ] {
        let fault = Policy::sentry().judge(reply(code, &[], &body), SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!((fault.advice(), fault.status()), (Advice::Drop, Some(status(code))), "{code} {body}");
        assert_eq!(fault.message().is_some(), words.is_some(), "{fault}");
        assert!(words.is_none_or(|words| fault.to_string().contains(words)), "{fault}");
    }
}

/// The words are those by which others know the same failure of a handshake.
#[cfg(feature = "tls")]
#[test]
fn the_words_at_the_door_are_those_of_tls() {
    use super::door::Door;
    use crate::tls::TlsProblem;
    assert_eq!(Door::NoCertificate.words(), TlsProblem::ClientCertificateRequired.advice());
    assert_eq!(Door::BadCertificate.words(), TlsProblem::ClientCertificateRefused.advice());
}
