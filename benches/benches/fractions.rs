//! What part of the envelopes arrives, with the defaults of both transports: bursts, steady load, and a server that is
//! gone for two seconds.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::time::{Duration, Instant};

use envoi_benches::queues::{Options, Ours, Queue, Theirs};
use envoi_benches::report::{Effort, Table, median};
use envoi_benches::server::Server;
use envoi_benches::{now, samples};

#[derive(Clone, Copy, Debug)]
struct Scenario {
    name: &'static str,
    latency: Duration,
    count: u64,
    /// Between two posts; none for a burst.
    pause: Duration,
    /// When the server goes, and when it is back.
    outage: Option<(Duration, Duration)>,
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}

/// Posts at a steady rate and says what part has arrived in the end.
fn run(scenario: Scenario, start: impl FnOnce(&Server) -> Box<dyn FnMut(Option<Duration>)>) -> f64 {
    let server = Server::start(scenario.latency);
    // With nothing it posts, with a time it flushes.
    let mut client = start(&server);
    let begin = now();
    let mut outage = scenario.outage;
    let mut is_down = false;
    for number in 0..scenario.count {
        if !scenario.pause.is_zero() {
            sleep_until(begin + scenario.pause * u32::try_from(number).unwrap());
        }
        if let Some((from, to)) = outage {
            if !is_down && now() >= begin + from {
                server.down();
                is_down = true;
            }
            if now() >= begin + to {
                server.up();
                outage = None;
            }
        }
        client(None);
    }
    server.up();
    client(Some(Duration::from_secs(30)));
    server.received() as f64 / scenario.count as f64
}

fn client_of<Q: Queue + 'static>(queue: Q) -> Box<dyn FnMut(Option<Duration>)> {
    Box::new(move |flush| match flush {
        None => queue.post(queue.goods()),
        Some(within) => queue.flush(within),
    })
}

fn scenarios(effort: Effort) -> Vec<Scenario> {
    let scenario = |name, latency, count, pause, outage| Scenario {
        name,
        latency: Duration::from_millis(latency),
        count: effort.of(count, 20),
        pause: Duration::from_millis(pause),
        outage,
    };
    let outage = if effort.quick { (30, 60) } else { (1500, 3500) };
    let outage = (Duration::from_millis(outage.0), Duration::from_millis(outage.1));
    vec![
        scenario("burst of 1000, server 0 ms", 0, 1000, 0, None),
        scenario("burst of 1000, server 20 ms", 20, 1000, 0, None),
        scenario("100/s for 3 s, server 20 ms", 20, 300, 10, None),
        scenario("500/s for 2 s, server 20 ms", 20, 1000, 2, None),
        scenario(
            "20/s for 5 s, server gone for 2 s of them",
            0,
            100,
            if effort.quick { 5 } else { 50 },
            Some(outage),
        ),
    ]
}

fn main() {
    let effort = Effort::from_args();
    let body = samples::envelope(4 << 10);
    let mut table = Table::new(["offered", "envoi: arrived", "worst round", "sentry: arrived", "best round"]);
    for scenario in scenarios(effort) {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..effort.rounds.min(3) {
            ours.push(run(scenario, |server| {
                client_of(Ours::start(&server.dsn(), body.clone(), Options::default()))
            }));
            theirs.push(run(scenario, |server| client_of(Theirs::start(&server.dsn(), body.clone(), None))));
        }
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        table.row([
            scenario.name.to_owned(),
            percent(median(ours.iter().copied())),
            percent(ours.iter().copied().fold(1.0, f64::min)),
            percent(median(theirs.iter().copied())),
            percent(theirs.iter().copied().fold(0.0, f64::max)),
        ]);
    }
    table.print();
}
