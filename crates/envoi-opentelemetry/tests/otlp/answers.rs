//! What an exporter is answered, case by case.

use std::future::ready;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Failure, Fate, Fault, Kind, Parcel, Receipt, Reply, Segments};
use envoi_http::{EncodeLayer, HttpClient, Policy};
use envoi_layers::outbox::{MemoryStore, OutboxConfig, OutboxLayer};
use envoi_opentelemetry::{Background, FATE_HEADER, OtlpClient, OtlpCodec, OtlpRequest};
use futures_executor::block_on;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use opentelemetry_http::{HttpClient as _, HttpError, ResponseBodyTooLarge};
use tower::{ServiceBuilder, service_fn};

use crate::sink::Sink;

const PATIENCE: Duration = Duration::from_secs(20);

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).header("x-own", "kept").body(Bytes::from_static(b"body")).unwrap()
}

/// Sends from a thread without a runtime, as exporters do.
fn send(client: &OtlpClient, url: &str) -> Result<Response<Bytes>, HttpError> {
    block_on(client.send_bytes(request(url)))
}

fn delivery(outcome: impl Fn() -> Result<Receipt, Fault> + Clone + Send + 'static) -> OtlpClient {
    let stack = service_fn(move |parcel: Parcel<OtlpRequest>| {
        ready(outcome().map_err(|fault| Failure::new(fault, parcel)))
    });
    OtlpClient::delivery(stack, Background::spawn().unwrap())
}

/// TR-6, TR-7: status, headers and body of the server reach the exporter, over an exchange and over a delivery stack, also
/// where it refuses.
#[test]
fn the_servers_own_answer_reaches_the_exporter() {
    let sink = Sink::start().unwrap();
    let stack = ServiceBuilder::new()
        .layer(EncodeLayer::new(OtlpCodec).policy(Policy::at_least_once()))
        .service(HttpClient::new_http());
    let clients = [
        OtlpClient::exchange(HttpClient::new_http(), Background::spawn().unwrap()),
        OtlpClient::delivery(stack, Background::spawn().unwrap()),
    ];
    for client in clients {
        for status in [200, 202, 400, 401, 413, 429, 500, 503] {
            let answer = Response::builder().status(status).header("retry-after", "7");
            sink.answer([answer.body(Full::from("in words")).unwrap()]);
            let response = send(&client, &sink.url("/v1/logs")).unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.body(), "in words");
        }
    }
    let requests = sink.requests();
    assert!(requests.iter().all(|(head, body)| head.headers["x-own"] == "kept" && body == "body"));
    assert_eq!(requests.len(), 16);
}

/// TR-9: an answer that does not end is given up, and so is one that never begins.
#[test]
fn a_hung_server_costs_its_time_and_no_more() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    let client = OtlpClient::exchange(HttpClient::new_http(), Background::spawn().unwrap())
        .timeout(Some(Duration::from_millis(50)));
    let error = send(&client, &url).unwrap_err();
    let fault = error.downcast_ref::<Fault>().unwrap();
    assert_eq!(
        (fault.kind(), fault.to_string()),
        (Kind::Timeout, "timed out: no complete answer within 50ms".to_owned())
    );
}

/// TR-6: an answer beyond 4 MiB is refused by the type that tells the exporter not to try again.
#[test]
fn an_endless_answer_is_refused() {
    let sink = Sink::start().unwrap();
    sink.answer([Response::new(Full::from(vec![0; 5 << 20]))]);
    let client = OtlpClient::exchange(HttpClient::new_http(), Background::spawn().unwrap());
    assert!(send(&client, &sink.url("/v1/logs")).unwrap_err().is::<ResponseBodyTooLarge>());
}

/// OC-4: without an answer there is an error, with the kind of what failed.
#[test]
fn without_an_answer_there_is_an_error() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = OtlpClient::exchange(HttpClient::new_http(), Background::spawn().unwrap());
    assert!(send(&client, &format!("http://{refused}/v1/logs")).is_err());
    let client = delivery(|| Err(Fault::new(Kind::CircuitOpen)));
    let error = send(&client, "http://127.0.0.1:9/v1/logs").unwrap_err();
    assert_eq!(error.downcast_ref::<Fault>().unwrap().kind(), Kind::CircuitOpen);
    let client = delivery(|| Err(Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::BAD_GATEWAY))));
    assert_eq!(send(&client, "http://127.0.0.1:9/v1/logs").unwrap().status(), 502);
}

/// The responsibility rule, towards an exporter: 202 where nobody has answered yet.
#[test]
fn what_is_taken_over_is_accepted() {
    for (fate, word) in [(Fate::Queued, "queued"), (Fate::Stored, "stored"), (Fate::Spent, "spent")] {
        let outcome = move || Ok(Receipt::new(fate));
        let response = send(&delivery(outcome), "http://127.0.0.1:9/v1/logs").unwrap();
        assert_eq!(
            (response.status(), &response.headers()[FATE_HEADER]),
            (StatusCode::ACCEPTED, &word.parse().unwrap())
        );
    }
}

/// TP-1, OC-4: a queue in the stack answers at once, and delivers by itself.
#[test]
fn a_queue_takes_requests_over() {
    let sink = Sink::start().unwrap();
    let background = Background::spawn().unwrap();
    let outbox = ServiceBuilder::new()
        .layer(OutboxLayer::new(OutboxConfig::new()).store(MemoryStore::new()).on_own_thread())
        .layer(EncodeLayer::new(OtlpCodec))
        .service(HttpClient::new_http());
    let client = OtlpClient::delivery(outbox.clone(), background);
    for _ in 0..3 {
        assert_eq!(send(&client, &sink.url("/v1/traces")).unwrap().status(), StatusCode::ACCEPTED);
    }
    assert!(outbox.close_blocking(PATIENCE).is_complete);
    assert_eq!(sink.requests().len(), 3);
    assert!(outbox.ledger().snapshot().is_settled());
}

/// To drop the future gives the request up.
#[test]
fn a_dropped_request_ends() {
    struct Gone(Sender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (begin, begun) = channel();
    let (end, ended) = channel();
    let exchange = service_fn(move |_: Request<Segments>| {
        let (gone, begin) = (Gone(end.clone()), begin.clone());
        async move {
            let _gone = gone;
            begin.send(()).unwrap();
            std::future::pending::<Result<Response<Full<Bytes>>, std::io::Error>>().await
        }
    });
    let client = OtlpClient::exchange(exchange, Background::spawn().unwrap());
    let mut sending = client.send_bytes(request("http://127.0.0.1:9/"));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    begun.recv_timeout(PATIENCE).unwrap();
    drop(sending);
    ended.recv_timeout(PATIENCE).unwrap();
}
