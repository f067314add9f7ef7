//! A server that accepts and never answers: nobody waits longer than they said.
//!
//! Times are not measured. A thread that looks after the others ends a test that hangs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use envoi::{Capacity, DataCategory, Envelope, Item, Transport};
use envoi_testkit::ingest::{IngestServer, IngestThread, Step};

/// Far beyond every time that is given below, and below the time-outs of the transport.
const PATIENCE: Duration = Duration::from_secs(20);

const SHORT: Duration = Duration::from_millis(60);

fn event() -> Envelope {
    Envelope::new().with_item(Item::event("{}")).unwrap()
}

/// Runs something that must not hang, on a thread of its own.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Servers that hang in different places: the request is read, or not even accepted.
fn hung_servers() -> [IngestThread; 2] {
    let reading = IngestServer::spawn_thread().unwrap();
    reading.server().otherwise(Step::stall());
    let deaf = IngestServer::spawn_thread().unwrap();
    deaf.block_on(deaf.server().pause_accepting());
    [reading, deaf]
}

fn transport(server: &IngestThread) -> Transport {
    envoi::sentry(&server.server().dsn()).unwrap().capacity(Capacity::new(50, 1 << 20)).build().unwrap()
}

fn lost(transport: &Transport) -> u64 {
    transport.ledger().get(&DataCategory::Error).unwrap().lost_total()
}

/// TR-1, TR-2: posts to a queue that is full, flushes and closes, by threads without a runtime.
#[test]
fn threads_are_not_held_up() {
    for server in hung_servers() {
        let transport = transport(&server);
        let poster = transport.clone();
        in_time("a post", move || {
            for _ in 0..2_000 {
                poster.send(event()).unwrap();
            }
        });
        for within in [Duration::ZERO, SHORT] {
            let flusher = transport.clone();
            let flushed = in_time("a flush", move || flusher.flush_blocking(within));
            assert!(!flushed.is_complete());
        }
        let (one, two) = (transport.clone(), transport.clone());
        let other = std::thread::spawn(move || in_time("a close", move || one.close_blocking(SHORT)));
        let closed = in_time("another close", move || two.close_blocking(SHORT * 2));
        assert!(!closed.is_complete && !other.join().unwrap().is_complete);
        assert_eq!(lost(&transport), 2_000);
        assert!(transport.ledger().is_settled());
        assert!(transport.send(event()).is_err());
    }
}

/// TR-2: the same within a runtime, with one thread only, which the transport may not block either.
#[test]
fn tasks_are_not_held_up() {
    for server in hung_servers() {
        let transport = transport(&server);
        let task = transport.clone();
        in_time("a runtime", move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                task.send(event()).unwrap();
                assert!(!task.flush(SHORT).await.is_complete());
                assert!(!task.flush(Duration::ZERO).await.is_complete());
                let (first, second) = tokio::join!(task.close(SHORT), task.close(Duration::ZERO));
                assert!(!first.is_complete && !second.is_complete);
            });
        });
        assert_eq!(lost(&transport), 1);
        assert!(transport.ledger().is_settled());
    }
}

/// TR-2: where the driver shares the runtime of the application, the runtime ends without waiting for it.
#[test]
fn a_runtime_ends_with_a_hung_transport_on_it() {
    for server in hung_servers() {
        let dsn = server.server().dsn();
        let transport = in_time("a runtime", move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let transport = envoi::sentry(&dsn).unwrap().build_on(runtime.handle()).unwrap();
            runtime.block_on(async {
                transport.send(event()).unwrap();
                assert!(!transport.flush(SHORT).await.is_complete());
            });
            drop(runtime);
            transport
        });
        let flusher = transport.clone();
        in_time("a flush without a driver", move || flusher.flush_blocking(Duration::from_secs(3600)));
        assert_eq!(lost(&transport), 1);
    }
}

/// TR-2: dropping the last handle returns at once, and the thread of the transport ends soon after.
#[test]
fn dropping_the_transport_joins_nothing() {
    for server in hung_servers() {
        let (transport, driver) =
            envoi::sentry(&server.server().dsn()).unwrap().shutdown_timeout(SHORT).build_driver().unwrap();
        let thread = driver.unwrap().spawn_thread().unwrap();
        transport.send(event()).unwrap();
        assert!(!transport.flush_blocking(SHORT).is_complete());
        in_time("a drop", move || drop(transport));
        in_time("the thread of the transport", move || thread.join().unwrap());
    }
}

/// TR-2, decision 17: a server that hangs in the middle of its reply has said what it had to say.
#[test]
fn a_reply_that_hangs_counts_by_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("http://key@{}/42", listener.local_addr().unwrap());
    let (stop, stopped) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = connection.read(&mut request).unwrap();
        assert!(read > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":").unwrap();
        // Until the test is over.
        let _ = stopped.recv();
    });
    let transport = envoi::sentry(&dsn).unwrap().build().unwrap();
    transport.send(event()).unwrap();
    let flusher = transport.clone();
    assert!(!in_time("a flush", move || flusher.flush_blocking(SHORT)).is_complete());
    let closer = transport.clone();
    in_time("a close", move || closer.close_blocking(Duration::from_millis(500)));
    assert_eq!(transport.ledger().get(&DataCategory::Error).unwrap().delivered, 1);
    drop(stop);
    in_time("the server", move || server.join().unwrap());
}
