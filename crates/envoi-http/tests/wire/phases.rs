use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi_core::{Advice, Fault, Kind, Phase, Segments};
use envoi_http::classify;
use envoi_http::client::observe::{Event, SharedObserver};
use envoi_http::client::{HttpClient, TcpConnector, Timeouts};
use http::{Method, Request};
use hyper_util::client::legacy::connect::dns::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use crate::pipe::{self, NOWHERE};
use crate::support::{OK, exchange, listen, post, read_until, request};

const SECOND: Duration = Duration::from_secs(1);
/// More than a client has room for.
const LARGE: usize = 8 * 1024 * 1024;

fn assert_timeout(fault: &Fault, phase: Phase, words: &str) {
    assert_eq!(
        (fault.kind(), fault.phase(), fault.advice()),
        (Kind::Timeout, Some(phase), Advice::Retry),
        "{fault:?}"
    );
    assert!(fault.to_string().contains(words), "{fault}");
}

/// Looks names up as told: no answer, no such name, no address, or this one.
fn resolver(
    answer: fn() -> Option<std::io::Result<Vec<SocketAddr>>>,
) -> impl tower::Service<Name, Response = std::vec::IntoIter<SocketAddr>, Error = std::io::Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_: Name| async move {
        match answer() {
            Some(answer) => answer.map(Vec::into_iter),
            None => pending().await,
        }
    })
}

async fn look_up(answer: fn() -> Option<std::io::Result<Vec<SocketAddr>>>, timeouts: Timeouts) -> Fault {
    let connector = TcpConnector::new().resolver(resolver(answer)).resolve_timeout(timeouts.resolve);
    let client = HttpClient::builder().connector(connector).timeouts(timeouts).build();
    let request = Request::post("http://ingest.test/").body(Segments::from("payload")).unwrap();
    classify(client.oneshot(request).await.unwrap_err().into())
}

/// TR-9: a name that is not answered costs the limit for names, and one that does not exist is named.
#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_in_time_or_not_at_all() {
    let begun = Instant::now();
    let fault = look_up(|| None, Timeouts::new().resolve(7 * SECOND)).await;
    assert_timeout(&fault, Phase::Resolve, "the name look-up was not over within 7s (ingest.test)");
    assert!((7 * SECOND..8 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());

    for (answer, words) in [
        ((|| Some(Err(std::io::Error::other("no such host")))) as fn() -> _, "no such host"),
        (|| Some(Ok(Vec::new())), "the name has no addresses"),
    ] {
        let fault = look_up(answer, Timeouts::new()).await;
        assert_eq!((fault.kind(), fault.phase()), (Kind::Connect, Some(Phase::Resolve)), "{fault:?}");
        assert!(
            fault.to_string().contains(&format!("the name ingest.test cannot be looked up: {words}")),
            "{fault}"
        );
    }
}

/// TR-9: the attempt as a whole has a limit as well, and says how far it had come.
#[tokio::test(start_paused = true)]
async fn a_whole_attempt_has_a_limit_that_names_the_phase() {
    let timeouts = Timeouts::new().resolve(60 * SECOND).attempt(Some(2 * SECOND));
    let fault = look_up(|| None, timeouts).await;
    assert_timeout(
        &fault,
        Phase::Resolve,
        "the attempt was not over within 2s, it had come to the name look-up",
    );

    let (client, mut connections) = pipe::client(timeouts);
    tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        read_until(&mut stream, b"payload").await;
        pending::<()>().await;
    });
    let fault = exchange(&client, post(NOWHERE)).await.unwrap_err();
    assert_timeout(&fault, Phase::Reply, "it had come to the wait for the reply");
}

/// TR-9: where one of a name's addresses leads nowhere, the next one is tried.
#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    let server = envoi_testkit::ingest::IngestServer::start().await.unwrap();
    let (alive, port) = (server.address().ip(), server.address().port());
    let resolver = service_fn(move |_: Name| async move {
        // Nobody listens at the first, and there is no way to the second (RFC 6666).
        let addresses: [std::net::IpAddr; 3] =
            ["127.0.0.77".parse().unwrap(), "100::1".parse().unwrap(), alive];
        Ok::<_, std::io::Error>(addresses.map(|address| SocketAddr::new(address, 0)).into_iter())
    });
    let client = HttpClient::builder().connector(TcpConnector::new().resolver(resolver)).build();
    let url = format!("http://ingest.test:{port}/api/42/envelope/");
    let request = Request::post(url).body(Segments::from("payload")).unwrap();
    client.oneshot(request).await.unwrap();
    assert_eq!(server.summary().connections, 1);
}

/// TR-9: nobody listens: the fault says where, and that nothing was sent.
#[tokio::test]
async fn a_refused_connection_says_where() {
    let address = listen().await.1;
    let fault = exchange(&HttpClient::new_http(), post(address)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.phase()), (Kind::Connect, Some(Phase::Connect)), "{fault:?}");
    assert!(fault.to_string().contains(&format!("no connection to {address}: ")), "{fault}");
}

/// TR-9: a peer that takes nothing more of the request is given up after the limit for that.
#[tokio::test(start_paused = true)]
async fn a_standstill_of_the_writing_ends() {
    let (client, mut connections) = pipe::client(Timeouts::new().write(Some(4 * SECOND)));
    let held = tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        stream.read_u8().await.unwrap();
        stream
    });
    let begun = Instant::now();
    let fault = exchange(&client, request(NOWHERE, Method::POST, vec![b'x'; LARGE])).await.unwrap_err();
    assert_timeout(&fault, Phase::Write, "the writing of the request was not over within 4s");
    assert!((4 * SECOND..5 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    drop(held.await.unwrap());
}

/// TR-9: a large request over a slow line is not cut as long as it moves, however long it takes in all.
#[tokio::test(start_paused = true)]
async fn a_slow_request_that_moves_is_not_cut() {
    let (client, mut connections) = pipe::client(Timeouts::new().write(Some(4 * SECOND)).attempt(None));
    tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        let mut buffer = vec![0; 1024 * 1024];
        let mut total = 0;
        while total < LARGE {
            tokio::time::sleep(Duration::from_millis(100)).await;
            total += stream.read(&mut buffer).await.unwrap();
        }
        stream.write_all(OK).await.unwrap();
    });
    let begun = Instant::now();
    let response = exchange(&client, request(NOWHERE, Method::POST, vec![b'x'; LARGE])).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(begun.elapsed() > 8 * SECOND, "{:?}", begun.elapsed());
}

/// TR-9: a server that has the request and says nothing is given up after the limit for that.
#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_come_ends_the_wait() {
    let (client, mut connections) = pipe::client(Timeouts::new().first_byte(Some(3 * SECOND)));
    tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        read_until(&mut stream, b"payload").await;
        pending::<()>().await;
    });
    let begun = Instant::now();
    let fault = exchange(&client, post(NOWHERE)).await.unwrap_err();
    assert_timeout(&fault, Phase::Reply, "the wait for the reply was not over within 3s");
    assert!(fault.phase().unwrap().may_have_been_processed());
    assert!((3 * SECOND..4 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// TR-9: a peer that hangs up has perhaps taken the request, and the fault says so.
#[tokio::test]
async fn a_cut_after_the_request_says_that_it_was_sent() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_until(&mut stream, b"payload").await;
    });
    let fault = exchange(&HttpClient::new_http(), post(address)).await.unwrap_err();
    assert_eq!((fault.kind(), fault.phase()), (Kind::Io, Some(Phase::Reply)), "{fault:?}");
}

/// TR-9: a limit too large to be reached is none, and no reason to fall over.
#[tokio::test]
async fn enormous_limits_are_none() {
    const MAX: Duration = Duration::MAX;
    let server = envoi_testkit::ingest::IngestServer::start().await.unwrap();
    let timeouts = Timeouts::new().write(Some(MAX)).first_byte(Some(MAX)).attempt(Some(MAX));
    let connector = TcpConnector::new().resolve_timeout(MAX).connect_timeout(MAX).happy_eyeballs(Some(MAX));
    for prior_knowledge in [false, true] {
        let builder = HttpClient::builder()
            .connector(connector.clone())
            .timeouts(timeouts)
            .pool_idle_timeout(Some(MAX))
            .http2_ping(Some((MAX, MAX)))
            .http2_ping_while_idle(true);
        let builder = if prior_knowledge { builder.http2_prior_knowledge() } else { builder };
        let client = builder.build();
        for _ in 0..2 {
            let url = format!("http://localhost:{}/api/42/envelope/", server.address().port());
            let request = Request::post(url).body(Segments::from("payload")).unwrap();
            exchange(&client, request).await.unwrap();
        }
    }
    assert_eq!(server.summary().requests, 4);
}

/// TR-9: an answer that comes while the request is still being written is told as one; nobody is told that it was written.
#[tokio::test(start_paused = true)]
async fn what_was_not_written_is_not_told_as_written() {
    let (connector, mut connections) = pipe::connector();
    tokio::spawn(async move {
        let mut stream = connections.recv().await.unwrap();
        stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        pending::<()>().await;
    });
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observer: SharedObserver = Arc::new(move |event: &Event<'_>| {
        seen.lock().unwrap().push(format!("{event:?}").split(' ').next().unwrap().to_owned());
    });
    let client = HttpClient::builder().connector(connector).observer(observer).build();
    let response = client.oneshot(request(NOWHERE, Method::POST, vec![b'x'; LARGE])).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(*events.lock().unwrap(), ["Replied"]);
}
