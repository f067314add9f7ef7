//! `envoi doctor` against servers and proxies in this process, each wrong in its own way.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::time::Duration;

use envoi_testkit::ingest::{IngestServer, Step};
use envoi_testkit::tls::{Authority, ServerTls, Validity};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use support::proxy::{Proxy, Role};
use support::{Folder, Run, envoi, finish, run};

async fn plain() -> IngestServer {
    IngestServer::start().await.unwrap()
}

async fn secure(tls: ServerTls) -> IngestServer {
    IngestServer::builder().tls(tls).start().await.unwrap()
}

/// With a secret, which nobody should see.
fn dsn(server: &IngestServer) -> String {
    server.dsn().replacen('@', ":s3cret@", 1)
}

/// An address at which nothing listens, not even the next test.
async fn deserted() -> (IngestServer, String) {
    let server = plain().await;
    server.go_down().await;
    let address = server.address().to_string();
    (server, address)
}

/// The report for machines, after a look at what must hold for all of them.
async fn examine(options: &[&str]) -> Value {
    let run = run(&[&["doctor", "--json"] as &[&str], options].concat()).await;
    assert!(!run.both().contains("s3cret") && run.stderr.is_empty(), "{run:?}");
    let report = run.json();
    assert_eq!(run.code, i32::from(report["verdict"] == "failed"), "{run:?}");
    report
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut found = report["steps"].as_array().unwrap().iter().filter(|step| step["step"] == name);
    let step = found.next().unwrap();
    assert!(found.next().is_none(), "{name} is told once: {report}");
    step
}

fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["step"].as_str().unwrap(), step["verdict"].as_str().unwrap())).collect()
}

/// The way is broken here and the rest is told to be not checked; the words and the way out are these.
fn broken(report: &Value, name: &str, words: &str, way_out: &str) {
    let verdicts = verdicts(report);
    let at = verdicts.iter().position(|(_, verdict)| *verdict == "failed").unwrap();
    assert_eq!(verdicts[at].0, name, "{report}");
    assert!(verdicts[..at].iter().all(|(_, verdict)| ["ok", "warning"].contains(verdict)), "{report}");
    let is_answered = name == "reply" && step(report, name).get("status").is_some();
    let rest = &verdicts[at + 1..];
    assert!(is_answered || rest.iter().all(|(_, verdict)| *verdict == "not checked"), "{report}");
    assert!(is_answered || rest.last().is_none_or(|(last, _)| *last == "clock"), "{report}");
    let step = &report["steps"][at];
    assert!(step["message"].as_str().unwrap().contains(words), "{words}: {report}");
    assert!(step["advice"].as_str().unwrap_or_default().contains(way_out), "{way_out}: {report}");
}

/// TR-9, AU-7: an open way is told step by step with times, for readers and for machines, and what was sent is an envelope
/// without losses that a strict server finds nothing wrong with.
#[tokio::test]
async fn an_open_way_is_told_step_by_step() {
    let authority = Authority::new("company CA");
    let server = secure(ServerTls::new(authority.for_localhost())).await;
    let folder = Folder::new().with("ca.pem", authority.pem());
    let ca = folder.name("ca.pem");
    let dsn = dsn(&server);
    let options = ["--dsn", &dsn, "--cacert", &ca];

    let report = examine(&options).await;
    let all = ["dsn", "proxy", "tcp", "tls", "request", "reply", "clock"].map(|name| (name, "ok"));
    assert_eq!(verdicts(&report), all, "{report}");
    let tls = step(&report, "tls");
    assert_eq!((&tls["version"], &tls["alpn"]), (&json!("TLSv1_3"), &json!("h2")));
    let own = &tls["certificates"][0];
    assert_eq!(own["names"], json!(["localhost", "127.0.0.1", "::1"]));
    assert_eq!(own["not_after"], "2120-01-01T00:00:00.000Z");
    assert!(own["issuer"].as_str().unwrap().contains("company CA"));
    assert!(tls["took_ms"].as_f64().is_some());
    assert_eq!(step(&report, "reply")["status"], 200);

    let run = run(&[&["doctor"] as &[&str], &options].concat()).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(!run.stdout.contains("s3cret"), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("ok       dsn       envelopes go to https://127.0.0.1:"), "{run:?}");
    assert!(lines[3].starts_with("ok       tls ") && lines[3].ends_with(" ms)"), "{run:?}");
    assert!(lines[4].contains("for localhost, 127.0.0.1, ::1; issued by CN=company CA"), "{run:?}");
    assert!(lines.last().unwrap().starts_with("the way is open"), "{run:?}");

    let summary = server.summary();
    assert_eq!((summary.accepted, summary.problems), (2, 0), "{summary:?}");
    assert!(server.reported_losses().is_empty() && server.received_tally().is_empty());
    for envelope in server.envelopes() {
        assert_eq!(envelope.items().len(), 1);
        let report: Value = serde_json::from_slice(envelope.items()[0].payload()).unwrap();
        assert_eq!(report["discarded_events"], json!([]));
    }
}

/// AU-6, AU-7: the DSN comes from the environment as well; one that is malformed is a finding, none is wrong usage.
#[tokio::test]
async fn the_dsn_is_the_first_step() {
    let server = plain().await;
    let mut command = envoi(&["doctor", "--json"]);
    command.env("SENTRY_DSN", dsn(&server));
    let run = finish(command).await;
    assert_eq!((run.code, &run.json()["verdict"]), (0, &json!("ok")), "{run:?}");

    let report = examine(&["--dsn", "https://public:s3cret@host"]).await;
    broken(&report, "dsn", "project id", "copy it anew");
    let none = support::run(&["doctor"]).await;
    assert_eq!(none.code, 2);
    assert!(none.error_line().contains("SENTRY_DSN"), "{none:?}");
}

/// TR-5, TR-3: a file or an option that is wrong is wrong usage, before anything is looked at.
#[tokio::test]
async fn wrong_options_are_wrong_usage() {
    let folder = Folder::new().with("text.pem", "nothing\n");
    let text = folder.name("text.pem");
    for (options, words) in [
        (&["--cacert", "no/such/file"] as &[&str], "--cacert"),
        (&["--cert", &text], "--cert"),
        (&["--proxy", "gopher://u:s3cret@x"], "--proxy"),
        (&["--no-proxy", "a b/c"], "--no-proxy"),
        (&["--timeout", "0s"], "--timeout"),
    ] {
        let run = run(&[&["doctor", "--json", "--dsn", "https://key@host.test/1"], options].concat()).await;
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.error_line().contains(words) && !run.stderr.contains("s3cret"), "{run:?}");
    }
}

/// TR-9: a name that nobody knows, a port at which nothing listens, and peers that do not answer are told apart.
#[tokio::test]
async fn there_is_nobody() {
    // Longer than a label may be: no resolver is asked.
    let host = format!("{}.test", "x".repeat(64));
    let report = examine(&["--dsn", &format!("http://key@{host}/1")]).await;
    broken(&report, "name", "cannot be looked up", "getent hosts xxx");

    let (_server, address) = deserted().await;
    let report = examine(&["--dsn", &format!("http://key@{address}/1")]).await;
    broken(&report, "tcp", "refused", &format!("nothing listens at {address}: is the server running"));

    // It accepts connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let report = examine(&["--dsn", &format!("https://key@{address}/1"), "--timeout", "1s"]).await;
    broken(&report, "tls", "not over within 1s", "TLS is not answered");
    let report = examine(&["--dsn", &format!("http://key@{address}/1"), "--timeout", "1s"]).await;
    broken(&report, "reply", "not over within 1s", "no answer comes");
}

/// TR-5: each certificate that is not believed has a way out of its own.
#[tokio::test]
async fn tls_says_what_to_mend() {
    let (authority, stranger) = (Authority::new("CA"), Authority::new("stranger"));
    let client = stranger.issue_client("agent", Validity::Current);
    let folder = Folder::new()
        .with("ca.pem", authority.pem())
        .with("client.pem", format!("{}{}", client.pem(), client.key_pem()));
    let (ca, client) = (folder.name("ca.pem"), folder.name("client.pem"));
    let with = |names: &[&str], validity| ServerTls::new(authority.issue(names, validity));
    let mutual = || ServerTls::new(authority.for_localhost()).require_client(&authority);
    for (tls, options, words, way_out) in [
        (ServerTls::new(stranger.for_localhost()), &[] as &[&str], "not trusted here", "--cacert FILE"),
        (with(&["127.0.0.1"], Validity::Past), &[], "has expired", "renew it on the server"),
        (with(&["127.0.0.1"], Validity::Future), &[], "not valid yet", "clock of this machine"),
        (with(&["elsewhere.test"], Validity::Current), &[], "for other names", "one of its names"),
        (mutual(), &[], "asks for a client certificate", "--cert FILE --key FILE"),
        (mutual(), &["--cert", &client], "refused the client certificate", "another one with --cert"),
    ] {
        let server = secure(tls).await;
        let report =
            examine(&[&["--dsn", &dsn(&server), "--cacert", &ca] as &[&str], options].concat()).await;
        let report = without_handshake(report);
        broken(&report, "tls", words, way_out);
        assert_eq!(server.summary().begun, 0);
    }
    let server = plain().await;
    let report = examine(&["--dsn", &server.dsn().replacen("http", "https", 1)]).await;
    broken(&report, "tls", "does not speak TLS", "write http into the DSN");
    // The other way round.
    let server = secure(ServerTls::new(authority.for_localhost())).await;
    let report = examine(&["--dsn", &server.dsn().replacen("https", "http", 1)]).await;
    broken(&report, "reply", "", "speak https while the DSN says http");
}

/// With TLS 1.3 a client is refused after the handshake: then there are two steps about it, and the first went well.
fn without_handshake(mut report: Value) -> Value {
    let steps = report["steps"].as_array_mut().unwrap();
    let is_refused = steps.iter().any(|step| step["step"] == "tls" && step["verdict"] == "failed");
    steps.retain(|step| !(is_refused && step["step"] == "tls" && step["verdict"] == "ok"));
    report
}

/// TR-7, RL-1, RL-2: what the server says is told in its words, with the way out, the limits and for how long.
#[tokio::test]
async fn refusals_are_explained() {
    let server = plain().await;
    let header = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    for (status, said, words, way_out) in [
        (401, header("x-sentry-error", "bad key"), "401 Unauthorized over HTTP/1.1: bad key", "Client Keys"),
        (403, header("x-sentry-error", "ProjectId"), "ProjectId", "wrong or disabled key"),
        (404, header("server", "nginx"), "404 Not Found", "wrong project, path or host"),
        (413, header("server", "nginx"), "413 ", "limit for bodies"),
        (429, header("retry-after", "90"), "429 ", "over its quota"),
        (302, header("location", "https://u:s3cret@new.test/"), "302 ", "(https://***@new.test/)"),
        (503, header("server", "nginx"), "503 ", "in trouble"),
    ] {
        let step = Step::reply(StatusCode::from_u16(status).unwrap()).header(said.0, said.1);
        server.script([step]);
        let report = examine(&["--dsn", &dsn(&server)]).await;
        broken(&report, "reply", words, way_out);
        let reply = self::step(&report, "reply");
        assert_eq!(reply["status"], status);
        if status == 429 {
            assert_eq!(reply["limits"], json!([{"category": null, "seconds": 90.0}]));
        }
        assert_eq!(self::step(&report, "clock")["verdict"], "ok");
    }
    for step in [Step::close(), Step::reset()] {
        server.script([step]);
        let report = examine(&["--dsn", &dsn(&server)]).await;
        broken(&report, "reply", "", "closes the connection without an answer");
    }
}

/// RL-1: limits that come with a success, a clock that is wrong and a key that all can read are warnings: the way is open.
#[tokio::test]
async fn warnings_do_not_fail() {
    let server = plain().await;
    let an_hour_ago = envoi::core::Clock::wall(&envoi::core::SystemClock) - Duration::from_secs(3600);
    let date = HeaderValue::from_str(&httpdate::fmt_http_date(an_hour_ago)).unwrap();
    server.script([
        Step::judge().header(
            HeaderName::from_static("x-sentry-rate-limits"),
            HeaderValue::from_static("60:error;log_item:org"),
        ),
        Step::reply(StatusCode::OK).header(http::header::DATE, date),
    ]);
    let report = examine(&["--dsn", &dsn(&server)]).await;
    assert_eq!(report["verdict"], "warning");
    let limited = |category: &str| json!({"category": category, "seconds": 60.0});
    assert_eq!(step(&report, "reply")["limits"], json!([limited("error"), limited("log_item")]));
    let report = examine(&["--dsn", &dsn(&server)]).await;
    let clock = step(&report, "clock");
    assert_eq!(clock["verdict"], "warning", "{report}");
    assert!(clock["message"].as_str().unwrap().contains("60 min ahead of"), "{clock}");

    let proxy = Proxy::start(Role::Answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let options = ["--dsn", "http://key:s3cret@sentry.test/1", "--proxy", &proxy.url()];
    let report = examine(&options).await;
    assert_eq!(
        (&report["verdict"], &step(&report, "dsn")["verdict"]),
        (&json!("warning"), &json!("warning"))
    );
}

fn told(run: &Run, part: &str) -> String {
    run.stdout
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(part))
        .unwrap_or_default()
        .to_owned()
}

/// TR-3, TR-4: which proxy is used and who says so is told, and the tunnel is a step.
#[tokio::test]
async fn a_proxy_is_a_part_of_the_way() {
    let authority = Authority::new("CA");
    let server = secure(ServerTls::new(authority.issue(&["sentry.test"], Validity::Current))).await;
    let proxy = Proxy::start(Role::Tunnel(server.address())).await;
    let folder = Folder::new().with("ca.pem", authority.pem());
    let ca = folder.name("ca.pem");
    let args = ["doctor", "--dsn", "https://key@sentry.test/42", "--cacert", &ca];
    for variable in ["https_proxy", "HTTP_PROXY", "all_proxy"] {
        let mut command = envoi(&args);
        command.env(variable, proxy.url());
        let run = finish(command).await;
        assert_eq!(run.code, 0, "{run:?}");
        let words = format!("http://{}: the environment variable {variable} says so", proxy.address());
        assert!(told(&run, "proxy").ends_with(&words), "{run:?}");
        assert!(told(&run, "tunnel").contains("opened the way"), "{run:?}");
        assert!(told(&run, "tls").contains("sentry.test"), "{run:?}");
        assert!(!run.both().contains("s3cret"), "{run:?}");
    }
    let here = plain().await;
    let report = examine(&["--dsn", &here.dsn(), "--proxy", &proxy.url(), "--no-proxy", "127.0.0.1"]).await;
    assert_eq!(step(&report, "proxy")["message"], "none: --no-proxy names the host");
    assert_eq!(report["verdict"], "ok");

    let mut command = envoi(&[&args as &[&str], &["--json"]].concat());
    command.env("https_proxy", "gopher://u:s3cret@x");
    let run = finish(command).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(!run.both().contains("s3cret"), "{run:?}");
    broken(&run.json(), "proxy", "https_proxy", "unset https_proxy");
}

/// TR-4, TR-5: a refusal of the proxy is told to be the proxy's, for tunnels and for what it forwards.
#[tokio::test]
async fn what_the_proxy_refuses_is_not_the_servers() {
    const WANTED: &str = "HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n";
    const KERBEROS: &str = "HTTP/1.1 407 No\r\nproxy-authenticate: Negotiate\r\ncontent-length: 0\r\n\r\n";
    const FORBIDDEN: &str = "HTTP/1.1 403 No\r\nserver: squid\r\ncontent-length: 0\r\n\r\n";
    const AWAY: &str = "HTTP/1.1 503 No\r\nserver: squid\r\ncontent-length: 0\r\n\r\n";
    let (far, near) = ("https://key@sentry.test/1", "http://key@sentry.test/1");
    for (dsn, answer, step, words, way_out) in [
        (far, WANTED, "tunnel", "refused the credentials", "check user and password in --proxy"),
        (near, WANTED, "reply", "refused the credentials", "check user and password in --proxy"),
        (far, KERBEROS, "tunnel", "does not take Basic", "local proxy that knows the other scheme"),
        (far, FORBIDDEN, "tunnel", "answered 403", "to allow sentry.test:443"),
        (near, FORBIDDEN, "reply", "answered 403", "--no-proxy sentry.test"),
        (far, AWAY, "tunnel", "answered 503", "could not reach sentry.test:443"),
        (far, "SSH-2.0-x\r\n\r\n", "tunnel", "something else than this protocol", "a SOCKS server?"),
    ] {
        let proxy = Proxy::start(Role::Answer(answer)).await;
        let report = examine(&["--dsn", dsn, "--proxy", &proxy.url()]).await;
        broken(&report, step, words, way_out);
    }
    let proxy = Proxy::start(Role::Answer(WANTED)).await;
    let url = format!("http://{}", proxy.address());
    let report = examine(&["--dsn", far, "--proxy", &url]).await;
    broken(&report, "tunnel", "wants credentials", "write user and password into --proxy");

    let (_server, address) = deserted().await;
    let report = examine(&["--dsn", far, "--proxy", &format!("socks5h://{address}")]).await;
    broken(&report, "tcp", "could not reach socks5h://", "is the proxy running");
}

/// TR-4, TR-5: TLS to the proxy itself is a step of its own, before the tunnel.
#[tokio::test]
async fn a_proxy_may_speak_tls() {
    let authority = Authority::new("CA");
    let folder = Folder::new().with("ca.pem", authority.pem());
    let ca = folder.name("ca.pem");
    // It is no proxy, but shakes hands like one.
    let server = secure(ServerTls::new(authority.for_localhost())).await;
    let url = format!("https://user:s3cret@{}", server.address());
    let options = ["--dsn", "https://key@sentry.test/1", "--cacert", &ca, "--proxy", &url];
    let report = examine(&options).await;
    broken(&report, "tunnel", "this is not the server's answer", "to allow sentry.test:443");
    assert_eq!(step(&report, "proxy-tls")["certificates"][0]["names"][1], "127.0.0.1");
    assert_eq!(step(&report, "tls")["verdict"], "not checked");

    let plain = plain().await;
    let url = format!("https://user:s3cret@{}", plain.address());
    let report = examine(&["--dsn", "https://key@sentry.test/1", "--cacert", &ca, "--proxy", &url]).await;
    broken(&report, "proxy-tls", "does not speak TLS", "write http into --proxy");
}
