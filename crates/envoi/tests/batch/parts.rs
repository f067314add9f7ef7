//! Layers, receivers and settings of a user's own.

use std::error::Error;
use std::sync::{Arc, Mutex};

use envoi::batch::{
    Batch, BatchBuildError, BatchDelivery, BatchDriver, BatchEndpoint, BatchExchange, BatchStack, InvalidUrl,
};
use envoi::core::{Advice, Kind, Parcel, Payload};
use envoi::layers::fan_out::FanOutLayer;
use envoi::layers::outbox::{OutboxConfig, OutboxLayer};
use envoi_testkit::mock::{Answer, MockDeliver, MockExchange, Outcome};
use tower::Layer;
use tower::layer::layer_fn;
use tower::util::MapRequestLayer;

use crate::support::{PATIENCE, Rig, SECOND, Told, account, listen, status};

/// BD-1, BD-4: a sink of one's own in the place of HTTP has retry, breaker and all the rest.
#[tokio::test(start_paused = true)]
async fn a_sink_takes_the_place_of_http() {
    let (sink, told) = (MockDeliver::new(), Told::default());
    sink.script([Outcome::failure(Kind::Io), Outcome::failure(Kind::Rejected)]);
    let logger = envoi::batch("")
        .on_error(listen(&told))
        .sink(sink.clone())
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    for count in [3, 2] {
        for number in 0..count {
            logger.log(&number).unwrap();
        }
        assert!(logger.flush(PATIENCE).await.is_complete);
    }
    let seen: Vec<_> = sink.seen().iter().map(|seen| (seen.weight.items, seen.attempt)).collect();
    assert_eq!(seen, [(3, 0), (3, 1), (2, 0)]);
    assert_eq!((account(&logger).delivered, told.lock().unwrap().clone()), (2, vec![("other", 3)]));

    sink.otherwise(Outcome::advised(Kind::Other, Advice::Retry));
    logger.log("x").unwrap();
    let outcome = logger.flush(PATIENCE).await;
    assert_eq!((outcome.lost, sink.seen().len()), (1, 6));
}

/// BD-7: a sink that is a queue itself, and full, is one loss, told once.
#[tokio::test(start_paused = true)]
async fn a_full_queue_behind_is_told_once() {
    let told = Told::default();
    let logger = envoi::batch("")
        .sink(MockDeliver::answering(Outcome::failure(Kind::QueueFull)))
        .on_error(listen(&told))
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    (0..20).for_each(|number| logger.log(&number).unwrap());
    assert!(logger.flush(PATIENCE).await.is_complete);
    assert_eq!(account(&logger).lost[&envoi::DiscardReason::QueueOverflow], 20);
    assert!(logger.shutdown(PATIENCE).await.is_complete);
    assert_eq!(*told.lock().unwrap(), [("overflow", 20)]);
}

/// BD-1: a delivery layer of one's own sees every batch once, however often it is tried.
#[tokio::test(start_paused = true)]
async fn a_delivery_layer_sees_each_batch_once() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let sink = MockDeliver::new();
    sink.script([Outcome::failure(Kind::Io), Outcome::failure(Kind::Io)]);
    let logger = envoi::batch("")
        .delivery_layer(MapRequestLayer::new(move |parcel: Parcel<Batch>| {
            note.lock().unwrap().push(parcel.payload().weight().items);
            parcel
        }))
        .sink(sink.clone())
        .build_on(&tokio::runtime::Handle::current())
        .unwrap();
    logger.log("a").unwrap();
    assert!(logger.flush(PATIENCE).await.is_complete);
    assert_eq!((seen.lock().unwrap().clone(), sink.seen().len()), (vec![1], 3));
}

/// BD-1, BD-4: a sink beside the server gets every batch once, whatever the server does, and whatever the sink does the server
/// gets it, too.
#[tokio::test(start_paused = true)]
async fn a_sink_beside_the_server() {
    let run = async |archive: MockDeliver<Batch>, answers: Vec<Answer>| {
        let config = OutboxConfig::new().max_attempts(1);
        let sink = OutboxLayer::new(config).layer(archive.clone());
        let (network, told) = (MockExchange::new(), Told::default());
        network.script(answers);
        let exchange = network.clone();
        let logger = envoi::batch("http://logs.invalid/")
            .on_error(listen(&told))
            .delivery_layer(FanOutLayer::new([sink.clone()]))
            .http_layer(layer_fn(move |_network| exchange.clone()))
            .build_on(&tokio::runtime::Handle::current())
            .unwrap();
        (0..45).for_each(|number| logger.log(&number).unwrap());
        assert!(logger.shutdown(PATIENCE).await.is_complete);
        sink.close(SECOND).await;
        assert_eq!(account(&logger).held(), Some(0));
        (account(&logger).delivered, network.seen().len(), archive.seen().len(), told.lock().unwrap().len())
    };
    let archive = || MockDeliver::<Batch>::new();
    assert_eq!(run(archive(), vec![]).await, (45, 3, 3, 0));
    assert_eq!(run(archive(), vec![status(500); 9]).await, (0, 9, 3, 3));
    let broken = MockDeliver::answering(Outcome::failure(Kind::Io));
    assert_eq!(run(broken, vec![]).await, (45, 3, 3, 0));
    let (wild, hung) = (MockDeliver::answering(Outcome::panic()), MockDeliver::answering(Outcome::never()));
    assert_eq!(run(wild, vec![]).await, (45, 3, 3, 0));
    assert_eq!(run(hung, vec![]).await, (45, 3, 3, 0));
}

/// AU-6, AU-7, AU-8: what cannot work says why when it is built, without the secret.
#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let url_error = |url: &str| match envoi::batch(url).build() {
        Err(BatchBuildError::Url(error)) => error,
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(url_error(""), InvalidUrl::Malformed);
    assert_eq!(url_error("http://"), InvalidUrl::Malformed);
    assert_eq!(url_error("logs.example"), InvalidUrl::Scheme);
    assert_eq!(url_error("/v1/events"), InvalidUrl::Host);
    assert_eq!(url_error("ftp://logs.example/"), InvalidUrl::Scheme);
    assert_eq!(url_error("http://logs.example:99999/"), InvalidUrl::Port);
    assert_eq!(url_error("http://[::1]:0/"), InvalidUrl::Port);
    for url in ["http://[::1]/", "http://[::1]:8080/", "http://logs.example:/", "http://logs.example:1/"] {
        assert!(envoi::batch(url).build_driver().is_ok(), "{url}");
    }
    assert_eq!(url_error("http://user:hunter2@logs.example/"), InvalidUrl::Credentials);
    assert!(!url_error("http://user:hunter2@logs.example/").to_string().contains("hunter2"));

    let without_tls =
        envoi::batch("https://logs.example/").connector(envoi::http::client::TcpConnector::new());
    assert!(matches!(without_tls.build().unwrap_err(), BatchBuildError::Way(_)));
    let error = envoi::batch("http://logs.example/").bearer("hunter2\n").build().unwrap_err();
    assert!(matches!(error, BatchBuildError::Credential(_)));
    assert!(
        error.to_string().contains("offset 7") && !format!("{error:?}{error}").contains("hunter2"),
        "{error}"
    );
    let builder = envoi::batch("http://logs.example/").bearer("hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let (logger, _driver) = builder.build_driver().unwrap();
    assert!(!format!("{logger:?}").contains("hunter2"));
}

/// BD-7: what the handler is told has the status, the server's words and the cause.
#[tokio::test(start_paused = true)]
async fn the_handler_is_told_why() {
    let words = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&words);
    let answers = [
        status(422).body(r#"{"detail":"no field called name"}"#),
        envoi_testkit::mock::Answer::error(Kind::Connect),
    ];
    let rig = Rig::with(answers, |builder| {
        builder.attempts(1).on_error(move |error| {
            note.lock().unwrap().push((error.to_string(), error.status(), error.source().is_some()));
        })
    });
    rig.send_one().await;
    rig.send_one().await;
    let words = words.lock().unwrap().clone();
    assert_eq!(
        words[0].0,
        "1 item lost: the server refused the payload (422 Unprocessable Entity): no field called name"
    );
    assert_eq!(words[0].1.unwrap(), 422);
    assert_eq!((words[1].0.as_str(), words[1].1), ("1 item lost: could not connect", None));
}

/// BD-7: without a handler losses are counted all the same.
#[tokio::test(start_paused = true)]
async fn without_a_handler_losses_are_counted() {
    let sink = MockDeliver::answering(Outcome::failure(Kind::Rejected));
    let logger = envoi::batch("").sink(sink).build_on(&tokio::runtime::Handle::current()).unwrap();
    logger.log("a").unwrap();
    let mut outcomes = logger.outcomes();
    let outcome = logger.flush(SECOND).await;
    assert_eq!((outcome.is_complete, outcome.lost), (true, 1));
    assert!(outcomes.try_next().is_some());
}

/// BD-10: the types can be named, so a transport and its driver can be kept in a struct.
#[test]
fn the_driver_is_nameable() {
    struct Kept {
        _logger: envoi::BatchTransport,
        _driver: BatchDriver<BatchStack<BatchDelivery<BatchEndpoint<BatchExchange>>>>,
    }
    let (logger, driver) = envoi::batch("http://127.0.0.1:9/").build_driver().unwrap();
    drop(Kept { _logger: logger, _driver: driver });
}
