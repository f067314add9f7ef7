use envoi_testkit::ingest::{IngestServer, Step};
use http::{StatusCode, Version};
use http_body_util::BodyExt;

use crate::support::{ENVELOPE, PATIENCE, http2_client, post, whole};

/// TR-9: HTTP/2 with prior knowledge; one stream that stalls does not hold up the others.
#[tokio::test]
async fn streams_are_answered_on_one_connection() {
    let server = IngestServer::start().await.unwrap();
    server.script([Step::stall(), Step::reply(StatusCode::PAYLOAD_TOO_LARGE).before_body()]);
    let client = http2_client();
    let stalled = tokio::spawn(client.request(post(&server, ENVELOPE)));
    server.wait_until(|summary| summary.unanswered == 1, PATIENCE).await.unwrap();
    for expected in [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::OK] {
        let response = client.request(post(&server, ENVELOPE)).await.unwrap();
        assert_eq!((response.version(), whole(response).await.0), (Version::HTTP_2, expected));
    }
    assert_eq!(server.summary().connections, 1);
    assert_eq!(server.requests()[2].problems, []);
    server.shutdown().await;
    assert!(stalled.await.unwrap().is_err());
}

/// On several threads: there, streams are polled beside their connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_seen_over_http2() {
    let server = IngestServer::start().await.unwrap();
    server.script([
        Step::reply(StatusCode::OK).body("0123456789").cut_in_body(),
        Step::reset(),
        Step::close(),
        Step::garbage("not frames"),
    ]);
    let response = http2_client().request(post(&server, ENVELOPE)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    for fault in ["reset", "close", "garbage"] {
        assert!(http2_client().request(post(&server, ENVELOPE)).await.is_err(), "{fault}");
    }
    let response = http2_client().request(post(&server, ENVELOPE)).await.unwrap();
    assert_eq!(whole(response).await.0, StatusCode::OK);
}
