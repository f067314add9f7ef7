use envoi_envelope::{ParseErrorKind, PushErrorKind, SizeLimits};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Problem};
use http::StatusCode;

use crate::support::{AUTH, ENVELOPE, client, post, send, whole};

/// TR-6, AU-2, AU-3, AU-5: a proper request is answered with its id and has no problems.
#[tokio::test]
async fn a_proper_envelope_is_accepted() {
    let server = IngestServer::start().await.unwrap();
    let (status, body) = send(&server, ENVELOPE).await;
    assert_eq!((status, &*body), (StatusCode::OK, r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#));
    let requests = server.requests();
    let request = &requests[0];
    assert_eq!(request.problems, []);
    assert_eq!((request.project.as_deref(), request.key.as_deref()), (Some("42"), Some("abc")));
    assert_eq!((&request.wire[..], request.encoding), (ENVELOPE.as_bytes(), None));
    assert_eq!(request.head.headers["user-agent"], "test/1");
    assert_eq!(server.envelopes()[0].to_bytes(), ENVELOPE);
    let shown = format!("{request:?}");
    assert!(!shown.contains("sentry_key"), "credentials are not shown: {shown}");
}

/// EN-1, EN-8: what real clients sent is accepted, and arrives as it was.
#[tokio::test]
async fn the_corpus_is_accepted() {
    let server = IngestServer::start().await.unwrap();
    for sample in corpus::all() {
        let (status, body) = send(&server, sample.bytes).await;
        assert_eq!(status, StatusCode::OK, "{}: {body}", sample.name);
    }
    assert_eq!(server.summary().accepted, 35);
    for (record, sample) in server.requests().iter().zip(corpus::all()) {
        assert_eq!(record.body, sample.bytes, "{}", sample.name);
    }
}

/// TR-7: a refusal says what is wrong, as Sentry does.
#[tokio::test]
async fn a_malformed_envelope_is_refused_with_its_cause() {
    let server = IngestServer::start().await.unwrap();
    let response =
        client().request(post(&server, "{}\n{\"type\":\"event\",\"length\":9}\n{}")).await.unwrap();
    let (status, headers, body) = whole(response).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers["x-sentry-error"], "invalid event envelope");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["detail"], "invalid event envelope");
    assert!(body["causes"][0].as_str().unwrap().contains("byte 31"), "{body}");
    let [Problem::Parse(error)] = &server.requests()[0].problems[..] else {
        panic!("{:?}", server.requests()[0].problems);
    };
    assert_eq!(error.kind(), ParseErrorKind::TruncatedPayload);
    assert!(server.envelopes().is_empty());
}

/// Sends `ENVELOPE` with a changed request; returns status and problems.
async fn judged(
    change: impl FnOnce(&mut http::request::Parts),
) -> (StatusCode, Vec<Problem>, Option<String>) {
    let server = IngestServer::start().await.unwrap();
    let (mut parts, body) = post(&server, ENVELOPE).into_parts();
    change(&mut parts);
    let (status, _, _) = whole(client().request(http::Request::from_parts(parts, body)).await.unwrap()).await;
    let record = &server.requests()[0];
    assert_eq!(record.status, Some(status));
    (status, record.problems.clone(), record.key.clone())
}

fn target(parts: &mut http::request::Parts, target: &str) {
    let authority = parts.uri.authority().unwrap().clone();
    parts.uri = format!("http://{authority}{target}").parse().unwrap();
}

#[tokio::test]
async fn method_and_path_are_checked() {
    let (status, problems, _) = judged(|parts| parts.method = http::Method::PUT).await;
    assert_eq!((status, problems), (StatusCode::METHOD_NOT_ALLOWED, vec![Problem::Method]));
    let (status, problems, _) = judged(|parts| target(parts, "/api/42/store/")).await;
    assert_eq!((status, problems), (StatusCode::NOT_FOUND, vec![Problem::NotFound]));
    let (status, problems, _) = judged(|parts| target(parts, "/prefix/api/shop/envelope/")).await;
    assert_eq!((status, problems), (StatusCode::OK, vec![]));
}

/// AU-3, AU-4, decision 26: credentials come in the header, the query or the envelope.
#[tokio::test]
async fn credentials_are_checked() {
    let without = |parts: &mut http::request::Parts| {
        parts.headers.remove("x-sentry-auth");
    };
    let (status, problems, _) = judged(without).await;
    assert_eq!((status, problems), (StatusCode::UNAUTHORIZED, vec![Problem::MissingAuth]));

    let (status, problems, key) = judged(|parts| {
        without(parts);
        target(parts, "/api/42/envelope/?sentry_key=query&sentry_version=7");
    })
    .await;
    assert_eq!((status, problems, key.as_deref()), (StatusCode::OK, vec![], Some("query")));

    let (status, problems, _) =
        judged(|parts| target(parts, "/api/42/envelope/?sentry_key=other&sentry_version=7")).await;
    assert_eq!((status, problems), (StatusCode::BAD_REQUEST, vec![Problem::ConflictingAuth]));

    let (status, problems, _) = judged(|parts| {
        parts.headers.insert("x-sentry-auth", "Sentry sentry_version=8, sentry_key=abc".parse().unwrap());
    })
    .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(matches!(problems[..], [Problem::Auth(_)]), "{problems:?}");

    let (status, problems, _) = judged(|parts| {
        parts.headers.insert("x-sentry-auth", format!("{AUTH}, sentry_timestamp=1").parse().unwrap());
    })
    .await;
    assert_eq!((status, problems), (StatusCode::OK, vec![Problem::AuthTimestamp]));
}

/// EN-5: an envelope may bring its own credentials, which must agree with the request.
#[tokio::test]
async fn the_dsn_of_an_envelope_is_a_credential() {
    let server = IngestServer::start().await.unwrap();
    for (project, expected) in [("42", StatusCode::OK), ("43", StatusCode::BAD_REQUEST)] {
        let envelope =
            format!("{{\"dsn\":\"http://own@localhost/{project}\"}}\n{{\"type\":\"event\"}}\n{{}}");
        let mut request = post(&server, envelope);
        request.headers_mut().remove("x-sentry-auth");
        let (status, _, body) = whole(client().request(request).await.unwrap()).await;
        assert_eq!(status, expected, "{body}");
    }
    assert_eq!(server.requests()[0].key.as_deref(), Some("own"));
    assert_eq!(server.requests()[1].problems, [Problem::ConflictingAuth]);
}

/// AU-5: what a client should send is noted where it is missing.
#[tokio::test]
async fn missing_headers_are_noted_but_not_refused() {
    let (status, problems, _) = judged(|parts| {
        parts.headers.insert("content-type", "text/plain".parse().unwrap());
        parts.headers.remove("user-agent");
    })
    .await;
    assert_eq!((status, problems), (StatusCode::OK, vec![Problem::ContentType, Problem::MissingUserAgent]));
}

/// EN-6, EN-7, IT-1.
#[tokio::test]
async fn items_are_checked() {
    let sizes = SizeLimits::default().with_item("check_in", Some(3));
    let server = IngestServer::builder().with_size_limits(sizes).start().await.unwrap();
    let event = "{\"type\":\"event\"}\n{}\n";
    let (status, _) = send(&server, "{}\n").await;
    assert_eq!(status, StatusCode::OK, "nothing to refuse");
    let (status, _) = send(&server, format!("{{}}\n{event}{event}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = send(&server, "{}\n{\"type\":\"check_in\"}\n{  }\n").await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let problems: Vec<_> = server.requests().iter().map(|record| record.problems.clone()).collect();
    assert_eq!(problems[0], [Problem::NoItems]);
    assert_eq!(problems[1], [Problem::Combination { item: 1, kind: PushErrorKind::SecondEvent }]);
    assert!(matches!(problems[2][..], [Problem::Size(_)]), "{problems:?}");
}

/// EN-3: an envelope that breaks the same rule tens of thousands of times is refused at once, and in few words.
#[tokio::test]
async fn few_broken_rules_stand_for_all() {
    let server = IngestServer::start().await.unwrap();
    let mut envelope = String::from("{}\n");
    for _ in 0..40_000 {
        envelope.push_str("{\"type\":\"attachment\"}\n\n");
    }
    for _ in 0..40_000 {
        envelope.push_str("{\"type\":\"event\"}\n\n");
    }
    let (status, body) = send(&server, envelope).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.len() < 4096, "{}", body.len());
    let problems = &server.requests()[0].problems;
    assert_eq!(problems[0], Problem::Combination { item: 40_001, kind: PushErrorKind::SecondEvent });
    assert!(problems.len() < 50);
}
