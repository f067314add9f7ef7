//! A function in the cloud: the process is frozen between requests, so each request ends with a flush.
//!
//! The transport is made once, in the cold start, and outlives many requests; its connection stays open between them. After
//! the answer the platform may stop the clock in the middle of anything, so the handler waits for what it has posted, but
//! never longer than it can spare.
//!
//! Take away: a flush that runs out of time loses nothing. What it did not see off leaves with the next request, and only
//! the end of the process (`SIGTERM`, a runtime that shuts down) calls for a close.
//!
//! ```console
//! $ cargo run -p envoi-examples --example lambda
//! ```

use std::time::Duration;

use envoi::{Envelope, Item, Transport};
use envoi_testkit::ingest::{IngestServer, Step};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a request can spare for telemetry.
const BUDGET: Duration = Duration::from_millis(500);

struct Function {
    transport: Transport,
}

impl Function {
    /// The cold start. On the runtime of the function: there is no thread that could be frozen while it holds a lock.
    fn new(dsn: &str) -> Result<Self, Error> {
        let builder = envoi::sentry(dsn)?.client("lambda/1.0").concurrency(2);
        Ok(Self { transport: builder.build_on(&tokio::runtime::Handle::current())? })
    }

    async fn handle(&self, request: u32) -> Result<(String, u64), Error> {
        let event = Item::event(format!(r#"{{"message":"request {request} was odd"}}"#));
        self.transport.send(Envelope::new().with_item(event)?)?;
        self.transport.send_log(format!(r#"{{"level":"info","body":"request {request}"}}"#))?;
        // Whatever the server does, the answer is not later than this. Logs that wait for company are sent, too.
        let flushed = self.transport.flush(BUDGET).await;
        Ok((format!("answer {request}"), flushed.left))
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = IngestServer::start().await?;
    let function = Function::new(&server.dsn())?;

    let (answer, left) = function.handle(1).await?;
    println!("{answer}, {left} left");
    assert_eq!((left, server.envelopes().len()), (0, 2));

    // The server takes its time with one event; the answer does not.
    server.script([Step::judge().after(Duration::from_secs(2))]);
    let (answer, left) = function.handle(2).await?;
    println!("{answer}, {left} left");
    assert!(left > 0, "it gave up waiting, not the envelope");

    // By the next request it is through.
    server.wait_for(4, Duration::from_secs(5)).await?;
    let (answer, left) = function.handle(3).await?;
    println!("{answer}, {left} left");
    assert_eq!((left, server.envelopes().len()), (0, 6));
    assert_eq!(server.summary().duplicates, 0);

    // The platform takes the process away.
    let closed = function.transport.close(BUDGET).await;
    assert!(closed.is_complete && function.transport.ledger().is_settled());
    Ok(())
}
