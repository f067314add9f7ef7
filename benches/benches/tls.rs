//! Handshakes and requests over TLS, next to `reqwest`: the same rustls, the same cryptography, the same roots, the same
//! protocol, one thread for the client and one for the server.
//!
//! A handshake is a request on a connection of its own: in full, as with a server that knows nobody, or resumed. `reqwest`
//! is given the configuration that ours makes of its settings.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::sync::Arc;

use bytes::Bytes;
use envoi_benches::report::{Effort, Table, median, ratio};
use envoi_benches::server::Server;
use envoi_benches::usage::client_cpu;
use envoi_benches::{now, samples};
use envoi_core::Segments;
use envoi_http::HttpClient;
use envoi_http::client::TcpConnector;
use envoi_http::tls::{Alpn, CaBundle, TlsConfig, TlsLayer};
use envoi_testkit::tls::Authority;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tower::{ServiceBuilder, ServiceExt};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Envoi,
    Reqwest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Connections {
    /// One for each request, with everything that belongs to it.
    Full,
    /// One for each request, which continues a session.
    Resumed,
    /// They are kept.
    Kept { lanes: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Case {
    is_http2: bool,
    connections: Connections,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// Milliseconds of processor time for 1000 requests.
    cpu: f64,
}

struct Site {
    authority: Authority,
    body: Bytes,
}

impl Site {
    fn server(&self, case: Case) -> Server {
        let certificate = self.authority.for_localhost();
        let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = protocols(case);
        if case.connections != Connections::Resumed {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Server::start_tls(Arc::new(config))
    }

    fn measure(&self, who: Who, case: Case) -> Sample {
        let server = self.server(case);
        let url = format!("https://localhost:{}/api/1/envelope/", server.address().port());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        match who {
            Who::Envoi => {
                let client = self.ours(case);
                let request = || {
                    let request = Request::post(&url).body(Segments::from(self.body.clone())).unwrap();
                    let client = client.clone();
                    async move {
                        let response = client.oneshot(request).await.unwrap();
                        assert!(response.status().is_success());
                        response.into_body().collect().await.unwrap();
                    }
                };
                timed(&runtime, case, &server, request)
            }
            Who::Reqwest => {
                let client = self.theirs(case);
                let request = || {
                    let request = client.post(&url).body(self.body.clone());
                    async move {
                        let response = request.send().await.unwrap();
                        assert!(response.status().is_success());
                        response.bytes().await.unwrap();
                    }
                };
                timed(&runtime, case, &server, request)
            }
        }
    }

    fn ours(&self, case: Case) -> HttpClient<impl envoi_http::client::Connect> {
        let ca = CaBundle::from_pem(self.authority.pem()).unwrap();
        let alpn = if case.is_http2 { Alpn::Http2 } else { Alpn::Http1 };
        let connector = ServiceBuilder::new()
            .layer(TlsLayer::new(&TlsConfig::new().only_ca(ca).alpn(alpn)).unwrap())
            .service(TcpConnector::new().any_scheme());
        HttpClient::builder().pool_max_idle_per_host(case.idle()).connector(connector).build()
    }

    fn theirs(&self, case: Case) -> reqwest::Client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols(case);
        reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .pool_max_idle_per_host(case.idle())
            .build()
            .unwrap()
    }
}

fn protocols(case: Case) -> Vec<Vec<u8>> {
    vec![if case.is_http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }]
}

impl Case {
    const fn idle(self) -> usize {
        match self.connections {
            Connections::Kept { .. } => 64,
            _ => 0,
        }
    }

    const fn lanes(self) -> u64 {
        match self.connections {
            Connections::Kept { lanes } => lanes,
            _ => 1,
        }
    }

    fn what(self) -> String {
        match self.connections {
            Connections::Full => "a connection for each request".to_owned(),
            Connections::Resumed => "the same, resumed".to_owned(),
            Connections::Kept { lanes } => format!("kept, {lanes} in flight"),
        }
    }
}

/// `lanes` loops that send one request after the other.
fn timed<F: Future<Output = ()>>(
    runtime: &tokio::runtime::Runtime,
    case: Case,
    server: &Server,
    request: impl Fn() -> F,
) -> Sample {
    let lanes = case.lanes();
    let run = |count: u64| {
        let before = server.received();
        let lane = |lane| {
            let (request, share) = (&request, count / lanes + u64::from(lane < count % lanes));
            async move {
                for _ in 0..share {
                    request().await;
                }
            }
        };
        runtime.block_on(join_all((0..lanes).map(lane)));
        assert_eq!(server.received() - before, count, "requests are missing at the server");
    };
    run(lanes);
    let (start, cpu) = (now(), client_cpu());
    run(case.count);
    let (time, cpu) = (now() - start, client_cpu().saturating_sub(cpu));
    let count = case.count as f64;
    Sample { per_second: count / time.as_secs_f64(), cpu: cpu.as_secs_f64() / count * 1e6 }
}

fn main() {
    let effort = Effort::from_args();
    let site = Site { authority: Authority::new("bench CA"), body: samples::envelope(4 << 10) };
    let mut cases = Vec::new();
    for is_http2 in [false, true] {
        for (connections, count) in [
            (Connections::Full, 800),
            (Connections::Resumed, 1500),
            (Connections::Kept { lanes: 1 }, 6000),
            (Connections::Kept { lanes: 8 }, 12_000),
        ] {
            cases.push(Case { is_http2, connections, count: effort.of(count, 10) });
        }
    }
    let whole = [Who::Envoi, Who::Reqwest];
    // Whoever is first is second in the next round.
    let rounds: Vec<Vec<[Sample; 2]>> = (0..effort.rounds)
        .map(|round| {
            let turn = |case: &Case| {
                let mut samples = [None; 2];
                for at in 0..2 {
                    let at = (at + round) % 2;
                    samples[at] = Some(site.measure(whole[at], *case));
                }
                samples.map(Option::unwrap)
            };
            cases.iter().map(turn).collect()
        })
        .collect();
    let mut table = Table::new([
        "protocol",
        "connections",
        "envoi: requests/s",
        "reqwest: requests/s",
        "× reqwest",
        "envoi: CPU ms per 1000",
        "reqwest: CPU ms per 1000",
    ]);
    for (index, case) in cases.iter().enumerate() {
        let of = |value: fn(&[Sample; 2]) -> f64| median(rounds.iter().map(|round| value(&round[index])));
        table.row([
            (if case.is_http2 { "HTTP/2" } else { "HTTP/1.1" }).to_owned(),
            case.what(),
            format!("{:.0}", of(|[ours, _]| ours.per_second)),
            format!("{:.0}", of(|[_, theirs]| theirs.per_second)),
            ratio(Some(of(|[ours, theirs]| ours.per_second / theirs.per_second))),
            format!("{:.0}", of(|[ours, _]| ours.cpu)),
            format!("{:.0}", of(|[_, theirs]| theirs.cpu)),
        ]);
    }
    table.print();
}
