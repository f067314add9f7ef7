//! Events per second from the first one that is logged to the last reply, through the preset for batches, next to a loop
//! by hand that serialises the same events, makes the same arrays and posts them with hyper's client.
//!
//! Events are logged on the main thread, which waits while four times as many wait as are on their way; so nobody drops, and
//! memory is bounded. The loop does all of it in one thread.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use envoi::Encoding;
use envoi::batch::Event;
use envoi_benches::now;
use envoi_benches::report::{Effort, Table, median, ratio};
use envoi_benches::server::Server;
use envoi_benches::usage::client_cpu;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

const PATIENCE: Duration = Duration::from_secs(120);
const TOKEN: &str = "s3cret";

/// What services log: about 200 bytes.
#[derive(Serialize)]
struct Entry {
    timestamp: f64,
    level: &'static str,
    service: &'static str,
    message: String,
    user: u64,
    attributes: Attributes,
}

#[derive(Serialize)]
struct Attributes {
    method: &'static str,
    path: &'static str,
    status: u16,
    millis: u64,
}

impl Entry {
    fn new(number: u64) -> Self {
        Self {
            timestamp: 1_795_420_800.125 + number as f64,
            level: "info",
            service: "checkout",
            message: format!("GET /api/carts/{:08x}/items answered", number.wrapping_mul(0x9e37_79b9)),
            user: number % 10_007,
            attributes: Attributes {
                method: "GET",
                path: "/api/carts/:id/items",
                status: 200,
                millis: number % 97,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Hand,
    Envoi,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    who: Who,
    lanes: u64,
    /// Events in a batch.
    size: u64,
    encoding: Encoding,
    batches: u64,
}

impl Case {
    fn is_like(&self, other: &Self) -> bool {
        (self.lanes, self.size, self.encoding) == (other.lanes, other.size, other.encoding)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// Milliseconds of processor time for 10,000 events.
    cpu: f64,
}

/// Runs `work`, which has `count` events sent.
fn timed(count: u64, work: impl FnOnce()) -> Sample {
    let (start, cpu) = (now(), client_cpu());
    work();
    let (time, cpu) = (now() - start, client_cpu().saturating_sub(cpu));
    let count = count as f64;
    Sample { per_second: count / time.as_secs_f64(), cpu: cpu.as_secs_f64() * 1e3 / count * 10_000.0 }
}

fn measure(server: &Server, case: Case) -> Sample {
    let url = format!("http://{}/v1/events", server.address());
    match case.who {
        Who::Hand => by_hand(&url, case),
        Who::Envoi => by_preset(server, &url, case),
    }
}

fn by_preset(server: &Server, url: &str, case: Case) -> Sample {
    let logger = envoi::batch(url)
        .bearer(TOKEN)
        .batch_events(usize::try_from(case.size).unwrap())
        .queue_events(usize::try_from(case.size * case.lanes).unwrap() * 4)
        .concurrency(usize::try_from(case.lanes).unwrap())
        .encoding(case.encoding)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = |batches: u64| {
        let target = server.received() + batches;
        runtime.block_on(async {
            for number in 0..batches * case.size {
                logger.send_with_room(Event::new(&Entry::new(number)).unwrap()).await.unwrap();
            }
        });
        assert!(server.wait_for(target, PATIENCE), "batches are missing at the server");
    };
    run(case.lanes);
    let sample = timed(case.batches * case.size, || run(case.batches));
    let outcome = logger.shutdown_blocking(PATIENCE);
    assert_eq!((outcome.lost, outcome.left), (0, 0));
    sample
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(5));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// `lanes` loops that make an array and post it, one after the other.
fn by_hand(url: &str, case: Case) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(64).build(connector);
    let post = async |first: u64| {
        let events: Vec<Entry> = (first..first + case.size).map(Entry::new).collect();
        let mut body = serde_json::to_vec(&events).unwrap();
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(USER_AGENT, "envoi-benches/1.0");
        if case.encoding == Encoding::Gzip {
            body = gzip(&body);
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let response = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        assert!(response.status().is_success());
        response.into_body().collect().await.unwrap();
    };
    let run = |batches: u64| {
        let lane = async |lane: u64| {
            for batch in (lane..batches).step_by(usize::try_from(case.lanes).unwrap()) {
                post(batch * case.size).await;
            }
        };
        runtime.block_on(join_all((0..case.lanes).map(lane)));
    };
    run(case.lanes);
    timed(case.batches * case.size, || run(case.batches))
}

fn main() {
    let effort = Effort::from_args();
    let mut cases = Vec::new();
    for (lanes, size, encoding, batches) in [
        (1, 20, Encoding::Identity, 8000),
        (1, 20, Encoding::Gzip, 6000),
        (8, 20, Encoding::Identity, 16_000),
        (8, 20, Encoding::Gzip, 8000),
        (8, 200, Encoding::Identity, 6000),
        (8, 200, Encoding::Gzip, 2400),
    ] {
        for who in [Who::Hand, Who::Envoi] {
            cases.push(Case { who, lanes, size, encoding, batches: effort.of(batches, lanes) });
        }
    }
    let server = Server::start(Duration::ZERO);
    let rounds: Vec<Vec<Sample>> =
        (0..effort.rounds).map(|_| cases.iter().map(|case| measure(&server, *case)).collect()).collect();
    let mut table = Table::new([
        "client",
        "in flight",
        "events in a batch",
        "encoding",
        "events/s",
        "× by hand",
        "CPU ms per 10,000 events",
    ]);
    for (index, case) in cases.iter().enumerate() {
        let by_hand = cases.iter().position(|other| other.who == Who::Hand && other.is_like(case)).unwrap();
        let over = median(rounds.iter().map(|round| round[index].per_second / round[by_hand].per_second));
        table.row([
            (if case.who == Who::Hand { "by hand" } else { "envoi" }).to_owned(),
            case.lanes.to_string(),
            case.size.to_string(),
            case.encoding.to_string(),
            format!("{:.0}", median(rounds.iter().map(|round| round[index].per_second))),
            ratio((case.who == Who::Envoi).then_some(over)),
            format!("{:.1}", median(rounds.iter().map(|round| round[index].cpu))),
        ]);
    }
    table.print();
}
