//! What `envoi relay` costs between a client and its server: envelopes per second that are answered and that arrive, next
//! to the same client without it; its processor time, and its memory, also with a thousand clients that do nothing.
//!
//! It runs the command, `cargo build --release -p envoi-cli`, which is looked for beside the benchmark or in the variable
//! `ENVOI`. The client is hyper in a loop with eight in flight.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use envoi::Dsn;
use envoi_benches::clients::Bare;
use envoi_benches::report::{Effort, Table, median};
use envoi_benches::server::Server;
use envoi_benches::{now, samples};
use futures_util::future::join_all;

const LANES: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(120);
/// Clients that do nothing.
const CROWD: usize = 1000;

/// The command, if it was built.
fn command() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("envoi");
    std::env::var_os("ENVOI").map(PathBuf::from).or(Some(beside)).filter(|path| path.is_file())
}

/// A relay that runs.
struct Relay {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Relay {
    fn start(command: &Path, upstream: &str, options: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("envoi-bench-relay-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("relay.toml");
        let encoding = if options.contains(&"gzip") { "gzip" } else { "identity" };
        std::fs::write(&config, format!("[forward]\nencoding = \"{encoding}\"\n")).unwrap();
        let mut relay = Command::new(command);
        relay.args(["relay", "--json", "--listen", "127.0.0.1:0", "--upstream", upstream, "--config"]);
        relay.arg(&config).stdout(Stdio::piped());
        if options.contains(&"disk") {
            relay.arg("--spool").arg(folder.join("spool"));
        }
        if options.contains(&"durable") {
            relay.args(["--ack", "durable"]);
        }
        let mut process = relay.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("\"address\":\"").unwrap();
        let address = rest.split('"').next().unwrap().parse().unwrap();
        Self { process, address, folder }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap_or_default()
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let of_task = |path: PathBuf| -> Option<u64> {
            std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        let nanos: u64 = tasks.filter_map(|task| of_task(task.ok()?.path())).sum();
        Duration::from_nanos(nanos).as_secs_f64()
    }

    /// MiB of memory: `VmRSS:`, or `VmHWM:` for the most there ever was.
    fn memory(&self, name: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    answered: f64,
    arrived: f64,
    /// Seconds of processor time of the relay for 10,000 envelopes.
    cpu: f64,
    memory: f64,
}

/// Sends `count` envelopes to `to`, and waits until the server has them.
fn send(to: SocketAddr, server: &Server, body: &Bytes, count: u64) -> Sample {
    let client = Bare::new(&Dsn::parse(&format!("http://public@{to}/1")).unwrap(), body.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = |count: u64| {
        let lanes = (0..LANES).map(|lane| client.send(count / LANES + u64::from(lane < count % LANES)));
        runtime.block_on(join_all(lanes));
    };
    let arrive = |target| assert!(server.wait_for(target, PATIENCE), "envelopes are missing at the server");
    let before = server.received();
    all(LANES);
    arrive(before + LANES);
    let start = now();
    all(count);
    let answered = now() - start;
    arrive(before + LANES + count);
    let arrived = now() - start;
    let per_second = |time: Duration| count as f64 / time.as_secs_f64();
    Sample { answered: per_second(answered), arrived: per_second(arrived), ..Sample::default() }
}

const CASES: [(&str, Option<&[&str]>); 5] = [
    ("no relay", None),
    ("relay, memory, forwards as it comes", Some(&[])),
    ("relay, memory, forwards gzip", Some(&["gzip"])),
    ("relay, disk, forwards gzip", Some(&["gzip", "disk"])),
    ("relay, disk, answers when durable", Some(&["gzip", "disk", "durable"])),
];

fn measure(command: &Path, server: &Server, body: &Bytes, count: u64, options: Option<&[&str]>) -> Sample {
    let Some(options) = options else { return send(server.address(), server, body, count) };
    let relay = Relay::start(command, &server.dsn(), options);
    let before = relay.cpu();
    let sample = send(relay.address, server, body, count);
    let cpu = (relay.cpu() - before) / count as f64 * 10_000.0;
    Sample { cpu, memory: relay.memory("VmHWM:"), ..sample }
}

/// A thousand connections that say nothing, and a thousand that stop in the middle of a body.
fn crowd(command: &Path, effort: Effort) {
    let count = if effort.quick { 10 } else { CROWD };
    let relay = Relay::start(command, "http://public@127.0.0.1:9/1", &[]);
    let settle = || std::thread::sleep(Duration::from_millis(if effort.quick { 10 } else { 500 }));
    settle();
    let (mut table, mut last) = (Table::new(["clients", "MiB", "KiB each"]), relay.memory("VmRSS:"));
    table.row(["none".to_owned(), format!("{last:.1}"), String::new()]);
    let half =
        b"POST /api/1/envelope/ HTTP/1.1\r\nhost: relay\r\nx-sentry-auth: Sentry sentry_key=public\r\n\
                 content-length: 4096\r\n\r\n{}\n";
    let mut open = Vec::new();
    for (label, words) in [("that say nothing", &[][..]), ("in the middle of a body", half)] {
        for _ in 0..count {
            let mut stream = TcpStream::connect(relay.address).unwrap();
            stream.write_all(words).unwrap();
            open.push(stream);
        }
        settle();
        let now = relay.memory("VmRSS:");
        let each = (now - last) * 1024.0 / count as f64;
        table.row([format!("{count} {label}"), format!("{now:.1}"), format!("{each:.1}")]);
        last = now;
        open.clear();
        settle();
    }
    table.print();
}

fn main() {
    let effort = Effort::from_args();
    let Some(command) = command() else {
        println!("not measured: there is no command; cargo build --release -p envoi-cli, or set ENVOI");
        return;
    };
    let body = samples::envelope(4 << 10);
    let mut table = Table::new([
        "server",
        "way",
        "answered/s",
        "arrived/s",
        "× no relay",
        "CPU s of the relay per 10,000",
        "MiB at most",
    ]);
    for latency in [0, 20] {
        let server = Server::start(Duration::from_millis(latency));
        let count = effort.of(if latency == 0 { 20_000 } else { 1200 }, LANES);
        let rounds: Vec<Vec<Sample>> = (0..effort.rounds)
            .map(|_| {
                let of = |case: &(_, Option<&[&str]>)| measure(&command, &server, &body, count, case.1);
                CASES.iter().map(of).collect()
            })
            .collect();
        for (index, (label, options)) in CASES.iter().enumerate() {
            let of = |value: fn(&Sample) -> f64| median(rounds.iter().map(|round| value(&round[index])));
            let over = median(rounds.iter().map(|round| round[index].arrived / round[0].arrived));
            let own = |text: String| if options.is_some() { text } else { String::new() };
            table.row([
                format!("{latency} ms"),
                (*label).to_owned(),
                format!("{:.0}", of(|sample| sample.answered)),
                format!("{:.0}", of(|sample| sample.arrived)),
                own(format!("{over:.2}")),
                own(format!("{:.2}", of(|sample| sample.cpu))),
                own(format!("{:.0}", of(|sample| sample.memory))),
            ]);
        }
    }
    table.print();
    println!();
    crowd(&command, effort);
}
