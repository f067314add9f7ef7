//! A logger for job runs: events in, JSON batches out, and a handler that hears of every loss.
//!
//! The receiver is a small server in this program that fails now and then: it is down for a moment, it refuses one batch,
//! and at last it revokes the key. What the logger makes of that is counted by both sides and compared.
//!
//! ```console
//! $ cargo run -p envoi-examples --example batch_logger
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envoi::batch::{Category, DeliveryError};
use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;
use serde::Serialize;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is logged: anything that serialises.
#[derive(Serialize)]
struct Run<'a> {
    job: &'a str,
    number: u32,
    succeeded: bool,
}

fn main() -> Result<(), Error> {
    let server = IngestServer::spawn_thread()?;
    server.server().otherwise(Step::reply(StatusCode::ACCEPTED));
    server.server().script([
        Step::reply(StatusCode::SERVICE_UNAVAILABLE), // 100 ms later it is tried again
        Step::reply(StatusCode::ACCEPTED),
        Step::reply(StatusCode::PAYLOAD_TOO_LARGE), // that is for good
    ]);

    let lost = Arc::new(AtomicU64::new(0));
    let logger = envoi::batch(&server.server().url())
        .bearer("s3cret")
        .on_error({
            let lost = Arc::clone(&lost);
            move |error| {
                lost.fetch_add(error.items(), Ordering::Relaxed);
                match error {
                    DeliveryError::Auth { .. } => println!("the key is of no use any more: {error}"),
                    DeliveryError::Overflow { items } => println!("{items} events gave way to newer ones"),
                    error => println!("not delivered: {error}"),
                }
            }
        })
        .build()?;

    // From any thread, with or without a runtime. Nothing of this waits.
    let jobs: Vec<_> = ["import", "export", "report"]
        .into_iter()
        .map(|job| {
            let logger = logger.clone();
            std::thread::spawn(move || {
                (0..20).try_for_each(|number| logger.log(&Run { job, number, succeeded: number % 7 != 0 }))
            })
        })
        .collect();
    for job in jobs {
        job.join().map_err(|_| "a job panicked")??;
    }
    let outcome = logger.flush_blocking(Duration::from_secs(30));
    println!("{} delivered, {} lost, in time: {}", outcome.delivered, outcome.lost, outcome.is_complete);
    assert!(outcome.is_complete);
    assert_eq!((outcome.delivered + outcome.lost, outcome.lost > 0), (60, true));

    // The key is revoked: one batch is refused, and the logger switches itself off.
    server.server().otherwise(Step::reply(StatusCode::UNAUTHORIZED));
    logger.log(&Run { job: "cleanup", number: 0, succeeded: true })?;
    logger.flush_blocking(Duration::from_secs(30));
    assert!(logger.is_disabled());
    assert!(logger.log("nobody will see this").is_err());
    let outcome = logger.shutdown_blocking(Duration::from_secs(5));
    assert!(outcome.is_complete);

    // Both sides agree, and nothing is missing.
    let ledger = logger.ledger();
    let account = ledger.get(&Category::EVENT).ok_or("nothing was logged")?;
    println!("posted {}, delivered {}, refused {:?}", account.posted, account.delivered, account.refused);
    assert!(ledger.is_settled());
    let received: usize = server
        .server()
        .requests()
        .iter()
        .filter(|request| request.status == Some(StatusCode::ACCEPTED))
        .map(|request| {
            serde_json::from_slice::<Vec<serde_json::Value>>(&request.body).map(|batch| batch.len())
        })
        .sum::<Result<usize, _>>()?;
    assert_eq!(account.delivered, received as u64);
    assert_eq!(account.refused_total(), lost.load(Ordering::Relaxed), "each loss was told once");
    Ok(())
}
